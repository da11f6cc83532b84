"""`kerasw2v evaluate`: tests vectors on analogies and word similarity, or on next items."""

import argparse
import json
from collections.abc import Iterable
from typing import Any

from kerasw2v.cli.arguments import (
    add_columns,
    add_command,
    checked_columns,
    open_vectors,
    positive_int,
    read_items,
)

_EXAMPLES = """\
examples:
  kerasw2v evaluate vectors.kv
  kerasw2v evaluate items.kv --next-items held_out.csv --columns basket item
"""


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    command = add_command(
        commands,
        "evaluate",
        help="test vectors on analogies and word similarity, or on next items",
        description=(
            "Tests vectors on the usual English test sets: analogies (questions-words), and\n"
            "agreement with people about the similarity of words (WordSim353, SimLex999).\n"
            "Tests vectors of items on baskets that they were not trained on: the last item of\n"
            "each is to be found by the mean of those before it."
        ),
        epilog=_EXAMPLES,
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
    items = command.add_argument_group("items")
    items.add_argument(
        "--next-items",
        metavar="FILE",
        help="baskets, sessions or playlists to test vectors of items on, instead of words: a "
        "table with --columns, else text with a basket a line",
    )
    add_columns(items, "the file is a table with a row for each item")
    items.add_argument(
        "--query",
        choices=("mean", "last"),
        default="mean",
        help="ask with the mean of the items before, or with the last of them (%(default)s)",
    )
    items.add_argument(
        "--include-seen",
        action="store_true",
        help="keep the items before among the candidates, for what is bought or heard again",
    )
    command.add_argument(
        "--restrict-vocab",
        type=positive_int,
        default=30_000,
        metavar="N",
        help="ask analogies among the N most frequent words (%(default)s)",
    )


def _run(args: argparse.Namespace) -> None:
    result = _result(args)
    print(json.dumps(result.to_dict(), indent=2) if args.json else result.table())
    if args.next_items is None and not args.json and not result.is_tested:
        print("Vectors of items are tested by --next-items; see `kerasw2v evaluate --help`.")


def _result(args: argparse.Namespace) -> Any:
    from kerasw2v.data.table import table_suffix
    from kerasw2v.evaluation import evaluate, evaluate_next_items

    columns = checked_columns(args, is_table=args.next_items is not None)
    if args.next_items is None:
        pairs = None if args.pairs is None else {path: path for path in args.pairs}
        return evaluate(open_vectors(args.vectors), args.analogies, pairs, args.restrict_vocab)
    for option in ("analogies", "pairs"):
        if getattr(args, option) is not None:
            raise ValueError(
                f"`--{option}` must not be given with `--next-items`, which tests no words. "
                f"Received: --{option} and --next-items."
            )
    if not columns and table_suffix(args.next_items):
        raise ValueError(
            "`--columns` must be given with a table, to name the columns of baskets and items. "
            f"Received: --next-items {args.next_items} without --columns."
        )
    vectors = open_vectors(args.vectors)
    # Items of a file are text; those of vectors may be numbers.
    names = {str(item): item for item in vectors.index_to_key}
    baskets = [[names.get(item, item) for item in basket] for basket in _baskets(args, columns)]
    return evaluate_next_items(vectors, baskets, (1, 5, 10, 20), args.query, not args.include_seen)


def _baskets(args: argparse.Namespace, columns: tuple[str, str] | None) -> Iterable[list[str]]:
    if columns:
        return read_items(args.next_items, columns, args.order)
    from kerasw2v.data.corpus import iter_sentences

    return filter(None, iter_sentences(args.next_items))
