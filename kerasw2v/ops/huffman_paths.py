"""Any binary tree over words, given as paths, in the form that `ops.huffman` makes."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Path: TypeAlias = tuple[NDArray[np.integer], NDArray[np.integer]]
"""A word's way from the root: the inner nodes that it passes, and its code (0 or 1) at each."""


def tree_of_paths(
    paths: Sequence[Path],
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Builds a tree from the paths of its words.

    Trees of the same counts differ where counts are equal, in shape, numbers and codes; a table
    that was trained on one is of use with that one only. Inner nodes are numbered anew, level by
    level, where their parents are not in the order of their numbers.

    Args:
        paths: of each word; the inner nodes are numbered from 0 to V - 2.

    Returns:
        `(parents, codes, rows)`: the first two as from `huffman.huffman_tree`; `rows`, `(V - 1,)`,
        the row of the output table that each inner node has.

    Raises:
        ValueError: if the paths are not those of a binary tree.

    Example:

    >>> paths = [([0], [1]), ([0, 1], [0, 1]), ([0, 1], [0, 0])]
    >>> [part.tolist() for part in tree_of_paths(paths)]
    [[4, 3, 3, 4, 4], [1, 1, 0, 0, 0], [1, 0]]
    """
    size = len(paths)
    root = 2 * size - 2
    parents, codes = np.full(root + 1, -1), np.zeros(root + 1, np.int8)
    top = -1
    for word, (points, code) in enumerate(paths):
        nodes = [*(int(point) + size for point in points), word]
        if len(points) != len(code) or max(nodes) > root:
            raise _no_tree(word)
        parents[nodes[1:]] = nodes[:-1]
        codes[nodes[1:]] = code
        top = nodes[0]
    parents[top] = top
    below = np.arange(root + 1) != top
    branches = np.bincount(np.maximum(2 * (parents - size) + codes, 0)[below], None, 2 * size - 2)
    if (parents < 0).any() or (branches != 1).any():
        raise _no_tree(int(np.argmin(parents)))
    inner = parents[size:]
    rows = np.arange(size - 1)
    if top != root or (np.diff(inner) < 0).any():
        rows = _rows_by_level(inner - size, top - size)
    number = np.concatenate([np.arange(size), rows + size])
    renumbered, recoded = np.empty_like(parents), np.empty_like(codes)
    renumbered[number], recoded[number] = number[parents], codes
    return renumbered.astype(np.int32), recoded, rows


def _rows_by_level(parents: NDArray[np.int64], root: int) -> NDArray[np.int64]:
    """Numbers inner nodes so that parents rise with their children's numbers, the root last."""
    rows = np.full(len(parents), -1)
    level, free = np.array([root]), len(parents)
    while level.size:
        rows[level] = np.arange(free - 1, free - 1 - len(level), -1)
        free -= len(level)
        below = np.flatnonzero(np.isin(parents, level) & (rows < 0))
        level = below[np.argsort(-rows[parents[below]], kind="stable")]
    return rows


def _no_tree(word: int) -> ValueError:
    return ValueError(
        "`paths` must be those of the words of one binary tree. "
        f"Received: no place for node {word}."
    )
