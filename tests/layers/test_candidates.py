"""All items by their vectors: exact search, and what an index is filled with."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.layers import Candidates

V, DIM = 30, 4


def make(**arguments):
    layer = Candidates(V, DIM, **arguments)
    vectors = np.random.default_rng(0).normal(size=(V, DIM)).astype(np.float32)
    layer.assign(vectors)
    return layer, vectors


def queries(*shape):
    return np.random.default_rng(1).normal(size=(*shape, DIM)).astype(np.float32)


def scores_of(vectors, hidden, similarity="dot"):
    if similarity == "cosine":
        vectors, hidden = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (vectors, hidden))
    return hidden @ vectors.T


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_the_best_by_their_scores(similarity):
    layer, vectors = make(similarity=similarity, temperature=0.5)
    hidden = queries(2, 3)
    scores = 2 * scores_of(vectors, hidden, similarity)
    ids, best = layer(hidden, k=5)
    np.testing.assert_array_equal(ids, np.argsort(-scores, axis=-1)[..., :5])
    np.testing.assert_allclose(best, -np.sort(-scores, axis=-1)[..., :5], rtol=1e-5)
    np.testing.assert_array_equal(layer.top_k(hidden, 5)[0], ids)
    log_probs = scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
    np.testing.assert_allclose(layer.log_probs(hidden), log_probs, rtol=1e-4, atol=1e-5)
    targets = np.arange(6).reshape(2, 3)
    chosen = np.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(layer.target_log_probs(hidden, targets), chosen, rtol=1e-4)
    places = (np.argsort(-scores, axis=-1) == targets[..., None]).argmax(axis=-1) + 1
    np.testing.assert_array_equal(layer.ranks(hidden, targets), places)
    several = np.stack([targets, targets + 6], axis=-1)
    np.testing.assert_array_equal(layer.ranks(hidden, several)[..., 0], places)
    # Inner products with these arrays are the scores.
    products = layer.index_queries(hidden) @ layer.index_vectors().T
    np.testing.assert_allclose(products, scores.reshape(-1, V), rtol=1e-4, atol=1e-5)
    assert layer.index_vectors().flags["C_CONTIGUOUS"]


def test_an_inference_model_is_saved_and_exported(tmp_path):
    layer, _ = make()
    inputs = keras.Input((DIM,))
    model = keras.Model(inputs, layer(keras.layers.Dense(DIM)(inputs), k=3))
    expected = model(queries(2))
    model.save(tmp_path / "model.keras")
    for each, wanted in zip(
        keras.saving.load_model(tmp_path / "model.keras")(queries(2)), expected, strict=True
    ):
        np.testing.assert_array_equal(each, wanted)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_array_equal(served.serve(queries(2))[0], expected[0])


def test_without_vectors_there_is_a_warning_once_they_are_needed():
    layer = Candidates(V, DIM, name="items")
    with pytest.warns(UserWarning, match="^items has no vectors yet.* by `assign`"):
        layer(queries(1))
    with pytest.warns(UserWarning, match="no vectors yet"):
        tf.function(layer.log_probs)(queries(1))
    layer.vectors.assign(np.ones((V, DIM)))  # as loading does
    with warnings.catch_warnings(action="error"):
        layer(queries(1))
        keras.Model(inputs := keras.Input((DIM,)), Candidates(V, DIM)(inputs))


def test_wrong_vectors_and_sizes():
    layer, _ = make()
    with pytest.raises(ValueError, match=r"`vectors` must have shape \(30, 4\). Received: shape="):
        layer.assign(np.zeros((3, DIM)))
    with pytest.raises(ValueError, match="`vectors` must be finite"):
        layer.assign(np.full((V, DIM), np.nan))
    with pytest.raises(ValueError, match=r"`k` must be at most V = 30\. Received: k=31"):
        layer(queries(1), k=31)
    wide = np.ones((2, DIM + 1), np.float32)
    for ask in (layer, layer.log_probs, lambda hidden: layer.ranks(hidden, [0, 1])):
        with pytest.raises(ValueError, match="`hidden` must be vectors of width 4, that of the"):
            ask(wide)
    with pytest.raises(ValueError, match="`vocabulary_size` must be at least 1"):
        Candidates(0, DIM)
    with pytest.raises(ValueError, match="`similarity` must be one of"):
        Candidates(V, DIM, similarity="l2")
