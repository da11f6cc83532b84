"""Summing gradients over replicas: as the rows they name, or as whole tables.

Replicas of one process (`MirroredStrategy`) need no messages: each copy of a table subtracts the
slices of all replicas as they are (`joined`), so that the rows of a batch travel once, unmerged.

Between processes, each replica names some rows of a table. Sent as rows, what a replica receives
grows with the number of replicas; summed as whole tables, in a ring, with the vocabulary:

    rows:   (replicas - 1) * rows * (4 * (width + 1) + 8)        bytes a table
    dense:  2 * (replicas - 1) / replicas * V * 4 * (width + 1)

with 4 bytes for each number of a row and for its mass (`ops.row_mass`), 8 for its id. Here `rows`
is the number of slices of one replica's gradient, before those of one row are merged: that is known
when the step is traced, and no less than what is sent.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasw2v.ops.row_gradients import (
    RowGradient,
    RowMass,
    RowSlices,
    all_ids,
    as_slices,
    joined_masses,
)

REDUCTIONS = ("auto", "rows", "dense")

_FLOAT_BYTES = 4
_ID_BYTES = 8


def bytes_as_rows(rows: int, width: int, replicas: int) -> float:
    """Returns the bytes that each replica receives in a step if each sends so many rows."""
    return (replicas - 1) * rows * (_FLOAT_BYTES * (width + 1) + _ID_BYTES)


def bytes_as_table(vocabulary_size: int, width: int, replicas: int) -> float:
    """Returns the bytes that each replica receives in a step if whole tables are summed."""
    return 2 * (replicas - 1) / replicas * vocabulary_size * _FLOAT_BYTES * (width + 1)


def cheaper_reduction(rows: int | None, vocabulary_size: int, width: int, replicas: int) -> str:
    """Returns which way moves fewer bytes, `"rows"` or `"dense"`.

    `rows` is the number of slices of one replica's gradient; None if that is not known, for
    `"rows"`.
    """
    if rows is None:
        return "rows"
    as_rows = bytes_as_rows(min(rows, vocabulary_size), width, replicas)
    return "rows" if as_rows <= bytes_as_table(vocabulary_size, width, replicas) else "dense"


def joins_in_process(reduction: str) -> bool:
    """Returns whether this step runs on replicas of one process that need not send messages."""
    strategy = tf.distribute.get_strategy()
    return (
        reduction != "dense"
        and isinstance(strategy, tf.distribute.MirroredStrategy)
        and strategy.num_replicas_in_sync > 1
        and bool(strategy.extended._use_merge_call())
    )


def joined(gradients: Sequence[Any]) -> Any:
    """Returns the sum of the gradients of all replicas, on the device where it is called.

    Slices of rows are kept as they are, one after the other; whole tables are added.
    """
    if not isinstance(gradients[0], RowGradient):
        return tf.add_n(list(gradients))
    slices = [each for gradient in gradients for each in gradient.slices]
    whole = [each.rows().values for each in slices if each.ids is None]
    slices = [each for each in slices if each.ids is not None]
    if whole:
        slices.append(RowSlices(None, tf.add_n(whole)))
    masses, shape = [gradient.mass for gradient in gradients], gradients[0].shape
    if all(mass.ids is None for mass in masses):
        return RowGradient(slices, RowMass(None, tf.add_n([each.values for each in masses])), shape)
    return RowGradient(slices, joined_masses(masses, shape[0]), shape)


def sum_over_replicas(gradients: list[Any], reduction: str) -> list[Any]:
    """Sums gradients over the replicas; every replica gets the same sums, bit by bit.

    How row-sparse gradients travel is one of `REDUCTIONS`. With one replica the gradients are
    returned as they came. Else a `RowGradient` names each row once, or all of them in order if it
    was sent as a whole table.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradients
    messages = [_message(each, reduction, context.num_replicas_in_sync) for each in gradients]
    sums = context.all_reduce(tf.distribute.ReduceOp.SUM, messages)
    return [_received(each, summed) for each, summed in zip(gradients, sums, strict=True)]


def _message(gradient: Any, reduction: str, replicas: int) -> list[Any]:
    """Returns what one replica sends: rows with their masses, or a table and its masses."""
    if not isinstance(gradient, RowGradient):
        return [gradient]
    size, width = gradient.shape[0], tf.TensorShape(gradient.shape[1:]).num_elements()
    slices, mass = as_slices(gradient), gradient.mass
    if isinstance(slices, tf.IndexedSlices):
        if reduction == "auto":
            reduction = cheaper_reduction(slices.indices.shape[0], size, width, replicas)
        if reduction == "rows":
            return [_merged_rows(slices, mass, size, width)]
        slices = tf.math.unsorted_segment_sum(slices.values, slices.indices, size)
    return [slices, mass.total(size)]


def _merged_rows(
    slices: tf.IndexedSlices, mass: RowMass, vocabulary_size: int, width: int
) -> tf.IndexedSlices:
    """Merges the slices of each row; the row's mass becomes its last number."""
    number = tf.size(slices.indices)
    both = [slices.indices, all_ids(mass.ids, vocabulary_size)]
    both = tf.concat([tf.cast(ids, tf.int64) for ids in both], axis=0)
    ids, positions = tf.unique(both, out_idx=tf.int32)
    flat = tf.reshape(slices.values, [number, width])
    rows = tf.math.unsorted_segment_sum(flat, positions[:number], tf.size(ids))
    masses = tf.math.unsorted_segment_sum(mass.values, positions[number:], tf.size(ids))
    return tf.IndexedSlices(tf.concat([rows, masses[:, None]], axis=1), ids)


def _received(gradient: Any, sums: list[Any]) -> Any:
    """Returns the sum of the gradients of all replicas, from the sum of their messages."""
    if not isinstance(gradient, RowGradient):
        return sums[0]
    if not isinstance(sums[0], tf.IndexedSlices):
        table, mass = sums
        return RowGradient([RowSlices(None, table)], RowMass(None, mass), gradient.shape)
    # Replicas name the same rows: merged in a fixed order, their copies stay equal.
    ids, positions = tf.unique(tf.cast(sums[0].indices, tf.int32))
    rows = tf.math.unsorted_segment_sum(sums[0].values, positions, tf.size(ids))
    values = tf.reshape(rows[:, :-1], [-1, *gradient.shape[1:]])
    return RowGradient([RowSlices(ids, values)], RowMass(ids, rows[:, -1]), gradient.shape)
