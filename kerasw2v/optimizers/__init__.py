"""Optimizers that update only the rows of a batch, and learning rates that fall as word2vec's."""

from kerasw2v.ops.learning_rates import default_learning_rate
from kerasw2v.optimizers.row_adagrad import RowAdagrad
from kerasw2v.optimizers.row_adam import RowAdam
from kerasw2v.optimizers.row_sgd import RowSGD
from kerasw2v.optimizers.schedules import default_schedule, linear_decay

__all__ = [
    "RowAdagrad",
    "RowAdam",
    "RowSGD",
    "default_learning_rate",
    "default_schedule",
    "linear_decay",
]
