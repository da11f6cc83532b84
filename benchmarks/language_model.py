"""A language model with each output layer: cost of a step, memory, exact perplexity.

    python benchmarks/language_model.py [--vocabulary 50000] [--dim 256] [--rows 32] [--length 16]
        [--heads NAME ...] [--optimizers NAME ...] [--steps 40] [--seconds 20] [--json FILE]

An embedding, an LSTM and an output layer predict each word from those before it, `rows * length`
words a step. The text is made: half the words come from a few followers of the word before, the
others from Zipf's law. Each pair of head and optimizer runs in a process of its own:

- `Dense` is what Keras has: `Embedding`, `LSTM`, `Dense(V)` and cross-entropy; the others are
  `EmbeddingLookup`, `LSTM` and a layer of `kerasw2v.layers`; `none` is the body without a head.
- `adam` is `keras.optimizers.Adam`, `row_adam` is `RowAdam`, `sgd` is `RowSGD`.

Times are medians of a step, forward, backward and update, in a `tf.function`: by the clock, and of
all processors together, which other programs disturb less. Memory is the peak of the process, less
what it had before the model. Perplexities are exact, by `log_probs` on
text that was not trained on: after `--steps` steps, and after `--seconds` seconds of steps.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from alone import run_alone
from numpy.typing import NDArray

HEADS = (
    "none",
    "Dense",
    "FullSoftmax",
    "AdaptiveSoftmax",
    "ClassSoftmax",
    "HierarchicalSoftmax",
    "SampledSoftmax",
    "ImportanceSampling",
    "NCE",
    "NegativeSampling",
    "BinaryCode",
)
OPTIMIZERS = ("adam", "row_adam", "sgd")
RATES = {"adam": 2e-3, "row_adam": 2e-3, "sgd": 5.0}
FOLLOWERS, SHARE, SEED = 4, 0.5, 1
HELD_OUT, SCORED_ROWS, WARM_UP = 4096, 256, 5


class Source:
    """Text in which a word depends on the one before it.

    With probability `SHARE` the next word is one of `FOLLOWERS` of this one, else any by Zipf.
    """

    def __init__(self, vocabulary: int) -> None:
        self.probabilities = 1 / (np.arange(vocabulary) + 2.7)
        self.probabilities /= self.probabilities.sum()
        self._cumulative = np.cumsum(self.probabilities)
        rng = np.random.default_rng(SEED)
        self.followers = self._draw(rng, (vocabulary, FOLLOWERS))

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int32]:
        words = np.searchsorted(self._cumulative, rng.random(shape))
        return np.minimum(words, len(self.probabilities) - 1).astype(np.int32)

    def text(self, rows: int, length: int, seed: int) -> NDArray[np.int32]:
        """Returns `(rows, length)` words; each row is a text of its own."""
        rng = np.random.default_rng(seed)
        words = [self._draw(rng, (rows,))]
        for _ in range(length - 1):
            chosen = self.followers[words[-1], rng.integers(0, FOLLOWERS, rows)]
            is_follower = rng.random(rows) < SHARE
            words.append(np.where(is_follower, chosen, self._draw(rng, (rows,))))
        return np.stack(words, axis=1)

    def perplexity(self, text: NDArray[np.int32]) -> float:
        """Returns the perplexity of a text for one who knows the source: none is lower."""
        before, after = text[:, :-1], text[:, 1:]
        share = (self.followers[before] == after[..., None]).mean(-1)
        probabilities = SHARE * share + (1 - SHARE) * self.probabilities[after]
        return float(np.exp(-np.log(probabilities).mean()))


class LanguageModel:
    """Embedding, LSTM and a head, and a step of an optimizer."""

    def __init__(self, options: argparse.Namespace, counts: Any) -> None:
        import keras

        from kerasw2v import layers

        keras.utils.set_random_seed(SEED)
        size, dim = options.vocabulary, options.dim
        self.is_dense = options.head == "Dense"
        embedding = keras.layers.Embedding if self.is_dense else layers.EmbeddingLookup
        words = keras.Input((options.length,), dtype="int32")
        hidden = keras.layers.LSTM(dim, return_sequences=True)(embedding(size, dim)(words))
        self.body = keras.Model(words, hidden)
        self.head: Any = None
        if self.is_dense:
            self.head = keras.layers.Dense(size)
            self.head.build((None, dim))
        elif options.head != "none":
            self.head = make_head(options.head, counts)
            self.head.build((None, dim), (None,))
        self.optimizer = make_optimizer(options.optimizer)
        self.variables = list(self.body.trainable_variables)
        self.variables += self.head.trainable_variables if self.head else []
        self.optimizer.build(self.variables)

    def hidden(self, words: Any) -> Any:
        """Returns hidden vectors `(rows * length, d)`."""
        import tensorflow as tf

        hidden = self.body(words)
        return tf.reshape(hidden, [-1, hidden.shape[-1]])

    def losses(self, hidden: Any, targets: Any) -> Any:
        import tensorflow as tf

        if self.head is None:
            return tf.reduce_sum(tf.square(hidden - 1.0), axis=-1)
        if self.is_dense:
            scores = self.head(hidden)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)
        return self.head(hidden, targets)

    def step(self, words: Any, targets: Any) -> Any:
        """Takes one step on the mean loss of `(rows, length)` words; returns that loss."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            losses = self.losses(self.hidden(words), tf.reshape(targets, [-1]))
            loss = tf.reduce_mean(losses)
        self.optimizer.apply(tape.gradient(loss, self.variables), self.variables)
        return loss

    def perplexity(self, text: NDArray[np.int32]) -> float | None:
        """Returns the exact perplexity of a text."""
        import tensorflow as tf

        if self.head is None:
            return None
        hidden, targets = self.hidden(text[:, :-1]), tf.reshape(text[:, 1:], [-1])
        log_probs = (
            (lambda rows: tf.nn.log_softmax(self.head(rows)))
            if self.is_dense
            else self.head.log_probs
        )
        total = 0.0
        for start in range(0, len(targets), SCORED_ROWS):
            part = slice(start, start + SCORED_ROWS)
            chosen = tf.gather(log_probs(hidden[part]), targets[part], batch_dims=1)
            total -= float(tf.reduce_sum(chosen))
        return float(np.exp(total / len(targets)))


def make_head(name: str, counts: Any) -> Any:
    from kerasw2v.layers.from_name import make_output_layer

    return make_output_layer(name, counts, seed=SEED)


def make_optimizer(name: str) -> Any:
    import keras

    from kerasw2v import optimizers

    classes = {
        "adam": keras.optimizers.Adam,
        "row_adam": optimizers.RowAdam,
        "sgd": optimizers.RowSGD,
    }
    return classes[name](RATES[name])


def batches(source: Source, options: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """Yields inputs and targets without an end, made before they are timed."""
    import tensorflow as tf

    seed = SEED
    while True:
        seed += 1
        text = source.text(64 * options.rows, options.length + 1, seed)
        for start in range(0, len(text), options.rows):
            rows = text[start : start + options.rows]
            yield tf.constant(rows[:, :-1]), tf.constant(rows[:, 1:])


def peak_memory() -> float:
    """Returns the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Trains one head with one optimizer."""
    import tensorflow as tf

    source = Source(options.vocabulary)
    held_out = source.text(HELD_OUT // options.length, options.length + 1, seed=0)
    counts = source.probabilities * 1e7
    tf.reduce_sum(tf.zeros(1))  # TensorFlow starts
    memory = peak_memory()
    model = LanguageModel(options, counts)
    step = tf.function(model.step)
    data = batches(source, options)
    result: dict[str, Any] = {"head": options.head, "optimizer": options.optimizer}
    times: list[float] = []
    busy: list[float] = []
    while len(times) < options.steps or sum(times) < options.seconds:
        inputs = next(data)
        started, started_cpu = time.perf_counter(), time.process_time()
        loss = float(step(*inputs))
        times.append(time.perf_counter() - started)
        busy.append(time.process_time() - started_cpu)
        if len(times) == 1:
            times[0] = 0.0  # traced and compiled
        if not np.isfinite(loss):
            raise FloatingPointError(f"{options.head}, {options.optimizer}: loss {loss}")
        if len(times) == options.steps:
            result["memory"] = peak_memory() - memory  # before `log_probs` of all words
            result["after_steps"] = model.perplexity(held_out)
        if "after_seconds" not in result and sum(times) >= options.seconds > 0:
            result.setdefault("memory", peak_memory() - memory)
            result["after_seconds"] = model.perplexity(held_out)
    result["step"] = statistics.median(times[WARM_UP:])
    result["cpu"] = statistics.median(busy[WARM_UP:])
    result["steps"] = len(times)
    return result


def table(results: list[dict[str, Any]]) -> str:
    """Returns the results as a table, and how many times faster than Dense with Adam each is."""

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f}"

    dense = [r for r in results if (r["head"], r["optimizer"]) == ("Dense", "adam")]
    lines = [
        "| head | optimizer | step, ms | CPU, ms | times Dense | by CPU | memory, MB "
        "| perplexity after steps | after seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        ratios = [f"{dense[0][key] / r[key]:.1f}" if dense else "-" for key in ("step", "cpu")]
        columns = [
            r["head"],
            r["optimizer"],
            f"{1000 * r['step']:.1f}",
            f"{1000 * r['cpu']:.1f}",
            *ratios,
            number(r.get("memory")),
            number(r.get("after_steps")),
            number(r.get("after_seconds")),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--rows", type=int, default=32, help="texts side by side")
    parser.add_argument("--length", type=int, default=16, help="words of each in a step")
    parser.add_argument(
        "--heads", nargs="+", choices=HEADS, default=["Dense", "AdaptiveSoftmax", "SampledSoftmax"]
    )
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=["adam", "row_adam"])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.0, help="0 for no such measurement")
    parser.add_argument("--json", type=Path, help="where to write the results, too")
    parser.add_argument("--head", help=argparse.SUPPRESS)
    parser.add_argument("--optimizer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.head:
        print(json.dumps(measure(options)))
        return
    names = "vocabulary", "dim", "rows", "length", "steps", "seconds"
    arguments = [f"--{name}={getattr(options, name)}" for name in names]
    results = []
    for head, optimizer in product(options.heads, options.optimizers):
        pair = f"--head={head}", f"--optimizer={optimizer}"
        results.append(run_alone(__file__, *arguments, *pair))
        print(table(results[-1:]).splitlines()[-1], flush=True)
    source = Source(options.vocabulary)
    held_out = source.text(HELD_OUT // options.length, options.length + 1, seed=0)
    print(f"\nPerplexity of the source itself: {source.perplexity(held_out):.0f}\n")
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
