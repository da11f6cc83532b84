"""Models that grow, and that start from other vectors."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from gensim.models import KeyedVectors

from kerasw2v import (
    CBOW,
    SkipGram,
    Vocabulary,
    block_dataset,
    grow,
    layers,
    optimizers,
    read_corpus,
    to_keyed_vectors,
    warm_start,
)

from .conformance.descriptors import OUTPUT_LAYERS

DIM = 6
OLD = Vocabulary([f"w{i}" for i in range(12)], [90, 50, 40, 30, 25, 20, 9, 8, 7, 6, 5, 4])
# New words everywhere in the order; old words change their places too.
ADDED = Vocabulary(
    ["n0", "w5", "n1", "w11", "n2", "w0", "n3", "n4"], [200, 80, 45, 40, 30, 20, 7, 1]
)
NEW = OLD.merge(ADDED)
PLACES = NEW.lookup(OLD.words)  # where the old words are now
ONE_OF_EACH = {type(row.create(OLD.counts)).__name__: name for name, row in OUTPUT_LAYERS.items()}
# The logits of all old words stay, whatever the new words get.
KEEP_LOGITS = ("FullSoftmax", "Importance", "Sampled", "NCE", "Negative", "Hierarchical", "Embed")


def with_weights(layer, **arguments):
    """A model whose weights are random numbers, as if it had learnt something."""
    model = SkipGram(len(OLD), DIM, layer, window=2, seed=3, **arguments)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return model


def trained(optimizer):
    """A CBOW model after four steps."""
    model = CBOW(len(OLD), DIM, layers.FullSoftmax(len(OLD)), seed=3)
    model.compile(optimizer, run_eagerly=True)
    contexts = np.random.default_rng(0).integers(len(OLD), size=(4, 8, 3))
    for batch in contexts:
        model.train_on_batch(batch, batch[:, 0])
    return model


def grown_in_silence(model, vocabulary=NEW):
    with warnings.catch_warnings(action="ignore"):
        return grow(model, OLD, vocabulary)


def array(variable):
    return np.asarray(tf.convert_to_tensor(variable.value))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_output_layer_grows(name):
    layer = OUTPUT_LAYERS[ONE_OF_EACH[name]].create(OLD.counts)
    model = with_weights(layer)
    before = array(model.embedding.embeddings)
    grown = grown_in_silence(model)
    after = array(grown.embedding.embeddings)
    np.testing.assert_array_equal(after[PLACES], before)
    np.testing.assert_array_equal(array(model.embedding.embeddings), before)
    hidden = np.random.default_rng(1).normal(size=(4, DIM)).astype(np.float32)
    log_probs = grown.output_layer.log_probs(hidden).numpy()
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-5)
    if name.startswith(KEEP_LOGITS) or name == "SumOfLosses":
        change = log_probs[:, PLACES] - layer.log_probs(hidden).numpy()
        np.testing.assert_allclose(change, change[:, :1].repeat(len(OLD), axis=1), atol=1e-4)
    config = keras.saving.serialize_keras_object(grown.output_layer)
    assert keras.saving.deserialize_keras_object(config).vocabulary_size == len(NEW)


def test_noise_follows_the_new_counts():
    grown = grow(with_weights(layers.NegativeSampling(OLD.counts, seed=1)), OLD, NEW)
    fresh = SkipGram(len(NEW), DIM, layers.NegativeSampling(NEW.counts, seed=1))
    for old, new in zip(
        grown.output_layer.non_trainable_variables,
        fresh.output_layer.non_trainable_variables,
        strict=True,
    ):
        if "noise" in new.name:
            np.testing.assert_array_equal(array(old), array(new))


class TestStructures:
    def test_huffman_tree_stays_whole(self):
        layer = layers.HierarchicalSoftmax(OLD.counts, dense_rows=4)
        model = with_weights(layer)
        grown = grow(model, OLD, NEW).output_layer
        hidden = np.random.default_rng(2).normal(size=(3, DIM)).astype(np.float32)
        probs = np.exp(grown.log_probs(hidden).numpy())
        old = np.exp(layer.log_probs(hidden).numpy())
        share = probs[:, PLACES].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probs[:, PLACES], share * old, rtol=1e-4)
        # Above the old tree every node is untrained: halves.
        np.testing.assert_allclose(np.log2(share), np.round(np.log2(share)), atol=1e-5)
        assert (share >= 0.25).all()

    def test_a_tree_of_one_word(self):
        one = Vocabulary(["a"], [3])
        model = SkipGram(1, DIM, layers.HierarchicalSoftmax(one.counts))
        grown = grow(model, one, one.merge(Vocabulary(["b", "c"], [5, 1])))
        probs = np.exp(grown.output_layer.log_probs(np.ones((1, DIM))).numpy())
        np.testing.assert_allclose(sorted(probs[0]), [0.25, 0.25, 0.5], atol=1e-6)

    def test_classes_stay_and_new_words_join_their_neighbours(self):
        layer = layers.ClassSoftmax(OLD.counts, num_classes=3)
        model = with_weights(layer)
        grown = grow(model, OLD, NEW).output_layer
        classes = grown.classes
        np.testing.assert_array_equal(classes[PLACES], array(layer._class_of))
        np.testing.assert_array_equal(array(grown.class_embeddings), array(layer.class_embeddings))
        known = set(PLACES.tolist())
        for place in set(range(len(NEW))) - known:
            before = [p for p in known if p < place] or [min(known)]
            assert classes[place] == classes[max(before)]

    def test_adaptive_words_that_stay_in_their_cluster_keep_their_rows(self):
        layer = layers.AdaptiveSoftmax(OLD.counts, cutoffs=[3, 7], min_projection_dim=2, seed=1)
        model = with_weights(layer)
        edges = [0, 3, 7, len(NEW)]
        clusters = {word: np.searchsorted(edges, i, "right") for i, word in enumerate(NEW.words)}
        old = {w: np.searchsorted([0, 3, 7, len(OLD)], i, "right") for i, w in enumerate(OLD.words)}
        moved = sum(clusters[word] != old[word] for word in OLD.words)
        assert moved
        with pytest.warns(UserWarning, match=f"{moved} of 12 words change their cluster in "):
            grown = grow(model, OLD, NEW).output_layer
        tables = dict(enumerate([layer.head, *layer.tails], 1))
        new_tables = dict(enumerate([grown.head, *grown.tails], 1))
        for place, word in enumerate(NEW.words):
            row = array(new_tables[clusters[word]])[place - edges[clusters[word] - 1]]
            if old.get(word) == clusters[word]:
                start = [0, 3, 7][old[word] - 1]
                expected = array(tables[old[word]])[OLD.index(word) - start]
                np.testing.assert_array_equal(row, expected)
            else:
                np.testing.assert_array_equal(row, 0)
        np.testing.assert_array_equal(array(grown.head)[3:], array(layer.head)[3:])
        for mine, theirs in zip(grown.projections, layer.projections, strict=True):
            np.testing.assert_array_equal(array(mine), array(theirs))

    @pytest.mark.parametrize("memory", [0, 3])
    def test_codes_stay_where_all_new_words_are_rarer(self, memory):
        layer = layers.BinaryCode(OLD.counts, num_frequent=2, code_memory=memory)
        model = with_weights(layer)
        rare = OLD.merge(Vocabulary([f"r{i}" for i in range(20)], [1] * 20))
        with warnings.catch_warnings(action="error"):
            grown = grow(model, OLD, rare).output_layer
        old_bits, bits = array(layer.bits), array(grown.bits)
        np.testing.assert_array_equal(bits[: len(old_bits)], old_bits)
        np.testing.assert_array_equal(bits[len(old_bits) :], 0)
        np.testing.assert_array_equal(array(grown.head.embeddings), array(layer.head.embeddings))

    def test_codes_start_anew_with_a_warning(self):
        layer = layers.BinaryCode(OLD.counts, num_frequent=3)
        model = with_weights(layer)
        with pytest.warns(UserWarning, match="vectors of their bits start anew"):
            grown = grow(model, OLD, NEW).output_layer
        np.testing.assert_array_equal(array(grown.bits), 0)
        for place, word in enumerate(NEW.words[:3]):
            row = array(grown.head.embeddings)[place]
            is_kept = word in OLD.words[:3]
            old = array(layer.head.embeddings)[OLD.words.index(word)] if is_kept else 0
            np.testing.assert_array_equal(row, old)

    def test_a_layer_that_is_tied_is_refused(self):
        embedding = layers.EmbeddingLookup(len(OLD), DIM)
        embedding.build()
        layer = layers.FullSoftmax(OLD.counts, embeddings=embedding)
        model = SkipGram(len(OLD), DIM, layer)
        with pytest.raises(ValueError, match="`embeddings` must be None for an output layer that"):
            grow(model, OLD, NEW)


class TestOptimizer:
    @pytest.mark.parametrize(
        "optimizer",
        [optimizers.RowAdagrad, optimizers.RowAdam, keras.optimizers.Adam],
        ids=["RowAdagrad", "RowAdam", "Adam"],
    )
    def test_slots_go_with_their_rows(self, optimizer):
        """A step of words that are known moves their rows exactly as in the old model."""
        model = trained(optimizer(0.1))
        grown = grow(model, OLD, NEW)
        assert int(grown.optimizer.iterations) == int(model.optimizer.iterations) == 4
        contexts, words = np.array([[0, 5], [11, 2]]), np.array([3, 7])
        # With an untrained new word's row apart, the softmax differs: so only the input rows of
        # words whose gradient is zero tell of the slots alone.
        before = [array(each.embedding.embeddings)[rows] for each, rows in both(model, grown)]
        zero = np.zeros(2, np.float32)
        model.train_on_batch(contexts, words, zero)
        grown.train_on_batch(PLACES[contexts], PLACES[words], zero)
        after = [array(each.embedding.embeddings)[rows] for each, rows in both(model, grown)]
        np.testing.assert_allclose(after[1] - before[1], after[0] - before[0], atol=1e-7)
        np.testing.assert_array_equal(before[0], before[1])
        if optimizer is not optimizers.RowAdagrad:
            assert np.abs(after[0] - before[0]).max() > 1e-3  # what the moments still move

    def test_a_schedule_goes_on(self):
        schedule = optimizers.linear_decay(0.1, steps_per_epoch=4, epochs=2)
        model = trained(optimizers.RowSGD(schedule))
        rate = float(model.optimizer.learning_rate)
        grown = grow(model, OLD, NEW)
        assert float(grown.optimizer.learning_rate) == rate < 0.1
        grown.compile(optimizers.RowSGD(schedule))
        assert float(grown.optimizer.learning_rate) == pytest.approx(0.1)

    def test_a_model_that_is_not_compiled(self):
        model = SkipGram(len(OLD), DIM, layers.FullSoftmax(len(OLD)))
        assert not grow(model, OLD, NEW).compiled


def both(model, grown):
    return [(model, np.arange(len(OLD))), (grown, PLACES)]


def test_tables_in_shards():
    layer = layers.NegativeSampling(OLD.counts, seed=1, shards=2)
    model = with_weights(layer, shards=3)
    model.compile(optimizers.RowAdagrad(0.1))
    model.optimizer.build(model.trainable_variables)
    slots = [each for each in model.optimizer.variables if each.shape.rank == 2]
    for slot, variable in zip(slots, model.trainable_variables, strict=True):
        slot.assign(variable)
    grown = grow(model, OLD, NEW)
    new_slots = [each for each in grown.optimizer.variables if each.shape.rank == 2]
    for slot, variable in zip(new_slots, grown.trainable_variables, strict=True):
        known = np.isin(array(slot), np.concatenate([array(s).ravel() for s in slots])).all(axis=1)
        np.testing.assert_array_equal(array(slot)[known], array(variable)[known])
        assert known.any()
    assert grown.embedding.shards == 3
    for old, new in (
        (model.embedding.table, grown.embedding.table),
        (layer.embeddings, grown.output_layer.embeddings),
    ):
        np.testing.assert_array_equal(new.numpy()[PLACES], old.numpy())


def test_new_words_do_not_start_where_old_ones_did():
    """Else a rare old word and a new one would be near each other for no reason."""
    model = SkipGram(len(OLD), DIM, layers.FullSoftmax(len(OLD)), seed=3)
    table = array(grow(model, OLD, NEW).embedding.embeddings)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = unit @ unit.T - np.eye(len(NEW))
    assert cosines.max() < 0.999


def test_new_words_learn_and_old_ones_keep_what_they_know():
    rng = np.random.default_rng(0)
    topics = ["cat dog milk purr bark tail", "tax bank money loan rate credit"]
    texts = [[rng.choice(topics[i % 2].split(), 12).tolist() for i in range(200)]]
    more = [f"{topics[0]} kitten", f"{topics[1]} invoice"]
    texts.append([rng.choice(more[i % 2].split(), 12).tolist() for i in range(200)])
    vocabulary, tokens = read_corpus(texts[0], min_count=1)
    layer = layers.NegativeSampling(vocabulary.counts, seed=1)
    model = SkipGram(len(vocabulary), 16, layer, seed=1)
    fit(model, tokens, vocabulary)
    merged = vocabulary.merge(Vocabulary.from_corpus(texts[1], min_count=1))
    grown = grow(model, vocabulary, merged)
    fit(grown, texts[1], merged)
    vectors = to_keyed_vectors(grown, merged)
    for word, topic in (("kitten", 0), ("invoice", 1)):
        near = [near for near, _ in vectors.most_similar(word, topn=6)]
        assert sorted(near) == sorted(topics[topic].split())


def fit(model, tokens, vocabulary):
    dataset = block_dataset(tokens, vocabulary, sample=0, batch_size=64, seed=1)
    model.compile(optimizers.RowSGD(optimizers.linear_decay(0.05, len(dataset), 8)))
    model.fit(dataset, epochs=8, verbose=0)


class TestRefused:
    def test_by_grow(self):
        model = SkipGram(len(OLD), DIM, layers.FullSoftmax(len(OLD)))
        with pytest.raises(ValueError, match=r"`new_vocabulary` must have all words.*'w1'"):
            grow(model, OLD, ADDED)
        with pytest.raises(ValueError, match="`vocabulary` must be the one the model was made for"):
            grow(model, NEW, NEW)
        with pytest.raises(TypeError, match="`new_vocabulary` must be a"):
            grow(model, OLD, NEW.words)
        with pytest.raises(TypeError, match="`model` must be a"):
            grow(keras.Sequential(), OLD, NEW)

    def test_by_warm_start(self):
        model = SkipGram(len(OLD), DIM, layers.HierarchicalSoftmax(OLD.counts))
        before = array(model.embedding.embeddings)
        wrong = KeyedVectors(4)
        wrong.add_vectors(["w0"], np.ones((1, 4)))
        with pytest.raises(ValueError, match=r"`vectors` must have the width.* 6\. Received.* 4"):
            warm_start(model, OLD, wrong)
        with pytest.raises(ValueError, match=r"`vectors` must have at least one word.*'x'"):
            warm_start(model, OLD, keyed(["x"]))
        with pytest.raises(ValueError, match="`table` must be 'input'"):
            warm_start(model, OLD, keyed(["w0"]), table="output")
        with pytest.raises(ValueError, match="`vocabulary` must be the one"):
            warm_start(model, NEW, keyed(["w0"]))
        np.testing.assert_array_equal(array(model.embedding.embeddings), before)


def keyed(words):
    vectors = KeyedVectors(DIM)
    vectors.add_vectors(words, np.random.default_rng(5).normal(size=(len(words), DIM)))
    return vectors


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("table", ["input", "output"])
def test_warm_start_sets_the_words_that_are_known(table, shards):
    layer = layers.NegativeSampling(OLD.counts, shards=shards)
    model = SkipGram(len(OLD), DIM, layer, shards=shards)
    before = to_keyed_vectors(model, OLD, table=table).vectors
    vectors = keyed(["w7", "strange", "w1"])
    assert warm_start(model, OLD, vectors, table=table) == 2
    after = to_keyed_vectors(model, OLD, table=table)
    for place, word in enumerate(OLD.words):
        expected = vectors[word] if word in vectors else before[place]
        np.testing.assert_array_equal(after[word], expected)


def test_a_model_goes_on_from_its_two_exports():
    model = with_weights(layers.NegativeSampling(OLD.counts, seed=1))
    fresh = SkipGram(len(OLD), DIM, layers.NegativeSampling(OLD.counts, seed=1))
    for table in ("input", "output"):
        assert warm_start(fresh, OLD, to_keyed_vectors(model, OLD, table=table), table) == len(OLD)
    hidden = np.ones((1, DIM), np.float32)
    np.testing.assert_array_equal(
        fresh.output_layer.log_probs(hidden), model.output_layer.log_probs(hidden)
    )


class TestMerge:
    def test_counts_are_those_of_both_texts(self):
        texts = [["a", "b", "a"], ["c"]], [["b", "d", "b"]]
        parts = [Vocabulary.from_corpus(text, min_count=1) for text in texts]
        merged = parts[0].merge(parts[1])
        whole = Vocabulary.from_corpus([*texts[0], *texts[1]], min_count=1)
        assert merged == whole
        assert (merged.corpus_words, merged.corpus_sentences) == (7, 3)

    def test_words_that_were_left_out_count_in_the_corpus(self):
        merged = Vocabulary(["a"], [3], corpus_words=10).merge(Vocabulary(["a"], [1], 2, 1))
        assert (merged.counts.tolist(), merged.corpus_words) == ([4], 12)
        assert merged.corpus_sentences is None

    def test_of_something_else(self):
        with pytest.raises(TypeError, match="`other` must be a"):
            OLD.merge(["a"])
