"""Keras callbacks: progress and records in words a second, checkpoints that survive anything."""

import os
import sys
import time
from typing import Any, TextIO

import keras
import tensorflow as tf

from kerasw2v.history import History, Measurement
from kerasw2v.ops.strategies import from_chief, is_chief, lost_workers_are_errors
from kerasw2v.utils.checks import check_int
from kerasw2v.utils.files import PathLike, temporary_sibling

_BAR_WIDTH = 20
_SECONDS_BETWEEN_DRAWINGS = 0.2


class Progress(keras.callbacks.Callback):
    """Shows how far training is: a bar with words a second, the loss and the time left.

    On a terminal it is one line that is drawn again and again; elsewhere, one line an epoch.
    Words a second are counted from the end of the first call into the graph, so that they do not
    include the time that TensorFlow takes to compile it.

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
        super().__init__()
        self.words_per_epoch = words_per_epoch
        self.stream = sys.stderr if stream is None else stream
        self._redraw = self.stream.isatty()

    def on_train_begin(self, logs: Any = None) -> None:
        self._begin = time.perf_counter()
        self._warm: tuple[float, float] | None = None  # time and words at the first call's end
        self._first_epoch: int | None = None
        self._drawn = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch = epoch
        self._loss = float("nan")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        share = _share(batch, self.params["steps"])
        if self._warm is None:
            self._warm = now, self._words(share)
        if self._redraw and now - self._drawn > _SECONDS_BETWEEN_DRAWINGS:
            self._drawn = now
            # Only here: reading the loss waits for the device.
            self._loss = float((logs or {}).get("loss", self._loss))
            self._draw(share, end="")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._loss = float((logs or {}).get("loss", self._loss))
        if self._redraw:
            self._draw(1.0, end="\n" if epoch + 1 == self.params["epochs"] else "")
        else:
            self.stream.write(f"{self._epoch_of()}: {self._rate()}, loss {self._loss:.4f}\n")
            self.stream.flush()

    def _words(self, share: float) -> float:
        return (self._epoch - (self._first_epoch or 0) + share) * self.words_per_epoch

    def _words_per_second(self, share: float) -> float:
        now = time.perf_counter()
        start, before = self._warm or (self._begin, 0.0)
        if self._words(share) <= before:  # everything so far was one call
            start, before = self._begin, 0.0
        return (self._words(share) - before) / max(now - start, 1e-9)

    def _rate(self, share: float = 1.0) -> str:
        return f"{self._words_per_second(share):,.0f} words/s"

    def _epoch_of(self) -> str:
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"

    def _draw(self, share: float, end: str) -> None:
        done = round(share * _BAR_WIDTH)
        bar = "#" * done + "-" * (_BAR_WIDTH - done)
        left = (self.params["epochs"] - self._epoch - share) * self.words_per_epoch
        seconds = left / max(self._words_per_second(share), 1e-9)
        line = (
            f"{self._epoch_of()} [{bar}] {share:4.0%}  {self._rate(share)}  "
            f"loss {self._loss:.4f}  {_clock(seconds)} left"
        )
        # The escape clears what a longer line has left behind.
        self.stream.write(f"\r{line}\x1b[K{end}")
        self.stream.flush()


class Record(keras.callbacks.Callback):
    """Keeps loss and words a second over time, for `kerasw2v.plots` and `kerasw2v.report`.

    The loss of a point is that since the point before, worked out of the running mean of the epoch
    that Keras hands to callbacks, as if each batch had equally many pairs. Words a second are
    counted from the end of the first call into the graph, as in `Progress`.

    Args:
        words_per_epoch: number of words of the corpus, subsampled ones included.
        history: the `kerasw2v.history.History` to go on with; a new one when None.
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
        super().__init__()
        self.words_per_epoch = words_per_epoch
        self.history = History() if history is None else history
        self.path = path

    def on_train_begin(self, logs: Any = None) -> None:
        self._begin = time.perf_counter() - self.history.seconds
        self._warm = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._share = self._mean = 0.0  # of the epoch that has been measured, and its loss
        # Where the epoch began, and where the last point was: epochs and time.
        self._start = self._measured = float(epoch), time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        share = _share(batch, self.params["steps"])
        if not self._warm:
            self._warm = True
            self._add(now, share, logs, timed=False)
            self._start = self._measured
        elif now - self._measured[1] > _SECONDS_BETWEEN_DRAWINGS:
            self._add(now, share, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if self._share < 1:
            self._add(now, 1.0, logs)
        self.history.epochs.append(self._measurement(now, 1.0, self._mean, self._start))
        if self.path is not None:
            self.history.save(self.path)

    def _add(self, now: float, share: float, logs: Any, timed: bool = True) -> None:
        mean = float((logs or {}).get("loss", float("nan")))
        loss = (mean * share - self._mean * self._share) / (share - self._share)
        since = self._measured if timed else None
        self.history.add(self._measurement(now, share, loss, since))
        self._share, self._mean = share, mean
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
    """Saves the state of training after every epoch, and takes it up again.

    In difference to `keras.callbacks.BackupAndRestore` a checkpoint is replaced in one step, so
    that an interruption or a full disk while it is written leaves the one before intact, and it is
    not removed at the end of training, so that it outlives a failure to save the result. Of several
    workers the chief alone writes and reads the file, and hands the state on.

    Args:
        path: the file, ending in `.weights.h5`.

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

    def __init__(self, path: PathLike) -> None:
        super().__init__()
        self.path = os.fspath(path)
        if not self.path.endswith(".weights.h5"):
            raise ValueError(f"`path` must end in .weights.h5. Received: path={self.path!r}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if is_chief(self.model.distribute_strategy):
            with temporary_sibling(self.path) as temporary:
                self.model.save_weights(temporary)

    def restore(self, model: Any, steps_per_epoch: int) -> int:
        """Sets a compiled, built model to the saved state, if there is one.

        Args:
            model: the model, of the same sizes as the saved one.
            steps_per_epoch: number of steps of the optimizer in an epoch.

        Returns:
            How many epochs that state has behind it: the `initial_epoch` for `fit`.

        Raises:
            ValueError: if the file is damaged or does not fit the model.
        """
        strategy = model.distribute_strategy
        if not model.optimizer.built:
            with strategy.scope():
                model.optimizer.build(model.trainable_variables)
        if is_chief(strategy) and os.path.exists(self.path):
            self._load(model)
        from_chief(strategy, [*model.weights, *model.optimizer.variables])
        return int(model.optimizer.iterations.numpy()) // steps_per_epoch

    def _load(self, model: Any) -> None:
        try:
            model.load_weights(self.path)
        except Exception as error:
            # HDF5 and Keras report damage and misfit in many ways, and at length.
            raise ValueError(
                "`path` must be an undamaged checkpoint of the same model. "
                f"Received: path={self.path!r}."
            ) from error


class AverageTables(keras.callbacks.Callback):
    """Lets workers train on their own, and averages what they have learned now and then.

    Sending gradients at every step wants a fast network. With this each worker trains a model of
    its own, made outside the strategy's scope, on a shard of the corpus, at the speed of a single
    process. After every `steps` steps, and after each epoch, all tables become

        row = row before + (sum over workers of what it moved by) / (number of workers it moved on)

    which is the average over those that met the word: a rare word that one worker met keeps all
    it has learned. Every worker must take the same number of steps, as `block_dataset(...,
    shard=(n, i))` provides, and should draw with a seed of its own.

    Args:
        strategy: from `kerasw2v.multi_worker.connect`.
        steps: how many steps to take between two averages; rounded up to whole calls into the
            graph (`steps_per_execution` of `compile`).

    Raises:
        ConnectionError: in training, if another worker is lost.
        TypeError, ValueError: if `steps` is not a positive integer, or (in training) if the model
            was made under a strategy.

    Cost: `2 (n - 1) / n * 4 V d` bytes for each table and average, for n workers, and memory for a
    copy of each table.

    Source: Ji et al., "Parallelizing word2vec in shared and distributed memory", 2016; Gupta and
    Khare, "BlazingText: scaling and accelerating word2vec using multiple GPUs", 2017.
    """

    def __init__(self, strategy: Any, steps: int) -> None:
        super().__init__()
        self.strategy = strategy
        self.steps = check_int("steps", steps, minimum=1)

    def on_train_begin(self, logs: Any = None) -> None:
        if self.model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("The model must be made outside the scope of a strategy.")
        self._tables = [variable.value for variable in self.model.trainable_variables]
        with lost_workers_are_errors(self.strategy):
            from_chief(self.strategy, self.model.trainable_variables)
        self._before = [tf.identity(table) for table in self._tables]
        self._average = tf.function(self._averages)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._next = self.steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch + 1 >= self._next:
            self._next = batch + 1 + self.steps
            self._exchange()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._exchange()

    def _exchange(self) -> None:
        with lost_workers_are_errors(self.strategy):
            averages = self._average(self._before)
        self._before = [self.strategy.experimental_local_results(each)[0] for each in averages]
        for table, average in zip(self._tables, self._before, strict=True):
            table.assign(average)

    def _averages(self, before: list[tf.Tensor]) -> Any:
        def replica(before: list[tf.Tensor]) -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            moves = [table - old for table, old in zip(self._tables, before, strict=True)]
            # What every number of a row has in common; some of them may stay as they are.
            moved = [
                tf.cast(tf.reduce_any(move != 0, tf.range(1, tf.rank(move)), True), move.dtype)
                for move in moves
            ]
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [*moves, *moved])
            shares = zip(before, sums[: len(moves)], sums[len(moves) :], strict=True)
            return [old + move / tf.maximum(number, 1) for old, move, number in shares]

        return self.strategy.run(replica, args=(before,))


def _share(batch: int, steps: int) -> float:
    # The last call into the graph may be told as longer than it was.
    return min(1.0, (batch + 1) / steps)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
