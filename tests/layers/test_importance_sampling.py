"""ImportanceSampling against NumPy in float64, and against the full softmax."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp, softmax

from kerasw2v.layers.importance_sampling import ImportanceSampling
from kerasw2v.ops import noise

COUNTS = np.array([40, 20, 20, 10, 6, 3, 1])
Q = COUNTS / COUNTS.sum()
V, DIM = len(COUNTS), 4
DRAWN = np.array([0, 2, 2, 5, 0, 0, 3, 1], np.int32)


def make(num_sampled=8, **kwargs):
    layer = ImportanceSampling(COUNTS, num_sampled, seed=1, **{"use_bias": False, **kwargs})
    layer.build((None, DIM))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def blocks():
    rng = np.random.default_rng(1)
    hidden = rng.normal(size=(2, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (2, 5)).astype(np.int32)
    weights = rng.integers(0, 3, (2, 3, 5)).astype(np.float32)
    return hidden, candidates, weights


def by_numpy(table, biases, hidden, candidates, weights, drawn, expected_counts):
    """Losses, and gradients of hidden vectors, table and biases; target hits stay in the sample."""
    table, hidden = np.float64(table), np.float64(hidden)
    losses = np.zeros(weights.shape[:2])
    slope = np.zeros((*weights.shape[:2], V))
    for b, i, c in np.ndindex(weights.shape):
        weight, target = weights[b, i, c], candidates[b, c]
        scores = table @ hidden[b, i] + biases
        corrected = scores[drawn] - np.log(expected_counts)
        losses[b, i] += weight * (logsumexp(corrected) - scores[target])
        slope[b, i, target] -= weight
        np.add.at(slope[b, i], drawn, weight * softmax(corrected))
    return losses, slope @ table, np.einsum("biv,bid->vd", slope, hidden), slope.sum((0, 1))


@pytest.mark.parametrize("unique", [False, True])
def test_given_draws(monkeypatch, unique):
    drawn = np.array([4, 0, 2, 1, 6], np.int32) if unique else DRAWN
    expected = 1 - (1 - Q[drawn]) ** 9 if unique else len(drawn) * Q[drawn]
    monkeypatch.setattr(noise, "draw", lambda *_: tf.constant(drawn))
    monkeypatch.setattr(noise, "draw_unique", lambda *_: (tf.constant(drawn), tf.constant(9.0)))
    layer = make(len(drawn), unique=unique, use_bias=True)
    hidden, candidates, weights = blocks()
    states = tf.Variable(hidden)
    with tf.GradientTape() as tape:
        losses = layer(states, candidates, weights)
    tables = [layer.embeddings.value, layer.biases.value]
    results = [losses, *tape.gradient(losses, [states, *tables])]
    tables = [table.numpy() for table in tables]
    for result, value in zip(
        results, by_numpy(*tables, hidden, candidates, weights, drawn, expected), strict=True
    ):
        np.testing.assert_allclose(tf.convert_to_tensor(result), value, rtol=1e-5, atol=2e-5)


def test_a_target_in_the_sample_stays_there(monkeypatch):
    monkeypatch.setattr(noise, "draw", lambda *_: tf.constant([3, 3]))
    layer = make(2)
    # The sample is the target alone: Z is estimated as exp(s) / Q, the loss is -log Q whatever s.
    loss = layer(np.ones((1, DIM), np.float32), np.array([3]))
    np.testing.assert_allclose(loss, -np.log(Q[3]), rtol=1e-5)


@pytest.mark.parametrize("unique", [False, True])
def test_gradient_tends_to_that_of_the_full_softmax(unique):
    hidden = np.random.default_rng(3).normal(size=(1, DIM)).astype(np.float32)
    sizes = (1, 4, 6) if unique else (4, 32, 256)
    errors = []
    for size in sizes:
        layer = make(size, unique=unique)
        table = 0.5 * np.float64(layer.embeddings.numpy())
        layer.embeddings.assign(table)

        @tf.function
        def mean_gradient(layer=layer):
            total = tf.zeros((1, DIM))
            for _ in tf.range(20_000):
                states = tf.constant(hidden)
                with tf.GradientTape() as tape:
                    tape.watch(states)
                    losses = layer(states, tf.constant([2]))
                total += tape.gradient(losses, states)
            return total / 20_000

        exact = softmax(table @ hidden[0]) @ table - table[2]
        errors.append(np.abs(mean_gradient().numpy() - exact).max())
    # Each mean of 20,000 has a standard error of about .004.
    assert errors[0] > 1.3 * errors[1] > 2 * errors[2], errors
    assert errors[2] < 0.1, errors


def test_target_mass_is_that_of_one_softmax():
    assert make().target_mass(np.array([0, 6])) == 4
