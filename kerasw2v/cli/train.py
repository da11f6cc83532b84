"""`kerasw2v train`: the parser; `kerasw2v.cli.train_run` does the work."""

import argparse
from typing import Any

from kerasw2v.cli.arguments import (
    add_columns,
    add_command,
    checked_columns,
    finite_float,
    non_empty,
    non_negative_float,
    positive_float,
    positive_int,
    seed,
)
from kerasw2v.cli.options import TrainOptions, check_paths, exclusive_outputs
from kerasw2v.presets import PRESETS

_SECONDS_TO_WAIT = 60.0
# What an option is that neither the user nor a preset sets.
_DEFAULTS: dict[str, Any] = {
    "window": 5,
    "full_windows": False,
    "noise_exponent": 0.75,
    "sample": 1e-3,
}
_DESCRIPTION = """\
Trains word vectors on text files: one sentence per line, words separated by blanks, in UTF-8,
plain or compressed (.gz, .bz2, .xz). Several files form one corpus. Without a file it trains for
50 epochs on a small corpus of news articles that gensim ships. With --columns it reads tables.
"""

_EXAMPLES = """\
the suffix of the output decides its format:
  .kv                    gensim's own; keeps the word counts
  .vec .txt (also .gz)   word2vec's text format
  .bin (also .gz)        word2vec's binary format

examples:
  kerasw2v train wiki.txt --output vectors.kv
  kerasw2v train part1.gz part2.gz --output vectors.bin --cbow --size 300 --epochs 3
  kerasw2v train wiki.txt --output vectors.kv --report run.html --plot run.png
  kerasw2v train wiki.txt --output vectors.kv --checkpoint state/   repeat it to resume
  kerasw2v train baskets.csv --columns basket item --preset baskets --output items.kv
  kerasw2v train wiki.txt --output vectors.kv --workers a:7000,b:7000 --index 0    1 on host b
"""


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    command = add_command(
        commands,
        "train",
        help="train word vectors on a corpus",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    command.set_defaults(run=_run)
    command.add_argument(
        "corpus",
        nargs="*",
        metavar="CORPUS",
        help="text files, or tables (.csv, .tsv, .parquet) with --columns; without them, a "
        "demonstration",
    )
    _add_table(command.add_argument_group("tables"))
    _add_files(command.add_argument_group("files"))
    _add_model(command.add_argument_group("model"))
    _add_training(command.add_argument_group("training"))
    _add_workers(command.add_argument_group("several machines"))


def _add_table(group: Any) -> None:
    add_columns(group, "read a table with a row for each item, instead of text")
    group.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="baskets: settings for baskets, playlists and sessions, which other options override: "
        "whole baskets as windows, --sample 0, 20 epochs",
    )


def _add_files(group: Any) -> None:
    def add_path(name: str, metavar: str, help: str, required: bool = False) -> None:
        group.add_argument(name, type=non_empty, metavar=metavar, help=help, required=required)

    add_path("--output", "FILE", "where to write the vectors", required=True)
    add_path("--save-vocab", "FILE", "write the words and their counts as text")
    add_path(
        "--read-vocab",
        "FILE",
        "use the words and counts of this file; --min-count and --max-vocab do not apply then",
    )
    add_path(
        "--initial-vectors",
        "FILE",
        "begin with these vectors of the words that they have, as after an earlier training",
    )
    add_path("--save-model", "FILE.keras", "save the whole Keras model")
    add_path(
        "--checkpoint",
        "FOLDER",
        "save the state after every epoch; the same command resumes from there",
    )
    add_path("--projector", "FOLDER", "write files for TensorBoard's embedding projector")
    add_path(
        "--plot",
        "FILE.png",
        "draw a map of the most frequent words and the loss, also as .pdf or .svg; needs "
        "matplotlib",
    )
    add_path(
        "--report",
        "FILE.html",
        "write a page about the run: settings, loss, speed, word map, word search, tests",
    )


def _add_model(group: Any) -> None:
    architecture = group.add_mutually_exclusive_group()
    for flag, name, help in (
        ("--sg", "skip-gram", "skip-gram: predict the neighbours from a word (default)"),
        ("--cbow", "cbow", "CBOW: predict a word from its neighbours; faster, for large corpora"),
    ):
        architecture.add_argument(
            flag, dest="architecture", action="store_const", const=name, help=help
        )
    architecture.set_defaults(architecture="skip-gram")
    _add_count(group, "--size", "dimensions (%(default)s)", default=100)
    window = _DEFAULTS["window"]
    _add_count(group, "--window", f"neighbours are at most N words away ({window})")
    group.add_argument(
        "--full-windows",
        action="store_const",
        const=True,
        help="always look as far as --window; without, a distance up to it is drawn for each word",
    )
    _add_count(group, "--negative", "noise words for each pair (%(default)s)", default=5)
    group.add_argument(
        "--noise-exponent",
        type=finite_float,
        metavar="X",
        help="noise words are drawn by their counts to the power X "
        f"({_DEFAULTS['noise_exponent']}); 0 for all alike, below 0 for rare ones more often",
    )
    _add_count(group, "--min-count", "ignore words that occur less often (%(default)s)", default=5)
    _add_count(group, "--max-vocab", "keep at most the N most frequent words")


def _add_training(group: Any) -> None:
    _add_count(group, "--epochs", "passes over the corpus (5; 50 without a corpus)")
    group.add_argument(
        "--alpha",
        type=positive_float,
        metavar="X",
        help="initial learning rate (skip-gram: 0.05 for 1 epoch, 0.046 for 5; CBOW: 0.09 and "
        "0.065); it decreases linearly, far in 1 epoch, nearly to 0 in 5",
    )
    group.add_argument(
        "--sample",
        type=non_negative_float,
        metavar="X",
        help="randomly drop words whose share of the corpus exceeds X; 0 keeps all "
        f"({_DEFAULTS['sample']})",
    )
    _add_count(
        group, "--batch-size", "words per step (32 to 4096, by the words and epochs to train on)"
    )
    group.add_argument("--seed", type=seed, metavar="N", help="make the random draws repeatable")
    group.add_argument("--quiet", action="store_true", help="print no progress and no summary")


def _add_workers(group: Any) -> None:
    group.add_argument(
        "--workers",
        type=non_empty,
        metavar="HOST:PORT,...",
        help="train together with these processes, of which this is one; run the same command on "
        "each; only the first one, the chief, writes files",
    )
    group.add_argument(
        "--index", type=int, metavar="I", help="position of this process in --workers, from 0"
    )
    group.add_argument(
        "--sync",
        choices=("rows", "gradients"),
        metavar="WAY",
        help="rows (default): each worker trains on its own, and now and then the rows that have "
        "changed are merged; gradients: all workers make every step together, as one process "
        "would, and send its rows: that pays only where a step takes longer than sending them, and "
        "was slower than one process wherever it was measured",
    )
    _add_count(
        group,
        "--local-steps",
        "with --sync rows: steps between two merges, rounded up to a multiple of 32 (by the number "
        "of words if not given); fewer send more, more let the workers drift apart",
    )
    group.add_argument(
        "--wait",
        type=positive_float,
        metavar="SECONDS",
        help=f"how long to wait for the other workers ({_SECONDS_TO_WAIT:g}) until all are there; "
        "in training, one that dies ends the others at once, one that does not answer within some "
        "ten seconds",
    )


def _add_count(group: Any, name: str, help: str, default: int | None = None) -> None:
    group.add_argument(name, type=positive_int, default=default, metavar="N", help=help)


def _run(args: argparse.Namespace) -> None:
    from kerasw2v.utils.runtime import MAX_CHAINS, start_tensorflow

    options = _options(args)
    check_paths(options)
    with exclusive_outputs(options):
        start_tensorflow(MAX_CHAINS)
        from kerasw2v.cli.train_run import train

        train(options)


def _options(args: argparse.Namespace) -> TrainOptions:
    """Returns the options, checked against each other, with every default filled in."""
    from kerasw2v.ops.learning_rates import default_learning_rate

    preset = _preset(args.preset)
    given = {name: value for name, value in vars(args).items() if value is not None}
    values = vars(args) | _DEFAULTS | {"epochs": 5 if args.corpus else 50} | preset | given
    values |= {
        "corpus": tuple(args.corpus),
        "sync": args.sync or "rows",
        "columns": checked_columns(args, is_table=bool(args.corpus)),
        "wait": args.wait or _SECONDS_TO_WAIT,
    }
    values["alpha"] = args.alpha or default_learning_rate(args.architecture, values["epochs"])
    values["workers"], values["index"] = _checked_workers(args)
    for name in ("run", "debug", "preset"):
        del values[name]
    options = TrainOptions(**values)
    return options.without_outputs() if options.index else options


def _preset(name: str | None) -> dict[str, Any]:
    """Returns a preset under the names of this command's options."""
    if name is None:
        return {}
    preset = PRESETS[name]
    names = {"window": "window", "sample": "sample", "epochs": "epochs"}
    options = {option: preset[theirs] for option, theirs in names.items()}
    return options | {"full_windows": not preset["shrink_windows"]}


def _checked_workers(args: argparse.Namespace) -> tuple[tuple[str, ...], int]:
    if args.workers is None:
        for name in ("index", "sync", "local_steps", "wait"):
            if getattr(args, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(
                    f"`{option}` must be given together with `--workers`. "
                    f"Received: {option} without --workers."
                )
        return (), 0
    from kerasw2v.utils.checks import check_workers

    if args.index is None:
        raise ValueError("`--index` must be given with `--workers`. Received: no --index.")
    if args.local_steps and args.sync == "gradients":
        raise ValueError(
            "`--local-steps` must not be given with `--sync gradients`, where workers make every "
            f"step together. Received: --local-steps {args.local_steps}."
        )
    addresses, index = check_workers(args.workers.split(","), args.index)
    return tuple(addresses), index
