"""Paths of a batch's words through a tree, in TensorFlow: reading, packing, summing up."""

import tensorflow as tf

from kerasw2v.ops.fused import fused, fused_per_bucket

PADDING = -1
_READS = 4  # of four edges each, in one kernel


def lower_paths(ancestor_edges: tf.Variable, words: tf.Tensor, lower_rows: int) -> tf.Tensor:
    """Returns the part of each word's path that lies below the top of the tree.

    Args:
        ancestor_edges: table from `ops.huffman.ancestor_edges`.
        words: int32, `(n,)`.
        lower_rows: number of rows below the top, which are the first of the output table.

    Returns:
        int32, `(n, width)`: the edges of each word, from the word upward, then `PADDING`.
    """
    root = ancestor_edges.shape[0] - 1
    limit = tf.constant(2 * lower_rows)

    def climb_on(nodes: tf.Tensor, paths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        nodes, edges = _climb(ancestor_edges, nodes, limit)
        return nodes, tf.concat([paths, edges], axis=1)

    nodes, paths = _climb(ancestor_edges, words, limit)
    _, paths = tf.while_loop(
        lambda nodes, paths: tf.reduce_any(nodes < root),
        climb_on,
        (nodes, paths),
        shape_invariants=(nodes.shape, tf.TensorShape([paths.shape[0], None])),
    )
    return paths


@fused
def _climb(
    ancestor_edges: tf.Variable, nodes: tf.Tensor, limit: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the nodes 16 edges further up, or the root, and the edges: most paths need no more.

    Edges from `limit` on belong to the top.
    """
    root = ancestor_edges.shape[0] - 1
    size = (root + 2) // 2
    paths = []
    for _ in range(_READS):
        edges = tf.gather(ancestor_edges, nodes)
        edges = tf.where(edges < limit, edges, PADDING)
        paths.append(edges)
        last = edges[:, -1]
        nodes = tf.where(last < 0, root, last // 2 + size)
    return nodes, tf.concat(paths, axis=1)


def leaf_log_probs(ancestor_edges: tf.Variable, scores: tf.Tensor) -> tf.Tensor:
    """Adds up the log-probabilities of all paths, from the root down.

    Parents of the rows are in the order of the rows themselves, so all rows whose parents are done
    are one slice: there are as many slices as the tree has levels.

    Args:
        ancestor_edges: table from `ops.huffman.ancestor_edges`.
        scores: float32, `(V - 1, n)`, of the rows of the table.

    Returns:
        float32, `(V, n)`.
    """
    rows, columns = scores.shape[0], tf.shape(scores)[1]
    left = tf.math.log_sigmoid(scores)
    edge_log_probs = tf.reshape(tf.stack([left, left - scores], axis=1), [2 * rows, columns])
    edges = ancestor_edges[:, 0]
    word_edges, inner_edges = edges[: rows + 1], edges[rows + 1 : -1]
    parents = inner_edges // 2

    def descend(start: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Puts the children of the rows from `start` on before them; `sums` are of those rows."""
        first = tf.searchsorted(parents, start[None])[0]
        level = inner_edges[first:start]
        level_sums = tf.gather(sums, level // 2 - start) + tf.gather(edge_log_probs, level)
        return first, tf.concat([level_sums, sums], axis=0)

    _, sums = tf.while_loop(
        lambda start, sums: start > 0,
        descend,
        (tf.constant(rows - 1), tf.zeros_like(scores[:1])),  # the root
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, scores.shape[1]])),
    )
    return tf.gather(sums, word_edges // 2) + tf.gather(edge_log_probs, word_edges)


@fused_per_bucket
def pack_edges(
    paths: tf.Tensor, candidate_weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Joins the paths of each block's candidates to one list of edges, followed by padding.

    Args:
        paths: int32, `(b * C, width)`, from `lower_paths`.
        candidate_weights: float32, `(b, C, L)`; a candidate without any weight has no edges.

    Returns:
        `(rows, candidate_and_code, lengths)`, int32: for each edge its row of the table, 0 for
        padding, and `2 * candidate + code`, or `PADDING`, both `(b, C * width)`; and the number of
        edges of each block, `(b,)`.
    """
    blocks, width = tf.shape(candidate_weights)[0], tf.shape(paths)[1]
    paths = tf.reshape(paths, [blocks, -1])
    is_used = tf.reduce_any(candidate_weights != 0, axis=-1)
    sizes = tf.reduce_sum(tf.cast(tf.reshape(paths >= 0, [blocks, -1, width]), tf.int32), axis=-1)
    sizes = tf.where(is_used, sizes, 0)
    ends = tf.cumsum(sizes, axis=1)
    lengths = ends[:, -1]
    # Edge k of a block comes after the padding of all candidates whose paths end before it.
    positions = tf.range(tf.shape(paths)[1])
    is_edge = positions < lengths[:, None]
    is_past = positions[:, None] >= ends[:, None, :]  # (b, C * width, C)
    skipped = tf.reduce_sum(tf.where(is_past, (width - sizes)[:, None, :], 0), axis=-1)
    sources = tf.where(is_edge, positions + skipped, 0)
    edges = tf.gather(paths, sources, batch_dims=1)
    candidate_and_code = tf.where(is_edge, 2 * (sources // width) + edges % 2, PADDING)
    return tf.where(is_edge, edges // 2, 0), candidate_and_code, lengths


def gather_by_edge(candidate_values: tf.Tensor, candidate_and_code: tf.Tensor) -> tf.Tensor:
    """Returns for each edge its candidate's values, 0 for padding: `(b, C, ...), (b, n)`."""
    candidates = tf.maximum(candidate_and_code // 2, 0)
    values = tf.gather(candidate_values, candidates, batch_dims=1)
    is_padding = candidate_and_code == PADDING
    return tf.where(is_padding if values.shape.rank == 2 else is_padding[..., None], 0.0, values)
