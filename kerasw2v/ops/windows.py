"""Blocks of token ids, and the windows inside them.

A block is one row of `window + length + window` token ids: `length` centres between two halos.
A token that starts a sentence is stored as `~id`, every other one as `id`, so a block carries its
sentence boundaries without spending a slot on them. Padding is `~0`, a sentence of one word: it
has no neighbours, so it is never part of a pair.
"""

from functools import partial

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


def band(length: int, window: int) -> np.ndarray:
    """Returns which slots of a block each centre reaches, for each reach.

    Returns:
        float32 of shape `(window + 1, length, length + 2 * window)`: entry `[r, i, j]` is 1 where
        slot `j` is at most `r` places from centre `i` (slot `i + window`) and is not the centre.
    """
    offset = np.arange(length + 2 * window)[None, :] - np.arange(length)[:, None] - window
    distance = np.abs(offset)
    reach = np.arange(window + 1)[:, None, None]
    return ((distance > 0) & (distance <= reach)).astype(np.float32)


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
    arguments = (sentences,) if reach is None else (sentences, reach)
    weights: tf.Tensor = fused(partial(_window_weights, window))(*arguments)
    return weights


def _window_weights(window: int, sentences: tf.Tensor, reach: tf.Tensor | None = None) -> tf.Tensor:
    width = int(sentences.shape[-1])
    centres = sentences[:, window : width - window]
    table = band(width - 2 * window, window)
    if reach is None:
        inside = tf.constant(table[window])  # (length, width)
    else:
        length = width - 2 * window
        rows = reach * length + tf.range(length)  # (batch, length)
        inside = tf.gather(tf.constant(table.reshape(-1, width)), rows)
    same_sentence = centres[:, :, None] == sentences[:, None, :]
    return tf.where(same_sentence, inside, 0.0)
