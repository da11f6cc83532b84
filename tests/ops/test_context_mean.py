"""CBOW's mean and its two gradients against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.context_mean import context_mean, window_sums


@pytest.mark.parametrize("whole_error", [False, True])
@pytest.mark.parametrize("graph", [False, True])
def test_mean_and_gradient(whole_error, graph):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 6, 4)).astype(np.float32)
    weights = rng.integers(0, 2, (3, 5, 6)).astype(np.float32)
    weights[1, 2] = 0  # an empty window
    upstream = rng.normal(size=(3, 5, 4)).astype(np.float32)

    def run(rows):
        with tf.GradientTape() as tape:
            tape.watch(rows)
            means = context_mean(rows, tf.constant(weights), whole_error)
        return means, tape.gradient(means, rows, tf.constant(upstream))

    means, gradient = (tf.function(run) if graph else run)(tf.constant(rows))
    expected_means, expected_gradient = np.zeros((3, 5, 4)), np.zeros((3, 6, 4))
    for block in range(3):
        for centre in range(5):
            window = np.flatnonzero(weights[block, centre])
            if not len(window):
                continue
            expected_means[block, centre] = rows[block, window].mean(0)
            share = 1.0 if whole_error else 1 / len(window)
            for place in window:
                expected_gradient[block, place] += share * upstream[block, centre]
    assert (means.numpy()[1, 2] == 0).all()
    np.testing.assert_allclose(means, expected_means, atol=1e-6)  # means of at most six numbers
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5)


def test_exact_gradient_is_that_of_the_mean():
    rng = np.random.default_rng(1)
    rows = tf.constant(rng.normal(size=(2, 4, 3)), tf.float32)
    weights = tf.constant(rng.integers(0, 2, (2, 3, 4)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(rows)
        count = tf.maximum(tf.reduce_sum(weights, -1, keepdims=True), 1.0)
        naive = tf.reduce_sum(tf.sin(weights @ rows / count))
        ours = tf.reduce_sum(tf.sin(context_mean(rows, weights, whole_error=False)))
    np.testing.assert_allclose(tape.gradient(ours, rows), tape.gradient(naive, rows), atol=1e-6)


@pytest.mark.parametrize("power", [-1, 0, 1])
def test_sums_over_windows(power):
    rng = np.random.default_rng(2)
    weights = rng.integers(0, 2, (2, 3, 5)).astype(np.float32)
    weights[1, 2] = 0  # an empty window
    terms = rng.random((2, 3)).astype(np.float32)
    sums = tf.function(window_sums)(
        tf.constant(weights), tf.constant(terms), tf.constant(power, tf.float32)
    )
    sizes = weights.sum(-1)
    at_least_one = np.maximum(sizes, 1)  # where there is none, no weight takes part either
    np.testing.assert_array_equal(sums[0], sizes)
    np.testing.assert_allclose(sums[1], weights / at_least_one[..., None], rtol=1e-6)
    expected = np.einsum("bij,bi->bj", weights, terms * at_least_one**power)
    np.testing.assert_allclose(sums[2], expected, rtol=1e-6)
