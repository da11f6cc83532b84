"""How much a training step adds to each row of a table: the row's *mass*.

The mass of a row is an upper bound of the curvature of its loss, counted in logistic terms: the
number of weighted pair terms that meet in it. Layers know it, and `kerasw2v.optimizers.RowSGD`
needs it to bound the row's step. A layer calls `add_row_mass` where it looks rows up. Unless a step
is recorded (`ops.row_gradients.record_rows`) nothing is kept and nothing is computed.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasw2v.ops.row_gradients import RowMass, active_record
from kerasw2v.ops.sharded_table import ShardedTable

# A softmax term curves up to four times as much as a logistic one, whose p (1 - p) is at most 1/4.
SOFTMAX_TERM_MASS = 4.0


def add_row_mass(
    table: Any, ids: tf.Tensor | None, mass: tf.Tensor | Callable[[], tf.Tensor]
) -> None:
    """Reports that rows `ids` of `table` take part in `mass` weighted pair terms.

    Args:
        table: the layer's weight, or a `ShardedTable` of several.
        ids: int32 tensor of any shape, or None for all rows in order.
        mass: float tensor of the shape of `ids` (`(V,)` for None), or a function that returns it.
    """
    shards = table.parts if isinstance(table, ShardedTable) else [table]
    record = active_record(shards[0])
    if record is None:
        return
    values = tf.stop_gradient(mass() if callable(mass) else mass)
    values = tf.cast(tf.reshape(values, [-1]), tf.float32)
    flat_ids = None if ids is None else tf.reshape(ids, [-1])
    for shard, of_shard in zip(shards, _mass_of_shards(table, flat_ids, values), strict=True):
        record.add_mass(shard, of_shard)


def _mass_of_shards(table: Any, ids: tf.Tensor | None, values: tf.Tensor) -> list[RowMass]:
    """Returns which rows of each shard gain what."""
    if not isinstance(table, ShardedTable):
        return [RowMass(ids, values)]
    if ids is None:
        number = len(table.parts)
        return [RowMass(None, values[shard::number]) for shard in range(number)]
    return list(map(RowMass, table.rows_of_parts(ids), table.split(ids, values)))


def term_mass(hidden: tf.Tensor, share: float = 1.0, least: float = 1.0) -> tf.Tensor:
    """Returns the mass of one term by its hidden vector: `(..., d) -> (...)`.

    `max(least, share * |h|^2)`: a softmax or logistic term curves with the square of that vector.
    Without biases a softmax over many words needs long vectors, and at word2vec's learning rates
    training diverges where this is left out.
    """
    # As a product: XLA adds up the numbers of a row one by one.
    squares = tf.square(tf.cast(hidden, tf.float32))
    square = tf.linalg.matvec(squares, tf.ones([squares.shape[-1]]))
    return tf.stop_gradient(tf.maximum(least, share * square))
