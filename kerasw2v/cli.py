"""The command line: `kerasw2v train | evaluate | similar | zoo`.

What takes long to import is imported by the command that needs it, so that `--help` is instant and
`similar` does not wait for TensorFlow.
"""

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

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

_TRAIN = """\
Trains word vectors on text files: one sentence a line, words separated by blanks, UTF-8, plain or
.gz, .bz2, .xz. Several files are one corpus. Without a file it trains on a small corpus of news
that gensim ships, for 50 epochs.
"""

_TRAIN_EXAMPLES = """\
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

_SIMILAR_EXAMPLES = """\
examples:
  kerasw2v similar cat "king - man + woman"
  kerasw2v similar vectors.kv cat dog
  kerasw2v similar vectors.kv "king - man + woman" --topn 3
"""

_ZOO_EXAMPLES = """\
examples:
  kerasw2v zoo show cbow-class-softmax
  kerasw2v zoo train cbow-class-softmax --corpus wiki.txt --output vectors.kv
  kerasw2v zoo train ./my_recipe.toml --corpus text8 --output vectors.kv
  kerasw2v zoo verify cbow-class-softmax --smoke
"""

_PACKAGED = "the package's vectors"
_VECTORS_SUFFIXES = (".kv", ".vec", ".txt", ".vec.gz", ".txt.gz", ".bin", ".bin.gz")


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
    parser.add_argument("--version", action="version", version=f"kerasw2v {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_evaluate(commands)
    _add_similar(commands)
    _add_zoo(commands)
    return parser


def _version() -> str:
    try:
        return metadata.version("kerasw2v")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _add_command(commands: Any, name: str, **texts: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
    )
    return command


def _add_train(commands: Any) -> None:
    command = _add_command(
        commands,
        "train",
        help="train word vectors on a corpus",
        description=_TRAIN,
        epilog=_TRAIN_EXAMPLES,
    )
    command.set_defaults(run=_train)
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
        "--size", type=_positive_int, default=100, metavar="N", help="dimensions (%(default)s)"
    )
    group.add_argument(
        "--window",
        type=_positive_int,
        default=5,
        metavar="N",
        help="neighbours are at most so far away (%(default)s)",
    )
    group.add_argument(
        "--negative",
        type=_positive_int,
        default=5,
        metavar="N",
        help="noise words for each pair (%(default)s)",
    )
    group.add_argument(
        "--min-count",
        type=_positive_int,
        default=5,
        metavar="N",
        help="leave out words that are rarer (%(default)s)",
    )
    group.add_argument(
        "--max-vocab", type=_positive_int, metavar="N", help="keep at most so many words"
    )


def _add_training(group: Any) -> None:
    group.add_argument(
        "--epochs",
        type=_positive_int,
        metavar="N",
        help="passes over the corpus (5; 50 without a corpus)",
    )
    group.add_argument(
        "--alpha",
        type=_positive_float,
        metavar="X",
        help="learning rate at the start (skip-gram: 0.045 for 1 epoch, 0.04 for 5; CBOW: 0.06); "
        "it falls on a line, to a third of that in 1 epoch, a fiftieth in 5",
    )
    group.add_argument(
        "--sample",
        type=_non_negative_float,
        default=1e-3,
        metavar="X",
        help="drop words at random that are more frequent than this; 0 keeps all (%(default)s)",
    )
    group.add_argument(
        "--batch-size",
        type=_positive_int,
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
        type=_positive_int,
        metavar="K",
        help="for slow networks: let each worker train alone, and average the vectors after every "
        "K steps; otherwise all of them make each step together",
    )
    group.add_argument(
        "--wait",
        type=_positive_float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for the others (%(default)s)",
    )


def _add_evaluate(commands: Any) -> None:
    command = _add_command(
        commands,
        "evaluate",
        help="test vectors on analogies and word similarity",
        description=(
            "Tests vectors on the usual English test sets: analogies by section\n"
            "(questions-words) and agreement with people on similarity (WordSim353, SimLex999)."
        ),
    )
    command.set_defaults(run=_evaluate)
    command.add_argument(
        "vectors",
        nargs="?",
        metavar="VECTORS",
        help="a .kv, .vec, .txt or .bin file; vectors that come with the package without",
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.add_argument(
        "--analogies",
        metavar="FILE",
        help="your own questions, four words a line, sections headed by `: name`",
    )
    command.add_argument(
        "--pairs",
        metavar="FILE",
        action="append",
        help="your own pairs, two words and a number a line, with tabs; may be repeated",
    )
    command.add_argument(
        "--restrict-vocab",
        type=_positive_int,
        default=30_000,
        metavar="N",
        help="ask analogies among the N most frequent words (%(default)s)",
    )


def _add_similar(commands: Any) -> None:
    command = _add_command(
        commands,
        "similar",
        help="print the nearest words of words",
        usage="kerasw2v similar [--help] [--topn N] [VECTORS] WORD [WORD ...]",
        description="Prints the words whose vectors have the largest cosine with each given word.",
        epilog=_SIMILAR_EXAMPLES,
    )
    command.set_defaults(run=_similar)
    command.add_argument(
        "vectors",
        metavar="VECTORS",
        help="a .kv, .vec, .txt or .bin file; without, vectors that come with the package: the "
        "most frequent words of English Wikipedia",
    )
    command.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="a word, or words joined by + and - with blanks around them, in quotes",
    )
    command.add_argument(
        "--topn", type=_positive_int, default=10, metavar="N", help="so many each (%(default)s)"
    )


def _add_zoo(commands: Any) -> None:
    command = _add_command(
        commands,
        "zoo",
        help="trainings that are known to work: list, show, train, verify",
        description="Recipes for training, each with results over several seeds to compare with.",
        epilog=_ZOO_EXAMPLES,
    )
    actions = command.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True
    )
    _add_zoo_action(actions, "list", "print the names of all recipes", [])
    _add_zoo_action(actions, "show", "print what a recipe does and what came out", ["name"])
    _add_zoo_action(
        actions, "train", "train a recipe", ["name", "corpus", "output", "smoke", "seed", "json"]
    )
    _add_zoo_action(
        actions,
        "verify",
        "train a recipe; fail if a result is outside its tolerance",
        ["name", "corpus", "smoke", "seed_1"],
    )
    _add_zoo_action(
        actions,
        "results",
        "train recipes with several seeds; write results.json and the pages",
        ["names", "all", "corpus", "seeds"],
    )
    _add_zoo_action(
        actions,
        "calibrate",
        "write what to expect into recipes, from results.json or tiny runs",
        ["names", "all", "smoke", "seeds"],
    )
    _add_zoo_action(actions, "cards", "write the pages of a zoo anew", ["folder"])
    _add_zoo_action(
        actions,
        "pack",
        "train a recipe; write its most frequent words' vectors, packed small",
        ["name", "corpus", "words", "seed_1"],
    )


# The options of the actions of `zoo`: names, and how argparse should read them.
_ZOO_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("name", {"metavar": "NAME", "help": "a recipe's name, or the path of a .toml file"}),
    "names": ("names", {"metavar": "NAME", "nargs": "*", "help": "recipes' names or paths"}),
    "all": ("--all", {"action": "store_true", "help": "all recipes"}),
    "corpus": (
        "--corpus",
        {
            "metavar": "PATH",
            "help": "a text file, text8 (downloaded once) or lee (60,000 words of news, the "
            "default)",
        },
    ),
    "output": (
        "--output",
        {"metavar": "FILE", "help": "write the vectors (.kv, .vec, .bin) or the model (.keras)"},
    ),
    "smoke": (
        "--smoke",
        {"action": "store_true", "help": "the tiny variant, which takes seconds"},
    ),
    "seed": ("--seed", {"type": int, "metavar": "N", "help": "make the draws repeatable"}),
    "seed_1": (
        "--seed",
        {"type": int, "metavar": "N", "default": 1, "help": "seed of the draws (%(default)s)"},
    ),
    "json": ("--json", {"action": "store_true", "help": "print JSON instead of a table"}),
    "folder": ("folder", {"metavar": "FOLDER", "nargs": "?", "help": "of recipes; the package's"}),
}


def _add_zoo_action(actions: Any, name: str, description: str, options: list[str]) -> None:
    command = _add_command(
        actions, name, help=description, description=f"{description[0].upper()}{description[1:]}."
    )
    command.set_defaults(run=_zoo)
    numbers: dict[str, dict[str, Any]] = {
        "seeds": {"default": 3, "help": "how many seeds (%(default)s)"},
        "words": {"default": 15_000, "help": "how many words (%(default)s)"},
    }
    for option in options:
        if option in numbers:
            command.add_argument(f"--{option}", type=_positive_int, metavar="N", **numbers[option])
        else:
            flag, arguments = _ZOO_OPTIONS[option]
            command.add_argument(flag, **arguments)


def _train(args: argparse.Namespace) -> None:
    from kerasw2v.train_command import train

    train(args)


def _zoo(args: argparse.Namespace) -> None:
    from kerasw2v.zoo.command import run_zoo

    run_zoo(args)


def _load(path: str | None) -> "KeyedVectors":
    """Loads vectors from a file, or those of the package."""
    if path is None:
        from kerasw2v.zoo import english_vectors

        return english_vectors()
    from kerasw2v.keyed_vectors import load_vectors

    return load_vectors(path)


def _evaluate(args: argparse.Namespace) -> None:
    from kerasw2v.evaluation import evaluate

    pairs = None if args.pairs is None else {path: path for path in args.pairs}
    result = evaluate(_load(args.vectors), args.analogies, pairs, args.restrict_vocab)
    print(json.dumps(result.to_dict(), indent=2) if args.json else result.table())


def _similar(args: argparse.Namespace) -> None:
    path, words = _file_and_words(args.vectors, args.words)
    vectors = _load(path)
    name = repr(path) if path else _PACKAGED
    queries = [(query, *_parse_query(query, vectors, name)) for query in words]
    for query, positive, negative in queries:
        print(query)
        for word, cosine in vectors.most_similar(positive, negative, topn=args.topn):
            print(f"  {cosine:6.3f}  {word}")


def _file_and_words(first: str, others: list[str]) -> tuple[str | None, list[str]]:
    """Tells whether the first argument is a file of vectors or a word already."""
    if first.lower().endswith(_VECTORS_SUFFIXES) or os.path.isfile(first):
        if not others:
            raise ValueError(f"`WORD` must be given. Received: only the file {first!r}.")
        return first, others
    return None, [first, *others]


def _parse_query(query: str, vectors: "KeyedVectors", file: str) -> tuple[list[str], list[str]]:
    """Splits `king - man + woman` into words to add and words to subtract."""
    if query in vectors:
        return [query], []
    terms: dict[str, list[str]] = {"+": [], "-": []}
    sign = "+"
    for part in query.split():
        if part in terms:
            sign = part
            continue
        if part not in vectors:
            raise ValueError(_unknown_word(part, vectors, file))
        terms[sign].append(part)
        sign = "+"
    if not terms["+"] and not terms["-"]:
        raise ValueError(f"`WORD` must hold a word. Received: {query!r}.")
    return terms["+"], terms["-"]


def _unknown_word(word: str, vectors: "KeyedVectors", file: str) -> str:
    # The frequent words of about the same length: difflib is slow on a million.
    candidates = [
        known for known in vectors.index_to_key[:100_000] if abs(len(known) - len(word)) <= 2
    ]
    close = difflib.get_close_matches(word, candidates, n=3, cutoff=0.7)
    if word.lower() in vectors:
        close = [word.lower()]
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return f"{word!r} is not among the {len(vectors):,} words of {file}.{hint}"


def _positive_int(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, not {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def _non_negative_float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must not be negative or infinite, not {text}")
    return number


def _positive_float(text: str) -> float:
    number = _non_negative_float(text)
    if not number:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number


def _sentence(error: BaseException) -> str:
    """Returns an error's message in one line; the system's own errors in a readable form."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename!r}: {error.strerror}."
    if isinstance(error, MemoryError):
        return "Out of memory."
    return " ".join(str(error).split()) or type(error).__name__
