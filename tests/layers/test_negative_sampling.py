"""NegativeSampling against an enumeration of its noise, in NumPy and float64."""

import re

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import SkipGram, Vocabulary, block_dataset
from kerasw2v.layers import NegativeSampling
from kerasw2v.ops import noise
from kerasw2v.ops.row_gradients import record_rows
from kerasw2v.optimizers import RowSGD, linear_decay

COUNTS = np.array([40, 20, 20, 10, 6, 3, 1])
V, DIM, K = len(COUNTS), 4, 5
SHARINGS = ("example", "group", "batch")


def make(sharing, seed=1, **kwargs):
    layer = NegativeSampling(COUNTS, K, sharing=sharing, group_size=6, seed=seed, **kwargs)
    layer.build((None, DIM))
    layer.embeddings.assign(np.random.default_rng(0).normal(size=(V, DIM)))
    return layer


def blocks(batch, length, width, seed=1):
    """Two weights of each three are zero, as in a band; one target comes twice in a block."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(batch, length, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (batch, width)).astype(np.int32)
    candidates[:, -1] = candidates[:, 0]
    weights = rng.choice([0.0, 0.0, 1.0], (batch, length, width)).astype(np.float32)
    weights[:, 0] = [1.0] + [0.0] * (width - 1)
    return hidden, candidates, weights


def pairs(rows, seed=1):
    """Pairs, as blocks of one hidden vector and one target."""
    hidden, candidates, weights = blocks(rows, 1, 1, seed)
    weights[:, 0, 0] = np.random.default_rng(seed).choice([1.0, 1.0, 2.0, 0.0], rows)
    return hidden, candidates, weights


def run(layer, hidden, candidates, weights):
    """Returns the losses of blocks, and the gradients of hidden vectors and table."""
    single = hidden.shape[1] == weights.shape[2] == 1

    @tf.function
    def step(hidden):
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            if single:
                losses = layer(hidden[:, 0], candidates[:, 0], weights[:, 0, 0])
            else:
                losses = layer(hidden, candidates, weights)
        of_hidden, of_table = tape.gradient(losses, [hidden, layer.embeddings.value])
        losses = tf.reshape(losses, weights.shape[:2])
        return losses, of_hidden, tf.convert_to_tensor(of_table)

    return lambda: [tensor.numpy() for tensor in step(tf.constant(hidden))]


def by_numpy(table, hidden, candidates, weights, noise_weights):
    """Losses and gradients when block `b` meets word `z` as noise `noise_weights[b, z]` times.

    A noise word that is the target is skipped, pair by pair, as in word2vec.c.
    """
    table, hidden = np.float64(table), np.float64(hidden)
    losses = np.zeros(weights.shape[:2])
    of_hidden, of_table = np.zeros_like(hidden), np.zeros_like(table)
    for b, i, c in np.ndindex(weights.shape):
        target = candidates[b, c]
        met = np.where(np.arange(V) == target, 0.0, noise_weights[b])
        label = np.arange(V) == target
        scores = table @ hidden[b, i]
        losses[b, i] += weights[b, i, c] * (
            np.logaddexp(0, -scores[target]) + met @ np.logaddexp(0, scores)
        )
        slope = weights[b, i, c] * (label + met) * (1 / (1 + np.exp(-scores)) - label)
        of_hidden[b, i] += slope @ table
        of_table += np.outer(slope, hidden[b, i])
    return losses, of_hidden, of_table


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("form", ["pairs", "blocks"])
def test_expected_loss_and_gradient_are_those_of_fresh_draws(sharing, form):
    arrays = pairs(8) if form == "pairs" else blocks(4, 3, 5)
    layer = make(sharing, shared_size=None if sharing == "example" else 12)
    step = run(layer, *arrays)
    samples = [step() for _ in range(800)]
    probabilities = COUNTS**0.75 / (COUNTS**0.75).sum()
    noise_weights = np.tile(K * probabilities, (len(arrays[0]), 1))
    expected = by_numpy(layer.embeddings.numpy(), *arrays, noise_weights)
    for position, value in enumerate(expected):
        draws = np.float64([sample[position] for sample in samples])
        error = draws.mean(0) - value
        # Standard errors of a mean of 800; about 80 numbers are compared, so 5 of them are passed
        # once in 20,000 seeds. 1e-5 is for float32.
        assert (np.abs(error) <= 5 * draws.std(0) / len(draws) ** 0.5 + 1e-5).all()
        # And these standard errors are small enough to notice 15 % too much or too little noise.
        assert 5 * draws.std(0).max() / len(draws) ** 0.5 < 0.15 * np.abs(value).max()


@pytest.mark.parametrize(
    ("sharing", "arrays", "groups"),
    [
        ("example", pairs(9), 9),
        ("group", pairs(12), 2),
        ("batch", pairs(9), 1),
        ("group", blocks(4, 3, 5), 2),
        ("group", blocks(4, 1, 1), 1),
        ("batch", blocks(5, 3, 5), 1),
    ],
    ids=["example", "group", "batch", "group-blocks", "padded-group", "batch-blocks"],
)
@pytest.mark.parametrize("shared_size", [3, 8])
def test_given_draws(monkeypatch, sharing, arrays, groups, shared_size):
    shared = K if sharing == "example" else shared_size
    drawn = np.random.default_rng(shared_size).integers(0, V, (groups, shared)).astype(np.int32)

    def given(accept, alias, shape, seed):
        with tf.control_dependencies([tf.debugging.assert_equal(shape, (groups, shared))]):
            return tf.constant(drawn)

    monkeypatch.setattr(noise, "draw", given)
    layer = make(sharing, shared_size=None if sharing == "example" else shared_size)
    blocks_in_group = len(arrays[0]) // groups
    met = [np.bincount(drawn[b // blocks_in_group], minlength=V) for b in range(len(arrays[0]))]
    noise_weights = np.array(met) * K / shared
    expected = by_numpy(layer.embeddings.numpy(), *arrays, noise_weights)
    for result, value in zip(run(layer, *arrays)(), expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("rows", [1, 5, 7, 64, 65])
def test_any_number_of_rows_in_groups(rows):
    layer = NegativeSampling(COUNTS, K, seed=1)
    layer.build((None, DIM))
    layer.embeddings.assign(np.ones((V, DIM)))
    hidden = np.zeros((rows, DIM), np.float32)  # so every score is 0 and every loss is known
    targets = np.full(rows, V - 1)  # p = .017: a hit takes terms away
    losses = layer(hidden, targets).numpy()
    assert losses.shape == (rows,)
    assert (losses <= (1 + K) * np.log(2) + 1e-5).all()
    assert losses.max() > K * np.log(2)
    unknown = tf.function(
        layer, input_signature=[tf.TensorSpec((None, DIM)), tf.TensorSpec((None,), tf.int32)]
    )
    assert unknown(hidden, targets.astype(np.int32)).shape == (rows,)


def test_a_noise_word_that_is_the_target_is_skipped():
    layer = NegativeSampling([1.0, 0.0], K, seed=1)  # all noise is word 0
    hidden = np.array([[1.0, 2.0], [1.0, 2.0]], np.float32)
    layer.build((None, 2))
    layer.embeddings.assign([[0.5, 0.5], [0.1, 0.2]])
    losses = layer(hidden, np.array([0, 1])).numpy()
    assert losses[0] == pytest.approx(np.logaddexp(0, -1.5), rel=1e-5)
    assert losses[1] == pytest.approx(np.logaddexp(0, -0.5) + K * np.logaddexp(0, 1.5), rel=1e-5)


@pytest.fixture
def drawn(monkeypatch):
    """Replaces the draws by random ids, and returns the list of them."""
    rng, drawn = np.random.default_rng(1), []

    def given(accept, alias, shape, seed):
        drawn.append(rng.integers(0, V, [int(size) for size in shape]).astype(np.int32))
        return tf.constant(drawn[-1])

    monkeypatch.setattr(noise, "draw", given)
    return drawn


@pytest.mark.parametrize("length", [1.0, 9.0], ids=["short", "long"])
@pytest.mark.parametrize(("sharing", "groups"), [("example", 4), ("group", 2), ("batch", 1)])
def test_masses(drawn, sharing, groups, length):
    layer = make(sharing)
    hidden, candidates, weights = blocks(4, 3, 5) if sharing != "example" else pairs(4)
    hidden *= length / np.linalg.norm(hidden[:2], axis=-1).mean()
    curvature = np.maximum(1, (hidden**2).sum(-1) / 16)  # of a term, in units of a counted one
    assert (curvature > 1).any() == (length > 4)
    with tf.GradientTape() as tape, record_rows(tape) as record:
        if sharing == "example":
            layer(hidden[:, 0], candidates[:, 0], weights[:, 0, 0])
        else:
            layer(hidden, candidates, weights)
    mass = np.zeros(V)
    for ids, values in record.masses(layer.embeddings):
        np.add.at(mass, ids.numpy(), values.numpy())
    expected = np.zeros(V)
    weights = weights * curvature[..., None]
    np.add.at(expected, candidates, weights.sum(1))
    (pool,) = drawn
    assert len(pool) == groups
    for group, words in enumerate(pool):
        members = weights[group * 4 // groups : (group + 1) * 4 // groups]
        np.add.at(expected, words, members.sum() * K / len(words))
    np.testing.assert_allclose(mass, expected, rtol=1e-5)
    assert layer.target_mass(candidates) == 1 + K


@pytest.mark.parametrize("sharing", SHARINGS)
def test_same_seed_same_draws(sharing):
    arrays = pairs(8)
    first, again, other = (run(make(sharing, seed), *arrays) for seed in (1, 1, 2))
    losses = [first()[0], first()[0]]
    assert (losses[0] == again()[0]).all()
    assert (losses[1] == again()[0]).all()
    assert (losses[0] != losses[1]).any()  # other draws at every call
    assert (losses[0] != other()[0]).any()


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("scale", [50.0, 100.0])
def test_extreme_scores_stay_finite(sharing, scale):
    layer = make(sharing)
    layer.embeddings.assign(scale * np.sign(layer.embeddings.numpy()))
    for arrays in (pairs(8), blocks(4, 3, 5)):
        assert all(np.isfinite(result).all() for result in run(layer, *arrays)())


def test_work_is_sparse():
    layer = make("group")
    with tf.GradientTape() as tape:
        losses = layer(*blocks(4, 3, 5))
    assert isinstance(tape.gradient(losses, layer.embeddings.value), tf.IndexedSlices)
    assert [weight.shape for weight in layer.non_trainable_weights[:2]] == [(V,), (V,)]


@pytest.mark.parametrize(("sharing", "size"), [("example", K), ("group", 3), ("batch", 3)])
def test_how_many_noise_words_are_shared(drawn, sharing, size):
    make(sharing, shared_size=3)(np.ones((2, DIM), np.float32), np.array([0, 1]))
    assert drawn[0].shape[-1] == size  # "Not used by example": each pair has its own


@pytest.mark.parametrize(
    ("sharing", "for_pairs", "for_blocks"),
    [("example", 5, 5), ("group", 32, 64), ("batch", 128, 256)],
)
def test_hidden_vectors_of_many_targets_meet_more_noise(drawn, sharing, for_pairs, for_blocks):
    layer = NegativeSampling(COUNTS, num_sampled=5, sharing=sharing, seed=1)
    assert (layer.noise_size(), layer.noise_size(candidates=5)) == (for_pairs, for_blocks)
    assert (layer.sharers(), layer.sharers(candidates=5)) == (64, 128)
    layer(np.ones((2, DIM), np.float32), np.array([0, 1]))
    layer(*blocks(4, 3, 5))
    assert [ids.shape[-1] for ids in drawn] == [for_pairs, for_blocks]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"num_sampled": 0}, ValueError, "`num_sampled` must be at least 1. Received"),
        ({"num_sampled": 2.5}, TypeError, "`num_sampled` must be an integer. Received"),
        ({"exponent": "x"}, TypeError, "`exponent` must be a number. Received"),
        ({"exponent": float("nan")}, ValueError, "`exponent` must"),
        ({"sharing": "all"}, ValueError, "`sharing` must be one of 'example', 'group', 'batch'."),
        ({"group_size": 0}, ValueError, "`group_size` must be at least 1. Received"),
        ({"shared_size": 0}, ValueError, "`shared_size` must be at least 1. Received"),
        ({"counts": []}, ValueError, "`counts` must be a vector with one entry per word."),
        ({"counts": [1, -2]}, ValueError, "`counts` must be finite, not negative"),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        NegativeSampling(**{"counts": COUNTS, **arguments})


def test_few_words_at_a_high_rate_do_not_diverge():
    rng = np.random.default_rng(0)
    topics = ["cat dog milk purr bark tail kitten", "tax bank money loan rate credit invoice"]
    texts = [rng.choice(topics[i % 2].split(), 12).tolist() for i in range(300)]
    vocabulary = Vocabulary.from_corpus(texts, min_count=1)
    dataset = block_dataset(texts, vocabulary, sample=0, batch_size=128, seed=1)
    layer = NegativeSampling(vocabulary.counts, seed=3)
    model = SkipGram(len(vocabulary), 16, layer, seed=3)
    model.compile(RowSGD(linear_decay(0.1, len(dataset), 8)))
    losses = model.fit(dataset, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.abs(model.embedding.embeddings.numpy()).max() < 5
