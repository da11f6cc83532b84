"""A training step of `AdaptiveSoftmax` beside PyTorch's `AdaptiveLogSoftmaxWithLoss`.

    python benchmarks/adaptive_softmax.py CORPUS [--cutoffs 2000 10000] [--repetitions 5]

Both get the same cutoffs (those that ours plans for this machine, if none are given), the same
hidden vectors of 100 dimensions and the same 4,096 targets a step, drawn as often as they occur in
CORPUS. A step is loss, gradients of hidden vectors and weights, and one SGD update. Each run is a
process of its own, the two in turn, on all cores; the time is the median of 30 steps. Needs
PyTorch: pip install '.[benchmark-pytorch]'.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from alone import run_alone

DIM, ROWS, STEPS, WARM_UP, DIV_VALUE, LEARNING_RATE = 100, 4096, 30, 5, 4.0, 0.05
LIBRARIES = ("pytorch", "kerasw2v")


def batches(counts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns hidden vectors and targets of some steps, the same for both libraries."""
    rng = np.random.default_rng(1)
    return [
        (
            rng.normal(size=(ROWS, DIM)).astype(np.float32),
            rng.choice(len(counts), ROWS, p=counts / counts.sum()).astype(np.int64),
        )
        for _ in range(STEPS + WARM_UP)
    ]


def step_of_pytorch(counts: np.ndarray, cutoffs: list[int]) -> Callable[..., Any]:
    """Makes a step of PyTorch's layer."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    layer = torch.nn.AdaptiveLogSoftmaxWithLoss(DIM, len(counts), cutoffs, div_value=DIV_VALUE)
    optimizer = torch.optim.SGD(layer.parameters(), LEARNING_RATE / ROWS)

    def step(hidden: np.ndarray, targets: np.ndarray) -> None:
        optimizer.zero_grad(set_to_none=True)
        states = torch.from_numpy(hidden).requires_grad_()
        loss = -layer(states, torch.from_numpy(targets)).output.sum()
        loss.backward()
        optimizer.step()

    return step


def step_of_kerasw2v(counts: np.ndarray, cutoffs: list[int]) -> Callable[..., Any]:
    """Makes a step of ours."""
    import tensorflow as tf

    from kerasw2v import optimizers
    from kerasw2v.layers import AdaptiveSoftmax
    from kerasw2v.ops.row_gradients import record_rows

    layer = AdaptiveSoftmax(counts, cutoffs, div_value=DIV_VALUE, seed=1)
    layer.build((None, DIM), (None,))
    optimizer = optimizers.RowSGD(LEARNING_RATE)
    optimizer.build(layer.trainable_variables)

    @tf.function
    def step(hidden: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape, record_rows(tape) as record:
            tape.watch(hidden)
            loss = tf.reduce_sum(layer(hidden, targets))
        of_hidden, *gradients = record.gradients(loss, [hidden, *layer.trainable_variables])
        optimizer.apply(gradients, layer.trainable_variables)
        return tf.reduce_sum(of_hidden)

    return lambda hidden, targets: step(tf.constant(hidden), tf.constant(targets, tf.int32)).numpy()


STEPS_OF = {"pytorch": step_of_pytorch, "kerasw2v": step_of_kerasw2v}


def planned_cutoffs(counts: np.ndarray) -> list[int]:
    """Returns the cutoffs that our layer plans for this machine."""
    from kerasw2v.layers import AdaptiveSoftmax

    layer = AdaptiveSoftmax(counts)
    layer.build((None, DIM), (None,))
    return [int(cutoff) for cutoff in layer.cutoffs]


def run(library: str, counts: np.ndarray, cutoffs: list[int]) -> float:
    """Returns the milliseconds a step."""
    step, times = STEPS_OF[library](counts, cutoffs), []
    for hidden, targets in batches(counts):
        started = time.perf_counter()
        step(hidden, targets)
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times[WARM_UP:])


def spawn(job: str, counts: str, cutoffs: list[int]) -> Any:
    """Runs one library in a process of its own and returns its result."""
    return run_alone(__file__, counts, "--job", job, "--cutoffs", *map(str, cutoffs))


def compare(options: argparse.Namespace, counts: np.ndarray, path: str) -> None:
    """Runs both libraries in turn and prints how they compare."""
    cutoffs = options.cutoffs or spawn("plan", path, [])
    print(f"V = {len(counts):,}, cutoffs {cutoffs}, milliseconds a step of {ROWS:,} targets")
    ratios = []
    for _ in range(options.repetitions):
        theirs, ours = (spawn(library, path, cutoffs) for library in LIBRARIES)
        ratios.append(theirs / ours)
        print(f"  pytorch {theirs:7.1f}  kerasw2v {ours:7.1f}  times faster {ratios[-1]:.2f}")
    middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
    print(f"times faster: median {middle:.2f}, from {least:.2f} to {most:.2f}")


def main() -> None:
    """Parses the command line and runs the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus", help="a plain text file")
    parser.add_argument("--cutoffs", type=int, nargs="*", default=[])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        counts = np.load(options.corpus)
        plan = options.job == "plan"
        result = planned_cutoffs(counts) if plan else run(options.job, counts, options.cutoffs)
        print(json.dumps(result))
        return
    from kerasw2v import Vocabulary

    counts = np.asarray(Vocabulary.from_corpus(options.corpus, min_count=5).counts, np.float64)
    with TemporaryDirectory() as folder:
        path = os.path.join(folder, "counts.npy")
        np.save(path, counts)
        compare(options, counts, path)


if __name__ == "__main__":
    main()
