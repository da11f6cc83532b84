"""What ImportanceSampling, SampledSoftmax and NCE have in common."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Vocabulary, block_dataset
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.layers.importance_sampling import ImportanceSampling
from kerasw2v.layers.nce import NCE
from kerasw2v.layers.sampled_softmax import SampledSoftmax
from kerasw2v.ops import noise
from kerasw2v.ops.row_gradients import as_slices, record_rows
from kerasw2v.optimizers import RowSGD

COUNTS = np.array([40, 20, 20, 10, 6, 3, 0])
V, DIM, K = len(COUNTS), 4, 5
# What a term of a word that is seldom in the sample counts for, with 100 terms and 10 noise words:
# as a rare word's `(100 / 10 / 8) ** 2` times, and 4 times as a softmax' or as often as that again.
TERMS = {ImportanceSampling: 4.0 * 4.0, SampledSoftmax: 4.0 * 1.25**2, NCE: 1.25**2 * 1.25**2}
LAYERS = list(TERMS)

each_layer = pytest.mark.parametrize("layer_class", LAYERS)
each_draw = pytest.mark.parametrize("unique", [False, True])


def make(layer_class, counts=COUNTS, dim=DIM, **kwargs):
    layer = layer_class(counts, **{"num_sampled": K, "seed": 1, **kwargs})
    layer.build((None, dim))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def blocks(seed=1):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(4, 3, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (4, 5)).astype(np.int32)
    weights = rng.choice([0.0, 1.0, 2.0], (4, 3, 5)).astype(np.float32)
    return hidden, candidates, weights


def pairs(rows=8, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, DIM)).astype(np.float32), rng.integers(0, V, rows, np.int32)


def ops_of(graph):
    """All operations of a graph and of the functions that it calls."""
    for op in graph.get_operations():
        yield op
        for name in ("f", "body", "cond", "then_branch", "else_branch"):
            if name in op.node_def.attr and op.node_def.attr[name].func.name:
                called = op.node_def.attr[name].func.name
                yield from ops_of(op.graph._get_function(called).graph)


@each_layer
@each_draw
def test_no_op_of_a_step_reads_a_table(layer_class, unique):
    size = 5_003
    layer = make(layer_class, size, num_sampled=64, unique=unique, use_bias=True)

    @tf.function
    def step(hidden, targets):
        with tf.GradientTape() as tape, record_rows(tape) as record:
            losses = layer(hidden, targets)
        gradients = record.gradients(losses, layer.trainable_weights)
        gradients = [as_slices(gradient) for gradient in gradients]
        assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
        reported = [mass for table in layer.trainable_weights for _, mass in record.masses(table)]
        return losses, [gradient.values for gradient in gradients], reported

    hidden = np.ones((16, DIM), np.float32)
    graph = step.get_concrete_function(hidden, np.arange(16, dtype=np.int32)).graph
    ops = list(ops_of(graph))
    assert sum(op.type == "ResourceGather" for op in ops) >= 6
    for op in ops:
        for output in op.outputs:
            if output.dtype != tf.resource:
                assert size not in tuple(output.shape or ()), op


@each_layer
@each_draw
@pytest.mark.parametrize("use_bias", [False, True])
def test_every_trained_weight_reports_masses(layer_class, unique, use_bias):
    layer = make(layer_class, unique=unique, use_bias=use_bias)
    for arrays in (pairs(), blocks()):
        with tf.GradientTape() as tape, record_rows(tape) as record:
            layer(*arrays)
        for weight in layer.trainable_weights:
            (_, of_targets), (noise_ids, of_noise) = record.masses(weight)
            assert noise_ids.shape == (K,)
            weights = arrays[2].sum(1).ravel() if len(arrays) == 3 else np.ones(8)
            assert (of_targets.numpy() >= weights - 1e-5).all()
            assert (of_noise.numpy() > 0).all()


@each_layer
def test_a_rare_target_counts_for_the_large_step_its_noise_term_will_take(layer_class):
    layer = make(layer_class, np.array([9998, 1, 1]), num_sampled=10, exponent=1.0, unique=False)
    with tf.GradientTape() as tape, record_rows(tape) as record:
        layer(np.ones((100, DIM), np.float32), np.repeat([0, 2], 50).astype(np.int32))
    of_targets = record.masses(layer.embeddings)[0][1].numpy()
    # A hidden vector counts with its square, 4. Word 0 is in the sample: nothing is postponed.
    # Word 2 is in one sample of 1,000, which then stands for .01 targets in each of 1,000 steps,
    # each as many terms as the layer says. (Drawn as a set, it is in one of 1,000.45.)
    postponed = 4.0 * 10.0 * TERMS[layer_class]
    np.testing.assert_allclose(of_targets, np.repeat([4.0, postponed], 50), rtol=1e-3)


@each_layer
def test_a_target_in_the_sample_counts_once(monkeypatch, layer_class):
    monkeypatch.setattr(noise, "draw", lambda *_: tf.constant([2] * 10))
    layer = make(layer_class, np.array([9998, 1, 1]), num_sampled=10, exponent=1.0, unique=False)
    with tf.GradientTape() as tape, record_rows(tape) as record:
        layer(np.ones((100, DIM), np.float32), np.repeat([1, 2], 50).astype(np.int32))
    (_, of_targets), (_, of_noise) = record.masses(layer.embeddings)
    assert (of_targets.numpy()[:50] > 39 * TERMS[layer_class]).all()
    np.testing.assert_allclose(of_targets.numpy()[50:], 4.0)
    # All terms of the batch: the ten copies of word 2 are the whole sample.
    if layer_class is not NCE:
        np.testing.assert_allclose(of_noise, 4.0 * TERMS[layer_class] * 100 / 10, rtol=1e-3)


@each_layer
@each_draw
def test_plain_graph_and_xla_agree(monkeypatch, layer_class, unique):
    # XLA draws other random numbers from a seed. These need a second round to find K words.
    given = [[2, 2, 0, 2, 2, 0, 2, 2, 2, 2], [5, 0, 1, 2, 6, 4, 4, 4, 4, 4]]
    rounds = tf.constant(given, tf.int32)
    monkeypatch.setattr(noise, "draw", lambda a, b, shape, seed: _some(rounds, shape, seed))
    results = []
    for jit in (None, False, True):
        layer = make(layer_class, unique=unique)

        def step(hidden, *others, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(hidden)
                losses = layer(hidden, *others)
            table = layer.embeddings.value
            return losses, *map(tf.convert_to_tensor, tape.gradient(losses, [hidden, table]))

        compiled = step if jit is None else tf.function(step, jit_compile=jit)
        results.append(compiled(*map(tf.constant, blocks())))
    for plain, graph, xla in zip(*results, strict=True):
        np.testing.assert_allclose(graph, plain, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(xla, plain, rtol=1e-5, atol=1e-5)


def _some(rounds, shape, seed):
    """The round that was folded into the seed last, cut to the shape."""
    return rounds[tf.cast(seed[1] % 2, tf.int32), : shape[0]]


@each_layer
@each_draw
def test_unknown_and_empty_batches(layer_class, unique):
    signature = [tf.TensorSpec((None, DIM)), tf.TensorSpec((None,), tf.int32)]
    unknown = tf.function(make(layer_class, unique=unique), input_signature=signature)
    eager = make(layer_class, unique=unique)
    np.testing.assert_allclose(unknown(*pairs()), eager(*pairs()), rtol=1e-5, atol=1e-6)
    assert unknown(*pairs(0)).shape == eager(*pairs(0)).shape == (0,)


@each_layer
@each_draw
def test_a_weight_of_zero_is_no_example(layer_class, unique):
    hidden, targets = pairs()
    weights = np.array([1, 0, 2, 0, 1, 1, 0, 3], np.float32)
    kept = weights > 0
    gradients = []
    for arrays in ((hidden, targets, weights), (hidden[kept], targets[kept], weights[kept])):
        layer = make(layer_class, unique=unique)
        with tf.GradientTape() as tape, record_rows(tape) as record:
            losses = layer(*arrays)
        (gradient,) = record.gradients(losses, [layer.embeddings])
        table = tf.convert_to_tensor(as_slices(gradient))
        mass = tf.concat([mass for _, mass in record.masses(layer.embeddings)], 0)
        gradients.append([tf.reduce_sum(losses), table, tf.reduce_sum(mass)])
    for with_zeros, without in zip(*gradients, strict=True):
        np.testing.assert_allclose(with_zeros, without, rtol=1e-5, atol=1e-5)


@each_layer
@each_draw
@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_extreme_scores_stay_finite(layer_class, unique, scale):
    layer = make(layer_class, unique=unique)
    layer.embeddings.assign(scale * layer.embeddings.numpy())
    for arrays in (pairs(), blocks()):
        with tf.GradientTape() as tape:
            losses = layer(*arrays)
        table = tf.convert_to_tensor(tape.gradient(losses, layer.embeddings.value))
        assert np.isfinite(losses).all()
        assert np.isfinite(table).all()


@each_layer
def test_noise_comes_back_with_the_weights(layer_class):
    layer = make(layer_class, noise="log_uniform", num_sampled=4, unique=True, use_bias=True)
    copy = layer_class.from_config(layer.get_config())  # knows V, but not the counts
    copy.build((None, DIM))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(*pairs()), layer(*pairs()))
    np.testing.assert_array_equal(copy.log_probs(pairs()[0]), layer.log_probs(pairs()[0]))


@each_layer
def test_biases_are_in_all_scores(layer_class):
    layer = make(layer_class, use_bias=True)
    hidden, _ = pairs()
    scores = np.float64(hidden) @ layer.embeddings.numpy().T + layer.biases.numpy()
    expected = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    np.testing.assert_allclose(layer.log_probs(hidden), expected, rtol=1e-5, atol=1e-5)
    assert layer.biases.shape == (V,)


@each_layer
def test_a_keras_model_with_adam(layer_class):
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    layer = layer_class(COUNTS, num_sampled=K, use_bias=True, seed=1)
    losses = layer(keras.layers.Dense(DIM)(hidden), targets)
    model = keras.Model([hidden, targets], losses)
    model.compile(keras.optimizers.Adam(0.02), loss=lambda _, losses: losses)
    history = model.fit(pairs(64), np.zeros(64), epochs=12, verbose=0).history["loss"]
    # Random targets of 7 words: what can be learned is their frequencies and some of the pairing.
    assert history[-1] < history[0] - 0.1


def zipf_stream():
    """30,000 words with frequencies 1 / rank, words of near rank together."""
    rng = np.random.default_rng(0)
    probabilities = 1 / np.arange(1, 301)
    ids = rng.choice(300, 30_000, p=probabilities / probabilities.sum())
    ids = np.sort(ids.reshape(-1, 10), axis=1).astype(np.int32)
    counts = np.maximum(np.bincount(ids.ravel(), minlength=300), 1)
    order = np.argsort(-counts, kind="stable")
    ids = np.argsort(order)[ids].astype(np.int32)
    ids[:, 0] = ~ids[:, 0]
    return TokenStream(ids.ravel()), Vocabulary([f"w{i}" for i in range(300)], counts[order])


@each_layer
@pytest.mark.parametrize("model_class", [SkipGram, CBOW])
def test_large_batches_do_not_diverge(layer_class, model_class):
    stream, vocabulary = zipf_stream()
    layer = layer_class(vocabulary.counts, num_sampled=64, seed=1)
    model = model_class(300, 16, layer, window=3, seed=1)
    model.compile(RowSGD(0.05))
    model.fit(block_dataset(stream, vocabulary, 3, 0, 2048, seed=1), epochs=4, verbose=0)
    ids = np.where(stream.tokens < 0, ~stream.tokens, stream.tokens).reshape(-1, 10)
    inputs = ids[:, 4] if model_class is SkipGram else ids[:, [2, 3, 4, 6, 7, 8]]
    log_probs = model.output_layer.log_probs(model(inputs)).numpy()
    # log 300 = 5.7 is where all words are equal; diverging runs passed 10 in the second epoch.
    assert -log_probs[np.arange(len(ids)), ids[:, 5]].mean() < 4.9
    assert np.abs(model.embedding.embeddings.numpy()).max() < 5


@each_layer
@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"num_sampled": 0}, ValueError, "`num_sampled` must be at least 1. Received"),
        ({"num_sampled": 2.5}, TypeError, "`num_sampled` must be an integer. Received"),
        (
            {"num_sampled": 8, "unique": True},
            ValueError,
            "`num_sampled` must be at most the number of words when they are drawn without "
            "replacement. Received: num_sampled=8, 7 words.",
        ),
        ({"exponent": "x"}, TypeError, "`exponent` must be a number. Received"),
        ({"exponent": float("inf")}, ValueError, "`exponent` must be finite. Received"),
        (
            {"noise": "zipf"},
            ValueError,
            "`noise` must be one of 'counts', 'uniform', 'log_uniform'. Received: noise='zipf'.",
        ),
        ({"counts": []}, ValueError, "`counts` must be a vector with one entry per word."),
        ({"counts": [1, -2]}, ValueError, "`counts` must be finite, not negative"),
    ],
)
def test_bad_arguments(layer_class, arguments, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        layer_class(**{"counts": COUNTS, **arguments})


@each_layer
def test_more_samples_than_words_are_fine_with_replacement(layer_class):
    layer = make(layer_class, num_sampled=3 * V, unique=False)
    assert np.isfinite(layer(*pairs())).all()
