"""The windows of a block's centres against a double loop in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.window_means import (
    extent_means,
    sum_over_extents,
    sum_over_weights,
    weight_means,
    window_extents,
)

SHAPES = [(1, 1), (1, 8), (2, 5), (5, 3), (5, 16), (30, 4)]  # window and length; 60 taps are many
each_shape = pytest.mark.parametrize(("window", "length"), SHAPES)


def windows_of(window, length):
    """Returns sentences, reaches, and the tokens in each centre's window, by their definition."""
    rng = np.random.default_rng(window * length)
    width = length + 2 * window
    sentences = np.cumsum(rng.random((4, width)) < 0.15, axis=1).astype(np.int32)
    reach = rng.integers(0, window + 1, (4, length)).astype(np.int32)
    seen = np.zeros((4, length, width), bool)
    for block, centre, token in np.ndindex(seen.shape):
        near = 0 < abs(token - centre - window) <= reach[block, centre]
        same = sentences[block, token] == sentences[block, centre + window]
        seen[block, centre, token] = near and same
    return sentences, reach, seen


def run(function, mode, *arguments):
    """Calls a function op by op, fused, or with a number of blocks that is not known."""
    if mode == "eager":
        return function(*arguments)
    if mode == "graph":
        return tf.function(function)(*arguments)
    specs = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in arguments]
    return tf.function(function, input_signature=specs)(*arguments)


each_mode = pytest.mark.parametrize("mode", ["eager", "graph", "unknown"])


@each_shape
@each_mode
@pytest.mark.parametrize("is_full", [False, True])
def test_extents(window, length, mode, is_full):
    sentences, reach, _ = windows_of(window, length)
    if is_full:
        reach[:] = window

    def extents(sentences, reach):
        return window_extents(sentences, None if is_full else reach, window)

    before, behind = run(extents, mode, tf.constant(sentences), tf.constant(reach))
    for block, centre in np.ndindex(reach.shape):
        token, most = centre + window, reach[block, centre]
        same = sentences[block] == sentences[block, token]
        assert before[block, centre] == same[token - most : token].sum()
        assert behind[block, centre] == same[token + 1 : token + 1 + most].sum()


@each_shape
@each_mode
def test_means_and_their_gradient(window, length, mode):
    sentences, reach, seen = windows_of(window, length)
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(*sentences.shape, 3)).astype(np.float32)
    scale, gradient_scale = rng.random((2, 4, length)).astype(np.float32)
    errors = rng.normal(size=(4, length, 3)).astype(np.float32)

    def means(rows, sentences, reach, scale, gradient_scale, errors):
        before, behind = window_extents(sentences, reach, window)
        with tf.GradientTape() as tape:
            tape.watch(rows)
            sums = extent_means(rows, before, behind, scale, gradient_scale)
        return sums, tape.gradient(sums, rows, errors)

    tensors = map(tf.constant, (rows, sentences, reach, scale, gradient_scale, errors))
    sums, gradient = run(means, mode, *tensors)
    expected = np.einsum("blc,bcd,bl->bld", seen, rows, scale)
    np.testing.assert_allclose(sums, expected, atol=1e-5)  # sums of at most sixty numbers
    expected = np.einsum("blc,bld,bl->bcd", seen, errors, gradient_scale)
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


@each_shape
@each_mode
@pytest.mark.parametrize("power", [-1, 0, 1])
def test_sums_over_extents(window, length, mode, power):
    sentences, reach, seen = windows_of(window, length)
    terms = np.random.default_rng(2).random((4, length)).astype(np.float32)

    def sums(sentences, reach, terms):
        before, behind = window_extents(sentences, reach, window)
        powers = tf.constant([-1, 0, power], tf.float32)
        return sum_over_extents(before, behind, terms, powers, sentences)

    sizes, inverse, ones, mass = run(sums, mode, *map(tf.constant, (sentences, reach, terms)))
    expected = seen.sum(-1)
    at_least_one = np.maximum(expected, 1)  # an empty window adds nothing to any token
    np.testing.assert_array_equal(sizes, expected)
    np.testing.assert_allclose(inverse, (expected > 0) / at_least_one, rtol=1e-6)
    np.testing.assert_array_equal(ones, np.ones_like(terms))
    expected = np.einsum("blc,bl->bc", seen, terms * at_least_one.astype(float) ** power)
    np.testing.assert_allclose(mass, expected, rtol=1e-5)


def test_rows_of_half_precision_are_added_up_in_single():
    rows = tf.constant([[[2048.0]] + [[1.0]] * 10], tf.bfloat16)  # where steps are 16 wide
    before, behind = tf.constant([[5.0]]), tf.constant([[5.0]])

    @tf.function
    def means():
        return extent_means(rows, before, behind, tf.ones((1, 1)), tf.ones((1, 1)))

    assert float(means()[0, 0, 0]) == 2064  # 2,057, rounded once; term by term it stays 2,048


@pytest.mark.parametrize("whole_error", [False, True])
@pytest.mark.parametrize("graph", [False, True])
def test_mean_and_gradient(whole_error, graph):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 6, 4)).astype(np.float32)
    weights = rng.integers(0, 2, (3, 5, 6)).astype(np.float32)
    weights[1, 2] = 0  # an empty window
    upstream = rng.normal(size=(3, 5, 4)).astype(np.float32)

    def run(rows, weights):
        with tf.GradientTape() as tape:
            tape.watch(rows)
            no_terms, powers = tf.zeros((3, 5)), tf.constant([-1.0, whole_error - 1.0, 0.0])
            _, scale, gradient_scale, _ = sum_over_weights(weights, no_terms, powers)
            means = weight_means(rows, weights, scale, gradient_scale)
        return means, tape.gradient(means, rows, tf.constant(upstream))

    means, gradient = (tf.function(run) if graph else run)(*map(tf.constant, (rows, weights)))
    expected_means, expected_gradient = np.zeros((3, 5, 4)), np.zeros((3, 6, 4))
    for block in range(3):
        for centre in range(5):
            window = np.flatnonzero(weights[block, centre])
            if not len(window):
                continue
            expected_means[block, centre] = rows[block, window].mean(0)
            share = 1.0 if whole_error else 1 / len(window)
            for token in window:
                expected_gradient[block, token] += share * upstream[block, centre]
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
        ours = tf.reduce_sum(
            tf.sin(weight_means(rows, weights, 1 / count[..., 0], 1 / count[..., 0]))
        )
    np.testing.assert_allclose(tape.gradient(ours, rows), tape.gradient(naive, rows), atol=1e-6)


@pytest.mark.parametrize("power", [-1, 0, 1])
def test_sums_of_a_weight_matrix(power):
    rng = np.random.default_rng(2)
    weights = rng.integers(0, 2, (2, 3, 5)).astype(np.float32)
    weights[1, 2] = 0  # an empty window
    terms = rng.random((2, 3)).astype(np.float32)
    sums = tf.function(sum_over_weights)(
        tf.constant(weights), tf.constant(terms), tf.constant([-1, 0, power], tf.float32)
    )
    sizes = weights.sum(-1)
    at_least_one = np.maximum(sizes, 1)  # an empty window adds nothing to any token
    np.testing.assert_array_equal(sums[0], sizes)
    np.testing.assert_allclose(sums[1], (sizes > 0) / at_least_one, rtol=1e-6)
    np.testing.assert_array_equal(sums[2], np.ones_like(terms))
    expected = np.einsum("bij,bi->bj", weights, terms * at_least_one**power)
    np.testing.assert_allclose(sums[3], expected, rtol=1e-6)
