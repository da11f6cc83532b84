"""What a `tf.distribute` strategy means for a step: its chief, its logs, its lost workers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


def is_multi_worker(strategy: Any) -> bool:
    """Returns whether a strategy spans several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and bool(
        strategy.extended._in_multi_worker_mode()
    )


def is_chief(strategy: Any) -> bool:
    """Returns whether this process is the one that writes; a single process always is."""
    return not is_multi_worker(strategy) or strategy.cluster_resolver.task_id == 0


def reducible_logs(logs: dict[str, tf.Tensor], strategy: Any) -> dict[str, tf.Tensor]:
    """Returns logs as vectors of one number: Keras 3.15 averages workers' logs over axis 0."""
    if not is_multi_worker(strategy):
        return logs
    return {name: tf.reshape(value, [1]) for name, value in logs.items()}


@contextmanager
def lost_workers_are_errors(strategy: Any) -> Iterator[None]:
    """Turns TensorFlow's errors of a lost worker into a ConnectionError of one sentence.

    The other processes cannot continue: TensorFlow's collectives do not recover. All of them have
    to be started again; with a `kerasw2v.callbacks.Checkpoint` they continue from there. Unless
    the strategy spans processes, errors pass unchanged.
    """
    try:
        yield
    except LOST as error:
        if not is_multi_worker(strategy):
            raise
        raise ConnectionError(
            "Another worker was lost; start all of them again, and training goes on from the last "
            "checkpoint, if there is one."
        ) from error


def repeated_for_workers(dataset: Any, strategy: Any) -> tuple[Any, int | None]:
    """Returns an infinite dataset for several workers, and the number of steps in an epoch.

    With a finite dataset, TensorFlow asks all workers before each step whether any of them has data
    left, and forgets the shape of a batch, so that nothing can be compiled. Returns
    `(dataset, None)` unless the strategy spans processes and the dataset is a `tf.data.Dataset` of
    known length with batches of one size.
    """
    if not (is_multi_worker(strategy) and isinstance(dataset, tf.data.Dataset)):
        return dataset, None
    steps = int(dataset.cardinality())
    specs = tf.nest.flatten(dataset.element_spec)
    if steps <= 0 or not all(spec.shape.is_fully_defined() for spec in specs):
        return dataset, None
    return dataset.repeat(), steps


def local_replicas(strategy: Any) -> int:
    """Returns how many replicas run in this process."""
    return 1 if strategy.num_replicas_in_sync == 1 else len(strategy.extended.worker_devices)


def divides_on_host(strategy: Any) -> bool:
    """Returns whether a step should divide whole batches among its replicas itself.

    By default TensorFlow runs an iterator of its own for each device. On CPUs its threads share the
    cores with the step.
    """
    return (
        isinstance(strategy, tf.distribute.MirroredStrategy)
        and strategy.num_replicas_in_sync > 1
        and all("CPU" in device for device in strategy.extended.worker_devices)
    )


def part_of_replica(batch: Any) -> Any:
    """Returns this replica's share of the examples of a batch, as TensorFlow divides them."""
    context = tf.distribute.get_replica_context()
    number = tf.get_static_value(tf.convert_to_tensor(context.replica_id_in_sync_group))
    replicas = context.num_replicas_in_sync

    def part(array: Any) -> Any:
        size = array.shape[0]
        size = tf.shape(array)[0] if size is None else size
        share = -(-size // replicas)
        return array[number * share : (number + 1) * share]

    return tf.nest.map_structure(lambda each: None if each is None else part(each), batch)


def from_chief(strategy: Any, variables: Sequence[Any]) -> None:
    """Sets Keras variables, in the same order everywhere, to their values in the chief's process.

    Nothing happens unless the strategy, under which they were made, spans processes.
    """
    if not is_multi_worker(strategy):
        return

    @tf.function
    def sums() -> Any:
        def replica() -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group, 0)  # on the chief
            values = [tf.identity(variable.value) for variable in variables]
            values = [value * tf.cast(is_first, value.dtype) for value in values]
            # One by one: TensorFlow packs a list together even if its types differ.
            return [context.all_reduce(tf.distribute.ReduceOp.SUM, value) for value in values]

        return strategy.run(replica)

    with lost_workers_are_errors(strategy):
        totals = sums()
    for variable, total in zip(variables, totals, strict=True):
        variable.assign(strategy.experimental_local_results(total)[0])
