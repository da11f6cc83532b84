"""Reading rows of a table, and what is done with rows one by one."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length, fused, fused_per_bucket
from kerasw2v.ops.row_gradients import RowProducts, RowSlices, active_record
from kerasw2v.ops.sharded_table import ShardedTable

_NUMBERS_READ = 2**23


def gather_rows(table: Any, ids: tf.Tensor, dtype: Any, is_bucketed: bool = False) -> tf.Tensor:
    """Gathers rows of a Keras weight `(V, d)`, or of a `ShardedTable` of several, cast to `dtype`.

    It reads the `tf.Variable` itself: `keras.ops.take` would read, and after the first sparse
    update copy, the whole table. The gradient is a `tf.IndexedSlices`, or
    `ops.row_gradients.RowSlices` while a step is recorded. `is_bucketed` says that a shape of `ids`
    that is unknown beforehand takes few values.
    """
    if isinstance(table, ShardedTable):
        shards = zip(table.parts, table.rows_of_parts(ids), strict=True)
        return table.join(ids, [gather_rows(shard, rows, dtype) for shard, rows in shards])
    rows = tf.gather(copy_of_replica(table.value), ids)
    record = active_record(table)
    if record is None:
        return tf.cast(rows, dtype)
    flat_ids = tf.reshape(ids, [-1])
    flat = tf.stop_gradient(tf.reshape(rows, [-1, *table.shape[1:]]))
    record.add_lookup(
        table, flat, lambda gradient: RowSlices(flat_ids, gradient, is_bucketed=is_bucketed)
    )
    return tf.cast(tf.reshape(flat, tf.shape(rows)), dtype)


def sums_of_rows(
    table: Any, ids: tf.Tensor, owners: tf.Tensor, size: tf.Tensor, dtype: Any
) -> tf.Tensor:
    """Returns for each owner the sum of its rows, `(size, d)`, cast to `dtype`.

    Each row gets the gradient of its owner's sum, which is written once for all of them.

    Args:
        table: a Keras weight `(N, d)`.
        ids: int32, `(m,)`, rows of it; m takes few values.
        owners: int32, `(m,)`, ascending; from `size` on for padding.
        size: number of owners.
        dtype: of the sums.
    """
    record = active_record(table)
    if record is None:
        rows = gather_rows(table, ids, dtype)
        return sum_by_owner(rows, owners, size + 1)[:size]
    value, half = copy_of_replica(table.value), size // 2
    cut = tf.searchsorted(owners, half[None])[0]
    # Two chains of ops, which two cores share.
    sums = [
        sum_by_owner(tf.gather(value, ids[:cut]), owners[:cut], half),
        sum_by_owner(tf.gather(value, ids[cut:]), owners[cut:] - half, size - half + 1)[:-1],
    ]
    joined = tf.stop_gradient(tf.concat(sums, axis=0))

    def as_slices(gradient: tf.Tensor) -> RowSlices:
        padded = tf.pad(gradient, [[0, 1], [0, 0]])
        return RowSlices(ids, padded, is_bucketed=True, owners=owners)

    record.add_lookup(table, joined, as_slices)
    return tf.cast(joined, dtype)


def is_finite(variable: Any) -> bool:
    """Whether all numbers of a Keras weight are finite; read in parts, so that none is copied."""
    value = copy_of_replica(variable.value)
    if not value.shape.rank:
        return bool(tf.math.is_finite(tf.cast(value, tf.float32)))
    rows = max(1, _NUMBERS_READ // max(1, math.prod(value.shape[1:])))
    for start in range(0, value.shape[0], rows):
        part = tf.gather(value, tf.range(start, min(start + rows, value.shape[0])))
        if not math.isfinite(tf.reduce_sum(tf.cast(part, tf.float32))):
            return False
    return True


def copy_of_replica(variable: Any) -> Any:
    """Returns a replica's own copy: `tf.gather` would read all of a variable with several."""
    if isinstance(variable, tf.distribute.DistributedValues):
        return variable._get()
    return variable


@tf.custom_gradient
def row_products(
    left: tf.Tensor, right: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """Returns the product of each row with its partner: `(..., d), (..., d) -> (...)`.

    Automatic differentiation of the sum would first write out a copy of the slope for each number.
    """

    def gradient(slope: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return slope[..., None] * right, slope[..., None] * left

    return tf.reduce_sum(left * right, axis=-1), gradient


def products_with_rows(table: Any, ids: tf.Tensor, partners: tf.Tensor) -> tf.Tensor:
    """Returns the product of each row of a table with its partner: `(...), (..., d) -> (...)`.

    The table is any that `gather_rows` takes.
    """
    record = None if isinstance(table, ShardedTable) else active_record(table)
    if record is None:
        return row_products(partners, gather_rows(table, ids, partners.dtype))
    rows = tf.cast(tf.gather(copy_of_replica(table.value), ids), partners.dtype)
    products = row_products(partners, tf.stop_gradient(rows))
    values = tf.stop_gradient(tf.cast(tf.reshape(partners, [-1, table.shape[1]]), table.dtype))

    def as_slices(slopes: tf.Tensor) -> RowSlices:
        scale = tf.cast(tf.reshape(slopes, [-1]), table.dtype)
        return RowSlices(tf.reshape(ids, [-1]), values, scale)

    record.add_lookup(table, products, as_slices)
    return products


def matrix_products_with_rows(
    table: Any, ids: tf.Tensor, partners: tf.Tensor, is_bucketed: bool = False
) -> tf.Tensor:
    """Returns the products of blocks of rows with all partners of their block.

    Shapes are `(b, m), (b, L, d) -> (b, m, L)`; `table` and `is_bucketed` as in `gather_rows`.
    """
    record = None if isinstance(table, ShardedTable) else active_record(table)
    if record is None:
        rows = gather_rows(table, ids, partners.dtype, is_bucketed)
        return tf.matmul(rows, partners, transpose_b=True)
    rows = tf.cast(tf.gather(copy_of_replica(table.value), ids), partners.dtype)
    products = tf.matmul(tf.stop_gradient(rows), partners, transpose_b=True)
    values = tf.stop_gradient(tf.cast(partners, table.dtype))

    def as_slices(slopes: tf.Tensor) -> RowProducts:
        factors = tf.cast(slopes, table.dtype)
        return RowProducts(tf.reshape(ids, [-1]), factors, values, is_bucketed)

    record.add_lookup(table, products, as_slices)
    return products


def distinct(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each id once, and the index of every id among them.

    Returns:
        `(words, indices)`. `words`: int32, `(n,)`, in order of appearance, padded with zeros to a
        bucket (see `ops.fused.bucketed_length`). `indices`: int32, of the shape of `ids`;
        `tf.gather(words, indices)` are the ids.
    """
    words, indices = tf.unique(tf.reshape(ids, [-1]))
    missing = bucketed_length(tf.size(words)) - tf.size(words)
    return tf.pad(words, [[0, missing]]), tf.reshape(indices, tf.shape(ids))


@tf.custom_gradient
def rows_at(
    rows: tf.Tensor, indices: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns rows, some of them more than once: `(n, d), (...) -> (..., d)`.

    Its gradient is dense, and sums in a fixed order.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        flat = tf.reshape(upstream, [-1, upstream.shape[-1]])
        return _sum_by_index(flat, tf.reshape(indices, [-1]), rows), None

    return tf.gather(rows, indices), gradient


@fused_per_bucket
def _sum_by_index(values: tf.Tensor, indices: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return tf.math.unsorted_segment_sum(values, indices, tf.shape(rows)[0])


@fused
def count_equal(ids: tf.Tensor, pool: tf.Tensor) -> tf.Tensor:
    """Counts, for each id, how often it is in its group's pool.

    Shapes are `(groups, n), (groups, k) -> (groups, n)`, the counts float32.
    """
    return tf.reduce_sum(tf.cast(ids[:, :, None] == pool[:, None, :], tf.float32), axis=-1)


def sum_by_owner(values: tf.Tensor, owners: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Sums the values of each owner, `(size, ...)`; owners must rise, which makes it fast."""
    sums = tf.math.segment_sum(values, owners)
    missing = [[0, size - tf.shape(sums)[0]]] + [[0, 0]] * (len(values.shape) - 1)
    return tf.pad(sums, missing)
