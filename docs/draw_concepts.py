"""Draws the pictures of docs/softmax_approximations.md with the library's own functions.

`python docs/draw_concepts.py` writes docs/images/*.svg.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from kerasw2v.ops.classes import frequency_classes
from kerasw2v.ops.cutoffs import tail_dim
from kerasw2v.ops.huffman import huffman_tree

FOLDER = Path(__file__).with_name("images")
STYLE = {
    "svg.hashsalt": "kerasw2v",  # the same file from run to run
    "svg.fonttype": "none",  # texts stay texts
    "font.family": "sans-serif",
    "font.size": 10,
}
WORDS = {"the": 40, "of": 28, "in": 25, "was": 13, "new": 8, "cat": 7, "sat": 6, "mat": 5}
INK, SOFT, LEAF, NODE = "#1c2330", "#5a6577", "#cfdef5", "#f3d9a4"


def draw_huffman_tree() -> Figure:
    """Words of a small text at the leaves; each edge is a bit of their codes."""
    counts = list(WORDS.values())
    parents, bits = huffman_tree(counts)
    size, root = len(counts), len(parents) - 1
    children: dict[int, list[int]] = {node: [-1, -1] for node in range(size, root + 1)}
    for node in range(root):
        children[int(parents[node])][int(bits[node])] = node
    places: dict[int, tuple[float, float]] = {}
    codes: dict[int, str] = {}
    free = iter(range(size))

    def place(node: int, code: str) -> float:
        inner = node >= size
        below = [place(child, f"{code}{bit}") for bit, child in enumerate(children.get(node, []))]
        x = float(np.mean(below)) if inner else float(next(free))
        places[node], codes[node] = (x, -float(len(code))), code
        return x

    place(root, "")
    figure, axes = plt.subplots(figsize=(7.6, 4.2), layout="constrained")
    for node in range(root):
        start, end = places[int(parents[node])], places[node]
        axes.plot(*zip(start, end, strict=True), color=SOFT, linewidth=1, zorder=1)
        middle = np.mean([start, end], axis=0)
        axes.text(*middle, str(int(bits[node])), color=SOFT, ha="center", va="center",
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
    for node, (x, y) in places.items():
        leaf = node < size
        label = f"{list(WORDS)[node]}\n{counts[node]}" if leaf else f"$u_{{{root - node + 1}}}$"
        axes.text(x, y, label, ha="center", va="center", color=INK, zorder=3,
                  bbox={"boxstyle": "round,pad=.35", "facecolor": LEAF if leaf else NODE,
                        "edgecolor": SOFT})  # fmt: skip
        if leaf:
            style = {"ha": "center", "va": "center", "color": INK, "family": "monospace"}
            axes.text(x, y - 0.55, codes[node], **style)
    mean = sum(counts[i] * len(codes[i]) for i in range(size)) / sum(counts)
    shares = np.array(counts) / sum(counts)
    entropy = float(-(shares * np.log2(shares)).sum())
    axes.set_title(
        f"Below each word: how often it occurs, and its code. Mean length {mean:.2f} bits, "
        f"entropy {entropy:.2f}",
        fontsize=10,
    )
    deepest = min(y for _, y in places.values())
    axes.set(xlim=(-0.6, size - 0.4), ylim=(deepest - 0.9, 0.5))
    axes.axis("off")
    return figure


def draw_class_split() -> Figure:
    """The most frequent words of Zipf's law, coloured by class."""
    words, num_classes = 64, 8
    counts = 1000 / np.arange(1, words + 1)
    classes = frequency_classes(counts, num_classes)
    figure, axes = plt.subplots(figsize=(7.6, 3.2), layout="constrained")
    axes.bar(np.arange(words), counts, width=1, color=[f"C{c % 2 * 2}" for c in classes],
             edgecolor="white", linewidth=0.5)  # fmt: skip
    for c in range(num_classes):
        (members,) = np.nonzero(classes == c)
        number = len(members)
        axes.text(members.mean(), counts[members[0]] * 1.25, str(number), ha="center", color=INK)
    axes.set(
        yscale="log",
        ylim=(8, 3000),
        xlim=(-1, words),
        xlabel="words, most frequent first",
        ylabel="count",
        title=f"{words} words in {num_classes} classes of equal sums of √count, and their sizes",
    )
    axes.title.set_fontsize(10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_adaptive_clusters() -> Figure:
    """The output vectors of an adaptive softmax: head and narrowing clusters."""
    words, dim, cutoffs = 84_000, 100, [2_000, 10_000, 40_000]
    shares = np.cumsum(1 / np.arange(1, words + 1))
    shares /= shares[-1]
    edges = [0, *cutoffs, words]
    figure, axes = plt.subplots(figsize=(7.6, 3.6), layout="constrained")
    left, gap, top, head_middle = 0.0, 14.0, 0.0, 0.0
    for i, (start, end) in enumerate(pairwise(edges)):
        width = 60 * np.log10(end - start) - 140  # wide enough for its text
        height = dim if i == 0 else tail_dim(i - 1, dim, 4, 16)
        if i == 0:
            top, head_middle = float(height), left + width
        colour = NODE if i == 0 else LEAF
        bottom = top - height
        box = plt.Rectangle((left, bottom), width, height, facecolor=colour, edgecolor=SOFT)
        axes.add_patch(box)
        share = shares[end - 1] - (shares[start - 1] if start else 0)
        name = "head" if i == 0 else f"cluster {i}"
        text = f"{name}: {end - start:,} words\n{share:.0%} of the text, d = {height}"
        axes.text(
            left + width / 2, bottom - 6, text, ha="center", va="top", fontsize=8.5, color=INK
        )
        if i:
            arrow = {"arrowstyle": "->", "color": SOFT, "connectionstyle": "arc3,rad=-.25"}
            axes.annotate("", (left + width / 2, top + 1), (head_middle, top + 1), arrowprops=arrow)
        left += width + gap
    axes.text(head_middle - 2, top - 4, f"+ {len(cutoffs)} entries,\none per cluster", ha="right",
              va="top", fontsize=8.5, color=INK)  # fmt: skip
    axes.set(xlim=(-4, left), ylim=(-34, top + 42))
    axes.axis("off")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "huffman_tree": draw_huffman_tree,
    "class_split": draw_class_split,
    "adaptive_clusters": draw_adaptive_clusters,
}


def draw(folder: Path) -> None:
    """Writes all pictures into a folder."""
    for name, figure_of in PICTURES.items():
        with plt.rc_context(STYLE):
            figure = figure_of()
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    draw(FOLDER)
