"""Huffman trees over word counts, and the tables that find a word's path in one.

A tree over V words has `2 V - 1` nodes: the words `0 .. V - 1`, then the inner nodes in the order
in which word2vec.c makes them, so that the root is the last. Inner node `n` owns row `n - V` of the
output table. A *step* from a node to its parent is one number, `2 * row + code`: the parent's row
and the code of the branch that leads to the node.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.ops.fused import fused

_STRIDE = 4
_STRIDES = 4  # in one kernel


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


def lower_paths(steps: tf.Variable, words: tf.Tensor, below: int) -> tf.Tensor:
    """Climbs from words to the first row that is not below `below`.

    Args:
        steps: variable of `ancestor_steps`.
        words: int32, `(n,)`.
        below: rows from here on are not part of the paths.

    Returns:
        int32, `(n, width)`: the steps of each word, -1 after its last.
    """
    root = steps.shape[0] - 1
    limit = tf.constant(2 * below)

    def go_on(nodes: tf.Tensor, paths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        nodes, chunk = _climb(steps, nodes, limit)
        return nodes, tf.concat([paths, chunk], axis=1)

    nodes, paths = _climb(steps, words, limit)
    _, paths = tf.while_loop(
        lambda nodes, paths: tf.reduce_any(nodes < root),
        go_on,
        (nodes, paths),
        shape_invariants=(nodes.shape, tf.TensorShape([paths.shape[0], None])),
    )
    return paths


@fused
def _climb(steps: tf.Variable, nodes: tf.Tensor, limit: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where 16 steps lead, and the steps; a path below most tops is no longer."""
    root = steps.shape[0] - 1
    size = (root + 2) // 2
    chunks = []
    for _ in range(_STRIDES):
        chunk = tf.gather(steps, nodes)
        chunk = tf.where(chunk < limit, chunk, -1)
        chunks.append(chunk)
        last = chunk[:, -1]
        nodes = tf.where(last < 0, root, last // 2 + size)
    return nodes, tf.concat(chunks, axis=1)


def leaf_log_probs(steps: tf.Variable, scores: tf.Tensor) -> tf.Tensor:
    """Adds up the log-probabilities of all paths, from the root down.

    Parents of the rows stand in the order of the rows themselves, so all rows whose parents are
    done are one slice: there are as many slices as the tree is deep.

    Args:
        steps: variable of `ancestor_steps`.
        scores: float32, `(V - 1, n)`, of the rows of the table.

    Returns:
        float32, `(V, n)`.
    """
    rows, columns = scores.shape[0], tf.shape(scores)[1]
    to_left = tf.math.log_sigmoid(scores)
    branches = tf.reshape(tf.stack([to_left, to_left - scores], axis=1), [2 * rows, columns])
    upward = steps[:, 0]
    words, inner = upward[: rows + 1], upward[rows + 1 : -1]
    parents = inner // 2

    def descend(done: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first = tf.searchsorted(parents, done[None])[0]
        taken = inner[first:done]
        slice_ = tf.gather(sums, taken // 2 - done) + tf.gather(branches, taken)
        return first, tf.concat([slice_, sums], axis=0)

    _, sums = tf.while_loop(
        lambda done, sums: done > 0,
        descend,
        (tf.constant(rows - 1), tf.zeros_like(scores[:1])),  # the root's row is done
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, scores.shape[1]])),
    )
    return tf.gather(sums, words // 2) + tf.gather(branches, words)
