"""Codes against a shift register written out bit by bit, and the loss of their bits."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.codes import GENERATORS, Code, bit_loss, encode

TAPS = {  # of each output bit: how many steps ago the bits it adds were read
    0: [[0]],
    2: [[0, 2], [0, 1, 2]],
    3: [[0, 1, 3], [0, 1, 2, 3]],
    4: [[0, 3, 4], [0, 1, 2, 4]],
    5: [[0, 2, 4, 5], [0, 1, 2, 3, 5]],
    6: [[0, 1, 2, 3, 6], [0, 2, 3, 5, 6]],
}
MEMORIES = sorted(TAPS)


def shift_register(number, id_bits, memory):
    """The code of a number, lowest bit first, by pushing its bits through a register."""
    register, code = [0] * (memory + 1), []
    for step in range(id_bits + memory):
        bit = number >> step & 1 if step < id_bits else 0
        register = [bit, *register[:-1]]
        code += [sum(register[ago] for ago in taps) % 2 for taps in TAPS[memory]]
    return code


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("num_words", [1, 2, 3, 11, 64, 65, 1000])
def test_codes_are_those_of_a_shift_register(memory, num_words):
    code = Code(num_words, memory)
    id_bits = len(bin(max(1, num_words - 1))) - 2
    assert code.id_bits == id_bits
    bits = encode(tf.range(num_words), code)
    assert bits.dtype == tf.float32
    assert bits.shape == (num_words, code.num_bits)
    np.testing.assert_array_equal(
        bits, [shift_register(word, id_bits, memory) for word in range(num_words)]
    )


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (2, "0011010001000111"),
        (3, "001111100010000111"),
        (4, "00110110110111101011"),
        (5, "0011010000101101101011"),
        (6, "001110000100000010110111"),
    ],
)
def test_codes_are_nmtkits(memory, expected):
    # What NMTKit, the paper's own program, has for 010101, the first bit the lowest.
    bits = encode(tf.constant([0b101010]), Code(64, memory))[0]
    assert "".join(str(int(bit)) for bit in bits) == expected


@pytest.mark.parametrize(
    ("num_words", "plain", "with_memory_6"),
    [(25_000, 15, 42), (65_536, 16, 44), (71_290, 17, 46), (84_133, 17, 46), (1_000_000, 20, 52)],
)
def test_sizes(num_words, plain, with_memory_6):
    assert Code(num_words, 0).num_bits == plain
    assert Code(num_words, 6).num_bits == with_memory_6


def test_large_ids():
    num_words = 2**31
    ids = np.array([0, 1, 2**30, 2**31 - 1], np.int32)
    for memory in MEMORIES:
        bits = encode(tf.constant(ids), Code(num_words, memory))
        np.testing.assert_array_equal(bits, [shift_register(int(w), 31, memory) for w in ids])


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_trellis_puts_out_the_codes(memory):
    code = Code(200, memory)
    for word in (0, 1, 77, 128, 199):
        put_out = []
        for step in range(code.steps):
            content = (word & (2 << step) - 1) >> code.oldest(step)
            symbol = int(code.symbols(step)[content])
            put_out += [symbol >> output & 1 for output in range(code.outputs)]
        assert put_out == shift_register(word, 8, memory)


def test_states():
    code = Code(32, memory=2)
    assert [code.states(step) for step in range(code.steps + 1)] == [1, 2, 4, 4, 4, 4, 2, 1]
    assert set(GENERATORS) == set(TAPS)


def bits_by_numpy(kind, logits, zeros, ones):
    """The loss of each row, and its derivatives by the logits, in float64."""
    q = 1 / (1 + np.exp(-np.float64(logits)))
    if kind == "squared":
        loss = zeros * q**2 + ones * (1 - q) ** 2
        slope = (2 * zeros * q - 2 * ones * (1 - q)) * q * (1 - q)
    else:
        loss = -zeros * np.log(1 - q) - ones * np.log(q)
        slope = zeros * q - ones * (1 - q)
    return loss.sum(-1), slope


@pytest.mark.parametrize("kind", ["squared", "cross_entropy"])
@pytest.mark.parametrize("graph", [False, True])
def test_bit_loss(kind, graph):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (5, 7)).astype(np.float32)
    zeros, ones = rng.integers(0, 4, (2, 5, 7)).astype(np.float32)
    factors = rng.normal(size=5).astype(np.float32)

    def run(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = bit_loss(logits, tf.constant(zeros), tf.constant(ones), kind)
            total = tf.reduce_sum(loss * factors)
        return loss, tape.gradient(total, logits)

    loss, gradient = (tf.function(run) if graph else run)(tf.constant(logits))
    expected, slope = bits_by_numpy(kind, logits, zeros, ones)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, slope * factors[:, None], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["squared", "cross_entropy"])
def test_bit_loss_at_extremes(kind):
    logits = tf.constant([[200.0, -200.0, 30.0, -30.0]])
    for right, wrong in itertools.permutations([0.0, 3.0]):
        zeros, ones = tf.constant([[wrong, right] * 2]), tf.constant([[right, wrong] * 2])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = bit_loss(logits, zeros, ones, kind)
        each = 3 * (4 if kind == "squared" else 460)
        assert float(loss[0]) == pytest.approx(each if wrong else 0, abs=1e-5)
        gradient = tape.gradient(loss, logits).numpy()
        expected = 3 if wrong and kind == "cross_entropy" else 0  # the square has saturated
        np.testing.assert_allclose(np.abs(gradient), expected, atol=1e-5)
