"""Times training steps of one model: `python benchmarks/step_time.py MODEL`.

Prints one JSON line: the best and the median time of a step in ms, after compiling, over repeats of
`fit` on the same random Zipf blocks, which are in memory. MODEL is one of MODELS. Environment:
REPEATS (7), STEPS (32 in a repeat), WORDS (84000), THREADS (1: intra-op threads), INTER (inter-op
threads; TensorFlow's default). To compare two checkouts, name them by PYTHONPATH, and run them in
turns: the machine's speed swings.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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


def main(name: str) -> None:
    steps, repeats = int(os.environ.get("STEPS", 32)), int(os.environ.get("REPEATS", 7))
    model_class, layer_class, batch = MODELS[name]
    counts = zipf_counts(int(os.environ.get("WORDS", 84_000)))
    arguments = {"seed": 1} if layer_class is layers.NegativeSampling else {}
    layer = layer_class(counts, **arguments)
    model = model_class(len(counts), DIM, layer, window=WINDOW, seed=1)
    model.compile(optimizers.RowSGD(0.025), steps_per_execution=steps)
    blocks = tf.constant(blocks_of(counts, model.block_length, batch, steps))
    dataset = tf.data.Dataset.from_tensor_slices(blocks)
    model.fit(dataset, epochs=2, verbose=0)  # compiles every bucket
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        loss = model.fit(dataset, verbose=0).history["loss"][0]
        times.append((time.perf_counter() - start) * 1000 / steps)
    print(
        json.dumps(
            {
                "model": name,
                "package": os.path.dirname(kerasw2v.__file__),
                "best_ms": round(min(times), 3),
                "median_ms": round(float(np.median(times)), 3),
                "loss": round(loss, 4),
                "steps": steps,
            }
        )
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MODELS:
        sys.exit(f"MODEL must be one of {', '.join(MODELS)}.")
    main(sys.argv[1])
