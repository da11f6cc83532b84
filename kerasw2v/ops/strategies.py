"""TODO."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


def is_multi_worker(strategy: Any) -> bool:
    """Tells whether a strategy spans several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and bool(
        strategy.extended._in_multi_worker_mode()
    )


def is_chief(strategy: Any) -> bool:
    """Tells whether this process is the one that writes, which a single one always is."""
    return not is_multi_worker(strategy) or strategy.cluster_resolver.task_id == 0


def reducible_logs(logs: dict[str, tf.Tensor], strategy: Any) -> dict[str, tf.Tensor]:
    """Returns the logs of a step in the form that `fit` can reduce: vectors of one number.

    Between several workers Keras 3.15 averages them over axis 0, which a scalar has not.
    """
    if not is_multi_worker(strategy):
        return logs
    return {name: tf.reshape(value, [1]) for name, value in logs.items()}


@contextmanager
def lost_workers_are_errors(strategy: Any) -> Iterator[None]:
    """Turns what TensorFlow raises when a peer is lost into a ConnectionError of one sentence.

    The processes that are left cannot go on without it: TensorFlow's collectives end for good. All
    of them have to be started again; with a `kerasw2v.callbacks.Checkpoint` they go on from there.

    Args:
        strategy: the `tf.distribute.Strategy`; nothing is turned unless it spans processes.
    """
    try:
        yield
    except _LOST as error:
        if not is_multi_worker(strategy):
            raise
        raise ConnectionError(
            "Another worker was lost; start all of them again, and training goes on from the last "
            "checkpoint, if there is one."
        ) from error


def repeated_for_workers(dataset: Any, strategy: Any) -> tuple[Any, int | None]:
    """Returns a dataset for several workers, and how many steps of it are an epoch.

    Where a dataset ends, TensorFlow has all workers ask each other before each step whether anybody
    has data left, and forgets the shape of a batch, so that nothing can be compiled.

    Args:
        dataset: what `fit` was given.
        strategy: the `tf.distribute.Strategy`.

    Returns:
        `(dataset, None)` as it is, unless the strategy spans processes and it is a
        `tf.data.Dataset` of known length, all batches of one size.
    """
    if not (is_multi_worker(strategy) and isinstance(dataset, tf.data.Dataset)):
        return dataset, None
    steps = int(dataset.cardinality())
    specs = tf.nest.flatten(dataset.element_spec)
    if steps <= 0 or not all(spec.shape.is_fully_defined() for spec in specs):
        return dataset, None
    return dataset.repeat(), steps


def from_chief(strategy: Any, variables: Sequence[Any]) -> None:
    """Sets variables to what they are in the chief's process.

    Args:
        strategy: the `tf.distribute.Strategy`; nothing happens unless it spans processes.
        variables: Keras variables, made under the strategy, in the same order everywhere.
    """
    if not is_multi_worker(strategy):
        return

    @tf.function
    def sums() -> Any:
        def replica() -> list[tf.Tensor]:
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group, 0)  # the chief's first
            values = [tf.identity(variable.value) for variable in variables]
            values = [value * tf.cast(is_first, value.dtype) for value in values]
            # One by one: in a list TensorFlow would pack them together, whatever their types.
            return [context.all_reduce(tf.distribute.ReduceOp.SUM, value) for value in values]

        return strategy.run(replica)

    for variable, total in zip(variables, sums(), strict=True):
        variable.assign(strategy.experimental_local_results(total)[0])
