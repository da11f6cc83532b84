"""SampledSoftmax against NumPy in float64, TensorFlow's own, and the full softmax."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp, softmax

from kerasw2v.layers import FullSoftmax
from kerasw2v.layers.sampled_softmax import SampledSoftmax
from kerasw2v.ops import noise

COUNTS = np.array([40, 20, 20, 10, 6, 3, 1])
Q = COUNTS**0.75 / (COUNTS**0.75).sum()
V, DIM = len(COUNTS), 4
WITH_REPLACEMENT = np.array([0, 2, 2, 5, 0, 0, 3, 1], np.int32)
UNIQUE = np.array([4, 0, 2, 1, 6], np.int32)


def make(num_sampled=5, **kwargs):
    settings = {"exponent": 0.75, "use_bias": False, "seed": 1, **kwargs}
    layer = SampledSoftmax(COUNTS, num_sampled, **settings)
    layer.build((None, DIM))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def blocks():
    rng = np.random.default_rng(1)
    hidden = rng.normal(size=(4, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (4, 5)).astype(np.int32)
    weights = rng.integers(0, 3, (4, 3, 5)).astype(np.float32)
    return hidden, candidates, weights


@pytest.fixture(params=[False, True], ids=["replacement", "unique"])
def given(request, monkeypatch):
    """A layer with known draws, these draws, and the expected counts of all words."""
    drawn = UNIQUE if request.param else WITH_REPLACEMENT
    expected = 1 - (1 - Q) ** (9 if request.param else len(drawn))
    monkeypatch.setattr(noise, "draw", lambda *_: tf.constant(drawn))
    monkeypatch.setattr(noise, "draw_unique", lambda *_: (tf.constant(drawn), tf.constant(9.0)))
    return make(len(drawn), unique=request.param, use_bias=True), drawn, expected


def by_numpy(table, biases, hidden, candidates, weights, drawn, expected):
    """Losses, and gradients of hidden vectors, table and biases; target hits are left out."""
    table, hidden = np.float64(table), np.float64(hidden)
    losses = np.zeros(weights.shape[:2])
    slope = np.zeros((*weights.shape[:2], V))
    for b, i, c in np.ndindex(weights.shape):
        weight, target = weights[b, i, c], candidates[b, c]
        ids = np.concatenate([[target], np.setdiff1d(drawn, target)])
        corrected = (table @ hidden[b, i] + biases - np.log(expected))[ids]
        losses[b, i] += weight * (logsumexp(corrected) - corrected[0])
        np.add.at(slope[b, i], ids, weight * softmax(corrected))
        slope[b, i, target] -= weight
    return losses, slope @ table, np.einsum("biv,bid->vd", slope, hidden), slope.sum((0, 1))


def test_given_draws(given):
    layer, drawn, expected = given
    hidden, candidates, weights = blocks()
    counted = np.isin(candidates, drawn)
    assert counted.any()
    assert not counted.all()
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
    if not layer.unique:
        drawn = np.unique(drawn)  # TensorFlow takes out one copy of a target and leaves the others
    hidden = np.random.default_rng(2).normal(size=(V, DIM)).astype(np.float32)
    targets = np.arange(V)
    counts = expected.astype(np.float32)
    theirs = tf.nn.sampled_softmax_loss(
        layer.embeddings.value,
        layer.biases.value,
        targets[:, None],
        hidden,
        len(drawn),
        V,
        sampled_values=(drawn.astype(np.int64), counts[:, None], counts[drawn]),
    )
    np.testing.assert_allclose(layer(hidden, targets), theirs, rtol=1e-5, atol=1e-6)


def test_a_batch_of_hits(given):
    layer, drawn, _ = given
    targets = np.full(3, drawn[1])
    hidden = np.ones((3, DIM), np.float32)
    corrected = by_numpy(
        layer.embeddings.numpy(), layer.biases.numpy(), hidden[:, None], targets[:, None],
        np.ones((3, 1, 1)), *given[1:],
    )[0]  # fmt: skip
    np.testing.assert_allclose(layer(hidden, targets), corrected[:, 0], rtol=1e-5)


@pytest.mark.parametrize("score", [-60.0, -1.0, 0.0, 1.0, 20.0, 60.0])
def test_a_target_that_is_most_of_the_noise(monkeypatch, score):
    monkeypatch.setattr(noise, "draw", lambda *_: tf.constant([1] * 7 + [0]))
    layer = make(8, unique=False)
    layer.embeddings.assign(np.zeros((V, DIM)))
    layer.embeddings[1].assign([score, 0, 0, 0])
    hidden = tf.Variable([[1.0, 0.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = layer(hidden, np.array([1]))
    corrections = np.log(1 - (1 - Q[:2]) ** 8)
    lead = -corrections[0] - (score - corrections[1])  # word 0 alone is left against the target
    # The target's own share is taken in and out again: float32 keeps 1e-7 of a score of 60.
    np.testing.assert_allclose(loss, [np.logaddexp(0, lead)], rtol=1e-5, atol=1e-5)
    assert loss >= 0
    slope = -score / (1 + np.exp(-lead))
    assert float(tape.gradient(loss, hidden)[0, 0]) == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_all_words_make_the_full_softmax():
    layer, full = make(V), FullSoftmax(V)
    full.build((None, DIM))
    full.embeddings.assign(layer.embeddings.numpy())
    hidden, candidates, weights = blocks()
    states = tf.Variable(hidden)
    results = []
    for each in (layer, full):
        with tf.GradientTape() as tape:
            losses = each(states, candidates, weights)
        gradients = tape.gradient(losses, [states, each.embeddings.value])
        results.append([losses, *map(tf.convert_to_tensor, gradients)])
    for ours, exact in zip(*results, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("unique", "sizes"), [(True, (1, 3, 6)), (False, (4, 32, 256))])
def test_gradient_tends_to_that_of_the_full_softmax(unique, sizes):
    hidden = np.random.default_rng(3).normal(size=(1, DIM)).astype(np.float32)
    errors = []
    for size in sizes:
        layer = make(size, unique=unique)
        table = 0.5 * np.float64(layer.embeddings.numpy())
        layer.embeddings.assign(table)

        @tf.function
        def mean_gradient(layer=layer):
            total = tf.zeros((1, DIM))
            for _ in tf.range(1500):
                states = tf.constant(hidden)
                with tf.GradientTape() as tape:
                    tape.watch(states)
                    losses = layer(states, tf.constant([2]))
                total += tape.gradient(losses, states)
            return total / 1500

        exact = softmax(table @ hidden[0]) @ table - table[2]
        errors.append(np.abs(mean_gradient().numpy() - exact).max())
    # Each mean of 1,500 has a standard error of about .015.
    assert errors[0] > 1.3 * errors[1] > 2 * errors[2], errors
    assert errors[2] < 0.1, errors


def test_how_many_words_are_drawn_when_nobody_says():
    assert SampledSoftmax(100).num_sampled == 100
    assert SampledSoftmax(1000).num_sampled == 512


def test_target_mass_is_that_of_one_softmax():
    assert make().target_mass(np.array([0, 6])) == 4
