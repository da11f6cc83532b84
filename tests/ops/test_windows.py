"""Blocks and windows against a naive double loop."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.windows import (
    PADDING,
    decode_blocks,
    default_block_length,
    split_blocks,
    sub_block_length,
    sufficient_halo,
    window_weights,
)


def random_blocks(seed, batch, width):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 9, (batch, width))
    return np.where(rng.random((batch, width)) < 0.25, ~ids, ids).astype(np.int32)


def naive_weights(blocks, reach, window):
    """Two words pair if no sentence starts between them and they are near enough."""
    batch, width = blocks.shape
    weights = np.zeros((batch, width - 2 * window, width), np.float32)
    for row, block in enumerate(blocks):
        for i in range(width - 2 * window):
            centre = i + window
            for j in range(width):
                low, high = sorted((centre, j))
                joined = (block[low + 1 : high + 1] >= 0).all()
                near = 0 < high - low <= reach[row, i]
                weights[row, i, j] = joined and near
    return weights


def test_decoding_splits_ids_and_sentences():
    blocks = np.array([[3, ~0, 5, ~7, ~2, 1]], np.int32)
    ids, sentences = decode_blocks(tf.constant(blocks))
    assert ids.numpy().tolist() == [[3, 0, 5, 7, 2, 1]]
    same = sentences.numpy()[0][:, None] == sentences.numpy()[0]
    groups = [0, 1, 1, 2, 3, 3]
    assert (same == np.equal.outer(groups, groups)).all()


@pytest.mark.parametrize(("window", "length"), [(1, 1), (1, 8), (2, 5), (5, 3), (5, 16)])
@pytest.mark.parametrize("shrink", [False, True])
def test_pairs_are_those_of_a_double_loop(window, length, shrink):
    blocks = random_blocks(window * length, 7, length + 2 * window)
    reach = np.full((7, length), window, np.int32)
    if shrink:
        reach = np.random.default_rng(0).integers(0, window + 1, (7, length)).astype(np.int32)
    expected = naive_weights(blocks, reach, window)

    def weights(blocks):
        _, sentences = decode_blocks(blocks)
        return window_weights(sentences, tf.constant(reach) if shrink else None, window)

    assert expected.sum() > 0 or window * length == 1
    for run in (weights, tf.function(weights)):  # op by op, and fused
        assert (run(tf.constant(blocks)).numpy() == expected).all()
    unknown_batch = tf.TensorSpec((None, blocks.shape[1]), tf.int32)
    dynamic = tf.function(weights, input_signature=[unknown_batch])
    assert (dynamic(tf.constant(blocks)).numpy() == expected).all()


def test_padding_has_no_neighbours():
    blocks = tf.constant([[PADDING, PADDING, ~4, 5, PADDING, PADDING, PADDING]], tf.int32)
    ids, sentences = decode_blocks(blocks)
    assert (ids.numpy() >= 0).all()
    pairs = np.argwhere(window_weights(sentences, None, window=2).numpy()[0])
    assert pairs.tolist() == [[0, 3], [1, 2]]


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(("length", "shorter"), [(8, 4), (9, 3), (8, 8), (8, 3)])
def test_sub_blocks_have_the_same_pairs(length, shorter, graph):
    window = 2
    ids, sentences = decode_blocks(tf.constant(random_blocks(5, 6, length + 2 * window)))
    weights = window_weights(sentences, None, window)
    numbers = tf.reshape(tf.range(tf.size(ids)), ids.shape)  # tells the tokens apart

    def pairs(ids, weights):
        block, centre, context = np.argwhere(weights.numpy()).T
        ids = ids.numpy()
        return sorted(zip(ids[block, centre + window], ids[block, context], strict=True))

    def split(ids, weights):
        return split_blocks(ids, weights, shorter)

    words, transposed = (tf.function(split) if graph else split)(numbers, weights)
    sub_blocks, width = 6 * -(-length // shorter), shorter + 2 * window
    assert words.shape == (sub_blocks, width)
    assert transposed.shape == (sub_blocks, width, shorter)
    assert pairs(words, tf.transpose(transposed, [0, 2, 1])) == pairs(numbers, weights)


@pytest.mark.parametrize("window", [1, 2, 5, 6, 7, 10, 50])
def test_sub_blocks_fill_registers(window):
    length = sub_block_length(window)
    assert 4 <= length < 20
    assert (length + 2 * window) % 16 == 0


@pytest.mark.parametrize("window", [1, 2, 5, 8, 9, 10, 20, 100])
def test_default_blocks_are_not_mostly_halo(window):
    assert default_block_length(window) >= min(2 * window, 256)


@pytest.mark.parametrize("halo", [200, 3000, 20_000])
def test_memory_of_a_block_grows_with_its_halo_and_not_with_its_square(halo):
    length = default_block_length(halo)
    assert length == 256
    assert length * (length + 2 * halo) < 1000 * halo


@pytest.mark.parametrize("longest", [1, 2, 17, 18, 40, 5000])
@pytest.mark.parametrize("window", [1, 5, 16, 17, 30, 3000])
def test_a_sufficient_halo_holds_the_window_or_the_sentence(window, longest):
    halo = sufficient_halo(window, longest)
    assert min(window, longest - 1) <= halo <= window
    assert halo <= max(16, 2 * longest)
