"""Huffman trees over word counts, and the tables that find a word's path in one.

A tree over V words has `2 V - 1` nodes: the words `0 .. V - 1`, then the inner nodes in the order
in which word2vec.c makes them, so that the root is the last. Inner node `n` owns row `n - V` of the
output table. A *step* from a node to its parent is one number, `2 * row + code`: the parent's row
and the code of the branch that leads to the node.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_STRIDE = 4


def huffman_tree(counts: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Builds the tree that word2vec.c builds, ties included.

    Words and inner nodes wait in two queues, each in rising order of counts; the smallest two are
    merged, the inner node first where counts are equal. The second of the two gets code 1.

    Args:
        counts: frequencies of the words, most frequent first, `(V,)`.

    Returns:
        `(parents, codes)` of all `2 V - 1` nodes; the root is its own parent, with code 0.

    Cost: `O(V)`, about 0.1 s for 100,000 words.

    Example:

    >>> parents, codes = huffman_tree([4, 2, 1])
    >>> parents.tolist(), codes.tolist()
    ([4, 3, 3, 4, 4], [1, 1, 0, 0, 0])

    Source: Mikolov et al., word2vec.c, 2013.
    """
    weights = np.asarray(counts, np.float64).tolist()
    size = len(weights)
    root = 2 * size - 2
    weights += [np.inf] * size  # an inner node that is not made yet is never the smallest
    parents = [root] * (root + 1)
    codes = [0] * (root + 1)
    word, inner = size - 1, size
    for node in range(size, root + 1):
        if word >= 0 and weights[word] < weights[inner]:
            first, word = word, word - 1
        else:
            first, inner = inner, inner + 1
        if word >= 0 and weights[word] < weights[inner]:
            second, word = word, word - 1
        else:
            second, inner = inner, inner + 1
        weights[node] = weights[first] + weights[second]
        parents[first] = parents[second] = node
        codes[second] = 1
    return np.array(parents, np.int32), np.array(codes, np.int8)


def huffman_path(
    parents: np.ndarray, codes: np.ndarray, word: int
) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Returns a word's `(points, codes)` from the root down, as gensim's `point` and `code`.

    Args:
        parents: from `huffman_tree`.
        codes: from `huffman_tree`.
        word: id of the word.

    Example:

    >>> [part.tolist() for part in huffman_path(*huffman_tree([4, 2, 1]), 2)]
    [[1, 0], [0, 0]]
    """
    size, node = (len(parents) + 1) // 2, word
    path = []
    while parents[node] != node:
        path.append((parents[node] - size, codes[node]))
        node = parents[node]
    points, labels = zip(*path[::-1], strict=True) if path else ((), ())
    return np.array(points, np.int32), np.array(labels, np.int8)


def path_lengths(parents: np.ndarray) -> NDArray[np.int32]:
    """Returns the number of steps from each word to the root, `(V,)`.

    Pointers double their reach at every turn, so a tree of depth 22 takes five.
    """
    root = len(parents) - 1
    lengths: NDArray[np.int32] = (np.arange(root + 1) != root).astype(np.int32)
    reach = parents
    while (reach != root).any():
        lengths += lengths[reach]
        reach = reach[reach]
    return lengths[: (root + 2) // 2]


def ancestor_steps(parents: np.ndarray, codes: np.ndarray) -> NDArray[np.int32]:
    """Returns the first four steps from each node to the root, -1 beyond it: `(2 V - 1, 4)`.

    A path is read four steps at a time; the table takes a word no more memory than eight floats
    of a vector would, however deep the tree is.
    """
    nodes = np.arange(len(parents))
    size, root = (len(parents) + 1) // 2, len(parents) - 1
    steps = np.full((len(parents), _STRIDE), -1, np.int32)
    for column in range(_STRIDE):
        below = nodes != root
        steps[below, column] = (2 * (parents[nodes] - size) + codes[nodes])[below]
        nodes = parents[nodes]
    return steps


def top_paths(
    parents: np.ndarray, codes: np.ndarray, top: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Cuts the tree below its last `top` rows, which are the most visited ones.

    What is cut off are `top + 1` branches. All words of a branch take the same way through the top.

    Args:
        parents: from `huffman_tree`.
        codes: from `huffman_tree`.
        top: rows to keep, from 0 to V - 1.

    Returns:
        `(branches, ways)`. `branches`: each word's branch, `(V,)`. `ways`: `(top + 1, 2, top)`,
        for each branch which rows it passes, and which of them with code 0, as ones and zeros.
    """
    size, root = (len(parents) + 1) // 2, len(parents) - 1
    first = root + 1 - top  # the lowest node of the top
    nodes = np.arange(root + 1)
    reach = np.where(parents < first, parents, nodes)
    while (reach != reach[reach]).any():
        reach = reach[reach]
    heads, branches = np.unique(reach[:size], return_inverse=True)
    ways = np.zeros((top + 1, 2, top), np.float32)
    for way, head in zip(ways, heads, strict=True):
        node = head
        while node != root:
            row = parents[node] - first
            way[:, row] = 1, codes[node] == 0
            node = parents[node]
    return branches.astype(np.int32), ways


def tree_tables(parents: np.ndarray, codes: np.ndarray, top: int) -> dict[str, NDArray[np.generic]]:
    """Returns all that `HierarchicalSoftmax` needs to know of a tree, by the names of its weights.

    Args:
        parents: from `huffman_tree`.
        codes: from `huffman_tree`.
        top: rows at the top of the tree, see `top_paths`.
    """
    branches, ways = top_paths(parents, codes, top)
    return {
        "ancestor_steps": ancestor_steps(parents, codes),
        "path_lengths": path_lengths(parents),
        "branches": branches,
        "ways": ways.reshape(top + 1, 2 * top),
    }


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
