"""Sorted parts against the whole batch at once."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length
from kerasw2v.ops.parts import in_sorted_parts

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(0, 9, 130)
SCALES = RNG.normal(size=130).astype(np.float32)
TERMS = tf.constant(
    np.where(np.arange(8) < LENGTHS[:, None], RNG.normal(size=(130, 8)), 0), tf.float32
)


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("number", [128, 130, 127], ids=["parts", "odd", "few"])
def test_parts_give_what_the_whole_gives(wrap, number):
    table, calls = tf.Variable([1.5, -0.5, 2.0]), []
    upstream = RNG.normal(size=(number, 3)).astype(np.float32)

    def function(length, scales, terms):
        calls.append(scales.shape[0])
        return table * (scales * tf.reduce_sum(terms[:, :length], axis=1))[:, None]

    @wrap
    def run():
        with tf.GradientTape() as tape:
            result = in_sorted_parts(function, LENGTHS[:number], SCALES[:number], TERMS[:number])
            loss = tf.reduce_sum(upstream * result)
        return result, tape.gradient(loss, table)

    result, of_table = run()
    assert calls == {128: [16] * 8, 130: [17, 17] + [16] * 6, 127: [127]}[number]
    plain = (SCALES * TERMS.numpy().sum(axis=1))[:number, None]
    np.testing.assert_allclose(result, table.numpy() * plain, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_table, (upstream * plain).sum(axis=0), rtol=1e-4)


def test_blocks_of_a_part_are_similar_in_length():
    longest, padded = [], []

    def function(length, lengths):
        longest.append(int(tf.reduce_max(lengths)))
        padded.append(int(length))
        return tf.zeros(lengths.shape[0])

    in_sorted_parts(function, LENGTHS[:128], LENGTHS[:128])
    assert longest == [np.sort(LENGTHS[:128])[16 * part + 15] for part in range(8)]
    assert padded == [int(bucketed_length(tf.constant(length))) for length in longest]
