"""The table of all output layers: a new layer is one row, and every test here runs it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from kerasw2v import layers


class Row(NamedTuple):
    """How to make an output layer, and what may be expected of it.

    Attributes:
        create: makes the layer from counts, and from arguments of `keras.layers.Layer`.
        sampled: whether its loss is a draw, so that two forms agree on average only.
        growth: how the work of a step grows with the vocabulary, `V ** growth`: 0 for not at all.
        batch_size: targets in a step from which on it grows so.
    """

    create: Callable[..., Any]
    sampled: bool = False
    growth: float = 0.0
    batch_size: int = 32


def negative_sampling(sharing: str, **kwargs: Any) -> Row:
    return sampled(layers.NegativeSampling, sharing=sharing, group_size=8, **kwargs)


def sampled(layer: Callable[..., Any], **kwargs: Any) -> Row:
    return Row(partial(layer, seed=1, **kwargs), sampled=True)


def size_of(counts: Any) -> int:
    return counts if isinstance(counts, int) else len(counts)


def given_classes(counts: Any, **kwargs: Any) -> Any:
    return layers.ClassSoftmax(counts, classes=np.arange(size_of(counts)) * 7 % 3, **kwargs)


def embedding_prediction(**kwargs: Any) -> Row:
    """Targets at right angles where 16 dimensions have the room; a projection: no test has 16."""

    def create(counts: Any, **others: Any) -> Any:
        targets = np.random.default_rng(0).normal(size=(size_of(counts), 16))
        if size_of(counts) <= 16:
            targets = np.linalg.qr(targets.T)[0].T
        return layers.EmbeddingPrediction(counts, targets, seed=1, **kwargs, **others)

    return Row(create)


def sum_of_losses(counts: Any, **kwargs: Any) -> Any:
    parts = [layers.HierarchicalSoftmax(counts), layers.FullSoftmax(counts)]
    return layers.SumOfLosses(parts, **kwargs)


OUTPUT_LAYERS = {
    "FullSoftmax": Row(layers.FullSoftmax, growth=1.0),
    "ImportanceSampling": sampled(layers.ImportanceSampling, num_sampled=64),
    "ImportanceSampling, unique": sampled(
        layers.ImportanceSampling, num_sampled=10, unique=True, use_bias=True
    ),
    "SampledSoftmax": sampled(layers.SampledSoftmax, num_sampled=8),
    "SampledSoftmax, with replacement": sampled(
        layers.SampledSoftmax, num_sampled=32, unique=False, use_bias=True
    ),
    "SampledSoftmax, all words": Row(layers.SampledSoftmax),
    "NCE": sampled(layers.NCE, num_sampled=32),
    "NCE, unique": sampled(layers.NCE, num_sampled=8, unique=True, noise="log_uniform"),
    "NegativeSampling, example": negative_sampling("example"),
    "NegativeSampling, group": negative_sampling("group", shared_size=8),
    "NegativeSampling, batch": negative_sampling("batch", shared_size=32),
    "ClassSoftmax": Row(layers.ClassSoftmax, growth=0.4),  # classes of rare words are larger
    "ClassSoftmax, given": Row(given_classes, growth=1.0),  # always three classes
    "HierarchicalSoftmax": Row(  # smaller batches are padded to the longest path
        partial(layers.HierarchicalSoftmax, dense_rows=3), growth=0.1, batch_size=128
    ),
    "AdaptiveSoftmax": Row(
        partial(layers.AdaptiveSoftmax, cutoffs=[3, 7], min_projection_dim=2, seed=1), growth=1.0
    ),
    "AdaptiveSoftmax, planned": Row(partial(layers.AdaptiveSoftmax, seed=1), growth=0.85),
    "BinaryCode": Row(layers.BinaryCode, growth=0.1),
    "BinaryCode, cross-entropy": Row(partial(layers.BinaryCode, loss="cross_entropy"), growth=0.1),
    "BinaryCode, hybrid": Row(partial(layers.BinaryCode, num_frequent=3), growth=0.1),
    "BinaryCode, error-correcting": Row(partial(layers.BinaryCode, code_memory=6), growth=0.1),
    "BinaryCode, hybrid, error-correcting": Row(
        partial(layers.BinaryCode, num_frequent=3, code_memory=6), growth=0.1
    ),
    "EmbeddingPrediction": embedding_prediction(norm_penalty=0.02, dot_weight=0.5),
    "EmbeddingPrediction, cosine": embedding_prediction(loss="cosine"),
    "SumOfLosses": Row(sum_of_losses, growth=1.0),
}
