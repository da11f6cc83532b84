"""ClassSoftmax against NumPy in float64, and against FullSoftmax where the two are the same."""

import re

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from kerasw2v.layers import FullSoftmax, class_softmax
from kerasw2v.layers.class_softmax import ClassSoftmax
from kerasw2v.ops.row_gradients import as_slices, record_rows

COUNTS = np.array([90, 50, 40, 30, 20, 10, 8, 5, 3, 2, 1])
V, DIM = len(COUNTS), 4
CLASSES = {
    "by frequency": None,
    "given": np.array([2, 0, 1, 1, 3, 2, 2, 1, 2, 2, 0]),  # class 3 has one word
    "one": np.zeros(V, int),
    "one a word": np.arange(V)[::-1],
}
each_classes = pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES.keys())


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Makes classes of a few words and rows fill several tiles."""
    set_tiles(monkeypatch, 2, 3)


def set_tiles(monkeypatch, height, width):
    monkeypatch.setattr(class_softmax, "_HEIGHT", height)
    monkeypatch.setattr(class_softmax, "_WIDTH", width)


def make(classes=None, **kwargs):
    layer = ClassSoftmax(COUNTS, classes=classes, **kwargs)
    layer.build((None, DIM))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def blocks(seed=1):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(4, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (4, 5)).astype(np.int32)
    weights = rng.choice([0.0, 1.0, 0.5], (4, 3, 5)).astype(np.float32)
    weights[2] = 0
    return hidden, candidates, weights


def classes_of(layer):
    return layer._class_of.numpy()


def by_numpy(layer, hidden, candidates, weights):
    """Losses, gradients of their sum by hidden, words and classes, and masses of the two tables."""
    classes = classes_of(layer)
    words, heads = (np.float64(w.numpy()) for w in (layer.embeddings, layer.class_embeddings))
    hidden = np.float64(hidden)
    losses, of_hidden = np.zeros(weights.shape[:2]), np.zeros_like(hidden)
    of_words, of_heads = np.zeros_like(words), np.zeros_like(heads)
    word_mass, head_mass = np.zeros(len(words)), np.zeros(len(heads))
    for b, i, c in np.ndindex(weights.shape):
        weight, target, state = weights[b, i, c], candidates[b, c], hidden[b, i]
        inside = np.flatnonzero(classes == classes[target])
        for table, ids, chosen, gradient, mass in (
            (heads, np.arange(len(heads)), classes[target], of_heads, head_mass),
            (words, inside, target, of_words, word_mass),
        ):
            scores = table[ids] @ state
            losses[b, i] -= weight * log_softmax(scores)[ids == chosen][0]
            slope = weight * (softmax(scores) - (ids == chosen))
            of_hidden[b, i] += slope @ table[ids]
            gradient[ids] += np.outer(slope, state)
            if len(ids) > 1 or table is heads:
                terms = weight * max(1, state @ state)  # a term curves with that square
                mass[ids] += terms * (4 * softmax(scores) + (ids == chosen))
    return losses, of_hidden, of_words, of_heads, word_mass, head_mass


def results(layer, hidden, *others):
    with tf.GradientTape() as tape, record_rows(tape) as record:
        tape.watch(hidden)
        losses = layer(hidden, *others)
    tables = [layer.embeddings, layer.class_embeddings]
    gradients = list(map(as_slices, record.gradients(losses, [hidden, *tables])))
    assert isinstance(gradients[1], tf.IndexedSlices)
    masses = [
        sum(
            tf.math.unsorted_segment_sum(
                values, tf.range(tf.size(values)) if ids is None else ids, table.shape[0]
            )
            for ids, values in record.masses(table)
        )
        for table in tables
    ]
    return losses, *map(tf.convert_to_tensor, gradients), *masses


@each_classes
@pytest.mark.parametrize("mode", ["large tiles", "unknown rows"])
@pytest.mark.parametrize("form", ["pairs", "blocks"])
def test_losses_gradients_and_masses(classes, mode, form, monkeypatch):
    layer = make(classes)
    arrays = blocks()
    if form == "pairs":
        arrays = (arrays[0][:, :1], arrays[1][:, :1], np.float32([[[1]], [[0]], [[2]], [[0.5]]]))
        inputs = [arrays[0][:, 0], arrays[1][:, 0], arrays[2][:, 0, 0]]
    else:
        inputs = list(arrays)

    def run(*inputs):
        return results(layer, *inputs)

    if mode == "large tiles":
        set_tiles(monkeypatch, 16, 32)
    else:
        signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in inputs]
        run = tf.function(run, input_signature=signature)
    expected = by_numpy(layer, *arrays)
    for result, value in zip(run(*map(tf.constant, inputs)), expected, strict=True):
        # float32 sums of about 50 terms of size 1
        np.testing.assert_allclose(np.reshape(result, value.shape), value, rtol=1e-5, atol=1e-5)


@each_classes
def test_log_probs_are_the_losses_and_sum_to_one(classes):
    layer = make(classes)
    hidden = np.random.default_rng(2).normal(size=(5, DIM)).astype(np.float32)
    log_probs = layer.log_probs(hidden).numpy()
    np.testing.assert_allclose(np.exp(np.float64(log_probs)).sum(1), 1, rtol=1e-6)
    for word in range(V):
        np.testing.assert_allclose(layer(hidden, np.full(5, word)), -log_probs[:, word], rtol=1e-5)


@pytest.mark.parametrize("classes", [CLASSES["one"], CLASSES["one a word"]], ids=["one", "V"])
def test_one_class_and_a_class_a_word_are_the_full_softmax(classes):
    layer, full = make(classes), FullSoftmax(V)
    full.build((None, DIM))
    single = layer.num_classes == 1
    table = layer.embeddings if single else layer.class_embeddings
    full.embeddings.assign(table if single else table.numpy()[classes])
    hidden = tf.constant(blocks()[0].reshape(-1, DIM)[:V])
    targets = tf.range(V)
    losses, of_hidden, of_words, of_heads, *_ = results(layer, hidden, targets)
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        expected = full(hidden, targets)
    expected_hidden, expected_table = tape.gradient(expected, [hidden, full.embeddings.value])
    close = {"rtol": 1e-5, "atol": 1e-6}  # sums of 11 float32 in another order
    np.testing.assert_allclose(losses, expected, **close)
    np.testing.assert_allclose(of_hidden, expected_hidden, **close)
    of_table = of_words if single else of_heads.numpy()[classes]
    np.testing.assert_allclose(of_table, expected_table, **close)
    np.testing.assert_allclose(of_heads if single else of_words, 0, atol=1e-6)


def test_gradient_names_rows_of_visited_classes_only():
    layer = make(CLASSES["given"])
    targets = np.array([0, 2, 4, 5, 2])
    weights = np.array([1, 0, 1, 1, 0], np.float32)
    with tf.GradientTape() as tape:
        losses = layer(tf.ones((5, DIM)), targets, weights)
    gradient = tape.gradient(losses, layer.embeddings.value)
    # Class 2 alone: class 1 is visited with weight 0 only, class 3 has one word.
    assert set(gradient.indices.numpy()) == set(np.flatnonzero(classes_of(layer) == 2))


def test_rows_named_are_those_of_the_classes_and_little_more():
    counts = 1e6 / np.arange(1, 20_001)
    layer = ClassSoftmax(counts)
    layer.build((None, DIM))
    rng = np.random.default_rng(0)
    batch = rng.choice(20_000, 64, p=counts / counts.sum())
    with tf.GradientTape() as tape:
        losses = layer(tf.ones((64, DIM)), batch)
    named = len(tape.gradient(losses, layer.embeddings.value).indices)
    classes = classes_of(layer)
    sizes = np.bincount(classes)
    visited, rows = np.unique(classes[batch], return_counts=True)
    tiles = -(-rows // class_softmax._HEIGHT)
    assert named <= (tiles * (sizes[visited] + class_softmax._WIDTH)).sum()
    assert named < 64 * 20_000**0.5 + 64 * class_softmax._WIDTH
    assert sizes[classes[batch]].mean() + layer.num_classes <= 2 * 20_000**0.5


@each_classes
def test_empty_and_weightless_batches(classes):
    layer = make(classes)
    assert layer(np.zeros((0, DIM), np.float32), np.zeros(0, np.int32)).shape == (0,)
    arrays = [np.zeros(shape, np.int32) for shape in ((0, 3, DIM), (0, 5), (0, 3, 5))]
    assert layer(*arrays).shape == (0, 3)
    hidden, candidates, weights = map(tf.constant, blocks())
    losses, *others = results(layer, hidden, candidates, 0 * weights)
    assert not losses.numpy().any()
    assert not any(other.numpy().any() for other in others)


@pytest.mark.parametrize("scale", [50.0, 500.0])
@each_classes
def test_extreme_scores(classes, scale):
    layer = make(classes)
    for weight in layer.trainable_weights:
        weight.assign(scale * np.sign(weight.numpy()))
    expected = by_numpy(layer, *blocks())
    for result, value in zip(results(layer, *map(tf.constant, blocks())), expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-2)


def test_given_classes_are_in_the_config_and_come_with_the_weights():
    layer = make(CLASSES["given"])
    config = layer.get_config()
    assert (config["num_classes"], config["classes"]) == (4, CLASSES["given"].tolist())
    copy = ClassSoftmax.from_config(config)
    copy.build((None, DIM))
    assert classes_of(copy).tolist() == CLASSES["given"].tolist()
    copy = ClassSoftmax(COUNTS, num_classes=4)  # as a file of an earlier version says
    copy.build((None, DIM))
    assert classes_of(copy).tolist() != CLASSES["given"].tolist()
    copy.set_weights(layer.get_weights())
    hidden = np.ones((V, DIM), np.float32)
    np.testing.assert_array_equal(copy(hidden, np.arange(V)), layer(hidden, np.arange(V)))


def test_defaults():
    assert ClassSoftmax(10_000).num_classes == 100
    assert ClassSoftmax(1).num_classes == 1
    assert make().target_mass(np.arange(V)) == 8


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"num_classes": 0}, ValueError, "`num_classes` must be at least 1. Received"),
        ({"num_classes": 2.5}, TypeError, "`num_classes` must be an integer. Received"),
        ({"num_classes": 12}, ValueError, "`num_classes` must not be above the 11 words. Received"),
        ({"classes": [0] * 10}, ValueError, "`classes` must name a class for each of the 11 words"),
        ({"classes": [0] * 11, "num_classes": 2}, ValueError, "none in class 1."),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        ClassSoftmax(**{"counts": COUNTS, **arguments})
