"""The callbacks of a `Word2Vec`: Keras' own and gensim's, side by side."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import keras


class TrainingCallback(Protocol):
    """gensim's `CallbackAny2Vec`: called at the start and end of training and of each epoch."""

    def on_train_begin(self, model: Any) -> None: ...
    def on_train_end(self, model: Any) -> None: ...
    def on_epoch_begin(self, model: Any) -> None: ...
    def on_epoch_end(self, model: Any) -> None: ...


Callbacks = Iterable[keras.callbacks.Callback | TrainingCallback]


def gensim_callbacks(callbacks: Iterable[Any]) -> list[TrainingCallback]:
    """Returns those of the callbacks that are not Keras'."""
    return [each for each in callbacks if not isinstance(each, keras.callbacks.Callback)]


def as_keras(
    callbacks: Sequence[Any],
    owner: Any,
    pull: Callable[[], None],
    evaluate: Callable[[], float] | None = None,
) -> list[keras.callbacks.Callback]:
    """Returns Keras callbacks for `fit`: one that records losses, then `callbacks` in their order.

    `owner` is the `Word2Vec` that trains; `pull` copies the current weights to it; `evaluate`
    returns the loss of held-out sentences, where there are some.
    """
    wrapped = [
        each if isinstance(each, keras.callbacks.Callback) else _GensimCallback(each, owner, pull)
        for each in callbacks
    ]
    return [_LossRecorder(owner, evaluate), *wrapped]


class _LossRecorder(keras.callbacks.Callback):
    """Appends the losses of each epoch to those of a `Word2Vec`.

    That of held-out sentences is in the logs of callbacks that come later, too.
    """

    def __init__(self, owner: Any, evaluate: Callable[[], float] | None) -> None:
        super().__init__()
        self._owner, self._evaluate = owner, evaluate

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        total, pairs = self.model.pair_mean.sums()
        self._owner.epoch_losses.append(total / max(pairs, 1.0))
        if self._owner.compute_loss:
            self._owner.running_training_loss += total
        if self._evaluate is not None:
            loss = self._evaluate()
            self._owner.held_out_losses.append(loss)
            if logs is not None:
                logs["val_loss"] = loss


class _GensimCallback(keras.callbacks.Callback):
    """Calls gensim's callback at each epoch, with the current vectors."""

    def __init__(self, callback: TrainingCallback, owner: Any, pull: Callable[[], None]) -> None:
        super().__init__()
        self._callback, self._owner, self._pull = callback, owner, pull

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._callback.on_epoch_begin(self._owner)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._pull()
        self._callback.on_epoch_end(self._owner)
