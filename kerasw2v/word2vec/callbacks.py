"""The callbacks of a `Word2Vec`: Keras' own and gensim's, side by side."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import keras


class TrainingCallback(Protocol):
    """gensim's `CallbackAny2Vec`: told of the begin and end of training and of each epoch."""

    def on_train_begin(self, model: Any) -> None: ...
    def on_train_end(self, model: Any) -> None: ...
    def on_epoch_begin(self, model: Any) -> None: ...
    def on_epoch_end(self, model: Any) -> None: ...


Callbacks = Iterable[keras.callbacks.Callback | TrainingCallback]


def gensim_callbacks(callbacks: Iterable[Any]) -> list[TrainingCallback]:
    """Returns those that are not Keras'."""
    return [each for each in callbacks if not isinstance(each, keras.callbacks.Callback)]


def as_keras(
    callbacks: Sequence[Any], owner: Any, pull: Callable[[], None]
) -> list[keras.callbacks.Callback]:
    """Returns callbacks for `fit`: one that keeps the losses, then those given, in their order.

    Args:
        callbacks: Keras' and gensim's.
        owner: the `Word2Vec` that trains.
        pull: brings what was trained so far into `owner`.
    """
    theirs = [
        each if isinstance(each, keras.callbacks.Callback) else _GensimCallback(each, owner, pull)
        for each in callbacks
    ]
    return [_Losses(owner), *theirs]


class _Losses(keras.callbacks.Callback):
    """Keeps the losses of a `Word2Vec` after each epoch."""

    def __init__(self, owner: Any) -> None:
        super().__init__()
        self._owner = owner

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        total, pairs = self.model.pair_mean.sums()
        self._owner.epoch_losses.append(total / max(pairs, 1.0))
        if self._owner.compute_loss:
            self._owner.running_training_loss += total


class _GensimCallback(keras.callbacks.Callback):
    """Tells gensim's callback of epochs, with the vectors as they are then."""

    def __init__(self, callback: TrainingCallback, owner: Any, pull: Callable[[], None]) -> None:
        super().__init__()
        self._callback, self._owner, self._pull = callback, owner, pull

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._callback.on_epoch_begin(self._owner)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._pull()
        self._callback.on_epoch_end(self._owner)
