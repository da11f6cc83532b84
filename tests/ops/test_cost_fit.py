"""Fitting the cost model: made-up timings are explained, real ones give a usable model."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops import cost_fit
from kerasw2v.ops.cost_fit import fit_cost_model, fit_measurements, measure
from kerasw2v.ops.cutoffs import CostModel, Measurement, StepCost, plan_cutoffs
from kerasw2v.plots import plot_plan

TRUE = CostModel(overhead=2e-4, flat_scores=2**15, per_score=2e-9, per_product=3e-11)
SIZES = [
    (classes, rows, dim)
    for dim in (16, 100)
    for classes, rows in [(64, 64), (256, 128), (512, 256), (1024, 1024), (1024, 4096)]
]


def timings(factor):
    return [Measurement(*size, float(TRUE(*size)) * factor(i)) for i, size in enumerate(SIZES)]


def test_exact_timings_give_the_model_back():
    fitted = fit_measurements(timings(lambda i: 1.0))
    for name in ("overhead", "flat_scores", "per_score", "per_product"):
        assert getattr(fitted, name) == pytest.approx(getattr(TRUE, name), rel=1e-6)
    assert len(fitted.measurements) == len(SIZES)


def test_an_outlier_does_not_bend_the_model():
    fitted = fit_measurements(timings(lambda i: 5.0 if i == 3 else 1.0))
    for size in SIZES:
        assert float(fitted(*size)) == pytest.approx(float(TRUE(*size)), rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_noisy_timings_never_give_negative_costs(seed):
    noise = np.random.default_rng(seed).lognormal(0, 1, len(SIZES))
    fitted = fit_measurements(timings(lambda i: noise[i]))
    parameters = [fitted.overhead, fitted.flat_scores, fitted.per_score, fitted.per_product]
    assert min(parameters) >= 0
    assert max(parameters[0], parameters[2], parameters[3]) > 0


def test_the_device_is_fitted():
    fitted = fit_cost_model(32)
    assert fit_cost_model(32) is fitted
    assert min(fitted.overhead, fitted.per_score, fitted.per_product) >= 0
    assert fitted.per_score + fitted.per_product > 0
    assert float(fitted(10_000, 4096, 32)) > float(fitted(1000, 1024, 32)) > 0
    # The largest sizes take milliseconds; even on a busy machine most are explained within 3 times.
    ratios = [
        float(fitted(m.classes, m.rows, m.dim)) / m.seconds
        for m in fitted.measurements
        if m.classes * m.rows >= 2**20
    ]
    assert 1 / 3 < np.median(ratios) < 3


def test_it_is_measured_from_within_a_graph(monkeypatch):
    monkeypatch.setattr(cost_fit, "_SIZES", ((4, 4), (8, 8)))
    found = []

    @tf.function
    def traced():
        found.extend(measure(20))

    traced()
    assert [m[:3] for m in found] == [(4, 4, 16), (8, 8, 16), (4, 4, 20), (8, 8, 20)]
    assert all(0 < m.seconds < 60 for m in found)


def test_too_few_timings():
    with pytest.raises(ValueError, match="`measurements` must be at least four"):
        fit_measurements(timings(lambda i: 1.0)[:3])


@pytest.mark.parametrize("measured", [False, True])
def test_the_plan_as_a_plot(measured, tmp_path):
    pytest.importorskip("matplotlib")
    model = fit_measurements(timings(lambda i: 1.0)) if measured else TRUE
    counts, step = 1 / np.arange(1, 3001), StepCost(model, 100)
    cutoffs = plan_cutoffs(counts, step)
    figure = plot_plan(counts, cutoffs, step)
    left, right = figure.axes
    drawn = [points.get_offsets() for points in left.collections]
    assert sum(map(len, drawn)) == len(model.measurements)
    assert len(right.patches) == 5  # none to four tails
    assert min(bar.get_height() for bar in right.patches) == pytest.approx(
        right.lines[0].get_ydata()[0]
    )
    figure.savefig(tmp_path / "plan.png")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("kerasw2v.plots.import_module", missing)
    with pytest.raises(ImportError, match=r"kerasw2v\[plot\]"):
        plot_plan(10, [3], StepCost(TRUE, 8))
