"""Huffman trees over word counts, and the tables that find a word's path in one.

A tree over V words has `2 V - 1` nodes: the words `0 .. V - 1`, then the inner nodes in the order
in which word2vec.c makes them, so that the root is the last. Inner node `n` owns row `n - V` of the
output table. An *edge*, from a node up to its parent, is stored as one number, `2 * row + code`:
the parent's row, and the edge's code, 0 or 1, which tells the parent's two edges apart.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_EDGES_PER_NODE = 4  # in the table of ancestors


def huffman_tree(counts: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Builds the tree that word2vec.c builds, ties included.

    Words and inner nodes wait in two queues, each in rising order of counts; the smallest two are
    merged, the inner node first where counts are equal. The second of the two gets code 1.

    Words of count 0 would form a chain as long as there are such words. Together they weigh half as
    much as the rarest other word, so that they form a balanced subtree and no path of another word
    gets longer.

    Args:
        counts: frequencies of the words by id, `(V,)`, in any order.

    Returns:
        `(parents, codes)` of all `2 V - 1` nodes; the root is its own parent, with code 0.

    Cost: `O(V)`, about 0.1 s for 100,000 words.

    Example:

    >>> parents, codes = huffman_tree([4, 2, 1])
    >>> parents.tolist(), codes.tolist()
    ([4, 3, 3, 4, 4], [1, 1, 0, 0, 0])

    Source: Mikolov et al., word2vec.c, 2013.
    """
    array = np.asarray(counts, np.float64)
    is_unseen = array == 0
    floor = array[~is_unseen].min(initial=1.0) / (2 * max(is_unseen.sum(), 1))
    ids = np.argsort(-array, kind="stable")
    weights = np.where(is_unseen, floor, array)[ids].tolist()
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
    tree = np.array(parents, np.int32), np.array(codes, np.int8)
    for values in tree:  # of words in order of frequency until now
        values[ids] = values[:size].copy()
    return tree


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
    """Returns the number of edges from each word to the root, `(V,)`.

    Every round doubles the distance between a node and its ancestor: a depth of 22 takes five.
    """
    root = len(parents) - 1
    lengths: NDArray[np.int32] = (np.arange(root + 1) != root).astype(np.int32)
    ancestors = parents
    while (ancestors != root).any():
        lengths += lengths[ancestors]
        ancestors = ancestors[ancestors]
    return lengths[: (root + 2) // 2]


def ancestor_edges(parents: np.ndarray, codes: np.ndarray) -> NDArray[np.int32]:
    """Returns the first four edges from each node to the root, -1 beyond it: `(2 V - 1, 4)`.

    A path is read four edges at a time, and the table needs 32 bytes per word however deep the tree
    is.
    """
    nodes = np.arange(len(parents))
    size, root = (len(parents) + 1) // 2, len(parents) - 1
    edges = np.full((len(parents), _EDGES_PER_NODE), -1, np.int32)
    for column in range(_EDGES_PER_NODE):
        has_parent = nodes != root
        edges[has_parent, column] = (2 * (parents[nodes] - size) + codes[nodes])[has_parent]
        nodes = parents[nodes]
    return edges


def tree_of_edges(edges: np.ndarray) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Returns the `(parents, codes)` that a table from `ancestor_edges` was made of."""
    first = edges[:, 0]
    size, is_root = (len(edges) + 1) // 2, first < 0
    parents = np.where(is_root, np.arange(len(edges)), first // 2 + size)
    return parents.astype(np.int32), np.where(is_root, 0, first % 2).astype(np.int8)


def top_paths(
    parents: np.ndarray, codes: np.ndarray, top: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Splits the tree into its last `top` rows, nearest to the root, and the subtrees under them.

    There are `top + 1` subtrees; all words of one have the same path through the top.

    Args:
        parents: from `huffman_tree`.
        codes: from `huffman_tree`.
        top: number of rows in the top part, from 0 to V - 1.

    Returns:
        `(subtree_of_word, path_of_subtree)`: int32, `(V,)`; and ones and zeros, `(top + 1, 2,
        top)`: which rows of the top are on the subtree's path, and which are with code 0.
    """
    size, root = (len(parents) + 1) // 2, len(parents) - 1
    first = root + 1 - top  # the lowest node of the top
    ancestors = np.where(parents < first, parents, np.arange(root + 1))
    while (ancestors != ancestors[ancestors]).any():
        ancestors = ancestors[ancestors]
    heads, subtree_of_word = np.unique(ancestors[:size], return_inverse=True)
    path_of_subtree = np.zeros((top + 1, 2, top), np.float32)
    for path, node in zip(path_of_subtree, heads, strict=True):
        while node != root:
            path[:, parents[node] - first] = 1, codes[node] == 0
            node = parents[node]
    return subtree_of_word.astype(np.int32), path_of_subtree


def tree_tables(parents: np.ndarray, codes: np.ndarray, top: int) -> dict[str, NDArray[np.generic]]:
    """Returns the tables that `HierarchicalSoftmax` keeps of a tree, by the names of its weights.

    Args:
        parents: from `huffman_tree`.
        codes: from `huffman_tree`.
        top: number of rows in the top part, see `top_paths`.
    """
    subtree_of_word, path_of_subtree = top_paths(parents, codes, top)
    return {
        "ancestor_edges": ancestor_edges(parents, codes),
        "path_lengths": path_lengths(parents),
        "subtree_of_word": subtree_of_word,
        "path_of_subtree": path_of_subtree.reshape(top + 1, 2 * top),
    }


Path: TypeAlias = tuple[NDArray[np.integer], NDArray[np.integer]]
"""A word's path from the root: its inner nodes, and its code (0 or 1) at each of them."""


def tree_of_paths(
    paths: Sequence[Path],
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Builds a tree from the paths of its words.

    Trees of the same counts differ where counts are equal, in shape, numbers and codes, and a
    table can be used only with the tree that it was trained on. Inner nodes are renumbered level by
    level if their parents are not in the order of their numbers.

    Args:
        paths: path of each word; inner nodes are numbered from 0 to V - 2.

    Returns:
        `(parents, codes, rows)`: the first two as from `huffman_tree`; `rows`, `(V - 1,)`, is the
        row of the output table that each inner node has.

    Raises:
        ValueError: if the paths are not those of a binary tree.

    Example:

    >>> paths = [([0], [1]), ([0, 1], [0, 1]), ([0, 1], [0, 0])]
    >>> [part.tolist() for part in tree_of_paths(paths)]
    [[4, 3, 3, 4, 4], [1, 1, 0, 0, 0], [1, 0]]
    """
    size = len(paths)
    last = 2 * size - 2
    parents, codes = np.full(last + 1, -1), np.zeros(last + 1, np.int8)
    root = -1
    for word, (points, code) in enumerate(paths):
        nodes = [*(int(point) + size for point in points), word]
        if len(points) != len(code) or max(nodes) > last:
            raise _not_a_tree_error(word)
        parents[nodes[1:]] = nodes[:-1]
        codes[nodes[1:]] = code
        root = nodes[0]
    parents[root] = root
    has_parent = np.arange(last + 1) != root
    edges = np.maximum(2 * (parents - size) + codes, 0)[has_parent]
    if (parents < 0).any() or (np.bincount(edges, minlength=last) != 1).any():
        raise _not_a_tree_error(int(np.argmin(parents)))
    return _in_order(parents, codes, root)


def grown_tree(
    parents: np.ndarray, codes: np.ndarray, counts: ArrayLike, ids: NDArray[np.integer]
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Grows a tree by new words: it stays whole, as one leaf of the Huffman tree of these words.

    That leaf counts as much as all of its words. So what a table has learnt of the inner nodes
    stays true, and the paths of old words get longer by the edges above the leaf: one if their
    words are more than half of all.

    Args:
        parents: from `huffman_tree`, of V words.
        codes: from `huffman_tree`.
        counts: frequencies of the words of the new vocabulary, `(V',)`.
        ids: the old id of each of them, `(V',)`, -1 for a new word. All old words are among them.

    Returns:
        `(parents, codes, rows)`: the first two as from `huffman_tree`; `rows`, `(V' - 1,)`, is the
        row that each inner node has in the output table: first the V - 1 old ones, by their old
        rows, then the new ones.

    Example:

    >>> tree = huffman_tree([4, 2])
    >>> [part.tolist() for part in grown_tree(*tree, [4, 3, 2], np.array([0, -1, 1]))]
    [[3, 4, 3, 4, 4], [1, 0, 0, 1, 0], [0, 1]]
    """
    array, ids = np.asarray(counts, np.float64), np.asarray(ids)
    old_size, size = (len(parents) + 1) // 2, len(ids)
    new = np.flatnonzero(ids < 0)
    leaf_counts = np.append(array[ids >= 0].sum(), array[new])
    above, codes_above = huffman_tree(leaf_counts)
    first_above = size + old_size - 1  # the nodes above the leaf follow the old inner nodes
    numbers = np.concatenate([[0], new, np.arange(first_above, 2 * size - 1)])
    old_numbers = np.empty(len(parents), np.int64)
    old_numbers[ids[ids >= 0]] = np.flatnonzero(ids >= 0)
    old_numbers[old_size:] = np.arange(size, first_above)
    numbers[0] = old_numbers[-1]  # the old root, or the only word
    grown, grown_codes = np.empty(2 * size - 1, np.int64), np.empty(2 * size - 1, np.int8)
    for tree, labels, names in ((parents, codes, old_numbers), (above, codes_above, numbers)):
        grown[names], grown_codes[names] = names[tree], labels
    return _in_order(grown, grown_codes, int(numbers[-1]))


def _in_order(
    parents: NDArray[np.int64], codes: NDArray[np.int8], root: int
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Numbers the inner nodes of a tree in the order of their parents, the root last.

    Returns:
        `(parents, codes, rows)`: the tree, and the new row of each inner node.
    """
    size, last = (len(parents) + 1) // 2, len(parents) - 1
    inner = parents[size:]
    rows = np.arange(size - 1)
    if root != last or (np.diff(inner) < 0).any():
        rows = _rows_by_level(inner - size, root - size)
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
        children = np.flatnonzero(np.isin(parents, level) & (rows < 0))
        level = children[np.argsort(-rows[parents[children]], kind="stable")]
    return rows


def _not_a_tree_error(node: int) -> ValueError:
    return ValueError(
        "`paths` must be those of the words of one binary tree. "
        f"Received: paths that disagree at node {node}."
    )
