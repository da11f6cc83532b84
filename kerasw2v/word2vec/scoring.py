"""Queries to a trained `Word2Vec`: scores of sentences, words that fit a context."""

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.ops.contexts import context_ids
from kerasw2v.word2vec.sentences import Sentences
from kerasw2v.word2vec.trainer import Trainer

logger = logging.getLogger("kerasw2v.word2vec")


def score_sentences(
    trainer: Trainer, sentences: Sentences, total_sentences: int, chunksize: int
) -> NDArray[np.float32]:
    """Returns the log-probability of each sentence's words given their contexts.

    Skip-gram sums over the pairs of whole windows, CBOW over the words; unknown words are dropped.
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
    inputs: Any = np.concatenate([context_ids(ids, window) for ids in sentences])
    if trainer.settings.sg:
        words, columns = np.nonzero(inputs >= 0)
        inputs, targets, owners = inputs[words, columns], targets[words], owners[words]
    if not len(targets):
        return np.zeros(len(sentences), np.float32)
    losses = trainer.part(HierarchicalSoftmax)(trainer.model(inputs), targets)
    losses = keras.ops.convert_to_numpy(losses)
    return -np.bincount(owners, losses, len(sentences)).astype(np.float32)


def predict(scores: NDArray[np.float32], topn: int) -> list[tuple[int, float]]:
    """Returns the indices of the largest scores, best first, with their softmax probabilities."""
    probabilities = np.exp(scores - scores.max())
    probabilities /= probabilities.sum()
    best = np.argsort(-probabilities, kind="stable")[:topn]
    return [(int(index), float(probabilities[index])) for index in best]
