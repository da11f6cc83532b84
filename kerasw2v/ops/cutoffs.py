"""Where an adaptive softmax cuts its vocabulary: what a plan costs, and the cheapest plan.

Words are sorted by descending count. `cutoffs = [a, b]` puts words 0 to a - 1 in the head, with one
more class for each tail, words a to b - 1 in the first tail and the rest in the second.

Source: Grave et al., "Efficient softmax approximation for GPUs", 2017.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kerasw2v.utils.checks import check_counts, check_int, check_non_negative


class Measurement(NamedTuple):
    """Seconds that a softmax of `classes` classes took on `rows` vectors of width `dim`."""

    classes: int
    rows: int
    dim: int
    seconds: float


@dataclass(frozen=True)
class CostModel:
    """The time of a training step of one softmax, `g(k, B) = max(c + l k0 B0, c + l k B)`.

    `k` classes for each of `B` rows: the time grows with the `k B` scores, but not below a floor.
    Scores of narrow tails are cheaper, so `l = per_score + per_product * dim`.

    Args:
        overhead: seconds of the smallest step, c.
        flat_scores: scores below which the time no longer falls, k0 B0.
        per_score: seconds per score at any width: exponentials and memory.
        per_product: seconds per score and dimension.
        measurements: timings that the model was fitted to.

    Example:

    >>> model = CostModel(overhead=1e-4, flat_scores=1000, per_score=1e-9, per_product=1e-11)
    >>> float(model(classes=2000, rows=100, dim=100))
    0.0005
    """

    overhead: float
    flat_scores: float
    per_score: float
    per_product: float
    measurements: tuple[Measurement, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("overhead", "flat_scores", "per_score", "per_product"):
            check_non_negative(name, getattr(self, name))

    def __call__(self, classes: ArrayLike, rows: ArrayLike, dim: int) -> Any:
        """Returns the seconds of a step; `classes` and `rows` may be arrays."""
        scores = np.maximum(self.flat_scores, np.multiply(classes, rows))
        return self.overhead + scores * (self.per_score + self.per_product * dim)


def tail_dim(index: int, embedding_dim: int, div_value: float, min_projection_dim: int) -> int:
    """Returns the width of tail `index`, counted from 0.

    Example:

    >>> [tail_dim(i, 100, div_value=4.0, min_projection_dim=16) for i in range(3)]
    [25, 16, 16]
    """
    is_finite = (index + 1) * log(div_value) < log(sys.float_info.max)
    narrowed = int(embedding_dim / div_value ** (index + 1)) if is_finite else 0
    return min(embedding_dim, max(min_projection_dim, narrowed))


@dataclass(frozen=True)
class StepCost:
    """What a training step of an adaptive softmax is expected to cost.

    Args:
        model: the time of one softmax.
        embedding_dim: width of a hidden vector, d.
        batch_size: hidden vectors per step, B.
        div_value, min_projection_dim: see `AdaptiveSoftmax`.
    """

    model: CostModel
    embedding_dim: int
    batch_size: int = 4096
    div_value: float = 4.0
    min_projection_dim: int = 16

    def width(self, index: int) -> int:
        """Returns the width of tail `index`."""
        return tail_dim(index, self.embedding_dim, self.div_value, self.min_projection_dim)

    def head(self, words: ArrayLike, clusters: int) -> Any:
        """Returns the seconds of a head with `words` words and `clusters` classes for tails."""
        return self.model(np.add(words, clusters), self.batch_size, self.embedding_dim)

    def tail(self, index: int, words: ArrayLike, share: ArrayLike) -> Any:
        """Returns the seconds of tail `index`, whose words are `share` of the text."""
        rows = np.multiply(share, self.batch_size)
        products = rows * self.embedding_dim * self.width(index)
        return self.model(words, rows, self.width(index)) + self.model.per_product * products


def expected_cost(counts: ArrayLike, cutoffs: Sequence[int], step: StepCost) -> float:
    """Returns the seconds of a step: `g(J + k_h, B) + sum_i g(k_i, p_i B)`, and the projections.

    Args:
        counts: frequencies, most frequent first, or V alone.
        cutoffs: first word of each tail, ascending; empty for a full softmax.
        step: see `StepCost`.
    """
    return sum(_costs(_running_shares(counts), cutoffs, step))


def _costs(shares: NDArray[np.float64], cutoffs: Sequence[int], step: StepCost) -> list[float]:
    """Returns the seconds of the head and of each tail."""
    edges = [*cutoffs, len(shares) - 1]
    tails = [
        float(step.tail(i, end - start, shares[end] - shares[start]))
        for i, (start, end) in enumerate(pairwise(edges))
    ]
    return [float(step.head(edges[0], len(cutoffs))), *tails]


def _running_shares(counts: ArrayLike) -> NDArray[np.float64]:
    """Returns the share of the first `t` words in the text, `t` from 0 to V."""
    counts = check_counts(counts, descending=True)
    return np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])


def plan_cutoffs(
    counts: ArrayLike, step: StepCost, max_clusters: int = 4, max_candidates: int = 512
) -> list[int]:
    """Finds the cutoffs of least expected cost, and how many, by dynamic programming.

    The cheapest cover of words `a` to V - 1 by tails `i` to `J - 1` is tail `i` with words `a` to
    `b - 1` and the cheapest cover of the rest, for the best `b`. That is `O(J^2 G^2)` for `G`
    candidates of cutoffs: all of them if V is at most `max_candidates`, else that many in geometric
    progression. A cutoff is then off by at most half the ratio of two candidates (1.4 % for a
    million words), and the cost, flat around its minimum, by far less.

    Args:
        counts: frequencies, most frequent first, or V alone.
        step: see `StepCost`.
        max_clusters: largest number of tails.
        max_candidates: largest number of candidates.

    Returns:
        The first word of each tail, ascending; empty if a full softmax is cheapest.

    Example:

    >>> model = CostModel(overhead=1e-4, flat_scores=1e3, per_score=1e-9, per_product=1e-11)
    >>> zipf = 1 / np.arange(1, 10_001)
    >>> plan_cutoffs(zipf, StepCost(model, embedding_dim=100), max_clusters=2)
    [200, 2781]
    """
    check_int("max_clusters", max_clusters, minimum=0)
    check_int("max_candidates", max_candidates, minimum=1)
    plans = best_plans(counts, step, max_clusters, max_candidates)
    return min(plans, key=lambda plan: expected_cost(counts, plan, step))


def best_plans(
    counts: ArrayLike, step: StepCost, max_clusters: int = 4, max_candidates: int = 512
) -> list[list[int]]:
    """Returns the cheapest cutoffs for each number of tails, from none up, see `plan_cutoffs`."""
    shares = _running_shares(counts)
    last = len(shares) - 2
    cuts = np.arange(1, last + 1)
    if last > max_candidates:
        cuts = np.unique(np.geomspace(1, last, max_candidates).round().astype(np.int64))
    most = min(max_clusters, len(cuts))
    ends = np.append(cuts, last + 1)
    # tails[i][a, b]: the cost of tail i with the words from cuts[a] to ends[b] - 1.
    tails = [
        np.where(
            ends[None, :] > cuts[:, None],
            step.tail(i, ends[None, :] - cuts[:, None], shares[ends][None, :] - shares[cuts, None]),
            np.inf,
        )
        for i in range(most)
    ]
    return [[], *(_best_plan(tails[:clusters], cuts, step) for clusters in range(1, most + 1))]


def _best_plan(
    tails: list[NDArray[np.float64]], cuts: NDArray[np.int64], step: StepCost
) -> list[int]:
    """Returns the cheapest cutoffs with a tail for each of `tails`."""
    cover = tails[-1][:, -1]  # of all words from a cut on, by the last tail alone
    next_cuts = []
    for tail in reversed(tails[:-1]):
        costs = tail[:, :-1] + cover[None, :]
        next_cuts.append(costs.argmin(axis=1))
        cover = costs.min(axis=1)
    plan = [int(np.argmin(step.head(cuts, len(tails)) + cover))]
    for next_cut in reversed(next_cuts):
        plan.append(int(next_cut[plan[-1]]))
    return [int(cuts[index]) for index in plan]


def describe_plan(counts: ArrayLike, cutoffs: Sequence[int], step: StepCost) -> str:
    """Returns the cost model and a plan as a table; arguments as in `expected_cost`.

    Example:

    >>> model = CostModel(overhead=1e-4, flat_scores=1e3, per_score=1e-9, per_product=1e-11)
    >>> step = StepCost(model, embedding_dim=100)
    >>> print(describe_plan(1 / np.arange(1, 10_001), [600, 3000], step))
    g(k, B) = 0.1 ms + max(1000, k B) (1 + 0.01 dim) ns, B = 4096, dim = 100
              words  share of text  dim        ms
    head        600          71.3%  100      5.03
    tail 1     2400          16.4%   25      2.14
    tail 2     7000          12.3%   16      4.20
    all       10000         100.0%          11.37
    full      10000         100.0%  100     82.02  (7.2 times as much)
    """
    shares = _running_shares(counts)
    model, vocabulary_size = step.model, len(shares) - 1
    edges = [0, *cutoffs, vocabulary_size]
    costs = _costs(shares, cutoffs, step)
    full = float(step.head(vocabulary_size, 0))
    names = ["head", *(f"tail {i + 1}" for i in range(len(cutoffs)))]
    dims = [step.embedding_dim, *map(step.width, range(len(cutoffs)))]
    rows: list[tuple[Any, ...]] = [
        *zip(names, np.diff(edges), np.diff(shares[edges]), dims, costs, strict=True),
        ("all", vocabulary_size, 1.0, "", sum(costs)),
        ("full", vocabulary_size, 1.0, step.embedding_dim, full),
    ]
    lines = [
        f"g(k, B) = {model.overhead * 1e3:.3g} ms + max({model.flat_scores:.0f}, k B) "
        f"({model.per_score * 1e9:.3g} + {model.per_product * 1e9:.3g} dim) ns, "
        f"B = {step.batch_size}, dim = {step.embedding_dim}",
        f"{'':8} {'words':>8} {'share of text':>14} {'dim':>4} {'ms':>9}",
        *(
            f"{name:8} {words:8} {share:14.1%} {dim:>4} {1e3 * seconds:9.2f}"
            for name, words, share, dim, seconds in rows
        ),
    ]
    return "\n".join(lines) + f"  ({full / sum(costs):.1f} times as much)"
