"""Gradients of a table's rows, lookup by lookup.

A tape joins the gradients of a table's lookups into one `tf.IndexedSlices`: a copy of all their
rows, which waits for the last of them. Whoever runs a training step can have them apart instead: it
listens with `record_lookups`, `ops.rows` tells what it reads, and `row_gradients` returns a
`RowGradient` for each table. Without a listener lookups are differentiated as ever.
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
        is_bucketed: whether n, where it is unknown when a step is traced, takes few values (see
            `ops.fused.bucketed_length`).
        factors: by which the values are still to be multiplied: `(n,)`, a number a row; or
            matrices `(b, m, L)` where the values are `(b, L, d)` and n is `b * m`. None for
            nothing.
    """

    ids: tf.Tensor
    values: tf.Tensor
    is_bucketed: bool = False
    factors: tf.Tensor | None = None

    @property
    def is_matrix_product(self) -> bool:
        """Whether the factors are matrices."""
        return self.factors is not None and len(self.factors.shape) == 3

    def multiplied(self) -> "Piece":
        """Returns the same piece without factors."""
        if self.factors is None:
            return self
        if self.is_matrix_product:
            values = tf.matmul(self.factors, self.values)
            return replace(self, values=tf.reshape(values, [-1, values.shape[-1]]), factors=None)
        return replace(self, values=self.factors[:, None] * self.values, factors=None)


@dataclass(frozen=True)
class _Lookup:
    """A lookup, `told` as far as it is known before its gradient.

    The tape is asked for the gradient of `source`: the rows, or their products with the values of
    the piece.
    """

    told: Piece
    source: tf.Tensor
    are_products: bool = False

    def piece(self, gradient: tf.Tensor) -> Piece:
        if not self.are_products:
            return replace(self.told, values=gradient)
        factors = gradient if len(self.told.values.shape) == 3 else tf.reshape(gradient, [-1])
        return replace(self.told, factors=tf.cast(factors, self.told.values.dtype))


@dataclass(frozen=True)
class RowGradient:
    """The gradient of a table of some shape: the sum of its pieces."""

    pieces: list[Piece]
    shape: tuple[int, ...]


class Lookups:
    """What `record_lookups` collects: the lookups of each table, by its `id`."""

    def __init__(self, tape: tf.GradientTape) -> None:
        self.of_tables: dict[int, list[_Lookup]] = {}
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


def is_recorded(table: Any) -> bool:
    """Tells whether there is a listener for the lookups of a table."""
    return table.trainable and getattr(_active, "lookups", None) is not None


def recorded(table: Any, ids: tf.Tensor, rows: tf.Tensor, is_bucketed: bool) -> tf.Tensor:
    """Returns the rows read from a table, told to the listener if there is one."""
    if not is_recorded(table):
        return rows
    flat = tf.stop_gradient(tf.reshape(rows, [-1, *table.shape[1:]]))
    _record(table, _Lookup(Piece(tf.reshape(ids, [-1]), flat, is_bucketed), flat))
    return tf.reshape(flat, tf.shape(rows))


def record_products(table: Any, ids: tf.Tensor, partners: tf.Tensor, products: tf.Tensor) -> None:
    """Tells the listener of the products of rows read from a table, and nothing else done to them.

    The gradient of such a row is a multiple of its partner. It is left as that: written out, it
    would only be read again to be multiplied by a learning rate.

    Args:
        table: Keras weight, `(V, d)`, for which there is a listener.
        ids: int32, `(...)`.
        partners: float, `(..., d)`.
        products: float, `(...)`, of the partners with rows that the tape does not watch.
    """
    values = tf.cast(tf.reshape(partners, [-1, *table.shape[1:]]), table.dtype)
    piece = Piece(tf.reshape(ids, [-1]), tf.stop_gradient(values))
    _record(table, _Lookup(piece, products, are_products=True))


def record_matrix_products(
    table: Any, ids: tf.Tensor, partners: tf.Tensor, products: tf.Tensor, is_bucketed: bool
) -> None:
    """Tells the listener of the products of blocks of rows with blocks of partners, as above.

    Args:
        table: Keras weight, `(V, d)`, for which there is a listener.
        ids: int32, `(b, m)`.
        partners: float, `(b, L, d)`.
        products: float, `(b, m, L)`, of the partners with rows that the tape does not watch.
        is_bucketed: see `Piece`.
    """
    values = tf.stop_gradient(tf.cast(partners, table.dtype))
    piece = Piece(tf.reshape(ids, [-1]), values, is_bucketed)
    _record(table, _Lookup(piece, products, are_products=True))


def _record(table: Any, lookup: _Lookup) -> None:
    lookups: Lookups = _active.lookups
    lookups.tape.watch(lookup.source)
    lookups.of_tables.setdefault(id(table), []).append(lookup)


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
    sources = [[lookup.source for lookup in of_table] for of_table in found]
    whole, of_sources = tape.gradient(loss, (list(variables), sources))
    return [
        _row_gradient(variable, gradient, of_table, of_its_sources) if of_table else gradient
        for variable, gradient, of_table, of_its_sources in zip(
            variables, whole, found, of_sources, strict=True
        )
    ]


def _row_gradient(
    table: Any, whole: Any, found: list[_Lookup], of_sources: list[Any]
) -> RowGradient | None:
    pieces = [
        lookup.piece(gradient)
        for lookup, gradient in zip(found, of_sources, strict=True)
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
        tf.concat([piece.multiplied().values for piece in gradient.pieces], axis=0),
        tf.concat([piece.ids for piece in gradient.pieces], axis=0),
        dense_shape=tf.constant(gradient.shape),
    )
