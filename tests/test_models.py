"""SkipGram and CBOW as Keras models: training, reporting, saving, and what they refuse."""

import hashlib
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Vocabulary, block_dataset
from kerasw2v.block_model import PairMean
from kerasw2v.layers import FullSoftmax, HierarchicalSoftmax, NegativeSampling
from kerasw2v.layers.from_name import make_output_layer, output_layers
from kerasw2v.ops import noise, row_gradients
from kerasw2v.ops.row_gradients import RowGradient
from kerasw2v.optimizers import RowSGD

WINDOW, DIM, K = 2, 6, 5
MODELS = (SkipGram, CBOW)
each_model = pytest.mark.parametrize("model_class", MODELS)


@pytest.fixture(scope="module")
def sentences():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(20)]
    weights = 1 / np.arange(1, 21)
    return [
        rng.choice(words, rng.integers(1, 15), p=weights / weights.sum()).tolist()
        for _ in range(80)
    ]


@pytest.fixture(scope="module")
def vocabulary(sentences):
    return Vocabulary.from_corpus(sentences, min_count=1)


@pytest.fixture
def blocks(sentences, vocabulary):
    """The same few batches in every epoch."""
    return block_dataset(
        sentences, vocabulary, WINDOW, 0, batch_size=64, seed=1, reshuffle_each_iteration=False
    )


def make(model_class, vocabulary, layer=None, filled=False, **kwargs):
    layer = layer or NegativeSampling(vocabulary.counts, K, seed=1)
    model = model_class(len(vocabulary), DIM, layer, window=WINDOW, seed=1, **kwargs)
    if filled:
        rng = np.random.default_rng(3)
        for table in model.trainable_variables:
            table.assign(rng.normal(0, 0.7, table.shape))
    return model


def tables(model):
    return [model.embedding.embeddings.numpy(), model.output_layer.embeddings.numpy()]


def config_of(model):
    config = model.get_config()
    return {**config, "output_layer": config["output_layer"]["config"]}


def plain_pairs(sentences, vocabulary):
    """Every (centre, context), by a double loop."""
    pairs = []
    for ids in map(vocabulary.encode, sentences):
        for i, centre in enumerate(ids):
            for j in range(max(0, i - WINDOW), min(len(ids), i + WINDOW + 1)):
                if j != i:
                    pairs.append((centre, ids[j]))
    return np.array(pairs).T


def plain_contexts(sentences, vocabulary):
    """Every (contexts, target), contexts padded with -1."""
    contexts, targets = [], []
    for ids in map(vocabulary.encode, sentences):
        for i, centre in enumerate(ids):
            near = [*ids[max(0, i - WINDOW) : i], *ids[i + 1 : i + WINDOW + 1]]
            if near:
                contexts.append(near + [-1] * (2 * WINDOW - len(near)))
                targets.append(centre)
    return np.array(contexts), np.array(targets)


def plain(model_class, sentences, vocabulary):
    return (plain_pairs if model_class is SkipGram else plain_contexts)(sentences, vocabulary)


def hidden_of(model_class, table, inputs):
    """Hidden vectors of plain inputs, in float64."""
    if model_class is SkipGram:
        return np.float64(table[inputs])
    present = (inputs >= 0)[..., None]
    return (np.float64(table[inputs]) * present).sum(1) / present.sum(1)


# Training and reporting


@each_model
@pytest.mark.parametrize("shrink_windows", [False, True])
def test_fit_learns_and_evaluate_agrees(model_class, shrink_windows, blocks, vocabulary):
    model = make(model_class, vocabulary, shrink_windows=shrink_windows)
    model.compile(RowSGD(0.1))
    before = model.evaluate(blocks, verbose=0)
    # Vectors that score 0: each of 1 + 5 logistic terms is log 2, less noise that is the target.
    assert 3 * np.log(2) < before < 6 * np.log(2) + 1e-3
    history = model.fit(blocks, epochs=6, verbose=0).history
    assert list(history) == ["loss"]
    assert history["loss"][-1] < history["loss"][0] < before
    after = model.evaluate(blocks, verbose=0, return_dict=True)
    assert after["loss"] == pytest.approx(history["loss"][-1], rel=0.1)


@each_model
def test_reported_loss_is_the_mean_of_a_double_loop(
    model_class, monkeypatch, blocks, sentences, vocabulary
):
    pool = np.array([0, 0, 1, 3, 4, 7, 12, 19], np.int32)  # every group gets these noise words
    monkeypatch.setattr(
        noise, "draw", lambda accept, alias, shape, seed: tf.tile(pool[None], [shape[0], 1])
    )
    layer = NegativeSampling(vocabulary.counts, K, shared_size=len(pool), evaluation="sampled")
    model = make(model_class, vocabulary, layer, filled=True, shrink_windows=False)
    model.compile(RowSGD(0.0))
    inputs, targets = plain(model_class, sentences, vocabulary)
    table, output = tables(model)
    scores = hidden_of(model_class, table, inputs) @ np.float64(output).T
    losses = np.logaddexp(0, -scores[np.arange(len(targets)), targets])
    for word in pool:
        losses += K / len(pool) * np.where(targets == word, 0, np.logaddexp(0, scores[:, word]))
    expected = pytest.approx(losses.mean(), rel=2e-6)  # float32 losses, summed a batch at a time
    assert model.evaluate(blocks, verbose=0) == expected
    assert model.evaluate(inputs, targets, batch_size=50, verbose=0) == expected
    assert model.fit(blocks, verbose=0).history["loss"][0] == expected


def test_the_mean_stays_right_beyond_what_float32_counts():
    mean = PairMean()
    mean.update_state(tf.constant([2.0**28]), tf.constant([2.0**28]))
    for _ in range(1000):  # float32 would lose each of these 8 pairs: its step there is 32
        mean.update_state(tf.constant([1e4, 6e3]), tf.constant([4.0, 4.0]))
    assert mean.pairs.numpy() == 2**28 + 8000
    assert float(mean.result()) == pytest.approx((2**28 + 1.6e7) / (2**28 + 8000), rel=1e-7)
    mean.reset_state()
    assert float(mean.result()) == 0


@each_model
def test_one_step_on_blocks_is_one_step_on_arrays(model_class, sentences, vocabulary):
    # An exact softmax and full windows leave nothing to chance: the same pairs, the same sum.
    whole = block_dataset(sentences, vocabulary, WINDOW, 0, batch_size=4096, seed=1)
    inputs, targets = plain(model_class, sentences, vocabulary)
    results = []
    for data in ({"x": whole}, {"x": inputs, "y": targets, "batch_size": len(targets)}):
        layer = FullSoftmax(len(vocabulary))
        model = make(model_class, vocabulary, layer, filled=True, shrink_windows=False)
        model.compile(RowSGD(0.05))
        model.fit(**data, verbose=0)
        results.append(tables(model))
    for block_table, array_table in zip(*results, strict=True):
        # Sums of some hundred float32 terms, in another order.
        np.testing.assert_allclose(block_table, array_table, rtol=2e-5, atol=2e-5)


def test_skip_gram_scores_centres_as_targets_where_targets_are_costly(
    sentences, vocabulary, monkeypatch
):
    dataset = block_dataset(sentences, vocabulary, 2, sample=0, batch_size=64, seed=1)
    blocks, length, shorter = 2, 32, 12  # 12 centres and their halos fill a register of 16

    def losses(form):
        layer = HierarchicalSoftmax(vocabulary.counts)
        model = SkipGram(len(vocabulary), 6, layer, window=2, shrink_windows=False, seed=1)
        layer.embeddings.assign(np.random.default_rng(0).normal(size=layer.embeddings.shape))
        model.compile(RowSGD(0.0))
        shapes = []
        call = getattr(layer, form)
        monkeypatch.setattr(layer, form, lambda *a: shapes.append(a[-1].shape) or call(*a))
        return model.evaluate(dataset, verbose=0), model.pair_mean.sums()[1], shapes[0]

    mean, pairs, shape = losses("shared_loss")
    assert shape == (3 * blocks, shorter + 4, shorter)
    monkeypatch.setattr(HierarchicalSoftmax, "targets_are_costly", False)
    other_mean, other_pairs, other_shape = losses("block_loss")
    assert other_shape == (blocks, length, length + 4)
    # Whole windows hold each pair from both its ends.
    assert pairs == other_pairs
    np.testing.assert_allclose(mean, other_mean, rtol=1e-5)


def test_batches_are_larger_where_targets_are_costly(vocabulary):
    for layer, size in ((HierarchicalSoftmax, 8192), (NegativeSampling, 4096)):
        model = SkipGram(len(vocabulary), 6, layer(vocabulary.counts))
        assert model.largest_batch == size


@pytest.mark.parametrize("model_class", MODELS)
def test_training_example_by_example_is_word2vec(model_class, monkeypatch, sentences, vocabulary):
    """word2vec.c's own loop, one example a step, on given noise words without repeats."""
    pool = [2, 5, 9, 11, 17]
    drawn = tf.constant([pool], tf.int32)
    monkeypatch.setattr(noise, "draw", lambda *_: drawn)
    layer = NegativeSampling(vocabulary.counts, K, sharing="example")
    model = make(model_class, vocabulary, layer, filled=True)
    inputs, targets = (array[:100] for array in plain(model_class, sentences, vocabulary))
    syn0, syn1neg = map(np.float64, tables(model))
    alpha = 0.1
    for context, word in zip(inputs.reshape(len(targets), -1), targets, strict=True):
        rows = context[context >= 0]
        neu1, neu1e = syn0[rows].mean(0), np.zeros(DIM)
        for target, label in [(word, 1), *((z, 0) for z in pool if z != word)]:
            g = (label - 1 / (1 + np.exp(-neu1 @ syn1neg[target]))) * alpha
            neu1e += g * syn1neg[target]
            syn1neg[target] += g * neu1
        for row in rows:
            syn0[row] += neu1e
    model.compile(RowSGD(alpha), steps_per_execution=10)
    model.fit(inputs, targets, batch_size=1, shuffle=False, verbose=0)
    for table, expected in zip(tables(model), (syn0, syn1neg), strict=True):
        np.testing.assert_allclose(table, expected, atol=2e-5)  # 100 float32 steps


@pytest.mark.parametrize("form", ["arrays", "blocks"])
def test_cbows_exact_gradient_is_that_of_the_mean(form, sentences, vocabulary):
    layer = FullSoftmax(len(vocabulary))
    model = make(CBOW, vocabulary, layer, filled=True, shrink_windows=False, gradient="exact")
    contexts, targets = plain_contexts(sentences, vocabulary)
    tensors = [tf.constant(table, tf.float64) for table in tables(model)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        present = tf.constant(contexts >= 0, tf.float64)[..., None]
        rows = tf.gather(tensors[0], np.maximum(contexts, 0)) * present
        means = tf.reduce_sum(rows, 1) / tf.reduce_sum(present, 1)
        scores = tf.matmul(means, tensors[1], transpose_b=True)
        loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores))
    gradients = tape.gradient(loss, tensors)
    starts = tables(model)
    model.compile(RowSGD(0.01, max_step=1e9))
    if form == "arrays":
        model.fit(contexts, targets, batch_size=len(targets), verbose=0)
    else:
        model.fit(block_dataset(sentences, vocabulary, WINDOW, 0, 4096, seed=1), verbose=0)
    for table, start, gradient in zip(tables(model), starts, gradients, strict=True):
        expected = start - 0.01 * tf.convert_to_tensor(gradient).numpy()
        np.testing.assert_allclose(table, expected, atol=1e-5)


def test_cbows_mass_is_what_its_gradient_merges(sentences, vocabulary):
    """The bound sees a target's terms in each context row; an n-th with the exact gradient."""
    contexts = np.array([[1, 2, 3, 4]] * 100)
    scales = {}
    for gradient in ("word2vec", "exact"):
        steps = []
        for max_step in (4.0, 1e9):
            layer = FullSoftmax(len(vocabulary))
            model = make(CBOW, vocabulary, layer, filled=True, gradient=gradient)
            start = tables(model)[0][1]
            model.compile(RowSGD(0.1, max_step=max_step))
            model.fit(contexts, np.full(100, 7), batch_size=100, verbose=0)
            steps.append(np.linalg.norm(tables(model)[0][1] - start))
        scales[gradient] = steps[0] / steps[1]
    # A target's mass is 4: lr * mass = .1 * 400 for whole errors, .1 * 400 / 4 for their shares.
    assert scales["word2vec"] == pytest.approx(0.1, rel=1e-4)
    assert scales["exact"] == pytest.approx(0.4, rel=1e-4)


@each_model
def test_sample_weights_count_examples(model_class, sentences, vocabulary):
    inputs, targets = (array[:60] for array in plain(model_class, sentences, vocabulary))
    weights = np.random.default_rng(0).integers(0, 3, 60)
    repeated = np.repeat(np.arange(60), weights)
    results, losses = [], []
    for data in (
        {"x": inputs, "y": targets, "sample_weight": weights.astype(np.float32)},
        {"x": inputs[repeated], "y": targets[repeated]},
    ):
        model = make(model_class, vocabulary, FullSoftmax(len(vocabulary)), filled=True)
        model.compile(RowSGD(0.05))
        losses.append(model.fit(**data, batch_size=200, verbose=0).history["loss"][0])
        results.append(tables(model))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for weighted, repeated in zip(*results, strict=True):
        np.testing.assert_allclose(weighted, repeated, atol=1e-5)


def test_an_empty_context_is_no_example(vocabulary):
    model = make(CBOW, vocabulary, filled=True)
    model.compile(RowSGD(0.05))
    start = tables(model)
    contexts = np.full((3, 4), -1)
    assert model.fit(contexts, np.array([1, 2, 3]), verbose=0).history["loss"] == [0]
    for table, before in zip(tables(model), start, strict=True):
        assert (table == before).all()
    with_others = model.evaluate(np.array([[1, 2, -1, -1], *contexts]), np.arange(4), verbose=0)
    assert with_others > 0.5  # a mean over one example, not over four


def test_predict_gives_hidden_vectors(vocabulary):
    skip_gram, cbow = (make(model_class, vocabulary, filled=True) for model_class in MODELS)
    words = np.array([3, 0, 3])
    np.testing.assert_array_equal(skip_gram.predict(words, verbose=0), tables(skip_gram)[0][words])
    contexts = np.array([[1, 2, -1, -1], [3, 3, 3, 0]])
    expected = hidden_of(CBOW, tables(cbow)[0], contexts)
    np.testing.assert_allclose(cbow.predict(contexts, verbose=0), expected, atol=1e-6)


# As any Keras model


def test_callbacks_and_validation(blocks, vocabulary, tmp_path):
    model = make(SkipGram, vocabulary, FullSoftmax(len(vocabulary)), shrink_windows=False)
    model.compile(RowSGD(0.05), steps_per_execution=4)
    calls = []
    history = model.fit(
        blocks,
        epochs=3,
        validation_data=blocks,
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(tmp_path / "a.keras", "val_loss", save_best_only=True),
            keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: calls.append(batch)
            ),
        ],
    ).history
    assert sorted(history) == ["loss", "val_loss"]
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(blocks, verbose=0), rel=1e-6)
    assert len(calls) == 3 * -(-len(blocks) // 4)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    best = keras.saving.load_model(tmp_path / "a.keras")
    assert best.evaluate(blocks, verbose=0) == pytest.approx(min(history["val_loss"]), rel=1e-6)


def test_arrays_with_validation_split_and_positional_batch_size(sentences, vocabulary):
    model = make(SkipGram, vocabulary)
    model.compile()
    centres, contexts = plain_pairs(sentences, vocabulary)
    history = model.fit(centres, contexts, 100, 2, 0, validation_split=0.2).history
    assert len(history["val_loss"]) == 2


def test_the_number_of_steps_in_a_call_changes_nothing(blocks, vocabulary):
    results = []
    for steps in (1, 7, 64):
        model = make(SkipGram, vocabulary)
        model.compile(RowSGD(0.05), steps_per_execution=steps)
        losses = model.fit(blocks, epochs=2, verbose=0).history["loss"]
        results.append([losses, *(table.tolist() for table in tables(model))])
    assert results[0] == results[1] == results[2]


@each_model
def test_eager_debugging_trains_the_same(model_class, blocks, vocabulary):
    results = []
    for run_eagerly in (False, True):
        model = make(model_class, vocabulary)
        model.compile(RowSGD(0.05), run_eagerly=run_eagerly)
        model.fit(blocks.take(3), verbose=0)
        results.append(tables(model))
    for graph, eager in zip(*results, strict=True):
        np.testing.assert_allclose(graph, eager, atol=1e-5)


@pytest.mark.parametrize("name", ["Adam", "Adagrad"])
def test_other_optimizers_work(name, blocks, vocabulary):
    model = make(CBOW, vocabulary)
    model.compile(getattr(keras.optimizers, name)(0.05))
    losses = model.fit(blocks, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@each_model
def test_half_precision(model_class, blocks, vocabulary):
    losses = []
    for dtype in ("float32", "mixed_bfloat16"):
        layer = NegativeSampling(vocabulary.counts, K, seed=1, dtype=dtype)
        model = make(model_class, vocabulary, layer, dtype=dtype)
        model.compile(RowSGD(0.05))
        losses.append(model.fit(blocks, epochs=2, verbose=0).history["loss"])
        assert tables(model)[0].dtype == np.float32
    # The same draws: 8 bits leave the mean of a thousand losses within a percent.
    np.testing.assert_allclose(*losses, rtol=0.01)


# Saving, and repeating


@each_model
def test_training_goes_on_after_save_and_load(model_class, blocks, vocabulary, tmp_path):
    decay = keras.optimizers.schedules.PolynomialDecay(0.1, 4 * len(blocks), 1e-3)
    straight, first = make(model_class, vocabulary), make(model_class, vocabulary)
    straight.compile(RowSGD(decay))
    straight.fit(blocks, epochs=2, verbose=0)
    first.compile(RowSGD(decay), steps_per_execution=5)
    first.fit(blocks, epochs=1, verbose=0)
    first.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is model_class
    assert config_of(loaded) == config_of(first)
    for table, saved in zip(tables(loaded), tables(first), strict=True):
        assert (table == saved).all()
    assert isinstance(loaded.optimizer, RowSGD)
    assert loaded.optimizer.iterations.numpy() == len(blocks)
    loaded.fit(blocks, epochs=1, verbose=0)
    # Windows, noise and learning rate go on where they stopped: nothing shows the interruption.
    for table, uninterrupted in zip(tables(loaded), tables(straight), strict=True):
        assert (table == uninterrupted).all()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_model_that_has_not_been_trained_is_saved(compiled, vocabulary, tmp_path):
    arguments = {"shrink_windows": False, "block_length": 8, "gradient": "exact", "name": "mine"}
    model = make(CBOW, vocabulary, **arguments)
    if compiled:
        model.compile()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert config_of(loaded) == config_of(model)
    assert {name: getattr(loaded, name) for name in arguments} == arguments
    assert (tables(loaded)[0] == tables(model)[0]).all()


def test_weights_alone(vocabulary, tmp_path):
    model, other = make(SkipGram, vocabulary, filled=True), make(SkipGram, vocabulary)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert (tables(other)[0] == tables(model)[0]).all()


@pytest.mark.parametrize(
    ("model_class", "sharing"), [(SkipGram, "group"), (SkipGram, "example"), (CBOW, "batch")]
)
def test_same_seed_same_vectors(model_class, sharing, sentences, vocabulary):
    digests = []
    for seed in (1, 1, 2):
        layer = NegativeSampling(vocabulary.counts, K, sharing=sharing, seed=seed)
        model = model_class(len(vocabulary), DIM, layer, window=WINDOW, seed=seed)
        model.compile(RowSGD(0.05))
        dataset = block_dataset(sentences, vocabulary, WINDOW, 1e-2, batch_size=128, seed=seed)
        model.fit(dataset, epochs=2, verbose=0)
        digests.append(hashlib.sha256(b"".join(map(bytes, tables(model)))).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_same_seed_same_vectors_on_arrays(sentences, vocabulary):
    results = []
    for _ in range(3):
        keras.utils.set_random_seed(7)  # Keras shuffles arrays by the global seed
        model = make(SkipGram, vocabulary)
        model.compile(RowSGD(0.05))
        model.fit(*plain_pairs(sentences, vocabulary), batch_size=100, epochs=2, verbose=0)
        results.append([table.tolist() for table in tables(model)])
    assert results[0] == results[1] == results[2]


def test_same_seed_same_vectors_in_another_process():
    script = textwrap.dedent(
        """
        import hashlib
        import numpy as np
        from kerasw2v import SkipGram, Vocabulary, block_dataset, layers, optimizers

        rng = np.random.default_rng(0)
        sentences = [[f"w{i}" for i in rng.integers(0, 40, 12)] for _ in range(150)]
        vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
        model = SkipGram(
            len(vocabulary), 8, layers.NegativeSampling(vocabulary.counts, seed=5), window=3, seed=5
        )
        model.compile(optimizers.RowSGD(0.05))
        model.fit(block_dataset(sentences, vocabulary, 3, 1e-2, 512, seed=5), epochs=2, verbose=0)
        print(hashlib.sha256(bytes(model.embedding.embeddings.numpy())).hexdigest())
        """
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[1],
        )
        for seed in ("1", "2")
    ]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].split()[-1]) == 64


# The cost of a step


def op_shapes(model_class, layer, dim=24):
    """The ops of a training step and of the functions that it calls, with their outputs' shapes."""
    model = model_class(layer.vocabulary_size, dim, layer, window=WINDOW, seed=1)
    model.compile(RowSGD(0.05))
    width = model.block_length + 2 * WINDOW
    step = tf.function(lambda blocks: model.train_step((blocks,)))
    graph = step.get_concrete_function(tf.TensorSpec((8, width), tf.int32)).graph
    graph_def = graph.as_graph_def(add_shapes=True)
    functions = [function.node_def for function in graph_def.library.function]
    return [
        (
            node.op,
            [[each.size for each in shape.dim] for shape in node.attr["_output_shapes"].list.shape],
        )
        for nodes in [graph_def.node, *functions]
        for node in nodes
    ]


@pytest.mark.parametrize("name", sorted(output_layers()))
def test_no_op_of_a_step_has_a_number_for_each_word(name):
    size = 1009
    ops = op_shapes(SkipGram, make_output_layer(name, np.arange(size, 0, -1), seed=1))
    sizes = {size for _, shapes in ops for shape in shapes for size in shape}
    assert 24 in sizes  # the shapes are known, and rows are there
    whole = {size - 1, size, (size - 1) * 24, size * 24}  # trees have a node less
    assert bool(sizes & whole) == (name == "FullSoftmax")


@each_model
def test_the_work_of_a_step_does_not_grow_with_the_vocabulary(model_class):
    small, large = (
        op_shapes(model_class, NegativeSampling(size, K, seed=1)) for size in (1009, 50_021)
    )
    assert len(small) > 50
    assert small == large


@each_model
@pytest.mark.parametrize("sharing", ["example", "group", "batch"])
def test_gradients_of_both_tables_are_sparse(model_class, sharing, blocks, vocabulary, monkeypatch):
    layer = NegativeSampling(vocabulary.counts, K, sharing=sharing, seed=1)
    model = make(model_class, vocabulary, layer)
    model.compile(RowSGD(0.05), run_eagerly=True)
    seen = []

    # Every table's mass is reported, not counted from its lookups.
    monkeypatch.setattr(row_gradients, "_occurrences", lambda *_: pytest.fail("not reported"))

    def apply(grads, trainable_variables=None):
        seen.append(grads)

    monkeypatch.setattr(model.optimizer, "apply", apply)
    model.fit(blocks.take(1), verbose=0)
    (gradients,) = seen
    assert len(gradients) == 2
    assert all(isinstance(gradient, RowGradient) for gradient in gradients)


# Bad input


@each_model
@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"vocabulary_size": 0}, ValueError, "`vocabulary_size` must be at least 1. Received"),
        ({"vocabulary_size": -1}, ValueError, "`vocabulary_size` must be at least 1. Received"),
        ({"vocabulary_size": 11}, ValueError, "`output_layer` must have the model's vocabulary."),
        ({"embedding_dim": 0}, ValueError, "`embedding_dim` must be at least 1. Received"),
        ({"embedding_dim": 2.5}, TypeError, "`embedding_dim` must be an integer. Received"),
        ({"window": 0}, ValueError, "`window` must be at least 1. Received: window=0."),
        ({"window": -2}, ValueError, "`window` must be at least 1. Received: window=-2."),
        ({"window": "5"}, TypeError, "`window` must be an integer. Received: window='5'."),
        ({"block_length": 0}, ValueError, "`block_length` must be at least 1. Received"),
        ({"block_length": -8}, ValueError, "`block_length` must be at least 1. Received"),
        ({"output_layer": "softmax"}, TypeError, "`output_layer` must be a kerasw2v.layers."),
        ({"output_layer": keras.layers.Dense(10)}, TypeError, "`output_layer` must be a kerasw2v"),
    ],
)
def test_bad_arguments(model_class, arguments, error, sentence):
    good = {"vocabulary_size": 10, "embedding_dim": 4, "output_layer": FullSoftmax(10)}
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        model_class(**{**good, **arguments})
    assert "\n" not in str(caught.value)


def test_an_unknown_gradient():
    with pytest.raises(ValueError, match=r"^`gradient` must be one of 'word2vec', 'exact'\."):
        CBOW(10, 4, FullSoftmax(10), gradient="mean")


@pytest.mark.parametrize(
    ("argument", "value"),
    [("loss", "mse"), ("metrics", ["accuracy"]), ("loss_weights", [1]), ("jit_compile", True)],
)
def test_what_compile_refuses(argument, value, vocabulary):
    with pytest.raises(ValueError, match=f"^`{argument}` must not be .* Received: {argument}="):
        make(SkipGram, vocabulary).compile(RowSGD(), **{argument: value})


def test_the_second_argument_of_compile_is_keras_s(vocabulary):
    sentence = r"^`loss` must not be given: the output layer .* Received: loss='mse'\.$"
    with pytest.raises(ValueError, match=sentence):
        make(SkipGram, vocabulary).compile("sgd", "mse")
    model = make(SkipGram, vocabulary)
    model.compile("sgd", None, metrics=None, steps_per_execution=2)
    assert model.steps_per_execution == 2


@each_model
@pytest.mark.parametrize("width", [16, 24, 32])
def test_blocks_of_another_width(model_class, width, vocabulary):
    model = make(model_class, vocabulary, block_length=16)
    model.compile()
    sentence = r"^Blocks must have shape \(batch, 20\): block_length=16 and twice halo=2"
    with pytest.raises(ValueError, match=sentence):
        model.fit(tf.data.Dataset.from_tensors(tf.zeros((4, width), tf.int32)), verbose=0)


@each_model
@pytest.mark.parametrize("data", ["blocks", "inputs", "targets"])
def test_an_id_outside_the_vocabulary_is_named(model_class, data, vocabulary):
    model = make(model_class, vocabulary, block_length=16)
    model.compile(RowSGD(0.05))
    outside = len(vocabulary) + 3
    inputs, targets = np.array([[1, 2], [3, 4]])[:, : 1 + (model_class is CBOW)], np.array([1, 2])
    if model_class is SkipGram:
        inputs = inputs[:, 0]
    if data == "inputs":
        inputs.flat[1] = outside
    if data == "targets":
        targets[1] = outside
    arguments = {"x": inputs, "y": targets}
    if data == "blocks":
        arguments = {"x": np.full((4, 20), outside)}
    sentence = rf"^`[xy]` must be ids .* Received: [xy]\[[01](, [01])?\]={outside}\.$"
    with pytest.raises(ValueError, match=sentence):
        model.fit(**arguments, verbose=0)
    dataset = tf.data.Dataset.from_tensors(tuple(map(tf.constant, arguments.values())))
    sentence = rf"^Ids in the data must be from 0 to {len(vocabulary) - 1}. Received: {outside}\.$"
    with pytest.raises(ValueError, match=sentence):
        model.fit(dataset, verbose=0)


@each_model
def test_negative_weights_take_steps_back_that_are_bounded_too(model_class, vocabulary):
    # The same pairs thousands of times with weight -1: a negative mass would bound no step.
    def step(weight):
        model = make(model_class, vocabulary, FullSoftmax(vocabulary.counts), filled=True)
        model.compile(RowSGD(0.05))
        inputs = np.tile([3, 5], 2000)
        inputs = inputs[:, None] if model_class is CBOW else inputs
        before = tables(model)
        targets = np.tile([1, 2], 2000)
        weights = np.full(4000, weight, np.float32)
        model.fit(inputs, targets, sample_weight=weights, batch_size=4000, verbose=0)
        return [after - start for after, start in zip(tables(model), before, strict=True)]

    for forward, backward in zip(step(1.0), step(-1.0), strict=True):
        np.testing.assert_allclose(backward, -forward, rtol=1e-4, atol=1e-5)
        assert 0.01 < np.abs(forward).max() < 5
