"""What the parsers of all commands share."""

import argparse
from typing import TYPE_CHECKING, Any


def add_command(commands: Any, name: str, **texts: str) -> argparse.ArgumentParser:
    """Adds a command whose texts are printed as they are."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
    )
    return command


def positive_int(text: str) -> int:
    """Reads a whole number from 1; for `type=` of an argument."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, not {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def non_negative_float(text: str) -> float:
    """Reads a finite number from 0."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must not be negative or infinite, not {text}")
    return number


def positive_float(text: str) -> float:
    """Reads a finite number above 0."""
    number = non_negative_float(text)
    if not number:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number


if TYPE_CHECKING:
    from gensim.models import KeyedVectors


def open_vectors(path: str | None) -> "KeyedVectors":
    """Loads vectors from a file, or those of the package."""
    if path is None:
        from kerasw2v.zoo import english_vectors

        return english_vectors()
    from kerasw2v.keyed_vectors import load_vectors

    return load_vectors(path)
