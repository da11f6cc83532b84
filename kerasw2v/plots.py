"""Pictures of a training, and of the plan of an adaptive softmax."""

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasw2v.history import History
from kerasw2v.ops.cutoffs import StepCost, best_plans, expected_cost
from kerasw2v.utils.checks import check_int, check_vectors
from kerasw2v.utils.files import PathLike, check_output_path, check_suffix, temporary_sibling
from kerasw2v.word_map import content_words, word_map

_SUFFIXES = (".png", ".pdf", ".svg")
_WORDS = 250
_INCHES = 11
# Used, if installed, for letters that are missing in matplotlib's own font.
_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Microsoft YaHei", "Noto Sans")
# Positions of a label relative to its point, best first: alignments and directions.
_SIDES = (
    ("left", "center", 1, 0),
    ("right", "center", -1, 0),
    ("center", "bottom", 0, 1),
    ("center", "top", 0, -1),
    ("left", "bottom", 0.7, 0.7),
    ("right", "bottom", -0.7, 0.7),
    ("left", "top", 0.7, -0.7),
    ("right", "top", -0.7, -0.7),
)


def check_plot_path(path: PathLike) -> None:
    """Checks, before any work is done, that `save_plot` can draw and write to `path`.

    Args:
        path: where the picture will be saved.

    Raises:
        ValueError: if the name does not end in .png, .pdf or .svg.
        OSError: if the folder does not exist, or it or the file cannot be written.
        ImportError: if matplotlib is not installed.

    Example:

    >>> check_plot_path("run.doc")
    Traceback (most recent call last):
    ...
    ValueError: `path` must end in .png, .pdf or .svg. Received: path='run.doc'.
    """
    check_suffix(path, _SUFFIXES)
    check_output_path(path)
    _matplotlib("figure")


def plot_training(vectors: Any, history: History | None = None, words: int = _WORDS) -> Any:
    """Draws the most frequent words that carry meaning, and below them the loss of training.

    The axes are the first two principal components of the words' vectors, scaled to length 1; the
    third is the colour: words that only seem close differ in it. Labels never overlap: a word
    without room for its label remains a point.

    Args:
        vectors: a `gensim.models.KeyedVectors`, most frequent word first.
        history: loss and speed, of `kerasw2v.callbacks.Record`; without it there is no loss.
        words: the largest number of words.

    Returns:
        A `matplotlib.figure.Figure`, for `save_plot` or a notebook.

    Raises:
        ImportError: if matplotlib is not installed.
        TypeError, ValueError: if `words` is not a positive integer.

    Example:

    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["cat", "milk"], np.eye(2))
    >>> sorted(label.get_text() for label in plot_training(vectors).axes[0].texts)
    ['cat', 'milk']
    """
    check_vectors("vectors", vectors)
    check_int("words", words, minimum=1)
    has_loss = history is not None and len(history.points) > 1
    height = _INCHES * (1.25 if has_loss else 1)
    figure = _matplotlib("figure").Figure(figsize=(_INCHES, height), layout="constrained")
    _matplotlib("backends.backend_agg").FigureCanvasAgg(figure)  # measures text
    if has_loss:
        upper, lower = figure.subplots(2, 1, height_ratios=[4, 1])
        _draw_loss(lower, history)
    else:
        upper = figure.subplots()
    _draw_words(figure, upper, vectors, words)
    return figure


def save_plot(figure: Any, path: PathLike) -> None:
    """Saves a figure; the suffix decides the format. The file appears whole or not at all.

    Args:
        figure: a `matplotlib.figure.Figure`.
        path: where to save, ending in .png, .pdf or .svg; an existing file is replaced.

    Raises:
        ValueError: if the name ends otherwise.
        OSError: if the folder does not exist, cannot be written, or the disk fills.

    Example:

    >>> import os, tempfile
    >>> from matplotlib.figure import Figure
    >>> path = tempfile.mkdtemp() + "/empty.svg"
    >>> save_plot(Figure(), path)
    >>> os.path.exists(path)
    True
    """
    check_plot_path(path)
    with temporary_sibling(path) as temporary, _without_font_warnings():
        figure.savefig(temporary, dpi=120)


def _matplotlib(module: str) -> Any:
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise ImportError("A picture needs matplotlib: pip install 'kerasw2v[plot]'.") from error


def _without_font_warnings() -> Any:
    # A letter that no font has is drawn as a box, so a warning adds nothing.
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _draw_words(figure: Any, axes: Any, vectors: Any, number: int) -> None:
    shown = word_map(vectors, content_words(vectors, number, among=100 * number))
    x, y, depth = shown.places.T
    limit = max(np.abs(depth).max(), 1e-12)
    points = axes.scatter(x, y, s=9, c=depth, cmap="viridis", vmin=-limit, vmax=limit, zorder=3)
    first, second, third = shown.shares
    title = f"{len(shown.words)} frequent words: those used alike are mostly close together"
    axes.set_title(title, loc="left")
    x_label = f"first principal component, {first:.0%} of the variance"
    y_label = f"second, {second:.0%}"
    axes.set(xlabel=x_label, ylabel=y_label, xticks=[], yticks=[])
    axes.margins(0.06)
    axes.spines[:].set_color("#bbbbbb")
    with _without_font_warnings():
        bar = figure.colorbar(points, ax=axes, label=f"third, {third:.0%}", shrink=0.4, aspect=30)
        bar.set_ticks([])
        bar.outline.set_visible(False)
        figure.draw_without_rendering()  # computes the layout, and so the positions of points
        figure.set_layout_engine("none")
        _label(figure, axes, shown.words, np.column_stack([x, y]), points)


def _label(figure: Any, axes: Any, words: list[str], coordinates: Any, points: Any) -> None:
    """Writes each word next to its point unless it would cover another label or point."""
    spots = axes.transData.transform(coordinates)
    room = axes.get_window_extent()
    boxes = np.empty((0, 4))
    renderer = figure.canvas.get_renderer()
    installed = set(_matplotlib("font_manager").get_font_names())
    fonts = ["DejaVu Sans", *(name for name in _FONTS if name in installed)]
    for i, word in enumerate(words):
        colour = np.array(points.to_rgba(points.get_array()[i])[:3]) * 0.65
        # A `$` in a word does not start a formula.
        text = axes.annotate(
            str(word).encode("utf-8", "replace").decode(),  # half of a pair is no letter
            coordinates[i],
            textcoords="offset points",
            fontsize=9,
            fontfamily=fonts,
            parse_math=False,
            color=colour,
            zorder=4,
        )
        others = np.delete(spots, i, axis=0)
        for horizontal, vertical, right, up in _SIDES:
            text.set(ha=horizontal, va=vertical)
            text.xyann = (4 * right, 4 * up)
            box = text.get_window_extent(renderer).extents
            if _is_free(box, boxes, others, room):
                boxes = np.vstack([boxes, box])
                break
        else:
            text.remove()


def _is_free(box: Any, boxes: Any, spots: Any, room: Any) -> bool:
    left, bottom, right, top = box
    if left < room.x0 or bottom < room.y0 or right > room.x1 or top > room.y1:
        return False
    apart = (
        (boxes[:, 2] < left) | (boxes[:, 0] > right) | (boxes[:, 3] < bottom) | (boxes[:, 1] > top)
    )
    x, y = spots.T
    covered = (x > left) & (x < right) & (y > bottom) & (y < top)
    return bool(apart.all() and not covered.any())


def _draw_loss(axes: Any, history: Any) -> None:
    epochs = [point.epoch for point in history.points]
    axes.plot(epochs, [point.loss for point in history.points], color="#3b6fb6", linewidth=1.5)
    axes.set_title("Loss", loc="left")
    axes.set(xlabel="passes through the corpus (epochs)", ylabel="mean loss per pair")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def plot_plan(counts: ArrayLike, cutoffs: Sequence[int], step: StepCost) -> Any:
    """Draws the fitted cost model, and the costs of plans with different numbers of tails.

    Left: measured and fitted times by number of scores. Right: the cheapest plan for each number of
    tails; a line marks the cost of `cutoffs`.

    Args:
        counts: frequencies, most frequent first, or V alone.
        cutoffs: first word of each tail, in ascending order.
        step: see `kerasw2v.ops.cutoffs.StepCost`.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig("plan.png")` writes it.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    figure = _matplotlib("figure").Figure(figsize=(10, 4), layout="constrained")
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
    axes.set(yscale="log", xlabel="tails", ylabel="expected ms per step", title=f"Plan {cutoffs}")
