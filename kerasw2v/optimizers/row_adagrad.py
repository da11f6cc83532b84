"""Adagrad over row-sparse gradients."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.optimizers.adaptive import AdaptiveRowOptimizer
from kerasw2v.utils.checks import check_non_negative, check_positive


@keras.saving.register_keras_serializable("kerasw2v")
class RowAdagrad(AdaptiveRowOptimizer):
    """Adagrad that updates only the rows of a batch.

    With `g` the summed gradient of a row in the batch,

        a   = a + g ** 2
        row -= learning_rate * g / sqrt(a + epsilon)

    This is Adagrad, whose rows without a gradient stay anyway; but each row's gradient is summed
    over the batch before it is squared, which `keras.optimizers.Adagrad` does not do, and nothing
    is computed for rows that the batch does not name. Frequent rows learn slowly in the end, rare
    ones fast. Dense gradients are applied as Adagrad does.

    Args:
        learning_rate: float, or a `keras.optimizers.schedules.LearningRateSchedule`.
        initial_accumulator_value: where `a` starts, at least 0.
        epsilon: greater than 0.
        reduction: how row-sparse gradients travel between replicas, as in `RowSGD`.
        name: name of the optimizer.
        **kwargs: arguments of `keras.optimizers.Optimizer`. Those that would turn a row-sparse
            gradient or update into one of the whole table are refused.

    Raises:
        TypeError, ValueError: if a number, `learning_rate` too, is out of its range, `reduction`
            is unknown, or for weight decay, gradient clipping, moving averages, loss scaling and
            gradient accumulation.

    Cost: `O(rows * d)` per step for a row-sparse gradient, whatever the size of the table: a row of
    two tables read and written once; `O(V * d)` for a gradient of a whole table. One table of the
    size of the variables as state.

    Example:

    >>> from kerasw2v import SkipGram, layers, optimizers
    >>> model = SkipGram(100, 8, layers.NegativeSampling(100))
    >>> model.compile(optimizers.RowAdagrad(0.05))

    Source: Duchi et al., "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.
    """

    slot_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any = 0.05,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        reduction: str = "auto",
        name: str = "row_adagrad",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, reduction, name, **kwargs)
        self.initial_accumulator_value = check_non_negative(
            "initial_accumulator_value", initial_accumulator_value
        )
        self.slot_initializer = keras.initializers.Constant(self.initial_accumulator_value)
        self.epsilon = check_positive("epsilon", epsilon)

    def rule(
        self, gradient: tf.Tensor, slots: list[tf.Tensor], rate: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        (total,) = slots
        total += tf.square(gradient)
        return rate * gradient * tf.math.rsqrt(total + self.epsilon), [total]

    def get_config(self) -> dict[str, Any]:
        numbers = {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
        return {**super().get_config(), **numbers}
