"""The contract's base class, through a subclass that says only what one pair costs."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.layers import (
    BinaryCode,
    FullSoftmax,
    HierarchicalSoftmax,
    OutputLayer,
    config_arrays,
    frequency_order,
    outputs_are_losses,
)

V, DIM = 6, 3


class Squared(OutputLayer):
    """Loss of a pair: its weight times (sum of hidden + target)**2."""

    def pair_loss(self, hidden, targets, weights):
        loss = (tf.reduce_sum(hidden, -1) + tf.cast(targets, tf.float32)) ** 2
        return loss if weights is None else weights * loss

    def log_probs(self, hidden):
        return tf.nn.log_softmax(tf.matmul(hidden, tf.eye(DIM, V)))


def blocks():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2, 4, DIM)).astype(np.float32)
    weights = (rng.random((2, 4, 5)) * rng.integers(0, 2, (2, 4, 5))).astype(np.float32)
    weights[0, 1] = 0  # a hidden vector without targets
    return hidden, rng.integers(0, V, (2, 5)), weights


@pytest.mark.parametrize("graph", [False, True])
def test_block_form_writes_the_pairs_out(graph):
    layer = Squared(V)
    hidden, candidates, weights = blocks()
    scores = hidden.sum(-1)[:, :, None] + candidates[:, None, :]

    def run(hidden):
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            losses = layer(hidden, tf.constant(candidates), tf.constant(weights))
        return losses, tape.gradient(losses, hidden)

    losses, gradient = (tf.function(run) if graph else run)(tf.constant(hidden))
    assert losses.shape == (2, 4)
    np.testing.assert_allclose(losses, (weights * scores**2).sum(-1), rtol=1e-5)
    slope = (2 * weights * scores).sum(-1)
    np.testing.assert_allclose(gradient, np.repeat(slope[..., None], DIM, -1), rtol=1e-5)
    assert losses[0, 1] == 0


def test_pair_form_with_and_without_weights():
    layer = Squared(V)
    hidden, targets = np.ones((2, DIM), np.float32), np.array([0, 2])
    assert layer(hidden, targets).numpy().tolist() == [9, 25]
    assert layer(hidden, targets, np.array([2.0, 0.5], np.float32)).numpy().tolist() == [18, 12.5]
    assert layer(hidden, np.array([0.0, 2.0], np.float32)).numpy().tolist() == [9, 25]


def test_pair_form_is_blocks_of_one():
    class ByBlocks(OutputLayer):
        def block_loss(self, hidden, candidates, weights):
            pairs = tf.reduce_sum(hidden, -1)[..., None] + tf.cast(candidates, tf.float32)[:, None]
            return tf.reduce_sum(weights * pairs**2, -1)

    hidden, targets = np.ones((2, DIM), np.float32), np.array([0, 2])
    for weights in [None, np.array([2.0, 0.5], np.float32)]:
        inputs = (hidden, targets, weights)
        np.testing.assert_array_equal(ByBlocks(V)(*inputs), Squared(V)(*inputs))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"targets": np.ones((2, 5))}, r"`targets` must have the shape .* \(2, 4\)\. .* \(2, 5\)"),
        ({"targets": np.ones(2)}, r"`targets` must have the shape of `hidden` without its last"),
        ({"targets": np.ones((2, 4, 2))}, r"`targets` must .* Received: .* shape \(2, 4, 2\)"),
        ({"targets": np.ones((2, 4)), "weights": np.ones(2)}, "`weights` must have the shape of"),
        ({"targets": np.ones((2, 4)), "weights": np.ones((2, 4, 3))}, "`weights` must have the"),
        ({"targets": np.ones((2, 4)), "mask": np.ones((2, 3))}, "`mask` must have the shape of"),
        ({"candidates": np.ones((2, 5))}, r"`hidden`, `candidates` and .* \(2, 5\) and None"),
        ({"candidates": np.ones((3, 5)), "weights": np.ones((2, 4, 5))}, r"\(b, C\) and \(b, L"),
    ],
)
def test_shapes_that_do_not_fit(named, message):
    tensors = {name: tf.constant(array, tf.float32) for name, array in named.items()}
    with pytest.raises(ValueError, match=message):
        Squared(V)(tf.ones((2, 4, DIM)), **tensors)


def test_hidden_vectors_must_have_a_known_width():
    layer = Squared(V)
    with pytest.raises(ValueError, match="`hidden` must have a known number of dimensions"):
        layer.log_probs(np.float32(1))
    with pytest.raises(ValueError, match=r"the last of a known size. Received: .*\(None, None\)"):
        layer.top_k(keras.Input((None,)), 1)


@pytest.mark.parametrize("shape", [(2, 4), (None, None)])
def test_shapes_that_are_known_in_the_step_only(shape):
    layer = Squared(V)
    signature = tf.TensorSpec((*shape, DIM)), tf.TensorSpec(shape, tf.int32)
    step = tf.function(lambda hidden, targets: layer(hidden, targets), signature)
    hidden, targets = np.ones((2, 4, DIM), np.float32), np.arange(8).reshape(2, 4).astype(np.int32)
    np.testing.assert_array_equal(step(hidden, targets), (3.0 + targets) ** 2)
    if shape[0] is None:
        with pytest.raises(tf.errors.InvalidArgumentError, match="`targets` must have the shape"):
            step(hidden, targets.T)


def test_a_mask_travels_through_a_model():
    # The mean is over the positions that are neither padding of the inputs nor of the targets.
    tokens, targets = keras.Input((3,), dtype="int32"), keras.Input((3,), dtype="int32")
    hidden = keras.layers.Embedding(5, DIM, mask_zero=True)(tokens)
    layer = Squared(V, ignore_id=-1)
    model = keras.Model([tokens, targets], layer(hidden, targets))
    model.compile(loss=outputs_are_losses)
    inputs = np.array([[1, 2, 0], [3, 0, 0]]), np.array([[2, -1, 4], [1, 4, 0]])
    losses = model(inputs).numpy()
    states = model.layers[1](inputs[0]).numpy().sum(-1)
    expected = np.array([[(states[0, 0] + 2) ** 2, 0, 0], [(states[1, 0] + 1) ** 2, 0, 0]])
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(
        model.evaluate(inputs, inputs[1], verbose=0), expected.sum() / 2, rtol=1e-5
    )


def test_blocks_leave_out_what_is_masked_or_ignored():
    layer = Squared(V, ignore_id=3)
    hidden, candidates, weights = blocks()
    mask = np.array([[True, True, False, True], [False, True, True, True]])
    losses = layer(hidden, candidates=candidates, weights=weights, mask=mask)
    kept = weights * mask[..., None] * (candidates != 3)[:, None, :]
    scores = hidden.sum(-1)[:, :, None] + candidates[:, None, :]
    np.testing.assert_allclose(losses, (kept * scores**2).sum(-1), rtol=1e-5)


def test_top_k_are_the_most_probable():
    hidden = np.random.default_rng(1).normal(size=(4, DIM)).astype(np.float32)
    layer = Squared(V)
    ids, scores = layer.top_k(tf.constant(hidden), 3)
    log_probs = layer.log_probs(hidden).numpy()
    np.testing.assert_allclose(scores, -np.sort(-log_probs)[:, :3])
    np.testing.assert_allclose(np.take_along_axis(log_probs, ids.numpy(), 1), scores)


def test_what_a_subclass_must_implement():
    class Nothing(OutputLayer):
        pass

    for inputs in [(np.ones((1, DIM), np.float32), np.array([0])), blocks()]:
        with pytest.raises(NotImplementedError, match="Nothing must implement `pair_loss` or"):
            Nothing(V)(*inputs)
    with pytest.raises(NotImplementedError, match="Nothing must implement `log_probs`"):
        Nothing(V).top_k(np.ones((1, DIM), np.float32), 1)


def test_counts_or_a_size():
    assert Squared([5, 3, 3]).vocabulary_size == Squared(3).vocabulary_size == 3
    assert Squared([1, 2]).vocabulary_size == 2  # ids in any order
    with pytest.raises(ValueError, match="`counts` must be finite, not negative"):
        Squared([1, -2])


def test_a_config_does_not_carry_the_counts():
    config = Squared(np.arange(100_000, 0, -1)).get_config()
    assert len(str(config)) < 1000
    assert Squared.from_config(config).vocabulary_size == 100_000


def test_a_model_whose_outputs_are_losses_can_be_saved(tmp_path):
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    model = keras.Model([hidden, targets], FullSoftmax(V)(hidden, targets))
    model.compile(loss=outputs_are_losses)
    # Models that were saved before name the function so.
    saved = model.get_compile_config()["loss"]
    assert saved["config"] == "kerasw2v>outputs_are_losses"
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").loss is outputs_are_losses


def test_a_long_array_that_is_nowhere_is_asked_for(tmp_path):
    counts = np.random.default_rng(0).integers(0, 1000, 300)
    layer = HierarchicalSoftmax(counts)
    hidden, targets = np.ones((2, DIM), np.float32), np.array([0, 299])
    inputs = keras.Input((DIM,)), keras.Input((), dtype="int32")
    model = keras.Model(inputs, layer(*inputs))
    layer.embeddings.assign(np.random.default_rng(1).normal(size=layer.embeddings.shape))
    losses, text = model([hidden, targets]).numpy(), model.to_json()
    model.save_weights(tmp_path / "model.weights.h5")
    config_arrays._layers.clear()  # as in another process
    other = keras.models.model_from_json(text)
    with pytest.raises(ValueError, match="`counts` must be given, or come with weights, before"):
        other([hidden, targets])
    with pytest.raises(ValueError, match="`counts` must be given, or come with weights, before"):
        other.layers[-1].top_k(hidden, 1)
    assert other.to_json() == text  # what it refers to is not forgotten
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other([hidden, targets]), losses)
    assert other.to_json() == text
    copy = keras.models.clone_model(other)
    copy.set_weights(other.get_weights())
    np.testing.assert_array_equal(copy([hidden, targets]), losses)


def test_files_of_earlier_versions_are_loaded(tmp_path):
    # They have V in their config, and no counts beside the variables.
    layer = HierarchicalSoftmax([5, 3, 1, 1])
    inputs = keras.Input((DIM,)), keras.Input((), dtype="int32")
    model = keras.Model(inputs, layer(*inputs))
    layer.embeddings.assign(np.random.default_rng(1).normal(size=layer.embeddings.shape))
    layer.get_config = lambda: {"name": "old", "counts": 4, "dense_rows": 64, "shards": 1}
    layer.save_own_variables = functools.partial(keras.layers.Layer.save_own_variables, layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    hidden, words = np.ones((4, DIM), np.float32), np.arange(4)
    np.testing.assert_array_equal(loaded([hidden, words]), model([hidden, words]))
    copy = keras.models.clone_model(loaded)  # the tree is in its config from now on
    copy.set_weights(loaded.get_weights())
    np.testing.assert_array_equal(copy([hidden, words]), model([hidden, words]))


def test_the_number_of_words_alone_is_mentioned_once(monkeypatch):
    monkeypatch.setattr(frequency_order, "_warned", set())
    with pytest.warns(UserWarning, match="BinaryCode was given the number of words alone"):
        layer = BinaryCode(9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BinaryCode(8)
        frequency_order._warned.clear()
        BinaryCode.from_config(layer.get_config())
        FullSoftmax(9)
