"""placeholder"""
from typing import Any
import tensorflow as tf

from kerasw2v.ops.row_gradients import RowGradient

_LEAST_MASS = 1e-30


def add_masses(kept: tf.Variable, gradient: RowGradient) -> None:
    mass = gradient.mass
    if mass.ids is None or any(each.ids is None for each in gradient.slices):
        kept.assign_add(mass.total(gradient.shape[0]) + _LEAST_MASS)
        return
    kept.scatter_add(tf.IndexedSlices(mass.values, mass.ids))
