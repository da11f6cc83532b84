"""Gradients of a table's rows, lookup by lookup.

A tape joins the gradients of a table's lookups into one `tf.IndexedSlices`: a copy of all their
rows, which waits for the last of them. Whoever runs a training step can have them apart instead: it
listens with `record_lookups`, `ops.rows.gather_rows` tells what it reads, and `row_gradients`
returns a `RowGradient` for each table. Without a listener lookups are differentiated as ever.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

_active = threading.local()


@dataclass(frozen=True)
class Piece:
    """Rows of a table that one lookup read, or their gradient.

    Attributes:
        ids: int32, `(n,)`.
        values: float, `(n, ...)`.
        of_few_shapes: whether n, where it is unknown when a step is traced, takes few values (see
            `ops.fused.few_lengths`).
    """

    ids: tf.Tensor
    values: tf.Tensor
    of_few_shapes: bool = False


@dataclass(frozen=True)
class RowGradient:
    """The gradient of a table of some shape: the sum of its pieces."""

    pieces: list[Piece]
    shape: tuple[int, ...]


class Lookups:
    """What `record_lookups` collects: the lookups of each table, by its `id`."""

    def __init__(self, tape: tf.GradientTape) -> None:
        self.of_tables: dict[int, list[Piece]] = {}
        self.tape = tape


@contextmanager
def record_lookups(tape: tf.GradientTape) -> Iterator[Lookups]:
    """Collects the lookups of trained tables inside the `with` block, and cuts them from the tape.

    Args:
        tape: the tape of the step, which watches the rows in place of their tables.
    """
    outer = getattr(_active, "lookups", None)
    _active.lookups = Lookups(tape)
    try:
        yield _active.lookups
    finally:
        _active.lookups = outer


def recorded(table: Any, ids: tf.Tensor, rows: tf.Tensor, of_few_shapes: bool) -> tf.Tensor:
    """Returns the rows read from a table, told to the listener if there is one."""
    lookups: Lookups | None = getattr(_active, "lookups", None)
    if lookups is None or not table.trainable:
        return rows
    flat = tf.stop_gradient(tf.reshape(rows, [-1, *table.shape[1:]]))
    lookups.tape.watch(flat)
    piece = Piece(tf.reshape(ids, [-1]), flat, of_few_shapes)
    lookups.of_tables.setdefault(id(table), []).append(piece)
    return tf.reshape(flat, tf.shape(rows))


def row_gradients(
    tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[Any], lookups: Lookups
) -> list[Any]:
    """Returns the gradient of each variable: a `RowGradient` where its rows were looked up.

    Args:
        tape: the tape given to `record_lookups`.
        loss: what to differentiate.
        variables: Keras weights.
        lookups: what `record_lookups` collected.
    """
    found = [lookups.of_tables.get(id(variable), []) for variable in variables]
    rows = [[piece.values for piece in pieces] for pieces in found]
    whole, of_rows = tape.gradient(loss, (list(variables), rows))
    return [
        _row_gradient(variable, gradient, pieces, values) if pieces else gradient
        for variable, gradient, pieces, values in zip(variables, whole, found, of_rows, strict=True)
    ]


def _row_gradient(
    table: Any, whole: Any, found: list[Piece], of_rows: list[Any]
) -> RowGradient | None:
    pieces = [
        replace(piece, values=gradient)
        for piece, gradient in zip(found, of_rows, strict=True)
        if gradient is not None
    ]
    if whole is not None:  # the table was also read by other means
        pieces += pieces_of(whole)
    return RowGradient(pieces, tuple(table.shape)) if pieces else None


def pieces_of(gradient: Any) -> list[Piece]:
    """Returns the pieces of a table's gradient: a `RowGradient`, `tf.IndexedSlices` or dense."""
    if isinstance(gradient, RowGradient):
        return gradient.pieces
    if isinstance(gradient, tf.IndexedSlices):
        return [Piece(tf.cast(gradient.indices, tf.int32), gradient.values)]
    return [Piece(tf.range(gradient.shape[0]), gradient)]


def as_slices(gradient: Any) -> Any:
    """Returns a `RowGradient` as the `tf.IndexedSlices` of a tape, others as they are."""
    if not isinstance(gradient, RowGradient):
        return gradient
    return tf.IndexedSlices(
        tf.concat([piece.values for piece in gradient.pieces], axis=0),
        tf.concat([piece.ids for piece in gradient.pieces], axis=0),
        dense_shape=tf.constant(gradient.shape),
    )
