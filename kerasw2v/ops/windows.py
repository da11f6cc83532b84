"""Blocks of token ids, and the windows inside them.

A block is one row of `window + length + window` token ids: `length` centres between two halos.
A token that starts a sentence is stored as `~id`, every other one as `id`, so a block carries its
sentence boundaries without spending a slot on them. Padding is `~0`, a sentence of one word: it
has no neighbours, so it is never part of a pair.
"""

import tensorflow as tf

from kerasw2v.ops.fused import fused
from kerasw2v.utils.checks import check_int

PADDING = ~0
_REGISTER = 16  # floats that a CPU multiplies at once
# Widest halo that is not narrowed for short sentences.
_NARROW_HALO = 16


def default_block_length(halo: int) -> int:
    """Returns the default number of centres in a block: 32, doubled for wide halos up to 256.

    Longer blocks share their halos among more centres, but score more words that are not in a
    window; 32 balances the two. Scores, `length * (length + 2 * halo)`, must fit into memory: from
    256 on the rows of a halo cost little beside them.
    """
    length = 32
    while length < min(2 * halo, 256):
        length *= 2
    return length


def sufficient_halo(window: int, longest_sentence: int) -> int:
    """Returns the width of a halo that holds all pairs of sentences of up to so many words.

    A word sees at most the rest of its sentence, however wide the window. Of the widths below a
    wide window only powers of two are used, so that few shapes are compiled.

    Example:

    >>> [sufficient_halo(window, 24) for window in (5, 16, 30, 3000)]
    [5, 16, 30, 32]
    """
    halo = _NARROW_HALO
    while halo < longest_sentence - 1:
        halo *= 2
    return min(window, halo)


def check_halo(halo: int, window: int) -> int:
    """Returns the halo of blocks for a window; raises TypeError or ValueError if it is none."""
    if check_int("halo", halo, minimum=1) > window:
        raise ValueError(f"`halo` must be at most `window`, {window}. Received: halo={halo}.")
    return halo


def decode_blocks(blocks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits blocks into token ids and sentence numbers, both int32 and of the blocks' shape.

    Tokens of one sentence have one number.
    """
    starts = blocks < 0
    ids = tf.where(starts, tf.bitwise.invert(blocks), blocks)
    sentences = tf.cumsum(tf.cast(starts, tf.int32), axis=-1)
    return ids, sentences


def sub_block_length(window: int) -> int:
    """Returns the number of centres in a sub-block of `split_blocks`: 4 or more.

    With its halos a sub-block fills whole registers, which is the fastest size for matrix products:
    6 centres and 16 words for a window of 5.
    """
    return -(-(4 + 2 * window) // _REGISTER) * _REGISTER - 2 * window


def split_blocks(ids: tf.Tensor, weights: tf.Tensor, length: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits blocks into shorter ones with the same pairs, each with halos of its own.

    Args:
        ids: int32, `(batch, width)`: ids, or any other numbers of the tokens.
        weights: float32, `(batch, centres, width)`, from `window_weights`.
        length: centres in a sub-block; the last one of a block is padded with tokens without pairs.

    Returns:
        `(ids, weights)` of `n` sub-blocks: `(n, words)`, and `(n, words, length)`, transposed.
    """
    centres, width = weights.shape[1:]
    pad = [0, -centres % length]
    ids, weights = tf.pad(ids, [[0, 0], pad]), tf.pad(weights, [[0, 0], pad, pad])
    words, starts = width - centres + length, range(0, centres, length)
    sub_ids = tf.concat([ids[:, start : start + words] for start in starts], axis=0)
    return sub_ids, _split_weights(weights, tf.zeros([len(starts), words, length]))


@fused
def _split_weights(weights: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Returns the weights of sub-blocks, with the shape of `like` for each block."""
    number, words, length = like.shape
    starts = range(0, number * length, length)
    sub_weights = [weights[:, start : start + length, start : start + words] for start in starts]
    return tf.concat([tf.transpose(each, [0, 2, 1]) for each in sub_weights], axis=0)


def window_weights(sentences: tf.Tensor, reach: tf.Tensor | None, window: int) -> tf.Tensor:
    """Marks the (centre, context) pairs of blocks by ones: float32, `(batch, length, width)`.

    Args:
        sentences: int32, `(batch, width)`, from `decode_blocks`.
        reach: int32, `(batch, length)`, the window of each centre from 0 to `window`; None for
            full windows.
        window: the largest distance of a pair in the block, that is the halo;
            `width = length + 2 * window`.
    """
    reach = full_reach(sentences, window) if reach is None else reach
    weights: tf.Tensor = _mark_pairs(sentences, reach)
    return weights


def full_reach(sentences: tf.Tensor, window: int) -> tf.Tensor:
    """Returns the reach of full windows, for centres of any block: int32, `(1, length)`.

    `window` may be the halo, beyond which a block has no pairs.
    """
    return tf.fill((1, sentences.shape[-1] - 2 * window), window)


@fused
def _mark_pairs(sentences: tf.Tensor, reach: tf.Tensor) -> tf.Tensor:
    length, width = reach.shape[-1], sentences.shape[-1]
    window = (width - length) // 2
    # Not a constant: of a wide window it would be the largest array in the program.
    distance = tf.abs(tf.range(width)[None, :] - tf.range(length)[:, None] - window)
    centres = sentences[:, window : window + length]
    same_sentence = centres[:, :, None] == sentences[:, None, :]
    in_reach = (distance <= reach[:, :, None]) & (distance > 0)
    return tf.cast(same_sentence & in_reach, tf.float32)
