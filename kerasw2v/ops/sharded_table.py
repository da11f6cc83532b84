"""A table in parts, for one that is larger than a device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class ShardedTable:
    """A `(V, d)` table in n parts: its row i is row `i // n` of part `i % n`.

    So frequent words are spread evenly. `ops.rows.gather_rows` and `ops.row_mass.add_row_mass` take
    it in place of one weight, and ask each part for the rows that it has.

    Args:
        parts: Keras weights, in order.

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
        """The whole table, put together: too large for a training step."""
        rows = tf.range(self.shape[0])
        places = [rows[shard :: len(self.parts)] for shard in range(len(self.parts))]
        return tf.dynamic_stitch(places, [part.value for part in self.parts])

    def numpy(self) -> np.ndarray:
        """Returns the whole table."""
        table: np.ndarray = self.value.numpy()
        return table

    def rows_of_parts(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Returns which rows of each part the ids name."""
        return self.split(ids, ids // len(self.parts))

    def split(self, ids: tf.Tensor, values: tf.Tensor) -> list[tf.Tensor]:
        """Returns, for each part, the values that belong to its ids."""
        return list(tf.dynamic_partition(values, ids % len(self.parts), len(self.parts)))

    def join(self, ids: tf.Tensor, found: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the parts' rows in the order of the ids: `ids.shape + (d,)`."""
        places = tf.reshape(tf.range(tf.size(ids)), tf.shape(ids))
        rows = tf.dynamic_stitch(self.split(ids, places), list(found))
        return tf.reshape(rows, tf.concat([tf.shape(ids), self.shape[1:]], axis=0))
