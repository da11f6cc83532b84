"""Scores in chunks are those of one matrix product."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops import table_scores
from kerasw2v.ops.table_scores import (
    TableScores,
    best_rows,
    in_row_chunks,
    log_normaliser,
    mean_of,
    ranks_of,
)

V, DIM, ROWS = 103, 5, 23


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 16 rows of the table and 8 hidden vectors: several of each, the last not full."""
    monkeypatch.setattr(table_scores, "LARGEST_CHUNK", 128)
    monkeypatch.setattr(table_scores, "FEWEST_ROWS", 16)


def data(seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(ROWS, DIM)).astype(np.float32)
    return hidden, rng.normal(size=(V, DIM)).astype(np.float32), rng.normal(size=V)


def scored(table, biases=None, **arguments):
    biases = None if biases is None else keras.Variable(biases, dtype="float32")
    return TableScores(keras.Variable(table), biases, **arguments)


def run(function, *tensors, known):
    """Runs in a graph, with the number of rows known or not."""
    specs = [
        tf.TensorSpec([None, *x.shape[1:]] if not known else x.shape, x.dtype) for x in tensors
    ]
    return tf.function(function, input_signature=specs)(*map(tf.constant, tensors))


def test_normaliser_and_mean():
    hidden, table, biases = data()
    scores = hidden @ table.T + biases
    against = scored(table, biases)
    found = run(lambda h: log_normaliser(against, h), hidden, known=True)
    np.testing.assert_allclose(found, np.logaddexp.reduce(scores, axis=1), rtol=1e-5)
    chances = np.random.default_rng(1).dirichlet(np.ones(V)).astype(np.float32)
    found = run(
        lambda h: mean_of(against, h, tf.nn.softplus, tf.constant(chances)),
        hidden,
        known=False,
    )
    np.testing.assert_allclose(found, np.logaddexp(0, scores) @ chances, rtol=1e-5)


@pytest.mark.parametrize(("k", "known"), [(20, False), (V, True)])
def test_best_rows(k, known):
    hidden, table, biases = data()
    table[50:60] = table[0]  # equal scores, in several chunks
    biases[50:60] = biases[0]
    scores = hidden @ table.T + biases
    order = np.argsort(-scores.astype(np.float32), axis=1, kind="stable")[:, :k]
    expected = np.take_along_axis(scores, order, axis=1)
    against = scored(table, biases)
    for normalised in (False, True):
        ids, best = run(lambda h, n=normalised: best_rows(against, h, k, n), hidden, known=known)
        np.testing.assert_array_equal(ids, order)
        lost = np.logaddexp.reduce(scores, axis=1, keepdims=True) if normalised else 0
        np.testing.assert_allclose(best, expected - lost, rtol=1e-4, atol=1e-5)


def test_ranks_are_places_among_the_best():
    hidden, table, _ = data()
    hidden, table = np.round(2 * hidden), np.round(2 * table)  # sums are exact, and often equal
    hidden[3] = 0  # all scores are equal: the ids decide
    targets = np.random.default_rng(2).integers(0, V, (ROWS, 3)).astype(np.int32)
    against = scored(table)
    ranks = run(lambda h, t: ranks_of(against, h, t), hidden, targets, known=False)
    ids, _ = best_rows(against, tf.constant(hidden), V, False)
    places = (ids.numpy()[:, None, :] == targets[:, :, None]).argmax(axis=-1) + 1
    np.testing.assert_array_equal(ranks, places)
    np.testing.assert_array_equal(ranks[3], targets[3] + 1)


def test_a_score_that_is_no_number_is_last():
    hidden, table, _ = data()
    hidden[0] = np.nan
    targets = np.zeros((ROWS, 1), np.int32)
    assert ranks_of(scored(table), tf.constant(hidden), tf.constant(targets))[0, 0] == V


def test_cosines_with_a_scale():
    hidden, table, _ = data()
    units = table / np.linalg.norm(table, axis=1, keepdims=True)
    ids, best = best_rows(
        scored(table, scale=10.0, is_cosine=True), tf.constant(hidden), 4, with_normaliser=False
    )
    expected = 10 * hidden @ units.T
    np.testing.assert_allclose(best, -np.sort(-expected)[:, :4], rtol=1e-5)
    np.testing.assert_array_equal(ids, np.argsort(-expected)[:, :4])


def test_no_more_scores_at_a_time_than_a_chunk():
    sizes = []

    def watched(hidden):
        sizes.append(int(tf.shape(hidden)[0]))
        return hidden, 2 * hidden

    hidden = np.arange(50, dtype=np.float32)[:, None]
    one, two = in_row_chunks(watched, (tf.constant(hidden),), row_cost=16)
    assert max(sizes) == 8
    np.testing.assert_array_equal(one, hidden)
    np.testing.assert_array_equal(two, 2 * hidden)


def test_no_rows_at_all():
    _, table, _ = data()
    ids, best = best_rows(scored(table), tf.zeros([0, DIM]), 3, with_normaliser=True)
    assert ids.shape == best.shape == (0, 3)
