"""The command line: `kerasw2v train | evaluate | similar | zoo`.

What takes long to import is imported by the command that needs it, so that `--help` is instant and
`similar` does not wait for TensorFlow.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from kerasw2v.cli import evaluate, similar, train, zoo
from kerasw2v.utils.versions import version

_EXAMPLES = """\
examples:
  kerasw2v train --output vectors.kv                       a small corpus that gensim ships
  kerasw2v train wiki.txt.gz --output vectors.kv --cbow
  kerasw2v evaluate vectors.kv
  kerasw2v similar vectors.kv cat "king - man + woman"
  kerasw2v similar cat                                     with vectors that come with the package
  kerasw2v zoo list                                        trainings that are known to work

`kerasw2v COMMAND --help` tells more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: the arguments, without the program's name; those of the process when None.

    Returns:
        The exit code: 0, 1 for an error in data or surroundings (one sentence on stderr), 130
        after Ctrl-C. Errors of usage leave through `SystemExit` with code 2.

    Example:

    >>> main(["similar", "no-such-file.kv", "cat"])
    1
    """
    args = _parser().parse_args(arguments)
    try:
        args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        print(f"\nkerasw2v: {stop or 'Stopped.'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output, such as `head`, has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ImportError, MemoryError, OSError, ValueError) as error:
        print(f"kerasw2v: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kerasw2v",
        description="word2vec with Keras: train word vectors, judge them, look words up.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kerasw2v {version('kerasw2v')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    train.add(commands)
    evaluate.add(commands)
    similar.add(commands)
    zoo.add(commands)
    return parser


def _sentence(error: BaseException) -> str:
    """Returns an error's message in one line; the system's own errors in a readable form."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename!r}: {error.strerror}."
    if isinstance(error, MemoryError):
        return "Out of memory."
    return " ".join(str(error).split()) or type(error).__name__
