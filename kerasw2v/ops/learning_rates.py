"""Initial and final learning rates; without TensorFlow, for the command line."""

from kerasw2v.utils.checks import check_choice, check_int

ARCHITECTURES = ("skip-gram", "cbow")


def default_learning_rate(architecture: str, epochs: int) -> float:
    """Returns the initial value of a falling learning rate, for the step of one pair.

    `.09 * epochs ** -.2` for CBOW (.065 in five epochs), `.05 * epochs ** -.05` for skip-gram.
    Chosen for negative sampling on 17 million words of Wikipedia.

    Args:
        architecture: `"skip-gram"` or `"cbow"`.
        epochs: number of epochs.

    Raises:
        TypeError, ValueError: if `architecture` is unknown, or `epochs` is not a positive integer.

    Example:

    >>> round(default_learning_rate("cbow", epochs=5), 4)
    0.0652
    """
    _check(architecture, epochs)
    return float(0.09 * epochs**-0.2 if architecture == "cbow" else 0.05 * epochs**-0.05)


def default_end(architecture: str, epochs: int) -> float:
    """Returns the final value of a falling learning rate, as a share of its initial value.

    `1 / (1 + 2 epochs ** 2)` for CBOW, a third in one epoch and a fiftieth in five;
    `1 / (1 + 9 epochs ** 2)` for skip-gram.
    """
    _check(architecture, epochs)
    return float(1 / (1 + (2 if architecture == "cbow" else 9) * epochs**2))


def _check(architecture: str, epochs: int) -> None:
    check_choice("architecture", architecture, ARCHITECTURES)
    check_int("epochs", epochs, minimum=1)
