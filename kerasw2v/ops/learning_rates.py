"""Where a falling learning rate should start and end; without TensorFlow, for the command line."""

from kerasw2v.utils.checks import check_choice, check_int

ARCHITECTURES = ("skip-gram", "cbow")


def default_learning_rate(architecture: str, epochs: int) -> float:
    """Returns where a falling learning rate should start, as the step of one pair.

    For CBOW .09 in one epoch, .065 in five, `.09 * epochs ** -.2`; for skip-gram .05 and .046,
    `.05 * epochs ** -.05`. Chosen for negative sampling on 17 million words of Wikipedia.

    Args:
        architecture: `"skip-gram"` or `"cbow"`.
        epochs: how many epochs the training has.

    Raises:
        ValueError: if there is no such architecture, or no epoch.

    Example:

    >>> round(default_learning_rate("cbow", epochs=5), 4)
    0.0652
    """
    _check(architecture, epochs)
    return float(0.09 * epochs**-0.2 if architecture == "cbow" else 0.05 * epochs**-0.05)


def default_end(architecture: str, epochs: int) -> float:
    """Returns at which share of its start a falling learning rate should end.

    `1 / (1 + 2 epochs ** 2)` for CBOW, a third in one epoch and a fiftieth in five;
    `1 / (1 + 9 epochs ** 2)` for skip-gram, whose last steps may be shorter.

    Args:
        architecture: `"skip-gram"` or `"cbow"`.
        epochs: how many epochs the training has.

    Raises:
        ValueError: if there is no such architecture, or no epoch.

    Example:

    >>> default_end("skip-gram", epochs=1)
    0.1
    """
    _check(architecture, epochs)
    return float(1 / (1 + (2 if architecture == "cbow" else 9) * epochs**2))


def _check(architecture: str, epochs: int) -> None:
    check_choice("architecture", architecture, ARCHITECTURES)
    check_int("epochs", epochs, minimum=1)
