"""Evaluation reports exact losses, and all layers tell ranks and log-probabilities exactly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import Classifier, SkipGram, layers, metrics
from kerasw2v.ops import table_scores

from ..conformance.descriptors import OUTPUT_LAYERS

COUNTS = np.array([90, 50, 40, 30, 20, 10, 8, 5, 3, 2, 1])
V, DIM, ROWS = len(COUNTS), 4, 30
SAMPLED = {
    "SampledSoftmax": layers.SampledSoftmax,
    "ImportanceSampling": layers.ImportanceSampling,
    "NCE": layers.NCE,
    "NegativeSampling": layers.NegativeSampling,
}
each_sampled = pytest.mark.parametrize("layer_class", SAMPLED.values(), ids=SAMPLED.keys())
each_layer = pytest.mark.parametrize("row", OUTPUT_LAYERS.values(), ids=OUTPUT_LAYERS.keys())


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 4 rows of the table and 8 hidden vectors: several of each."""
    monkeypatch.setattr(table_scores, "LARGEST_CHUNK", 32)
    monkeypatch.setattr(table_scores, "FEWEST_ROWS", 4)


def data():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(ROWS, DIM)).astype(np.float32)
    return hidden, rng.integers(0, V, ROWS).astype(np.int32)


def with_weights(layer):
    if not layer.built:
        layer.build((None, DIM), (None,))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    return layer


def expected_losses(layer, hidden, targets):
    if not isinstance(layer, layers.NegativeSampling):
        return -layer.log_probs(hidden).numpy()[np.arange(len(hidden)), targets]
    scores = np.float64(hidden) @ layer.embeddings.numpy().T
    noise = COUNTS**layer.exponent / (COUNTS**layer.exponent).sum()
    losses = []
    for row, target in zip(scores, targets, strict=True):
        others = noise * np.logaddexp(0, row)
        losses.append(
            np.logaddexp(0, -row[target]) + layer.num_sampled * (others.sum() - others[target])
        )
    return np.array(losses)


@each_sampled
def test_evaluation_is_exact(layer_class):
    layer = with_weights(layer_class(COUNTS, num_sampled=3, seed=1))
    hidden, targets = data()
    expected = expected_losses(layer, hidden, targets)
    np.testing.assert_allclose(layer(hidden, targets, training=False), expected, rtol=1e-4)
    weights = np.linspace(-1, 2, ROWS).astype(np.float32)
    np.testing.assert_allclose(
        layer(hidden, targets, weights, training=False), weights * expected, rtol=1e-4, atol=1e-5
    )
    # Blocks: each of 10 with 3 hidden vectors and 2 candidates.
    candidates = targets.reshape(15, 2)[:10]
    weights = np.random.default_rng(1).integers(-1, 3, (10, 3, 2)).astype(np.float32)
    blocks = layer(
        hidden.reshape(10, 3, DIM), candidates=candidates, weights=weights, training=False
    )
    several = np.repeat(candidates, 3, axis=0).ravel()
    pairs = expected_losses(layer, np.repeat(hidden, 2, axis=0), several)
    np.testing.assert_allclose(
        blocks, (weights * np.reshape(pairs, (10, 3, 2))).sum(-1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("layer_class", [layers.SampledSoftmax, layers.NegativeSampling])
def test_fit_and_evaluate_with_a_switch(layer_class):
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    models = {}
    for evaluation in ("exact", "sampled"):
        layer = layer_class(COUNTS, num_sampled=3, seed=1, evaluation=evaluation)
        model = models[evaluation] = keras.Model([hidden, targets], layer(hidden, targets))
        model.compile(
            keras.optimizers.SGD(0.05),
            layers.outputs_are_losses,
            metrics=[] if layer_class is layers.NegativeSampling else [metrics.Perplexity()],
        )
        with_weights(layer)
    inputs, model = list(data()), models["exact"]
    expected = expected_losses(model.layers[-1], *inputs).mean()
    for batch_size in (7, 30):
        results = model.evaluate(inputs, inputs[1], batch_size, verbose=0, return_dict=True)
        assert results["loss"] == pytest.approx(expected, rel=1e-4)
        if "perplexity" in results:
            assert results["perplexity"] == pytest.approx(np.exp(expected), rel=1e-4)
    history = model.fit(
        inputs, inputs[1], validation_data=(inputs, inputs[1]), batch_size=10, verbose=0
    ).history
    after = expected_losses(model.layers[-1], *inputs).mean()
    assert history["val_loss"][0] == pytest.approx(after, rel=1e-4)
    of_sampled = models["sampled"].evaluate(inputs, inputs[1], 30, verbose=0, return_dict=True)
    assert of_sampled["loss"] != pytest.approx(expected, rel=1e-3)
    copy = layer_class.from_config(models["sampled"].layers[-1].get_config())
    assert copy.evaluation == "sampled"
    with pytest.raises(ValueError, match="`evaluation` must be one of 'exact', 'sampled'"):
        layer_class(COUNTS, evaluation="none")


def test_skip_gram_evaluates_exactly():
    model = SkipGram(V, DIM, layers.NegativeSampling(COUNTS, seed=1), seed=1)
    model.compile()
    with_weights(model.output_layer)
    words, contexts = np.arange(V), np.arange(V)[::-1].copy()
    hidden = model.predict(words, verbose=0)
    expected = expected_losses(model.output_layer, hidden, contexts).mean()
    for batch_size in (3, V):
        loss = model.evaluate(words, contexts, batch_size=batch_size, verbose=0)
        assert loss == pytest.approx(expected, rel=1e-4)


@each_layer
def test_ranks_and_log_probs_of_targets(row):
    layer = with_weights(row.create(COUNTS))
    hidden, targets = data()
    log_probs = layer.log_probs(hidden).numpy()
    chosen = log_probs[np.arange(ROWS), targets]
    found = layer.target_log_probs(hidden, targets)
    np.testing.assert_allclose(found, chosen, rtol=1e-4, atol=1e-5)
    several = np.stack([targets, (targets + 3) % V], axis=1)
    places = (np.argsort(-log_probs, axis=1)[:, None] == several[..., None]).argmax(-1) + 1
    np.testing.assert_array_equal(layer.ranks(hidden, several), places)
    np.testing.assert_array_equal(
        layer.ranks(hidden.reshape(5, 6, DIM), targets.reshape(5, 6)), places[:, 0].reshape(5, 6)
    )
    ids, best = layer.top_k(hidden, 6)
    np.testing.assert_array_equal(ids, np.argsort(-log_probs, axis=1)[:, :6])
    np.testing.assert_allclose(best, -np.sort(-log_probs, axis=1)[:, :6], rtol=1e-4, atol=1e-5)


@each_layer
def test_arrays_for_an_index(row):
    layer = with_weights(row.create(COUNTS))
    hidden, _ = data()
    if layer.table_scores is None:
        with pytest.raises(ValueError, match="Only a layer that scores each word by a vector"):
            layer.index_vectors()
        return
    scores = layer.index_queries(hidden) @ layer.index_vectors().T
    normaliser = np.logaddexp.reduce(scores, axis=1, keepdims=True)
    np.testing.assert_allclose(scores - normaliser, layer.log_probs(hidden), rtol=1e-4, atol=1e-5)


def test_metrics_of_a_layer_in_a_compiled_model(tmp_path):
    # A model whose outputs are hidden vectors; the metrics know the layer.
    inputs, targets = data()
    layer = with_weights(layers.FullSoftmax(COUNTS))
    hidden = keras.Input((DIM,))
    states = keras.layers.Dense(DIM, kernel_initializer="identity")(hidden)
    model = keras.Model(hidden, [states, layer.log_probs(states)])
    model.compile(
        loss=[None, keras.losses.SparseCategoricalCrossentropy(from_logits=True)],
        metrics=[[metrics.Perplexity(layer), metrics.RecallAtK(3, layer)], []],
    )
    before = model.evaluate(inputs, [targets, targets], verbose=0, return_dict=True)
    log_probs = layer.log_probs(inputs).numpy()
    losses = -log_probs[np.arange(ROWS), targets]
    (perplexity,) = [value for name, value in before.items() if name.endswith("perplexity")]
    assert perplexity == pytest.approx(np.exp(losses.mean()), rel=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"'perplexity' was saved without its layer 'full_\w+'"):
        loaded.evaluate(inputs, [targets, targets], verbose=0)


def test_metrics_in_a_classifier_are_those_of_a_loaded_one(tmp_path):
    inputs, targets = data()
    hidden = keras.Input((DIM,))
    body = keras.Model(hidden, keras.layers.Dense(DIM)(hidden))
    layer = with_weights(layers.SampledSoftmax(COUNTS, num_sampled=3, seed=1))
    model = Classifier(body, layer)
    model.compile("adam", metrics=[metrics.Perplexity(layer), metrics.MeanReciprocalRank(3, layer)])
    before = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert before["perplexity"] == pytest.approx(np.exp(before["loss"]), rel=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    after = loaded.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert after == pytest.approx(before, rel=1e-6)


def test_an_ignored_id_counts_nothing():
    layer = with_weights(layers.SampledSoftmax(COUNTS, num_sampled=3, ignore_id=0))
    hidden, targets = data()
    targets[:10] = 0
    perplexity, recall = metrics.Perplexity(layer), metrics.RecallAtK(V, layer)
    for metric in (perplexity, recall):
        metric.update_state(targets, hidden)
    counted = targets != 0
    expected = expected_losses(layer, hidden[counted], targets[counted]).mean()
    assert float(perplexity.result()) == pytest.approx(np.exp(expected), rel=1e-4)
    assert float(recall.result()) == 1
    losses = layer(hidden, targets, training=False)
    np.testing.assert_array_equal(losses[:10], tf.zeros(10))
