"""FullSoftmax against NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from kerasw2v.layers import FullSoftmax
from kerasw2v.ops.row_gradients import as_slices, record_rows

V, DIM = 7, 4


@pytest.fixture
def layer():
    layer = FullSoftmax(V)
    layer.build((None, DIM))
    layer.embeddings.assign(np.random.default_rng(0).normal(size=(V, DIM)))
    return layer


def blocks(seed=1):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(2, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (2, 5))
    weights = rng.integers(0, 3, (2, 3, 5)).astype(np.float32)
    return hidden, candidates, weights


def by_numpy(table, hidden, candidates, weights):
    """Returns the losses, the gradients of their sum, and the table's row masses."""
    table, hidden = np.float64(table), np.float64(hidden)
    log_probs = log_softmax(hidden @ table.T, axis=-1)
    losses = np.zeros(weights.shape[:2])
    slope = np.zeros_like(log_probs)  # of the scores
    mass = np.zeros(V)
    for b, i, c in np.ndindex(weights.shape):
        weight, target = weights[b, i, c], candidates[b, c]
        losses[b, i] -= weight * log_probs[b, i, target]
        slope[b, i] += weight * np.exp(log_probs[b, i])
        slope[b, i, target] -= weight
        # A term curves four times as much as a sigmoid, and with the square of the hidden vector.
        terms = weight * max(1, hidden[b, i] @ hidden[b, i])
        mass += 4 * terms * np.exp(log_probs[b, i])
        mass[target] += terms
    table_gradient = np.einsum("biv,bid->vd", slope, hidden)
    return losses, slope @ table, table_gradient, mass


@pytest.mark.parametrize("graph", [False, True])
def test_block_form(layer, graph):
    hidden, candidates, weights = blocks()

    def run(hidden):
        with tf.GradientTape() as tape, record_rows(tape) as record:
            tape.watch(hidden)
            losses = layer(hidden, tf.constant(candidates), tf.constant(weights))
        gradients = map(as_slices, record.gradients(losses, [hidden, layer.embeddings]))
        ((_, softmax_mass), (ids, target_mass)) = record.masses(layer.embeddings)
        mass = softmax_mass + tf.math.unsorted_segment_sum(target_mass, ids, V)
        return losses, *gradients, mass

    results = (tf.function(run) if graph else run)(tf.constant(hidden))
    expected = by_numpy(layer.embeddings.numpy(), hidden, candidates, weights)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-5)


def test_pair_form(layer):
    hidden, targets = blocks()[0].reshape(6, DIM), np.array([0, 6, 3, 3, 1, 2])
    weights = np.array([1, 2, 0, 0.5, 1, 1], np.float32)
    log_probs = log_softmax(np.float64(hidden) @ layer.embeddings.numpy().T, axis=-1)
    expected = -log_probs[np.arange(6), targets]
    np.testing.assert_allclose(layer(hidden, targets), expected, rtol=1e-5)
    np.testing.assert_allclose(layer(hidden, targets, weights), expected * weights, rtol=1e-5)
    np.testing.assert_allclose(layer.log_probs(hidden), log_probs, rtol=1e-5)


def test_huge_scores_stay_finite(layer):
    layer.embeddings.assign(100 * layer.embeddings.numpy())
    hidden, candidates, weights = blocks()
    expected = by_numpy(layer.embeddings.numpy(), hidden, candidates, weights)[0]
    np.testing.assert_allclose(layer(hidden, candidates, weights), expected, rtol=1e-5, atol=1e-3)
