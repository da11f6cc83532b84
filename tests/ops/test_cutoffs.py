"""Plans for the adaptive softmax against all plans there are."""

import itertools

import numpy as np
import pytest

from kerasw2v.ops.cutoffs import (
    CostModel,
    StepCost,
    best_plans,
    describe_plan,
    expected_cost,
    plan_cutoffs,
    tail_dim,
)

MODELS = {
    "cpu": CostModel(1e-4, 1e4, 1e-9, 2e-11),
    "no overhead": CostModel(0.0, 0.0, 1e-9, 1e-11),
    "all overhead": CostModel(1.0, 0.0, 1e-9, 1e-11),
    "high floor": CostModel(1e-4, 3e4, 1e-9, 1e-11),
    "width alone": CostModel(1e-6, 100.0, 0.0, 1e-10),
    "width for nothing": CostModel(1e-6, 100.0, 1e-9, 0.0),
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


def zipf(size):
    return 1.0 / np.arange(1, size + 1)


def cost_written_out(counts, cutoffs, step):
    """The expected cost once more, from the paper's formula."""
    model, rows, dim = step.model, step.batch_size, step.embedding_dim

    def g(classes, rows, dim):
        slope = model.per_score + model.per_product * dim
        flat = model.overhead + slope * model.flat_scores
        return max(flat, model.overhead + slope * classes * rows)

    edges = [*cutoffs, len(counts)]
    total = g(edges[0] + len(cutoffs), rows, dim)
    for i in range(len(cutoffs)):
        words = counts[edges[i] : edges[i + 1]]
        width = min(dim, max(step.min_projection_dim, int(dim / step.div_value ** (i + 1))))
        passing = rows * words.sum() / counts.sum()
        total += g(len(words), passing, width) + passing * dim * width * model.per_product
    return total


@each_model
@pytest.mark.parametrize("counts", [zipf(13), np.ones(12), np.array([9.0, 9, 1, 1, 1, 0, 0])])
def test_the_plan_is_the_best_of_all(model, counts):
    for width in (100, 4):
        step = StepCost(model, width, batch_size=3000, min_projection_dim=2)
        best = {}
        for clusters in range(4):
            for cutoffs in itertools.combinations(range(1, len(counts)), clusters):
                cost = cost_written_out(counts, cutoffs, step)
                assert expected_cost(counts, cutoffs, step) == pytest.approx(cost, rel=1e-12)
                best[clusters] = min(cost, best.get(clusters, np.inf))
        found = [expected_cost(counts, plan, step) for plan in best_plans(counts, step, 3)]
        assert found == pytest.approx([best[clusters] for clusters in range(4)], rel=1e-12)
        cheapest = expected_cost(counts, plan_cutoffs(counts, step, max_clusters=3), step)
        assert cheapest == pytest.approx(min(best.values()), rel=1e-12)


@each_model
@pytest.mark.parametrize("size", [1, 2, 3, 11, 5000])
def test_plans_are_cutoffs_and_never_worse_than_none(model, size):
    for counts in (zipf(size), size):
        step = StepCost(model, 100, batch_size=512)
        plan = plan_cutoffs(counts, step)
        assert len(plan) <= 4
        assert all(type(cutoff) is int for cutoff in plan)
        assert plan == sorted(set(plan))
        assert not plan or (plan[0] >= 1 and plan[-1] < size)
        assert expected_cost(counts, plan, step) <= expected_cost(counts, [], step)


def test_overhead_alone_decides_whether_to_cut():
    step = StepCost(MODELS["all overhead"], 100)
    assert plan_cutoffs(zipf(2000), step) == []
    plans = [len(plan_cutoffs(zipf(2000), StepCost(MODELS["cpu"], 100), n)) for n in range(4)]
    assert plans == [0, 1, 2, 3]


def test_frequent_words_have_small_clusters():
    plan = plan_cutoffs(zipf(50_000), StepCost(MODELS["cpu"], 100))
    sizes = np.diff([0, *plan, 50_000])
    assert len(plan) == 4
    assert (np.diff(sizes) > 0).all()


def test_the_grid_costs_little():
    counts, step = zipf(1500), StepCost(MODELS["cpu"], 100)
    exact = expected_cost(counts, plan_cutoffs(counts, step, max_candidates=1500), step)
    for candidates, excess in [(512, 1e-3), (100, 1e-2)]:
        plan = plan_cutoffs(counts, step, max_candidates=candidates)
        assert 1 <= expected_cost(counts, plan, step) / exact < 1 + excess


def test_widths_fall_but_never_to_nothing():
    assert [tail_dim(i, 100, 4.0, 1) for i in range(5)] == [25, 6, 1, 1, 1]
    assert [tail_dim(i, 100, 4.0, 16) for i in range(3)] == [25, 16, 16]
    assert [tail_dim(i, 8, 2.0, 16) for i in range(2)] == [8, 8]  # never wider than a hidden vector
    assert tail_dim(0, 100, 1.0, 16) == 100


def test_the_table_adds_up():
    step = StepCost(MODELS["cpu"], 100)
    lines = describe_plan(zipf(10_000), [600, 3000], step).splitlines()
    milliseconds = [float(line.split()[-1]) for line in lines[2:6]]
    assert sum(milliseconds[:3]) == pytest.approx(milliseconds[3], abs=0.02)  # rounded to .01
    assert milliseconds[3] == pytest.approx(
        1e3 * expected_cost(zipf(10_000), [600, 3000], step), abs=0.01
    )
    assert [line.split()[-4] for line in lines[2:5]] == ["600", "2400", "7000"]
    assert "all" in describe_plan(7, [], step)


def test_bad_input():
    step = StepCost(MODELS["cpu"], 100)
    with pytest.raises(ValueError, match="`counts` must be in descending order"):
        plan_cutoffs([1, 2], step)
    with pytest.raises(ValueError, match="`max_clusters` must be at least 0"):
        plan_cutoffs(10, step, max_clusters=-1)
