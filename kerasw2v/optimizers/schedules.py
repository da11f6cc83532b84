"""Learning rates that fall as word2vec's do."""

import keras

from kerasw2v.ops.learning_rates import default_end, default_learning_rate
from kerasw2v.utils.checks import check_finite, check_int, check_positive


def default_schedule(
    architecture: str, steps_per_epoch: int, epochs: int, learning_rate: float | None = None
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns the falling learning rate that suits a model: what `kerasw2v train` uses.

    Args:
        architecture: `"skip-gram"` or `"cbow"`; any other is a ValueError.
        steps_per_epoch: `len(dataset)`.
        epochs: how many epochs the training has.
        learning_rate: where to start; `default_learning_rate` when None.

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
        TypeError, ValueError: if a number is not positive and finite, or `end` is not from 0 to 1.

    Example:

    >>> from kerasw2v.optimizers import RowSGD, linear_decay
    >>> schedule = linear_decay(0.05, steps_per_epoch=100, epochs=4)
    >>> float(schedule(0)), round(float(schedule(400)), 4)
    (0.05000000074505806, 0.0015)
    """
    steps = check_int("steps_per_epoch", steps_per_epoch, minimum=1)
    epochs = check_int("epochs", epochs, minimum=1)
    learning_rate = check_positive("learning_rate", learning_rate)
    end = default_end("cbow", epochs) if end is None else check_finite("end", end)
    if not 0 <= end <= 1:
        raise ValueError(f"`end` must be from 0 to 1. Received: end={end}.")
    return keras.optimizers.schedules.PolynomialDecay(
        float(learning_rate), epochs * steps, end_learning_rate=float(learning_rate * end)
    )
