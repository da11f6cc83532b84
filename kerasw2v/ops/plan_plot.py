"""The cost model and the plan of an adaptive softmax as a picture."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasw2v.ops.cutoffs import StepCost, best_plans, expected_cost


def plot_plan(counts: ArrayLike, cutoffs: Sequence[int], step: StepCost) -> Any:
    """Draws the fitted cost model, and what plans of different numbers of tails cost.

    Left: measured times and the model's, by scores. Right: the cheapest plan of each number of
    tails; a line marks the cost of `cutoffs`.

    Args:
        counts: frequencies, most frequent first, or V alone.
        cutoffs: first word of each tail, rising.
        step: see `kerasw2v.ops.cutoffs.StepCost`.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig("plan.png")` writes it.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    try:
        figure_module = import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError("`plot_plan` needs matplotlib: pip install 'kerasw2v[plot]'.") from error
    figure = figure_module.Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_model(left, step)
    _draw_plans(right, counts, cutoffs, step)
    return figure


def _draw_model(axes: Any, step: StepCost) -> None:
    measured = step.model.measurements
    sizes = [m.classes * m.rows for m in measured] or [100, 10_000_000]
    curve = np.geomspace(min(sizes), max(sizes), 200)
    for dim in sorted({m.dim for m in measured} or {step.embedding_dim}):
        (line,) = axes.plot(curve, 1e3 * step.model(curve, 1, dim), label=f"fitted, width {dim}")
        points = [(m.classes * m.rows, 1e3 * m.seconds) for m in measured if m.dim == dim]
        axes.scatter(*zip(*points, strict=True), color=line.get_color()) if points else None
    axes.set(xscale="log", yscale="log", xlabel="scores, k B", ylabel="ms", title="Cost model")
    axes.legend()


def _draw_plans(axes: Any, counts: ArrayLike, cutoffs: Sequence[int], step: StepCost) -> None:
    plans = best_plans(counts, step, max(4, len(cutoffs)))
    costs = [1e3 * expected_cost(counts, plan, step) for plan in plans]
    axes.bar(range(len(plans)), costs)
    for clusters, plan in enumerate(plans):
        axes.annotate(
            "\n".join(map(str, plan)),
            (clusters, costs[clusters]),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
    axes.margins(y=0.2)  # room for the numbers above the bars
    axes.axhline(1e3 * expected_cost(counts, cutoffs, step), linestyle="--", color="black")
    axes.set(yscale="log", xlabel="tails", ylabel="expected ms a step", title=f"Plan {cutoffs}")
