"""Words as lists of subwords: finding the subwords of a batch, and what a row counts in a mean."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length


class Subwords(NamedTuple):
    """The subwords of n words in one list, m long.

    Attributes:
        ids: int32, `(m,)`, padded with one of them to a bucket (see `ops.fused.bucketed_length`).
        owners: int32, `(m,)`, ascending: the index of the word that has it; n for padding.
        lengths: int32, `(n,)`, how many each word has.
    """

    ids: tf.Tensor
    owners: tf.Tensor
    lengths: tf.Tensor


def subwords_of(words: tf.Tensor, number: tf.Tensor, ids: tf.Tensor, splits: tf.Tensor) -> Subwords:
    """Finds the subwords of words.

    Args:
        words: int32, `(n,)`.
        number: the words from this one on are padding, and have none.
        ids: int32, the subwords of all words of the vocabulary; a variable is read at these places
            only.
        splits: int32, `(V + 1,)`: those of word w are `ids[splits[w]:splits[w + 1]]`.
    """
    starts = tf.gather(splits, words)
    is_word = tf.range(tf.size(words)) < number
    limits = tf.where(is_word, tf.gather(splits, words + 1), starts)
    ends, places = tf.raw_ops.RaggedRange(
        starts=starts, limits=limits, deltas=tf.constant(1), Tsplits=tf.int32
    )
    size = tf.size(places)
    length = bucketed_length(size)
    owners = tf.searchsorted(ends[1:], tf.range(length), side="right")
    # An optimizer with moments must not touch a row that no word of the batch has.
    padded = tf.pad(places, [[0, length - size]], constant_values=tf.reduce_max(places))
    return Subwords(tf.gather(ids, padded), owners, limits - starts)


@tf.custom_gradient
def scaled_by_share(
    sums: tf.Tensor, share: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns `share * sums`, `(n,), (n, d) -> (n, d)`; the sums get the whole error of that."""
    return share[:, None] * sums, lambda upstream: (upstream, None)


def word_shares(subwords: Subwords) -> tf.Tensor:
    """Returns what each row counts in the mean of its word: float32, `(n,)`."""
    return 1.0 / (1.0 + tf.cast(subwords.lengths, tf.float32))


def of_owners(values: tf.Tensor, subwords: Subwords) -> tf.Tensor:
    """Returns the value of the word that has a subword, 0 for padding: `(n, ...) -> (m, ...)`."""
    padded = tf.pad(values, [[0, 1]] + [[0, 0]] * (len(values.shape) - 1))
    return tf.gather(padded, subwords.owners)
