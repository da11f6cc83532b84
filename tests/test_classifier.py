"""The model that ends in an output layer, against NumPy and against Keras' own loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from kerasw2v import Classifier, layers, metrics

V, DIM = 7, 4


def body(return_sequences=False):
    tokens = keras.Input((3,), dtype="int32")
    embedded = keras.layers.Embedding(V, DIM, mask_zero=return_sequences)(tokens)
    return keras.Model(tokens, keras.layers.LSTM(DIM, return_sequences=return_sequences)(embedded))


def filled(layer, **kwargs):
    model = Classifier(body(**kwargs), layer, k=3)
    layer.embeddings.assign(np.random.default_rng(0).normal(size=layer.embeddings.shape))
    model.compile("adam")
    return model


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(1, V, (12, 3)), rng.integers(0, V, 12)


def test_the_loss_is_the_mean_cross_entropy():
    model = filled(layers.FullSoftmax(V))
    x, y = data()
    weights = np.linspace(0, 2, 12)
    scores = np.float64(model(x)) @ model.output_layer.embeddings.numpy().T
    losses = -log_softmax(scores, -1)[np.arange(12), y]
    for labels in (y, y[:, None], y.astype(np.int64)):
        assert model.evaluate(x, labels, verbose=0) == pytest.approx(losses.mean(), rel=1e-5)
    weighted = model.evaluate(x, y, sample_weight=weights, verbose=0)
    assert weighted == pytest.approx((weights * losses).mean(), rel=1e-5)
    ids, log_probs = model.predict(x, verbose=0)
    np.testing.assert_array_equal(ids, np.argsort(-scores)[:, :3])
    np.testing.assert_allclose(log_probs, -np.sort(-log_softmax(scores, -1))[:, :3], rtol=1e-4)


def test_a_step_is_that_of_dense_and_cross_entropy():
    model = filled(layers.FullSoftmax(V))
    x, y = data()
    dense = keras.layers.Dense(V, use_bias=False)
    copy = keras.models.clone_model(model.body)
    reference = keras.Sequential([copy, dense])
    reference.build((None, 3))
    copy.set_weights(model.body.get_weights())
    dense.kernel.assign(model.output_layer.embeddings.numpy().T)
    reference.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.compile("sgd")
    arguments = {"x": x, "y": y, "epochs": 3, "verbose": 0, "shuffle": False}
    histories = [each.fit(**arguments).history["loss"] for each in (model, reference)]
    np.testing.assert_allclose(*histories, rtol=1e-5)
    np.testing.assert_allclose(model.output_layer.embeddings, dense.kernel.numpy().T, atol=1e-6)


def test_sequences_with_padding():
    model = filled(layers.FullSoftmax(V, ignore_id=-1), return_sequences=True)
    x = np.array([[1, 2, 0], [3, 0, 0]])  # id 0 is padding
    y = np.array([[2, -1, 4], [1, 4, 0]])
    log_probs = np.asarray(model.output_layer.log_probs(model(x)))
    expected = -(log_probs[0, 0, 2] + log_probs[1, 0, 1]) / 2
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.predict(x, verbose=0)[0].shape == (2, 3, 3)


def test_the_weight_of_an_example_is_that_of_its_positions():
    model = filled(layers.FullSoftmax(V), return_sequences=True)
    perplexity = metrics.Perplexity(model.output_layer)
    model.compile("sgd", weighted_metrics=[perplexity])
    y = np.random.default_rng(1).integers(0, V, (3, 3))
    x, weights = np.ones_like(y), np.array([0.0, 1.0, 3.0])  # as many examples as positions
    losses = -np.take_along_axis(
        np.asarray(model.output_layer.log_probs(model(x))), y[..., None], 2
    )
    mean = (weights[:, None] * losses[..., 0]).mean()
    for given in (weights, weights[:, None], np.repeat(weights[:, None], 3, axis=1)):
        results = (
            model.evaluate(x, y, sample_weight=given, verbose=0),
            model.evaluate(tf.data.Dataset.from_tensors((x, y, given)), verbose=0),
            model.test_on_batch(x, y, given),
        )
        for loss, metric in results:
            assert loss == pytest.approx(mean, rel=1e-5)
            assert metric == pytest.approx(np.exp(mean * 9 / (3 * weights.sum())), rel=1e-5)
    before = model.get_weights()
    trained = []
    for given in (weights, np.repeat(weights[:, None], 3, axis=1)):
        model.set_weights(before)
        model.fit(x, y, sample_weight=given, verbose=0, shuffle=False)
        trained.append(model.get_weights())
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_the_metric_of_a_layer_without_weights_is_one_sentence():
    model, other = filled(layers.FullSoftmax(V)), layers.FullSoftmax(V)
    with pytest.raises(ValueError, match="'perplexity' must be given the model's own output layer"):
        model.compile("adam", metrics=[metrics.Perplexity(other)])


def test_saved_loaded_and_exported(tmp_path):
    model = filled(layers.NCE([9, 0, 3, 8, 1, 1, 2], num_sampled=4))
    x, y = data()
    model.fit(x, y, verbose=0)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.fit(x, y, epochs=0, verbose=0)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    for found in (loaded.predict(x, verbose=0), served.serve(x.astype("int32"))):
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)


def test_a_body_of_any_kind():
    sequential = keras.Sequential([keras.layers.Embedding(V, DIM), keras.layers.LSTM(DIM)])
    model = Classifier(sequential, layers.FullSoftmax(V), k=1)
    model.compile(keras.optimizers.Adam(0.05))
    x, y = data()
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_regularisers_count():
    tokens = keras.Input((3,), dtype="int32")
    hidden = keras.layers.Flatten()(keras.layers.Embedding(V, DIM)(tokens))
    hidden = keras.layers.Dense(DIM, kernel_regularizer=keras.regularizers.L2(0.5))(hidden)
    model = Classifier(keras.Model(tokens, hidden), layers.FullSoftmax(V), k=1)
    model.compile("sgd")
    x, y = data()
    kernel = model.body.layers[-1].kernel.numpy()
    expected = np.log(V) + 0.5 * (kernel**2).sum()  # an untrained table has all words equal
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_bad_arguments():
    layer = layers.FullSoftmax(V)
    with pytest.raises(TypeError, match="`body` must be a Keras model"):
        Classifier(None, layer)
    with pytest.raises(TypeError, match="`output_layer` must be a kerasw2v"):
        Classifier(body(), keras.layers.Dense(3))
    with pytest.raises(ValueError, match=f"`k` must be at most V = {V}"):
        Classifier(body(), layer)
    both = keras.Model(inputs := keras.Input((DIM,)), [inputs, inputs])
    with pytest.raises(ValueError, match=r"`body` must have one output.* Received: 2 outputs"):
        Classifier(both, layer, k=1)
    model = Classifier(body(), layer, k=1)
    with pytest.raises(ValueError, match="`loss` must not be given"):
        model.compile(loss="mse")
    model.compile("sgd")
    with pytest.raises(ValueError, match="`y` must be given"):
        model.fit(data()[0], verbose=0)


def test_labels_and_weights_are_checked_before_any_work():
    model = filled(layers.FullSoftmax(V, ignore_id=-1))
    x, y = data()
    wrong, weights = y.copy(), np.ones(12)
    wrong[3], weights[2] = V, np.nan
    ignoring = np.where(np.arange(12) == 5, -1, y)
    assert np.isfinite(model.evaluate(x, ignoring, verbose=0))
    received = r"`y` must be ids from 0 to 6\. Received: y\[3\]=7\.$"
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(ValueError, match="^" + received):
            call(x, wrong)
    with pytest.raises(ValueError, match=r"^`validation_data: y` must be ids from 0 to 6"):
        model.fit(x, y, validation_data=(x, wrong))
    with pytest.raises(ValueError, match=r"^`sample_weight` must be finite"):
        model.fit(x, y, sample_weight=weights)
    dataset = tf.data.Dataset.from_tensor_slices((x, wrong)).batch(12)
    with pytest.raises(ValueError, match=r"^Ids in the data must be from 0 to 6"):
        model.fit(dataset, verbose=0)


@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch"])
def test_labels_of_another_kind_are_one_sentence(call):
    model = filled(layers.FullSoftmax(V))
    x, y = data()
    received = r"one-hot labels are no ids\. Received: y of shape \(12, 7\)\.$"
    with pytest.raises(ValueError, match=r"^`y` must be one id .* of shape \(None,\); " + received):
        getattr(model, call)(x, np.eye(V)[y])
    with pytest.raises(TypeError, match=r"^`y` must be ids: integers, or whole floats"):
        getattr(model, call)(x, y.astype(str))
    sequences = filled(layers.FullSoftmax(V), return_sequences=True)
    with pytest.raises(ValueError, match=r"of shape \(None, 3\).* y of shape \(12,\)\.$"):
        getattr(sequences, call)(x, y)


def test_metrics_that_take_hidden_vectors_for_scores(tmp_path):
    layer = layers.FullSoftmax(V)
    model = filled(layer)
    for metric in ("accuracy", keras.metrics.SparseCategoricalAccuracy()):
        with pytest.raises(ValueError, match=r"^`metrics` must be those of kerasw2v\.metrics"):
            model.compile("adam", metrics=[metric])
    with pytest.raises(ValueError, match=r"'perplexity' must be given the output layer"):
        model.compile("adam", metrics=[metrics.Perplexity()])
    model.compile("adam", metrics=[metrics.Perplexity(layer)])
    with pytest.raises(ValueError, match=r"^`filepath` must end in \.keras"):
        model.save(tmp_path / "model.h5")
