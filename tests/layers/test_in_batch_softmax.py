"""The in-batch softmax against its formula in NumPy, and against the full softmax."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.layers import (
    FullSoftmax,
    InBatchSoftmax,
    StreamingProbabilities,
    outputs_are_losses,
)

V, DIM, N = 7, 4, 6
COUNTS = np.array([3, 40, 5, 1, 30, 0, 21])  # in any order


def batch(number=N, extra=0, seed=0):
    rng = np.random.default_rng(seed)
    queries = rng.normal(size=(number, DIM)).astype(np.float32)
    ids = rng.choice(V, number + extra, p=COUNTS / COUNTS.sum()).astype(np.int32)
    ids[:2] = 1  # an accidental hit at least
    items = rng.normal(size=(V, DIM)).astype(np.float32)
    return queries, items[ids], ids


def expected_losses(queries, candidates, ids, probabilities, copies=True):
    """Writes the formula out, one query and one candidate at a time."""
    losses = []
    scores = np.float64(queries) @ candidates.T
    for i in range(len(queries)):
        own = scores[i, i] - np.log(probabilities[i])
        total = np.exp(own)
        for j, other in enumerate(ids):
            if other != ids[i]:
                number = (ids == other).sum() if copies else 1
                total += np.exp(scores[i, j]) / probabilities[j] / number
        losses.append(np.log(total) - own)
    return losses


def test_without_ids_it_is_the_softmax_over_the_batch():
    queries, candidates, _ = batch(extra=2)
    scores = queries @ candidates.T
    expected = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(N), np.arange(N)]
    np.testing.assert_allclose(InBatchSoftmax()(queries, candidates), expected, rtol=1e-5)


def test_accidental_hits_are_removed():
    queries, candidates, ids = batch()
    ones = np.ones(N)
    plain = expected_losses(queries, candidates, ids, ones, copies=False)
    losses = InBatchSoftmax()(queries, candidates, ids)
    np.testing.assert_allclose(losses, plain, rtol=1e-5)
    kept = InBatchSoftmax(remove_accidental_hits=False)
    np.testing.assert_allclose(
        kept(queries, candidates, ids), InBatchSoftmax()(queries, candidates), rtol=1e-6
    )
    # What a hit would have cost: its vector has no gradient from the query it is a hit of.
    with tf.GradientTape() as tape:
        variable = tf.Variable(candidates)
        loss = InBatchSoftmax()(queries, variable, ids)[0]
    gradient = tf.convert_to_tensor(tape.gradient(loss, variable)).numpy()
    assert (gradient[1] == 0).all()
    assert (gradient[0] != 0).all()


@pytest.mark.parametrize("extra", [0, 3])
def test_log_q_correction_by_counts(extra):
    queries, candidates, ids = batch(extra=extra)
    probabilities = 1 - (1 - COUNTS[ids] / COUNTS.sum()) ** len(ids)
    layer = InBatchSoftmax(sampling=COUNTS)
    expected = expected_losses(queries, candidates, ids, probabilities)
    np.testing.assert_allclose(layer(queries, candidates, ids), expected, rtol=1e-4)
    np.testing.assert_allclose(layer(queries, candidates, ids[:, None]), expected, rtol=1e-4)
    given = InBatchSoftmax()(queries, candidates, ids, probabilities=probabilities)
    np.testing.assert_allclose(given, expected, rtol=1e-4)


def test_log_q_correction_by_a_stream():
    layer = InBatchSoftmax(sampling=StreamingProbabilities(V))
    for seed in range(5):
        layer(*batch(seed=seed), training=True)
    inputs = batch(seed=9)
    probabilities = layer.sampling(inputs[2]).numpy()
    assert len(set(probabilities)) > 1
    np.testing.assert_allclose(layer(*inputs), expected_losses(*inputs, probabilities), rtol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_cosines_and_temperature(temperature):
    queries, candidates, ids = batch()
    layer = InBatchSoftmax(temperature, "cosine")
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, candidates)]
    expected = expected_losses(units[0] / temperature, units[1], ids, np.ones(N), copies=False)
    np.testing.assert_allclose(layer(queries, candidates, ids), expected, rtol=1e-4, atol=1e-5)


def test_in_the_limit_it_is_the_full_softmax():
    counts = np.array([3, 40, 5, 8, 30, 6, 21])
    rng = np.random.default_rng(0)
    ids = rng.choice(V, 400, p=counts / counts.sum()).astype(np.int32)  # all items, many times
    queries = rng.normal(size=(400, DIM)).astype(np.float32)
    full = FullSoftmax(V)
    full.build((None, DIM), (None,))
    full.embeddings.assign(rng.normal(size=(V, DIM)))
    candidates = full.embeddings.numpy()[ids]
    losses = InBatchSoftmax(sampling=counts)(queries, candidates, ids)
    np.testing.assert_allclose(losses, full(queries, ids), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("corrected", [True, False])
def test_what_the_correction_is_for(corrected):
    # One query for all, items by their frequencies: at the optimum of the full softmax scores are
    # log-frequencies, up to a constant: from 1 to -1.1. Without a correction they are nearly equal
    # (copies of a negative count as often as they come, the query's own item once).
    frequencies = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    layer = InBatchSoftmax(sampling=frequencies if corrected else None)
    scores = tf.Variable(tf.zeros([5, 1]))
    rng = np.random.default_rng(0)
    ids = tf.constant(rng.choice(5, (1500, 6), p=frequencies), tf.int32)
    layer(tf.ones([6, 1]), tf.ones([6, 1]), ids[0])

    @tf.function
    def train():
        for step in tf.range(1500):
            with tf.GradientTape() as tape:
                candidates = tf.gather(scores, ids[step])
                loss = tf.reduce_mean(layer(tf.ones([6, 1]), candidates, ids[step]))
            gradient = tf.convert_to_tensor(tape.gradient(loss, scores))
            rate = 4.0 / (1.0 + tf.cast(step, tf.float32) / 30.0)
            scores.assign_sub(rate * gradient)

    train()
    found = scores.numpy()[:, 0] - scores.numpy().mean()
    expected = np.log(frequencies) - np.log(frequencies).mean()
    if corrected:
        np.testing.assert_allclose(found, expected, atol=0.2)
    else:
        np.testing.assert_allclose(found, 0, atol=0.35)


def test_gradients_are_finite_differences():
    queries, candidates, ids = batch(extra=2)
    layer = InBatchSoftmax(0.7, "cosine", COUNTS)
    factors = np.random.default_rng(2).normal(size=N).astype(np.float32)
    variables = [tf.Variable(queries), tf.Variable(candidates)]

    def total():
        return tf.reduce_sum(layer(*variables, ids) * factors)

    with tf.GradientTape() as tape:
        summed = total()
    gradients = tape.gradient(summed, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        start = variable.numpy()
        for index in [(0, 1), (3, 2), (5, 0)]:
            change = np.zeros_like(start)
            change[index] = 0.01
            variable.assign(start + change)
            rise = float(total())
            variable.assign(start - change)
            assert gradient.numpy()[index] == pytest.approx(
                (rise - float(total())) / 0.02, abs=2e-3
            )
            variable.assign(start)


def test_a_batch_of_one_has_nothing_to_learn():
    queries, candidates = tf.Variable(tf.ones([1, DIM])), tf.ones([1, DIM])
    with tf.GradientTape() as tape:
        loss = InBatchSoftmax()(queries, candidates, np.array([3]))
    assert loss.numpy().tolist() == [0]
    assert tape.gradient(loss, queries).numpy().tolist() == [[0] * DIM]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_precisions(policy):
    inputs = batch()
    layer = InBatchSoftmax(sampling=COUNTS, dtype=policy)
    losses = layer(*inputs)
    assert losses.dtype == tf.float32
    np.testing.assert_allclose(
        losses, InBatchSoftmax(sampling=COUNTS)(*inputs), rtol=0.03, atol=0.03
    )


def test_compiled_by_xla():
    layers = [InBatchSoftmax(sampling=StreamingProbabilities(num_buckets=16)) for _ in range(2)]
    inputs = batch()
    for layer in layers:
        layer.build(*(x.shape for x in inputs))
        layer.sampling.build()
    compiled = tf.function(layers[0], jit_compile=True)
    for _ in range(2):
        np.testing.assert_allclose(
            compiled(*inputs, training=True), layers[1](*inputs, training=True), rtol=1e-5
        )


def test_two_towers_are_trained_saved_and_loaded(tmp_path):
    users, items = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    queries = keras.layers.Dense(DIM)(keras.layers.Embedding(20, DIM)(users))
    candidates = keras.layers.Dense(DIM)(keras.layers.Embedding(20, DIM)(items))
    layer = InBatchSoftmax(0.2, "cosine", StreamingProbabilities(20, name="frequencies"))
    model = keras.Model([users, items], layer(queries, candidates, items))

    model.compile(keras.optimizers.Adam(0.02), outputs_are_losses, jit_compile=False)
    ids = np.random.default_rng(0).integers(0, 20, 400)
    history = model.fit([ids, (ids + 3) % 20], ids, batch_size=40, epochs=8, verbose=0).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert layer.sampling.weights[0].numpy() == 80  # the batches that it has counted
    model.save(tmp_path / "towers.keras")
    loaded = keras.saving.load_model(tmp_path / "towers.keras")
    inputs = [ids[:10], (ids[:10] + 3) % 20]
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    counted = keras.Model(
        [users, items], InBatchSoftmax(sampling=COUNTS)(queries, candidates, items)
    )
    counted.save(tmp_path / "counts.keras")
    again = keras.saving.load_model(tmp_path / "counts.keras")
    inputs = [ids[:10], ids[:10] % V]
    np.testing.assert_array_equal(again(inputs), counted(inputs))
    assert counted.layers[-1].get_config()["sampling"] == COUNTS.tolist()
    clone = keras.models.clone_model(counted)
    clone.set_weights(counted.get_weights())
    np.testing.assert_array_equal(clone(inputs), counted(inputs))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"temperature": 0.0}, ValueError, "`temperature` must be positive"),
        ({"similarity": "l2"}, ValueError, "`similarity` must be one of 'dot', 'cosine'"),
        ({"sampling": "all"}, TypeError, "`sampling` must be counts, a kerasw2v.layers.Stream"),
        ({"sampling": [1, -2]}, ValueError, "`sampling` must be a vector of counts, finite"),
        ({"sampling": [[1, 2]]}, ValueError, "`sampling` must be a vector of counts"),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        InBatchSoftmax(**arguments)


def test_bad_calls():
    queries, candidates, ids = batch()
    counted = InBatchSoftmax(sampling=COUNTS)
    with pytest.raises(ValueError, match="`ids` must be given to a layer with `sampling`"):
        counted(queries, candidates)
    with pytest.raises(
        ValueError, match=rf"^`ids` must be ids from 0 to {len(COUNTS) - 1}\. .*\.$"
    ):
        counted(queries, candidates, np.full(len(candidates), len(COUNTS)))
    with pytest.raises(ValueError, match="`probabilities` must not be given to a layer that has"):
        counted(queries, candidates, ids, probabilities=np.ones(N))
    with pytest.raises(ValueError, match=r"`ids` must have shape \(m,\) for m candidates"):
        InBatchSoftmax()(queries, candidates, ids[:-1])
    with pytest.raises(ValueError, match="`candidates` must be at least as many as `queries`"):
        InBatchSoftmax()(queries, candidates[:-1])
    with pytest.raises(ValueError, match="`queries` and `candidates` must have shapes"):
        InBatchSoftmax()(queries, candidates[:, 1:])


def test_many_counts_travel_with_the_weights(tmp_path):
    counts = np.arange(1000.0)
    layer = InBatchSoftmax(sampling=counts)
    inputs = batch()
    expected = layer(*inputs)
    config = layer.get_config()
    assert len(str(config)) < 500
    np.testing.assert_array_equal(InBatchSoftmax.from_config(config)(*inputs), expected)
    del layer  # as in another process
    gc.collect()
    alone = InBatchSoftmax.from_config(config)
    assert alone.get_config() == config
    with pytest.raises(ValueError, match="`sampling` must be given, or come with weights"):
        alone(*inputs)
    alone.set_weights([(counts / counts.sum()).astype(np.float32)])
    np.testing.assert_allclose(alone(*inputs), expected, rtol=1e-5)
