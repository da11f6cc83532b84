"""Which words a picture of vectors shows, and where: principal component analysis."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from gensim.parsing.preprocessing import STOPWORDS
from numpy.typing import NDArray

from kerasw2v.utils.checks import check_int

# A word above this share of a corpus is grammar in any language; where `--sample` begins.
_FILLER_SHARE = 1e-3


@dataclass(frozen=True)
class WordMap:
    """Places of words in the plane that shows most of how their vectors differ.

    Attributes:
        words: the words, in the order that they were asked for.
        places: `(n, 3)` coordinates; the third axis is for colours.
        shares: share of the variance that each of the three axes shows.
    """

    words: list[Any]
    places: NDArray[np.float64]
    shares: tuple[float, float, float]


def content_words(vectors: Any, number: int, among: int | None = None) -> list[Any]:
    """Returns frequent words that mean something, most frequent first.

    Stop words of English, words that are more than a thousandth of the corpus, single Latin letters
    and strings without a letter are fillers: they come in only where there are not enough others,
    at the end.

    Args:
        vectors: a `gensim.models.KeyedVectors`, most frequent word first.
        number: how many words at most.
        among: only so many of the most frequent words are looked at; all when None.

    Raises:
        TypeError, ValueError: if `number` is not a positive integer.

    Example:

    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["the", ",", "cat", "milk"], np.eye(4, 2))
    >>> content_words(vectors, 3)
    ['cat', 'milk', 'the']
    """
    check_int("number", number, minimum=1)
    words = vectors.index_to_key[:among]
    counts = vectors.expandos.get("count")
    limit = np.inf if counts is None else _limit(counts)
    fillers = [
        str(word).lower() in STOPWORDS
        or not re.search(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]", str(word))
        or (counts is not None and counts[i] > limit)
        for i, word in enumerate(words)
    ]
    order = sorted(range(len(words)), key=fillers.__getitem__)  # stable: by frequency within both
    return [words[i] for i in order[:number]]


def _limit(counts: NDArray[np.int64]) -> float:
    # In a small vocabulary most words are above any fixed share; at most a tenth are fillers.
    return max(_FILLER_SHARE * float(counts.sum()), float(counts[len(counts) // 10]))


def word_map(vectors: Any, words: list[Any], fit: int | None = None) -> WordMap:
    """Places words by the principal components of their vectors, scaled to length 1.

    The axes are the right singular vectors of the centred matrix, largest singular value first;
    their signs are such that the word farthest out lies on the positive side.

    Args:
        vectors: a `gensim.models.KeyedVectors`.
        words: which words to place; at least one.
        fit: the axes are those of the first so many words; of all when None.

    Raises:
        KeyError: if a word is unknown.

    Example:

    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["left", "right"], np.array([[-1, 0], [1, 0]]))
    >>> word_map(vectors, ["left", "right"]).shares
    (1.0, 0.0, 0.0)
    """
    rows = np.array([vectors[word] for word in words], np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    centre = rows[:fit].mean(axis=0)
    _, spread, axes = np.linalg.svd(rows[:fit] - centre, full_matrices=False)
    places = np.zeros((len(words), 3))
    kept = axes[:3]
    places[:, : len(kept)] = (rows - centre) @ kept.T
    farthest = np.abs(places[:fit]).argmax(axis=0)
    places *= np.where(places[farthest, range(3)] < 0, -1, 1)
    shares = np.zeros(3)
    shares[: len(kept)] = spread[:3] ** 2 / max((spread**2).sum(), 1e-12)
    first, second, third = shares.round(12).tolist()
    return WordMap(list(words), places, (first, second, third))
