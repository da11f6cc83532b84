"""Training on two logical CPU devices (see conftest.py) under `MirroredStrategy`."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Vocabulary, block_dataset
from kerasw2v.layers import EmbeddingLookup, FullSoftmax, NegativeSampling
from kerasw2v.ops.replica_sum import bytes_as_rows, bytes_as_table, cheaper_reduction
from kerasw2v.ops.row_gradients import RowGradient, RowMass, RowSlices, record_rows
from kerasw2v.optimizers import RowSGD

# `importlib` mode keeps the folder of the table off the path.
sys.path.insert(0, str(Path(__file__).parent / "conformance"))
from descriptors import OUTPUT_LAYERS

WINDOW = 2
RUNS = 200


@pytest.fixture(scope="module")
def sentences():
    rng = np.random.default_rng(0)
    topics = [[f"{topic}{i}" for i in range(10)] for topic in "ab"]
    return [rng.choice(topics[i % 2], rng.integers(2, 12)).tolist() for i in range(120)]


@pytest.fixture(scope="module")
def vocabulary(sentences):
    return Vocabulary.from_corpus(sentences, min_count=1)


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
    losses = model.fit(dataset, epochs=4, verbose=0).history["loss"]
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


def test_a_step_reads_no_table_as_a_whole(strategy):
    # After the first sparse update each such read would copy the table.
    with strategy.scope():
        model = SkipGram(500, 8, NegativeSampling(500, seed=1), seed=1)
        model.compile(RowSGD(0.05))
        model.optimizer.build(model.trainable_variables)
    blocks = tf.TensorSpec((4, model.block_length + 2 * model.window), tf.int32)
    step = tf.function(lambda data: strategy.run(model.train_step, args=(data,)))
    operations = step.get_concrete_function(blocks).graph.get_operations()
    reads = [each.outputs[0].shape for each in operations if each.type == "ReadVariableOp"]
    assert (500, 8) not in reads
    assert sum(each.type == "ResourceGather" for each in operations) >= 6  # three a replica


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
            mass = RowMass(rows, tf.constant(masses)[half::2])
            of_table = RowGradient([RowSlices(rows, parts)], mass, start.shape)
            optimizer.apply([of_table, of_dense], [table, dense])

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


V, DIM, ROWS, REPLICAS = 11, 4, 12, 2
first_rows = {name.split(",")[0]: row for name, row in reversed(OUTPUT_LAYERS.items())}
each_layer = pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=() if row in first_rows.values() else pytest.mark.slow)
        for row in OUTPUT_LAYERS.values()
    ],
    ids=OUTPUT_LAYERS.keys(),
)


def layer_with_weights(row):
    layer = row.create(np.array([90, 50, 40, 30, 20, 10, 8, 5, 3, 2, 1]))
    layer.build((None, DIM), (None,))
    rng = np.random.default_rng(0)
    starts = [rng.normal(0, 0.7, weight.shape) for weight in layer.trainable_weights]
    optimizer = RowSGD(0.01)
    optimizer.build(layer.trainable_variables)
    return layer, optimizer, starts


def update(layer, optimizer, hidden, targets):
    """A step of training the layer's weights on some pairs."""
    with tf.GradientTape() as tape, record_rows(tape) as record:
        loss = tf.reduce_sum(layer(hidden, targets))
    variables = layer.trainable_variables
    optimizer.apply(record.gradients(loss, variables), variables)


@each_layer
def test_a_batch_over_replicas_updates_every_layer_as_on_one(row, strategy):
    rng = np.random.default_rng(1)
    hidden = rng.normal(size=(ROWS, DIM)).astype(np.float32)
    targets = rng.integers(0, V, ROWS).astype(np.int32)
    with strategy.scope():
        shared = layer_with_weights(row)
    with tf.device("CPU:0"):
        alone = layer_with_weights(row)

    @tf.function
    def step_of_replicas():
        def replica():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            update(*shared[:2], tf.constant(hidden)[number::2], tf.constant(targets)[number::2])

        strategy.run(replica)

    @tf.function
    def step_alone():
        with tf.device("CPU:0"):
            update(*alone[:2], tf.constant(hidden), tf.constant(targets))

    def changes(step, layer, _, starts):
        found = []
        for _ in range(RUNS if row.sampled else 1):
            for weight, start in zip(layer.trainable_weights, starts, strict=True):
                weight.assign(start)
            step()
            ends = [weight.numpy() for weight in layer.trainable_weights]
            found.append([end - start for end, start in zip(ends, starts, strict=True)])
        return [np.float64(runs) for runs in zip(*found, strict=True)]

    for of_replicas, of_one in zip(
        changes(step_of_replicas, *shared), changes(step_alone, *alone), strict=True
    ):
        assert np.abs(of_one.mean(0)).max() > 1e-3
        if not row.sampled:
            np.testing.assert_allclose(of_replicas, of_one, rtol=1e-4, atol=1e-6)
            continue
        error = np.sqrt((of_replicas.var(0) + of_one.var(0)) / RUNS)
        # Some 50 means in standard errors: 5 are passed once in 30,000 seeds, while a gradient
        # that one replica kept for itself would be some 10 away.
        assert (np.abs(of_replicas.mean(0) - of_one.mean(0)) <= 5 * error + 1e-6).all()
        assert error.max() < 0.1 * np.abs(of_one.mean(0)).max()


@pytest.mark.parametrize("reduction", ["rows", "dense"])
def test_both_ways_of_sending_gradients_give_the_same_step(reduction, strategy):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(9, 2, 3)).astype(np.float32)
    ids, values = np.array([4, 1, 4, 4, 0, 8]), rng.normal(size=(6, 2, 3)).astype(np.float32)
    masses = np.array([60, 1, 1, 60, 1, 50], np.float32)
    with strategy.scope():
        table = keras.Variable(start)
        optimizer = RowSGD(0.05, reduction=reduction)
        optimizer.build([table])

    @tf.function
    def step():
        def replica():
            half = tf.distribute.get_replica_context().replica_id_in_sync_group
            rows = tf.constant(ids)[3 * half : 3 * half + 3]
            slices = RowSlices(rows, tf.constant(values)[3 * half : 3 * half + 3])
            mass = RowMass(rows, tf.constant(masses)[3 * half : 3 * half + 3])
            optimizer.apply([RowGradient([slices], mass, start.shape)], [table])

        strategy.run(replica)

    step()
    gradient, mass = np.zeros((9, 2, 3)), np.bincount(ids, masses, minlength=9)
    np.add.at(gradient, ids, values)
    rate = np.minimum(0.05, 4 / np.maximum(mass, 1e-9))[:, None, None]
    for copy in strategy.experimental_local_results(table.value):
        np.testing.assert_allclose(copy, start - rate * gradient, atol=1e-6)
    assert RowSGD.from_config(optimizer.get_config()).reduction == reduction


def test_what_moves_fewer_bytes_is_chosen():
    # Received by each of 4: 3 * 100 rows of (8 + 1) floats and an id; 2 * 3 / 4 of the table.
    assert bytes_as_rows(100, 8, 4) == 3 * 100 * (9 * 4 + 8)
    assert bytes_as_table(1000, 8, 4) == 1.5 * 1000 * 9 * 4
    assert cheaper_reduction(100, 1000, 8, 4) == "rows"
    assert cheaper_reduction(500, 1000, 8, 4) == "dense"
    assert cheaper_reduction(100, 1000, 8, 64) == "dense"
    assert cheaper_reduction(None, 1, 8, 64) == "rows"
    with pytest.raises(ValueError, match="`reduction` must be one of 'auto', 'rows', 'dense'"):
        RowSGD(reduction="sparse")


@pytest.mark.parametrize("shards", [2, 3])
def test_models_in_shards_learn_what_one_table_learns(shards, sentences, vocabulary, tmp_path):
    def trained(number):
        layer = FullSoftmax(len(vocabulary), shards=number)
        model = SkipGram(
            len(vocabulary), 8, layer, WINDOW, shrink_windows=False, seed=1, shards=number
        )
        model.compile(RowSGD(0.025))
        dataset = block_dataset(sentences, vocabulary, WINDOW, 0, batch_size=128, seed=1)
        losses = model.fit(dataset, epochs=2, verbose=0).history["loss"]
        return model, losses

    one, losses_of_one = trained(1)
    some, losses = trained(shards)
    np.testing.assert_allclose(losses, losses_of_one, rtol=1e-5)
    table = one.embedding.embeddings.numpy()
    # Some twenty steps, each a float32 sum of some hundred terms in another order.
    np.testing.assert_allclose(some.embedding.embeddings.numpy(), table, rtol=1e-4, atol=1e-4)
    for sharded in (some.embedding.table, some.output_layer.embeddings):
        assert sum(part.shape[0] for part in sharded.parts) == len(vocabulary)
        assert {part.value.device[-5:] for part in sharded.parts} == {"CPU:0", "CPU:1"}
    path = tmp_path / "model.keras"
    some.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded.embedding.embeddings, some.embedding.embeddings)
    np.testing.assert_array_equal(
        loaded.output_layer.embeddings.numpy(), some.output_layer.embeddings.numpy()
    )


def test_a_step_reads_and_updates_the_owning_shard_alone():
    layer = EmbeddingLookup(7, 3, shards=3, seed=1)
    layer.build()
    before = layer.embeddings.numpy()
    np.testing.assert_array_equal(before, EmbeddingLookup(7, 3, seed=1)(np.arange(7)))
    optimizer = RowSGD(0.5)
    optimizer.build(layer.trainable_variables)
    ids = tf.constant([[4, 1], [4, 4]])  # all of them in part 1
    with tf.GradientTape() as tape, record_rows(tape) as record:
        rows = layer(ids)
        layer.add_mass(ids, tf.fill(ids.shape, 4.0))  # 12 for row 4: a rate of a third
        loss = tf.reduce_sum(rows)
    gradients = record.gradients(loss, layer.trainable_variables)
    assert [gradient.slices[0].ids.shape[0] for gradient in gradients] == [0, 4, 0]
    optimizer.apply(gradients, layer.trainable_variables)
    expected = before.copy()
    expected[1] -= 0.5
    expected[4] -= 3 * (4 / 12)
    np.testing.assert_allclose(layer.embeddings, expected, rtol=1e-6)
    assert EmbeddingLookup.from_config(layer.get_config()).shards == 3
    with pytest.raises(ValueError, match=r"`shards` must be at most the number of rows"):
        EmbeddingLookup(2, 3, shards=3)
