"""The mean or sum over a window, CBOW's hidden vector, with either of the gradients in use."""

from collections.abc import Callable

import tensorflow as tf

from kerasw2v.ops.fused import fused


def context_mean(
    rows: tf.Tensor,
    weights: tf.Tensor,
    whole_error: bool,
    combiner: str = "mean",
    shares: tf.Tensor | None = None,
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
        shares: `w_ij / n_i`, where they are known already.

    Returns:
        float, `(batch, L, d)`.
    """
    if shares is None:
        shares = _shares(weights)

    @tf.custom_gradient
    def mean(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            spread = weights if whole_error else shares
            return tf.matmul(spread, upstream, transpose_a=True)

        return tf.matmul(shares if combiner == "mean" else weights, rows), gradient

    return mean(rows)


@fused
def _shares(weights: tf.Tensor) -> tf.Tensor:
    return weights * tf.math.reciprocal_no_nan(_sizes(weights))[..., None]


def _sizes(weights: tf.Tensor) -> tf.Tensor:
    return tf.linalg.matvec(weights, tf.ones([tf.shape(weights)[-1]], weights.dtype))


@fused
def window_sums(
    weights: tf.Tensor, terms: tf.Tensor, power: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Adds up over the windows of a batch, with `n_i = sum_j w_ij`, all sums in one pass.

    Args:
        weights: float32, `(batch, L, C)`, 1 where token `j` is in the window of centre `i`.
        terms: float32, `(batch, L)`, what each centre brings to its window.
        power: float32, a scalar: -1, 0 or 1.

    Returns:
        `n_i`, `(batch, L)`; the shares `w_ij / n_i`, zero where `n_i` is, `(batch, L, C)`; and what
        is brought to each token, `sum_i w_ij t_i n_i ** power`, `(batch, C)`.
    """
    sizes = _sizes(weights)
    inverse = tf.math.reciprocal_no_nan(sizes)
    terms *= power_of_sizes(sizes, inverse, power)
    brought = tf.reduce_sum(weights * terms[:, :, None], axis=1)
    return sizes, weights * inverse[:, :, None], brought


def power_of_sizes(sizes: tf.Tensor, inverse: tf.Tensor, power: tf.Tensor) -> tf.Tensor:
    """Returns `sizes ** power`, for a power of -1 with 0 where a size is, as in `inverse`."""
    return tf.where(power < 0, inverse, tf.where(power > 0, sizes, tf.ones_like(sizes)))
