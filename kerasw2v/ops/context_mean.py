"""The mean or sum over a window, CBOW's hidden vector, with either of the gradients in use."""

from collections.abc import Callable

import tensorflow as tf

from kerasw2v.ops.fused import fused


def context_mean(
    rows: tf.Tensor, weights: tf.Tensor, whole_error: bool, combiner: str = "mean"
) -> tf.Tensor:
    """Averages, or sums, context rows by windows.

    `h_i = sum_j w_ij x_j / n_i` with `n_i = sum_j w_ij` (`h_i = 0` where `n_i = 0`); the sum is the
    same without `n_i`.

    Args:
        rows: float, `(batch, C, d)`, one row a context token.
        weights: float, `(batch, L, C)`, 1 where token `j` is in the window of centre `i`; no
            gradient.
        whole_error: True to add the whole error of `h_i` to each row of its window; False for
            `1 / n_i` of it. The first is the gradient of the sum, the second that of the mean.
        combiner: `"mean"` or `"sum"`.

    Returns:
        float, `(batch, L, d)`.
    """

    @tf.custom_gradient
    def mean(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        shares = _shares(weights)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            spread = weights if whole_error else shares
            return tf.matmul(spread, upstream, transpose_a=True)

        return tf.matmul(shares if combiner == "mean" else weights, rows), gradient

    return mean(rows)


@fused
def _shares(weights: tf.Tensor) -> tf.Tensor:
    # One division a window, not one a pair.
    return weights * tf.math.reciprocal_no_nan(tf.reduce_sum(weights, axis=-1, keepdims=True))


@fused
def context_sum(weights: tf.Tensor, terms: tf.Tensor) -> tf.Tensor:
    """Adds up what the centres of a block bring to each of its tokens.

    Args:
        weights: float, `(batch, L, C)`, 1 where token `j` is in the window of centre `i`.
        terms: float, `(batch, L)`, what each centre brings.

    Returns:
        float, `(batch, C)`: `sum_i w_ij t_i`.
    """
    return tf.reduce_sum(weights * terms[:, :, None], axis=1)
