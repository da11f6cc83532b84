"""Chooses words for a picture of vectors, and their coordinates: principal component analysis."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from gensim.parsing.preprocessing import STOPWORDS
from numpy.typing import NDArray

from kerasw2v.utils.checks import check_int

# In any language a word above this share of a corpus is grammar; the default of `--sample`.
_FILLER_SHARE = 1e-3
_EXAMPLES = 100  # words of which one is shown first
_NEIGHBOURS = 5
_LONG = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class WordMap:
    """Coordinates of words in the plane that shows most of the variance of their vectors.

    Attributes:
        words: the words, in the order of the argument.
        places: coordinates, `(n, 3)`; the third axis is for colours.
        shares: share of the variance along each of the three axes.
    """

    words: list[Any]
    places: NDArray[np.float64]
    shares: tuple[float, float, float]


def content_words(vectors: Any, number: int, among: int | None = None) -> list[Any]:
    """Returns frequent words that carry meaning, most frequent first.

    English stop words, words that are more than a thousandth of the corpus, single Latin letters
    and strings without a letter are fillers: they come last, and only if there are too few others.

    Args:
        vectors: a `gensim.models.KeyedVectors`, most frequent word first.
        number: how many words at most.
        among: number of most frequent words to choose from; all when None.

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
    limit = np.inf
    if counts is not None:
        # In a small vocabulary most words exceed any fixed share; at most a tenth are fillers.
        limit = max(_FILLER_SHARE * float(counts.sum()), float(counts[len(counts) // 10]))
    fillers = [
        str(word).lower() in STOPWORDS
        or not re.search(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]", str(word))
        or (counts is not None and counts[i] > limit)
        for i, word in enumerate(words)
    ]
    order = sorted(range(len(words)), key=fillers.__getitem__)  # stable: by frequency within both
    return [words[i] for i in order[:number]]


def example_word(vectors: Any, among: int = 5_000) -> Any:
    """Returns a frequent word whose neighbours show what the vectors have learned.

    Of the 100 most frequent content words, it is the one with four letters or more whose five
    nearest words are closest, less its mean cosine with all words. If none has so many letters, all
    100 are considered.

    Args:
        vectors: a `gensim.models.KeyedVectors`, most frequent word first.
        among: number of most frequent words to choose from, and to look for neighbours in.

    Raises:
        TypeError, ValueError: if `among` is not a positive integer.

    Cost: `O(100 * among * d)`.

    Example:

    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["moon", "rain", "snow"], np.array([[-1, 0], [0, 1], [0.1, 1]]))
    >>> example_word(vectors)
    'rain'
    """
    check_int("among", among, minimum=1)
    words = content_words(vectors, among, among=among)
    first = [i for i, word in enumerate(words[:_EXAMPLES]) if _LONG.fullmatch(str(word))]
    first = first or list(range(min(_EXAMPLES, len(words))))
    rows = np.array([vectors[word] for word in words], np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosines = rows[first] @ rows.T
    means = cosines.mean(axis=1)
    cosines[range(len(first)), first] = -1  # a word is no neighbour of itself
    nearest = min(_NEIGHBOURS, max(1, len(words) - 1))
    close = np.partition(cosines, -nearest, axis=1)[:, -nearest:].mean(axis=1)
    return words[first[int((close - means).argmax())]]


def word_map(vectors: Any, words: list[Any], fit: int | None = None) -> WordMap:
    """Computes the principal components of words' vectors, which are scaled to length 1 first.

    The axes are the right singular vectors of the centred matrix, largest singular value first.
    Their signs put the word with the largest coordinate on the positive side.

    Args:
        vectors: a `gensim.models.KeyedVectors`.
        words: the words; at least one.
        fit: number of first words that determine the axes; all when None.

    Raises:
        KeyError: if a word is unknown.

    Example:

    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["left", "right"], np.array([[-1, 0], [1, 0]]))
    >>> word_map(vectors, ["left", "right"]).shares
    (1.0, 0.0, 0.0)
    """
    rows = np.array([vectors.get_vector(word) for word in words], np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    centre = rows[:fit].mean(axis=0)
    _, spread, axes = np.linalg.svd(rows[:fit] - centre, full_matrices=False)
    coordinates = np.zeros((len(words), 3))
    axes = axes[:3]
    coordinates[:, : len(axes)] = (rows - centre) @ axes.T
    farthest = np.abs(coordinates[:fit]).argmax(axis=0)
    coordinates *= np.where(coordinates[farthest, range(3)] < 0, -1, 1)
    shares = np.zeros(3)
    shares[: len(axes)] = spread[:3] ** 2 / max((spread**2).sum(), 1e-12)
    first, second, third = shares.round(12).tolist()
    return WordMap(list(words), coordinates, (first, second, third))
