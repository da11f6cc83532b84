"""What a trained `Word2Vec` is asked: scores of sentences, words that fit a context."""

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.word2vec.sentences import Sentences
from kerasw2v.word2vec.trainer import Trainer

logger = logging.getLogger("kerasw2v.word2vec")


def score_sentences(
    trainer: Trainer, sentences: Sentences, total_sentences: int, chunksize: int
) -> NDArray[np.float32]:
    """Returns the log-probability of each sentence's words given their contexts.

    Skip-gram sums over the pairs of whole windows, CBOW over the words; unknown words are dropped.

    Args:
        trainer: with the weights to score by.
        sentences: token lists.
        total_sentences: at most so many are scored.
        chunksize: sentences at once.
    """
    scores = []
    rest = iter(sentences)
    for chunk in _chunks(islice(rest, total_sentences), chunksize):
        scores.append(_score(trainer, [trainer.vocabulary.encode(words) for words in chunk]))
    if next(rest, None) is not None:
        logger.warning("Only the first %i sentences were scored.", total_sentences)
    return np.concatenate([np.zeros(0, np.float32), *scores])


def _chunks(sentences: Iterator[list[str]], size: int) -> Iterator[list[list[str]]]:
    while chunk := list(islice(sentences, size)):
        yield chunk


def _score(trainer: Trainer, sentences: list[NDArray[np.int32]]) -> NDArray[np.float32]:
    window = trainer.settings.window
    targets = np.concatenate(sentences)
    owners = np.repeat(np.arange(len(sentences)), [len(ids) for ids in sentences])
    contexts = np.concatenate([_contexts(ids, window) for ids in sentences])
    inputs: Any = contexts
    if trainer.settings.sg:
        places = np.nonzero(contexts >= 0)
        inputs, targets, owners = contexts[places], targets[places[0]], owners[places[0]]
    if not len(targets):
        return np.zeros(len(sentences), np.float32)
    losses = trainer.part(HierarchicalSoftmax)(trainer.model(inputs), targets)
    losses = keras.ops.convert_to_numpy(losses)
    return -np.bincount(owners, losses, len(sentences)).astype(np.float32)


def _contexts(ids: NDArray[np.int32], window: int) -> NDArray[np.int32]:
    """Returns the words around each word of a sentence, -1 beyond its ends: `(n, 2 * window)`."""
    if not len(ids):
        return np.zeros((0, 2 * window), np.int32)
    padded = np.pad(ids, window, constant_values=-1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1)
    return np.delete(frames, window, axis=1)


def predict(scores: NDArray[np.float32], topn: int) -> list[tuple[int, float]]:
    """Returns the places of the largest scores, best first, with their share in a softmax."""
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    best = np.argsort(-shares, kind="stable")[:topn]
    return [(int(place), float(shares[place])) for place in best]
