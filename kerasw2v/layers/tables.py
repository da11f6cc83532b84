"""Tables of trained rows, whole or in shards."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.ops.ids import one_sentence_errors
from kerasw2v.ops.sharded_table import ShardedTable
from kerasw2v.utils.checks import check_int
from kerasw2v.utils.memory import check_memory


def check_shards(shards: int, rows: int) -> int:
    """Returns `shards`; raises TypeError or ValueError unless it is from 1 to `rows`."""
    if check_int("shards", shards, minimum=1) > rows:
        raise ValueError(
            f"`shards` must be at most the number of rows. Received: shards={shards}, {rows} rows."
        )
    return shards


def check_room(names: str, numbers: float, what: str) -> None:
    """Raises MemoryError if so many float32 do not fit into memory, see `utils.memory`.

    With a GPU nothing is checked: there TensorFlow tells, and nothing is killed.
    """
    if not tf.config.list_physical_devices("GPU"):
        with one_sentence_errors():
            check_memory(names, 4 * numbers, what)


def check_table(rows: int, dim: int, tables: int = 1, width: str = "embedding_dim") -> None:
    """Raises MemoryError if `tables` tables of a model do not fit into memory together.

    `width` is the argument that decides about `dim`.
    """
    some = "a table" if tables == 1 else f"{tables} tables"
    what = f"{some} of {rows:,} x {dim:,} numbers"
    check_room(f"The vocabulary or `{width}`", tables * rows * dim, what)


def check_scores(names: str, words: int, dim: int, rows: int | None = None) -> None:
    """Raises MemoryError if the vectors of `words` words, and scores with `rows`, do not fit.

    `rows` are hidden vectors that each of the words is scored with; None where it is not known.
    """
    what = f"a step with the vectors of {words:,} words, {dim:,} numbers each, and their scores"
    check_room(names, words * (dim + (rows or 1)), what)


def add_table(
    layer: keras.layers.Layer, shape: tuple[int, int], initializer: Any, shards: int = 1
) -> Any:
    """Creates a layer's trained table: a Keras weight, or a `ShardedTable` of several.

    Shards are placed on the GPUs in turn, or on the logical CPUs where there is none.
    """
    check_table(*shape)
    if check_shards(shards, shape[0]) == 1:
        return _add_weight(layer, shape, initializer, "embeddings")
    with tf.device("CPU:0"):  # the same rows as in a whole table; the host has room for them
        table = keras.initializers.get(initializer)(shape)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    parts = []
    for shard in range(shards):
        rows = table[shard::shards]
        with tf.device(devices[shard % len(devices)].name):
            initial = lambda shape, dtype, rows=rows: rows  # noqa: E731
            parts.append(_add_weight(layer, rows.shape, initial, f"embeddings_{shard}"))
    return ShardedTable(parts)


def _add_weight(layer: keras.layers.Layer, shape: Any, initializer: Any, name: str) -> Any:
    # With `autocast` each step would cast the whole table under mixed precision.
    return layer.add_weight(shape=shape, initializer=initializer, autocast=False, name=name)
