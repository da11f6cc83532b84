"""A table in shards, for one that is larger than a device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class ShardedTable:
    """A `(V, d)` table in n shards: its row i is row `i // n` of shard `i % n`.

    So frequent words are spread evenly. `ops.rows.gather_rows` and `ops.row_mass.add_row_mass` take
    it in place of a weight.

    Args:
        parts: the shards, Keras weights, in order.

    Example:

    >>> import keras
    >>> table = ShardedTable([keras.Variable([[0.0], [2.0]]), keras.Variable([[1.0]])])
    >>> table.numpy().ravel().tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole table."""
        return sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:]

    @property
    def value(self) -> tf.Tensor:
        """The whole table as one tensor: too large for a training step."""
        ids = tf.range(self.shape[0])
        ids_by_shard = [ids[shard :: len(self.parts)] for shard in range(len(self.parts))]
        return tf.dynamic_stitch(ids_by_shard, [part.value for part in self.parts])

    def numpy(self) -> np.ndarray:
        """Returns the whole table."""
        table: np.ndarray = self.value.numpy()
        return table

    def rows_of_parts(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Returns, for each shard, the ids' rows in it."""
        return self.split(ids, ids // len(self.parts))

    def split(self, ids: tf.Tensor, values: tf.Tensor) -> list[tf.Tensor]:
        """Returns, for each shard, the values that belong to its ids."""
        return list(tf.dynamic_partition(values, ids % len(self.parts), len(self.parts)))

    def join(self, ids: tf.Tensor, rows_of_parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the shards' rows in the order of the ids: `ids.shape + (d,)`."""
        indices = tf.reshape(tf.range(tf.size(ids)), tf.shape(ids))
        rows = tf.dynamic_stitch(self.split(ids, indices), list(rows_of_parts))
        return tf.reshape(rows, tf.concat([tf.shape(ids), self.shape[1:]], axis=0))
