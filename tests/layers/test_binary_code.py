"""BinaryCode against NumPy in float64: its bits, its classes and their products."""

import re

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from kerasw2v.layers import FullSoftmax
from kerasw2v.layers.binary_code import BinaryCode
from kerasw2v.ops import viterbi
from kerasw2v.ops.row_gradients import as_slices, record_rows

V, DIM = 11, 4
VARIANTS = {
    "plain": {},
    "cross-entropy": {"loss": "cross_entropy"},
    "without bias": {"use_bias": False},
    "hybrid": {"num_frequent": 4},
    "error-correcting": {"code_memory": 2},
    "hybrid, error-correcting": {"num_frequent": 3, "code_memory": 6, "loss": "cross_entropy"},
    "hybrid, one coded word": {"num_frequent": V - 1, "use_bias": False},
}
TAPS = {0: [[0]], 2: [[0, 2], [0, 1, 2]], 6: [[0, 1, 2, 3, 6], [0, 2, 3, 5, 6]]}

each_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())


@pytest.fixture(autouse=True)
def op_by_op(monkeypatch):
    """Runs the decoder without tracing it, which takes a second for each code."""
    monkeypatch.setattr(
        viterbi, "_compiled", lambda function, *code: lambda *rows: function(*rows, *code)
    )


def make(**kwargs):
    layer = BinaryCode(V, **kwargs)
    layer.build((None, DIM))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def blocks(seed=1):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(2, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (2, 5)).astype(np.int32)
    weights = rng.integers(0, 3, (2, 3, 5)).astype(np.float32)
    weights[0, 1] = 0
    return hidden, candidates, weights


class ByNumpy:
    """The layer's model: classes, and bits of codes, each a dense layer of its own."""

    def __init__(self, layer):
        arrays = [np.float64(weight.numpy()) for weight in layer.trainable_weights]
        if not layer.use_bias:
            arrays = [np.column_stack([array, np.zeros(len(array))]) for array in arrays]
        self.bits, self.head = arrays[0], arrays[1] if layer.num_frequent else None
        self.frequent, self.loss, self.use_bias = layer.num_frequent, layer.loss, layer.use_bias
        words = V - layer.num_frequent
        length = max(1, int(np.ceil(np.log2(words))))
        self.codes = np.array([self._code(w, length, layer.code_memory) for w in range(words)])
        assert self.codes.shape[1] == len(self.bits)

    def _code(self, number, length, memory):
        digits = [number >> place & 1 for place in range(length)] + [0] * memory
        return [
            sum(digits[step - ago] for ago in taps if ago <= step) % 2
            for step in range(length + memory)
            for taps in TAPS[memory]
        ]

    def pair(self, hidden, target):
        """Returns the loss of a pair, the slopes of classes and bits, and their masses."""
        state = np.append(hidden, 1)
        loss, head_slope, head_mass = 0.0, None, None
        if self.frequent:
            log_p = log_softmax(self.head @ state)
            right = np.arange(self.frequent + 1) == min(target, self.frequent)
            loss = -log_p[right][0]
            head_slope, head_mass = np.exp(log_p) - right, 4 * np.exp(log_p) + right
        if target < self.frequent:
            return loss, head_slope, np.zeros(len(self.bits)), head_mass, np.zeros(len(self.bits))
        code = self.codes[target - self.frequent]
        q = 1 / (1 + np.exp(-self.bits @ state))
        if self.loss == "squared":
            loss += ((q - code) ** 2).sum()
            slope = 2 * (q - code) * q * (1 - q)
        else:
            loss -= (code * np.log(q) + (1 - code) * np.log(1 - q)).sum()
            slope = q - code
        return loss, head_slope, slope, head_mass, np.ones(len(self.bits))

    def __call__(self, hidden, candidates, weights):
        """Returns losses, gradients of hidden, bits and head, masses of bits and head."""
        losses, of_hidden = np.zeros(weights.shape[:2]), np.zeros(hidden.shape)
        tables = [self.bits] if self.head is None else [self.bits, self.head]
        gradients = [np.zeros_like(table) for table in tables]
        masses = [np.zeros(len(table)) for table in tables]
        for b, i, c in np.ndindex(weights.shape):
            loss, head_slope, slope, head_mass, mass = self.pair(hidden[b, i], candidates[b, c])
            losses[b, i] += weights[b, i, c] * loss
            both = [(slope, mass), (head_slope, head_mass)][: len(tables)]
            for place, (row_slope, row_mass) in enumerate(both):
                gradients[place] += weights[b, i, c] * np.outer(row_slope, [*hidden[b, i], 1])
                # A softmax term curves with the square of its hidden vector, the bias included.
                square = hidden[b, i] @ hidden[b, i] + self.use_bias
                terms = max(1, square) if place else 1
                masses[place] += weights[b, i, c] * terms * row_mass
                of_hidden[b, i] += weights[b, i, c] * (row_slope @ tables[place])[:-1]
        return losses, of_hidden, gradients, masses

    def log_probs(self, hidden):
        states = np.column_stack([hidden, np.ones(len(hidden))])
        scores = states @ self.bits.T
        by_bit = self.codes[None] * -np.logaddexp(0, -scores)[:, None]
        by_bit = by_bit + (1 - self.codes[None]) * -np.logaddexp(0, scores)[:, None]
        coded = log_softmax(by_bit.sum(-1), axis=1)
        if self.head is None:
            return coded
        classes = log_softmax(states @ self.head.T, axis=1)
        return np.column_stack([classes[:, :-1], coded + classes[:, -1:]])


@each_variant
@pytest.mark.parametrize("graph", [False, True])
def test_block_form(variant, graph):
    layer = make(**variant)
    arrays = blocks()

    def run(hidden):
        with tf.GradientTape() as tape, record_rows(tape) as record:
            tape.watch(hidden)
            losses = layer(hidden, *map(tf.constant, arrays[1:]))
        gradients = record.gradients(losses, [hidden, *layer.trainable_weights])
        of_hidden, *gradients = map(as_slices, gradients)
        masses = []
        for weight in layer.trainable_weights:
            masses.append(tf.zeros(weight.shape[0]))
            for ids, mass in record.masses(weight):
                ids = tf.range(weight.shape[0]) if ids is None else ids
                masses[-1] += tf.math.unsorted_segment_sum(mass, ids, weight.shape[0])
        return losses, of_hidden, gradients, masses

    losses, of_hidden, gradients, masses = (tf.function(run) if graph else run)(
        tf.constant(arrays[0])
    )
    expected = ByNumpy(layer)(*arrays)
    close = {"rtol": 1e-5, "atol": 2e-5}  # float32, sums of up to 30 terms of size 1 to 20
    np.testing.assert_allclose(losses, expected[0], **close)
    np.testing.assert_allclose(of_hidden, expected[1], **close)
    for gradient, value in zip(gradients, expected[2], strict=True):
        np.testing.assert_allclose(gradient, value[:, : gradient.shape[1]], **close)
    for mass, value in zip(masses, expected[3], strict=True):
        np.testing.assert_allclose(mass, value, **close)


@each_variant
def test_pair_form(variant):
    layer = make(**variant)
    hidden, targets = np.random.default_rng(2).normal(size=(V, DIM)), np.arange(V)
    hidden = hidden.astype(np.float32)
    expected = [ByNumpy(layer).pair(*pair)[0] for pair in zip(hidden, targets, strict=True)]
    np.testing.assert_allclose(layer(hidden, targets), expected, rtol=1e-5)
    weights = np.linspace(0, 2, V).astype(np.float32)
    np.testing.assert_allclose(layer(hidden, targets, weights), expected * weights, rtol=1e-5)
    assert layer(hidden[:0], targets[:0]).shape == (0,)


@each_variant
def test_probabilities(variant):
    layer = make(**variant)
    hidden = np.random.default_rng(2).normal(size=(7, DIM))  # float64 does too
    expected = ByNumpy(layer).log_probs(np.float32(hidden))
    np.testing.assert_allclose(layer.log_probs(hidden), expected, rtol=1e-5, atol=1e-5)
    for k in (1, 4, V):
        ids, scores = layer.top_k(hidden, k)
        np.testing.assert_array_equal(ids, np.argsort(-expected, axis=1)[:, :k])
        np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :k], rtol=1e-5, atol=1e-5)


def test_words_that_are_not_frequent_are_others():
    layer = make(num_frequent=4)
    hidden = np.random.default_rng(2).normal(size=(V, DIM)).astype(np.float32)
    layer.head.embeddings.assign(np.zeros((5, DIM + 1)))
    layer.bits.assign(np.zeros((3, DIM + 1)))
    # Of five equal classes the right one, and three bits that are off by a half.
    np.testing.assert_allclose(
        layer(hidden, np.arange(V)), np.log(5) + 0.75 * (np.arange(V) >= 4), rtol=1e-6
    )
    probabilities = np.exp(layer.log_probs(hidden))
    np.testing.assert_allclose(probabilities[:, :4], 1 / 5, rtol=1e-5)
    np.testing.assert_allclose(probabilities[:, 4:], 1 / 5 / 7, rtol=1e-5)
    np.testing.assert_array_equal(layer.target_mass(tf.range(V)), [4] * 4 + [7] * 7)
    assert make(code_memory=2).target_mass(tf.range(V)) == 12


def test_frequent_words_leave_the_bits_alone():
    layer = make(num_frequent=4)
    with tf.GradientTape() as tape:
        losses = layer(np.ones((4, DIM), np.float32), np.arange(4))
    np.testing.assert_array_equal(tape.gradient(losses, layer.bits.value), np.zeros((3, DIM + 1)))


def test_wrong_bits_are_corrected():
    # Of 46 logits any four have the wrong sign: plain bits would give another word each time.
    layer = BinaryCode(84_133, code_memory=6, use_bias=False)
    rng = np.random.default_rng(3)
    words = rng.integers(0, 84_133, 300)
    layer.build((None, 46))
    layer.bits.assign(np.eye(46))
    codes = tf.cast(layer._codes(tf.constant(words, tf.int32))[1], tf.float32).numpy()
    logits = 2 * codes - 1
    for row in logits:
        row[rng.choice(46, 4, replace=False)] *= -1
    np.testing.assert_array_equal(layer.top_k(logits, 1)[0][:, 0], words)


@each_variant
def test_compiled_by_xla(variant):
    layer = make(**variant)
    assert layer.supports_jit
    arrays = [tf.constant(array) for array in blocks()]
    variables = [weight.value for weight in layer.trainable_weights]

    def run():
        with tf.GradientTape() as tape:
            losses = layer(*arrays)
        return [losses, *tape.gradient(losses, variables)]

    for result, value in zip(tf.function(run, jit_compile=True)(), run(), strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)


def test_unknown_numbers_of_rows():
    layer = make(num_frequent=4)
    hidden, candidates, weights = blocks()
    unknown = tf.function(
        layer,
        input_signature=[
            tf.TensorSpec((None, None, DIM)),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None, None)),
        ],
    )
    expected = layer(hidden, candidates, weights)
    np.testing.assert_allclose(unknown(hidden, candidates, weights), expected, rtol=1e-5)


def test_parameters():
    full, layer = FullSoftmax(84_133), BinaryCode(84_133, code_memory=6)
    for each in (full, layer):
        each.build((None, 100))
    assert layer.count_params() == 46 * 101
    assert layer.count_params() * 1000 < full.count_params()
    assert not layer.non_trainable_weights  # and no table of codes


def test_losses_start_even():
    hidden = np.ones((2, DIM), np.float32)
    for loss, each in [("squared", 0.25), ("cross_entropy", np.log(2))]:
        layer = BinaryCode(V, loss=loss)
        np.testing.assert_allclose(layer(hidden, np.array([0, 10])), 4 * each, rtol=1e-6)
    np.testing.assert_allclose(layer.log_probs(hidden), -np.log(V), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (
            {"num_frequent": V},
            ValueError,
            "smaller than the vocabulary. Received: num_frequent=11,",
        ),
        ({"num_frequent": -1}, ValueError, "`num_frequent` must be at least 0. Received"),
        ({"num_frequent": 2.5}, TypeError, "`num_frequent` must be an integer. Received"),
        ({"code_memory": 1}, ValueError, "`code_memory` must be one of 0, 2, 3, 4, 5, 6. Received"),
        ({"code_memory": 7}, ValueError, "`code_memory` must be one of 0, 2, 3, 4, 5, 6. Received"),
        ({"loss": "hinge"}, ValueError, "`loss` must be one of 'squared', 'cross_entropy'. Rec"),
        ({"counts": []}, ValueError, "`counts` must be a vector with one entry per word."),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        BinaryCode(**{"counts": V, **arguments})
