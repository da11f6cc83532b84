"""Vocabularies as gensim makes them: trimming, growing, downsampling.

The result is stored in a gensim `KeyedVectors`: its words, their order, and for each word the
vecattrs `count`, `sample_int` (the probability of its tokens to be kept, times 2^32 - 1), `code`
and `point`.
"""

from collections.abc import Mapping
from math import sqrt
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from gensim import utils
from numpy.typing import NDArray

from kerasw2v.data.block_dataset import keep_probabilities
from kerasw2v.ops import huffman
from kerasw2v.ops.huffman import Path
from kerasw2v.word2vec.sentences import TrimRule

NULL_WORD = "\0"
_SAMPLE_DOMAIN = 2**32 - 1


class Selection(NamedTuple):
    """The words of a vocabulary, in the order of counting, and how they are downsampled."""

    words: list[Any]
    counts: NDArray[np.int64]
    keep: NDArray[np.float64]  # probability with which downsampling keeps a token of each
    drop_unique: int  # number of words left out

    def report(self) -> dict[str, int]:
        """Returns gensim's figures about a vocabulary."""
        return {
            "drop_unique": self.drop_unique,
            "retain_total": int(self.counts.sum()),
            "downsample_unique": int(np.count_nonzero(self.keep < 1)),
            "downsample_total": int(self.keep @ self.counts),
            "num_retained_words": len(self.words),
        }


def select(
    counts: Mapping[Any, int], min_count: int, trim_rule: TrimRule | None, sample: float
) -> Selection:
    """Chooses the words that occur often enough, and how much to downsample each.

    `sample` is, below 1, the relative frequency, otherwise the count, above which words are
    downsampled; 0 for none.
    """
    words = [
        word
        for word, count in counts.items()
        if utils.keep_vocab_item(word, count, min_count, trim_rule=trim_rule)
    ]
    selected = np.fromiter((counts[word] for word in words), np.int64, len(words))
    # From 1 on, `sample` is the largest count of which all tokens are kept.
    threshold = sample * int(selected.sum()) if sample < 1 else int(sample * (3 + sqrt(5)) / 2)
    keep = keep_probabilities(selected, threshold)
    return Selection(words, selected, keep, len(counts) - len(words))


def whole_counts(frequencies: Mapping[Any, Any]) -> dict[Any, int]:
    """Returns the count of each word as Python's numbers; 2.0 is 2.

    Raises:
        TypeError: if a count is no number.
        ValueError: if it is negative, or no whole number.
    """
    counts = {}
    for word, count in frequencies.items():
        if isinstance(count, bool) or not isinstance(count, Real):
            raise TypeError(
                f"`word_freq` must hold numbers. Received: {count!r} for the word {word!r}."
            )
        if not (float(count) >= 0 and float(count).is_integer()):
            raise ValueError(
                "`word_freq` must hold whole numbers that are not negative: how often each word "
                f"occurs. Received: {count!r} for the word {word!r}."
            )
        counts[word] = int(count)  # type: ignore[call-overload]
    return counts


def start_words(vectors: Any, selection: Selection) -> None:
    """Replaces the words of a `KeyedVectors` by the selected ones."""
    _set_words(vectors, list(selection.words))
    vectors.expandos["count"][:] = selection.counts
    _set_sampling(vectors, selection)


def grow_words(vectors: Any, selection: Selection, counts: Mapping[Any, int]) -> list[Any]:
    """Appends the selected words that are new to a `KeyedVectors`, and adds all counts.

    Returns the new words.
    """
    new = [word for word in selection.words if word not in vectors.key_to_index]
    words = vectors.index_to_key + new
    _set_words(vectors, words)
    vectors.expandos["count"] += np.fromiter(
        (counts.get(word, 0) for word in words), np.int64, len(words)
    )
    _set_sampling(vectors, selection)
    return new


def _set_words(vectors: Any, words: list[Any]) -> None:
    vectors.index_to_key = words
    vectors.key_to_index = {word: i for i, word in enumerate(words)}
    vectors.allocate_vecattrs()
    vectors.allocate_vecattrs(["count", "sample_int"], [int, np.uint32])


def _set_sampling(vectors: Any, selection: Selection) -> None:
    indices = [vectors.key_to_index[word] for word in selection.words]
    vectors.expandos["sample_int"][indices] = (selection.keep * _SAMPLE_DOMAIN).astype(np.uint32)


def keep_of(vectors: Any) -> NDArray[np.float32]:
    """Returns the probability with which an epoch keeps each word's tokens."""
    if "sample_int" not in vectors.expandos:
        return np.ones(len(vectors), np.float32)
    return np.asarray(vectors.expandos["sample_int"] / _SAMPLE_DOMAIN, np.float32)


def counts_of(vectors: Any) -> NDArray[np.int64]:
    """Returns the counts of the words; equal ones where none are known."""
    if "count" not in vectors.expandos:
        return np.ones(len(vectors), np.int64)
    return np.maximum(np.asarray(vectors.expandos["count"], np.int64), 1)


def words_by_frequency(vectors: Any) -> list[Any]:
    """Returns the words in the order that output layers have: most frequent first."""
    return [vectors.index_to_key[i] for i in np.argsort(-counts_of(vectors), kind="stable")]


def add_null_word(vectors: Any) -> None:
    """Appends a NUL character of count 1, unless there is one."""
    if NULL_WORD in vectors.key_to_index:
        return
    _set_words(vectors, [*vectors.index_to_key, NULL_WORD])
    vectors.expandos["count"][-1] = 1


def set_paths(vectors: Any) -> None:
    """Sets each word's `code` and `point`: its path from the root of the counts' Huffman tree."""
    size = len(vectors)
    vectors.expandos["code"], vectors.expandos["point"] = np.empty((2, size), object)
    if not size:
        return
    counts = counts_of(vectors)
    order = np.argsort(-counts, kind="stable")
    tree = huffman.huffman_tree(counts[order])
    for node, word in enumerate(order):
        points, codes = huffman.huffman_path(*tree, node)
        vectors.expandos["code"][word] = codes.astype(np.uint8)
        vectors.expandos["point"][word] = points.astype(np.uint32)


def paths_of(vectors: Any) -> list[Path]:
    """Returns each word's path in the Huffman tree."""
    return list(zip(vectors.expandos["point"], vectors.expandos["code"], strict=True))
