"""`kerasw2v zoo`: its actions and their arguments; `kerasw2v.cli.zoo_run` does the work."""

import argparse
from typing import Any

from kerasw2v.cli import arguments
from kerasw2v.cli.arguments import add_command

_EXAMPLES = """\
examples:
  kerasw2v zoo show cbow-class-softmax
  kerasw2v zoo train cbow-class-softmax --corpus wiki.txt --output vectors.kv
  kerasw2v zoo train ./my_recipe.toml --corpus text8 --output vectors.kv
  kerasw2v zoo verify cbow-class-softmax --smoke
"""


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
    _add_action(actions, "list", "print the names of all recipes")
    _add_name(_add_action(actions, "show", "print what a recipe does and what came out"))
    train = _add_action(actions, "train", "train a recipe")
    _add_training(train, seed=None)
    train.add_argument(
        "--output", metavar="FILE", help="write the vectors (.kv, .vec, .bin) or the model (.keras)"
    )
    train.add_argument("--json", action="store_true", help="print JSON instead of a table")
    verify = "train a recipe; fail if a result is outside its tolerance"
    _add_training(_add_action(actions, "verify", verify), seed=1)


def _add_action(actions: Any, name: str, description: str) -> argparse.ArgumentParser:
    action = add_command(
        actions, name, help=description, description=f"{description[0].upper()}{description[1:]}."
    )
    action.set_defaults(run=_run)
    return action


def _add_name(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", metavar="NAME", help="a recipe's name, or the path of a .toml file")


def _add_training(action: argparse.ArgumentParser, seed: int | None) -> None:
    _add_name(action)
    action.add_argument(
        "--corpus",
        metavar="PATH",
        help="a text file, text8 (downloaded once) or lee (60,000 words of news, the default)",
    )
    action.add_argument(
        "--smoke", action="store_true", help="the tiny variant, which takes seconds"
    )
    default = "" if seed is None else f" ({seed})"
    action.add_argument(
        "--seed",
        type=arguments.seed,
        metavar="N",
        default=seed,
        help=f"make the draws repeatable{default}",
    )


def _run(args: argparse.Namespace) -> None:
    from kerasw2v.cli.zoo_run import run_zoo

    run_zoo(args)
