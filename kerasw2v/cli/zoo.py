"""`kerasw2v zoo`: its actions and their arguments; `kerasw2v.cli.zoo_run` does the work."""

import argparse
from typing import Any

from kerasw2v.cli.arguments import add_command, positive_int

_EXAMPLES = """\
examples:
  kerasw2v zoo show cbow-class-softmax
  kerasw2v zoo train cbow-class-softmax --corpus wiki.txt --output vectors.kv
  kerasw2v zoo train ./my_recipe.toml --corpus text8 --output vectors.kv
  kerasw2v zoo verify cbow-class-softmax --smoke
"""

# The options of the actions of `zoo`: names, and how argparse should read them.
_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
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
    "seeds": (
        "--seeds",
        {
            "type": positive_int,
            "metavar": "N",
            "default": 3,
            "help": "how many seeds (%(default)s)",
        },
    ),
    "words": (
        "--words",
        {
            "type": positive_int,
            "metavar": "N",
            "default": 15_000,
            "help": "how many words (%(default)s)",
        },
    ),
    "json": ("--json", {"action": "store_true", "help": "print JSON instead of a table"}),
    "folder": ("folder", {"metavar": "FOLDER", "nargs": "?", "help": "of recipes; the package's"}),
}


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    command = add_command(
        commands,
        "zoo",
        help="trainings that are known to work: list, show, train, verify",
        description="Recipes for training, each with results over several seeds to compare with.",
        epilog=_EXAMPLES,
    )
    actions = command.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True
    )
    _add_action(actions, "list", "print the names of all recipes", [])
    _add_action(actions, "show", "print what a recipe does and what came out", ["name"])
    _add_action(
        actions, "train", "train a recipe", ["name", "corpus", "output", "smoke", "seed", "json"]
    )
    _add_action(
        actions,
        "verify",
        "train a recipe; fail if a result is outside its tolerance",
        ["name", "corpus", "smoke", "seed_1"],
    )
    _add_action(
        actions,
        "results",
        "train recipes with several seeds; write results.json and the pages",
        ["names", "all", "corpus", "seeds"],
    )
    _add_action(
        actions,
        "calibrate",
        "write what to expect into recipes, from results.json or tiny runs",
        ["names", "all", "smoke", "seeds"],
    )
    _add_action(actions, "cards", "write the pages of a zoo anew", ["folder"])
    _add_action(
        actions,
        "pack",
        "train a recipe; write its most frequent words' vectors, packed small",
        ["name", "corpus", "words", "seed_1"],
    )


def _add_action(actions: Any, name: str, description: str, options: list[str]) -> None:
    command = add_command(
        actions, name, help=description, description=f"{description[0].upper()}{description[1:]}."
    )
    command.set_defaults(run=_run)
    for option in options:
        flag, arguments = _OPTIONS[option]
        command.add_argument(flag, **arguments)


def _run(args: argparse.Namespace) -> None:
    from kerasw2v.cli.zoo_run import run_zoo

    run_zoo(args)
