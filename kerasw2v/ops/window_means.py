"""Sums over the windows of a batch: CBOW's hidden vectors, and the masses of their context rows.

Windows are described in one of two ways:

- *Extents*, in a block: how many tokens a centre sees before and behind it, `(batch, L)` each. Of
  a block of `L` centres and a halo of `window` tokens on either side, centre `l` is token
  `l + window`, and `C = L + 2 * window`.
- *Weights*, for windows of any form: `(batch, L, C)`, 1 where a token is in the window of a centre.

`sum_over_extents` and `sum_over_weights` return the size n of each window, powers of it, and the
masses; `extent_means` and `weight_means` return the hidden vectors.
"""

from collections.abc import Callable

import tensorflow as tf

from kerasw2v.ops.fused import fused
from kerasw2v.ops.windows import full_reach

# Largest window, both sides together, that is summed token by token: compiling that takes time for
# each token, while a product with a matrix of weights is mostly zeros.
MAX_TAPS = 48


def window_extents(
    sentences: tf.Tensor, reach: tf.Tensor | None, window: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns how many tokens each centre sees before and behind it: float32, `(batch, L)`.

    `sentences` and `reach` are those of `ops.windows.window_weights`.
    """
    reach = full_reach(sentences, window) if reach is None else reach
    if 2 * window > MAX_TAPS:
        return _wide_extents(sentences, reach, window)
    before, behind = _extents(sentences, reach)
    return before, behind


def _wide_extents(
    sentences: tf.Tensor, reach: tf.Tensor, window: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what `window_extents` does, from where the sentence of each centre starts and ends.

    The numbers of sentences rise along a block, so both places are found by bisection.
    """
    length = sentences.shape[-1] - 2 * window
    centres, places = sentences[:, window : window + length], tf.range(window, window + length)
    before = places - tf.searchsorted(sentences, centres, side="left")
    behind = tf.searchsorted(sentences, centres, side="right") - 1 - places
    before, behind = (tf.cast(tf.minimum(reach, each), tf.float32) for each in (before, behind))
    return before, behind


@fused
def _extents(sentences: tf.Tensor, reach: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    length, width = reach.shape[-1], sentences.shape[-1]
    window = (width - length) // 2
    centres = sentences[:, window : window + length]

    def extent(starts: range) -> tf.Tensor:
        same = [tf.cast(sentences[:, k : k + length] == centres, tf.int32) for k in starts]
        return tf.cast(tf.minimum(reach, tf.add_n(same)), tf.float32)

    return extent(range(window)), extent(range(window + 1, 2 * window + 1))


def sum_over_extents(
    before: tf.Tensor, behind: tf.Tensor, terms: tf.Tensor, powers: tf.Tensor, like: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns `(n, n ** p, n ** q, mass)` of windows in blocks.

    Args:
        before: from `window_extents`.
        behind: from `window_extents`.
        terms: float32, `(batch, L)`, what each centre adds to the mass of its window.
        powers: float32, `(3,)`: `p`, `q` and `r`, each of them -1, 0 or 1; `n ** -1` of an empty
            window is 0.
        like: `(batch, C)`, the shape of `mass`: for each token the sum of `terms * n ** r` over the
            windows that it is in.
    """
    if like.shape[-1] - before.shape[-1] > MAX_TAPS:
        weights = _weights_of_extents(before, behind, like.shape[-1])
        sums = sum_over_weights(weights, terms, powers)
    else:
        sums = _sum_over_taps(before, behind, terms, powers, like)
    sizes, scale, gradient_scale, mass = sums
    return sizes, scale, gradient_scale, mass


@fused
def _sum_over_taps(
    before: tf.Tensor, behind: tf.Tensor, terms: tf.Tensor, powers: tf.Tensor, like: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    window = (like.shape[-1] - before.shape[-1]) // 2
    sizes = before + behind
    scale, gradient_scale, mass_scale = _powers_of(sizes, powers)
    terms *= mass_scale
    masses = [
        tf.pad(is_seen * terms, [[0, 0], [start, 2 * window - start]])
        for start, is_seen in _taps(before, behind, window)
    ]
    return sizes, scale, gradient_scale, tf.add_n(masses)


@fused
def sum_over_weights(
    weights: tf.Tensor, terms: tf.Tensor, powers: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns what `sum_over_extents` returns, for weights: `(batch, L, C)`, `(batch, L)`."""
    sizes = tf.reduce_sum(weights, axis=-1)
    scale, gradient_scale, mass_scale = _powers_of(sizes, powers)
    masses = tf.reduce_sum(weights * (terms * mass_scale)[:, :, None], axis=1)
    return sizes, scale, gradient_scale, masses


def _powers_of(sizes: tf.Tensor, powers: tf.Tensor) -> list[tf.Tensor]:
    inverse = tf.math.reciprocal_no_nan(sizes)
    return [
        tf.where(power < 0, inverse, tf.where(power > 0, sizes, tf.ones_like(sizes)))
        for power in tf.unstack(powers, num=3)
    ]


def extent_means(
    rows: tf.Tensor,
    before: tf.Tensor,
    behind: tf.Tensor,
    scale: tf.Tensor,
    gradient_scale: tf.Tensor,
) -> tf.Tensor:
    """Adds up context rows `(batch, C, d)` by the windows of a block, and scales the sums.

    `h_l = s_l sum_j x_j` over the window of centre `l`, `(batch, L, d)`, with `scale` s. Each of
    its rows gets `g_l` times the error of `h_l`, with `gradient_scale` g, whatever `s_l` is.
    """

    @tf.custom_gradient
    def means(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _sum_errors(upstream, before, behind, gradient_scale, rows)

        return _sum_rows(rows, before, behind, scale), gradient

    # Token by token is faster as one compiled kernel only.
    is_compiled = tf.inside_function() and rows.shape.is_fully_defined()
    if is_compiled and rows.shape[1] - before.shape[1] <= MAX_TAPS:
        return means(rows)
    weights = _weights_of_extents(before, behind, rows.shape[1])
    return weight_means(rows, weights, scale, gradient_scale)


def weight_means(
    rows: tf.Tensor, weights: tf.Tensor, scale: tf.Tensor, gradient_scale: tf.Tensor
) -> tf.Tensor:
    """Returns what `extent_means` returns, for weights: float32, `(batch, L, C)`."""
    weights = tf.cast(weights, rows.dtype)
    scale, gradient_scale = (
        tf.cast(each, rows.dtype)[:, :, None] for each in (scale, gradient_scale)
    )

    @tf.custom_gradient
    def means(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.matmul(weights, gradient_scale * upstream, transpose_a=True)

        return scale * tf.matmul(weights, rows), gradient

    return means(rows)


def _weights_of_extents(before: tf.Tensor, behind: tf.Tensor, tokens: int) -> tf.Tensor:
    """Returns which tokens each centre sees: float32, `(batch, L, C)`."""
    length = before.shape[1]
    window = (tokens - length) // 2
    offsets = tf.range(tokens)[None, :] - tf.range(length)[:, None] - window
    offsets = tf.cast(offsets, tf.float32)
    is_seen = (-offsets <= before[:, :, None]) & (offsets <= behind[:, :, None]) & (offsets != 0)
    return tf.cast(is_seen, tf.float32)


def _taps(before: tf.Tensor, behind: tf.Tensor, window: int) -> list[tuple[int, tf.Tensor]]:
    """Returns for each position in a window but its middle which centres see a token there."""
    taps = [(window - k, tf.cast(before >= k, tf.float32)) for k in range(window, 0, -1)]
    return taps + [(window + k, tf.cast(behind >= k, tf.float32)) for k in range(1, window + 1)]


@fused
def _sum_rows(rows: tf.Tensor, before: tf.Tensor, behind: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Returns for each centre the scaled sum of the rows that it sees."""
    length = before.shape[1]
    wide = tf.cast(rows, tf.float32)
    taps = _taps(before, behind, (rows.shape[1] - length) // 2)
    sums = tf.add_n([is_seen[:, :, None] * wide[:, k : k + length] for k, is_seen in taps])
    return tf.cast(scale[:, :, None] * sums, rows.dtype)


@fused
def _sum_errors(
    errors: tf.Tensor, before: tf.Tensor, behind: tf.Tensor, scale: tf.Tensor, like: tf.Tensor
) -> tf.Tensor:
    """Returns for each token the sum of the scaled errors of the centres that see it."""
    tokens, length = like.shape[1], before.shape[1]
    halo = tokens - length
    pad = [[0, 0], [halo, halo]]
    wide = tf.pad(scale[:, :, None] * tf.cast(errors, tf.float32), [*pad, [0, 0]])
    taps = _taps(tf.pad(before, pad), tf.pad(behind, pad), halo // 2)
    starts = [(halo - position, is_seen) for position, is_seen in taps]
    sums = [is_seen[:, k : k + tokens, None] * wide[:, k : k + tokens] for k, is_seen in starts]
    return tf.cast(tf.add_n(sums), like.dtype)
