"""What optimizers of row-sparse gradients share."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.ops.replica_sum import REDUCTIONS, joined, joins_in_process, sum_over_replicas
from kerasw2v.ops.row_gradients import as_row_gradient
from kerasw2v.ops.shared_traces import Place
from kerasw2v.utils.checks import check_choice, check_non_negative

_DENSIFYING = (
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


class RowOptimizer(keras.optimizers.Optimizer):
    """Base class of optimizers that update only the rows that a gradient names.

    A subclass implements `_update_one`, which applies a `RowGradient` to a table, or a dense
    gradient to any other variable, given what `_slots_of` returns for it.
    """

    def __init__(self, learning_rate: Any, reduction: str, name: str, **kwargs: Any) -> None:
        for argument in _DENSIFYING:
            if kwargs.get(argument):
                raise ValueError(
                    f"`{argument}` must not be set: it would touch every row of a table at every "
                    f"step. Received: {argument}={kwargs[argument]!r}."
                )
        if not callable(learning_rate):
            learning_rate = check_non_negative("learning_rate", learning_rate)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        gradients = list(map(as_row_gradient, grads, trainable_variables))
        # Whatever is not linear in the gradient must see the whole batch.
        joins = joins_in_process(self.reduction)
        if not joins:
            gradients = sum_over_replicas(gradients, self.reduction)
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._update_all,
            self._distribution_strategy,
            joins,
            [variable.value for variable in trainable_variables],
            gradients,
            learning_rate,
            [self._slots_of(variable) for variable in trainable_variables],
        )

    def _slots_of(self, variable: Any) -> list[Any]:
        """Returns the state that belongs to a variable."""
        return []

    def _update_all(
        self,
        strategy: tf.distribute.Strategy,
        joins: bool,
        variables: list[Any],
        gradients: list[Any],
        learning_rate: Any,
        slots: list[list[Any]],
    ) -> None:
        for variable, gradient, own in zip(variables, gradients, slots, strict=True):
            if joins:
                self._update_from_all(strategy, variable, gradient.values, learning_rate, own)
                continue
            strategy.extended.update(
                variable, self._update_one, args=(gradient, learning_rate, *own), group=False
            )

    def _update_from_all(
        self,
        strategy: tf.distribute.Strategy,
        variable: Any,
        gradients: tuple[Any, ...],
        learning_rate: Any,
        slots: list[Any],
    ) -> None:
        """Applies the gradients of all replicas of this process to each copy of a variable."""

        def update(copy: Any, *arguments: Any) -> None:
            self._update_one(copy, joined(gradients), *arguments)

        strategy.extended.update(variable, update, args=(learning_rate, *slots), group=False)

    def _update_one(self, variable: Any, gradient: Any, learning_rate: Any, *slots: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must implement `_update_one`.")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Not used: `_backend_update_step` updates a table together with its masses."""
        raise NotImplementedError(f"{type(self).__name__} updates tables through `apply`.")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}

    def trace_config(self) -> dict[str, Any]:
        """Returns what a traced step depends on, beside variables (see `model_traces`)."""
        schedule = self._learning_rate
        if isinstance(schedule, keras.Variable):
            rate: Any = None
        elif hasattr(schedule, "places"):
            rate = type(schedule).__qualname__
        else:
            rate = keras.saving.serialize_keras_object(schedule)
        return {**self.get_config(), "learning_rate": rate}

    def other_places(self) -> list[Place]:
        """Returns where variables that are not among `variables` are held."""
        schedule = self._learning_rate
        return schedule.places() if hasattr(schedule, "places") else []
