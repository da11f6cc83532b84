"""The shapes in which examples come: a number an entry, a column, or rows of several lengths."""

from typing import Any

import tensorflow as tf


def as_vector(name: str, values: Any) -> tf.Tensor:
    """Returns values of shape `(n,)` or `(n, 1)` as `(n,)`; raises ValueError for any other."""
    rule = f"`{name}` must have shape (n,) or (n, 1)."
    if isinstance(values, tf.RaggedTensor):
        raise ValueError(f"{rule} Received: a RaggedTensor of shape {tuple(values.shape)}.")
    values = tf.convert_to_tensor(values)
    if values.shape.rank == 1:
        return values
    if values.shape.rank is None or values.shape.as_list()[1:] == [None]:
        received = [rule, "Received: shape=", tf.shape(values)]
        check = tf.debugging.Assert(tf.size(values) == tf.shape(values)[0], received)
        with tf.control_dependencies([check] if check is not None else []):
            return tf.reshape(values, [-1])
    if values.shape.as_list()[1:] != [1]:
        raise ValueError(f"{rule} Received: shape={tuple(values.shape)}.")
    return tf.reshape(values, [-1])


def as_pairs(
    inputs: tf.Tensor, targets: tf.RaggedTensor, weights: Any
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """Returns each target with the input and the weight of its row.

    Args:
        inputs: `(n,)`.
        targets: `(n, None)`.
        weights: of each row, `(n,)`, of each target, as `targets`, or None.
    """
    rows = targets.value_rowids()
    if isinstance(weights, tf.RaggedTensor):
        weights = weights.flat_values
    elif weights is not None:
        weights = tf.gather(weights, rows)
    return tf.gather(inputs, rows), targets.flat_values, weights
