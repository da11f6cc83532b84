"""Helpers of all commands' parsers."""

import argparse
from typing import TYPE_CHECKING, Any

DEBUG_HELP = "show where an error came from, not only what it is"


def add_command(commands: Any, name: str, **texts: str) -> argparse.ArgumentParser:
    """Adds a command whose texts are printed as they are."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
    )
    # Without a default: it would undo a `--debug` before the command.
    command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG_HELP)
    return command


def positive_int(text: str) -> int:
    """Reads an integer of at least 1; for `type=` of an argument, as all of these."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, not {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def non_negative_float(text: str) -> float:
    """Reads a finite number, not negative."""
    number = _number(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must not be negative or infinite, not {text}")
    return number


def finite_float(text: str) -> float:
    """Reads a finite number of either sign."""
    number = _number(text)
    if not abs(number) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be finite, not {text}")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None


def positive_float(text: str) -> float:
    """Reads a finite number above 0."""
    number = non_negative_float(text)
    if not number:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number


def seed(text: str) -> int:
    """Reads a seed: NumPy's generators need it to be non-negative, TensorFlow's to be an int64."""
    if not text.isdecimal() or not int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 2**63 - 1, not {text!r}")
    return int(text)


def non_empty(text: str) -> str:
    """Refuses the empty text, which would pass for an option that is absent."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def add_columns(group: Any, help: str) -> None:
    """Adds the options that name the columns of a table."""
    group.add_argument(
        "--columns",
        nargs=2,
        type=non_empty,
        metavar=("GROUP", "ITEM"),
        help=f"{help}: the columns that hold the basket (or session, playlist) and the item; needs "
        "pandas, and pyarrow for .parquet: pip install 'kerasw2v[table]'",
    )
    group.add_argument(
        "--order",
        type=non_empty,
        metavar="COLUMN",
        help="sort the items of a basket by this column of numbers or dates; without, they are in "
        "the order of the rows",
    )


def checked_columns(args: argparse.Namespace, is_table: bool) -> tuple[str, str] | None:
    """Returns the value of `--columns`; ValueError unless it and `--order` have a table."""
    if args.columns is None:
        if args.order is not None:
            raise ValueError(
                "`--order` must be given together with `--columns`. "
                f"Received: --order {args.order} without --columns."
            )
        return None
    if not is_table:
        raise ValueError(
            "`--columns` must be given together with a table. "
            f"Received: --columns {' '.join(args.columns)} without a file."
        )
    group, item = args.columns
    return group, item


def read_items(path: Any, columns: tuple[str, str], order: str | None) -> list[list[str]]:
    """Returns the groups of a table, with items as text: what can be asked for in a terminal."""
    from kerasw2v.data.table import read_table

    return [[str(item) for item in group] for group in read_table(path, *columns, order)]


if TYPE_CHECKING:
    from gensim.models import KeyedVectors


def open_vectors(path: str | None) -> "KeyedVectors":
    """Loads vectors from a file, or the vectors of the package."""
    if path is None:
        from kerasw2v.zoo import english_vectors

        return english_vectors()
    from kerasw2v.keyed_vectors import load_vectors

    return load_vectors(path)
