"""`kerasw2v train`: its arguments; `kerasw2v.cli.train_run` does the work."""

import argparse
from typing import Any

from kerasw2v.cli.arguments import (
    add_command,
    non_negative_float,
    positive_float,
    positive_int,
)

_DESCRIPTION = """\
Trains word vectors on text files: one sentence a line, words separated by blanks, UTF-8, plain or
.gz, .bz2, .xz. Several files are one corpus. Without a file it trains on a small corpus of news
that gensim ships, for 50 epochs.
"""

_EXAMPLES = """\
the name of the output decides its format:
  .kv                    gensim's own, keeps word counts
  .vec .txt (also .gz)   word2vec's text format
  .bin (also .gz)        word2vec's binary format

examples:
  kerasw2v train wiki.txt --output vectors.kv
  kerasw2v train part1.gz part2.gz --output vectors.bin --cbow --size 300 --epochs 3
  kerasw2v train wiki.txt --output vectors.kv --report run.html --plot run.png
  kerasw2v train wiki.txt --output vectors.kv --checkpoint state/   interrupt and repeat it at will
  kerasw2v train wiki.txt --output vectors.kv --workers a:7000,b:7000 --index 0    and 1 on host b
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
    command.add_argument("corpus", nargs="*", metavar="CORPUS", help="text files")
    _add_files(command.add_argument_group("files"))
    _add_model(command.add_argument_group("model"))
    _add_training(command.add_argument_group("training"))
    _add_workers(command.add_argument_group("several machines"))


def _add_files(group: Any) -> None:
    group.add_argument("--output", required=True, metavar="FILE", help="where the vectors go")
    group.add_argument("--save-vocab", metavar="FILE", help="write words and counts as text")
    group.add_argument(
        "--read-vocab",
        metavar="FILE",
        help="use the words and counts of this file, whatever --min-count and --max-vocab",
    )
    group.add_argument("--save-model", metavar="FILE.keras", help="save the whole Keras model")
    group.add_argument(
        "--checkpoint",
        metavar="FOLDER",
        help="save the state after every epoch; repeating the command takes it up again",
    )
    group.add_argument(
        "--projector", metavar="FOLDER", help="write files for TensorBoard's embedding projector"
    )
    group.add_argument(
        "--plot",
        metavar="FILE.png",
        help="draw the most frequent words and the loss; .pdf and .svg too; needs matplotlib",
    )
    group.add_argument(
        "--report",
        metavar="FILE.html",
        help="write a page on the run: settings, loss, speed, map and search of words, tests",
    )


def _add_model(group: Any) -> None:
    architecture = group.add_mutually_exclusive_group()
    architecture.add_argument(
        "--sg",
        dest="architecture",
        action="store_const",
        const="skip-gram",
        help="skip-gram: predict the neighbours from a word (default)",
    )
    architecture.add_argument(
        "--cbow",
        dest="architecture",
        action="store_const",
        const="cbow",
        help="CBOW: predict a word from its neighbours; faster, for large corpora",
    )
    architecture.set_defaults(architecture="skip-gram")
    group.add_argument(
        "--size", type=positive_int, default=100, metavar="N", help="dimensions (%(default)s)"
    )
    group.add_argument(
        "--window",
        type=positive_int,
        default=5,
        metavar="N",
        help="neighbours are at most so far away (%(default)s)",
    )
    group.add_argument(
        "--negative",
        type=positive_int,
        default=5,
        metavar="N",
        help="noise words for each pair (%(default)s)",
    )
    group.add_argument(
        "--min-count",
        type=positive_int,
        default=5,
        metavar="N",
        help="leave out words that are rarer (%(default)s)",
    )
    group.add_argument(
        "--max-vocab", type=positive_int, metavar="N", help="keep at most so many words"
    )


def _add_training(group: Any) -> None:
    group.add_argument(
        "--epochs",
        type=positive_int,
        metavar="N",
        help="passes over the corpus (5; 50 without a corpus)",
    )
    group.add_argument(
        "--alpha",
        type=positive_float,
        metavar="X",
        help="learning rate at the start (skip-gram: 0.05 for 1 epoch, 0.046 for 5; CBOW: 0.09 "
        "and 0.065); it falls on a line, far down in 1 epoch, nearly to 0 in 5",
    )
    group.add_argument(
        "--sample",
        type=non_negative_float,
        default=1e-3,
        metavar="X",
        help="drop words at random that are more frequent than this; 0 keeps all (%(default)s)",
    )
    group.add_argument(
        "--batch-size",
        type=positive_int,
        metavar="N",
        help="words a step (256 to 4096 by the size of the corpus)",
    )
    group.add_argument("--seed", type=int, metavar="N", help="make the draws repeatable")
    group.add_argument("--quiet", action="store_true", help="no progress, no summary")


def _add_workers(group: Any) -> None:
    group.add_argument(
        "--workers",
        metavar="HOST:PORT,...",
        help="train together with these processes, of which this is one; start the same command on "
        "each; the first is the chief and alone writes",
    )
    group.add_argument(
        "--index", type=int, metavar="I", help="which of the workers this one is, from 0"
    )
    group.add_argument(
        "--local-steps",
        type=positive_int,
        metavar="K",
        help="for slow networks: let each worker train alone, and average the vectors after every "
        "K steps; otherwise all of them make each step together",
    )
    group.add_argument(
        "--wait",
        type=positive_float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for the others (%(default)s)",
    )


def _run(args: argparse.Namespace) -> None:
    from kerasw2v.cli.train_run import train

    train(args)
