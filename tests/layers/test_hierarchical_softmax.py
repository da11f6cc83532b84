"""HierarchicalSoftmax against a plain walk down each word's path."""

import re

import numpy as np
import pytest
import tensorflow as tf
from gensim.models import Word2Vec
from scipy.special import expit

from kerasw2v import SkipGram, Vocabulary, block_dataset
from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.ops.huffman import huffman_path, huffman_tree
from kerasw2v.ops.row_gradients import as_slices, record_rows
from kerasw2v.optimizers import RowSGD

COUNTS = np.array([90, 50, 40, 30, 20, 10, 8, 5, 3, 2, 1, 1, 1])
V, DIM = len(COUNTS), 4
each_top = pytest.mark.parametrize("dense_rows", [1, 3, 64])


def make(dense_rows=64, counts=COUNTS):
    layer = HierarchicalSoftmax(counts, dense_rows=dense_rows)
    layer.build((None, DIM))
    layer.embeddings.assign(np.random.default_rng(0).normal(size=layer.embeddings.shape))
    return layer


def blocks(seed=1, number=4):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(number, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (number, 5)).astype(np.int32)
    weights = rng.choice([0.0, 1.0, 0.5], (number, 3, 5)).astype(np.float32)
    weights[1, :, 2] = 0
    weights[2] = 0
    return hidden, candidates, weights


def by_numpy(table, hidden, candidates, weights, counts=COUNTS):
    """Losses, the gradients of their sum, and the mass of each row, one edge at a time."""
    tree = huffman_tree(counts)
    table, hidden = np.float64(table), np.float64(hidden)
    losses, of_hidden = np.zeros(weights.shape[:2]), np.zeros_like(hidden)
    of_table, mass = np.zeros_like(table), np.zeros(len(table))
    for b, i, c in np.ndindex(weights.shape):
        weight = weights[b, i, c]
        for row, code in zip(*huffman_path(*tree, candidates[b, c]), strict=True):
            score = hidden[b, i] @ table[row]
            losses[b, i] += weight * np.logaddexp(0, -(1 - 2 * int(code)) * score)
            slope = weight * (expit(score) - (1 - code))
            of_hidden[b, i] += slope * table[row]
            of_table[row] += slope * hidden[b, i]
            mass[row] += max(0.3, 0.5 * hidden[b, i] @ hidden[b, i]) * weight
    return losses, of_hidden, of_table, mass


def results(layer, hidden, *others):
    with tf.GradientTape() as tape, record_rows(tape) as record:
        tape.watch(hidden)
        losses = layer(hidden, *others)
    of_hidden, of_table = map(as_slices, record.gradients(losses, [hidden, layer.embeddings]))
    assert isinstance(of_table, tf.IndexedSlices)
    mass = sum(
        tf.math.unsorted_segment_sum(values, ids, layer.embeddings.shape[0])
        for ids, values in record.masses(layer.embeddings)
    )
    return losses, of_hidden, tf.convert_to_tensor(of_table), mass


@each_top
@pytest.mark.parametrize("mode", ["graph", "unknown rows"])
@pytest.mark.parametrize("form", ["pairs", "blocks", "blocks in sorted parts"])
def test_losses_gradients_and_masses(dense_rows, mode, form):
    layer = make(dense_rows)
    arrays = blocks(number=128 if "parts" in form else 4)
    if form == "pairs":
        arrays = (arrays[0][:, :1], arrays[1][:, :1], np.float32([[[1]], [[0]], [[2]], [[0.5]]]))
        inputs = [arrays[0][:, 0], arrays[1][:, 0], arrays[2][:, 0, 0]]
    else:
        inputs = list(arrays)

    def run(*inputs):
        return results(layer, *inputs)

    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in inputs]
    run = tf.function(run, input_signature=signature if mode == "unknown rows" else None)
    expected = by_numpy(layer.embeddings.numpy(), *arrays)
    for result, value in zip(run(*map(tf.constant, inputs)), expected, strict=True):
        # float32 sums of about 50 terms of size 1, in parts of 1,600
        np.testing.assert_allclose(np.reshape(result, value.shape), value, rtol=1e-5, atol=1e-5)


@each_top
@pytest.mark.parametrize("number", [4, 128])
def test_shared_hidden_vectors(dense_rows, number):
    layer = make(dense_rows)
    rng = np.random.default_rng(5)
    hidden = rng.normal(size=(7, DIM)).astype(np.float32)
    indices = rng.integers(0, 6, (number, 3)).astype(np.int32)  # the last one does not occur
    _, candidates, weights = blocks(number=number)

    class Shared:
        embeddings = layer.embeddings

        def __call__(self, hidden):
            return layer.shared_loss(hidden, *map(tf.constant, (indices, candidates, weights)))

    loss, *others = tf.function(lambda: results(Shared(), tf.constant(hidden)))()
    losses, of_hidden, of_table, mass = by_numpy(
        layer.embeddings.numpy(), hidden[indices], candidates, weights
    )
    np.testing.assert_allclose(loss, losses.sum(), rtol=1e-5)
    of_shared = np.zeros((7, DIM))
    np.add.at(of_shared, indices, of_hidden)
    for result, value in zip(others, (of_shared, of_table, mass), strict=True):
        # float32 sums of about 2,000 terms of size 1
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-4)


@each_top
def test_empty_batches(dense_rows):
    layer = make(dense_rows)
    losses = layer(np.zeros((0, DIM), np.float32), np.zeros(0, np.int32))
    assert losses.shape == (0,)
    shapes = ((0, 3, DIM), (0, 5), (0, 3, 5))
    losses = layer(*(np.zeros(shape, np.int32) for shape in shapes))
    assert losses.shape == (0, 3)


@pytest.mark.parametrize("size", [1, 2, 3])
@each_top
def test_tiny_vocabularies(size, dense_rows):
    layer = make(dense_rows, counts=size)
    assert layer.embeddings.shape == (max(size - 1, 1), DIM)
    hidden, targets = np.ones((size, DIM), np.float32), np.arange(size)
    log_probs = layer.log_probs(hidden).numpy()
    np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, rtol=1e-6)
    losses, of_hidden, _, _ = results(layer, tf.constant(hidden), tf.constant(targets))
    np.testing.assert_allclose(losses, -np.diag(log_probs), rtol=1e-6)
    assert of_hidden.shape == (size, DIM)
    lengths = {1: [0], 2: [1, 1], 3: [1, 2, 2]}[size]
    assert layer.target_mass(targets).numpy().tolist() == lengths


@each_top
def test_log_probs_are_the_losses(dense_rows):
    layer = make(dense_rows)
    hidden = np.random.default_rng(2).normal(size=(5, DIM)).astype(np.float32)
    log_probs = layer.log_probs(hidden).numpy()
    np.testing.assert_allclose(np.exp(np.float64(log_probs)).sum(1), 1, rtol=1e-6)
    for word in range(V):
        np.testing.assert_allclose(layer(hidden, np.full(5, word)), -log_probs[:, word], rtol=1e-5)


def test_top_k_with_many_words_that_never_occur():
    counts = np.concatenate([np.arange(1000, 0, -1), np.zeros(99_000)])
    layer = HierarchicalSoftmax(counts)
    layer.build((None, DIM))
    assert layer.target_mass(np.arange(len(counts))).numpy().max() < 40
    ids, scores = layer.top_k(np.ones((1, DIM), np.float32), 3)
    # A table of zeros: every edge has probability 1/2.
    np.testing.assert_allclose(scores, -np.log(2) * layer.target_mass(ids), rtol=1e-6)


@each_top
@pytest.mark.parametrize("scale", [50.0, 200.0])
def test_extreme_scores(dense_rows, scale):
    layer = make(dense_rows)
    layer.embeddings.assign(scale * np.sign(layer.embeddings.numpy()))
    expected = by_numpy(layer.embeddings.numpy(), *blocks())
    for result, value in zip(results(layer, *map(tf.constant, blocks())), expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-3)


def test_gensims_weights_give_gensims_probabilities():
    # All counts differ and no sum ties, so there is one Huffman tree, up to the order of edges.
    counts = [100, 47, 23, 11, 5, 2]
    sentences = [[f"w{word}"] * 2 for word, count in enumerate(counts) for _ in range(count)]
    model = Word2Vec(sentences, vector_size=DIM, min_count=1, hs=1, negative=0, seed=1, workers=1)
    layer = make(counts=counts)
    layer.embeddings.assign(model.syn1[:-1])  # gensim's last row is of no node
    tree = huffman_tree(counts)
    hidden = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    log_probs = layer.log_probs(hidden).numpy()
    for word in range(len(counts)):
        points, codes = (model.wv.get_vecattr(f"w{word}", name) for name in ("point", "code"))
        assert [part.tolist() for part in huffman_path(*tree, word)] == [
            list(points[: len(codes)]),
            list(codes),
        ]
        signs = (-1.0) ** np.int64(codes)  # as gensim's score_sg_pair
        scores = np.float64(hidden) @ model.syn1[points[: len(codes)]].T
        np.testing.assert_allclose(
            log_probs[:, word], -np.logaddexp(0, -signs * scores).sum(1), rtol=1e-5
        )


def row_gradient(layer, targets, weights=None):
    """The gradient of the layer's table: ids and values, padding (zeros for row 0) included."""
    with tf.GradientTape() as tape:
        losses = layer(tf.ones((len(targets), DIM)), tf.constant(targets), weights)
    gradient = tape.gradient(losses, layer.embeddings.value)
    return gradient.indices.numpy(), gradient.values.numpy()


def touched(layer, targets):
    """How many rows the gradient of a batch changes, and how many it names."""
    ids, values = row_gradient(layer, targets)
    return np.any(values != 0, axis=1).sum(), len(ids)


def test_a_step_touches_the_paths_and_grows_with_log_v():
    batch = np.random.default_rng(0).integers(0, 1 << 8, 32)
    layer = make(1, 1 << 8)
    assert layer.target_mass(batch).numpy().sum() == 32 * 8
    # The root once, the rest of the paths; their lengths are rounded up to multiples of 8.
    assert touched(layer, batch) == (1 + 32 * 7, 1 + 32 * 8)
    assert touched(make(1, 1 << 14), batch) == (1 + 32 * 13, 1 + 32 * 16)
    # Six levels or more are dense.
    assert touched(make(64, 1 << 14), batch)[0] <= 64 + 32 * 8


def test_a_weight_of_zero_reads_no_path():
    layer = make(1)
    ids, values = row_gradient(layer, [0, V - 1], tf.constant([1.0, 0.0]))
    changed = ids[np.any(values != 0, axis=1)]
    path = huffman_path(*huffman_tree(COUNTS), 0)[0]
    assert sorted(changed) == sorted(path)
    assert set(ids) <= {0, *path}  # padding reads row 0, and no other
    assert layer(tf.ones((2, DIM)), tf.constant([0, V - 1]), tf.constant([1.0, 0.0]))[1] == 0


def test_tables_take_forty_bytes_a_word():
    layer = make(counts=1000)
    sizes = [weight.numpy().nbytes for weight in layer.non_trainable_weights]
    assert sum(sizes) <= 40 * 1000 + 2 * 64 * 65 * 4


@each_top
@pytest.mark.parametrize("wrong", [V, -1])
def test_a_target_outside_the_vocabulary_is_named(dense_rows, wrong):
    call = tf.function(make(dense_rows))
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"= {wrong} is not in \[0, {V}\)"):
        call(tf.ones((2, DIM)), tf.constant([0, wrong]))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"counts": []}, ValueError, "`counts` must be a vector with one entry per word. Received"),
        ({"dense_rows": 0}, ValueError, "`dense_rows` must be at least 1. Received"),
        ({"dense_rows": 1.5}, TypeError, "`dense_rows` must be an integer. Received"),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        HierarchicalSoftmax(**{"counts": COUNTS, **arguments})


@pytest.mark.parametrize(("rate", "tokens"), [(0.05, 512), (0.1, 4096)])
def test_few_words_do_not_diverge(rate, tokens):
    """Two words that are always together: vectors grow, all of them at the same few nodes."""
    frequencies = 1 / np.arange(1, 11)
    frequencies /= frequencies.sum()
    ids = np.random.default_rng(0).choice(10, 20_000, p=frequencies)
    sentences = [[f"a{i}", f"b{i}", f"a{i}", f"b{i}"] for i in ids]
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    model = SkipGram(20, 20, HierarchicalSoftmax(vocabulary.counts), window=2, seed=1)
    model.compile(RowSGD(rate))
    dataset = block_dataset(sentences, vocabulary, 2, 0, tokens, seed=1)
    losses = model.fit(dataset, epochs=4, verbose=0).history["loss"]
    # 0.57 in both. Where masses left the length of vectors out, the first epoch gave 1e12.
    assert losses[-1] < 0.65
