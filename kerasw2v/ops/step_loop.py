"""Several steps in one call into the graph, and none beyond those that were asked for.

Keras runs `steps_per_execution` steps a call, or as many as there are batches: asked for 5 steps of
an endless dataset, it does 32 where a call has 32. Here the last call of an epoch is shorter. And
where Keras runs steps one by one, the one that finds no batch is counted by the optimizer.
"""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasw2v.ops.fused import op_by_op
from kerasw2v.ops.shared_traces import SharedTrace
from kerasw2v.ops.strategies import part_of_replica

NO_BATCH = "`x` must have at least one batch. Received: none."


class StepLoop:
    """A function as `keras.Model.train_function`: takes an iterator, runs steps, returns logs.

    Args:
        step: from a batch to logs, a dictionary of tensors.
        on_lists: the same for iterators that are not those of a dataset: Keras' own function.
        steps_per_call: steps in a call, where the epoch has as many left.
        epoch: returns Keras' iterator over the epoch that the call belongs to; None if there is
            none, where all is left to Keras.
        strategy: the `tf.distribute` strategy, of one process.
        is_short: returns whether the epoch belongs to a training too short to compile for.
        shared: returns what lets models that look alike share a trace; None for a trace of one's
            own. Both are asked once an epoch.
    """

    def __init__(
        self,
        step: Callable[[Any], Any],
        on_lists: Callable[[Any], Any],
        steps_per_call: int,
        epoch: Callable[[], Any],
        strategy: tf.distribute.Strategy,
        is_short: Callable[[], bool],
        shared: Callable[[], SharedTrace | None],
    ) -> None:
        self._on_lists = on_lists
        self._steps_per_call = steps_per_call
        self._epoch = epoch
        # Weak, for an epoch holds on to its data.
        self._epoch_with_data: Callable[[], Any] = lambda: None
        self._is_short, self._shared = is_short, shared
        # Of an epoch, also weak: how to run its steps.
        self._run_in_epoch: tuple[Callable[[], Any], Callable[..., Any]] = (lambda: None, self._run)

        def on_replicas(batch: Any) -> Any:
            # Keras wraps what a `PyDataset` leaves out.
            batch = tf.nest.map_structure(
                lambda each: None if isinstance(each, tf.experimental.Optional) else each, batch
            )
            whole = strategy.num_replicas_in_sync > 1 and not any(
                isinstance(each, tf.distribute.DistributedValues) for each in tf.nest.flatten(batch)
            )
            replica_step = (lambda batch: step(part_of_replica(batch))) if whole else step
            logs = strategy.run(replica_step, args=(batch,))
            return strategy.experimental_local_results(logs)[0]

        self._on_replicas = on_replicas
        self._own = {
            is_short: tf.function(functools.partial(self._steps, is_short), autograph=False)
            for is_short in (False, True)
        }

    def __call__(self, iterator: Any) -> Any:
        """Runs the next steps; StopIteration if no batch is left, ValueError if none ever was."""
        epoch = self._epoch()
        of_dataset = isinstance(iterator, tf.data.Iterator | tf.distribute.DistributedIterator)
        if epoch is None or not of_dataset:
            return self._on_lists(iterator)
        left = self._steps_left(epoch)
        limit = min(left, self._steps_per_call)
        done, logs = self._run(epoch)(iterator, tf.constant(limit))
        done = int(done)
        # Keras has counted a whole call. The count tells it when an epoch has had all its batches.
        epoch._steps_seen -= self._steps_per_call - done
        if done:
            self._epoch_with_data = weakref.ref(epoch)
        elif epoch is self._epoch_with_data():
            raise StopIteration
        else:
            raise ValueError(NO_BATCH)
        if done < limit == left:  # the next epoch would begin with an iterator that has ended
            epoch._interrupted_warning()
            epoch._current_iterator = None
        return logs

    def _steps_left(self, epoch: Any) -> int:
        """Returns how many steps are left of an epoch; as many as there are batches if not told."""
        if not epoch.steps_per_epoch:
            return 2**31 - 1
        # An iterator is made where an epoch starts.
        done = (epoch._steps_seen - self._steps_per_call) % epoch.steps_per_epoch
        return int(epoch.steps_per_epoch - done)

    def _run(self, epoch: Any) -> Callable[..., Any]:
        """Returns the function that runs the steps of an epoch."""
        of_epoch, run = self._run_in_epoch
        if of_epoch() is not epoch:
            is_short = self._is_short()
            own, shared = self._own[is_short], self._shared()
            run = own if shared is None else functools.partial(shared.run, is_short, own)
            self._run_in_epoch = weakref.ref(epoch), run
        return run

    def _steps(self, is_short: bool, iterator: Any, limit: tf.Tensor) -> tuple[tf.Tensor, Any]:
        with op_by_op(is_short):
            return self._traced_steps(iterator, limit)

    def _traced_steps(self, iterator: Any, limit: tf.Tensor) -> tuple[tf.Tensor, Any]:
        step = tf.function(self._on_replicas, autograph=False)
        first = iterator.get_next_as_optional()
        logs = step.get_concrete_function(first.get_value()).structured_outputs
        logs = tf.nest.map_structure(lambda each: tf.zeros(each.shape, each.dtype), logs)

        def is_left(done: tf.Tensor, batch: Any, _: Any) -> tf.Tensor:
            return (done < limit) & batch.has_value()

        def run_one(done: tf.Tensor, batch: Any, _: Any) -> tuple[tf.Tensor, Any, Any]:
            logs = step(batch.get_value())
            with tf.control_dependencies(tf.nest.flatten(logs)):
                done += 1
            following = tf.cond(
                done < limit, lambda: iterator.get_next_as_optional(), lambda: batch
            )
            return done, following, logs

        done, _, logs = tf.while_loop(is_left, run_one, (tf.constant(0), first, logs))
        return done, logs
