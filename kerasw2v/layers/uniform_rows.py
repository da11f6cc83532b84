"""First rows of tables: large ones are drawn in parts, to take no more memory than the table."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.ops.seeds import named_seed

_LARGE = 2**26  # numbers
_PART = 2**24


@keras.saving.register_keras_serializable("kerasw2v")
class UniformRows(keras.initializers.RandomUniform):
    """`keras.initializers.RandomUniform`, which can also fill a table in parts.

    Called, it takes three times the memory of a table, and TensorFlow keeps what was freed: at
    millions of words more than all of the training. `fill` takes no more than the table.
    """

    def fills(self, shape: tuple[int, int]) -> bool:
        """Whether a table is so large that `fill` is to draw its rows."""
        return shape[0] * shape[1] > _LARGE

    def fill(self, table: Any) -> None:
        """Draws the rows of a table: a variable, or the copies of one under a strategy."""
        rows = max(1, _PART // table.shape[1])
        for start in range(0, table.shape[0], rows):
            end = min(start + rows, table.shape[0])
            draw = keras.initializers.RandomUniform(
                self.minval, self.maxval, named_seed(self.seed, f"rows from {start}")
            )
            values = draw((end - start, table.shape[1]), table.dtype.name)
            for each in getattr(table, "values", [table]):
                with tf.device(each.device):
                    # In place, which an assignment to a slice is not.
                    each.scatter_update(tf.IndexedSlices(values, tf.range(start, end)))
