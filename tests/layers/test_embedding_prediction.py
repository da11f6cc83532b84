"""EmbeddingPrediction against NumPy and SciPy in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import ive, log_softmax

from kerasw2v import SkipGram
from kerasw2v.layers import EmbeddingPrediction
from kerasw2v.ops.row_gradients import record_rows
from kerasw2v.optimizers import RowSGD

V, DIM, WIDE = 7, 4, 5
LOSSES = ("vmf", "cosine", "max_margin")

each_loss = pytest.mark.parametrize("loss", LOSSES)


def vectors(dim=DIM, size=V, seed=0):
    return np.random.default_rng(seed).normal(size=(size, dim))


def unit(array):
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def built(target_vectors=None, dim=DIM, **kwargs):
    layer = EmbeddingPrediction(
        V, vectors() if target_vectors is None else target_vectors, seed=1, **kwargs
    )
    layer.build((None, dim))
    return layer


def blocks(seed=1):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(2, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (2, 5)).astype(np.int32)
    weights = rng.integers(0, 3, (2, 3, 5)).astype(np.float32)
    weights[1, 2] = 0
    return hidden, candidates, weights


def bessel_ratio(kappa, dim):
    return ive(dim / 2, kappa) / ive(dim / 2 - 1, kappa)


def negative_log_c(kappa, dim):
    log_bessel = np.log(ive(dim / 2 - 1, kappa)) + kappa
    return dim / 2 * np.log(2 * np.pi) + log_bessel - (dim / 2 - 1) * np.log(kappa)


def written_out(loss_of, hidden, targets, weights, table):
    """Returns the losses of blocks and the gradient of their sum, pair by pair."""
    losses, gradient = np.zeros(weights.shape[:2]), np.zeros(hidden.shape)
    for b, i, c in np.ndindex(weights.shape):
        value, slope = loss_of(np.float64(hidden[b, i]), table[targets[b, c]])
        losses[b, i] += weights[b, i, c] * value
        gradient[b, i] += weights[b, i, c] * slope
    return losses, gradient


def vmf(prediction, target, norm_penalty=0.0, dot_weight=1.0):
    kappa, dim = np.linalg.norm(prediction), len(prediction)
    value = negative_log_c(kappa, dim) - dot_weight * prediction @ target + norm_penalty * kappa
    slope = (bessel_ratio(kappa, dim) + norm_penalty) * prediction / kappa - dot_weight * target
    return value, slope


def cosine(prediction, target):
    length = np.linalg.norm(prediction)
    similarity = prediction @ target / length
    return 1 - similarity, -(target - similarity * prediction / length) / length


def max_margin(prediction, target, table, margin):
    """The hinge against the most misleading of all words but the target."""
    others = table[(table != target).any(axis=1)]
    worst = others[np.argmax(others @ prediction)]
    negative, pushed = cosine(prediction, worst)
    positive, pulled = cosine(prediction, target)
    gap = margin + positive - negative  # margin + cos(p, e(z)) - cos(p, e(y))
    return max(0, gap), (pulled - pushed) * (gap > 0)


CASES = {
    "vmf": ({}, vmf),
    "vmf, length": ({"norm_penalty": 0.3}, lambda p, e: vmf(p, e, norm_penalty=0.3)),
    "vmf, dot": ({"dot_weight": 0.2}, lambda p, e: vmf(p, e, dot_weight=0.2)),
    "cosine": ({"loss": "cosine"}, cosine),
    # Of 500 draws, each of 7 words is one: one is missing once in 10**32 times.
    "max_margin": (
        {"loss": "max_margin", "margin": 0.4, "num_sampled": 500},
        lambda p, e: max_margin(p, e, unit(vectors()), 0.4),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "options", ["eager", {}, {"jit_compile": True}, {"reduce_retracing": True}]
)
def test_block_form(case, options):
    arguments, loss_of = CASES[case]
    layer, arrays = built(**arguments), blocks()

    def run(hidden, candidates, weights):
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            losses = layer(hidden, candidates, weights)
        return losses, tape.gradient(losses, hidden)

    if options == {"reduce_retracing": True}:  # rows unknown
        options = {
            "input_signature": [
                tf.TensorSpec((None, None, DIM)),
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec((None, None, None)),
            ]
        }
    call = run if options == "eager" else tf.function(run, **options)
    results = call(*map(tf.constant, arrays))
    expected = written_out(loss_of, *arrays, unit(vectors()))
    # The normaliser of m = 4 is off by up to 1 / (12 * 6) far out, by 1e-3 at lengths below 4,
    # its gradient by 2e-4; of up to ten terms a row.
    for result, value, atol in zip(results, expected, (1e-2, 2e-3), strict=True):
        np.testing.assert_allclose(result, value, atol=atol if "vmf" in case else 2e-5)
    assert results[0][1, 2] == 0
    assert (results[1][1, 2].numpy() == 0).all()


@pytest.mark.parametrize("case", CASES)
def test_pair_form(case):
    arguments, loss_of = CASES[case]
    layer, table = built(**arguments), unit(vectors())
    hidden, targets = blocks()[0].reshape(6, DIM), np.array([0, 6, 3, 3, 1, 2])
    expected = [
        loss_of(np.float64(row), table[y])[0] for row, y in zip(hidden, targets, strict=True)
    ]
    np.testing.assert_allclose(layer(hidden, targets), expected, rtol=1e-4, atol=1e-3)
    weights = np.array([1, 2, 0, 0.5, 1, 1], np.float32)
    weighted = layer(hidden, targets, weights)
    np.testing.assert_allclose(weighted, expected * weights, rtol=1e-4, atol=2e-3)
    assert weighted[2] == 0
    assert layer(hidden[:0], targets[:0]).shape == (0,)


def test_block_form_of_the_margin_is_the_pairs_written_out_for_the_same_draws():
    # Few draws, with repeats: words that are their own most misleading one, and words never drawn.
    layer = built(loss="max_margin", margin=0.7, num_sampled=3)
    hidden, candidates, weights = blocks()
    b, i, c = np.nonzero(weights)
    for seed in range(20):
        layer._draw_state.assign([seed, 0])
        by_block = layer(hidden, candidates, weights).numpy()
        layer._draw_state.assign([seed, 0])
        by_pair = layer(hidden[b, i], candidates[b, c], weights[b, i, c]).numpy()
        summed = np.zeros_like(by_block)
        np.add.at(summed, (b, i), by_pair)
        np.testing.assert_allclose(by_block, summed, rtol=1e-5, atol=1e-6)


def test_the_target_is_never_its_own_negative():
    layer = EmbeddingPrediction(1, [[1.0, 0.0]], loss="max_margin", margin=0.5)
    hidden = tf.constant([[0.3, 0.4]])
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        loss = layer(hidden, tf.constant([0]))
    assert loss.numpy() == [0]
    assert (tape.gradient(loss, hidden).numpy() == 0).all()


def test_draws_differ_from_step_to_step():
    layer = built(loss="max_margin", margin=2.0, num_sampled=1)
    hidden = blocks()[0][0]
    drawn = {float(layer(hidden, np.array([0, 1, 2])).numpy().sum()) for _ in range(30)}
    assert len(drawn) > 3


@each_loss
def test_a_prediction_of_length_zero_has_a_finite_gradient(loss):
    layer = built(loss=loss, norm_penalty=0.02, num_sampled=500)
    hidden = tf.zeros((1, DIM))
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        losses = layer(hidden, tf.constant([2]))
    gradient = tape.gradient(losses, hidden).numpy()
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()
    if loss != "max_margin":  # towards the target; all words mislead equally there
        np.testing.assert_allclose(-unit(gradient), unit(vectors())[[2]], atol=1e-5)


def test_a_projection_where_widths_differ_or_when_asked_for():
    assert built().trainable_weights == []
    assert built(use_projection=True).projection.shape == (DIM, DIM)
    layer = built(vectors(WIDE), loss="cosine")
    assert [weight.path.split("/")[-1] for weight in layer.trainable_weights] == ["projection"]
    hidden, candidates, weights = blocks()
    predictions = hidden @ layer.projection.numpy().T
    direct = built(vectors(WIDE), dim=WIDE, loss="cosine")
    np.testing.assert_allclose(
        layer(hidden, candidates, weights), direct(predictions, candidates, weights), rtol=1e-5
    )
    np.testing.assert_allclose(
        layer.log_probs(hidden[0]), direct.log_probs(predictions[0]), rtol=1e-5
    )


@pytest.mark.parametrize(("loss", "terms"), [("vmf", 1), ("cosine", 1), ("max_margin", 2)])
def test_row_masses(loss, terms):
    layer = built(vectors(WIDE), loss=loss)
    hidden, candidates, weights = blocks()
    with tf.GradientTape() as tape, record_rows(tape) as record:
        layer(hidden, candidates, weights)
    ((ids, mass),) = record.masses(layer.projection)
    assert ids is None
    np.testing.assert_allclose(mass, np.full(WIDE, terms * weights.sum()))
    assert len(record._masses) == 1
    assert layer.target_mass(candidates) == terms


def test_log_probs():
    hidden = blocks()[0][0]
    dots = np.float64(hidden) @ unit(vectors()).T
    np.testing.assert_allclose(built().log_probs(hidden), log_softmax(dots, -1), rtol=1e-5)
    of_units = log_softmax(unit(np.float64(hidden)) @ unit(vectors()).T, -1)
    for loss in ("cosine", "max_margin"):
        np.testing.assert_allclose(built(loss=loss).log_probs(hidden), of_units, rtol=1e-5)


@each_loss
def test_decoding_finds_the_nearest_neighbours(loss):
    table = vectors(16, size=300)
    layer = EmbeddingPrediction(300, table, loss=loss)
    layer.build((None, 16))
    hidden = vectors(16, size=20, seed=1) * 3
    cosines = unit(hidden) @ unit(table).T
    ids, _ = layer.top_k(hidden, 5)
    np.testing.assert_array_equal(ids, np.argsort(-cosines, axis=1)[:, :5])


def test_targets_are_scaled_and_stay_fixed():
    scales = np.array([1, 1e-30, 1e30, 3, 0.5, 1e-3, 1e18])[:, None]
    layer = built(vectors() * scales, use_projection=True)
    np.testing.assert_allclose(layer.target_vectors, unit(vectors()), atol=1e-6)
    before = layer.target_vectors.numpy()
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    model = keras.Model([hidden, targets], layer(hidden, targets))
    model.compile(keras.optimizers.Adam(0.1), loss=lambda _, losses: losses)
    inputs = [blocks()[0].reshape(6, DIM), np.array([0, 6, 3, 3, 1, 2])]
    start = model.predict(inputs, verbose=0).sum()
    model.fit(inputs, np.zeros(6), epochs=5, verbose=0)
    assert model.predict(inputs, verbose=0).sum() < start
    np.testing.assert_array_equal(layer.target_vectors, before)


def test_random_targets():
    layers = [EmbeddingPrediction(V, seed=seed) for seed in (3, 3, 4)]
    for layer in layers:
        layer.build((None, 6))
    first, same, other = (layer.target_vectors.numpy() for layer in layers)
    assert first.shape == (V, 6)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.1


def test_weights_bring_the_targets_back(tmp_path):
    layer = built(vectors(WIDE))
    copy = EmbeddingPrediction.from_config(layer.get_config())
    copy.build((None, DIM))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy.log_probs(blocks()[0][0]), layer.log_probs(blocks()[0][0]))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@each_loss
def test_half_precision(loss, dtype):
    arguments = {"loss": loss, "num_sampled": 500}
    losses = [built(**arguments, **more)(*blocks()) for more in ({}, {"dtype": dtype})]
    # bfloat16 has 8 bits: a weighted sum of ten targets is off by about .3 % of its terms.
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02, atol=0.05)
    assert losses[1].dtype == tf.float32


@each_loss
def test_a_step_holds_nothing_of_the_size_of_the_vocabulary(loss):
    size = 1009  # no other dimension
    layer = EmbeddingPrediction(size, vectors(WIDE, size), loss=loss)
    layer.build((None, DIM))

    @tf.function
    def step(hidden, candidates, weights):
        with tf.GradientTape() as tape:
            losses = layer(hidden, candidates, weights)
        return tape.gradient(losses, layer.trainable_variables)

    graph = step.get_concrete_function(*map(tf.constant, blocks())).graph
    shapes = [output.shape for op in graph.get_operations() for output in op.outputs]
    assert not [shape for shape in shapes if shape.rank and size in shape.as_list()]


def test_a_word_settles_where_the_likelihood_is_largest():
    # Half of word 0's contexts are word 1, half word 2: the mean of their vectors has length R,
    # and the loss is smallest where I_{m/2} / I_{m/2-1} (kappa) = R, in that direction.
    table = unit(vectors(6))
    model = SkipGram(V, 6, EmbeddingPrediction(V, table), seed=1)
    model.compile(RowSGD(0.1))
    model.fit(
        np.zeros(20_000, int), np.tile([1, 2], 10_000), batch_size=100, shuffle=False, verbose=0
    )
    settled, mean = model.embedding.embeddings.numpy()[0], table[[1, 2]].mean(0)
    np.testing.assert_allclose(unit(settled), unit(mean), atol=1e-3)
    ratio = bessel_ratio(np.linalg.norm(settled), 6)
    np.testing.assert_allclose(ratio, np.linalg.norm(mean), rtol=1e-3)


def with_row(row, value):
    return [[1.0, 2.0]] * row + [value] + [[1.0, 2.0]] * (V - row - 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"target_vectors": with_row(3, [0.0, 0.0])},
            ValueError,
            r"`target_vectors` must not be zero\. Received: target_vectors\[3\]=\[0\. 0\.\]\.",
        ),
        (
            {"target_vectors": with_row(2, [np.nan, 0.0])},
            ValueError,
            r"`target_vectors` must be finite\. Received: target_vectors\[2\]=\[nan +0\.\]\.",
        ),
        (
            {"target_vectors": with_row(0, [1.0, np.inf])},
            ValueError,
            r"must be finite\. Received: target_vectors\[0\]=",
        ),
        (
            {"target_vectors": vectors(3, V + 1)},
            ValueError,
            r"must have shape \(7, m\): one vector per word\. Received: shape=\(8, 3\)\.",
        ),
        (
            {"target_vectors": vectors(3), "target_dim": 4},
            ValueError,
            r"must have shape \(7, 4\): one vector per word\. Received: shape=\(7, 3\)\.",
        ),
        ({"target_vectors": np.ones(V)}, ValueError, r"Received: shape=\(7,\)\."),
        ({"target_vectors": [["a"] * 2] * V}, TypeError, "must be an array of numbers"),
        ({"target_vectors": np.ones((V, 1))}, ValueError, "`target_dim` must be at least 2"),
        ({"target_dim": 1}, ValueError, "`target_dim` must be at least 2"),
        ({"target_dim": 2.0}, TypeError, "`target_dim` must be an integer"),
        ({"loss": "l2"}, ValueError, "`loss` must be one of 'vmf', 'cosine', 'max_margin'"),
        ({"norm_penalty": -0.1}, ValueError, "`norm_penalty` must not be negative"),
        ({"dot_weight": np.nan}, ValueError, "`dot_weight` must be finite"),
        ({"margin": "wide"}, TypeError, "`margin` must be a number"),
        ({"num_sampled": 0}, ValueError, "`num_sampled` must be at least 1"),
        ({"use_projection": "yes"}, ValueError, "`use_projection` must be one of None, True"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        EmbeddingPrediction(V, **arguments)


def test_no_projection_needs_equal_widths():
    with pytest.raises(ValueError, match=r"hidden vectors of 4, targets of 5\."):
        built(vectors(WIDE), use_projection=False)
