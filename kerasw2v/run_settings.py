"""The settings of a run of `kerasw2v train`, as a report shows them."""

import argparse
import os
import platform
from typing import TYPE_CHECKING

from kerasw2v.versions import versions

if TYPE_CHECKING:
    from kerasw2v.vocabulary import Vocabulary

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
