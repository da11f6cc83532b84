"""The alias table, taken apart again in float64, and the draws from it."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chi2

from kerasw2v.ops.noise import (
    alias_table,
    draw,
    draw_unique,
    log_expected_counts,
    noise_log_probabilities,
    noise_probabilities,
)


def zipf(size):
    return 1.0 / np.arange(1, size + 1)


def check(probabilities):
    """Adds up what each slot gives each word: a word's probability, to the last float32 bit.

    Rounding `accept` to float32 moves at most 2**-25 of a slot from a word to its alias, so a
    word is off by at most one such step for its own slot and each slot that names it as alias.
    """
    size = len(probabilities)
    accept, alias = alias_table(probabilities)
    assert (accept.dtype, alias.dtype) == (np.float32, np.int32)
    assert (accept >= 0).all()
    assert (accept <= 1).all()
    assert (alias >= 0).all()
    assert (alias < size).all()
    accept = accept.astype(np.float64)
    rebuilt = accept.copy()
    np.add.at(rebuilt, alias, 1 - accept)
    named = np.bincount(alias, minlength=size)
    # 1e-9 of a slot for the float64 running sums of up to 100,000 entries.
    assert (np.abs(rebuilt - probabilities * size) <= (1 + named) * 2.0**-25 + 1e-9).all()
    assert (rebuilt[probabilities == 0] == 0).all()


@pytest.mark.parametrize("seed", range(200))
def test_random_distributions_are_rebuilt(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 60))
    weights = rng.random(size) ** rng.choice([0.0, 0.3, 1.0, 5.0, 30.0])
    weights[rng.random(size) < rng.choice([0.0, 0.5])] = 0
    weights[rng.integers(size)] = 1
    check(weights / weights.sum())


@pytest.mark.parametrize("seed", range(100))
def test_tied_counts_are_rebuilt(seed):
    # Few distinct values make running sums meet exactly, where `<` and `<=` differ.
    rng = np.random.default_rng(seed)
    weights = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0], int(rng.integers(1, 17)))
    weights[0] = 1.5
    check(weights / weights.sum())


@pytest.mark.parametrize(
    "weights",
    [
        np.ones(1),
        np.array([1.0, 0.0, 0.0]),
        np.array([0.0, 0.0, 3.0]),
        np.array([3.0, 3.0, 1.0, 1.0]),
        np.array([1e6, 1.0]),
        np.concatenate([[1e6], np.ones(999)]),
        np.concatenate([np.ones(500), np.full(500, 1e-6)]),
        zipf(100_000),
        zipf(100_000)[::-1],
    ],
    ids=["one", "first", "last", "tie", "skew", "skew+", "halves", "zipf", "rising"],
)
def test_degenerate_distributions_are_rebuilt(weights):
    check(weights / weights.sum())


def test_uniform_distributions_of_every_size_are_rebuilt():
    for size in range(1, 200):  # V * (1 / V) rounds to less than one for 49, 98, 103 ...
        check(noise_probabilities(np.ones(size), 0.75))


def test_probabilities_are_powers_of_the_counts():
    counts = np.array([16, 1, 0])
    assert noise_probabilities(counts, 0.75) == pytest.approx([8 / 9, 1 / 9, 0])
    assert noise_probabilities(counts, 1.0) == pytest.approx([16 / 17, 1 / 17, 0])
    assert noise_probabilities(counts, 0.0) == pytest.approx([1 / 2, 1 / 2, 0])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weights", [zipf(50), np.ones(49), np.array([5.0, 0.0, 1.0, 1.0])])
def test_draws_have_the_frequencies(seed, weights):
    probabilities = weights / weights.sum()
    accept, alias = map(tf.Variable, alias_table(probabilities))
    drawn = draw(accept, alias, (200, 500), tf.constant([seed, 7])).numpy()
    assert drawn.shape == (200, 500)
    observed = np.bincount(drawn.ravel(), minlength=len(weights))
    expected = drawn.size * probabilities
    assert not observed[expected == 0].any()
    some = expected > 0
    statistic = ((observed - expected)[some] ** 2 / expected[some]).sum()
    # One good table in a million fails; a table off by 2 % in its most frequent word fails always.
    assert statistic < chi2.ppf(1 - 1e-6, max(1, some.sum() - 1))


def test_draws_repeat_for_a_seed_and_only_then():
    accept, alias = map(tf.Variable, alias_table(zipf(1000) / zipf(1000).sum()))
    first, same, other = (
        draw(accept, alias, (64,), tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3])
    )
    assert (first == same).all()
    assert (first != other).any()


def test_slots_and_coins_are_independent():
    # Two words of one half each, from one slot that always keeps and one that never does.
    accept, alias = tf.Variable([1.0, 0.5, 0.5, 1.0]), tf.Variable([0, 2, 1, 3])
    drawn = draw(accept, alias, (100_000,), tf.constant([3, 4])).numpy()
    # 25,000 each, sigma 137: a coin that is correlated with the slot moves words 1 and 2.
    assert np.abs(np.bincount(drawn) - 25_000).max() < 5 * 137


def by_formula(noise, counts, exponent):
    ranks = np.arange(len(counts))
    if noise == "counts":
        weights = counts**exponent
    elif noise == "uniform":
        weights = np.ones(len(counts))
    else:  # sums to one by itself
        return (np.log(ranks + 2) - np.log(ranks + 1)) / np.log(len(counts) + 1)
    return weights / weights.sum()


@pytest.mark.parametrize("noise", ["counts", "uniform", "log_uniform"])
@pytest.mark.parametrize("exponent", [1.0, 0.75, 0.0])
def test_each_noise_has_its_probabilities_and_its_draws(noise, exponent):
    counts = 1000 * zipf(40)
    expected = by_formula(noise, counts, exponent)
    log_probabilities = noise_log_probabilities(counts, noise, exponent)
    np.testing.assert_allclose(np.exp(log_probabilities), expected, rtol=1e-12)
    accept, alias = map(tf.Variable, alias_table(np.exp(log_probabilities)))
    drawn = draw(accept, alias, (100_000,), tf.constant([5, 6])).numpy()
    observed, expected = np.bincount(drawn, minlength=40), 100_000 * expected
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert statistic < chi2.ppf(1 - 1e-6, 39)


def test_words_that_never_occur_are_as_rare_as_the_rarest():
    log_probabilities = noise_log_probabilities(np.array([6.0, 2.0, 0.0]), "counts", 1.0)
    np.testing.assert_allclose(np.exp(log_probabilities), [0.6, 0.2, 0.2])
    assert np.isfinite(noise_log_probabilities(np.array([1e9, 1.0]), "counts", 100.0)).all()


def unique_draws(probabilities, size, runs):
    accept, alias = map(tf.Variable, alias_table(probabilities))
    step = tf.function(lambda seed: draw_unique(accept, alias, size, seed))
    draws = [step(tf.constant([run, 3])) for run in range(runs)]
    return np.array([ids for ids, _ in draws]), np.array([float(tries) for _, tries in draws])


@pytest.mark.parametrize("size", [1, 8, 24])
def test_unique_draws_are_included_as_often_as_expected(size):
    probabilities = zipf(30) / zipf(30).sum()
    runs = 800
    ids, tries = unique_draws(probabilities, size, runs)
    assert all(len(set(row)) == size for row in ids)
    assert (tries >= size).all()
    included = np.bincount(ids.ravel(), minlength=30) / runs
    log_expected = log_expected_counts(
        np.log(probabilities)[None, :].astype(np.float32), size, tries[:, None].astype(np.float32)
    )
    expected = np.exp(log_expected).mean(0)
    # Standard error of a frequency of 800: at most .018. The formula takes the number of tries
    # as given, though it depends on the words: another .03 or so at 24 words of 30.
    assert np.abs(included - expected).max() < 0.08
    assert expected.sum() == pytest.approx(size, rel=0.03)


def test_tries_are_how_many_draws_it_takes():
    # The k-th new word of V equal ones takes V / (V - k) draws: 1 + 4/3 + 2 = 4.33 for 3 of 4.
    _, tries = unique_draws(np.full(4, 0.25), 3, 500)
    # Variance 4/9 + 2: standard error .07.
    assert tries.mean() == pytest.approx(1 + 4 / 3 + 2, abs=5 * 0.07)
    assert tries.max() > 6  # some need a second round of draws


def test_all_words_are_a_sample_without_draws():
    (ids,), (tries,) = unique_draws(zipf(9) / zipf(9).sum(), 9, 1)
    assert sorted(ids) == list(range(9))
    log_expected = log_expected_counts(np.float32([-1.0, -100.0]), 9, np.float32(tries))
    np.testing.assert_array_equal(log_expected, [0.0, 0.0])


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("size", [2, 6, 9])
def test_unique_draws_from_a_distribution_with_one_word_end(size, jit_compile):
    probabilities = np.array([0.0] * 4 + [1 - 5e-13] + [1e-13] * 5)
    accept, alias = map(tf.Variable, alias_table(probabilities))

    def once(seed):
        return draw_unique(accept, alias, size, seed)

    step = once if jit_compile is None else tf.function(once, jit_compile=jit_compile)
    ids, tries = step(tf.constant([1, 2]))
    assert len(set(ids.numpy())) == size
    assert ids[0] == 4
    assert sorted(ids.numpy()[1:]) == [word for word in range(10) if word != 4][: size - 1]
    assert np.isfinite(tries)


def test_expected_counts_with_replacement():
    log_expected = log_expected_counts(np.log(np.float32([0.5, 0.01])), 10, None)
    np.testing.assert_allclose(np.exp(log_expected), [5, 0.1], rtol=1e-6)


def test_expected_counts_of_the_rarest_words():
    # 1 - (1 - q) ** n is n q for small q, where float32 would give 0.
    log_expected = log_expected_counts(np.float32(np.log([1e-12])), 10, tf.constant(20.0))
    np.testing.assert_allclose(log_expected, np.log([20e-12]), rtol=1e-6)
