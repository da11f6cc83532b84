"""Where a falling learning rate should start; without TensorFlow, for the command line."""

from kerasw2v.ops.checks import check_choice, check_int

ARCHITECTURES = ("skip-gram", "cbow")


def default_learning_rate(architecture: str, epochs: int) -> float:
    """Returns where `optimizers.linear_decay` should start, as the step of one pair.

    For CBOW .06; for skip-gram .045 in one epoch, .04 in five, `.045 * epochs ** -.075`. Chosen on
    17 million words of Wikipedia.

    Args:
        architecture: `"skip-gram"` or `"cbow"`.
        epochs: how many epochs the training has.

    Raises:
        TypeError, ValueError: if there is no such architecture, or no epoch.

    Example:

    >>> round(default_learning_rate("skip-gram", epochs=5), 4)
    0.0399
    """
    check_choice("architecture", architecture, ARCHITECTURES)
    check_int("epochs", epochs, minimum=1)
    return 0.06 if architecture == "cbow" else float(0.045 * epochs**-0.075)
