"""Adam over row-sparse gradients."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.optimizers.adaptive import AdaptiveRowOptimizer
from kerasw2v.utils.checks import check_finite, check_positive


@keras.saving.register_keras_serializable("kerasw2v")
class RowAdam(AdaptiveRowOptimizer):
    """Adam that updates only the rows of a batch: "lazy" Adam.

    With `g` the summed gradient of a row in the batch, and `t` the number of the step,

        m   = beta_1 * m + (1 - beta_1) * g
        v   = beta_2 * v + (1 - beta_2) * g ** 2
        row -= learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)

    A row that the batch does not name stays, and so do its `m` and `v`; `keras.optimizers.Adam`
    lets them fall in every step and moves every row by what is left of `m`. A row that every batch
    names moves as with Adam. Dense gradients are applied as Adam does.

    The scale of a loss hardly matters to Adam, so a learning rate is about the size of a step here,
    not what it is in word2vec: .001 to .003 is usual.

    Args:
        learning_rate: float, or a `keras.optimizers.schedules.LearningRateSchedule`.
        beta_1: decay of the mean of gradients, from 0 to below 1.
        beta_2: decay of the mean of their squares, from 0 to below 1.
        epsilon: added to the root of that mean; greater than 0.
        reduction: how row-sparse gradients travel between replicas, as in `RowSGD`.
        name: name of the optimizer.
        **kwargs: arguments of `keras.optimizers.Optimizer`. Those that would turn a row-sparse
            gradient or update into one of the whole table are refused.

    Raises:
        TypeError, ValueError: if a number, `learning_rate` too, is out of its range, `reduction`
            is unknown, or for weight decay, gradient clipping, moving averages, loss scaling and
            gradient accumulation.

    Cost: `O(rows * d)` per step for a row-sparse gradient, whatever the size of the table: a row of
    three tables read and written once; `O(V * d)` for a gradient of a whole table. Two tables of
    the size of the variables as state.

    Example:

    >>> import keras
    >>> from kerasw2v import layers, optimizers
    >>> words, targets = keras.Input((3,), dtype="int32"), keras.Input((), dtype="int32")
    >>> hidden = keras.layers.LSTM(8)(layers.EmbeddingLookup(100, 8)(words))
    >>> losses = layers.SampledSoftmax(100, num_sampled=20)(hidden, targets)
    >>> model = keras.Model([words, targets], losses)
    >>> model.compile(optimizers.RowAdam(0.002), loss=layers.outputs_are_losses)

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
    """

    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        reduction: str = "auto",
        name: str = "row_adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, reduction, name, **kwargs)
        self.beta_1 = _check_decay("beta_1", beta_1)
        self.beta_2 = _check_decay("beta_2", beta_2)
        self.epsilon = check_positive("epsilon", epsilon)

    def step_size(self, learning_rate: tf.Tensor) -> tf.Tensor:
        step = tf.cast(tf.convert_to_tensor(self.iterations) + 1, tf.float32)
        return learning_rate * tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)

    def rule(
        self, gradient: tf.Tensor, slots: list[tf.Tensor], rate: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        mean, square = slots
        mean += (1 - self.beta_1) * (gradient - mean)
        square += (1 - self.beta_2) * (tf.square(gradient) - square)
        return rate * mean / (tf.sqrt(square) + self.epsilon), [mean, square]

    def get_config(self) -> dict[str, Any]:
        numbers = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **numbers}


def _check_decay(name: str, value: object) -> float:
    number = check_finite(name, value)
    if not 0 <= number < 1:
        raise ValueError(f"`{name}` must be from 0 to below 1. Received: {name}={value}.")
    return number
