"""Stochastic gradient descent over row-sparse gradients."""

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length, fused_per_bucket
from kerasw2v.ops.learning_rates import default_end, default_learning_rate
from kerasw2v.ops.replica_sum import REDUCTIONS, sum_over_replicas
from kerasw2v.ops.row_gradients import Piece, RowGradient, pieces_of
from kerasw2v.ops.row_mass import RowMass
from kerasw2v.utils.checks import check_choice, check_int

__all__ = ["RowSGD", "default_learning_rate", "default_schedule", "linear_decay"]

_DENSIFYING = (
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


@keras.saving.register_keras_serializable("kerasw2v")
class RowSGD(keras.optimizers.Optimizer):
    """SGD that updates only the rows of a batch, each by a step that stays bounded.

    Losses here are summed over pairs, so `learning_rate` means what it means in word2vec: the step
    of one pair. A big batch then hits a frequent word's row with hundreds of gradients, all taken
    at the same point, and plain SGD diverges. Let a row's *mass* be the number of weighted pair
    terms in its summed gradient `g`; then

        row -= learning_rate * min(1, max_step / (learning_rate * mass)) * g

    Rare rows learn exactly as in sequential SGD, frequent rows stop where sequential SGD would
    have saturated. The models of this package tell the masses; elsewhere a row's mass is how often
    the batch names it. Dense gradients are applied as plain SGD.

    The same gradients give the same result to the last bit on a CPU: rows that repeat are added in
    their order.

    Args:
        learning_rate: float, or a `keras.optimizers.schedules.LearningRateSchedule`.
        max_step: the bound on `learning_rate * mass`, dimensionless; the default was stable for
            learning rates of .01 to .1 and 512 to 65,536 tokens a step.
        reduction: how row-sparse gradients travel between replicas (`tf.distribute`): `"rows"`
            gathers the rows of all, `"dense"` sums whole tables, `"auto"` takes for each table what
            moves fewer bytes (`kerasw2v.ops.replica_sum` has the formula).
        name: name of the optimizer.
        **kwargs: arguments of `keras.optimizers.Optimizer`. Those that would turn a row-sparse
            gradient or update into one of the whole table are refused.

    Raises:
        ValueError: if `max_step` is not positive, `reduction` is unknown, or for weight decay,
            gradient clipping, moving averages, loss scaling and gradient accumulation.

    Cost: `O(rows * d)` a step, read and written once, and clearing one float a row of the table
    (1 / d of its size). No state.

    Example:

    >>> from kerasw2v.optimizers import RowSGD, linear_decay
    >>> optimizer = RowSGD(linear_decay(0.05, steps_per_epoch=1000, epochs=5))
    """

    def __init__(
        self,
        learning_rate: Any = 0.05,
        max_step: float = 4.0,
        reduction: str = "auto",
        name: str = "row_sgd",
        **kwargs: Any,
    ) -> None:
        for argument in _DENSIFYING:
            if kwargs.get(argument):
                raise ValueError(
                    f"`{argument}` must not be set: it would touch every row of a table at every "
                    f"step. Received: {argument}={kwargs[argument]!r}."
                )
        if not max_step > 0:
            raise ValueError(f"`max_step` must be positive. Received: max_step={max_step}.")
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.max_step = float(max_step)
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self._step = threading.local()  # replicas trace in threads of their own

    def apply(
        self,
        grads: list[Any],
        trainable_variables: list[Any] | None = None,
        row_masses: dict[int, RowMass] | None = None,
    ) -> None:
        """Updates variables by their gradients.

        Args:
            grads: one gradient a variable; for tables `tf.IndexedSlices`, or what
                `ops.row_gradients.row_gradients` returns.
            trainable_variables: the variables; those of `build` when None.
            row_masses: what `ops.row_mass.record_row_mass` collected; None to count how often the
                gradient names each row.
        """
        self._step.row_masses = row_masses or {}
        try:
            super().apply(grads, trainable_variables)
        finally:
            del self._step.row_masses

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        masses = [
            _mass_slices(gradient, self._step.row_masses.get(id(variable)))
            for gradient, variable in zip(grads, trainable_variables, strict=True)
        ]
        # The bound must see the whole batch.
        shapes = [variable.shape for variable in trainable_variables]
        grads, masses = sum_over_replicas(grads, masses, shapes, self.reduction)
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._update_all,
            self._distribution_strategy,
            [variable.value for variable in trainable_variables],
            grads,
            masses,
            learning_rate,
        )

    def _update_all(
        self,
        strategy: tf.distribute.Strategy,
        variables: list[Any],
        grads: list[Any],
        masses: list[Any],
        learning_rate: Any,
    ) -> None:
        for variable, gradient, mass in zip(variables, grads, masses, strict=True):
            strategy.extended.update(
                variable, self._update_one, args=(gradient, mass, learning_rate), group=False
            )

    def _update_one(self, variable: Any, gradient: Any, mass: Any, learning_rate: Any) -> None:
        learning_rate = tf.cast(learning_rate, variable.dtype)
        if mass is None:
            variable.assign_sub(learning_rate * gradient)
            return
        limit = tf.constant(self.max_step, variable.dtype)
        if not isinstance(mass, tf.IndexedSlices):  # summed over replicas, one for each row
            _update_rows_once(variable, gradient, _rate(mass, learning_rate, limit))
        elif isinstance(gradient, RowGradient | tf.IndexedSlices):
            pieces = pieces_of(gradient)
            with _beside(variable, pieces):
                masses = _padded_to_bucket(Piece(mass.indices, mass.values))
                total = _sum_by_row(variable, masses.ids, masses.values)
                for piece in pieces:
                    _subtract_piece(variable, piece, total, learning_rate, limit)
        else:
            total = tf.math.unsorted_segment_sum(mass.values, mass.indices, variable.shape[0])
            rate = _rate(total, learning_rate, limit)
            variable.assign_sub(_by_row(rate, gradient) * gradient)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Not used: `_backend_update_step` updates a table together with its masses."""
        raise NotImplementedError("RowSGD updates tables through `apply`.")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_step": self.max_step, "reduction": self.reduction}


def default_schedule(
    architecture: str, steps_per_epoch: int, epochs: int, learning_rate: float | None = None
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns the falling learning rate that suits a model: what `kerasw2v train` uses.

    Args:
        architecture: `"skip-gram"` or `"cbow"`.
        steps_per_epoch: `len(dataset)`.
        epochs: how many epochs the training has.
        learning_rate: where to start; `default_learning_rate` when None.

    Raises:
        TypeError, ValueError: if a number is not positive, or there is no such architecture.

    Example:

    >>> from kerasw2v.optimizers import RowSGD, default_schedule
    >>> optimizer = RowSGD(default_schedule("cbow", steps_per_epoch=1000, epochs=5))
    """
    if learning_rate is None:
        learning_rate = default_learning_rate(architecture, epochs)
    return linear_decay(learning_rate, steps_per_epoch, epochs, default_end(architecture, epochs))


def linear_decay(
    learning_rate: float, steps_per_epoch: int, epochs: int, end: float | None = None
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns word2vec's falling learning rate, which stops short of zero.

    Falling to zero wastes much of a short training.

    Args:
        learning_rate: where to start.
        steps_per_epoch: `len(dataset)`.
        epochs: how many epochs the training has.
        end: at which share of its start it ends, from 0 to 1; `1 / (1 + 2 epochs ** 2)` when
            None: a third in one epoch, a fiftieth in five.

    Raises:
        TypeError, ValueError: if a number is not positive, or `end` is not from 0 to 1.

    Example:

    >>> from kerasw2v.optimizers import RowSGD, linear_decay
    >>> schedule = linear_decay(0.05, steps_per_epoch=100, epochs=4)
    >>> float(schedule(0)), round(float(schedule(400)), 4)
    (0.05000000074505806, 0.0015)
    """
    steps = check_int("steps_per_epoch", steps_per_epoch, minimum=1)
    epochs = check_int("epochs", epochs, minimum=1)
    if not learning_rate > 0:
        raise ValueError(
            f"`learning_rate` must be positive. Received: learning_rate={learning_rate}."
        )
    if end is None:
        end = default_end("cbow", epochs)
    if not 0 <= end <= 1:
        raise ValueError(f"`end` must be from 0 to 1. Received: end={end}.")
    return keras.optimizers.schedules.PolynomialDecay(
        learning_rate, epochs * steps, end_learning_rate=learning_rate * end
    )


def _mass_slices(gradient: Any, recorded: RowMass | None) -> tf.IndexedSlices | None:
    """Returns the masses of a gradient's rows as slices, which replicas can sum; None if dense."""
    if recorded:
        ids = [
            tf.range(tf.size(mass), dtype=tf.int32) if rows is None else rows
            for rows, mass in recorded
        ]
        values = [tf.cast(mass, tf.float32) for _, mass in recorded]
        return tf.IndexedSlices(_concat(values), _concat(ids))
    if isinstance(gradient, RowGradient | tf.IndexedSlices):
        ids = _concat([piece.ids for piece in pieces_of(gradient)])
        return tf.IndexedSlices(tf.ones_like(ids, tf.float32), ids)
    return None


def _concat(parts: list[tf.Tensor]) -> tf.Tensor:
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)


def _rate(mass: tf.Tensor, learning_rate: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    """Returns `learning_rate * min(1, limit / (learning_rate * mass))`."""
    return tf.minimum(learning_rate, limit / tf.maximum(mass, 1e-30))


def _by_row(rate: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns a rate for each row, shaped to multiply rows of any rank."""
    return tf.reshape(rate, [-1] + [1] * (len(rows.shape) - 1))


def _is_of_fixed_length(ids: tf.Tensor) -> bool:
    return not tf.inside_function() or ids.shape.is_fully_defined()


def _padded_to_bucket(piece: Piece) -> Piece:
    """Returns a piece with zeros for row 0 behind it where its number of rows is not fixed."""
    if piece.is_bucketed or _is_of_fixed_length(piece.ids):
        return piece
    piece = piece.multiplied()
    length = tf.size(piece.ids)
    missing = bucketed_length(length) - length
    rest = [[0, 0]] * (len(piece.values.shape) - 1)
    return Piece(tf.pad(piece.ids, [[0, missing]]), tf.pad(piece.values, [[0, missing], *rest]))


def _beside(variable: Any, pieces: list[Piece]) -> AbstractContextManager[Any]:
    """Returns the place of an update: XLA cannot reach a shard that lies on another device.

    How many rows of a shard a batch names is never known beforehand.
    """
    if all(_is_of_fixed_length(piece.ids) for piece in pieces):
        return nullcontext()
    beside: AbstractContextManager[Any] = tf.device(variable.handle.device)
    return beside


def _update_rows_once(variable: tf.Variable, gradient: Any, rates: tf.Tensor) -> None:
    """Subtracts a gradient with a rate for each row, none of which it names twice."""
    if isinstance(gradient, tf.IndexedSlices):
        steps = _by_row(rates, gradient.values) * gradient.values
        variable.scatter_sub(tf.IndexedSlices(steps, gradient.indices))
    else:
        variable.assign_sub(_by_row(rates, gradient) * gradient)


@fused_per_bucket
def _sum_by_row(variable: tf.Variable, ids: tf.Tensor, masses: tf.Tensor) -> tf.Tensor:
    """Returns the mass of every row, `(V,)`."""
    return tf.math.unsorted_segment_sum(masses, ids, variable.shape[0])


def _subtract_piece(
    variable: tf.Variable,
    piece: Piece,
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
) -> None:
    piece = _padded_to_bucket(piece)
    if piece.is_matrix_product:
        # Factors are multiplied, being smaller than rows.
        rates = _rate(tf.gather(masses, piece.ids), learning_rate, limit)
        rates = tf.reshape(rates, tf.shape(piece.factors)[:2])
        steps = replace(piece, factors=rates[:, :, None] * piece.factors).multiplied()
        _scatter_sub(variable, steps.ids, steps.values)
        return
    factors = () if piece.factors is None else (piece.factors,)
    _subtract_rows(variable, piece.ids, piece.values, masses, learning_rate, limit, *factors)


# Fused, the scatter runs over the rows in order: twice as fast on a CPU as TensorFlow's kernels,
# which also add rows that repeat in no fixed order.
@fused_per_bucket
def _subtract_rows(
    variable: tf.Variable,
    ids: tf.Tensor,
    values: tf.Tensor,
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
    factors: tf.Tensor | None = None,
) -> None:
    rate = _rate(tf.gather(masses, ids), learning_rate, limit)
    if factors is not None:
        rate *= factors
    variable.scatter_nd_sub(ids[:, None], _by_row(rate, values) * values)


@fused_per_bucket
def _scatter_sub(variable: tf.Variable, ids: tf.Tensor, values: tf.Tensor) -> None:
    variable.scatter_nd_sub(ids[:, None], values)
