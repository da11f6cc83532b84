"""Gradients of a table's rows, with the mass that bounds their steps.

A tape joins the gradients of a table's lookups into one `tf.IndexedSlices`: a copy of all rows,
which waits for the last of them. A training step can keep them apart instead:

    with tf.GradientTape() as tape, record_rows(tape) as record:
        loss = ...
    gradients = record.gradients(loss, variables)

Meanwhile `ops.rows` records which rows it reads and `ops.row_mass` what they are worth, and each
table gets a `RowGradient`. Without a record lookups are differentiated as usual.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import tensorflow as tf

_active = threading.local()  # replicas trace in threads of their own


@dataclass(frozen=True)
class RowSlices:
    """Gradient rows: row `ids[i]` gains `scale[i] * values[i]`, or `values[owners[i]]`.

    Attributes:
        ids: int32, `(n,)`; None for all rows of the table in order.
        values: float, `(n, ...)`.
        scale: float, `(n,)`; None for ones. Multiplying it out would only write rows that are
            read again to be multiplied by a learning rate.
        is_bucketed: whether n, where it is unknown when a step is traced, takes few values (see
            `ops.fused.bucketed_length`).
        owners: int32, `(n,)`, where many rows gain the same; None for one of `values` each. There
            is no scale then.
    """

    ids: tf.Tensor | None
    values: tf.Tensor
    scale: tf.Tensor | None = None
    is_bucketed: bool = False
    owners: tf.Tensor | None = None

    def rows(self) -> "RowSlices":
        """Returns the same gradient without a scale and owners."""
        if self.owners is not None:
            return replace(self, values=tf.gather(self.values, self.owners), owners=None)
        if self.scale is None:
            return self
        return replace(self, values=self.scale[:, None] * self.values, scale=None)


@dataclass(frozen=True)
class RowProducts:
    """Gradient rows of blocks as products: block `b` gains `factors[b] @ partners[b]`.

    Shapes are `(b * m,)`, `(b, m, L)` and `(b, L, d)`; `is_bucketed` as in `RowSlices`.
    """

    ids: tf.Tensor
    factors: tf.Tensor
    partners: tf.Tensor
    is_bucketed: bool = False

    def rows(self) -> RowSlices:
        """Returns the same gradient multiplied out."""
        values = tf.matmul(self.factors, self.partners)
        values = tf.reshape(values, [-1, values.shape[-1]])
        return RowSlices(self.ids, values, is_bucketed=self.is_bucketed)


class RowMass(NamedTuple):
    """The mass of rows: row `ids[i]` (None for all in order) has the sum of its `values`."""

    ids: tf.Tensor | None
    values: tf.Tensor

    def total(self, vocabulary_size: int) -> tf.Tensor:
        """Returns the mass of every row, `(V,)`."""
        if self.ids is None:
            return self.values
        return tf.math.unsorted_segment_sum(self.values, self.ids, vocabulary_size)


@dataclass(frozen=True)
class RowGradient:
    """The gradient of a table: the sum of its lookups' slices, and the mass of its rows."""

    slices: list[RowSlices | RowProducts]
    mass: RowMass
    shape: tuple[int, ...]


class RowRecord:
    """The lookups and masses of a step; its tape watches the rows read, not their tables."""

    def __init__(self, tape: tf.GradientTape) -> None:
        self._tape = tape
        self._lookups: list[tuple[Any, tf.Tensor, Callable[[tf.Tensor], Any]]] = []
        self._masses: list[tuple[Any, RowMass]] = []

    def add_lookup(
        self, table: Any, source: tf.Tensor, as_slices: Callable[[tf.Tensor], Any]
    ) -> None:
        """Records a lookup in a Keras weight.

        Args:
            table: the weight.
            source: what the tape shall differentiate by, computed from rows that it does not watch.
            as_slices: from the gradient of `source` to `RowSlices` or `RowProducts`.
        """
        self._tape.watch(source)
        self._lookups.append((table, source, as_slices))

    def add_mass(self, table: Any, mass: RowMass) -> None:
        """Records the mass that a layer adds to rows of a Keras weight."""
        self._masses.append((table, mass))

    @property
    def length(self) -> tuple[int, int]:
        """How many lookups and masses are recorded."""
        return len(self._lookups), len(self._masses)

    def interleave(self, lookups: int, masses: int, lanes: int) -> None:
        """Orders what lanes have recorded, behind the first lookups and masses, as one lane would.

        Lanes record the same, one after the other; here the first of each comes first.
        """
        self._lookups[lookups:] = _interleaved(self._lookups[lookups:], lanes)
        self._masses[masses:] = _interleaved(self._masses[masses:], lanes)

    def masses(self, table: Any) -> list[RowMass]:
        """Returns the masses that layers have added to rows of a Keras weight."""
        return [mass for each, mass in self._masses if each is table]

    def gradients(self, loss: tf.Tensor, variables: Sequence[Any]) -> list[Any]:
        """Differentiates a loss by Keras weights.

        Returns:
            For each a `RowGradient` if its rows were looked up or given a mass, else what a tape
            returns.
        """
        sources = [source for _, source, _ in self._lookups]
        whole, of_sources = self._tape.gradient(loss, (list(variables), sources))
        return [
            self._gradient(variable, gradient, of_sources)
            for variable, gradient in zip(variables, whole, strict=True)
        ]

    def _gradient(self, variable: Any, whole: Any, of_sources: list[Any]) -> Any:
        slices = [
            as_slices(gradient)
            for (table, _, as_slices), gradient in zip(self._lookups, of_sources, strict=True)
            if table is variable and gradient is not None
        ]
        masses = self.masses(variable)
        if whole is not None and (slices or masses or isinstance(whole, tf.IndexedSlices)):
            slices.append(_slices_of(whole))
        if not slices:
            return whole
        shape = tuple(variable.shape)
        mass = joined_masses(masses, shape[0]) if masses else _occurrences(slices, shape[0])
        return RowGradient(slices, mass, shape)


@contextmanager
def record_rows(tape: tf.GradientTape) -> Iterator[RowRecord]:
    """Records the lookups and masses of trained tables inside the `with` block."""
    outer = getattr(_active, "record", None)
    _active.record = RowRecord(tape)
    try:
        yield _active.record
    finally:
        _active.record = outer


@contextmanager
def interleave_lanes(lanes: int) -> Iterator[None]:
    """Makes the record of the block's lanes, which run one after the other, that of one lane."""
    record: RowRecord | None = getattr(_active, "record", None)
    if record is None:
        yield
        return
    lookups, masses = record.length
    yield
    record.interleave(lookups, masses, lanes)


def _interleaved(entries: list[Any], lanes: int) -> list[Any]:
    each = len(entries) // lanes
    return [entries[lane * each + index] for index in range(each) for lane in range(lanes)]


def active_record(table: Any) -> RowRecord | None:
    """Returns the record of the running step; None if there is none or `table` is not trained."""
    return getattr(_active, "record", None) if table.trainable else None


def as_row_gradient(gradient: Any, variable: Any) -> Any:
    """Returns the `tf.IndexedSlices` of a tape as a `RowGradient`, others as they are.

    The mass of a row is then how often the gradient names it.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    slices: list[RowSlices | RowProducts] = [_slices_of(gradient)]
    shape = tuple(variable.shape)
    return RowGradient(slices, _occurrences(slices, shape[0]), shape)


def as_slices(gradient: Any) -> Any:
    """Returns a `RowGradient` as the tensor or `tf.IndexedSlices` of a tape, others as they are."""
    if not isinstance(gradient, RowGradient):
        return gradient
    slices = [each.rows() for each in gradient.slices]
    if len(slices) == 1 and slices[0].ids is None:
        return slices[0].values
    return tf.IndexedSlices(
        tf.concat([each.values for each in slices], axis=0),
        tf.concat([all_ids(each.ids, gradient.shape[0]) for each in slices], axis=0),
        dense_shape=tf.constant(gradient.shape),
    )


def all_ids(ids: tf.Tensor | None, vocabulary_size: int) -> tf.Tensor:
    """Writes out what None stands for: all ids in order."""
    return tf.range(vocabulary_size) if ids is None else ids


def _slices_of(gradient: Any) -> RowSlices:
    if isinstance(gradient, tf.IndexedSlices):
        return RowSlices(tf.cast(gradient.indices, tf.int32), gradient.values)
    return RowSlices(None, gradient)


def joined_masses(masses: list[RowMass], vocabulary_size: int) -> RowMass:
    """Returns several masses of a table as one, which names its rows if there are several."""
    if len(masses) == 1:
        return masses[0]
    return RowMass(
        tf.concat([all_ids(mass.ids, vocabulary_size) for mass in masses], axis=0),
        tf.concat([mass.values for mass in masses], axis=0),
    )


def _occurrences(slices: list[RowSlices | RowProducts], vocabulary_size: int) -> RowMass:
    ids = [all_ids(each.ids, vocabulary_size) for each in slices]
    return joined_masses(
        [RowMass(each, tf.ones_like(each, tf.float32)) for each in ids], vocabulary_size
    )
