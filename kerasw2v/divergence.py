"""Training that diverges is stopped, with the state of the last good epoch kept."""

import math
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasw2v.ops.rows import is_finite

_SECONDS_BETWEEN_LOOKS = 1.0


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with an error once the loss or a weight is NaN or infinite.

    Unlike `keras.callbacks.TerminateOnNaN` it raises, so that callbacks behind it in the list do
    not save the broken state, and nothing that follows `fit` works with it. The loss is looked at
    once a second, since reading it waits for the device, and after each epoch; the weights after
    each epoch. `fit` of `SkipGram`, `CBOW` and `kerasw2v.Word2Vec` and the command line use it by
    themselves (unless `callbacks` has one, or a `TerminateOnNaN`). Put it first in the list for
    other Keras models: `keras.optimizers.SGD` bounds no step, and its learning rate must be far
    lower than `RowSGD`'s where losses of many pairs are summed.

    Raises:
        FloatingPointError: in training; the message says in which epoch, and the learning rate.

    Cost: reads each weight once an epoch, in parts.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(1e30), loss="mse")
    >>> model.fit(np.ones((9, 1)), np.zeros(9), epochs=9, verbose=0, callbacks=[StopOnNaN()])
    Traceback (most recent call last):
        ...
    FloatingPointError: Training diverged in epoch ...: ... Lower the learning rate, now 1e+30.
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._looked = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.perf_counter() - self._looked > _SECONDS_BETWEEN_LOOKS:
            self._look(logs)
            self._looked = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._look(logs)
        for variable in self.model.trainable_variables:
            if not is_finite(variable):
                raise self._error(f"`{variable.path}` is not finite")

    def _look(self, logs: Any) -> None:
        if not loss_is_finite(logs):
            raise self._error(f"the loss is {_loss(logs):g}")

    def _error(self, what: str) -> FloatingPointError:
        rate = getattr(self.model.optimizer, "learning_rate", None)
        now = "" if rate is None else f", now {float(tf.convert_to_tensor(rate)):g}"
        return FloatingPointError(
            f"Training diverged in epoch {self._epoch + 1}: {what}. Lower the learning rate{now}."
        )


def loss_is_finite(logs: Any) -> bool:
    """Whether the loss among a callback's logs is a finite number; True if there is none."""
    return math.isfinite(_loss(logs))


def _loss(logs: Any) -> float:
    return float(np.mean((logs or {}).get("loss", 0.0)))


def with_stop(callbacks: Any) -> Any:
    """Returns the argument `callbacks` of `fit`, with a `StopOnNaN` in front if there is none."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    given = [] if callbacks is None else keras.tree.flatten(callbacks)
    stops = (StopOnNaN, keras.callbacks.TerminateOnNaN)
    return given if any(isinstance(each, stops) for each in given) else [StopOnNaN(), *given]
