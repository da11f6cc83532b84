"""Summing gradients over replicas: as the rows they name, or as whole tables.

Each replica names some rows of a table. Sent as rows, what a replica receives grows with the number
of replicas; summed as whole tables, in a ring, it grows with the vocabulary:

    rows:   (replicas - 1) * rows * (4 * (width + 1) + 8)        bytes a table
    dense:  2 * (replicas - 1) / replicas * V * 4 * (width + 1)

with 4 bytes for each number of a row and for its mass (`ops.row_mass`), 8 for its id. Here `rows`
is the number of slices of one replica's gradient, before those of one row are merged: that is known
when the step is traced, and no less than what is sent.
"""

from typing import Any

import tensorflow as tf

from kerasw2v.ops.row_gradients import as_slices

REDUCTIONS = ("auto", "rows", "dense")

_FLOAT_BYTES = 4
_ID_BYTES = 8


def bytes_as_rows(rows: int, width: int, replicas: int) -> float:
    """Returns the bytes that each replica receives in a step if rows are sent.

    Args:
        rows: rows that each replica sends.
        width: numbers in a row, d.
        replicas: number of replicas.
    """
    return (replicas - 1) * rows * (_FLOAT_BYTES * (width + 1) + _ID_BYTES)


def bytes_as_table(vocabulary_size: int, width: int, replicas: int) -> float:
    """Returns the bytes that each replica receives in a step if whole tables are summed.

    Args:
        vocabulary_size: rows of the table, V.
        width: numbers in a row, d.
        replicas: number of replicas.
    """
    return 2 * (replicas - 1) / replicas * vocabulary_size * _FLOAT_BYTES * (width + 1)


def cheaper_reduction(rows: int | None, vocabulary_size: int, width: int, replicas: int) -> str:
    """Returns which way moves fewer bytes, `"rows"` or `"dense"`.

    Args:
        rows: slices of one replica's gradient; None if that is not known, for `"rows"`.
        vocabulary_size: rows of the table, V.
        width: numbers in a row, d.
        replicas: number of replicas.

    Example:

    >>> cheaper_reduction(4096, 1_000_000, 300, replicas=2)
    'rows'
    >>> cheaper_reduction(4096, 10_000, 300, replicas=8)
    'dense'
    """
    if rows is None:
        return "rows"
    as_rows = bytes_as_rows(min(rows, vocabulary_size), width, replicas)
    return "rows" if as_rows <= bytes_as_table(vocabulary_size, width, replicas) else "dense"


def sum_over_replicas(
    gradients: list[Any], masses: list[Any], shapes: list[Any], reduction: str
) -> tuple[list[Any], list[Any]]:
    """Sums gradients and masses over the replicas; every replica gets the same sums, bit by bit.

    Args:
        gradients: tensors, `tf.IndexedSlices`, or `ops.row_gradients.RowGradient`.
        masses: `tf.IndexedSlices` of float32 for each gradient; None for a dense one without.
        shapes: shape of each variable.
        reduction: how row-sparse gradients travel: one of `REDUCTIONS`.

    Returns:
        Gradients and masses as they came if there is one replica. Else a row-sparse gradient names
        each row once, or has become dense if it was sent so, and masses are tensors, `(rows,)`, of
        the rows that the gradient names, or of all.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradients, masses
    gradients = [as_slices(gradient) for gradient in gradients]
    messages: list[Any] = []
    for gradient, mass, shape in zip(gradients, masses, shapes, strict=True):
        messages += _to_messages(
            gradient, mass, shape, _way(gradient, shape, reduction, context.num_replicas_in_sync)
        )
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, messages))
    summed = [
        _from_messages(next(sums), None if mass is None else sums, shape)
        for mass, shape in zip(masses, shapes, strict=True)
    ]
    return [gradient for gradient, _ in summed], [mass for _, mass in summed]


def _way(gradient: Any, shape: Any, reduction: str, replicas: int) -> str:
    if not isinstance(gradient, tf.IndexedSlices):
        return "dense"
    if reduction != "auto":
        return reduction
    width = tf.TensorShape(shape[1:]).num_elements()
    return cheaper_reduction(gradient.indices.shape[0], shape[0], width, replicas)


def _to_messages(gradient: Any, mass: Any, shape: Any, way: str) -> list[Any]:
    """Returns what one replica sends: a table and its masses, or rows with their masses."""
    if way == "rows":
        return [_merged_rows(gradient, mass, tf.TensorShape(shape[1:]).num_elements())]
    if isinstance(gradient, tf.IndexedSlices):
        gradient = tf.math.unsorted_segment_sum(gradient.values, gradient.indices, shape[0])
    if mass is None:
        return [gradient]
    return [gradient, tf.math.unsorted_segment_sum(mass.values, mass.indices, shape[0])]


def _merged_rows(
    gradient: tf.IndexedSlices, mass: tf.IndexedSlices, width: int
) -> tf.IndexedSlices:
    """Merges the slices of each row; the row's mass becomes its last number."""
    slices = tf.size(gradient.indices)
    both = [tf.cast(gradient.indices, tf.int64), tf.cast(mass.indices, tf.int64)]
    ids, places = tf.unique(tf.concat(both, axis=0), out_idx=tf.int32)
    flat = tf.reshape(gradient.values, [slices, width])
    rows = tf.math.unsorted_segment_sum(flat, places[:slices], tf.size(ids))
    of_rows = tf.math.unsorted_segment_sum(mass.values, places[slices:], tf.size(ids))
    return tf.IndexedSlices(tf.concat([rows, of_rows[:, None]], axis=1), ids)


def _from_messages(message: Any, masses: Any, shape: Any) -> tuple[Any, Any]:
    """Returns gradient and mass of a table; `masses` is where a mass of its own comes from."""
    if isinstance(message, tf.IndexedSlices):
        # Replicas name the same rows: merged in a fixed order, their copies stay equal.
        ids, places = tf.unique(message.indices, out_idx=tf.int32)
        rows = tf.math.unsorted_segment_sum(message.values, places, tf.size(ids))
        values = tf.reshape(rows[:, :-1], [-1, *shape[1:]])
        return tf.IndexedSlices(values, ids), rows[:, -1]
    return message, None if masses is None else next(masses)
