"""The folder of `kerasw2v train --checkpoint`: the state of a run, and what run it is of."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasw2v.history import History
from kerasw2v.utils.files import replace_on_success
from kerasw2v.utils.versions import versions

if TYPE_CHECKING:
    from kerasw2v.callbacks import Checkpoint

# What must be the same for a checkpoint to be taken up again, beside the corpus.
RUN_OPTIONS = (
    "read_vocab",
    "architecture",
    "size",
    "window",
    "negative",
    "min_count",
    "max_vocab",
    "epochs",
    "alpha",
    "sample",
    "batch_size",
    "seed",
)


class RunState:
    """The state of a run in a folder.

    Args:
        args: what the parser of `kerasw2v train` makes of the command line, with `--checkpoint`.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.folder = Path(args.checkpoint)
        self.weights = self.folder / "kerasw2v.weights.h5"
        self.history = self.folder / "kerasw2v.history.json"
        self._settings = self.folder / "kerasw2v.json"

    def check(self) -> None:
        """Refuses to go on from the state of a run with other options.

        Raises:
            ValueError: if there is such a state, or it does not say what it is of.
        """
        if not self.weights.exists():
            return
        options = self._options()
        try:
            before = json.loads(self._settings.read_text("utf-8"))
            differing = [name for name in options if before[name] != options[name]]
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise ValueError(
                f"{str(self._settings)!r} is missing or damaged; remove {str(self.weights)!r} "
                "to start anew."
            ) from error
        if differing:
            told = ", ".join(name.replace("_", "-") for name in differing)
            raise ValueError(
                "`--checkpoint` must not name a folder with the state of a run with other options "
                f"({told}). Received: --checkpoint {self.args.checkpoint}."
            )

    def open(self) -> "Checkpoint":
        """Returns the callback that saves the state; the chief notes what run it is of."""
        from kerasw2v.callbacks import Checkpoint

        if self.args.writes:
            self.folder.mkdir(exist_ok=True)
            with replace_on_success(self._settings, "w") as text:
                json.dump(self._options(), text)
        return Checkpoint(self.weights)

    def load_history(self, epochs: int) -> History:
        """Returns what was measured in the epochs that are done."""
        return History.load(self.history, epochs)

    def remove(self) -> None:
        """Removes the state of a run that has come to its end."""
        for file in (self.weights, self._settings, self.history):
            file.unlink(missing_ok=True)

    def _options(self) -> dict[str, Any]:
        args = self.args
        corpus = [[os.path.realpath(path), os.path.getsize(path)] for path in args.corpus]
        workers = len(args.workers or [""])  # which they are may change
        options = {name: getattr(args, name) for name in RUN_OPTIONS}
        return {"corpus": corpus, "workers": workers} | options


def stopped_message(args: argparse.Namespace) -> str:
    """Returns what to tell after Ctrl-C."""
    if args.checkpoint and RunState(args).weights.exists():
        return (
            f"Stopped; {args.checkpoint} holds the state after the last whole epoch, and the same "
            "command goes on from there."
        )
    if args.checkpoint:
        return "Stopped in the first epoch; nothing was saved yet."
    return "Stopped; no vectors were saved. With `--checkpoint FOLDER` training can be taken up."


if TYPE_CHECKING:
    from kerasw2v.data.vocabulary import Vocabulary

# The options that a report shows, in groups.
_MODEL = ("architecture", "size", "window", "negative", "min_count", "max_vocab")
_TRAINING = ("epochs", "alpha", "sample", "seed")
_TOGETHER = ("workers", "index", "local_steps", "wait")
_FILES = (
    "output",
    "save_vocab",
    "read_vocab",
    "save_model",
    "checkpoint",
    "projector",
    "plot",
    "report",
)


def batch_size(args: argparse.Namespace, vocabulary: "Vocabulary") -> int:
    """Returns the number of words a step: that of the command line, or what suits the corpus."""
    from kerasw2v.data.block_dataset import default_batch_size

    return args.batch_size or default_batch_size(vocabulary.corpus_words, args.window)


def run_settings(
    args: argparse.Namespace, vocabulary: "Vocabulary", parameters: int
) -> dict[str, dict[str, object]]:
    """Returns all that decided how the vectors came out, in groups, for a report.

    Args:
        args: what the parser of `kerasw2v train` makes of the command line.
        vocabulary: the words of the corpus.
        parameters: number of the model's parameters.
    """
    corpus = {
        "files": ", ".join(args.corpus) or "300 news articles that gensim ships",
        "words in it": vocabulary.corpus_words,
        "words known": len(vocabulary),
    }
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }
    return {
        "Corpus": corpus,
        "Model": _options(args, _MODEL) | {"parameters": parameters},
        "Training": _options(args, _TRAINING) | {"batch size": batch_size(args, vocabulary)},
        **({"Several machines": _options(args, _TOGETHER)} if args.workers else {}),
        "Files": _options(args, _FILES),
        "Versions": {**versions(), **machine},
    }


def _options(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, object]:
    return {name.replace("_", " "): getattr(args, name) for name in names}
