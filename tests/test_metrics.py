"""Metrics against their formulae in NumPy, fed by a layer and by lists of ids."""

import keras
import numpy as np
import pytest

from kerasw2v import layers, metrics

V, DIM, ROWS, K = 40, 4, 25, 5


def data(seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(ROWS, DIM)).astype(np.float32)
    targets = np.array([rng.choice(V, 3, replace=False) for _ in range(ROWS)])
    targets[rng.random(targets.shape) < 0.3] = -1
    targets[3] = -1  # no target at all
    return hidden, targets.astype(np.int32)


@pytest.fixture(scope="module")
def layer():
    made = layers.Candidates(V, DIM)
    made.assign(np.random.default_rng(5).normal(size=(V, DIM)))
    return made


def lists_of(layer, hidden):
    return np.argsort(-(hidden @ layer.vectors.numpy().T), axis=-1)


def recall(ranked, wanted, k):
    return np.isin(wanted, ranked[:k]).mean()


def hit(ranked, wanted, k):
    return float(np.isin(wanted, ranked[:k]).any())


def reciprocal_rank(ranked, wanted, k):
    places = [1 / (i + 1) for i, item in enumerate(ranked[:k]) if item in wanted]
    return max(places, default=0.0)


def ndcg(ranked, wanted, k):
    gain = sum(1 / np.log2(i + 2) for i, item in enumerate(ranked[:k]) if item in wanted)
    return gain / sum(1 / np.log2(i + 2) for i in range(len(wanted))[:k])


METRICS = {
    metrics.RecallAtK: recall,
    metrics.TopKAccuracy: hit,
    metrics.MeanReciprocalRank: reciprocal_rank,
    metrics.NDCG: ndcg,
}
each_metric = pytest.mark.parametrize(
    ("metric", "formula"), METRICS.items(), ids=[metric.__name__ for metric in METRICS]
)


@each_metric
@pytest.mark.parametrize("k", [2, K, None])
def test_is_its_formula(layer, metric, formula, k):
    if k is None and metric in (metrics.RecallAtK, metrics.TopKAccuracy):
        return
    hidden, targets = data()
    lists = lists_of(layer, hidden)
    weights = np.random.default_rng(1).random(ROWS)
    values = [
        formula(ranked, row[row >= 0], k)
        for ranked, row in zip(lists, targets, strict=True)
        if row.max() >= 0
    ]
    counted = weights[targets.max(axis=1) >= 0]
    by_layer, by_ids, weighted = metric(k=k, layer=layer), metric(k=k), metric(k=k, layer=layer)
    for part in (slice(0, 10), slice(10, None)):  # in two updates
        by_layer.update_state(targets[part], hidden[part])
        by_ids.update_state(targets[part], lists[part])
        weighted.update_state(targets[part], hidden[part], weights[part])
    assert float(by_layer.result()) == pytest.approx(np.mean(values), rel=1e-5)
    assert float(by_ids.result()) == pytest.approx(np.mean(values), rel=1e-5)
    assert float(weighted.result()) == pytest.approx(np.average(values, weights=counted), rel=1e-5)
    by_layer.reset_state()
    assert float(by_layer.result()) == 0


@each_metric
def test_one_target_an_example_in_any_shape(layer, metric, formula):
    hidden = data()[0][:24]
    targets = np.random.default_rng(2).integers(0, V, 24)
    expected = np.mean(
        [formula(r, [t], K) for r, t in zip(lists_of(layer, hidden), targets, strict=True)]
    )
    for shape in ((24,), (24, 1), (4, 6), (4, 6, 1)):
        queries = hidden.reshape(*shape[:2], DIM) if shape[:2] == (4, 6) else hidden
        measured = metric(k=K, layer=layer)
        measured.update_state(targets.reshape(shape), queries)
        assert float(measured.result()) == pytest.approx(expected, rel=1e-5)


@each_metric
def test_a_short_list_has_no_more(metric, formula):
    measured = metric(k=3)
    measured.update_state(np.array([9]), np.array([[4, 9, -1]]))  # faiss pads with -1
    assert float(measured.result()) == pytest.approx(formula([4, 9], [9], 3))
    with pytest.raises(ValueError, match=r"`y_pred` must list at least k = 3 ids .* Received: 2."):
        measured.update_state(np.array([9]), np.array([[4, 9]]))


@each_metric
def test_scores_that_are_no_numbers_are_no_success(layer, metric, formula):
    measured = metric(k=K, layer=layer)
    measured.update_state(np.array([0]), np.full((1, DIM), np.nan, np.float32))
    assert float(measured.result()) == 0


def test_perplexity(layer):
    hidden, targets = data()
    targets = targets[:, 0]
    scores = hidden @ layer.vectors.numpy().T
    losses = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(ROWS), targets]
    present = targets >= 0
    perplexity = metrics.Perplexity(layer)
    perplexity.update_state(targets, hidden)
    assert float(perplexity.result()) == pytest.approx(np.exp(losses[present].mean()), rel=1e-5)
    of_losses = metrics.Perplexity()
    of_losses.update_state(targets, losses.astype(np.float32))
    assert float(of_losses.result()) == pytest.approx(np.exp(losses[present].mean()), rel=1e-5)
    with pytest.raises(ValueError, match=r"`y_true` must be one target an example\. Received: 3"):
        perplexity.update_state(data()[1], hidden)


@pytest.mark.parametrize(
    "metric", [metrics.Perplexity, *METRICS], ids=lambda metric: metric.__name__
)
def test_config_round_trip(layer, metric):
    arguments = {} if metric is metrics.Perplexity else {"k": 7}
    made = metric(layer=layer, name="mine", **arguments)
    copy = metric.from_config(made.get_config())
    assert copy.get_config() == made.get_config()
    assert copy.name == "mine"
    with pytest.raises(ValueError, match="'mine' was saved without its layer"):
        copy.update_state(*reversed(data()))  # nothing wrong is silent
    assert metric.from_config(metric().get_config()).get_config() == metric().get_config()


def test_wrong_arguments(layer):
    with pytest.raises(TypeError, match="`layer` must be an output layer, Candidates or None"):
        metrics.Perplexity(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="`k` must be at least 1"):
        metrics.RecallAtK(0)
    with pytest.raises(TypeError, match=r"given by name, MeanReciprocalRank\(layer=\.\.\.\)"):
        metrics.MeanReciprocalRank(layer)
    hidden, targets = data()
    with pytest.raises(ValueError, match="`y_true` and `y_pred` must have as many examples"):
        metrics.RecallAtK(2, layer).update_state(targets[:4], hidden)
    with pytest.raises(ValueError, match="`y_true` and `y_pred` must have shapes"):
        metrics.RecallAtK(2, layer).update_state(targets, hidden[0])
