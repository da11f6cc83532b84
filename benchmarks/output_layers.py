"""All output layers side by side: cost of a step and of decoding, memory, perplexity, vectors.

    python benchmarks/output_layers.py CORPUS HELD_OUT [--words 1000000] [--zipf 1000000]
        [--layers NAME ...] [--json FILE] [--plot FILE]

CORPUS and HELD_OUT are plain text files, one sentence a line. CBOW with 100 dimensions learns the
first `--words` words of CORPUS, with a vocabulary of the whole, once with each output layer, each
in a process of its own with the same blocks and learning rate. A step is 4,096 tokens; its time
(forward, backward and update, through `fit`) and that of `top_k(hidden of 256 rows, 10)` are given
as ratios to `FullSoftmax`: how many times faster. Perplexity is that of 20,000 held-out centre
words by `log_probs`, which is exact for each layer; layers that do not learn to be normalised are
marked. WordSim353 and analogies are those of the input vectors. With `--zipf V`, steps of 256
tokens are timed on a synthetic vocabulary of V words as well, without learning anything.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from alone import run_alone

DIM, WINDOW, SAMPLE, MIN_COUNT, SEED = 100, 5, 1e-3, 5, 1
TOKENS, ZIPF_TOKENS = 4096, 256
ALPHA = 0.05
HELD_OUT_WORDS, DECODED_ROWS, TOP = 20_000, 256, 10

# name -> (how to make it from counts, whether its training makes it normalised)
LAYERS: dict[str, tuple[Callable[[Any, Any], Any], bool]] = {
    "FullSoftmax": (lambda layers, counts: layers.FullSoftmax(counts), True),
    "AdaptiveSoftmax": (lambda layers, counts: layers.AdaptiveSoftmax(counts, seed=SEED), True),
    "ClassSoftmax": (lambda layers, counts: layers.ClassSoftmax(counts), True),
    "HierarchicalSoftmax": (lambda layers, counts: layers.HierarchicalSoftmax(counts), True),
    "SampledSoftmax": (lambda layers, counts: layers.SampledSoftmax(counts, seed=SEED), True),
    "ImportanceSampling": (
        lambda layers, counts: layers.ImportanceSampling(counts, seed=SEED),
        True,
    ),
    "NCE": (lambda layers, counts: layers.NCE(counts, seed=SEED), True),
    "NegativeSampling": (lambda layers, counts: layers.NegativeSampling(counts, seed=SEED), False),
    "BinaryCode": (lambda layers, counts: layers.BinaryCode(counts), True),
    "BinaryCode, hybrid": (
        lambda layers, counts: layers.BinaryCode(counts, num_frequent=1024),
        True,
    ),
    "BinaryCode, hybrid, ECC": (
        lambda layers, counts: layers.BinaryCode(counts, num_frequent=1024, code_memory=6),
        True,
    ),
    "EmbeddingPrediction": (
        lambda layers, counts: layers.EmbeddingPrediction(counts, seed=SEED),
        False,
    ),
    "EmbeddingPrediction, margin": (
        lambda layers, counts: layers.EmbeddingPrediction(counts, loss="max_margin", seed=SEED),
        False,
    ),
}


def first_words(path: str, words: int) -> Iterator[list[str]]:
    """Yields the sentences of a file until they hold so many words."""
    seen = 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            sentence = line.split()
            seen += len(sentence)
            yield sentence
            if seen >= words:
                return


class StepClock:
    """Makes a callback that times calls into the graph, the first (compiling) left out."""

    def __init__(self) -> None:
        import keras

        clock = self
        self.times: list[float] = []

        class Callback(keras.callbacks.Callback):
            last: tuple[int, float] | None = None

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                now = time.perf_counter()
                if self.last is not None:
                    clock.times.append((now - self.last[1]) / (batch - self.last[0]))
                self.last = (batch, now)

        self.callback = Callback()

    def median(self) -> float:
        """Returns the seconds a step."""
        return statistics.median(self.times)


def train(options: argparse.Namespace, layer: Any, counts: Any, dataset: Any) -> tuple[Any, float]:
    """Trains CBOW one epoch; returns the model and the seconds a step."""
    from kerasw2v import CBOW, optimizers

    model = CBOW(len(counts), DIM, layer, window=WINDOW, seed=SEED)
    schedule = optimizers.linear_decay(ALPHA, len(dataset), 1)
    model.compile(optimizers.RowSGD(schedule), steps_per_execution=options.calls)
    clock = StepClock()
    model.fit(dataset, verbose=0, callbacks=[clock.callback])
    return model, clock.median()


def time_top_k(layer: Any, hidden: Any) -> float:
    """Returns the seconds of one decoding call, the fastest of several."""
    import tensorflow as tf

    decode = tf.function(lambda rows: layer.top_k(rows, TOP))
    decode(hidden)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        decode(hidden)
        times.append(time.perf_counter() - started)
    return min(times)


def perplexity(model: Any, vocabulary: Any, path: str) -> float:
    """Returns the perplexity of centre words of held-out text, given full windows around them."""
    import tensorflow as tf

    contexts, targets = [], []
    for sentence in first_words(path, 10 * HELD_OUT_WORDS):
        ids = vocabulary.encode(sentence).tolist()
        padded = [-1] * WINDOW + ids + [-1] * WINDOW
        for place, target in enumerate(ids):
            window = padded[place : place + 2 * WINDOW + 1]
            contexts.append(window[:WINDOW] + window[WINDOW + 1 :])
            targets.append(target)
    chosen = np.random.default_rng(SEED).choice(len(targets), HELD_OUT_WORDS, replace=False)
    inputs, expected = np.array(contexts)[chosen], np.array(targets)[chosen]
    losses = []
    for start in range(0, len(chosen), DECODED_ROWS):
        rows = slice(start, start + DECODED_ROWS)
        log_probs = model.output_layer.log_probs(model(tf.constant(inputs[rows])))
        losses.append(-tf.gather(log_probs, expected[rows], batch_dims=1).numpy())
    return float(np.exp(np.mean(np.concatenate(losses))))


def run_text(options: argparse.Namespace) -> dict[str, Any]:
    """Trains one layer on the corpus."""
    from gensim.test.utils import datapath

    from kerasw2v import Vocabulary, block_dataset, layers, to_keyed_vectors

    vocabulary = Vocabulary.load(options.vocabulary)
    sentences = list(first_words(options.corpus, options.words))
    dataset = block_dataset(sentences, vocabulary, WINDOW, SAMPLE, TOKENS, seed=SEED)
    layer = LAYERS[options.layer][0](layers, vocabulary.counts)
    model, step = train(options, layer, vocabulary.counts, dataset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = np.random.default_rng(0).normal(size=(DECODED_ROWS, DIM)).astype(np.float32)
    vectors = to_keyed_vectors(model, vocabulary)
    analogies = vectors.evaluate_word_analogies(
        datapath("questions-words.txt"), restrict_vocab=30000
    )
    return {
        "step_s": step,
        "top_k_s": time_top_k(layer, rows),
        "parameters": int(sum(np.prod(weight.shape) for weight in layer.trainable_weights)),
        "peak_mb": peak,
        "perplexity": perplexity(model, vocabulary, options.held_out),
        "wordsim353": float(vectors.evaluate_word_pairs(datapath("wordsim353.tsv"))[1][0]),
        "analogies": float(analogies[0]),
    }


def run_zipf(options: argparse.Namespace) -> dict[str, Any]:
    """Times one layer on random words of a large vocabulary."""
    from kerasw2v import Vocabulary, block_dataset, layers

    size = options.zipf
    counts = (1e9 / np.arange(1, size + 1)).astype(np.int64) + 1
    vocabulary = Vocabulary([str(word) for word in range(size)], counts)
    rng = np.random.default_rng(SEED)
    ids = rng.choice(size, 12 * options.calls * ZIPF_TOKENS, p=counts / counts.sum())
    sentences = [[str(word) for word in ids[i : i + 32]] for i in range(0, len(ids), 32)]
    dataset = block_dataset(sentences, vocabulary, WINDOW, 0, ZIPF_TOKENS, seed=SEED)
    layer = LAYERS[options.layer][0](layers, counts)
    _, step = train(options, layer, counts, dataset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = rng.normal(size=(DECODED_ROWS, DIM)).astype(np.float32)
    parameters = int(sum(np.prod(weight.shape) for weight in layer.trainable_weights))
    return {
        "step_s": step,
        "top_k_s": time_top_k(layer, rows),
        "parameters": parameters,
        "peak_mb": peak,
    }


RUNNERS = {"text": run_text, "zipf": run_zipf}


def spawn(job: str, layer: str, vocabulary: str, options: argparse.Namespace) -> dict[str, Any]:
    """Runs one layer in a process of its own and returns its results."""
    arguments = [options.corpus, options.held_out, "--job", job]
    arguments += ["--layer", layer, "--vocabulary", vocabulary]
    for name in ("words", "zipf", "calls"):
        arguments += [f"--{name}", str(getattr(options, name))]
    row = {"job": job, "layer": layer, **run_alone(__file__, *arguments)}
    print("  ", json.dumps(row), flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the results of one job as a Markdown table, times as ratios to FullSoftmax."""
    full = next(row for row in rows if row["layer"] == "FullSoftmax")
    columns = ["layer", "step, ms", "step, times faster", "`top_k`, times faster", "parameters"]
    columns += ["peak memory, MB"]
    has_quality = "perplexity" in full
    if has_quality:
        columns += ["held-out perplexity", "WordSim353", "analogies"]
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    for row in rows:
        mark = "" if LAYERS[row["layer"]][1] else " *"
        cells = [
            row["layer"],
            f"{1e3 * row['step_s']:.1f}",
            f"{full['step_s'] / row['step_s']:.1f}",
            f"{full['top_k_s'] / row['top_k_s']:.1f}",
            f"{row['parameters']:,}",
            f"{row['peak_mb']:.0f}",
        ]
        if has_quality:
            cells += [f"{row['perplexity']:,.0f}{mark}"]
            cells += [f"{row['wordsim353']:.3f}", f"{row['analogies']:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws perplexity against the time of a step, of the layers that learn to be normalised."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    normalised = sorted((row for row in rows if LAYERS[row["layer"]][1]), key=lambda r: r["step_s"])
    for i, row in enumerate(normalised):
        place = 1e3 * row["step_s"], row["perplexity"]
        marker, colour = "os^Dv<>pPX*h"[i % 12], colormaps["tab10"](i % 10)
        axes.plot(*place, marker, color=colour, markersize=9, alpha=0.8, label=row["layer"])
    axes.set(
        xscale="log",
        xlabel="milliseconds a step of 4,096 tokens (lower is better)",
        ylabel="held-out perplexity (lower is better)",
        title="CBOW after the same tokens",
    )
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="fastest first")
    figure.savefig(path, dpi=90)


def main() -> None:
    """Parses the command line and runs the comparison."""
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("corpus", help="a plain text file, one sentence a line")
    parser.add_argument("held_out", help="a plain text file of other sentences")
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--zipf", type=int, default=0, help="also time a vocabulary of this size")
    parser.add_argument("--calls", type=int, default=8, help="steps in one call into the graph")
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--json", type=Path, help="write all rows here")
    parser.add_argument("--plot", type=Path, help="draw the comparison here")
    for internal in ("--job", "--layer", "--vocabulary"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        from kerasw2v.utils.runtime import divide_cores

        divide_cores()  # as `kerasw2v train` does
        print(json.dumps(RUNNERS[options.job](options)))
        return
    compare(options)


def compare(options: argparse.Namespace) -> None:
    """Runs every layer and prints the tables."""
    from tempfile import TemporaryDirectory

    from kerasw2v import Vocabulary

    names = list(dict.fromkeys(["FullSoftmax", *options.layers]))
    rows = []
    with TemporaryDirectory() as folder:
        vocabulary = Vocabulary.from_corpus(options.corpus, min_count=MIN_COUNT)
        path = os.path.join(folder, "vocabulary.txt")
        vocabulary.save(path)
        for job in ["text", "zipf"][: 2 if options.zipf else 1]:
            found = [spawn(job, name, path, options) for name in names]
            size = len(vocabulary) if job == "text" else options.zipf
            print(f"\n{job}, V = {size:,}\n\n{table(found)}\n", flush=True)
            rows += found
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    if options.plot:
        plot([row for row in rows if row["job"] == "text"], options.plot)


if __name__ == "__main__":
    main()
