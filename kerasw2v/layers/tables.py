"""Tables of trained rows, in one part or in several."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.ops.sharded_table import ShardedTable
from kerasw2v.utils.checks import check_int


def check_shards(shards: int, rows: int) -> int:
    """Returns a number of parts that so many rows can be kept in.

    Raises:
        TypeError, ValueError: if it is not a positive integer, or above the number of rows.
    """
    if check_int("shards", shards, minimum=1) > rows:
        raise ValueError(
            f"`shards` must be at most the number of rows. Received: shards={shards}, {rows} rows."
        )
    return shards


def add_table(
    layer: keras.layers.Layer, shape: tuple[int, int], initializer: Any, shards: int = 1
) -> Any:
    """Creates a layer's trained table, `embeddings`.

    Args:
        layer: who owns it.
        shape: rows and width.
        initializer: a Keras initializer of the whole table.
        shards: number of parts. They are placed on the GPUs in turn, or on the logical CPUs where
            there is none.

    Returns:
        A Keras weight, or a `ShardedTable` of several.
    """
    if check_shards(shards, shape[0]) == 1:
        return _add_part(layer, shape, initializer, "embeddings")
    with tf.device("CPU:0"):  # the same rows as in one part; the host has room for them
        rows = keras.initializers.get(initializer)(shape)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    parts = []
    for shard in range(shards):
        with tf.device(devices[shard % len(devices)].name):
            own = rows[shard::shards]
            given = lambda shape, dtype, own=own: own  # noqa: E731
            parts.append(_add_part(layer, own.shape, given, f"embeddings_{shard}"))
    return ShardedTable(parts)


def _add_part(layer: keras.layers.Layer, shape: Any, initializer: Any, name: str) -> Any:
    return layer.add_weight(
        shape=shape,
        initializer=initializer,
        autocast=False,  # else each step casts the whole table under mixed precision
        name=name,
    )
