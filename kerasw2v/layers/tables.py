"""Tables of trained rows, whole or in shards."""

import warnings
from typing import Any

import keras
import tensorflow as tf

from kerasw2v.layers.uniform_rows import UniformRows
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
    layer: keras.layers.Layer,
    shape: tuple[int, int],
    initializer: Any,
    shards: int = 1,
    name: str = "embeddings",
) -> Any:
    """Creates a layer's trained table: a Keras weight, or a `ShardedTable` of several.

    Shards are placed on the GPUs in turn, or on the logical CPUs where there is none.
    """
    check_table(*shape)
    if check_shards(shards, shape[0]) == 1:
        if not (isinstance(initializer, UniformRows) and initializer.fills(shape)):
            return _add_weight(layer, shape, initializer, name)
        weight = _add_weight(layer, shape, "zeros", name)
        initializer.fill(weight.value)
        return weight
    with tf.device("CPU:0"):  # the same rows as in a whole table; the host has room for them
        table = keras.initializers.get(initializer)(shape)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    parts = []
    for shard in range(shards):
        rows = table[shard::shards]
        with tf.device(devices[shard % len(devices)].name):
            initial = lambda shape, dtype, rows=rows: rows  # noqa: E731
            parts.append(_add_weight(layer, rows.shape, initial, f"{name}_{shard}"))
    return ShardedTable(parts)


def check_tie(layer: Any, embeddings: Any) -> Any:
    """Returns the embedding that an output layer shares its table with; raises unless it can."""
    if embeddings is None:
        return None
    name, size = type(layer).__name__, layer.vocabulary_size
    if not layer.can_tie:
        raise ValueError(
            f"`embeddings` must be None for {name}, which has no output vector for each word. "
            f"Received: embeddings={embeddings!r}."
        )
    if not getattr(embeddings, "can_tie", True):
        raise ValueError(
            f"`embeddings` must be a layer with one row for each word, not a "
            f"{type(embeddings).__name__}. Received: embeddings={embeddings!r}."
        )
    rows = getattr(embeddings, "vocabulary_size", getattr(embeddings, "input_dim", None))
    if not isinstance(embeddings, keras.layers.Layer) or not hasattr(
        type(embeddings), "embeddings"
    ):
        raise TypeError(
            "`embeddings` must be a keras.layers.Embedding or a kerasw2v.layers.EmbeddingLookup. "
            f"Received: embeddings={embeddings!r}."
        )
    if rows != size:
        raise ValueError(
            f"`embeddings` must have a row for each of {size} words. Received: {rows} rows."
        )
    if layer.shards > 1:
        raise ValueError(
            "`shards` must be 1 where `embeddings` are shared: their table is divided as it is. "
            f"Received: shards={layer.shards}."
        )
    return embeddings


def tied_table(embeddings: Any, embedding_dim: int | None = None) -> Any:
    """Returns the table of a shared embedding; raises ValueError unless it is built and fits."""
    if not embeddings.built:
        raise ValueError(
            "`embeddings` must be a built layer when the output layer that shares it is first "
            f"called: call or build it before. Received: embeddings={embeddings!r}."
        )
    table = getattr(embeddings, "table", None)
    table = embeddings.embeddings if table is None else table
    if embedding_dim not in (None, table.shape[1]):
        raise ValueError(
            "`hidden` must have the width of the shared `embeddings`. "
            f"Received: hidden vectors of {embedding_dim}, embeddings of {table.shape[1]}."
        )
    return table


def warn_of_lost_tie(layer: Any, embeddings: Any) -> None:
    """Warns if a functional model calls an output layer, but not the embedding it is tied to."""
    if embeddings is not None and not embeddings._inbound_nodes:
        warnings.warn(
            f"{layer.name} shares the table of {embeddings.name}, which no model has called. If "
            "this is a clone: `clone_model` copies the shared layer apart, so the tie is lost.",
            stacklevel=2,
        )


def _add_weight(layer: keras.layers.Layer, shape: Any, initializer: Any, name: str) -> Any:
    # With `autocast` each step would cast the whole table under mixed precision.
    return layer.add_weight(shape=shape, initializer=initializer, autocast=False, name=name)


def is_in_use(weight: Any) -> bool:
    """Returns whether a weight has its variable; not while Keras builds a model symbolically."""
    return isinstance(weight.value, tf.Variable | tf.distribute.DistributedValues)
