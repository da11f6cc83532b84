"""The windows around the centres of a block, and their means, CBOW's hidden vectors.

A window is told by its *extents*, how many tokens a centre sees before and behind it: a sentence is
in one piece. Of a block of `L` centres and a halo of `window` tokens on either side, centre `l` is
token `l + window`, and `C = L + 2 * window`. `ops.window_means` is for windows of any form.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasw2v.ops.fused import fused
from kerasw2v.ops.windows import or_full_reach

# Up to so many tokens a window is added up token by token: of a product with a matrix of all pairs
# most is zeros, but the time to compile the sums grows with the window.
_MOST_TAPS = 48


def window_extents(
    sentences: tf.Tensor, reach: tf.Tensor | None, window: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns how far each centre of a block sees.

    Args:
        sentences: int32, `(batch, C)`, from `ops.windows.decode_blocks`.
        reach: int32, `(batch, L)`, the window of each centre from 0 to `window`; None for full
            windows.
        window: the largest distance of a pair.

    Returns:
        How many tokens before each centre and how many behind it are in its window: float32,
        `(batch, L)`.
    """
    before, behind = _extents(sentences, or_full_reach(reach, sentences, window))
    return before, behind


@fused
def _extents(sentences: tf.Tensor, reach: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    length, width = reach.shape[-1], sentences.shape[-1]
    window = (width - length) // 2
    centres = sentences[:, window : window + length]

    def seen(places: range) -> tf.Tensor:
        same = [tf.cast(sentences[:, k : k + length] == centres, tf.int32) for k in places]
        return tf.cast(tf.minimum(reach, tf.add_n(same)), tf.float32)

    return seen(range(window)), seen(range(window + 1, 2 * window + 1))


@fused
def sum_over_windows(
    before: tf.Tensor, behind: tf.Tensor, terms: tf.Tensor, power: tf.Tensor, like: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Adds up over the windows of blocks, `n` being the size of a window.

    Args:
        before: float32, `(batch, L)`, from `window_extents`.
        behind: float32, `(batch, L)`, the same.
        terms: float32, `(batch, L)`, what each centre brings to its window.
        power: float32, a scalar: -1, 0 or 1.
        like: `(batch, C)`; its shape counts.

    Returns:
        `n` and `1 / n`, 0 where n is: `(batch, L)`; and what is brought to each token, the sum of
        `terms * n ** power` over the windows that it is in, `(batch, C)`.
    """
    window = (like.shape[-1] - before.shape[-1]) // 2
    sizes = before + behind
    inverse = tf.math.reciprocal_no_nan(sizes)
    terms *= power_of_sizes(sizes, inverse, power)
    brought = [
        tf.pad(seen * terms, [[0, 0], [place, 2 * window - place]])
        for place, seen in _taps(before, behind, window)
    ]
    return sizes, inverse, tf.add_n(brought)


def _taps(before: tf.Tensor, behind: tf.Tensor, window: int) -> list[tuple[int, tf.Tensor]]:
    """Returns for each place in a window, but its middle, which centres see a token there."""
    taps = [(window - step, tf.cast(before >= step, tf.float32)) for step in range(window, 0, -1)]
    taps += [(window + step, tf.cast(behind >= step, tf.float32)) for step in range(1, window + 1)]
    return taps


def block_means(
    rows: tf.Tensor,
    before: tf.Tensor,
    behind: tf.Tensor,
    scale: tf.Tensor,
    gradient_scale: tf.Tensor,
) -> tf.Tensor:
    """Adds up context rows by the windows of a block, and scales the sums.

    `h_l = s_l sum_j x_j` over the window of centre `l`. Each of its rows gets `g_l` times the error
    of `h_l`, whatever `s_l` is.

    Args:
        rows: float, `(batch, C, d)`, one row a token.
        before: float32, `(batch, L)`, from `window_extents`.
        behind: float32, `(batch, L)`, the same.
        scale: float32, `(batch, L)`, s; ones for the sum.
        gradient_scale: float32, `(batch, L)`, g.

    Returns:
        float, `(batch, L, d)`.
    """

    @tf.custom_gradient
    def means(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _spread(upstream, before, behind, gradient_scale, rows)

        return _gathered(rows, before, behind, scale), gradient

    # Op by op, or where shapes are not known, one product with a matrix is faster than many sums.
    known = tf.inside_function() and rows.shape.is_fully_defined()
    if known and rows.shape[1] - before.shape[1] <= _MOST_TAPS:
        return means(rows)
    weights = tf.cast(_weights(before, behind, rows.shape[1]), rows.dtype)
    shares = tf.cast(scale, rows.dtype)[:, :, None] * weights
    spread = tf.cast(gradient_scale, rows.dtype)[:, :, None] * weights
    return context_mean(rows, spread, whole_error=True, shares=shares)


def _weights(before: tf.Tensor, behind: tf.Tensor, tokens: int) -> tf.Tensor:
    """Returns which tokens each centre sees: float32, `(batch, L, C)`."""
    length = before.shape[1]
    window = (tokens - length) // 2
    steps = np.arange(tokens) - np.arange(length)[:, None] - window
    steps = tf.constant(steps, tf.float32)
    seen = (-steps <= before[:, :, None]) & (steps <= behind[:, :, None]) & (steps != 0)
    return tf.cast(seen, tf.float32)


@fused
def _gathered(rows: tf.Tensor, before: tf.Tensor, behind: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    length = before.shape[1]
    wide = tf.cast(rows, tf.float32)
    taps = _taps(before, behind, (rows.shape[1] - length) // 2)
    sums = tf.add_n([seen[:, :, None] * wide[:, k : k + length] for k, seen in taps])
    return tf.cast(scale[:, :, None] * sums, rows.dtype)


@fused
def _spread(
    errors: tf.Tensor, before: tf.Tensor, behind: tf.Tensor, scale: tf.Tensor, like: tf.Tensor
) -> tf.Tensor:
    """Returns for each token the sum of the errors of the centres that see it."""
    tokens, length = like.shape[1], before.shape[1]
    halo = tokens - length
    pad = [[0, 0], [halo, halo]]
    wide = tf.pad(scale[:, :, None] * tf.cast(errors, tf.float32), [*pad, [0, 0]])
    taps = _taps(tf.pad(before, pad), tf.pad(behind, pad), halo // 2)
    starts = [(halo - place, seen) for place, seen in taps]
    brought = [seen[:, s : s + tokens, None] * wide[:, s : s + tokens] for s, seen in starts]
    return tf.cast(tf.add_n(brought), like.dtype)


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
