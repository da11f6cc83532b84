"""Merging tables that workers have trained apart from each other, by rows.

Since the last merge worker w has moved a row by `change_w`, with the mass `m_w` in all its steps
together (see `ops.row_mass`). With the learning rate r and a limit T, all workers get

    row = row before + scale * sum over w of max(1, r * m_w / T) * change_w
    scale = min(1, T / (r * sum over w of m_w))

So changes add up while a row's steps are few, as they would in one process; what one worker alone
has moved stays as it is; and a row that all have moved until it hardly moves any more becomes a
mean of what they found, weighted by mass. An average would instead lose part of each rare row.

Masses are sent first, as float32; then each worker knows its share and sends that, as float16.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.ops.row_gradients import RowGradient

DEFAULT_LIMIT = 1000.0

# Marks rows that a gradient names without a mass; it changes no sum of float32 masses.
_LEAST_MASS = 1e-30
# Changes are sent in half precision, which rounds them by 1 / 2048 at most, in units of 1 / 256.
_SENT_UNITS = 256.0
# A gradient of a whole weight has no mass: it counts as one of which workers take the mean.
_MASS_OF_DENSE = 1e6


def add_masses(kept: tf.Variable, gradient: Any) -> None:
    """Adds the masses of a step to those of earlier ones; rows that are named have more than 0.

    Args:
        kept: float32, `(V,)`.
        gradient: the `RowGradient` of a table, or a tensor.
    """
    if not isinstance(gradient, RowGradient):
        kept.assign_add(tf.fill(kept.shape, _MASS_OF_DENSE))
        return
    mass = gradient.mass
    if mass.ids is None or any(each.ids is None for each in gradient.slices):
        kept.assign_add(mass.total(gradient.shape[0]) + _LEAST_MASS)
        return
    kept.scatter_add(tf.IndexedSlices(mass.values, mass.ids))
    for each in gradient.slices:
        named = tf.fill(tf.shape(each.ids), _LEAST_MASS)
        kept.scatter_add(tf.IndexedSlices(named, each.ids))


class MergedTable(NamedTuple):
    """What a worker keeps of a table.

    Attributes:
        table: the table that it trains, `(V, ...)`.
        before: the table after the last merge of each row, the same on all workers.
        masses: of the steps since then, `(V,)`.
    """

    table: tf.Variable
    before: tf.Variable
    masses: tf.Variable


def kept_share(own: tf.Tensor, total: tf.Tensor, limit: float) -> tf.Tensor:
    """Returns which share of its own change of a row a worker hands on, at most 1.

    `min(1, T / total) * max(1, own / T)`, with `own` its mass times the learning rate and `total`
    that of all workers.
    """
    share = tf.minimum(1.0, limit / tf.maximum(total, 1e-30)) * tf.maximum(1.0, own / limit)
    return tf.minimum(1.0, share)


def change_to_send(of: MergedTable, ids: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Returns a worker's share of the change of some rows, flat, as it is sent.

    A number that changes by 256 or more becomes infinite, as training that diverges does.
    """
    change = tf.cast(tf.gather(of.table, ids) - tf.gather(of.before, ids), tf.float32)
    change = tf.reshape(change, [tf.size(ids), -1]) * (_SENT_UNITS * share)[:, None]
    return tf.reshape(tf.cast(change, tf.float16), [-1])


def add_change(of: MergedTable, ids: tf.Tensor, total: tf.Tensor) -> None:
    """Sets some rows to what they were before and the summed change; their mass is 0 then."""
    before = tf.gather(of.before, ids)
    change = tf.reshape(tf.cast(total, tf.float32) / _SENT_UNITS, tf.shape(before))
    after = before + tf.cast(change, before.dtype)
    for variable in (of.table, of.before):
        variable.scatter_update(tf.IndexedSlices(after, ids))
    of.masses.scatter_update(tf.IndexedSlices(tf.zeros(tf.shape(ids)), ids))


class RowMerger:
    """Merges the tables of the workers of a strategy; all of them must do so at the same steps.

    Args:
        strategy: of several processes, one replica each.
        tables: of the same shapes on all workers, and equal when this is made.
        masses: for each the masses of its rows, `(V,)`; None for a scalar, which is not merged.
        limit: T, see above.
    """

    def __init__(
        self,
        strategy: Any,
        tables: Sequence[tf.Variable],
        masses: Sequence[tf.Variable | None],
        limit: float,
    ) -> None:
        self._strategy = strategy
        self._tables = [
            MergedTable(table, tf.Variable(table, trainable=False), of_table)
            for table, of_table in zip(tables, masses, strict=True)
            if of_table is not None
        ]
        for each in self._tables:
            each.masses.assign(tf.zeros_like(each.masses))
        self._limit = limit
        ids = tf.TensorSpec([None], tf.int32)
        self._exchange = tf.function(
            self._exchanged,
            input_signature=[[ids] * len(self._tables), tf.TensorSpec([], tf.float32)],
            autograph=False,
        )
        self._gather = tf.function(
            self._gathered, input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False
        )

    def merge(self, learning_rate: float) -> None:
        """Merges all rows that any worker has moved since the last time."""
        moved = np.concatenate([each.masses.numpy() > 0 for each in self._tables])
        gathered = self._local(self._gather(packed(moved))).numpy()
        moved = set_in_any(gathered, len(moved))
        sizes = [each.table.shape[0] for each in self._tables]
        ids = [
            np.flatnonzero(of_table).astype(np.int32)
            for of_table in np.split(moved, np.cumsum(sizes)[:-1])
        ]
        self._exchange(ids, learning_rate)

    def _local(self, values: Any) -> Any:
        return self._strategy.experimental_local_results(values)[0]

    def _gathered(self, flags: tf.Tensor) -> Any:
        return self._strategy.run(
            lambda: tf.distribute.get_replica_context().all_gather(tf.identity(flags)[None], axis=0)
        )

    def _exchanged(self, ids: list[tf.Tensor], learning_rate: tf.Tensor) -> None:
        pairs = list(zip(self._tables, ids, strict=True))
        own = [learning_rate * tf.gather(each.masses, rows) for each, rows in pairs]
        total = self._sum(tf.concat(own, axis=0))
        share = kept_share(tf.concat(own, axis=0), total, self._limit)
        shares = tf.split(share, [tf.size(rows) for rows in ids], num=len(ids))
        changes = [
            change_to_send(each, rows, of_rows)
            for (each, rows), of_rows in zip(pairs, shares, strict=True)
        ]
        total = self._sum(tf.concat(changes, axis=0))
        totals = tf.split(total, [tf.size(change) for change in changes], num=len(changes))
        for (each, rows), change in zip(pairs, totals, strict=True):
            add_change(each, rows, change)

    def _sum(self, vector: tf.Tensor) -> tf.Tensor:
        """Returns the sum over the workers, the same bits on all of them."""

        def replica() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(vector))

        return self._local(self._strategy.run(replica))


def packed(flags: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Returns flags as bits, 32 in a number."""
    padded = np.pad(flags, (0, -len(flags) % 32))
    return np.packbits(padded).view(np.int32)


def set_in_any(gathered: NDArray[np.int32], length: int) -> NDArray[np.bool_]:
    """Returns which flags are set in any row of packed ones, `(workers, numbers)`."""
    together = np.bitwise_or.reduce(gathered, axis=0)
    return np.unpackbits(together.view(np.uint8), count=length).astype(bool)
