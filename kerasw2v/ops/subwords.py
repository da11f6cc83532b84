"""Words as lists of subwords: finding the subwords of a batch, and the mean of their rows."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length
from kerasw2v.ops.rows import sum_by_owner


class Subwords(NamedTuple):
    """The subwords of n words in one list, m long.

    Attributes:
        ids: int32, `(m,)`, padded with zeros to a bucket (see `ops.fused.bucketed_length`).
        owners: int32, `(m,)`, ascending: the index of the word that has it; n for padding.
        lengths: int32, `(n,)`, how many each word has.
    """

    ids: tf.Tensor
    owners: tf.Tensor
    lengths: tf.Tensor


def subwords_of(
    words: tf.Tensor, number: tf.Tensor, ids: tf.Tensor, splits: tf.Tensor
) -> Subwords:
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
    found = tf.pad(tf.gather(ids, places), [[0, length - size]])
    return Subwords(found, owners, limits - starts)


def subword_means(
    words: tf.Tensor, rows: tf.Tensor, subwords: Subwords, is_exact: bool
) -> tf.Tensor:
    """Returns the mean of each word's own row and those of its subwords: `(n, d)`.

    Each of these rows gets the error of the mean: the whole of it, or its share if `is_exact`.

    Args:
        words: own rows of the words, `(n, d)`.
        rows: the rows of `subwords.ids`, `(m, d)`.
        subwords: the subwords of the words.
        is_exact: whether the gradient is that of the mean.
    """
    share = tf.cast(word_shares(subwords), words.dtype)[:, None]

    @tf.custom_gradient
    def means(
        words: tf.Tensor, rows: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_words = share * upstream if is_exact else upstream
            return of_words, of_owners(of_words, subwords)

        sums = sum_by_owner(rows, subwords.owners, tf.shape(words)[0] + 1)[:-1]
        return share * (words + sums), gradient

    return means(words, rows)


def word_shares(subwords: Subwords) -> tf.Tensor:
    """Returns what each row counts in the mean of its word: float32, `(n,)`."""
    return 1.0 / (1.0 + tf.cast(subwords.lengths, tf.float32))


def of_owners(values: tf.Tensor, subwords: Subwords) -> tf.Tensor:
    """Returns the value of the word that has a subword, 0 for padding: `(n, ...) -> (m, ...)`."""
    padded = tf.pad(values, [[0, 1]] + [[0, 0]] * (len(values.shape) - 1))
    return tf.gather(padded, subwords.owners)
