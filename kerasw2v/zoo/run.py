"""Trains a recipe, measures the result and compares it with what the recipe promises."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasw2v.data.corpus import iter_sentences
from kerasw2v.evaluation import evaluate
from kerasw2v.keyed_vectors import to_keyed_vectors
from kerasw2v.ops.contexts import context_ids
from kerasw2v.zoo.data import item_group
from kerasw2v.zoo.loading import Loaded, sequences
from kerasw2v.zoo.recipe import Recipe

RESULTS = "results.json"
_ROWS = 256  # contexts whose perplexity is measured at once


@dataclass(frozen=True)
class Run:
    """The result of one training.

    Attributes:
        metrics: the recipe's metrics; None where a test set has no word of the vocabulary.
        losses: mean loss of each epoch.
        seconds: duration of `fit`, with the time to compile its graph.
        words: words of the corpus in an epoch, subsampled ones included.
        words_per_s: words of all epochs divided by `seconds`.
    """

    metrics: Mapping[str, float | None]
    losses: list[float]
    seconds: float
    words: int
    words_per_s: float


def run(loaded: Loaded, callbacks: Any = ()) -> Run:
    """Trains a recipe's model for all of its epochs, and measures it."""
    epochs, words = loaded.recipe.training["epochs"], loaded.vocabulary.corpus_words
    started = time.perf_counter()
    history = loaded.model.fit(
        loaded.dataset,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks],
        shuffle=False,  # the dataset does; Keras warns otherwise
    )
    seconds = time.perf_counter() - started
    losses = [float(loss) for loss in history.history["loss"]]
    if not losses[-1] < float("inf"):
        raise ValueError(
            f"Training diverged; `learning_rate` in {str(loaded.recipe.path)!r} must be smaller. "
            f"Received: losses of the epochs {losses}."
        )
    metrics = measure(loaded, losses)
    return Run(metrics, losses, seconds, words, words * epochs / seconds)


def misses(recipe: Recipe, metrics: Mapping[str, float | None]) -> list[str]:
    """Returns the names of the metrics that are outside the tolerance of the recipe."""
    if not recipe.expected:
        section = "[smoke.expected]" if recipe.smoke else "[expected]"
        raise ValueError(f"{str(recipe.path)!r} must have results in {section} to be verified.")
    return [
        name
        for name, expected in recipe.expected.items()
        if (value := metrics.get(name)) is None or not expected.holds(value)
    ]


def read_results(recipe: Recipe) -> dict[str, Any] | None:
    """Returns the content of the `results.json` of a recipe; None if it has no such file."""
    file = recipe.path.with_name(RESULTS)
    if not file.is_file():
        return None
    try:
        results: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(file)!r} must be JSON ({error}); remove it.") from error
    return results


def measure(loaded: Loaded, losses: list[float]) -> dict[str, float | None]:
    """Returns the metrics that a recipe names; None where a test set has no known word."""
    evaluation = cache(lambda: evaluate(to_keyed_vectors(loaded.model, loaded.vocabulary)))
    metrics: dict[str, Callable[[], float | None]] = {
        "wordsim353": lambda: evaluation().word_pairs[0].spearman,
        "simlex999": lambda: evaluation().word_pairs[1].spearman,
        "analogies": lambda: evaluation().total.accuracy,
        "perplexity": lambda: _perplexity(loaded),
        "same_group": lambda: _same_group(loaded),
        "loss": lambda: losses[-1],
    }
    return {name: metrics[name]() for name in loaded.recipe.evaluation["metrics"]}


def _perplexity(loaded: Loaded) -> float:
    """Returns the perplexity of held-out words: exp of their mean negative log-probability."""
    if loaded.recipe.model["architecture"] == "lstm":
        length = loaded.recipe.model["sequence_length"]
        # Batches of one sequence drop the least at the end.
        dataset = sequences(loaded.held_out, loaded.vocabulary, length, batch_size=1, seed=1)
        return float(np.exp(loaded.model.evaluate(dataset.unbatch().batch(32), verbose=0)))
    import tensorflow as tf

    contexts, targets = _windows(loaded)
    total = 0.0
    for start in range(0, len(targets), _ROWS):
        rows = slice(start, start + _ROWS)
        hidden = loaded.model(tf.constant(contexts[rows]))
        log_probs = loaded.model.output_layer.log_probs(hidden)
        total -= float(tf.reduce_sum(tf.gather(log_probs, targets[rows], batch_dims=1)))
    return float(np.exp(total / len(targets)))


def _windows(loaded: Loaded) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the contexts and the ids of the known held-out words."""
    window = loaded.recipe.model["window"]
    encoded = [loaded.vocabulary.encode(sentence) for sentence in iter_sentences(loaded.held_out)]
    encoded = [ids for ids in encoded if len(ids) > 1]  # a word alone has no context
    return np.concatenate([context_ids(ids, window) for ids in encoded]), np.concatenate(encoded)


def _same_group(loaded: Loaded) -> float:
    """Returns the share of items' ten nearest neighbours that are of the same group."""
    vectors = to_keyed_vectors(loaded.model, loaded.vocabulary)
    shares = []
    for item in vectors.index_to_key:
        near = [item_group(other) for other, _ in vectors.most_similar(item, topn=10)]
        shares.append(near.count(item_group(item)) / len(near))
    return float(np.mean(shares))
