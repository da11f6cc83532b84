"""Streaming estimates against frequencies that are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.layers import StreamingProbabilities

V, BATCH = 50, 8


def zipf(size=V):
    weights = 1 / np.arange(1, size + 1)
    return weights / weights.sum()


def stream(layer, frequencies, steps, seed=0):
    """Draws batches of ids from frequencies, and lets the layer count them."""
    rng = np.random.default_rng(seed)
    batches = tf.constant(rng.choice(len(frequencies), (steps, BATCH), p=frequencies))

    @tf.function
    def run():
        for step in tf.range(steps):
            layer(batches[step], training=True)

    run()


def in_a_batch(frequencies):
    return 1 - (1 - frequencies) ** BATCH


@pytest.mark.parametrize("arguments", [{"vocabulary_size": V}, {"num_buckets": 2**12}])
def test_known_frequencies(arguments):
    layer = StreamingProbabilities(learning_rate=0.002, **arguments)
    layer(np.arange(2))
    stream(layer, zipf(), 4000)
    expected = in_a_batch(zipf())
    found = layer(np.arange(V)).numpy()
    # The rarest of 50 words is in 130 of 4,000 batches: 9 % standard error.
    np.testing.assert_allclose(found, expected, rtol=0.35)
    assert np.abs(np.log(found / expected)).mean() < 0.08


def test_drifting_frequencies_are_followed():
    layer = StreamingProbabilities(V, learning_rate=0.05)
    stopped = StreamingProbabilities(V, learning_rate=1e-9)  # means of all times
    for each in (layer, stopped):
        each(np.arange(2))
        stream(each, zipf(), 1500)
        stream(each, zipf()[::-1].copy(), 1500, seed=1)
    expected = np.log(in_a_batch(zipf()[::-1]))
    error, error_of_mean = (
        np.abs(np.log(each(np.arange(V)).numpy()) - expected).mean() for each in (layer, stopped)
    )
    assert error < 0.25
    assert error_of_mean > 2 * error


def test_an_id_that_comes_no_more_gets_rare():
    layer = StreamingProbabilities(3, learning_rate=0.01)
    for _ in range(4):
        layer(np.array([0, 1]), training=True)
    assert layer(np.array([1])).numpy() == 1
    for _ in range(15):
        layer(np.array([0]), training=True)
    np.testing.assert_allclose(layer(np.array([0, 1])), [1, 5 / 15])


def test_an_id_never_seen_is_as_rare_as_the_steps_say():
    layer = StreamingProbabilities(num_buckets=2**10)
    for _ in range(20):
        layer(np.array([5]), training=True)
    np.testing.assert_allclose(layer(np.array([5, 7])), [1, 1 / 20])


def test_several_hashes_tell_ids_apart_that_share_a_counter():
    # 200 ids in 64 counters: one hash adds up the frequencies of three.
    errors = []
    for hashes in (1, 4):
        layer = StreamingProbabilities(num_buckets=64, num_hashes=hashes, learning_rate=0.002)
        layer(np.arange(2))
        stream(layer, zipf(200), 2000)
        found = layer(np.arange(200)).numpy()
        errors.append(np.abs(np.log(found / in_a_batch(zipf(200))))[:20].mean())
    assert errors[1] < errors[0]
    big = StreamingProbabilities(num_buckets=64)
    assert big(np.array([2**62, -1, 0])).shape == (3,)  # any integers


def test_only_training_counts():
    layer = StreamingProbabilities(4)
    layer(np.array([1, 2]), training=True)
    before = [weight.numpy() for weight in layer.weights]
    for training in (False, None):
        layer(np.array([1, 3]), training=training)
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert layer.trainable_weights == []


def test_state_is_saved(tmp_path):
    ids = keras.Input((), dtype="int32")
    layer = StreamingProbabilities(num_buckets=2**8, num_hashes=3)
    model = keras.Model(ids, layer(ids))
    for _ in range(3):
        layer(np.array([7, 9]), training=True)
    layer(np.array([9]), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = np.array([7, 9, 11])
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    np.testing.assert_allclose(loaded(inputs), [1, 1, 1 / 4])


def test_replicas_count_all_ids_and_agree(strategy):
    with strategy.scope():
        layer = StreamingProbabilities(8, learning_rate=0.01)
        layer.build()

    @tf.function
    def run():
        def replica():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            ids = tf.stack([0, 1 + number])  # 0 on both, 1 and 2 on one each
            return layer(ids, training=True)

        return strategy.run(replica)

    for _ in range(4):
        found = strategy.experimental_local_results(run())
    # In every batch of both; of one replica's half 1 - sqrt(1 - p) of it, which is 1 for p = 1.
    for each in found:
        np.testing.assert_allclose(each, [1, 1])
    for copy in strategy.experimental_local_results(layer.weights[3].value):
        np.testing.assert_array_equal(copy, [4, 4, 4, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"vocabulary_size": 0}, ValueError, "`vocabulary_size` must be at least 1"),
        ({"num_buckets": 100}, ValueError, "`num_buckets` must be a power of two"),
        ({"num_hashes": 0}, ValueError, "`num_hashes` must be at least 1"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be above 0 and at most 1"),
        ({"seed": "x"}, TypeError, "`seed` must be an integer or None"),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        StreamingProbabilities(**arguments)
