"""The mean over a window, CBOW's hidden vector, with either of the two gradients in use."""

from collections.abc import Callable

import tensorflow as tf


def context_mean(rows: tf.Tensor, weights: tf.Tensor, whole_error: bool) -> tf.Tensor:
    """Averages context rows by windows.

    `h_i = sum_j w_ij x_j / n_i` with `n_i = sum_j w_ij` (`h_i = 0` where `n_i = 0`).

    Args:
        rows: float, `(batch, C, d)`, one row a context token.
        weights: float, `(batch, L, C)`, 1 where token `j` is in the window of centre `i`; no
            gradient.
        whole_error: True to add the whole error of `h_i` to each row of its window, as word2vec.c
            and gensim do; False for the gradient of the mean, `1 / n_i` of it.

    Returns:
        float, `(batch, L, d)`.
    """

    @tf.custom_gradient
    def mean(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        shares = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=-1, keepdims=True))

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            spread = weights if whole_error else shares
            return tf.matmul(spread, upstream, transpose_a=True)

        return tf.matmul(shares, rows), gradient

    return mean(rows)
