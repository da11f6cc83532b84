"""What the tasks share: planted data, and how well vectors tell its groups."""

from collections.abc import Iterable
from typing import Any

import numpy as np

NODES, GROUPS, DIM = 200, 4, 32
_WORDS = 30  # of each group of texts


def planted_graph() -> Any:
    """Returns a graph of 200 nodes in four groups; one edge in four leads to another group."""
    import networkx

    size = NODES // GROUPS
    return networkx.planted_partition_graph(GROUPS, size, 6 / (size - 1), 2 / 150, seed=3)


def planted_texts() -> tuple[list[list[str]], list[int]]:
    """Returns 400 texts of ten words, and their groups; three words in ten are of any group."""
    draw = np.random.default_rng(5)
    groups = draw.integers(GROUPS, size=400)
    of_group = np.where(draw.random((400, 10)) < 0.7, groups[:, None], draw.integers(GROUPS))
    words = of_group * _WORDS + draw.integers(_WORDS, size=(400, 10))
    return [[f"word{word}" for word in text] for text in words], groups.tolist()


def group_of_word(word: str) -> int:
    """Returns the group that a word of `planted_texts` belongs to."""
    return int(word.removeprefix("word")) // _WORDS


def accuracy(vectors: Any, nodes: Iterable[Any] = range(NODES)) -> str:
    """Returns how well vectors of nodes tell the groups of `planted_graph`."""
    return accuracy_of_groups(vectors, [int(node) // (NODES // GROUPS) for node in nodes])


def accuracy_of_groups(vectors: Any, groups: Any) -> str:
    """Returns how well logistic regression tells the groups, and nearest directions do."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    vectors, groups = np.asarray(vectors, np.float64), np.asarray(groups)
    regression = cross_val_score(LogisticRegression(max_iter=1000), vectors, groups, cv=5).mean()
    vectors = vectors - vectors.mean(axis=0)  # vectors of small corpora share a direction
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return f"{regression:.2f}, {nearest_group(units @ units.T, groups):.2f}"


def nearest_group(similarities: Any, groups: Any) -> float:
    """Returns how often the others of its own group are on average the most similar to an item."""
    similarities = np.array(similarities, np.float64)
    np.fill_diagonal(similarities, 0)
    own = np.eye(GROUPS)[groups]
    means = similarities @ own / (own.sum(axis=0) - own)
    return float(np.mean(means.argmax(axis=1) == groups))
