"""The cross-entropy of a softmax, with several weighted targets per row, in closed form."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_TINY = 1e-7  # of a softmax: as much as float32 rounds


@tf.custom_gradient
def softmax_loss(
    hidden: tf.Tensor, table: tf.Tensor, rows: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., Any]]:
    """Returns `loss[r] = sum of weights[j] * -log softmax(table . hidden[r])[classes[j]]`.

    The sum runs over the targets `j` with `rows[j] = r`; a row without any has the loss 0. Each row
    has one normaliser. The scores are the largest tensor of a step: they are written twice, the
    second time as the slope of the gradient, so that the backward pass is two matrix products.
    (The kernel of `tf.nn.sparse_softmax_cross_entropy_with_logits` runs on one core.) `hidden` and
    `table`, `(n, d)` and `(classes, d)`, have one dtype; `weights` have no gradient.

    Returns:
        `(loss, slope)`: `(n,)`; and the derivative of each loss by its row's scores, divided by
        the row's weight, `(n, classes)`, float32, no gradient.
    """
    scores = tf.cast(tf.matmul(hidden, table, transpose_b=True), tf.float32)
    softmax = tf.nn.softmax(scores)
    # exp(largest score - normaliser) is the largest probability: no second exponential.
    normaliser = tf.reduce_max(scores, axis=-1) - tf.math.log(tf.reduce_max(softmax, axis=-1))
    indices = tf.stack([rows, classes], axis=1)
    chosen = tf.gather_nd(scores, indices)
    row_weights = sum_by_row(weights, rows, hidden)
    loss = row_weights * normaliser - sum_by_row(weights * chosen, rows, hidden)
    # Slopes are multiples of their row's weight, which must not vanish where its targets cancel.
    smallest = _TINY * sum_by_row(tf.abs(weights), rows, hidden)
    row_weights = tf.where(row_weights == 0, smallest, row_weights)
    shares = tf.math.divide_no_nan(weights, tf.gather(row_weights, rows))
    with tf.control_dependencies([normaliser]):  # its last reader: now it can be updated in place
        slope = tf.tensor_scatter_nd_sub(softmax, indices, shares)

    def gradient(upstream: tf.Tensor, _: Any) -> Any:
        slopes = tf.cast(slope, hidden.dtype)
        scale = tf.cast(upstream * row_weights, hidden.dtype)[:, None]
        hidden_gradient = scale * tf.matmul(slopes, table)
        table_gradient = tf.matmul(slopes, scale * hidden, transpose_a=True)
        return hidden_gradient, table_gradient, None, None, None

    return (loss, slope), gradient


def sum_by_row(values: tf.Tensor, rows: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Returns, for each row of `hidden`, the sum of the values with its number in `rows`."""
    return tf.math.unsorted_segment_sum(values, rows, tf.shape(hidden)[0])


@tf.custom_gradient
def take_rows(
    hidden: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns `hidden[rows]`, with a dense gradient, as hidden vectors have anyway."""
    return tf.gather(hidden, rows), lambda upstream: (sum_by_row(upstream, rows, hidden), None)
