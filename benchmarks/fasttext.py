"""gensim's `FastText` and ours, changed in the import line alone: time and quality, in turn.

    python benchmarks/fasttext.py CORPUS [--epochs 1] [--repetitions 5] [--json FILE]

CORPUS is a plain text file, one sentence a line. 100 dimensions, negative sampling, everything else
as gensim has it by default (alpha .025, n-grams of 3 to 6 characters, 2,000,000 buckets); `workers`
all cores, `corpus_file`. Each run is a process of its own, gensim's and ours alternating. "Time" is
`train` alone, compiling of our graph included; "prepare" is `build_vocab`.

Ours is told to stop at the learning rate where gensim's stops when it reads a file, see
`drop_in.py`. Besides the test sets of whole words, "stems" is quality for words that were not seen:
of the words of medium frequency that have a sibling (`walk`, `walked`), each tenth is left out of
the corpus, and the rank of its sibling among the neighbours of its vector is averaged, as 1 / rank.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from alone import run_alone
from throughput import METRICS, train_from_file

CASES = {"skip-gram": {"sg": 1}, "CBOW": {"sg": 0}}
LIBRARIES = ("gensim", "kerasw2v")
SUFFIXES = ("s", "ed", "ing", "ly")


def unseen_words(corpus: str, min_count: int = 5) -> dict[str, str]:
    """Returns words that are to be left out, and for each the word that it is made of."""
    counts = Counter(Path(corpus).read_text("utf-8").split())
    pairs = sorted(
        (word + suffix, word)
        for word, count in counts.items()
        if len(word) > 4 and count >= 4 * min_count
        for suffix in SUFFIXES
        if counts[word + suffix] >= min_count
    )
    return dict(pairs[::10])


def without(corpus: str, words: dict[str, str], folder: str) -> str:
    """Writes a corpus without some words; returns its path."""
    path = Path(folder) / "corpus.txt"
    with open(corpus, encoding="utf-8") as source, open(path, "w", encoding="utf-8") as target:
        for line in source:
            target.write(" ".join(w for w in line.split() if w not in words) + "\n")
    return os.fspath(path)


def stem_rank(vectors: Any, pairs: dict[str, str]) -> float:
    """Returns the mean of 1 / rank of the stem among the neighbours of each unseen word."""
    matrix = vectors.get_normed_vectors()
    ranks = []
    for word, stem in pairs.items():
        scores = matrix @ vectors.get_vector(word, norm=True)
        ranks.append(1 / (1 + int((scores > scores[vectors.key_to_index[stem]]).sum())))
    return float(np.mean(ranks))


def run(options: argparse.Namespace) -> dict[str, float]:
    """Trains one library's class."""
    if options.library == "gensim":
        from gensim.models import FastText
    else:
        from kerasw2v import FastText
        from kerasw2v.utils.runtime import divide_cores

        divide_cores()  # as `kerasw2v train` does
    epochs = options.epochs
    model = FastText(
        vector_size=100,
        workers=os.cpu_count(),
        seed=options.seed,
        epochs=epochs,
        **CASES[options.case],
    )
    pairs = unseen_words(options.corpus)
    with tempfile.TemporaryDirectory() as folder:
        corpus = without(options.corpus, pairs, folder)
        if options.library == "gensim":
            results = train_from_file(model, corpus, epochs)
        else:
            progress = (epochs - 1 + 1 / model.workers) / epochs
            end_alpha = model.alpha - (model.alpha - model.min_alpha) * progress
            results = train_from_file(model, corpus, epochs, end_alpha)
    return {**results, "stems": stem_rank(model.wv, pairs)}


def spawn(case: str, library: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs one training in a process of its own and returns its results."""
    arguments = [options.corpus, "--case", case, "--library", library]
    arguments += ["--epochs", str(options.epochs), "--seed", str(seed)]
    row = {"case": case, "library": library, "seed": seed} | run_alone(__file__, *arguments)
    print("  ", json.dumps(row), flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Returns a line of Markdown for each case: medians, and the range of the ratio of times."""
    metrics = (*METRICS, "stems")
    lines = [
        "| | gensim: prepare, s | ours | gensim: train, s | ours | times faster | gensim: MB "
        "| ours "
        "| gensim: WordSim353 / SimLex999 / analogies / stems | ours |",
        "|---|--:|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for case in dict.fromkeys(row["case"] for row in rows):
        sides = [
            [row for row in rows if (row["case"], row["library"]) == (case, library)]
            for library in LIBRARIES
        ]
        ratios = [a["train_s"] / b["train_s"] for a, b in zip(*sides, strict=True)]
        cells = [
            f"{statistics.median(row[name] for row in side):.{digits}f}"
            for name, digits in (("prepare_s", 1), ("train_s", 1))
            for side in sides
        ]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        memory = [f"{statistics.median(row['peak_mb'] for row in side):,.0f}" for side in sides]
        scores = [
            " / ".join(f"{statistics.mean(row[m] for row in side):.3f}" for m in metrics)
            for side in sides
        ]
        lines.append(f"| {' | '.join([case, *cells, spread, *memory, *scores])} |")
    return "\n".join(lines)


def main() -> None:
    """Parses the command line and runs the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus", help="a plain text file, one sentence a line")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="add all rows to those in this file")
    for internal in ("--case", "--library"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run(options)))
        return
    rows = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    seeds = range(options.seed, options.seed + options.repetitions)
    for seed in seeds:
        for case in options.cases:
            rows += [spawn(case, library, seed, options) for library in LIBRARIES]
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1))
    print("\n" + table(rows))


if __name__ == "__main__":
    main()
