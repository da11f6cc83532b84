"""Keras callbacks: progress and records in words per second, checkpoints, stopping, merging."""

import os
import sys
import time
import warnings
from contextlib import nullcontext
from typing import Any, TextIO

import keras

from kerasw2v.divergence import StopOnNaN, loss_is_finite
from kerasw2v.history import History, Measurement
from kerasw2v.ops.row_merge import DEFAULT_LIMIT, RowMerger
from kerasw2v.ops.seeds import own_draws
from kerasw2v.ops.strategies import from_chief, is_chief, lost_workers_are_errors
from kerasw2v.optimizers import RowSGD
from kerasw2v.utils.checks import check_int, check_positive
from kerasw2v.utils.files import PathLike, save_keras_weights
from kerasw2v.utils.paths import check_path

__all__ = ["Checkpoint", "MergeTables", "Progress", "Record", "StopOnNaN"]

_BAR_WIDTH = 20
_SECONDS_BETWEEN_DRAWINGS = 0.2


class _WordCounter(keras.callbacks.Callback):
    """Knows which share of an epoch is done; for data of unknown length, after the first epoch."""

    def __init__(self, words_per_epoch: int) -> None:
        super().__init__()
        self.words_per_epoch = words_per_epoch

    def on_train_begin(self, logs: Any = None) -> None:
        self._begin = time.perf_counter()
        self._steps: int | None = self.params["steps"]
        self._first_call: tuple[float, int] | None = None  # when it ended, and its batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._batches, self._last_logs = 0, None

    def _count(self, now: float, batch: int, logs: Any) -> None:
        self._batches, self._last_logs = batch + 1, logs
        if self._first_call is None:
            self._first_call = now, self._batches

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._steps = self._steps or max(1, self._batches)

    def _epoch_loss(self, logs: Any) -> float:
        # Keras 3.15 averages data of unknown length over one step too many, their end.
        logs = logs if self.params["steps"] else self._last_logs
        return float((logs or {}).get("loss", float("nan")))

    def _share(self, batches: int) -> float:
        # Keras may report the last call into the graph as longer than it was.
        return min(1.0, batches / self._steps) if self._steps else 0.0


class Progress(_WordCounter):
    """Shows the progress of training: a bar with words per second, the loss and the time left.

    On a terminal it is one line that is redrawn; elsewhere, one line per epoch. The time before the
    end of the first call into the graph, which compiles it, does not count for the words per
    second. For a dataset of unknown length, the first epoch shows the number of batches in place of
    the bar.

    Args:
        words_per_epoch: number of words of the corpus, subsampled ones included.
        stream: where to write; `sys.stderr` when None.

    Example:

    >>> import keras, sys
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> progress = Progress(words_per_epoch=1000, stream=sys.stdout)
    >>> history = model.fit(np.ones((1, 1)), np.ones(1), verbose=0, callbacks=[progress])
    epoch 1/1: ... words/s, loss ...
    """

    def __init__(self, words_per_epoch: int, stream: TextIO | None = None) -> None:
        super().__init__(words_per_epoch)
        self.stream = sys.stderr if stream is None else stream
        self._redraw = self.stream.isatty()

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._first_epoch: int | None = None
        self._drawn = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._loss = float("nan")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        self._count(now, batch, logs)
        if self._redraw and now - self._drawn > _SECONDS_BETWEEN_DRAWINGS:
            self._drawn = now
            # Only here: reading the loss waits for the device.
            self._loss = float((logs or {}).get("loss", self._loss))
            self._draw(self._share(self._batches), end="")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._loss = self._epoch_loss(logs)
        if self._redraw:
            self._draw(1.0, end="\n" if epoch + 1 == self.params["epochs"] else "")
        else:
            self.stream.write(f"{self._epoch_of()}: {self._rate()}, loss {self._loss:.4f}\n")
            self.stream.flush()

    def _words(self, share: float) -> float:
        return (self._epoch - (self._first_epoch or 0) + share) * self.words_per_epoch

    def _words_per_second(self, share: float) -> float:
        now = time.perf_counter()
        start, batches = self._first_call or (self._begin, 0)
        before = self._share(batches) * self.words_per_epoch
        if self._words(share) <= before:  # everything so far was one call
            start, before = self._begin, 0.0
        return (self._words(share) - before) / max(now - start, 1e-9)

    def _rate(self, share: float = 1.0) -> str:
        return f"{self._words_per_second(share):,.0f} words/s"

    def _epoch_of(self) -> str:
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"

    def _draw(self, share: float, end: str) -> None:
        if not self._steps:
            line = f"{self._epoch_of()}  batch {self._batches:,}  loss {self._loss:.4f}"
        else:
            done = round(share * _BAR_WIDTH)
            bar = "#" * done + "-" * (_BAR_WIDTH - done)
            left = (self.params["epochs"] - self._epoch - share) * self.words_per_epoch
            seconds = left / max(self._words_per_second(share), 1e-9)
            line = (
                f"{self._epoch_of()} [{bar}] {share:4.0%}  {self._rate(share)}  "
                f"loss {self._loss:.4f}  {_clock(seconds)} left"
            )
        # The escape clears the rest of a longer line.
        self.stream.write(f"\r{line}\x1b[K{end}")
        self.stream.flush()


class Record(_WordCounter):
    """Records loss and words per second over time, for `kerasw2v.plots` and `kerasw2v.report`.

    The loss of a point is the mean since the previous point. It is computed from the running mean
    of the epoch, which is all that Keras gives to callbacks, as if each batch had equally many
    pairs. Words a second are counted as in `Progress`. For a dataset of unknown length, the first
    epoch is a single point.

    Args:
        words_per_epoch: number of words of the corpus, subsampled ones included.
        history: the `kerasw2v.history.History` to continue; a new one when None.
        path: a file where the history is saved after every epoch, for a training that may be
            interrupted; nowhere when None.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> record = Record(words_per_epoch=1000)
    >>> history = model.fit(np.ones((1, 1)), np.ones(1), epochs=3, verbose=0, callbacks=[record])
    >>> [epoch.words for epoch in record.history.epochs]
    [1000.0, 2000.0, 3000.0]
    """

    def __init__(
        self,
        words_per_epoch: int,
        history: History | None = None,
        path: PathLike | None = None,
    ) -> None:
        super().__init__(words_per_epoch)
        self.history = History() if history is None else history
        self.path = path

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._begin -= self.history.seconds

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._done = self._mean = 0.0  # share of the epoch at the last point, and the mean loss
        # Start of the epoch, and the last point: epochs and time.
        self._start = self._measured = float(epoch), time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        is_first = self._first_call is None
        self._count(now, batch, logs)
        if self._steps and (is_first or now - self._measured[1] > _SECONDS_BETWEEN_DRAWINGS):
            loss = float((logs or {}).get("loss", float("nan")))
            self._add(now, self._share(self._batches), loss, timed=not is_first)
        if is_first:
            self._start = self._measured

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        was_known = bool(self._steps)
        super().on_epoch_end(epoch, logs)
        if not was_known and self._first_call:
            end_of_call, batches = self._first_call
            self._start = self._measured = epoch + self._share(batches), end_of_call
        if self._done < 1:
            self._add(now, 1.0, self._epoch_loss(logs))
        self.history.epochs.append(self._measurement(now, 1.0, self._mean, self._start))
        if self.path is not None:
            self.history.save(self.path)

    def _add(self, now: float, share: float, mean: float, timed: bool = True) -> None:
        loss = (mean * share - self._mean * self._done) / (share - self._done)
        since = self._measured if timed else None
        self.history.add(self._measurement(now, share, loss, since))
        self._done, self._mean = share, mean
        self._measured = self._epoch + share, now

    def _measurement(
        self, now: float, share: float, loss: float, since: tuple[float, float] | None
    ) -> Measurement:
        epoch = self._epoch + share
        speed = None
        if since is not None and epoch > since[0]:
            speed = (epoch - since[0]) * self.words_per_epoch / max(now - since[1], 1e-9)
        seconds = now - self._begin
        return Measurement(epoch, epoch * self.words_per_epoch, seconds, loss, speed)


class Checkpoint(keras.callbacks.Callback):
    """Saves the state of training after every epoch, and restores it.

    Unlike `keras.callbacks.BackupAndRestore`, it replaces a checkpoint in one step: an interruption
    or a full disk leaves the previous one intact. It does not remove the checkpoint at the end of
    training, so that it outlives a failure to save the result. An epoch whose loss is not finite is
    not saved, with a warning; a `StopOnNaN` before it stops there. Of several workers only the
    chief reads and writes the file, and sends the state to the others.

    Args:
        path: the file, ending in `.weights.h5`.
        strategy: that of the workers whose tables a `MergeTables` before it merges; that of the
            model when None.

    Raises:
        OSError: if the folder does not exist or cannot be written.
        ValueError: if the name ends otherwise.

    Example:

    >>> import keras, tempfile
    >>> import numpy as np
    >>> checkpoint = Checkpoint(tempfile.mkdtemp() + "/latest.weights.h5")
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> history = model.fit(np.ones((1, 1)), np.ones(1), epochs=2, verbose=0,
    ...                     callbacks=[checkpoint])
    >>> checkpoint.restore(model, steps_per_epoch=1)
    2
    """

    def __init__(self, path: PathLike, strategy: Any = None) -> None:
        super().__init__()
        self.strategy = strategy
        self.path = check_path("path", path)
        if not self.path.endswith(".weights.h5"):
            raise ValueError(f"`path` must end in .weights.h5. Received: path={self.path!r}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not loss_is_finite(logs):
            warnings.warn(
                f"{self.path!r} keeps the state of an earlier epoch, if it has one: the loss of "
                f"epoch {epoch + 1} is not finite.",
                stacklevel=2,
            )
        elif is_chief(self.strategy or self.model.distribute_strategy):
            save_keras_weights(self.model, self.path)

    def restore(self, model: Any, steps_per_epoch: int) -> int:
        """Sets a compiled, built model to the saved state, if there is one.

        Args:
            model: the model, of the same sizes as the saved one.
            steps_per_epoch: number of steps of the optimizer in an epoch.

        Returns:
            The number of epochs done, which is the `initial_epoch` for `fit`.

        Raises:
            ValueError: if the file is damaged or does not fit the model.
        """
        strategy = self.strategy or model.distribute_strategy
        if not model.optimizer.built:
            with model.distribute_strategy.scope():
                model.optimizer.build(model.trainable_variables)
        if is_chief(strategy) and os.path.exists(self.path):
            self._load(model)
        with nullcontext() if self.strategy is None else own_draws(model):
            from_chief(strategy, [*model.weights, *model.optimizer.variables])
        return int(model.optimizer.iterations.numpy()) // steps_per_epoch

    def _load(self, model: Any) -> None:
        try:
            model.load_weights(self.path)
        except Exception as error:
            # HDF5 and Keras report damaged and unfit files in many ways, and at length.
            raise ValueError(
                "`path` must be an undamaged checkpoint of the same model. "
                f"Received: path={self.path!r}."
            ) from error


class MergeTables(keras.callbacks.Callback):
    """Lets workers train separately, and merges their tables every few steps.

    Sending gradients at every step needs a fast network. With this callback each worker trains its
    own model, made outside the strategy's scope, on a shard of the corpus, at the speed of a single
    process. After every `steps` steps, and after each epoch, each row that any worker has
    moved since the last merge becomes

        row = row before + sum over workers of what it has moved there

    as in one process that sees all of the corpus. Rows of huge mass alone are scaled, so that no
    number of workers makes them diverge (`kerasw2v.ops.row_merge` has the formula). All workers
    then have the same tables, bit by bit. Every worker must take the same number of steps, as
    `block_dataset(..., shard=(n, i))` provides, and should have a seed of its own.

    Args:
        strategy: from `kerasw2v.multi_worker.connect`.
        steps: number of steps between two merges, rounded up to whole calls into the graph
            (`steps_per_execution` of `compile`); `suitable_merge_steps` says which number suits.
        limit: mass times learning rate, summed over the workers, from where on changes are scaled.

    Raises:
        ConnectionError: in training, if another worker is lost.
        TypeError, ValueError: if `steps` is not a positive integer or `limit` not a positive
            number; in training, if the model was made under a strategy or its optimizer is not a
            `RowSGD`, which tells the masses of rows.

    Cost: for n workers and `r` rows that any of them has moved, each merge sends
    `2 (n - 1) / n * 4 r (d + 1)` bytes to each worker, and `n V / 8` bytes to tell which rows;
    memory for a copy of each table.

    Source: local steps for word2vec: Ji et al., "Parallelizing word2vec in shared and distributed
    memory", 2016; Gupta and Khare, "BlazingText: scaling and accelerating word2vec using multiple
    GPUs", 2017, who average.
    """

    def __init__(self, strategy: Any, steps: int, limit: float = DEFAULT_LIMIT) -> None:
        super().__init__()
        self.strategy = strategy
        self.steps = check_int("steps", steps, minimum=1)
        self.limit = check_positive("limit", limit)

    def on_train_begin(self, logs: Any = None) -> None:
        if self.model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("The model must be made outside the scope of a strategy.")
        optimizer = self.model.optimizer
        if not isinstance(optimizer, RowSGD):
            raise TypeError(
                "The optimizer must be a RowSGD: it tells by which mass rows were moved. "
                f"Received: {type(optimizer).__name__}."
            )
        with lost_workers_are_errors(self.strategy):
            from_chief(self.strategy, self.model.trainable_variables)
        optimizer.build(self.model.trainable_variables)
        masses = optimizer.keep_masses()
        self._merger = RowMerger(
            self.strategy,
            [variable.value for variable in self.model.trainable_variables],
            masses,
            self.limit,
        )
        self.model.make_train_function(force=True)  # one that keeps masses
        self._since = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._since += batch + 1 - self._batches
        self._batches = batch + 1
        if self._since >= self.steps:
            self._merge()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._merge()

    def on_train_end(self, logs: Any = None) -> None:
        self.model.optimizer.drop_masses()
        self.model.train_function = None

    def _merge(self) -> None:
        self._since = 0
        with lost_workers_are_errors(self.strategy):
            self._merger.merge(float(self.model.optimizer.learning_rate))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
