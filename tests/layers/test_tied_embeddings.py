"""Output layers that share the table of an embedding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import layers
from kerasw2v.ops.row_gradients import record_rows
from kerasw2v.optimizers import RowSGD

from ..conformance.descriptors import OUTPUT_LAYERS

COUNTS = np.array([90, 50, 40, 30, 20, 10, 8])
V, DIM = len(COUNTS), 4
TIES = ("FullSoftmax", "SampledSoftmax", "ImportanceSampling", "NCE", "NegativeSampling")
each_tie = pytest.mark.parametrize("name", TIES)


def model_of(layer, embedding):
    tokens, targets = keras.Input((3,), dtype="int32"), keras.Input((), dtype="int32")
    hidden = keras.layers.Dense(DIM)(keras.layers.Flatten()(embedding(tokens)))
    return keras.Model([tokens, targets], layer(hidden, targets))


def data(number=40):
    words = np.random.default_rng(0).integers(0, V, (number, 1))
    return [(words + np.arange(3)) % V, (words[:, 0] + 3) % V]


@pytest.mark.parametrize(
    ("name", "embedding"),
    [("FullSoftmax", keras.layers.Embedding), ("NegativeSampling", layers.EmbeddingLookup)],
)
def test_one_table_is_trained_saved_and_loaded(name, embedding, tmp_path):
    embedding = embedding(V, DIM)
    layer = getattr(layers, name)(COUNTS, embeddings=embedding)
    model = model_of(layer, embedding)
    assert layer.embeddings is embedding.embeddings
    tables = [w for w in model.trainable_weights if w.shape == (V, DIM)]
    assert len(tables) == 1
    model.compile(keras.optimizers.Adam(0.05), layers.outputs_are_losses)
    before = embedding.embeddings.numpy()
    inputs = data()
    model.fit(inputs, inputs[1], epochs=2, batch_size=10, verbose=0)
    assert np.abs(embedding.embeddings.numpy() - before).min(axis=1).max() > 0.01
    model.save(tmp_path / "tied.keras")
    loaded = keras.saving.load_model(tmp_path / "tied.keras")
    np.testing.assert_array_equal(loaded(inputs, training=False), model(inputs, training=False))
    copy = loaded.get_layer(layer.name)
    assert copy.embeddings is loaded.get_layer(embedding.name).embeddings
    assert len([w for w in loaded.trainable_weights if w.shape == (V, DIM)]) == 1
    with pytest.warns(UserWarning, match="which no model has called. If this is a clone"):
        keras.models.clone_model(model)


@each_tie
def test_scores_are_those_of_the_shared_rows(name):
    embedding = layers.EmbeddingLookup(V, DIM, seed=1, embeddings_initializer="normal")
    embedding.build()
    tied = getattr(layers, name)(COUNTS, embeddings=embedding)
    own = getattr(layers, name)(COUNTS)
    for layer in (tied, own):
        layer.build((None, DIM), (None,))
    own.embeddings.assign(embedding.embeddings)
    hidden = np.random.default_rng(1).normal(size=(5, DIM)).astype(np.float32)
    np.testing.assert_array_equal(tied.log_probs(hidden), own.log_probs(hidden))
    np.testing.assert_array_equal(tied.index_vectors(), own.index_vectors())
    targets = np.arange(5)
    np.testing.assert_allclose(
        tied(hidden, targets, training=False), own(hidden, targets, training=False), rtol=1e-6
    )


@each_tie
def test_row_sgd_sums_both_gradients(name):
    # The gradient of a table that two layers read is the sum of those of two tables.
    embedding = layers.EmbeddingLookup(V, DIM, seed=1, embeddings_initializer="normal")
    embedding.build()
    start = embedding.embeddings.numpy()
    ids, targets = np.array([0, 2, 3]), np.array([1, 2, 0])
    changes = []
    for tied in (True, False):
        embedding.embeddings.assign(start)
        arguments = {} if name == "FullSoftmax" else {"seed": 1}
        layer = getattr(layers, name)(COUNTS, embeddings=embedding if tied else None, **arguments)
        layer.build((None, DIM), (None,))
        layer.embeddings.assign(start)
        tables = list({id(t): t for t in (embedding.embeddings, layer.embeddings)}.values())
        optimizer = RowSGD(1e-3)  # so small that no step is bounded
        optimizer.build(tables)
        with tf.GradientTape() as tape, record_rows(tape) as record:
            loss = tf.reduce_sum(layer(embedding(ids), targets))
        optimizer.apply(record.gradients(loss, tables), tables)
        changes.append(sum(table.numpy() - start for table in tables))
    np.testing.assert_allclose(changes[0], changes[1], rtol=1e-3, atol=1e-6)
    assert np.abs(changes[0]).max() > 5e-5


def test_mixed_precision_and_shards():
    lookup = layers.EmbeddingLookup(V, DIM, shards=2, dtype="mixed_bfloat16")
    plain = keras.layers.Embedding(V, DIM, dtype="mixed_bfloat16")
    for embedding in (lookup, plain):
        layer = layers.SampledSoftmax(COUNTS, embeddings=embedding, dtype="mixed_bfloat16")
        model = model_of(layer, embedding)
        model.compile(keras.optimizers.SGD(0.1), layers.outputs_are_losses)
        inputs = data()
        losses = model.fit(inputs, inputs[1], batch_size=10, epochs=2, verbose=0).history["loss"]
        assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", sorted({k.split(",")[0] for k in OUTPUT_LAYERS} - set(TIES)))
def test_layers_without_a_vector_for_each_word_refuse(name):
    embedding = layers.EmbeddingLookup(V, DIM)
    row = next(row for key, row in OUTPUT_LAYERS.items() if key.startswith(name))
    with pytest.raises(ValueError, match=f"`embeddings` must be None for {name}"):
        row.create(COUNTS, embeddings=embedding)


def test_what_does_not_fit_is_refused():
    with pytest.raises(TypeError, match=r"`embeddings` must be a keras.layers.Embedding or a"):
        layers.FullSoftmax(V, embeddings=keras.layers.Dense(3))
    with pytest.raises(ValueError, match="`embeddings` must have a row for each of 7 words"):
        layers.FullSoftmax(V, embeddings=keras.layers.Embedding(V + 1, DIM))
    with pytest.raises(ValueError, match="`shards` must be 1 where `embeddings` are shared"):
        layers.FullSoftmax(V, shards=2, embeddings=keras.layers.Embedding(V, DIM))
    unbuilt = layers.FullSoftmax(V, embeddings=keras.layers.Embedding(V, DIM))
    with pytest.raises(ValueError, match="`embeddings` must be a built layer when the output"):
        unbuilt(np.ones((2, DIM), np.float32), np.array([0, 1]))
    embedding = layers.EmbeddingLookup(V, DIM)
    embedding.build()
    with pytest.raises(ValueError, match="`hidden` must have the width of the shared `embedding"):
        layers.FullSoftmax(V, embeddings=embedding)(np.ones((2, 3), np.float32), np.array([0, 1]))
