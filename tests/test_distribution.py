"""Training on two logical CPU devices (see conftest.py) under `MirroredStrategy`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Vocabulary, block_dataset
from kerasw2v.layers import FullSoftmax, NegativeSampling
from kerasw2v.optimizers import RowSGD

WINDOW = 2


@pytest.fixture(scope="module")
def sentences():
    rng = np.random.default_rng(0)
    topics = [[f"{topic}{i}" for i in range(10)] for topic in "ab"]
    return [rng.choice(topics[i % 2], rng.integers(2, 12)).tolist() for i in range(120)]


@pytest.fixture(scope="module")
def vocabulary(sentences):
    return Vocabulary.from_corpus(sentences, min_count=1)


@pytest.fixture(scope="module")
def strategy():
    # One for all tests of a process: collective ops of a second one would clash with those of the
    # first, which TensorFlow tells apart by numbers that each strategy counts anew.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def copies(strategy, model):
    """Both tables, as each replica holds them."""
    tables = (model.embedding.embeddings, model.output_layer.embeddings)
    return [
        [copy.numpy() for copy in strategy.experimental_local_results(table.value)]
        for table in tables
    ]


@pytest.mark.parametrize(("model_class", "sharing"), [(SkipGram, "example"), (CBOW, "group")])
def test_replicas_learn_and_stay_equal(model_class, sharing, strategy, sentences, vocabulary):
    with strategy.scope():
        layer = NegativeSampling(vocabulary.counts, sharing=sharing, seed=1)
        model = model_class(len(vocabulary), 8, layer, window=WINDOW, seed=1)
        model.compile(RowSGD(0.05))
    dataset = block_dataset(sentences, vocabulary, WINDOW, 0, batch_size=128, seed=1)
    losses = model.fit(dataset, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0] < 6 * np.log(2) + 0.01
    for first, second in copies(strategy, model):
        assert (first == second).all()
        assert np.abs(first).max() > 0.1
    assert model.evaluate(dataset, verbose=0) < losses[0]


@pytest.mark.parametrize("model_class", [SkipGram, CBOW])
def test_two_replicas_train_as_one_device(model_class, strategy, sentences, vocabulary):
    # An exact softmax and full windows: nothing is drawn, so both see the same sums of gradients.
    def trained(scope):
        with scope:
            layer = FullSoftmax(len(vocabulary))
            model = model_class(
                len(vocabulary), 8, layer, window=WINDOW, shrink_windows=False, seed=1
            )
            model.compile(RowSGD(0.025))
        dataset = block_dataset(sentences, vocabulary, WINDOW, 0, batch_size=128, seed=1)
        return model, model.fit(dataset, epochs=3, verbose=0).history["loss"]

    one, losses_of_one = trained(tf.device("CPU:0"))
    two, losses_of_two = trained(strategy.scope())
    np.testing.assert_allclose(losses_of_two, losses_of_one, rtol=1e-5)
    alone = (one.embedding.embeddings.numpy(), one.output_layer.embeddings.numpy())
    for (first, second), expected in zip(copies(strategy, two), alone, strict=True):
        assert (first == second).all()
        # Twenty steps, each a float32 sum of some hundred terms in another order.
        np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-4)


def test_replicas_draw_their_own_noise_and_windows(strategy):
    with strategy.scope():
        layer = NegativeSampling(np.arange(1000, 0, -1), seed=1)
        layer.build((None, 4))
        layer.embeddings.assign(np.random.default_rng(0).normal(size=(1000, 4)))

    @tf.function
    def losses():
        return strategy.run(lambda: layer(tf.ones((3, 4)), tf.constant([0, 1, 2])))

    first, second = strategy.experimental_local_results(losses())
    assert (first.numpy() != second.numpy()).all()


def test_a_step_of_two_replicas_is_a_step_of_one_device(strategy):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(9, 3)).astype(np.float32)
    ids = np.array([4, 1, 4, 4, 0, 8, 1, 4])
    values = rng.normal(size=(8, 3)).astype(np.float32)
    # Row 4 is beyond the bound of 4 / .05 = 80 in the whole batch, but in neither half.
    masses = np.array([60, 1, 1, 1, 1, 50, 1, 60], np.float32)
    with strategy.scope():
        table, dense = keras.Variable(start), keras.Variable(start)
        optimizer = RowSGD(0.05)
        optimizer.build([table, dense])

    @tf.function
    def step():
        def replica():
            half = tf.distribute.get_replica_context().replica_id_in_sync_group
            # Every second entry, so that rows 4 and 1 are in both halves.
            rows, parts = tf.constant(ids)[half::2], tf.constant(values)[half::2]
            of_dense = tf.constant(start) * (1.0 + tf.cast(half, tf.float32))  # 1 + 2 = 3 times
            optimizer.apply(
                [tf.IndexedSlices(parts, rows), of_dense],
                [table, dense],
                {id(table): [(rows, tf.constant(masses)[half::2])]},
            )

        strategy.run(replica)

    step()
    gradient, mass = np.zeros((9, 3)), np.bincount(ids, masses, minlength=9)
    np.add.at(gradient, ids, values)
    rate = np.minimum(0.05, 4 / np.maximum(mass, 1e-9))[:, None]
    for copy in strategy.experimental_local_results(table.value):
        np.testing.assert_allclose(copy, start - rate * gradient, atol=1e-6)
    for copy in strategy.experimental_local_results(dense.value):
        np.testing.assert_allclose(copy, start - 0.05 * 3 * start, atol=1e-6)
    assert optimizer.iterations.numpy() == 1
