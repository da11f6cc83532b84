"""SubwordLookup against NumPy, finite differences, and EmbeddingLookup."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import (
    CBOW,
    SkipGram,
    block_dataset,
    grow,
    optimizers,
    to_keyed_vectors,
    warm_start,
)
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.layers import (
    EmbeddingLookup,
    FullSoftmax,
    HierarchicalSoftmax,
    NegativeSampling,
    SubwordLookup,
)
from kerasw2v.ops.row_gradients import record_rows

# A word without subwords, one that has a subword twice, and two that share one.
SUBWORDS = [[1, 2, 2], [0], [], [3, 1]]
MEMBERS = np.array([[0, 1, 2, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]])
SHARES = 1 / (1 + MEMBERS.sum(1))


def built(**kwargs):
    layer = SubwordLookup(SUBWORDS, 4, 3, **{"seed": 1, **kwargs})
    layer.build()
    return layer


def expected_vectors(layer):
    own = np.asarray(tf.convert_to_tensor(layer.table.value))
    return SHARES[:, None] * (own + MEMBERS @ layer.subword_embeddings.numpy())


@pytest.mark.parametrize("shards", [1, 2])
def test_means_of_rows(shards):
    layer = built(shards=shards)
    vectors, ids = expected_vectors(layer), np.array([[3, 0, 3], [2, 1, 3]])
    np.testing.assert_allclose(layer.embeddings, vectors, atol=1e-6)
    np.testing.assert_allclose(layer(ids), vectors[ids], atol=1e-6)
    np.testing.assert_allclose(tf.function(layer)(tf.constant(ids)), vectors[ids], atol=1e-6)
    rows, words, indices = layer.distinct_rows(tf.constant(ids, tf.int32))
    assert words.numpy()[:4].tolist() == [3, 0, 2, 1]
    np.testing.assert_allclose(tf.gather(rows, indices), vectors[ids], atol=1e-6)


def test_combined_vectors_and_padding():
    layer = built(combiner="sum", mask_negative=True)
    vectors = expected_vectors(layer)
    out = layer(np.array([[3, -1, 0], [-1, -1, -1]]))
    np.testing.assert_allclose(out, [vectors[3] + vectors[0], np.zeros(3)], atol=1e-6)


def test_the_tables_start_apart():
    layer = built(embeddings_initializer=keras.initializers.RandomUniform(seed=5))
    assert (layer.table.numpy() != layer.subword_embeddings.numpy()).all()


def gradients_of(layer, ids, upstream):
    """The gradients of both tables as arrays, and what they are as a record has them."""
    tables = layer.trainable_variables
    with tf.GradientTape() as tape, record_rows(tape) as record:
        layer.add_mass(ids, tf.ones_like(ids, tf.float32))
        loss = tf.reduce_sum(layer(ids) * upstream)
    sparse = record.gradients(loss, tables)
    arrays = []
    for table, gradient in zip(tables, sparse, strict=True):
        array = np.zeros(table.shape)
        for slices in (each.rows() for each in gradient.slices):
            np.add.at(array, slices.ids.numpy(), slices.values.numpy())
        arrays.append(array)
    return arrays, sparse


IDS = np.array([[3, 0], [3, 2]], np.int32)
UPSTREAM = np.random.default_rng(0).normal(size=(2, 2, 3)).astype(np.float32)


def errors_of_words():
    errors = np.zeros((4, 3))
    np.add.at(errors, IDS, UPSTREAM)
    return errors


@pytest.mark.parametrize("gradient", ["word2vec", "exact"])
def test_gradients_and_masses(gradient):
    (own, subwords), sparse = gradients_of(built(gradient=gradient), tf.constant(IDS), UPSTREAM)
    shares = SHARES if gradient == "exact" else np.ones(4)
    errors = shares[:, None] * errors_of_words()
    np.testing.assert_allclose(own, errors, atol=1e-6)
    np.testing.assert_allclose(subwords, MEMBERS.T @ errors, atol=1e-6)
    masses = shares * np.bincount(IDS.ravel(), minlength=4)
    np.testing.assert_allclose(sparse[0].mass.total(4), masses, atol=1e-6)
    np.testing.assert_allclose(sparse[1].mass.total(4), MEMBERS.T @ masses, atol=1e-6)


def test_exact_gradient_by_finite_differences():
    layer = built(gradient="exact")
    (_, subwords), _ = gradients_of(layer, tf.constant(IDS), UPSTREAM)
    table = layer.subword_embeddings
    for row, column in ((1, 0), (2, 2)):
        losses = []
        for step in (0.5, -0.5):
            table.assign(
                table.numpy() + step * (np.indices((4, 3)) == [[[row]], [[column]]]).all(0)
            )
            losses.append(float(tf.reduce_sum(layer(IDS) * UPSTREAM)))
            table.assign(
                table.numpy() - step * (np.indices((4, 3)) == [[[row]], [[column]]]).all(0)
            )
        assert losses[0] - losses[1] == pytest.approx(subwords[row, column], abs=1e-4)


def test_gradient_of_a_plain_tape_is_sparse():
    layer = built()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(IDS) * UPSTREAM)
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
    np.testing.assert_allclose(
        tf.convert_to_tensor(gradients[1]), MEMBERS.T @ errors_of_words(), atol=1e-6
    )


SENTENCES = [["a", "rose", "is", "a", "rose", "red"], ["is", "a", "rose"]] * 6
VOCABULARY = Vocabulary.from_corpus(SENTENCES, min_count=1)


@pytest.mark.parametrize("model_class", [SkipGram, CBOW])
@pytest.mark.parametrize("layer_class", [NegativeSampling, HierarchicalSoftmax])
def test_without_subwords_a_model_learns_as_with_an_embedding(model_class, layer_class):
    arguments = {"seed": 1} if layer_class is NegativeSampling else {}
    tables = []
    for embedding in (SubwordLookup([[]] * 4, 1, 3, seed=7), EmbeddingLookup(4, 3, seed=7)):
        layer = layer_class(VOCABULARY.counts, **arguments)
        model = model_class(4, 3, layer, window=2, seed=7, embedding=embedding)
        model.compile(optimizers.RowSGD(0.1))
        dataset = block_dataset(SENTENCES, VOCABULARY, window=2, batch_size=32, sample=0, seed=1)
        before = model.embedding.table.numpy()
        model.fit(dataset, epochs=2, verbose=0)
        tables.append(model.embedding.table.numpy())
        assert (tables[-1] != before).any()
    np.testing.assert_allclose(*tables, atol=1e-6)


def test_a_step_of_a_model_is_that_of_numpy():
    """Full softmax on plain pairs, small enough that no step is bounded."""
    layer, rate = built(), 0.05
    output = FullSoftmax(4)
    model = SkipGram(4, 3, output, embedding=layer)
    model.compile(optimizers.RowSGD(rate))
    targets = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    output.embeddings.assign(targets)
    own, subwords = layer.table.numpy(), layer.subword_embeddings.numpy()
    centres, contexts = np.array([0, 3]), np.array([1, 2])
    hidden = expected_vectors(layer)[centres]
    chances = np.exp(hidden @ targets.T)
    chances /= chances.sum(1, keepdims=True)
    errors = (chances - np.eye(4)[contexts]) @ targets
    model.fit(centres, contexts, batch_size=2, verbose=0)
    by_word = np.zeros((4, 3))
    by_word[centres] = errors
    np.testing.assert_allclose(layer.table, own - rate * by_word, atol=1e-6)
    np.testing.assert_allclose(
        layer.subword_embeddings, subwords - rate * MEMBERS.T @ by_word, atol=1e-6
    )


LONG = np.random.default_rng(0).integers(0, 50, (90, 4)).tolist()


@pytest.mark.parametrize("subwords", [SUBWORDS, LONG], ids=["short", "long"])
def test_models_are_saved_whole(subwords, tmp_path):
    size = len(subwords)
    embedding = SubwordLookup(subwords, 50, 3, seed=2)
    model = SkipGram(size, 3, NegativeSampling(size), embedding=embedding)
    model.save(tmp_path / "model.keras")
    vectors = embedding.embeddings.numpy()
    config = embedding.get_config()
    del model, embedding
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.embedding, SubwordLookup)
    np.testing.assert_array_equal(loaded.embedding.embeddings, vectors)
    assert loaded.embedding.get_config() == config


def test_a_config_of_many_subwords_is_followed_or_refused():
    layer = SubwordLookup(LONG, 50, 3, seed=2)
    assert len(str(layer.get_config())) < 1000
    copy = SubwordLookup.from_config(layer.get_config())
    np.testing.assert_array_equal(copy(np.arange(90)), layer(np.arange(90)))
    config = layer.get_config()
    config["subwords"]["sha256"] = "0" * 64  # of no layer here
    orphan = SubwordLookup.from_config(config)
    with pytest.raises(ValueError, match="`subwords` must be given, or come with weights"):
        orphan(np.arange(3))
    orphan.set_weights(layer.get_weights())
    np.testing.assert_array_equal(orphan(np.arange(90)), layer(np.arange(90)))


def test_from_words():
    layer = SubwordLookup.from_words(["rose", "roses"], 3, bucket=500, seed=1)
    layer.build()
    assert (layer.vocabulary_size, layer.num_subwords) == (2, 500)
    assert layer.embeddings.shape == (2, 3)


def test_no_layer_can_be_tied_to_it():
    with pytest.raises(ValueError, match=r"one row for each word, not a SubwordLookup"):
        FullSoftmax(4, embeddings=built())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"subwords": [[0], [1, 4]]},
            "`subwords` must be ids from 0 to 3. Received: subwords[1][1]=4.",
        ),
        ({"subwords": [[0], [-1]]}, "Received: subwords[1][0]=-1."),
        ({"subwords": []}, "`subwords` must be those of one word or more"),
        ({"num_subwords": 0}, "`num_subwords` must be at least 1. Received"),
        ({"gradient": "true"}, "`gradient` must be one of 'word2vec', 'exact'. Received"),
    ],
)
def test_bad_values(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        SubwordLookup(**{"subwords": SUBWORDS, "num_subwords": 4, "embedding_dim": 3, **arguments})


@pytest.mark.parametrize("subwords", [5, "rose", [1, 2], [["a"]], [[0.5]], [[[1]]]])
def test_bad_types(subwords):
    with pytest.raises(TypeError, match=r"^`subwords` must have a list of "):
        SubwordLookup(subwords, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"embedding": SubwordLookup(SUBWORDS, 4, 5)}, "`embedding` must have the model's sizes."),
        ({"embedding": EmbeddingLookup(4, 3, combiner="sum")}, "`embedding` must have no combiner"),
        ({"embedding": EmbeddingLookup(4, 3), "shards": 2}, "`shards` must not be given with"),
    ],
)
def test_models_refuse_other_embeddings(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        SkipGram(4, 3, FullSoftmax(4), **arguments)
    with pytest.raises(TypeError, match=r"`embedding` must be a kerasw2v\.layers\.Emb"):
        CBOW(4, 3, FullSoftmax(4), embedding=keras.layers.Embedding(4, 3))


def test_such_a_model_is_not_grown_in_silence():
    model = SkipGram(4, 3, FullSoftmax(4), embedding=built())
    with pytest.raises(ValueError, match=r"`model` must have an embedding of its own.*SubwordL"):
        grow(model, VOCABULARY, VOCABULARY)
    with pytest.raises(ValueError, match=r"`model` must have an embedding of its own"):
        warm_start(model, VOCABULARY, to_keyed_vectors(model, VOCABULARY))
