"""Paths of a batch's words through a tree, in TensorFlow: climbing, packing, summing up."""

import tensorflow as tf

from kerasw2v.ops.fused import fused, fused_per_bucket

NO_TURN = -1
_STRIDES = 4  # in one kernel


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


@fused_per_bucket
def pack_paths(paths: tf.Tensor, by_candidate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Joins the paths of each block's candidates to one list of visits, the padding behind it.

    A visit is the row of a node, and a turn, `2 * candidate + code`: which of its block's
    candidates comes by, and its code there. Padding has row 0 and `NO_TURN`.

    Args:
        paths: int32, `(b * C, width)`, from `lower_paths`.
        by_candidate: float32, `(b, C, L)`, weights; candidates without any pay no visits.

    Returns:
        `(rows, turns, sizes)`, int32: `(b, C * width)` twice, and how many visits, `(b,)`.
    """
    blocks, width = tf.shape(by_candidate)[0], tf.shape(paths)[1]
    paths = tf.reshape(paths, [blocks, -1])
    wanted = tf.reduce_any(by_candidate != 0, axis=-1)
    lengths = tf.reduce_sum(tf.cast(tf.reshape(paths >= 0, [blocks, -1, width]), tf.int32), axis=-1)
    lengths = tf.where(wanted, lengths, 0)
    ends = tf.cumsum(lengths, axis=1)
    sizes = ends[:, -1]
    places = tf.range(tf.shape(paths)[1])
    are_visits = places < sizes[:, None]
    are_over = places[:, None] >= ends[:, None, :]  # (b, C * width, C)
    skipped = tf.reduce_sum(tf.where(are_over, (width - lengths)[:, None, :], 0), axis=-1)
    found = tf.where(are_visits, places + skipped, 0)
    steps = tf.gather(paths, found, batch_dims=1)
    turns = tf.where(are_visits, 2 * (found // width) + steps % 2, NO_TURN)
    return tf.where(are_visits, steps // 2, 0), turns, sizes


def of_visitors(values: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Returns what belongs to each visit's candidate, `(b, C, ...)` to `(b, n, ...)`, or 0."""
    found = tf.gather(values, tf.maximum(turns // 2, 0), batch_dims=1)
    is_padding = turns == NO_TURN
    return tf.where(is_padding if found.shape.rank == 2 else is_padding[..., None], 0.0, found)
