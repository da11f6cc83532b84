"""gensim's vectors of words and their character n-grams: made, grown and put together."""

from typing import Any

import numpy as np
from gensim.models.fasttext import FastTextKeyedVectors
from gensim.models.keyedvectors import prep_vectors
from numpy.typing import NDArray

from kerasw2v.ops.character_ngrams import character_ngrams

_WORDS_AT_ONCE = 2**10  # their n-grams' vectors fit into a cache


def new_vectors(vector_size: int, min_n: int, max_n: int, bucket: int) -> FastTextKeyedVectors:
    """Returns vectors of no words, with an array for each of gensim's locks."""
    vectors = FastTextKeyedVectors(vector_size, min_n, max_n, bucket)
    vectors.vectors_ngrams = np.zeros((0, vector_size), np.float32)
    for name in ("vectors_lockf", "vectors_vocab_lockf", "vectors_ngrams_lockf"):
        setattr(vectors, name, np.ones(1, np.float32))
    return vectors


def clear_vectors(vectors: FastTextKeyedVectors) -> None:
    """Forgets all vectors, not the words."""
    empty = np.zeros((0, vectors.vector_size), np.float32)
    vectors.vectors, vectors.vectors_vocab, vectors.vectors_ngrams = empty, empty, empty


def resize_vectors(vectors: FastTextKeyedVectors, seed: Any) -> None:
    """Makes vectors for the words and n-grams that have none, as gensim's method of this name."""
    size = vectors.vector_size
    vectors.vectors_vocab = prep_vectors((len(vectors), size), vectors.vectors_vocab, seed)
    seed = None if seed is None else seed + 1
    vectors.vectors_ngrams = prep_vectors((vectors.bucket, size), vectors.vectors_ngrams, seed)
    vectors.allocate_vecattrs()
    find_ngrams(vectors)
    compose_vectors(vectors)


def find_ngrams(vectors: FastTextKeyedVectors) -> None:
    """Sets `buckets_word`: the buckets of each word's character n-grams."""
    if _is_overridden(vectors, "recalc_char_ngram_buckets"):
        vectors.recalc_char_ngram_buckets()
        return
    if not vectors.bucket or not len(vectors):
        vectors.buckets_word = [np.zeros(0, np.uint32)] * len(vectors)
        return
    words = vectors.index_to_key
    ids, splits = character_ngrams(words, vectors.min_n, vectors.max_n, vectors.bucket)
    vectors.buckets_word = np.split(ids.astype(np.uint32), splits[1:-1])


def compose_vectors(vectors: FastTextKeyedVectors) -> None:
    """Sets `vectors`: the mean of each word's own vector and those of its n-grams."""
    vectors.norms = None
    if _is_overridden(vectors, "adjust_vectors"):
        vectors.adjust_vectors()
        return
    if not vectors.bucket:
        vectors.vectors = vectors.vectors_vocab  # as in gensim
        return
    if vectors.vectors.shape != vectors.vectors_vocab.shape or not vectors.vectors.flags.writeable:
        vectors.vectors = np.empty_like(vectors.vectors_vocab, subok=False)
    for start in range(0, len(vectors), _WORDS_AT_ONCE):
        part = slice(start, start + _WORDS_AT_ONCE)
        vectors.vectors[part] = _composed(vectors, part)


def _is_overridden(vectors: FastTextKeyedVectors, name: str) -> bool:
    """Whether a subclass, or the object, has a method of its own: other n-grams or another mean."""
    method = getattr(vectors, name)
    return getattr(method, "__func__", method) is not getattr(FastTextKeyedVectors, name)


def _composed(vectors: FastTextKeyedVectors, part: slice) -> NDArray[np.float32]:
    ngrams = vectors.buckets_word[part]
    lengths = np.array([len(each) for each in ngrams])
    sums = np.array(vectors.vectors_vocab[part], np.float32)
    ids = np.concatenate(ngrams)
    if len(ids):
        begins = (np.cumsum(lengths) - lengths)[lengths > 0]
        sums[lengths > 0] += np.add.reduceat(vectors.vectors_ngrams[ids], begins, axis=0)
    sums /= 1 + lengths[:, None].astype(np.float32)
    return sums
