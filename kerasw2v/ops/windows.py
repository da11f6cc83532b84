"""Blocks of token ids, and the windows inside them.

A block is one row of `window + length + window` token ids: `length` centres between two halos.
A token that starts a sentence is stored as `~id`, every other one as `id`, so a block carries its
sentence boundaries without spending a slot on them. Padding is `~0`, a sentence of one word: it
has no neighbours, so it is never part of a pair.
"""

import numpy as np
import tensorflow as tf

from kerasw2v.ops.fused import fused

PADDING = ~0


def default_block_length(window: int) -> int:
    """Returns how many centres a block holds when nobody says.

    Work grows with `length + 2 * window` for each centre, while short blocks make small matrix
    products. Of the lengths tried on two cores (8 to 64, window 5), 16 gave the fastest step.
    """
    return max(16, 8 * -(-2 * window // 8))


def decode_blocks(blocks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits blocks into token ids and sentence numbers.

    Args:
        blocks: int32, `(..., width)`, sentence starts stored as `~id`.

    Returns:
        `(ids, sentences)`, both int32 of the same shape; tokens of one sentence have one number.
    """
    starts = blocks < 0
    ids = tf.where(starts, tf.bitwise.invert(blocks), blocks)
    sentences = tf.cumsum(tf.cast(starts, tf.int32), axis=-1)
    return ids, sentences


def window_weights(sentences: tf.Tensor, reach: tf.Tensor | None, window: int) -> tf.Tensor:
    """Marks the (centre, context) pairs of each block.

    Args:
        sentences: int32, `(batch, width)`, from `decode_blocks`.
        reach: int32, `(batch, length)`, the window of each centre from 0 to `window`; None for
            full windows.
        window: the largest distance of a pair; `width = length + 2 * window`.

    Returns:
        float32, `(batch, length, width)`: 1 for a pair, else 0.
    """
    if reach is None:
        reach = tf.fill((1, sentences.shape[-1] - 2 * window), window)
    weights: tf.Tensor = _mark_pairs(sentences, reach)
    return weights


@fused
def _mark_pairs(sentences: tf.Tensor, reach: tf.Tensor) -> tf.Tensor:
    length, width = reach.shape[-1], sentences.shape[-1]
    window = (width - length) // 2
    distance = np.abs(np.arange(width)[None, :] - np.arange(length)[:, None] - window)
    centres = sentences[:, window : window + length]
    same_sentence = centres[:, :, None] == sentences[:, None, :]
    in_reach = tf.constant(distance, tf.int32) <= reach[:, :, None]
    return tf.cast(same_sentence & in_reach & tf.constant(distance > 0), tf.float32)
