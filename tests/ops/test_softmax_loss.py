"""The softmax's cross-entropy against float64 NumPy, its gradient against finite differences."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from kerasw2v.ops.softmax_loss import softmax_loss, take_rows

N, CLASSES, DIM = 5, 4, 3
ROWS = np.array([0, 0, 0, 2, 3, 3], np.int32)  # rows 1 and 4 have no target
TARGETS = np.array([1, 1, 3, 0, 2, 1], np.int32)
WEIGHTS = np.array([1, 2, 0.5, 1, 0, 3], np.float32)
CANCELLING = np.array([1, -2, 1, -1, 0.1, -0.3], np.float32)  # in row 0


def arrays():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(N, DIM)).astype(np.float32)
    return hidden, rng.normal(size=(CLASSES, DIM)).astype(np.float32)


def by_numpy(hidden, table, weights):
    losses = np.zeros(N)
    log_probs = log_softmax(np.float64(hidden) @ np.float64(table).T, axis=-1)
    for row, target, weight in zip(ROWS, TARGETS, weights, strict=True):
        losses[row] -= weight * log_probs[row, target]
    return losses


def differences(function, array, step=1e-5):
    result = np.zeros(array.shape)
    for index in np.ndindex(*array.shape):
        change = np.zeros(array.shape)
        change[index] = step
        result[index] = (function(array + change) - function(array - change)) / (2 * step)
    return result


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("weights", [WEIGHTS, CANCELLING])
def test_loss_and_gradients(graph, weights):
    hidden, table = arrays()
    factors = np.arange(1.0, N + 1)

    def run(hidden, table):
        with tf.GradientTape() as tape:
            tape.watch([hidden, table])
            loss, _ = softmax_loss(hidden, table, *map(tf.constant, (ROWS, TARGETS, weights)))
            total = tf.reduce_sum(loss * tf.constant(factors, tf.float32))
        return loss, *tape.gradient(total, [hidden, table])

    run = tf.function(run) if graph else run
    loss, of_hidden, of_table = run(tf.constant(hidden), tf.constant(table))
    np.testing.assert_allclose(loss, by_numpy(hidden, table, weights), rtol=1e-5, atol=1e-6)
    assert loss[1] == loss[4] == 0
    # The differences are in float64; what is left is float32's, on sums of about ten terms.
    expected = differences(lambda x: factors @ by_numpy(x, table, weights), np.float64(hidden))
    np.testing.assert_allclose(of_hidden, expected, rtol=1e-4, atol=1e-5)
    expected = differences(lambda x: factors @ by_numpy(hidden, x, weights), np.float64(table))
    np.testing.assert_allclose(of_table, expected, rtol=1e-4, atol=1e-5)


def test_scores_of_any_size():
    # Two scores 2000 apart, whose smaller probability is no float32.
    hidden, table = tf.constant([[1000.0]]), tf.constant([[1.0], [-1.0]])
    one = tf.ones(1)
    for target, expected in [(0, 0.0), (1, 2000.0)]:
        loss, _ = softmax_loss(hidden, table, tf.constant([0]), tf.constant([target]), one)
        assert float(loss[0]) == expected


def test_no_rows():
    none = tf.zeros(0, tf.int32)
    loss, slope = softmax_loss(tf.zeros((0, 3)), tf.zeros((4, 3)), none, none, tf.zeros(0))
    assert (loss.shape, slope.shape) == ((0,), (0, 4))


def test_taken_rows_have_a_dense_gradient():
    hidden = tf.constant(arrays()[0])
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        taken = take_rows(hidden, tf.constant([3, 1]))
        total = tf.reduce_sum(taken * [[1.0], [2.0]])
    np.testing.assert_array_equal(taken, hidden.numpy()[[3, 1]])
    gradient = tape.gradient(total, hidden)
    assert not isinstance(gradient, tf.IndexedSlices)
    np.testing.assert_array_equal(gradient, np.array([0, 2, 0, 1, 0])[:, None] * np.ones(DIM))
