"""The shapes that an output layer is called with: checked for all layers here, and made flat."""

from typing import Any

import tensorflow as tf

Shape = tuple[int | None, ...]


def check_hidden(shape: tf.TensorShape, width: int | None = None) -> Shape:
    """Returns the shape of hidden vectors, `(..., d)`; raises ValueError unless d is known.

    Args:
        shape: the static shape.
        width: what d must be: that with which a layer was built; None for any.
    """
    if shape.rank is None or shape.rank < 1 or shape[-1] is None:
        raise ValueError(
            "`hidden` must have a known number of dimensions, the last of a known size. "
            f"Received: hidden of shape {shape}."
        )
    if width not in (None, shape[-1]):
        raise ValueError(
            f"`hidden` must be vectors of width {width}, that of the layer. "
            f"Received: hidden of shape {shape}."
        )
    return tuple(shape)


def has_axis_of_one(name: str, shape: Shape, hidden: Shape) -> bool:
    """Returns whether values of hidden vectors come as `(..., 1)`; raises unless that or `(...)`.

    Args:
        name: of the argument.
        shape: its static shape.
        hidden: the static shape of the hidden vectors, `(..., d)`.
    """
    leading = hidden[:-1]
    is_longer = len(shape) == len(leading) + 1 and shape[-1] in (1, None)
    if not tf.TensorShape(leading).is_compatible_with(shape[:-1] if is_longer else shape):
        raise ValueError(
            f"`{name}` must have the shape of `hidden` without its last dimension, {leading}. "
            f"Received: {name} of shape {shape}, hidden of shape {hidden}."
        )
    return is_longer


def flat_values(name: str, values: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Returns one value for each hidden vector: `(...)` or `(..., 1)` to `(n,)`."""
    if values.shape.rank is None:  # Keras traces so after inputs of two ranks
        values = tf.reshape(values, tf.shape(hidden)[:-1])
    if has_axis_of_one(name, tuple(values.shape), tuple(hidden.shape)):
        values = tf.squeeze(values, axis=-1)
    if hidden.shape.rank == 2:
        return values
    if not (hidden.shape.is_fully_defined() and values.shape.is_fully_defined()):
        message = f"`{name}` must have the shape of `hidden` without its last dimension."
        tf.debugging.assert_equal(tf.shape(values), tf.shape(hidden)[:-1], message)
    return tf.reshape(values, [-1])


def flat_hidden(hidden: tf.Tensor) -> tf.Tensor:
    """Returns hidden vectors as a matrix: `(..., d)` to `(n, d)`."""
    return hidden if hidden.shape.rank == 2 else tf.reshape(hidden, [-1, hidden.shape[-1]])


def as_before(values: Any, hidden: tf.Tensor) -> Any:
    """Returns what belongs to the rows of `flat_hidden` in the shape they had.

    Args:
        values: tensor `(n, ...)`, or a tuple of such tensors.
        hidden: the hidden vectors before they were made flat, `(..., d)`.
    """
    if hidden.shape.rank == 2:
        return values
    if isinstance(values, tuple):
        return tuple(as_before(value, hidden) for value in values)
    shape = tf.concat([tf.shape(hidden)[:-1], tf.shape(values)[1:]], axis=0)
    return tf.ensure_shape(tf.reshape(values, shape), hidden.shape[:-1] + values.shape[1:])


def check_blocks(hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor | None) -> None:
    """Raises ValueError unless shapes are those of blocks: `(b, L, d), (b, C), (b, L, C)`."""
    if weights is not None:
        shapes = hidden.shape, candidates.shape, weights.shape
        scored = hidden.shape[:2] + candidates.shape[1:]
        if (
            [shape.rank for shape in shapes] == [3, 2, 3]
            and scored.is_compatible_with(weights.shape)
            and scored[:1].is_compatible_with(candidates.shape[:1])
        ):
            return
    raise ValueError(
        "`hidden`, `candidates` and `weights` must have shapes (b, L, d), (b, C) and (b, L, C). "
        f"Received: {hidden.shape}, {candidates.shape} and "
        f"{None if weights is None else weights.shape}."
    )
