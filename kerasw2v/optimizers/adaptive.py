"""Row-sparse optimizers that keep statistics of each number: what they share."""

from typing import Any

import tensorflow as tf

from kerasw2v.ops.fused import fused, fused_per_bucket
from kerasw2v.ops.row_gradients import as_slices
from kerasw2v.ops.rows import distinct
from kerasw2v.optimizers.row_optimizer import RowOptimizer


class AdaptiveRowOptimizer(RowOptimizer):
    """Base class of optimizers with slots: tables of the same shape as a variable.

    The gradient of a row is summed over the batch first, then the rule is applied to the row and to
    its rows of the slots. A gradient of a whole table moves all of it.

    A subclass implements `rule`, and names its slots.
    """

    slot_names: tuple[str, ...]
    slot_initializer: Any = "zeros"

    def __init__(self, learning_rate: Any, reduction: str, name: str, **kwargs: Any) -> None:
        super().__init__(learning_rate, reduction, name, **kwargs)
        self._step_rows = fused_per_bucket(self._rows_step)
        self._step_all = fused(self._whole_step)

    def build(self, variables: list[Any]) -> None:
        """Creates the slots."""
        if self.built:
            return
        super().build(variables)
        initializers = [self.slot_initializer] * len(self.slot_names)
        self._slots = self.add_optimizer_variables(variables, self.slot_names, initializers)

    def rule(
        self, gradient: tf.Tensor, slots: list[tf.Tensor], rate: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns what a step subtracts, and the new slots, number by number.

        `rate` is what `step_size` returns.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `rule`.")

    def step_size(self, learning_rate: tf.Tensor) -> tf.Tensor:
        """Returns what `rule` gets as `rate`, the same for all variables in a step."""
        return learning_rate

    def _slots_of(self, variable: Any) -> list[Any]:
        index = self._get_variable_index(variable)
        return [slots[index].value for slots in self._slots]

    def _update_one(
        self, variable: Any, gradient: Any, learning_rate: Any, *slots: tf.Variable
    ) -> None:
        rate = self.step_size(tf.cast(learning_rate, tf.float32))
        rate = tf.cast(rate, variable.dtype)
        gradient = as_slices(gradient)
        if not isinstance(gradient, tf.IndexedSlices):
            self._step_all(variable, tf.cast(gradient, variable.dtype), rate, *slots)
            return
        ids, positions = distinct(tf.cast(gradient.indices, tf.int32))
        values = tf.cast(gradient.values, variable.dtype)
        sums = tf.math.unsorted_segment_sum(values, positions, tf.size(ids))
        # What pads the ids to a bucket must not touch row 0, which it names.
        is_row = tf.range(tf.size(ids)) <= tf.reduce_max(positions)
        self._step_rows(variable, ids, sums, is_row, rate, *slots)

    def _rows_step(
        self,
        variable: tf.Variable,
        ids: tf.Tensor,
        gradient: tf.Tensor,
        is_row: tf.Tensor,
        rate: tf.Tensor,
        *slots: tf.Variable,
    ) -> None:
        old = [tf.gather(slot, ids) for slot in slots]
        step, new = self.rule(gradient, old, rate)
        is_row = tf.reshape(is_row, [-1] + [1] * (len(variable.shape) - 1))

        def add(table: tf.Variable, values: tf.Tensor) -> None:
            table.scatter_nd_add(ids[:, None], tf.where(is_row, values, tf.zeros_like(values)))

        add(variable, -step)
        for slot, before, after in zip(slots, old, new, strict=True):
            add(slot, after - before)

    def _whole_step(
        self, variable: tf.Variable, gradient: tf.Tensor, rate: tf.Tensor, *slots: tf.Variable
    ) -> None:
        step, new = self.rule(gradient, [slot.read_value() for slot in slots], rate)
        variable.assign_sub(step)
        for slot, after in zip(slots, new, strict=True):
            slot.assign(after)
