"""How many pair terms a training step merges into each row of a table: the row's *mass*.

Layers know it, the optimizer needs it (see `kerasw2v.optimizers.RowSGD`), and a gradient has no
place for it. So a layer calls `add_row_mass` where it looks rows up, and whoever runs the step
listens with `record_row_mass`. Without a listener nothing is kept and nothing is computed.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from kerasw2v.ops.sharded_table import ShardedTable

RowMass = list[tuple[tf.Tensor | None, tf.Tensor]]
# A softmax term curves up to four times as much as a logistic one, whose p (1 - p) is at most 1/4.
SOFTMAX_TERM_MASS = 4.0
_active = threading.local()


@contextmanager
def record_row_mass() -> Iterator[dict[int, RowMass]]:
    """Collects the masses that layers report inside the `with` block.

    Yields:
        A dictionary from `id(table)` to a list of `(ids, mass)`: the rows `ids` gained `mass`
        each; `ids` is None where `mass` has an entry for every row of the table.
    """
    outer = getattr(_active, "masses", None)
    masses: dict[int, RowMass] = {}
    _active.masses = masses
    try:
        yield masses
    finally:
        _active.masses = outer


def add_row_mass(
    table: Any, ids: tf.Tensor | None, mass: tf.Tensor | Callable[[], tf.Tensor]
) -> None:
    """Reports that rows `ids` of `table` take part in `mass` weighted pair terms.

    Args:
        table: the layer's weight, or a `ShardedTable` of several.
        ids: int32 tensor of any shape, or None for all rows in order.
        mass: float tensor of the shape of `ids` (`(V,)` for None), or a function that returns it.
    """
    masses = getattr(_active, "masses", None)
    if masses is None:
        return
    value = tf.stop_gradient(mass() if callable(mass) else mass)
    flat_ids = None if ids is None else tf.reshape(ids, [-1])
    for part, rows, of_rows in _of_parts(table, flat_ids, tf.reshape(value, [-1])):
        masses.setdefault(id(part), []).append((rows, of_rows))


def _of_parts(
    table: Any, ids: tf.Tensor | None, values: tf.Tensor
) -> list[tuple[Any, tf.Tensor | None, tf.Tensor]]:
    """Returns weights of a table, and which of their rows gain what."""
    if not isinstance(table, ShardedTable):
        return [(table, ids, values)]
    if ids is None:
        number = len(table.parts)
        return [(part, None, values[shard::number]) for shard, part in enumerate(table.parts)]
    split = zip(table.parts, table.rows_of_parts(ids), table.split(ids, values), strict=True)
    return list(split)


def term_mass(hidden: tf.Tensor, share: float = 1.0, least: float = 1.0) -> tf.Tensor:
    """Returns how many terms a term counts for, by its hidden vector: `(..., d) -> (...)`.

    `max(least, share * |h|^2)`: a softmax or logistic term curves with the square of that vector.
    Without biases a softmax over many words needs long vectors, and at word2vec's learning rates
    training diverges where this is left out.
    """
    square = tf.reduce_sum(tf.square(tf.cast(hidden, tf.float32)), axis=-1)
    return tf.stop_gradient(tf.maximum(least, share * square))
