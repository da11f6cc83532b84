"""Stochastic gradient descent over row-sparse gradients."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length, fused_per_bucket
from kerasw2v.ops.replica_sum import joined
from kerasw2v.ops.row_gradients import RowGradient, RowProducts, RowSlices
from kerasw2v.ops.row_merge import add_masses
from kerasw2v.ops.shared_traces import Place
from kerasw2v.optimizers.row_optimizer import RowOptimizer
from kerasw2v.utils.checks import check_positive


@keras.saving.register_keras_serializable("kerasw2v")
class RowSGD(RowOptimizer):
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
            learning rates of .01 to .1 and 512 to 65,536 tokens per step.
        reduction: how row-sparse gradients travel between replicas (`tf.distribute`): `"rows"`
            gathers the rows of all, `"dense"` sums whole tables, `"auto"` takes for each table what
            moves fewer bytes (`kerasw2v.ops.replica_sum` has the formula).
        name: name of the optimizer.
        **kwargs: arguments of `keras.optimizers.Optimizer`. Those that would turn a row-sparse
            gradient or update into one of the whole table are refused.

    Raises:
        TypeError, ValueError: if `learning_rate` is negative or not finite, `max_step` is not
            positive and finite, `reduction` is unknown, or for weight decay,
            gradient clipping, moving averages, loss scaling and gradient accumulation.

    Cost: `O(rows * d)` per step, read and written once; nothing grows with V. A float for each row
    of a table (1 / d of its size) is memory to work in; it holds no state, and is never saved.

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
        super().__init__(learning_rate, reduction, name, **kwargs)
        self.max_step = check_positive("max_step", max_step)
        self._row_sums = self._kept_masses = _RowSums([])

    def build(self, variables: list[Any]) -> None:
        super().build(variables)
        strategy = self._distribution_strategy
        self._row_sums = _RowSums([_row_sums_of(each.value, strategy) for each in variables])

    def keep_masses(self) -> list[tf.Variable | None]:
        """Adds up each row's mass from now on; returns a vector `(V,)` for each variable.

        Whoever asks for them reads and clears them. None for a scalar. A step that is traced
        already does not know of them: `model.make_train_function(force=True)`.
        """
        if not self._kept_masses.of:
            strategy, variables = self._distribution_strategy, self._trainable_variables
            self._kept_masses = _RowSums([_row_sums_of(each.value, strategy) for each in variables])
        return self._kept_masses.of

    def drop_masses(self) -> None:
        """Ends what `keep_masses` began, for steps that are traced from now on."""
        self._kept_masses = _RowSums([])

    def _slots_of(self, variable: Any) -> list[Any]:
        index = self._get_variable_index(variable)
        return [each.of[index] if each.of else None for each in (self._row_sums, self._kept_masses)]

    def _update_one(self, variable: Any, gradient: Any, learning_rate: Any, *slots: Any) -> None:
        if not isinstance(gradient, RowGradient):
            if slots[1] is not None:
                add_masses(slots[1], gradient)
            variable.assign_sub(tf.cast(learning_rate, variable.dtype) * gradient)
            return
        learning_rate = tf.cast(learning_rate, tf.float32)  # as masses are
        limit = tf.constant(self.max_step, tf.float32)
        with _device_of(variable, gradient):
            masses = _masses_by_row(slots[0], gradient)
            if slots[1] is not None:
                add_masses(slots[1], gradient)
            for slices in gradient.slices:
                _subtract(variable, slices, masses, learning_rate, limit)

    def _update_from_all(
        self,
        strategy: tf.distribute.Strategy,
        variable: Any,
        gradients: tuple[Any, ...],
        learning_rate: Any,
        slots: list[Any],
    ) -> None:
        if not all(_names_rows(gradient) for gradient in gradients):
            super()._update_from_all(strategy, variable, gradients, learning_rate, slots)
            return
        limit = tf.constant(self.max_step, tf.float32)
        numbers = iter(range(len(gradients)))

        def own_steps(copy: Any, rate: Any, row_sums: Any, kept_masses: Any) -> list[RowSlices]:
            """Returns what the replica of this copy subtracts: each multiplies its own rows."""
            rate = tf.cast(rate, tf.float32)
            own = gradients[next(numbers)]
            mass = joined(gradients).mass
            with _device_of(copy, own):
                masses = _masses_by_row(row_sums, replace(own, mass=mass))
                if kept_masses is not None:
                    add_masses(kept_masses, replace(own, mass=mass))
                return [_steps(each, copy.dtype, masses, rate, limit) for each in own.slices]

        steps: list[RowSlices] = []
        strategy.extended.update(
            variable,
            lambda *of_copy: steps.extend(own_steps(*of_copy)),
            args=(learning_rate, *slots),
            group=False,
        )

        def subtract(copy: Any) -> None:
            for each in steps:
                _scatter_sub(copy.handle, each.ids, each.values)

        strategy.extended.update(variable, subtract, group=False)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_step": self.max_step}

    def other_places(self) -> list[Place]:
        places = [
            Place(sums.of, index)
            for sums in (self._row_sums, self._kept_masses)
            for index, each in enumerate(sums.of)
            if each is not None
        ]
        return [*super().other_places(), *places]


class _RowSums(NamedTuple):
    """Hides variables from the tracking of attributes: they are no state to be saved."""

    of: list[Any]


def _row_sums_of(variable: Any, strategy: tf.distribute.Strategy) -> tf.Variable | None:
    """Returns a float for each row of a variable, beside it; None for a scalar."""
    if not variable.shape.rank:
        return None
    with tf.init_scope(), strategy.extended.colocate_vars_with(variable):
        return tf.Variable(tf.zeros(variable.shape[0]), trainable=False, name="row_sums")


def _rate(mass: tf.Tensor, learning_rate: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    """Returns `learning_rate * min(1, limit / (learning_rate * mass))`."""
    return tf.minimum(learning_rate, limit / tf.maximum(mass, 1e-30))


def _by_row(rate: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns a rate for each row, shaped to multiply rows of any rank."""
    return tf.reshape(rate, [-1] + [1] * (len(rows.shape) - 1))


def _is_length_known(ids: tf.Tensor | None) -> bool:
    return ids is None or not tf.inside_function() or ids.shape.is_fully_defined()


def _device_of(variable: Any, gradient: RowGradient) -> AbstractContextManager[Any]:
    """Returns the device of a shard (a length is unknown there): XLA needs the variable near."""
    if all(_is_length_known(each.ids) for each in (*gradient.slices, gradient.mass)):
        return nullcontext()
    device: AbstractContextManager[Any] = tf.device(variable.handle.device)
    return device


def _padded_to_bucket(ids: tf.Tensor, *values: tf.Tensor) -> list[tf.Tensor]:
    """Pads arrays of unknown length with zeros, which are for row 0."""
    if _is_length_known(ids):
        return [ids, *values]
    missing = bucketed_length(tf.size(ids)) - tf.size(ids)
    return [
        tf.pad(each, [[0, missing]] + [[0, 0]] * (len(each.shape) - 1)) for each in (ids, *values)
    ]


def _masses_by_row(row_sums: tf.Variable, gradient: RowGradient) -> tf.Tensor:
    """Returns the masses of the rows that a gradient names, by row: `(V,)`, or a variable's handle.

    They are added up in a variable that lives from step to step, since a vector of V zeros would
    have to be written in each step. Rows that are not named hold anything.
    """
    mass, slices = gradient.mass, gradient.slices
    if mass.ids is None or any(each.ids is None for each in slices):
        return mass.total(gradient.shape[0])
    read = [_padded_ids(each) for each in slices]
    _sum_by_row(row_sums.handle, *_padded_to_bucket(mass.ids, mass.values), *read)
    return row_sums.handle


def _padded_ids(slices: RowSlices | RowProducts) -> tf.Tensor:
    return slices.ids if slices.is_bucketed else _padded_to_bucket(slices.ids)[0]


def _rate_of_rows(
    masses: tf.Tensor, ids: tf.Tensor, learning_rate: tf.Tensor, limit: tf.Tensor
) -> tf.Tensor:
    """Returns the learning rate of rows: `learning_rate * min(1, limit / (learning_rate * m))`."""
    if masses.dtype == tf.resource:
        of_rows = tf.raw_ops.ResourceGather(resource=masses, indices=ids, dtype=tf.float32)
    else:
        of_rows = tf.gather(masses, ids)
    return _rate(of_rows, learning_rate, limit)


def _subtract(
    variable: tf.Variable,
    slices: RowSlices | RowProducts,
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
) -> None:
    """Subtracts `rate * gradient` from each row."""
    if isinstance(slices, RowSlices) and slices.ids is None:
        rate = tf.cast(_rate(masses, learning_rate, limit), variable.dtype)
        variable.assign_sub(_by_row(rate, slices.values) * slices.values)
    elif isinstance(slices, RowProducts):
        steps = _steps_of_products(slices, variable.dtype, masses, learning_rate, limit)
        _scatter_sub(variable.handle, steps.ids, steps.values)
    elif slices.owners is not None and slices.is_bucketed:
        arrays = [slices.ids, slices.values, slices.owners]
        _subtract_from_rows_of_owners(variable.handle, masses, learning_rate, limit, *arrays)
    else:
        _subtract_rows(variable.handle, masses, learning_rate, limit, *_padded_arrays(slices))


def _names_rows(gradient: Any) -> bool:
    """Returns whether a gradient names all its rows, and no whole table."""
    if not isinstance(gradient, RowGradient) or gradient.mass.ids is None:
        return False
    return all(each.ids is not None for each in gradient.slices)


def _steps(
    slices: RowSlices | RowProducts,
    dtype: Any,
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
) -> RowSlices:
    """Returns `rate * gradient` for each row, padded to a bucket."""
    if isinstance(slices, RowProducts):
        return _steps_of_products(slices, dtype, masses, learning_rate, limit)
    ids, *values = _padded_arrays(slices)
    return RowSlices(ids, _multiplied_rows(masses, learning_rate, limit, ids, *values))


def _padded_arrays(slices: RowSlices) -> list[tf.Tensor]:
    """Returns the ids, the values and, if there is one, the scale, padded to a bucket."""
    slices = slices.rows() if slices.owners is not None else slices
    arrays = [slices.ids, slices.values] + ([] if slices.scale is None else [slices.scale])
    return arrays if slices.is_bucketed else _padded_to_bucket(*arrays)


def _steps_of_products(
    slices: RowProducts,
    dtype: Any,
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
) -> RowSlices:
    # Factors are multiplied, being smaller than rows.
    rate = tf.cast(_rate_of_rows(masses, slices.ids, learning_rate, limit), dtype)
    factors = tf.reshape(rate, [*tf.unstack(tf.shape(slices.factors)[:2]), 1]) * slices.factors
    steps = replace(slices, factors=factors).rows()
    if slices.is_bucketed:
        return steps
    return RowSlices(*_padded_to_bucket(steps.ids, steps.values))


# Compiled functions get handles: they must not hold on to a variable, which may be deleted.
@fused_per_bucket
def _sum_by_row(row_sums: tf.Tensor, ids: tf.Tensor, masses: tf.Tensor, *read: tf.Tensor) -> None:
    """Adds up masses; `read` are rows that may have none. What earlier steps left is cleared."""
    rows = tf.concat([ids, *read], axis=0)
    zeros = tf.zeros_like(rows, tf.float32)
    tf.raw_ops.ResourceScatterNdUpdate(ref=row_sums, indices=rows[:, None], updates=zeros)
    tf.raw_ops.ResourceScatterNdAdd(ref=row_sums, indices=ids[:, None], updates=masses)


# Fused, the scatter runs over the rows in order: twice as fast on a CPU as TensorFlow's kernels,
# which also add rows that repeat in no fixed order.
@fused_per_bucket
def _subtract_rows(
    table: tf.Tensor,
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
    ids: tf.Tensor,
    values: tf.Tensor,
    scale: tf.Tensor | None = None,
) -> None:
    steps = _row_steps(masses, learning_rate, limit, ids, values, scale)
    tf.raw_ops.ResourceScatterNdSub(ref=table, indices=ids[:, None], updates=steps)


def _row_steps(
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
    ids: tf.Tensor,
    values: tf.Tensor,
    scale: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns `rate * scale * values`."""
    rate = tf.cast(_rate_of_rows(masses, ids, learning_rate, limit), values.dtype)
    if scale is not None:
        rate *= scale
    return _by_row(rate, values) * values


_multiplied_rows = fused_per_bucket(_row_steps)


@fused_per_bucket
def _subtract_from_rows_of_owners(
    table: tf.Tensor,
    masses: tf.Tensor,
    learning_rate: tf.Tensor,
    limit: tf.Tensor,
    ids: tf.Tensor,
    values: tf.Tensor,
    owners: tf.Tensor,
) -> None:
    steps = _row_steps(masses, learning_rate, limit, ids, tf.gather(values, owners))
    tf.raw_ops.ResourceScatterNdSub(ref=table, indices=ids[:, None], updates=steps)


@fused_per_bucket
def _scatter_sub(table: tf.Tensor, ids: tf.Tensor, values: tf.Tensor) -> None:
    tf.raw_ops.ResourceScatterNdSub(ref=table, indices=ids[:, None], updates=values)
