"""Speed, memory and quality against gensim, in turn, on the same cores and with the same settings.

    python benchmarks/throughput.py CORPUS [--repetitions 3] [--epochs 1] [--json FILE]

CORPUS is a plain text file, one sentence a line. Both libraries train vectors of 100 dimensions
with window 5, 5 negatives, sample 1e-3 and min_count 5. Each run is a process of its own, gensim's
and ours alternating, so that a noisy machine slows both; read the ratios. "Prepare" is reading the
corpus and making the tables (gensim: `build_vocab(corpus_file=...)`; ours: the vocabulary, the
encoded stream and the model); "words/s" is gensim's `train` and our `fit`, raw corpus words by wall
time. For ours it is given twice: for the whole of `fit`, and from the end of its first call into
the graph, so without the second or two that TensorFlow takes to trace and compile, whatever the
corpus. gensim runs with two alphas, .025 and .05: speed is that of both, quality that of the better
one for each metric.
"""

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path
from typing import Any

from alone import run_alone

DIM, WINDOW, NEGATIVE, SAMPLE, MIN_COUNT = 100, 5, 5, 1e-3, 5
METRICS = ("wordsim353", "simlex999", "analogies")
GENSIM_ALPHAS = (0.025, 0.05)


def run_gensim(options: argparse.Namespace) -> dict[str, Any]:
    """Trains gensim's Word2Vec from the file."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=DIM,
        window=WINDOW,
        negative=NEGATIVE,
        sample=SAMPLE,
        min_count=MIN_COUNT,
        sg=int(options.model == "skip-gram"),
        alpha=options.alpha,
        workers=len(os.sched_getaffinity(0)),
        seed=options.seed,
    )
    return train_from_file(model, options.corpus, options.epochs)


def train_from_file(
    model: Any, corpus: str, epochs: int, end_alpha: float | None = None
) -> dict[str, Any]:
    """Trains a `Word2Vec`, gensim's or one like it, on a file; returns its results."""
    started = time.perf_counter()
    model.build_vocab(corpus_file=corpus)
    prepared = time.perf_counter()
    model.train(
        corpus_file=corpus,
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=epochs,
        end_alpha=end_alpha,
    )
    trained = time.perf_counter()
    return _results(model.wv, model.corpus_total_words * epochs, started, prepared, trained)


def _first_call() -> Any:
    import keras

    class FirstCall(keras.callbacks.Callback):
        """Notes when the first call into the graph ended, and how many steps it did."""

        ended = 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if not self.ended:
                self.ended, self.steps = time.perf_counter(), batch + 1

    return FirstCall()


def run_kerasw2v(options: argparse.Namespace) -> dict[str, Any]:
    """Trains our model through `fit`, with its defaults."""
    from kerasw2v import (
        CBOW,
        SkipGram,
        block_dataset,
        layers,
        optimizers,
        to_keyed_vectors,
    )
    from kerasw2v.data.counted_corpus import read_corpus
    from kerasw2v.utils.runtime import MAX_CHAINS, divide_cores

    divide_cores(MAX_CHAINS)  # as `kerasw2v train` does
    started = time.perf_counter()
    vocabulary, stream = read_corpus(options.corpus, MIN_COUNT)
    dataset = block_dataset(stream, vocabulary, window=WINDOW, sample=SAMPLE, seed=options.seed)
    output_layer = layers.NegativeSampling(
        vocabulary.counts, num_sampled=NEGATIVE, seed=options.seed
    )
    model_class = SkipGram if options.model == "skip-gram" else CBOW
    model = model_class(len(vocabulary), DIM, output_layer, window=WINDOW, seed=options.seed)
    schedule = optimizers.default_schedule(
        options.model, len(dataset), options.epochs, options.alpha or None
    )
    model.compile(optimizers.RowSGD(schedule))
    clock = _first_call()
    prepared = time.perf_counter()
    model.fit(dataset, epochs=options.epochs, verbose=0, callbacks=[clock])
    trained = time.perf_counter()
    words = vocabulary.corpus_words * options.epochs
    results = _results(to_keyed_vectors(model, vocabulary), words, started, prepared, trained)
    left = 1 - clock.steps / (options.epochs * len(dataset))
    results["steady_words_per_s"] = left * words / (trained - clock.ended)
    return results


def _results(
    vectors: Any, words: int, started: float, prepared: float, trained: float
) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "prepare_s": prepared - started,
        "train_s": trained - prepared,
        "words_per_s": words / (trained - prepared),
        "steady_words_per_s": words / (trained - prepared),
        "peak_mb": peak,
        **quality(vectors),
    }


def quality(vectors: Any) -> dict[str, float]:
    """Returns what `METRICS` names, from the test sets that gensim ships."""
    from gensim.test.utils import datapath

    pairs = [
        vectors.evaluate_word_pairs(datapath(name))[1][0]
        for name in ("wordsim353.tsv", "simlex999.txt")
    ]
    questions = datapath("questions-words.txt")
    analogies = vectors.evaluate_word_analogies(questions, restrict_vocab=30000)[0]
    return dict(zip(METRICS, [*map(float, pairs), float(analogies)], strict=True))


RUNNERS = {"gensim": run_gensim, "kerasw2v": run_kerasw2v}


def spawn(library: str, model: str, alpha: float, seed: int, options: Any) -> dict[str, Any]:
    """Runs one training in a process of its own and returns its results."""
    arguments = [options.corpus, "--library", library, "--model", model]
    arguments += ["--alpha", str(alpha), "--seed", str(seed), "--epochs", str(options.epochs)]
    row = run_alone(__file__, *arguments)
    row.update(library=library, model=model, alpha=alpha, seed=seed, epochs=options.epochs)
    print(
        f"  {library:9} {model:9} alpha {alpha:<5} seed {seed}: {row['words_per_s'] / 1e3:6.0f}k "
        f"words/s ({row['steady_words_per_s'] / 1e3:.0f}k), prepare "
        f"{row['prepare_s']:.1f} s, peak {row['peak_mb']:.0f} MB, "
        + " / ".join(f"{row[metric]:.3f}" for metric in METRICS),
        flush=True,
    )
    return row


def compare(model: str, options: Any) -> list[dict[str, Any]]:
    """Runs the libraries in turn, prints the comparison, returns all rows."""
    ours, theirs = [], []
    alpha = options.skip_gram_alpha if model == "skip-gram" else options.cbow_alpha
    for repetition in range(options.repetitions):
        seed = repetition + 1
        for gensim_alpha in GENSIM_ALPHAS:
            theirs.append(spawn("gensim", model, gensim_alpha, seed, options))
        ours.append(spawn("kerasw2v", model, alpha, seed, options))
    _report(model, ours, theirs)
    return ours + theirs


def _report(model: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    print(f"\n{model}, {ours[0]['epochs']} epoch(s), {len(ours)} repetition(s)")
    print(f"  {'':22}{'gensim':>10}{'kerasw2v':>10}")
    for key, label, scale in (
        ("words_per_s", "words/s, thousands", 1e-3),
        ("steady_words_per_s", "  after compiling", 1e-3),
        ("prepare_s", "prepare, seconds", 1),
        ("peak_mb", "peak memory, MB", 1),
    ):
        medians = [statistics.median(row[key] * scale for row in rows) for rows in (theirs, ours)]
        print(f"  {label:22}{medians[0]:10.1f}{medians[1]:10.1f}")
    for metric in METRICS:
        best = max(
            statistics.mean(row[metric] for row in theirs if row["alpha"] == alpha)
            for alpha in GENSIM_ALPHAS
        )
        mine = statistics.mean(row[metric] for row in ours)
        print(f"  {metric:22}{best:10.3f}{mine:10.3f}")
    for key, label in (("words_per_s", "whole fit"), ("steady_words_per_s", "after compiling")):
        ratios = sorted(_ratios(key, ours, theirs))
        print(
            f"  speed ratio, {label:15} median {statistics.median(ratios):.2f}, "
            f"from {ratios[0]:.2f} to {ratios[-1]:.2f}"
        )
    print(flush=True)


def _ratios(key: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[float]:
    """Returns our speed by gensim's, each of our runs against the gensim runs just before it."""
    pairs = len(GENSIM_ALPHAS)
    return [
        row[key] / statistics.mean(other[key] for other in theirs[pairs * i : pairs * (i + 1)])
        for i, row in enumerate(ours)
    ]


def main() -> None:
    """Parses the command line and runs the comparison."""
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("corpus", help="a plain text file, one sentence a line")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=["skip-gram", "cbow"])
    parser.add_argument("--skip-gram-alpha", type=float, default=0.0, help="0: our default")
    parser.add_argument("--cbow-alpha", type=float, default=0.0, help="0: our default")
    parser.add_argument("--json", type=Path, help="write all rows here")
    for internal in ("--library", "--model"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    parser.add_argument("--alpha", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.library:
        print(json.dumps(RUNNERS[options.library](options)))
        return
    rows = [row for model in options.models for row in compare(model, options)]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
