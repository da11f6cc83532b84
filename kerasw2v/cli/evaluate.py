"""`kerasw2v evaluate`: tests vectors on analogies and word similarity."""

import argparse
import json
from typing import Any

from kerasw2v.cli.arguments import add_command, open_vectors, positive_int


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    command = add_command(
        commands,
        "evaluate",
        help="test vectors on analogies and word similarity",
        description=(
            "Tests vectors on the usual English test sets: analogies (questions-words), and\n"
            "agreement with people about the similarity of words (WordSim353, SimLex999)."
        ),
    )
    command.set_defaults(run=_run)
    command.add_argument(
        "vectors",
        nargs="?",
        metavar="VECTORS",
        help="a .kv, .vec, .txt or .bin file; without it, the vectors of the package",
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.add_argument(
        "--analogies",
        metavar="FILE",
        help="your own questions: four words per line, sections headed by `: name`",
    )
    command.add_argument(
        "--pairs",
        metavar="FILE",
        action="append",
        help="your own pairs: two words and a number per line, between tabs; may be repeated",
    )
    command.add_argument(
        "--restrict-vocab",
        type=positive_int,
        default=30_000,
        metavar="N",
        help="ask analogies among the N most frequent words (%(default)s)",
    )


def _run(args: argparse.Namespace) -> None:
    from kerasw2v.evaluation import evaluate

    pairs = None if args.pairs is None else {path: path for path in args.pairs}
    result = evaluate(open_vectors(args.vectors), args.analogies, pairs, args.restrict_vocab)
    print(json.dumps(result.to_dict(), indent=2) if args.json else result.table())
