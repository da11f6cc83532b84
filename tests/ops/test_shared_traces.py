"""Models that look alike run by one trace, each on its own variables."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Word2Vec, block_dataset, layers, optimizers, read_corpus
from kerasw2v.layers import config_arrays
from kerasw2v.model_traces import shared_trace
from kerasw2v.ops import shared_traces
from kerasw2v.ops.shared_traces import Place, SharedTrace

SENTENCES = [[f"w{(7 * i * j) % 30}" for j in range(12)] for i in range(60)]


@pytest.fixture
def steps(monkeypatch):
    """Names of the classes of models whose training step is traced."""
    traced = []
    for kind in (SkipGram, CBOW):

        def step(model, data, original=kind.train_step):
            traced.append(type(model).__name__)
            return original(model, data)

        monkeypatch.setattr(kind, "train_step", step)
    return traced


def fitted(kind=SkipGram, layer=layers.NegativeSampling, seed=1, epochs=1, **arguments):
    vocabulary, tokens = read_corpus(SENTENCES, min_count=1)
    arguments = {"window": 2, "seed": seed, **arguments}
    if not isinstance(layer, layers.OutputLayer):
        layer = layer(vocabulary.counts, seed=3)
    model = kind(len(vocabulary), 8, layer, **arguments)
    model.compile(optimizers.RowSGD(0.05))
    blocks = block_dataset(
        tokens, vocabulary, window=2, halo=model.halo, sample=0, batch_size=128, seed=5
    )
    model.fit(blocks, epochs=epochs, verbose=0)
    return model


def arrays(model):
    return [tf.convert_to_tensor(variable).numpy() for variable in model.variables]


@pytest.mark.parametrize("kind", [SkipGram, CBOW])
def test_a_second_model_traces_nothing_and_learns_as_if_it_were_alone(kind, steps):
    first = fitted(kind, seed=1)
    before = arrays(first)
    second = fitted(kind, seed=2, epochs=2)
    assert steps == [kind.__name__]
    for left, right in zip(before, arrays(first), strict=True):
        np.testing.assert_array_equal(left, right)
    shared_traces.forget_traces()
    alone = fitted(kind, seed=2, epochs=2)
    assert len(steps) == 2
    for left, right in zip(arrays(second), arrays(alone), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    "change", [{"window": 3, "halo": 2}, {"shrink_windows": False}, {"kind": CBOW}]
)
def test_whatever_changes_a_step_gets_a_trace_of_its_own(change, steps):
    fitted()
    fitted(**change)
    assert len(steps) == 2


def test_numbers_of_noise_words_and_frozen_tables_too(steps):
    fitted()
    fitted(layer=lambda counts, seed: layers.NegativeSampling(counts, num_sampled=7, seed=seed))
    frozen = SkipGram(30, 8, layers.NegativeSampling(30, seed=3), window=2)
    frozen.embedding.trainable = False
    before = arrays(frozen)[1]
    frozen.compile(optimizers.RowSGD(0.05))
    vocabulary, tokens = read_corpus(SENTENCES, min_count=1)
    blocks = block_dataset(tokens, vocabulary, window=2, sample=0, batch_size=128, seed=5)
    frozen.fit(blocks, verbose=0)
    assert len(steps) == 3
    np.testing.assert_array_equal(before, arrays(frozen)[1])


def test_classes_of_others_do_not_share():
    """Their configs may not say what their steps do."""

    class Doubled(layers.NegativeSampling):
        factor = 1.0

        def block_loss(self, hidden, candidates, weights):
            return self.factor * super().block_loss(hidden, candidates, weights)

    results = []
    for factor in (1.0, 0.0):
        layer = Doubled(30, seed=3)
        layer.factor = factor
        results.append(fitted(layer=layer))
    assert not shared_traces._traces
    assert arrays(results[0])[2].any()
    assert not arrays(results[1])[2].any()


def test_a_layer_with_a_method_of_its_own_shares_nothing():
    model = SkipGram(30, 8, layers.NegativeSampling(30, seed=3), window=2)
    model.compile(optimizers.RowSGD(0.05))
    assert shared_trace(model, "train_step") is not None
    model.output_layer.block_loss = lambda *given: None
    assert shared_trace(model, "train_step") is None


@pytest.mark.parametrize("kind", ["NegativeSampling", "HierarchicalSoftmax", "both", "subwords"])
def test_no_pass_over_what_grows_with_the_vocabulary(monkeypatch, kind):
    counts = np.arange(1000, 0, -1)
    embedding = None
    if kind == "subwords":
        embedding = layers.SubwordLookup([[0]] * 1000, 5, 4)
    output = layers.NegativeSampling(counts, num_sampled=2)
    if kind == "HierarchicalSoftmax":
        output = layers.HierarchicalSoftmax(counts)
    elif kind == "both":
        output = layers.SumOfLosses([output, layers.HierarchicalSoftmax(counts)])
    model = SkipGram(1000, 4, output, embedding=embedding)
    model.compile(optimizers.RowSGD(0.05))
    monkeypatch.setattr(config_arrays, "_digest", None)  # of counts, trees and subwords
    assert shared_trace(model, "train") is not None


def test_after_clear_session(steps):
    expected = arrays(fitted())
    keras.backend.clear_session()
    for left, right in zip(expected, arrays(fitted()), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_trace_keeps_no_model_alive():
    model = fitted()
    assert [traced for traced in shared_traces._traces.values() if traced is not None]
    table = weakref.ref(model.embedding.embeddings)
    del model
    gc.collect()
    assert table() is None


def test_many_models_leave_nothing_behind(steps):
    """Neither traces nor graphs: `Word2Vec` of one shape after another."""
    counts = []
    for number in range(24):
        Word2Vec(SENTENCES[:8], vector_size=4, min_count=1, window=2, epochs=1, seed=number)
        if number in (3, 23):
            gc.collect()
            counts.append(sum(isinstance(each, tf.Graph) for each in gc.get_objects()))
    assert steps == ["CBOW"]
    assert counts[0] == counts[1]


class Counter:
    def __init__(self, other=None):
        self.variable = tf.Variable(0)
        self.other = other
        self.add = tf.function(self._add)

    def _add(self, number):
        self.variable.assign_add(number)
        if self.other is not None:
            self.variable.assign_add(self.other)
        return tf.identity(self.variable)

    def run(self, number, option=None):
        shared = SharedTrace("counter", [Place(self, "variable")])
        return int(shared.run(option, self.add, tf.constant(number)))


def test_variables_are_those_of_the_model_that_runs():
    one, two = Counter(), Counter()
    assert [one.run(2), two.run(5), one.run(2)] == [2, 5, 4]
    assert len(shared_traces._traces) == 1


def test_a_function_that_reads_anything_else_runs_as_it_is():
    one, two = Counter(tf.Variable(10)), Counter(tf.Variable(20))
    assert [one.run(1), two.run(1), one.run(1)] == [11, 21, 22]


def test_few_traces_are_kept():
    counter = Counter()
    for option in range(40):
        counter.run(1, option)
    assert len(shared_traces._traces) == shared_traces._MOST_TRACES
    assert counter.run(1, 0) == 41
