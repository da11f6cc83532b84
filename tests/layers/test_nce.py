"""NCE against NumPy in float64, TensorFlow's own, and its optimum."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.layers.nce import NCE
from kerasw2v.ops import noise

COUNTS = np.array([40, 20, 20, 10, 6, 3, 1])
Q = COUNTS / COUNTS.sum()
V, DIM = len(COUNTS), 4
WITH_REPLACEMENT = np.array([0, 2, 2, 5, 0, 0, 3, 1], np.int32)
UNIQUE = np.array([4, 0, 2, 1, 6], np.int32)


@pytest.fixture(params=[False, True], ids=["replacement", "unique"])
def given(request, monkeypatch):
    """A layer with known draws, these draws, and the expected counts of all words."""
    drawn = UNIQUE if request.param else WITH_REPLACEMENT
    expected = 1 - (1 - Q) ** 9 if request.param else len(drawn) * Q
    monkeypatch.setattr(noise, "draw", lambda *_: tf.constant(drawn))
    monkeypatch.setattr(noise, "draw_unique", lambda *_: (tf.constant(drawn), tf.constant(9.0)))
    layer = NCE(COUNTS, len(drawn), unique=request.param, seed=1)
    layer.build((None, DIM))
    layer.embeddings.assign(np.random.default_rng(0).normal(size=(V, DIM)))
    return layer, drawn, expected


def by_numpy(table, biases, hidden, candidates, weights, drawn, expected):
    """Losses, and gradients of hidden vectors, table and biases; target hits stay."""
    table, hidden = np.float64(table), np.float64(hidden)
    losses = np.zeros(weights.shape[:2])
    slope = np.zeros((*weights.shape[:2], V))
    for b, i, c in np.ndindex(weights.shape):
        weight, target = weights[b, i, c], candidates[b, c]
        difference = table @ hidden[b, i] + biases - np.log(expected)
        losses[b, i] += weight * np.logaddexp(0, -difference[target])
        losses[b, i] += weight * np.logaddexp(0, difference[drawn]).sum()
        sigmoid = 1 / (1 + np.exp(-difference))
        slope[b, i, target] += weight * (sigmoid[target] - 1)
        np.add.at(slope[b, i], drawn, weight * sigmoid[drawn])
    return losses, slope @ table, np.einsum("biv,bid->vd", slope, hidden), slope.sum((0, 1))


def test_given_draws(given):
    layer, drawn, expected = given
    rng = np.random.default_rng(1)
    hidden = rng.normal(size=(4, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (4, 5)).astype(np.int32)
    weights = rng.integers(0, 3, (4, 3, 5)).astype(np.float32)
    states = tf.Variable(hidden)
    with tf.GradientTape() as tape:
        losses = layer(states, candidates, weights)
    tables = [layer.embeddings.value, layer.biases.value]
    results = [losses, *tape.gradient(losses, [states, *tables])]
    tables = [table.numpy() for table in tables]
    for result, value in zip(
        results, by_numpy(*tables, hidden, candidates, weights, drawn, expected), strict=True
    ):
        np.testing.assert_allclose(tf.convert_to_tensor(result), value, rtol=1e-5, atol=3e-5)


def test_it_is_the_op_of_tensorflow(given):
    layer, drawn, expected = given
    hidden = np.random.default_rng(2).normal(size=(V, DIM)).astype(np.float32)
    targets = np.arange(V)  # some of them are among the noise words, and stay there
    counts = expected.astype(np.float32)
    theirs = tf.nn.nce_loss(
        layer.embeddings.value,
        layer.biases.value,
        targets[:, None],
        hidden,
        len(drawn),
        V,
        sampled_values=(drawn.astype(np.int64), counts[:, None], counts[drawn]),
    )
    np.testing.assert_allclose(layer(hidden, targets), theirs, rtol=1e-5, atol=1e-6)


def test_the_optimum_is_the_distribution_of_the_data(monkeypatch):
    # Noise words in proportion to Q make the expectation over the noise exact.
    monkeypatch.setattr(noise, "draw", lambda *_: tf.constant([0, 0, 0, 0, 1, 1, 2, 3]))
    layer = NCE([4, 2, 1, 1], num_sampled=8, use_bias=False, seed=1)
    layer.build((None, 2))
    data = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.15, 0.05]])  # by context
    hidden = np.repeat(np.eye(2, dtype=np.float32), 4, axis=0)
    targets = np.tile(np.arange(4, dtype=np.int32), 2)
    weights = data.ravel().astype(np.float32)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.2, 400))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(hidden, targets, weights))
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)

    for _ in range(400):
        step()
    probabilities = np.exp(layer.embeddings.numpy().T)  # not normalised by anybody
    np.testing.assert_allclose(probabilities, data, atol=2e-3)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=4e-3)
    np.testing.assert_allclose(np.exp(layer.log_probs(np.eye(2))), data, atol=2e-3)


def test_training_starts_normalised_at_the_frequencies():
    layer = NCE(COUNTS)
    layer.build((None, DIM))
    np.testing.assert_allclose(np.exp(layer.biases.numpy()), Q, rtol=1e-5)
    np.testing.assert_allclose(np.exp(layer.log_probs(np.ones((1, DIM))))[0], Q, rtol=1e-5)
    equal = NCE(V)
    equal.build((None, DIM))
    np.testing.assert_allclose(equal.biases, -np.log(V), rtol=1e-6)
    never = NCE([9, 1, 0])
    never.build((None, DIM))
    np.testing.assert_allclose(np.exp(never.biases.numpy()), [9 / 11, 1 / 11, 1 / 11], rtol=1e-5)


def test_target_mass_is_a_target_and_a_softmax():
    assert NCE(V, num_sampled=256).target_mass(np.array([0])) == 5
    assert NCE(V, num_sampled=3).target_mass(np.array([0])) == 4
