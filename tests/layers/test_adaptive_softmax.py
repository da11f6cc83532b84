"""AdaptiveSoftmax against NumPy in float64, and what it does not compute."""

from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from kerasw2v import CBOW
from kerasw2v.layers import FullSoftmax, adaptive_softmax
from kerasw2v.layers.adaptive_softmax import AdaptiveSoftmax
from kerasw2v.ops.cutoffs import CostModel
from kerasw2v.ops.row_gradients import as_slices, record_rows
from kerasw2v.optimizers import RowSGD

V, DIM = 12, 6
CUTOFFS = [3, 5, 9]
MODEL = CostModel(overhead=1e-4, flat_scores=1e4, per_score=1e-9, per_product=2e-11)


def make(cutoffs=CUTOFFS, dim=DIM, counts=V, seed=0, **kwargs):
    layer = AdaptiveSoftmax(counts, cutoffs, **{"min_projection_dim": 2, **kwargs})
    layer.build((None, dim))
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


@pytest.fixture
def layer():
    return make()


def blocks(seed=1):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(4, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (4, 7)).astype(np.int32)
    weights = rng.integers(0, 3, (4, 3, 7)).astype(np.float32)
    weights[1, 2] = 0
    return hidden, candidates, weights


def pairs(seed=1):
    hidden = np.random.default_rng(seed).normal(size=(V, DIM)).astype(np.float32)
    return hidden, np.arange(V, dtype=np.int32)[::-1].copy()


def log_probs_by_numpy(layer, hidden):
    hidden = np.float64(hidden)
    head = log_softmax(hidden @ np.float64(layer.head).T, axis=-1)
    shortlist = layer.cutoffs[0]
    parts = [head[..., :shortlist]]
    for i, (projection, tail) in enumerate(zip(layer.projections, layer.tails, strict=True)):
        narrow = hidden @ np.float64(projection)
        parts.append(
            head[..., shortlist + i, None] + log_softmax(narrow @ np.float64(tail).T, axis=-1)
        )
    return np.concatenate(parts, axis=-1)


def test_shapes(layer):
    assert layer.head.shape == (3 + 3, DIM)
    assert [tail.shape for tail in layer.tails] == [(2, 2), (4, 2), (3, 2)]
    assert [projection.shape for projection in layer.projections] == [(DIM, 2)] * 3
    wide = make([2000, 10000, 20000], dim=100, counts=30000, div_value=4.0, min_projection_dim=16)
    assert [tail.shape[1] for tail in wide.tails] == [25, 16, 16]


def test_log_probs(layer):
    hidden, _ = pairs()
    expected = log_probs_by_numpy(layer, hidden)
    np.testing.assert_allclose(np.exp(expected).sum(-1), 1, rtol=1e-12)
    for dtype in (np.float32, np.float64):
        log_probs = layer.log_probs(hidden.astype(dtype))
        assert log_probs.dtype == tf.float32
        np.testing.assert_allclose(log_probs, expected, rtol=1e-5, atol=1e-5)


def signatures(form):
    """Static shapes, and unknown numbers of rows."""
    hidden, weights = ([None, DIM], [None]) if form == "pairs" else ([None, 3, DIM], [None, 3, 7])
    targets = [None] if form == "pairs" else [None, 7]
    return [
        tf.TensorSpec(hidden),
        tf.TensorSpec(targets, tf.int32),
        tf.TensorSpec(weights),
    ]


@pytest.mark.parametrize("mode", ["eager", "static", "dynamic"])
@pytest.mark.parametrize("form", ["pairs", "blocks"])
def test_losses(layer, form, mode):
    if form == "blocks":
        hidden, candidates, weights = blocks()
        log_probs = log_probs_by_numpy(layer, hidden)
        expected = np.zeros(weights.shape[:2])
        for b, i, c in np.ndindex(weights.shape):
            expected[b, i] -= weights[b, i, c] * log_probs[b, i, candidates[b, c]]
        inputs = hidden, candidates, weights
    else:
        hidden, targets = pairs()
        weights = np.linspace(0, 2, V).astype(np.float32)
        expected = -weights * log_probs_by_numpy(layer, hidden)[np.arange(V), targets]
        inputs = hidden, targets, weights
    call = {
        "eager": layer,
        "static": tf.function(layer),
        "dynamic": tf.function(layer, input_signature=signatures(form)),
    }[mode]
    losses = call(*map(tf.constant, inputs))
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)


def test_without_cutoffs_it_is_the_full_softmax():
    adaptive, full = make(cutoffs=[]), FullSoftmax(V)
    full.build((None, DIM))
    full.embeddings.assign(adaptive.head)
    for inputs in (pairs(), blocks()):
        hidden = tf.constant(0.1 * inputs[0])  # longer than one they have other masses
        results = []
        for layer in (adaptive, full):
            with tf.GradientTape() as tape, record_rows(tape) as record:
                tape.watch(hidden)
                loss = layer(hidden, *inputs[1:])
            table = layer.trainable_weights[0]
            mass = np.zeros(V)
            for ids, values in record.masses(table):
                np.add.at(mass, np.arange(V) if ids is None else ids.numpy(), values.numpy())
            gradients = map(as_slices, record.gradients(loss, [hidden, table]))
            results.append([loss, *gradients, mass])
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(adaptive.log_probs(inputs[0][0]), full.log_probs(inputs[0][0]))
    assert (np.broadcast_to(adaptive.target_mass(tf.range(V)), V) == 4).all()


@pytest.fixture
def computed(monkeypatch):
    """The shapes of all softmaxes that are computed: (vectors, classes)."""
    shapes = []

    def record(hidden, table, *others):
        shapes.append((hidden.shape[0], table.shape[0]))
        return softmax_loss(hidden, table, *others)

    softmax_loss = adaptive_softmax.softmax_loss
    monkeypatch.setattr(adaptive_softmax, "softmax_loss", record)
    return shapes


def test_tails_are_computed_for_their_rows_only(layer, computed):
    hidden = np.ones((6, DIM), np.float32)
    targets = np.array([0, 3, 4, 11, 1, 3])
    layer(hidden, targets)
    assert computed == [(6, 6), (3, 2), (0, 4), (1, 3)]
    computed.clear()
    layer(hidden, targets, np.array([1, 1, 0, 0, 1, 1], np.float32))  # 4 and 11 do not count
    assert computed == [(6, 6), (2, 2), (0, 4), (0, 3)]


def test_a_block_computes_each_tail_once_a_hidden_vector(layer, computed):
    hidden = np.ones((2, 3, DIM), np.float32)
    candidates = np.array([[3, 4, 3, 0], [5, 6, 9, 9]])
    weights = np.zeros((2, 3, 4), np.float32)
    weights[0, 0] = 1  # three targets in the first tail
    weights[0, 1, 1] = 1  # one
    weights[0, 2, 3] = 1  # none
    weights[1, 0, :] = 1  # two in the second, two in the third
    layer(hidden, candidates, weights)
    assert computed == [(6, 6), (2, 2), (1, 4), (1, 3)]


def test_an_unused_tail_has_no_part_in_the_step(layer):
    layer.projections[1].assign(np.full((DIM, 2), np.nan))
    hidden, targets = pairs()
    keep = (targets < CUTOFFS[1]) | (targets >= CUTOFFS[2])
    weights = keep.astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(hidden, targets, weights))
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert np.isfinite(loss)
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert np.isfinite(gradient).all()
        zero = variable is layer.projections[1] or variable is layer.tails[1]
        assert (np.abs(gradient).max() == 0) == zero


@pytest.mark.parametrize("graph", [False, True])
def test_no_rows_at_all(layer, graph):
    def run(hidden, *others):
        with tf.GradientTape() as tape:
            losses = layer(hidden, *others)
        return losses, tape.gradient(losses, layer.trainable_variables)

    run = tf.function(run) if graph else run
    losses, gradients = run(tf.zeros((0, DIM)), tf.zeros(0, tf.int32))
    assert losses.shape == (0,)
    assert all(np.abs(gradient).max() == 0 for gradient in gradients)
    losses, _ = run(tf.zeros((0, 3, DIM)), tf.zeros((0, 7), tf.int32), tf.zeros((0, 3, 7)))
    assert losses.shape == (0, 3)
    assert layer.log_probs(np.zeros((0, DIM))).shape == (0, V)
    assert layer.top_k(np.zeros((0, DIM)), 4)[0].shape == (0, 4)


@pytest.mark.parametrize("k", [1, 2, 3, 4, V])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_top_k_is_that_of_log_probs(layer, k, scale):
    hidden = scale * np.random.default_rng(3).normal(size=(200, DIM)).astype(np.float32)
    log_probs = layer.log_probs(hidden).numpy()
    ids, scores = layer.top_k(hidden, k)
    assert ids.dtype == tf.int32
    # Another number of rows may be summed in another order: float32 sums of log-probabilities
    # of up to 50.
    np.testing.assert_allclose(scores, -np.sort(-log_probs)[:, :k], rtol=1e-5, atol=1e-5)
    chosen = np.take_along_axis(log_probs, ids.numpy(), -1)
    np.testing.assert_allclose(chosen, scores, rtol=1e-5, atol=1e-5)
    assert all(len(set(row)) == k for row in ids.numpy())
    in_graph = tf.function(lambda hidden: layer.top_k(hidden, k))(hidden)
    np.testing.assert_array_equal(in_graph[0], ids)


def test_top_k_skips_tails_that_cannot_matter(layer):
    head = np.zeros((6, DIM), np.float32)
    head[:3, 0] = [9, 8, 7]  # the shortlist, for hidden vectors along axis 0
    head[3, 1] = 9  # the first tail, along axis 1
    layer.head.assign(head)
    for i in (1, 2):
        layer.tails[i].assign(np.full(layer.tails[i].shape, np.nan))
    hidden = np.eye(DIM, dtype=np.float32)[:2] * 3
    ids, scores = layer.top_k(hidden, 2)
    assert ids[0].numpy().tolist() == [0, 1]
    assert set(ids[1].numpy()) == {3, 4}
    assert np.isfinite(scores).all()


def test_masses(layer):
    hidden, candidates, weights = blocks()
    hidden[0] *= 0.1  # shorter than one, where the length does not count
    with tf.GradientTape() as tape, record_rows(tape) as record:
        layer(hidden, candidates, weights)
    probs = np.exp(log_probs_by_numpy(layer, hidden))  # (4, 3, V)
    edges = [*CUTOFFS, V]
    counts = np.zeros((4, 3, V))
    for b, i, c in np.ndindex(weights.shape):
        counts[b, i, candidates[b, c]] += weights[b, i, c]

    def cluster_sums(array):
        pairs = pairwise(edges)
        return np.stack([array[..., start:end].sum(-1) for start, end in pairs], -1)

    def term_mass(vectors):
        return np.maximum(1, np.square(np.float64(vectors)).sum(-1, keepdims=True))

    def expected_mass(vectors, probs, counts):
        masses = 4 * counts.sum(-1, keepdims=True) * probs + counts
        return (term_mass(vectors) * masses).sum((0, 1))

    def of(table):
        ((ids, mass),) = record.masses(table)
        assert ids is None
        return mass

    head_probs = np.concatenate([probs[..., :3], cluster_sums(probs)], -1)
    head_counts = np.concatenate([counts[..., :3], cluster_sums(counts)], -1)
    expected = expected_mass(hidden, head_probs, head_counts)
    np.testing.assert_allclose(of(layer.head), expected, rtol=1e-4)
    for i, (start, end) in enumerate(pairwise(edges)):
        of_tail = probs[..., start:end] / probs[..., start:end].sum(-1, keepdims=True)
        inside = counts[..., start:end]
        narrow = hidden @ layer.projections[i].numpy()
        expected = expected_mass(narrow, of_tail, inside)
        np.testing.assert_allclose(of(layer.tails[i]), expected, rtol=1e-4)
        expected = 4 * (term_mass(hidden)[..., 0] * inside.sum(-1)).sum()
        np.testing.assert_allclose(of(layer.projections[i]), np.full(DIM, expected), rtol=1e-5)
    assert layer.target_mass(tf.range(V)).numpy().tolist() == [4.0] * 3 + [8.0] * 9


def zipf(size):
    weights = 1 / np.arange(1, size + 1)
    return weights / weights.sum()


@pytest.mark.parametrize(("rate", "cutoffs"), [(0.05, [50, 600]), (0.1, [600])])
def test_training_on_large_batches_is_stable(rate, cutoffs):
    size = 5000
    counts = zipf(size)
    rng = np.random.default_rng(0)
    targets = rng.choice(size, 4 * 4096, p=counts).astype(np.int32)
    # Words of ten topics: a context has five of its target's.
    ranks = rng.choice(size // 10, (len(targets), 5), p=zipf(size // 10))
    contexts = (10 * ranks + targets[:, None] % 10).astype(np.int32)
    layer = AdaptiveSoftmax(counts, cutoffs, seed=1)
    model = CBOW(size, 32, layer, seed=1)
    model.compile(RowSGD(rate), steps_per_execution=4)
    history = model.fit(contexts, targets, batch_size=4096, epochs=6, shuffle=False, verbose=0)
    losses = history.history["loss"]
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < losses[0] - 2
    for weight in model.trainable_variables:
        assert np.abs(weight.numpy()).max() < 20


def test_it_starts_uniform_in_each_softmax_and_can_leave():
    layer = AdaptiveSoftmax(V, CUTOFFS, seed=1)
    hidden, targets = pairs()
    optimizer = keras.optimizers.SGD(0.1)
    np.testing.assert_allclose(
        layer(hidden, targets)[::-1], np.log(np.repeat([6.0, 12, 24, 18], [3, 2, 4, 3])), rtol=1e-5
    )
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(hidden, targets))
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    same = AdaptiveSoftmax(V, CUTOFFS, seed=1)
    same.build((None, DIM))
    for weight, start in zip(layer.trainable_weights, same.trainable_weights, strict=True):
        assert (weight.numpy() != start.numpy()).any()
    other = AdaptiveSoftmax(V, CUTOFFS, seed=2)
    other.build((None, DIM))
    assert (other.projections[0].numpy() != same.projections[0].numpy()).any()
    assert (same.projections[0].numpy() != same.projections[1].numpy()).any()


def test_planned_cutoffs_are_kept_in_the_config():
    counts = 1e6 / np.arange(1, 3001)
    layer = AdaptiveSoftmax(counts, cost_model=MODEL, batch_size=512, seed=1)
    assert layer.get_config()["cutoffs"] is None
    layer.build((None, 100))
    config = layer.get_config()
    assert config["counts"]["shape"] == [3000]
    assert len(config["cutoffs"]) >= 2
    copy = AdaptiveSoftmax.from_config(config)
    copy.build((None, 100))
    assert copy.get_config() == config
    shapes = [[weight.shape for weight in one.weights] for one in (layer, copy)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("size", [1, 2, 3, V])
def test_tiny_vocabularies_are_planned(size):
    layer = AdaptiveSoftmax(size)  # with a model fitted on this device
    hidden = np.ones((3, 4), np.float32)
    losses = layer(hidden, np.arange(3) % size)
    np.testing.assert_allclose(losses, np.log(size), rtol=1e-5, atol=1e-6)
    assert layer.cutoffs == []  # a call costs more than a dozen scores


def test_saved_and_loaded_with_planned_cutoffs(tmp_path):
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    layer = AdaptiveSoftmax(1e6 / np.arange(1, 3001), cost_model=MODEL, seed=1)
    model = keras.Model([hidden, targets], layer(hidden, targets))
    assert layer.cutoffs
    for weight in layer.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert loaded.cutoffs == layer.cutoffs
    states = pairs()[0]
    np.testing.assert_array_equal(loaded.log_probs(states), layer.log_probs(states))


def test_keras_trains_it_without_jit():
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    layer = AdaptiveSoftmax(V, CUTOFFS, seed=1)
    loss = layer(keras.layers.Dense(DIM)(hidden), targets)
    model = keras.Model([hidden, targets], loss)
    model.compile(keras.optimizers.Adam(0.05), loss=lambda _, loss: loss)
    assert not model.jit_compile
    inputs = list(pairs())
    losses = model.fit(inputs, np.zeros(V), epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cutoffs": [5, 3]}, ValueError, r"`cutoffs` must rise .*cutoffs=\[5, 3\]"),
        ({"cutoffs": [3, 3]}, ValueError, r"`cutoffs` must rise"),
        ({"cutoffs": [3, V]}, ValueError, r"must be below the number of words, V = 12\. .*12\]"),
        ({"cutoffs": [0, 3]}, ValueError, r"`cutoffs` must be at least 1\. .*cutoffs=\[0, 3\]"),
        ({"cutoffs": [1.5]}, TypeError, r"`cutoffs` must be a list of integers\. .*\[1\.5\]"),
        ({"cutoffs": 5}, TypeError, r"`cutoffs` must be a list of integers\. .*cutoffs=5"),
        ({"div_value": 0.5}, ValueError, r"`div_value` must be at least 1\."),
        ({"div_value": "4"}, TypeError, r"`div_value` must be a number\."),
        ({"min_projection_dim": 0}, ValueError, r"`min_projection_dim` must be at least 1\."),
        ({"batch_size": 0}, ValueError, r"`batch_size` must be at least 1\."),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        AdaptiveSoftmax(**{"counts": V, **arguments})
