"""Sorted parts against the whole batch at once."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.sorted_parts import in_sorted_parts

RNG = np.random.default_rng(0)
SIZES = RNG.integers(0, 9, 64)
BLOCKS = RNG.normal(size=(64, 3, 2)).astype(np.float32)
SCALES = RNG.normal(size=64).astype(np.float32)
NODES = tf.RaggedTensor.from_row_lengths(RNG.normal(size=SIZES.sum()).astype(np.float32), SIZES)


def scaled_sums(table, calls):
    """A function of blocks that pads: `table * scale * sum(block, axis=-1) * sum(nodes)`."""

    def function(blocks, scales, nodes):
        calls.append(blocks.shape[0])
        factors = scales * tf.reduce_sum(nodes.to_tensor(), axis=1)
        return table * factors[:, None] * tf.reduce_sum(blocks, axis=-1)

    return function


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("number", [64, 63, 60], ids=["parts", "odd", "few"])
def test_parts_give_what_the_whole_gives(wrap, number):
    table, calls = tf.Variable(1.5), []
    function = scaled_sums(table, calls)

    @wrap
    def run():
        blocks = tf.constant(BLOCKS[:number])
        with tf.GradientTape() as tape:
            tape.watch(blocks)
            result = in_sorted_parts(
                function, SIZES[:number], blocks, SCALES[:number], NODES[:number]
            )
            loss = tf.reduce_sum(result * result)
        return [result, *tape.gradient(loss, [blocks, table])]

    result, of_blocks, of_table = run()
    assert calls == ([16] * 4 if number == 64 else [number])
    sums = np.array([row.numpy().sum() for row in NODES])
    factors = (SCALES * sums)[:number, None]
    plain = factors * BLOCKS[:number].sum(axis=-1)
    np.testing.assert_allclose(result, 1.5 * plain, rtol=1e-4, atol=1e-5)
    expected = np.repeat((2 * 1.5**2 * plain * factors)[..., None], 2, axis=-1)
    np.testing.assert_allclose(of_blocks, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_table, 2 * 1.5 * (plain**2).sum(), rtol=1e-4)


def test_blocks_of_a_part_are_alike_in_size():
    longest = []

    def function(blocks, nodes):
        longest.append(nodes.to_tensor().shape[1])
        return blocks

    in_sorted_parts(function, SIZES, tf.constant(BLOCKS), NODES)
    assert longest == [np.sort(SIZES)[16 * part + 15] for part in range(4)]
