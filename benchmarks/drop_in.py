"""gensim's `Word2Vec` and ours, changed in the import line alone: time and quality, in turn.

    python benchmarks/drop_in.py CORPUS [--epochs 1 5] [--json FILE]

CORPUS is a plain text file, one sentence a line. Skip-gram and CBOW, with negative sampling and
with hierarchical softmax; 100 dimensions, everything else as gensim has it by default (alpha
.025), `workers` all cores. Each run is a process of its own, gensim's and ours alternating. "Time"
is `train` alone, compiling of our graph included; the JSON also has `build_vocab`, "prepare_s".

Of a file each of gensim's workers reads its part, and reckons how far an epoch is from that part
alone: with two of them the learning rate falls half as far in an epoch as it should. Ours falls as
it should, so it is told to stop where gensim's stopped: both learn at the same rates.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from alone import run_alone
from throughput import METRICS, train_from_file

CASES = {
    "skip-gram, negative sampling": {"sg": 1, "negative": 5},
    "CBOW, negative sampling": {"sg": 0, "negative": 5},
    "skip-gram, hierarchical softmax": {"sg": 1, "hs": 1, "negative": 0},
    "CBOW, hierarchical softmax": {"sg": 0, "hs": 1, "negative": 0},
}
LIBRARIES = ("gensim", "kerasw2v")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Trains one library's class."""
    if options.library == "gensim":
        from gensim.models import Word2Vec
    else:
        from kerasw2v import Word2Vec
    epochs = options.epochs[0]
    arguments = {"vector_size": 100, "workers": os.cpu_count(), "seed": options.seed}
    model = Word2Vec(epochs=epochs, **arguments, **CASES[options.case])
    if options.library == "gensim":
        return train_from_file(model, options.corpus, epochs)
    progress = (epochs - 1 + 1 / model.workers) / epochs
    end_alpha = model.alpha - (model.alpha - model.min_alpha) * progress
    return train_from_file(model, options.corpus, epochs, end_alpha)


def spawn(case: str, library: str, epochs: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs one training in a process of its own and returns its results."""
    arguments = [options.corpus, "--case", case, "--library", library]
    arguments += ["--epochs", str(epochs), "--seed", str(options.seed)]
    row = {"case": case, "library": library, "epochs": epochs}
    row |= run_alone(__file__, *arguments)
    print("  ", json.dumps(row), flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Returns all runs as a Markdown table, gensim's and ours of one case side by side."""
    lines = [
        "| | epochs | gensim: seconds | ours | times faster | gensim: "
        "WordSim353 / SimLex999 / analogies | ours |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for theirs, ours in zip(rows[::2], rows[1::2], strict=True):
        scores = [" / ".join(f"{row[m]:.3f}" for m in METRICS) for row in (theirs, ours)]
        lines.append(
            f"| {ours['case']} | {ours['epochs']} | {theirs['train_s']:.0f} | "
            f"{ours['train_s']:.0f} | {theirs['train_s'] / ours['train_s']:.2f} | "
            f"{scores[0]} | {scores[1]} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parses the command line and runs the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus", help="a plain text file, one sentence a line")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write all rows here")
    for internal in ("--case", "--library"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run(options)))
        return
    runs = [(case, epochs) for epochs in options.epochs for case in options.cases]
    rows = [spawn(case, library, n, options) for case, n in runs for library in LIBRARIES]
    print("\n" + table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
