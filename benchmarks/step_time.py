"""Times training steps of one model: `python benchmarks/step_time.py MODEL [--against CHECKOUT]`.

Prints one JSON line: the best and the median time of a step in ms, after compiling, over repeats of
`fit` on the same random Zipf blocks, which are in memory. MODEL is one of MODELS. With `--against`,
the folder of another checkout of this repository, two processes, one with each package, are built
first and then repeat in turns, some 100 ms each, so that both see the machine's changes of speed;
the last line has the quartiles of this package's time by the other's. Environment: REPEATS (40),
STEPS (32 in a repeat), WORDS (84000), THREADS (1: intra-op threads), INTER (inter-op threads;
TensorFlow's default).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get("THREADS", 1)))
if "INTER" in os.environ:
    tf.config.threading.set_inter_op_parallelism_threads(int(os.environ["INTER"]))

import kerasw2v  # noqa: E402
from kerasw2v import CBOW, SkipGram, layers, optimizers  # noqa: E402

WINDOW, DIM = 5, 100
MODELS = {
    "cbow-hs": (CBOW, layers.HierarchicalSoftmax, 4096),
    "skip-gram-hs": (SkipGram, layers.HierarchicalSoftmax, 8192),
    "cbow-ns": (CBOW, layers.NegativeSampling, 4096),
    "skip-gram-ns": (SkipGram, layers.NegativeSampling, 4096),
}


def zipf_counts(words: int) -> np.ndarray:
    """About the counts of text8: 17 million words, the rarest five times."""
    counts = 1 / (np.arange(words) + 2.7)
    return np.maximum(np.round(counts / counts.sum() * 17e6), 5)


def blocks_of(counts: np.ndarray, length: int, batch: int, steps: int) -> np.ndarray:
    """`steps` batches of blocks whose tokens are drawn from subsampled counts, sentences of 20."""
    rng = np.random.default_rng(0)
    share = counts / counts.sum()
    kept = share * np.minimum(1, np.sqrt(1e-3 / share) + 1e-3 / share)
    kept /= kept.sum()
    shape = (steps, batch // length, length + 2 * WINDOW)
    ids = rng.choice(len(counts), shape, p=kept).astype(np.int32)
    return np.where(rng.random(shape) < 1 / 20, ~ids, ids)


def model_of(name: str, counts: np.ndarray, steps: int, dim: int = DIM) -> Any:
    """A compiled model for words of these counts."""
    model_class, layer_class, _ = MODELS[name]
    arguments = {"seed": 1} if layer_class is layers.NegativeSampling else {}
    layer = layer_class(counts, **arguments)
    model = model_class(len(counts), dim, layer, window=WINDOW, seed=1)
    model.compile(optimizers.RowSGD(0.025), steps_per_execution=steps)
    return model


def dataset_of(name: str, model: Any, counts: np.ndarray, steps: int) -> tf.data.Dataset:
    """Blocks for so many steps, in memory."""
    blocks = blocks_of(counts, model.block_length, MODELS[name][2], steps)
    options = tf.data.Options()
    options.autotune.enabled = False  # it would end each epoch late (see `without_autotune`)
    return tf.data.Dataset.from_tensor_slices(tf.constant(blocks)).with_options(options)


def time_of(model: Any, dataset: tf.data.Dataset, steps: int) -> float:
    """Trains one epoch, of so many steps; returns its time in ms per step.

    Without the look at all weights after each epoch (`StopOnNaN`), as epochs are very short here.
    """
    callbacks = [keras.callbacks.TerminateOnNaN()]
    start = time.perf_counter()
    model.fit(dataset, verbose=0, callbacks=callbacks)
    return (time.perf_counter() - start) * 1000 / steps


def repeat_of(name: str) -> Callable[[], float]:
    """A function that trains STEPS steps and returns their time in ms a step."""
    steps = int(os.environ.get("STEPS", 32))
    counts = zipf_counts(int(os.environ.get("WORDS", 84_000)))
    model = model_of(name, counts, steps)
    dataset = dataset_of(name, model, counts, steps)
    model.fit(dataset, epochs=2, verbose=0)  # compiles every bucket
    return lambda: time_of(model, dataset, steps)


def serve(name: str) -> None:
    """Answers each line of the input with the time of a repeat."""
    repeat = repeat_of(name)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(repeat(), flush=True)


class Served:
    """The repeats of a process with the package of `checkout`."""

    def __init__(self, name: str, checkout: str) -> None:
        process = subprocess.Popen(
            [sys.executable, __file__, name, "--serve"],
            env=dict(os.environ, PYTHONPATH=checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("No pipes.")
        self.ask, self.answers = process.stdin, process.stdout
        if self.answers.readline() != "ready\n":
            sys.exit(f"The package of {checkout} does not run.")

    def __call__(self) -> float:
        self.ask.write("\n")
        self.ask.flush()
        return float(self.answers.readline())


def report(name: str, package: str, times: list[float]) -> None:
    values = {"best_ms": round(min(times), 3), "median_ms": round(float(np.median(times)), 3)}
    print(json.dumps({"model": name, "package": package, **values}))


def main(name: str, other: str | None) -> None:
    repeats = int(os.environ.get("REPEATS", 40))
    here = os.path.dirname(os.path.dirname(os.path.abspath(kerasw2v.__file__)))
    if other is None:
        repeat = repeat_of(name)
        report(name, here, [repeat() for _ in range(repeats)])
        return
    load = os.getloadavg()[0]
    sides = [Served(name, here), Served(name, os.path.abspath(other))]
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats):
        for side in (0, 1) if number % 2 else (1, 0):
            times[side].append(sides[side]())
    report(name, here, times[0])
    report(name, os.path.abspath(other), times[1])
    quartiles = np.percentile(np.divide(*times), [25, 50, 75]).round(3).tolist()
    print(json.dumps({"model": name, "time_by_the_other's": quartiles, "load_before": load}))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in MODELS:
        sys.exit(f"MODEL must be one of {', '.join(MODELS)}.")
    if arguments[1:] == ["--serve"]:
        serve(arguments[0])
    elif len(arguments) == 1 or (len(arguments) == 3 and arguments[1] == "--against"):
        main(arguments[0], arguments[2] if len(arguments) == 3 else None)
    else:
        sys.exit("Usage: python benchmarks/step_time.py MODEL [--against CHECKOUT]")
