"""Fitting the cost model of `ops.cutoffs` by a short timing on the device in use."""

import functools
import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.ops.cutoffs import CostModel, Measurement
from kerasw2v.ops.softmax_loss import softmax_loss
from kerasw2v.utils.checks import check_int

_NARROW = 16  # the other width that is timed
_SIZES = (  # (classes, rows), from nothing but overhead to heads and wide tails
    (16, 16),
    (64, 64),
    (128, 256),
    (512, 256),
    (256, 2048),
    (4096, 256),
    (1024, 2048),
    (32768, 64),
    (1024, 4096),
)
_REPETITIONS = 4
_MAX_SECONDS = 1.0  # after which a busy machine starts no other repetition
_ROUNDS = 20  # of reweighting, more than enough


@functools.cache
def fit_cost_model(embedding_dim: int = 100) -> CostModel:
    """Times softmaxes of a few sizes for about half a second, and fits a cost model to them.

    It runs once in a process for each width. Timings vary from run to run, and so do, a little,
    cutoffs planned with them; save the model, or the cutoffs, to reuse them.
    """
    return fit_measurements(measure(check_int("embedding_dim", embedding_dim, minimum=1)))


def measure(embedding_dim: int) -> list[Measurement]:
    """Times a forward and backward step of softmaxes, wide and narrow, on the device in use.

    The fastest of several times counts: other work of the machine can only add to a time.
    """
    with tf.init_scope():  # a layer may be built while a graph is traced
        cases = [
            (classes, rows, dim)
            for dim in sorted({min(_NARROW, embedding_dim), embedding_dim})
            for classes, rows in _SIZES
        ]
        step = _training_step()
        best = dict.fromkeys(cases, np.inf)
        inputs = {case: _inputs(*case) for case in cases}
        begin = time.perf_counter()
        for repetition in range(_REPETITIONS + 1):
            for case in cases:
                start = time.perf_counter()
                step(*inputs[case]).numpy()
                seconds = time.perf_counter() - start
                if repetition:  # the first traces, or warms up
                    best[case] = min(best[case], seconds)
            if repetition and time.perf_counter() - begin > _MAX_SECONDS:
                break
    return [Measurement(*case, seconds) for case, seconds in best.items()]


def _training_step() -> Any:
    matrix = tf.TensorSpec([None, None], tf.float32)

    @tf.function(input_signature=[matrix, matrix, tf.TensorSpec([None], tf.int32)], autograph=False)
    def step(hidden: tf.Tensor, table: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        rows = tf.range(tf.shape(hidden)[0])
        loss, _ = softmax_loss(hidden, table, rows, classes, tf.ones_like(hidden[:, 0]))
        # Not by a tape: none records inside `init_scope`.
        of_hidden, of_table = tf.gradients(loss, [hidden, table])
        return of_hidden[0, 0] + of_table[0, 0]  # one number to wait for

    return step


def _inputs(classes: int, rows: int, dim: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((rows, dim), np.float32)
    table = rng.standard_normal((classes, dim), np.float32) / np.float32(dim)
    return tf.constant(hidden), tf.constant(table), tf.range(rows, dtype=tf.int32) % classes


def fit_measurements(measurements: Sequence[Measurement]) -> CostModel:
    """Fits a cost model to timings: least absolute relative errors, nothing negative.

    Given the floor `k0 B0`, the model is linear; all numbers of scores in the timings are tried.
    Raises ValueError for fewer than four timings, or if all have the same number of scores.
    """
    scores = np.array([m.classes * m.rows for m in measurements], np.float64)
    dims = np.array([m.dim for m in measurements], np.float64)
    seconds = np.array([m.seconds for m in measurements], np.float64)
    if len(measurements) < 4 or len(set(scores)) < 2:
        raise ValueError(
            "`measurements` must be at least four, of different sizes. "
            f"Received: measurements={list(measurements)!r}."
        )
    fits = []
    for floor in [0.0, *sorted(set(scores))[:-1]]:
        raised = np.maximum(floor, scores)
        columns = np.stack([np.ones_like(raised), raised, raised * dims], axis=1)
        parameters, error = _fit_positive(columns, seconds)
        fits.append((error, floor, parameters))
    _, floor, (overhead, per_score, per_product) = min(fits, key=lambda fit: fit[0])
    return CostModel(
        float(overhead), float(floor), float(per_score), float(per_product), tuple(measurements)
    )


def _fit_positive(
    columns: NDArray[np.float64], seconds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Returns the non-negative factors of least absolute relative error, and that error."""
    relative = columns / seconds[:, None]
    weights = np.ones_like(seconds)
    for _ in range(_ROUNDS):
        factors = _non_negative_least_squares(relative * weights[:, None], weights)
        residuals = np.abs(relative @ factors - 1)
        weights = 1 / np.sqrt(np.maximum(residuals, 0.05))  # squares turn into absolute values
    return factors, float(residuals.sum())


def _non_negative_least_squares(
    matrix: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Tries every subset of the few columns: exact, and it always ends."""
    count = matrix.shape[1]
    best, least = np.zeros(count), np.inf
    for size in range(1, count + 1):
        for subset in map(list, itertools.combinations(range(count), size)):
            scale = np.linalg.norm(matrix[:, subset], axis=0)
            factors = np.linalg.lstsq(matrix[:, subset] / scale, values, rcond=None)[0] / scale
            error = float(np.linalg.norm(matrix[:, subset] @ factors - values))
            if (factors >= 0).all() and error < least:
                best, least = np.zeros(count), error
                best[subset] = factors
    return best
