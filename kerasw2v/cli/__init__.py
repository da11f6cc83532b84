"""The command line: `kerasw2v train | evaluate | similar | zoo`.

Each command imports slow modules only when it runs, so that `--help` is instant and `similar` does
not wait for TensorFlow.
"""

import argparse
import io
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from kerasw2v.cli import evaluate, similar, train, zoo
from kerasw2v.cli.arguments import DEBUG_HELP
from kerasw2v.utils.versions import version

_EXAMPLES = """\
examples:
  kerasw2v train --output vectors.kv                       a small corpus that gensim ships
  kerasw2v train wiki.txt.gz --output vectors.kv --cbow
  kerasw2v train baskets.csv --columns basket item --preset baskets --output items.kv
  kerasw2v evaluate vectors.kv
  kerasw2v similar vectors.kv cat "king - man + woman"
  kerasw2v similar cat                                     with vectors that come with the package
  kerasw2v zoo list                                        trainings that are known to work

`kerasw2v COMMAND --help` explains all options.
"""

# Lines of TensorFlow's messages that say where, not what.
_TRACE = re.compile(r"\s|\[\[|Graph execution error|Detected at node|<stack traces|Traceback")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: the arguments, without the program's name; those of the process when None.

    Returns:
        The exit code: 0 for success, 1 for an error (one line on stderr; with `--debug` it is
        raised), 130 after Ctrl-C, 143 after SIGTERM, which stops a run in the same way. Wrong usage
        raises `SystemExit` with code 2.

    Example:

    >>> main(["similar", "no-such-file.kv", "cat"])
    1
    """
    args = _parser().parse_args(arguments)
    signals: list[int] = []
    try:
        with _any_word_printable(), _plain_warnings(), _interrupted_by_sigterm(signals):
            args.run(args)
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        print(f"\nkerasw2v: {stop or 'Stopped.'}", file=sys.stderr)
        return 143 if signals else 130
    except BrokenPipeError:
        # The reader of the output, such as `head`, has left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if args.debug:
            raise
        print(f"kerasw2v: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def program() -> None:
    """Runs `main` on the arguments of the process, and ends it with the exit code."""
    code = main()
    if code > 128:
        # Stopped: TensorFlow's threads may still read the corpus, and would now and then crash in
        # an interpreter that is taken down. Everything of ours is closed and written.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


@contextmanager
def _any_word_printable() -> Iterator[None]:
    r"""Prints what a console cannot show, such as accents in ASCII, as `\xe9`, not as an error."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper) or stdout.errors != "strict":
        yield
        return
    stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stdout.reconfigure(errors="strict")


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Prints a warning as one line, as errors are: where in the code it arose helps nobody."""

    def show(message: Warning | str, *args: object) -> None:
        print(f"kerasw2v: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@contextmanager
def _interrupted_by_sigterm(signals: list[int]) -> Iterator[None]:
    """Makes SIGTERM a `KeyboardInterrupt` in the block, and notes it in the list."""

    def interrupt(number: int, frame: object) -> None:
        signals.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only there are signals received
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence: a usage of many options would hide it."""

    def error(self, message: str) -> NoReturn:
        # Options that no command knows come to the parser of all commands.
        command = " COMMAND" if message.startswith("unrecognized") else ""
        self.exit(2, f"{self.prog}: {message}. See `{self.prog}{command} --help`.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="kerasw2v",
        description="word2vec with Keras: train word vectors, test them, look up similar words.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    parser.add_argument("--version", action="version", version=f"kerasw2v {version('kerasw2v')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    train.add(commands)
    evaluate.add(commands)
    similar.add(commands)
    zoo.add(commands)
    return parser


def _tensorflow_errors() -> tuple[type[Exception], ...]:
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    return (errors.OpError,) if errors else ()


def _sentence(error: Exception) -> str:
    """Returns an error's message in one line; errors of the system in a readable form."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename!r}: {error.strerror}."
    message = str(error)
    if isinstance(error, MemoryError) and not message:
        return "Out of memory."
    if isinstance(error, _tensorflow_errors()):
        lines = re.sub(r"{{.*?}}\s*|\[Op:.*", "", message).splitlines()
        message = next((line for line in lines if line and not _TRACE.match(line)), "")
    elif not isinstance(error, ArithmeticError | ImportError | MemoryError | OSError | ValueError):
        # Not one that this package foresees, so its kind says as much as its message.
        message = f"{type(error).__name__}: {message} (`--debug` shows where.)"
    return " ".join(message.split()) or type(error).__name__
