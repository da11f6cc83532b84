"""Closed-form logistic losses against NumPy in float64 and against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.logistic import noise_loss, softplus_and_sigmoid, target_loss


def softplus(scores):
    return np.logaddexp(0.0, scores)


def expected_target(scores, weights, kept):
    return (weights * (kept * softplus(scores) - scores)).sum(-1)


def expected_noise(scores, weights):
    return weights * softplus(scores).sum(-1)


def inputs(seed, scale=2.0, width=7):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, scale, (3, 4, width))
    weights = rng.integers(0, 3, (3, 4, width)).astype(float)
    kept = 1 - rng.integers(0, 3, (3, 1, width)) / 4
    return scores, weights, kept


def gradient(loss, scores, *others):
    scores, *others = (tf.constant(array, tf.float32) for array in (scores, *others))
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = loss(scores, *others)
        total = tf.reduce_sum(value * tf.range(1.0, value.shape[-1] + 1))
    return value.numpy(), tape.gradient(total, scores).numpy()


def differences(loss, scores, *others):
    """Central differences of the same weighted sum, in float64."""
    steps = np.zeros_like(scores)
    for index in np.ndindex(scores.shape):
        change = np.zeros_like(scores)
        change[index] = 1e-5
        rise = loss(scores + change, *others) - loss(scores - change, *others)
        steps[index] = (rise * np.arange(1, rise.shape[-1] + 1)).sum() / 2e-5
    return steps


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("graph", [False, True])
def test_target_loss(seed, graph):
    arrays = inputs(seed)
    loss = tf.function(target_loss) if graph else target_loss
    value, slope = gradient(loss, *arrays)
    # A dozen float32 operations on numbers below 20.
    np.testing.assert_allclose(value, expected_target(*arrays), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(slope, differences(expected_target, *arrays), atol=2e-5)


@pytest.mark.parametrize("width", [1, 4, 6, 32])  # logarithms are taken of four at a time, or one
@pytest.mark.parametrize("graph", [False, True])
def test_noise_loss(width, graph):
    scores, weights, _ = inputs(width, width=width)
    arrays = (scores, weights[..., 0])
    loss = tf.function(noise_loss) if graph else noise_loss
    value, slope = gradient(loss, *arrays)
    np.testing.assert_allclose(value, expected_noise(*arrays), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(slope, differences(expected_noise, *arrays), atol=2e-5)


@pytest.mark.parametrize("score", [-100.0, -50.0, -20.0, 20.0, 50.0, 80.0, 100.0, 1e4, -1e4])
@pytest.mark.parametrize("graph", [False, True])
def test_extreme_scores_stay_finite(score, graph):
    scores = np.full((1, 2, 4), score)
    weights = np.ones((1, 2, 4))
    for loss, expected, others in (
        (target_loss, expected_target, (weights, np.ones((1, 1, 4)))),
        (target_loss, expected_target, (weights, np.full((1, 1, 4), 0.5))),
        (noise_loss, expected_noise, (weights[..., 0],)),
    ):
        value, slope = gradient(tf.function(loss) if graph else loss, scores, *others)
        assert np.isfinite(value).all()
        assert np.isfinite(slope).all()
        exact = expected(scores, *others)
        if abs(score) <= 20:  # beyond that the report is cut off: the gradient is what counts
            np.testing.assert_allclose(value, exact, rtol=1e-5, atol=1e-5)
        else:
            assert (value >= -1e-6).all() or (exact < 0).all()
            assert (np.sign(value.round(3)) == np.sign(exact.round(3))).all()
        factor = np.arange(1, 3)[None, :, None]
        sigmoid = np.exp(-softplus(-scores))
        if loss is target_loss:
            np.testing.assert_allclose(slope, factor * (others[1] * sigmoid - 1), atol=1e-6)
        else:
            np.testing.assert_allclose(slope, factor * sigmoid, atol=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_softplus_and_sigmoid(graph):
    scores = np.r_[np.linspace(-30, 30, 6001), 0.0, -1e4, 1e4, -np.inf, np.inf]
    compute = tf.function(softplus_and_sigmoid, jit_compile=True) if graph else softplus_and_sigmoid
    soft, sigmoid = (x.numpy() for x in compute(tf.constant(scores, tf.float32)))
    exact = softplus(scores)
    # A number near 1 has neighbours 6e-8 and 1.2e-7 away.
    np.testing.assert_allclose(soft, exact, rtol=2e-7, atol=2e-7)
    np.testing.assert_allclose(sigmoid, np.exp(-softplus(-scores)), rtol=0, atol=2e-7)


def test_weights_have_no_gradient():
    scores, weights, kept = (tf.constant(array, tf.float32) for array in inputs(0))
    with tf.GradientTape() as tape:
        tape.watch([weights, kept])
        total = tf.reduce_sum(target_loss(scores, weights, kept))
        total += tf.reduce_sum(noise_loss(scores, weights[..., 0]))
    assert tape.gradient(total, [weights, kept]) == [None, None]
