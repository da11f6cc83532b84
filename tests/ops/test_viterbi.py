"""The decoder against an enumeration of all words, in float64."""

import math
from itertools import combinations

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from kerasw2v.ops import viterbi
from kerasw2v.ops.codes import Code, encode
from kerasw2v.ops.viterbi import _top_words, top_words, word_log_probs


@pytest.fixture(autouse=True)
def op_by_op(monkeypatch):
    """Runs the decoder without tracing it, which takes a second for each code."""
    monkeypatch.setattr(
        viterbi, "_compiled", lambda function, *code: lambda *rows: function(*rows, *code)
    )


MEMORIES = [0, 2, 3, 4, 5, 6]
FREE_DISTANCES = {2: 5, 3: 6, 4: 7, 5: 8, 6: 10}


def codes_of(code):
    return encode(tf.range(code.num_words), code).numpy().astype(np.float64)


def by_enumeration(log_odds, log_mass, code):
    """Log-probabilities of all words: sums over bits, normalised over the words."""
    log_odds, codes = np.float64(log_odds), codes_of(code)
    log_one, log_zero = -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)
    scores = log_one @ codes.T + log_zero @ (1 - codes).T
    return scores - logsumexp(scores, axis=1, keepdims=True) + log_mass[:, None]


def random_rows(code, rows=6, scale=2.0, seed=0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, scale, (rows, code.num_bits)).astype(np.float32)
    return log_odds, rng.uniform(-2, 0, rows).astype(np.float32)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("num_words", [1, 3, 16, 33, 100])
def test_log_probs_are_those_of_the_enumeration(memory, num_words):
    code = Code(num_words, memory)
    log_odds, log_mass = random_rows(code)
    log_probs = word_log_probs(log_odds, log_mass, code)
    assert log_probs.shape == (6, num_words)
    np.testing.assert_allclose(
        log_probs, by_enumeration(log_odds, log_mass, code), rtol=1e-5, atol=1e-4
    )
    total = logsumexp(np.float64(log_probs), axis=1)
    np.testing.assert_allclose(total, log_mass, atol=1e-5)  # the normaliser is exact


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize(
    ("num_words", "k"),
    [(1, 1), (3, 1), (11, 11), (16, 16), (100, 30), (129, 7)],
)
def test_top_words_are_those_of_the_log_probs(memory, num_words, k):
    code = Code(num_words, memory)
    log_odds, log_mass = random_rows(code, rows=20, seed=k)
    ids, scores = top_words(log_odds, log_mass, code, k)
    assert (ids.dtype, scores.dtype) == (tf.int32, tf.float32)
    log_probs = word_log_probs(log_odds, log_mass, code).numpy()
    np.testing.assert_array_equal(np.take_along_axis(log_probs, ids.numpy(), 1), scores)
    np.testing.assert_array_equal(scores, -np.sort(-log_probs, axis=1)[:, :k])
    exact = by_enumeration(log_odds, log_mass, code)
    # Random scores of up to 129 words are further apart than float32 errs.
    np.testing.assert_array_equal(ids, np.argsort(-exact, axis=1)[:, :k])


def test_codes_that_are_no_word_are_never_decoded():
    # All signs say one: the best of 65 words gives up the highest bit, or all the others.
    code = Code(65)
    log_odds = np.array([[5, 5, 5, 5, 5, 5, 4], [9, 9, 9, 9, 9, 9, 60]], np.float32)
    ids, _ = top_words(log_odds, np.zeros(2, np.float32), code, 1)
    exact = by_enumeration(log_odds, np.zeros(2), code)
    assert ids[:, 0].numpy().tolist() == exact.argmax(1).tolist() == [63, 64]


@pytest.mark.parametrize("memory", [0, 6])
def test_certain_bits_stay_finite(memory):
    code = Code(84_133, memory)
    words = np.array([0, 1, 65_536, 84_132])
    bits = encode(tf.constant(words, tf.int32), code).numpy()
    for scale in (1e2, 1e4):
        ids, scores = top_words(scale * (2 * bits - 1), np.zeros(4, np.float32), code, 2)
        assert ids[:, 0].numpy().tolist() == words.tolist()
        np.testing.assert_allclose(scores[:, 0], 0, atol=1e-5)
        # The next word differs in one bit, or, by the free distance, in ten or more.
        assert (scores[:, 1].numpy() <= -scale * (10 if memory else 1) * 0.999).all()
        # Against all signs nothing is certain, but numbers are.
        _, scores = top_words(scale * (1 - 2 * bits), np.zeros(4, np.float32), code, 2)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("memory", [2, 3, 4, 5, 6])
def test_errors_up_to_the_radius_are_corrected(memory):
    radius = (FREE_DISTANCES[memory] - 1) // 2
    code = Code(2**4, memory)
    patterns = [
        flipped
        for errors in range(radius + 1)
        for flipped in combinations(range(code.num_bits), errors)
    ]
    words = np.random.default_rng(memory).integers(0, 2**4, len(patterns))
    words[: 2**4] = np.arange(2**4)
    received = 2 * codes_of(code)[words] - 1
    for row, flipped in zip(received, patterns, strict=True):
        row[list(flipped)] *= -1
    received = received.astype(np.float32)
    ids, _ = top_words(received, np.zeros(len(words), np.float32), code, 1)
    np.testing.assert_array_equal(ids[:, 0], words)


@pytest.mark.parametrize("memory", [2, 3, 4, 5, 6])
def test_the_free_distance(memory):
    # Codes are linear, so the distance of two is the weight of a third. One error more than the
    # radius can be too many: the bound of the test above is sharp.
    codes = codes_of(Code(2**10, memory))
    assert codes[1:].sum(1).min() == FREE_DISTANCES[memory]
    light = codes[1:][codes[1:].sum(1) == FREE_DISTANCES[memory]][:1]
    flips = np.flatnonzero(light[0])[: FREE_DISTANCES[memory] // 2 + 1]
    received = -np.ones_like(light)
    received[0, flips] = 1
    ids, _ = top_words(received.astype(np.float32), np.zeros(1, np.float32), Code(2**10, memory), 2)
    assert (ids.numpy()[0] != 0).any()
    if FREE_DISTANCES[memory] % 2:
        assert ids[0, 0] != 0


def test_any_number_of_rows_and_compiled(monkeypatch):
    monkeypatch.undo()  # traced, as everywhere but in these tests
    code = Code(100, 2)
    for rows in (0, 1, 5):
        log_odds, log_mass = random_rows(code, rows)
        ids, scores = top_words(log_odds, log_mass, code, 3)
        assert ids.shape == scores.shape == (rows, 3)
        log_probs = word_log_probs(log_odds, log_mass, code)
        assert log_probs.shape == (rows, 100)

    @tf.function(jit_compile=True)
    def compiled(log_odds, log_mass):
        return word_log_probs(log_odds, log_mass, code), *top_words(log_odds, log_mass, code, 3)

    for result, value in zip(compiled(log_odds, log_mass), (log_probs, ids, scores), strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-5)


def test_decoding_does_not_grow_with_the_vocabulary():
    def sizes(num_words):
        code = Code(num_words, 4)
        rows = tf.zeros((1, code.num_bits)), tf.zeros(1)
        decode = tf.function(lambda log_odds, mass: _top_words(log_odds, mass, code, 10))
        graph = decode.get_concrete_function(*rows).graph
        shapes = [tensor.shape for op in graph.get_operations() for tensor in op.outputs]
        return [math.prod(size or 1 for size in shape) for shape in shapes if shape.rank]

    # 16 states of two kinds with two bits each, 80 beginnings, the scores of all bits: no more.
    small, large = sizes(500), sizes(100_000)
    assert max(*small, *large) < 200
    assert len(large) < 2.2 * len(small)  # 17 bits for 9


@pytest.mark.parametrize("memory", [0, 6])
def test_gradients_of_log_probs(memory):
    code = Code(11, memory)
    log_odds, log_mass = random_rows(code, rows=2)
    variable = tf.Variable(log_odds)
    with tf.GradientTape() as tape:
        chosen = word_log_probs(variable, tf.constant(log_mass), code)[:, 3]
    gradient = tape.gradient(chosen, variable)
    codes = codes_of(code)
    probabilities = np.exp(by_enumeration(log_odds, np.zeros(2), code))
    np.testing.assert_allclose(gradient, codes[3] - probabilities @ codes, atol=1e-5)
