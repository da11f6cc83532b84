"""Training a recipe and comparing what comes out with what it promises."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerasw2v.zoo.loading import Loaded
from kerasw2v.zoo.metrics import measure
from kerasw2v.zoo.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """What one training gave.

    Attributes:
        metrics: the recipe's metrics; None where a test set has no word of the vocabulary.
        losses: mean loss of each epoch.
        seconds: how long `fit` took, the compiling of its graph included.
        words: words of the corpus in an epoch, whether trained or subsampled.
        words_per_s: of all epochs, in `seconds`.
    """

    metrics: Mapping[str, float | None]
    losses: list[float]
    seconds: float
    words: int
    words_per_s: float


def run(loaded: Loaded, callbacks: Any = ()) -> Run:
    """Trains a recipe's model for its epochs, and measures it.

    Args:
        loaded: from `kerasw2v.zoo.load`.
        callbacks: Keras callbacks for `fit`.

    Raises:
        ValueError: if training diverged.

    Example:

    >>> from kerasw2v import zoo
    >>> done = run(zoo.load("cbow-negative-sampling", smoke=True, seed=1))
    >>> done.losses[-1] < done.losses[0]
    True
    """
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
    """Returns the metrics of a run that are not what the recipe promises.

    Args:
        recipe: a recipe with expected results.
        metrics: what was measured.

    Raises:
        ValueError: if the recipe promises nothing.

    Example:

    >>> from kerasw2v import zoo
    >>> misses(zoo.find_recipe("cbow-negative-sampling", smoke=True), {"loss": 99.0})
    ['loss']
    """
    if not recipe.expected:
        section = "[smoke.expected]" if recipe.smoke else "[expected]"
        raise ValueError(f"{str(recipe.path)!r} must have results in {section} to be verified.")
    return [
        name
        for name, expected in recipe.expected.items()
        if (value := metrics.get(name)) is None or not expected.holds(value)
    ]
