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
        handles = [table.handle for table in (variable, *slots)]
        gradient = as_slices(gradient)
        if not isinstance(gradient, tf.IndexedSlices):
            self._step_all(tf.cast(gradient, variable.dtype), rate, *handles)
            return
        ids, positions = distinct(tf.cast(gradient.indices, tf.int32))
        values = tf.cast(gradient.values, variable.dtype)
        sums = tf.math.unsorted_segment_sum(values, positions, tf.size(ids))
        # What pads the ids to a bucket must not touch row 0, which it names.
        is_row = tf.range(tf.size(ids)) <= tf.reduce_max(positions)
        self._step_rows(ids, sums, is_row, rate, *handles)

    # Compiled, both get handles: a variable would be read as a whole.

    def _rows_step(
        self,
        ids: tf.Tensor,
        gradient: tf.Tensor,
        is_row: tf.Tensor,
        rate: tf.Tensor,
        table: tf.Tensor,
        *slots: tf.Tensor,
    ) -> None:
        old = [
            tf.raw_ops.ResourceGather(resource=slot, indices=ids, dtype=gradient.dtype)
            for slot in slots
        ]
        step, new = self.rule(gradient, old, rate)
        is_row = tf.reshape(is_row, [-1] + [1] * (len(gradient.shape) - 1))
        changes = [-step, *(after - before for before, after in zip(old, new, strict=True))]
        for handle, change in zip((table, *slots), changes, strict=True):
            change = tf.where(is_row, change, tf.zeros_like(change))
            tf.raw_ops.ResourceScatterNdAdd(ref=handle, indices=ids[:, None], updates=change)

    def _whole_step(
        self, gradient: tf.Tensor, rate: tf.Tensor, table: tf.Tensor, *slots: tf.Tensor
    ) -> None:
        read = [tf.raw_ops.ReadVariableOp(resource=slot, dtype=gradient.dtype) for slot in slots]
        step, new = self.rule(gradient, read, rate)
        tf.raw_ops.AssignSubVariableOp(resource=table, value=step)
        for slot, after in zip(slots, new, strict=True):
            tf.raw_ops.AssignVariableOp(resource=slot, value=after)
