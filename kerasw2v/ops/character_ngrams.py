"""Character n-grams of words, hashed into buckets as by fastText and gensim; in NumPy."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# The 32-bit FNV-1a hash; fastText takes a byte as signed before it is XORed.
_OFFSET_BASIS = np.uint32(2166136261)
_PRIME = np.uint32(16777619)
_WORDS_AT_ONCE = 2**16


def character_ngrams(
    words: Sequence[object], min_n: int, max_n: int, bucket: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Returns the buckets of the character n-grams of words.

    A word is put between `<` and `>`. Its n-grams are all runs of `min_n` to `max_n` characters in
    that, but for these marks alone. The bucket of one is the hash of its UTF-8 bytes, modulo
    `bucket`. An n-gram that a word has twice is there twice.

    Args:
        words: strings; other words are taken as `str` shows them.
        min_n: the fewest characters of an n-gram.
        max_n: the most.
        bucket: number of buckets.

    Returns:
        `(ids, splits)`: the buckets of word i are `ids[splits[i]:splits[i + 1]]`, by the place
        where the n-grams start, shorter ones first.

    Raises:
        TypeError: if a word is a tuple, which gensim refuses too.
        ValueError: if a word cannot be written as UTF-8.

    Example:

    >>> ids, splits = character_ngrams(["rose", "a"], min_n=3, max_n=4, bucket=1000)
    >>> splits.tolist()  # <ro <ros ros rose ose ose> se> and <a>
    [0, 7, 8]

    Source: Bojanowski et al., "Enriching word vectors with subword information", 2017.
    """
    parts = list(_parts(words, min_n, max_n, bucket))
    ids = np.concatenate([np.zeros(0, np.int32), *(ids for ids, _ in parts)])
    lengths = np.concatenate([np.zeros(1, np.int64), *(lengths for _, lengths in parts)])
    return ids, np.cumsum(lengths)


def _parts(
    words: Sequence[object], min_n: int, max_n: int, bucket: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Yields the buckets of some words in a row, and how many each of them has."""
    for start in range(0, len(words), _WORDS_AT_ONCE):
        encoded = [_encoded(word) for word in words[start : start + _WORDS_AT_ONCE]]
        yield _buckets(encoded, max(1, min_n), max_n, bucket)


def _encoded(word: object) -> bytes:
    if isinstance(word, tuple):
        raise TypeError(
            f"Words must be strings to have character n-grams. Received: the word {word!r}."
        )
    try:
        return f"<{word}>".encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"Words must be valid Unicode to have character n-grams. Received: the word {word!r}."
        ) from None


def _buckets(
    encoded: list[bytes], min_n: int, max_n: int, bucket: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    data = np.frombuffer(b"".join(encoded), np.uint8)
    signed = data.view(np.int8).astype(np.int32).view(np.uint32)
    # Bytes that begin with 10 continue a character.
    begins = np.append(np.flatnonzero(data & 0xC0 != 0x80), len(data))
    word_ends = np.cumsum([len(each) for each in encoded])
    owner = np.searchsorted(word_ends, begins[:-1], side="right")
    first, behind = np.searchsorted(owner, owner), np.searchsorted(owner, owner, side="right")

    hashes = np.full(len(owner), _OFFSET_BASIS)
    found = np.zeros((len(owner), max(0, max_n - min_n + 1)), np.uint32)
    is_ngram = np.zeros(found.shape, bool)
    starts = np.arange(len(owner))
    for n in range(1, max_n + 1):
        starts = starts[starts + n <= behind[starts]]
        last = starts + n - 1
        _add_characters(hashes, starts, begins[last], begins[last + 1], signed)
        if n >= min_n:
            found[starts, n - min_n] = hashes[starts] % np.uint32(bucket)
            is_mark = (n == 1) & ((starts == first[starts]) | (starts + 1 == behind[starts]))
            is_ngram[starts, n - min_n] = ~is_mark
    lengths = np.bincount(owner, is_ngram.sum(axis=1), len(encoded)).astype(np.int64)
    return found[is_ngram].astype(np.int32), lengths


def _add_characters(
    hashes: NDArray[np.uint32],
    which: NDArray[np.int64],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    signed: NDArray[np.uint32],
) -> None:
    """Adds a character of up to four bytes to each of `hashes[which]`, in place."""
    while len(which):
        hashes[which] = (hashes[which] ^ signed[begins]) * _PRIME
        begins = begins + 1
        has_more = begins < ends
        which, begins, ends = which[has_more], begins[has_more], ends[has_more]
