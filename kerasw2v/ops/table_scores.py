"""Scores of hidden vectors against a whole table, in chunks of bounded memory.

The score of row w is `hidden . table[w] + biases[w]`. Nothing here keeps more than about
`LARGEST_CHUNK` scores at a time, whatever the table's size and however many hidden vectors there
are: each function goes through the table once, a chunk of rows after the other, and carries what it
needs along.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kerasw2v.ops.rows import gather_rows, row_products

LARGEST_CHUNK = 2**22  # scores at a time: 16 MB
FEWEST_ROWS = 1024  # of the table in a chunk; a matrix product of fewer is slow

Fold = Callable[[tuple[tf.Tensor, ...], tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]


class TableScores(NamedTuple):
    """What hidden vectors are scored against.

    Attributes:
        table: Keras weight or `ShardedTable`, `(V, d)`.
        biases: Keras weight, `(V,)`; None for none.
        scale: factor of the products.
        is_cosine: whether rows of the table are scaled to unit length first.
    """

    table: Any
    biases: Any = None
    scale: float = 1.0
    is_cosine: bool = False

    @property
    def size(self) -> int:
        """Number of rows, V."""
        return int(self.table.shape[0])

    def rows(self, ids: tf.Tensor, dtype: Any) -> tf.Tensor:
        """Returns the vectors of rows: `(...) -> (..., d)`."""
        rows = gather_rows(self.table, ids, dtype)
        if self.is_cosine:
            rows = unit_vectors(rows)
        return rows if self.scale == 1.0 else self.scale * rows

    def offsets(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the biases of rows, float32; zeros where there are none."""
        if self.biases is None:
            return tf.zeros(tf.shape(ids))
        return gather_rows(self.biases, ids, tf.float32)

    def of_targets(self, hidden: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Returns the scores of each hidden vector's own targets: `(n, d), (n, r) -> (n, r)`."""
        products = row_products(hidden[:, None, :], self.rows(targets, hidden.dtype))
        return tf.cast(products, tf.float32) + self.offsets(targets)

    def of_rows(self, hidden: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Returns the scores of hidden vectors with rows: `(n, d), (m,) -> (n, m)`, float32."""
        scores = tf.matmul(hidden, self.rows(ids, hidden.dtype), transpose_b=True)
        return tf.cast(scores, tf.float32) + self.offsets(ids)


def unit_vectors(vectors: tf.Tensor) -> tf.Tensor:
    """Returns vectors `(..., d)` scaled to length one; zeros stay zeros."""
    square = tf.reduce_sum(tf.square(tf.cast(vectors, tf.float32)), axis=-1, keepdims=True)
    return vectors * tf.cast(tf.math.rsqrt(tf.maximum(square, 1e-24)), vectors.dtype)


def log_normaliser(scores: TableScores, hidden: tf.Tensor) -> tf.Tensor:
    """Returns `log sum_w exp(s_w)`: `(n, d) -> (n,)`."""

    def start(hidden: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = tf.shape(hidden)[0]
        return tf.fill([rows], float("-inf")), tf.zeros([rows])

    def fold(
        state: tuple[tf.Tensor, ...], chunk: tf.Tensor, ids: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        largest, total = state
        return _add_exponentials(largest, total, chunk)

    return over_chunks(scores, start, fold, lambda largest, total: largest + tf.math.log(total))(
        hidden
    )


def mean_of(
    scores: TableScores, hidden: tf.Tensor, function: Callable[..., Any], probabilities: tf.Tensor
) -> tf.Tensor:
    """Returns `sum_w probabilities[w] * function(s_w)`: `(n, d) -> (n,)`."""

    def start(hidden: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return (tf.zeros([tf.shape(hidden)[0]]),)

    def fold(
        state: tuple[tf.Tensor, ...], chunk: tf.Tensor, ids: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        return (state[0] + tf.linalg.matvec(function(chunk), tf.gather(probabilities, ids)),)

    return over_chunks(scores, start, fold, lambda total: total)(hidden)


def best_rows(
    scores: TableScores, hidden: tf.Tensor, k: int, with_normaliser: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the `k` rows with the largest scores, the first ones of equals.

    Returns:
        `(ids, scores)`, `(n, k)`, best first; with `with_normaliser` the scores are
        log-probabilities: less `log_normaliser`.
    """

    def start(hidden: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = tf.shape(hidden)[0]
        best = tf.fill([rows, k], float("-inf")), tf.zeros([rows, k], tf.int32)
        return *best, tf.fill([rows], float("-inf")), tf.zeros([rows])

    def fold(
        state: tuple[tf.Tensor, ...], chunk: tf.Tensor, ids: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        best, best_ids, largest, total = state
        if with_normaliser:
            largest, total = _add_exponentials(largest, total, chunk)
        found, indices = tf.math.top_k(chunk, tf.minimum(k, tf.size(ids)))
        # Those found before stand first: of equals they stay, as they have the smaller ids.
        merged = tf.concat([best, found], axis=1)
        merged_ids = tf.concat([best_ids, tf.gather(ids, indices)], axis=1)
        best, indices = tf.math.top_k(merged, k)
        return best, tf.gather(merged_ids, indices, batch_dims=1), largest, total

    def finish(
        best: tf.Tensor, ids: tf.Tensor, largest: tf.Tensor, total: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if with_normaliser:
            best -= (largest + tf.math.log(total))[:, None]
        return ids, best

    ids, best = over_chunks(scores, start, fold, finish)(hidden)
    return ids, best


def ranks_of(scores: TableScores, hidden: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns the place of targets among all rows: `(n, d), (n, r) -> (n, r)`, int32, from 1.

    It is the place in `best_rows`, but for scores that differ by rounding only: of equal scores the
    smaller id is first. A score that is no number comes last.
    """

    def start(hidden: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.ones_like(targets), scores.of_targets(hidden, targets), targets

    def fold(
        state: tuple[tf.Tensor, ...], chunk: tf.Tensor, ids: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        ranks, own, targets = state
        ranks += rows_before(chunk, own, ids, targets)
        return ranks, own, targets

    return over_chunks(scores, start, fold, lambda ranks, *_: ranks)(hidden, targets)


def rows_before(scores: tf.Tensor, own: tf.Tensor, ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Counts the rows of a chunk that come before targets: `(n, m), (n, r), (m,), (n, r)`."""

    def before(own: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        own, target = own[:, None], target[:, None]
        first = ~(scores <= own) | (tf.equal(scores, own) & (ids < target))
        # The target's own score, computed in another way, may differ in its last bit.
        return tf.reduce_sum(tf.cast(first & tf.not_equal(ids, target), tf.int32), axis=1)

    # One target at a time: memory stays bounded.
    pairs = zip(tf.unstack(own, axis=1), tf.unstack(targets, axis=1), strict=True)
    return tf.stack([before(score, target) for score, target in pairs], axis=1)


def over_chunks(
    scores: TableScores,
    start: Callable[..., tuple[tf.Tensor, ...]],
    fold: Fold,
    finish: Callable[..., Any],
) -> Callable[..., Any]:
    """Returns a function of hidden vectors `(n, d)`, and of other tensors with n rows.

    For as many hidden vectors as a chunk has room for, it begins with `start(*tensors)`, calls
    `fold(state, scores, ids)` with the scores `(n, m)` of each chunk of rows `ids`, and ends with
    `finish(*state)`, tensors with n rows.
    """

    def of_some(hidden: tf.Tensor, *others: tf.Tensor) -> Any:
        size = scores.size
        rows = tf.maximum(1, tf.shape(hidden)[0])
        step = tf.clip_by_value(LARGEST_CHUNK // rows, min(FEWEST_ROWS, size), size)

        def body(first: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
            ids = tf.range(first, tf.minimum(first + step, size))
            return first + step, *fold(state, scores.of_rows(hidden, ids), ids)

        state = (tf.constant(0), *start(hidden, *others))
        shapes = [tf.TensorShape([None, *each.shape[1:]]) for each in state[1:]]
        _, *state_list = tf.while_loop(
            lambda first, *_: first < size,
            body,
            state,
            shape_invariants=(tf.TensorShape([]), *shapes),
        )
        return finish(*state_list)

    return lambda *tensors: in_row_chunks(of_some, tensors, FEWEST_ROWS)


def in_row_chunks(
    function: Callable[..., Any], tensors: tuple[tf.Tensor, ...], row_cost: int
) -> Any:
    """Returns `function(*tensors)`, called with as many rows at a time as memory is meant for.

    Args:
        function: from tensors with n rows to a tensor, or tuple of tensors, with n rows.
        tensors: the arguments.
        row_cost: floats that the function keeps for each row.
    """
    step = max(1, LARGEST_CHUNK // row_cost)
    number = tensors[0].shape[0]
    if number is not None and number <= step:
        return function(*tensors)
    first = function(*(each[:step] for each in tensors))
    parts = first if isinstance(first, tuple) else (first,)

    def more(begin: tf.Tensor, *parts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        found = function(*(each[begin : begin + step] for each in tensors))
        found = found if isinstance(found, tuple) else (found,)
        joined = [tf.concat(pair, axis=0) for pair in zip(parts, found, strict=True)]
        return begin + step, *joined

    shapes = [tf.TensorShape([None, *each.shape[1:]]) for each in parts]
    _, *joined = tf.while_loop(
        lambda begin, *_: begin < tf.shape(tensors[0])[0],
        more,
        (tf.constant(step), *parts),
        shape_invariants=(tf.TensorShape([]), *shapes),
    )
    return tuple(joined) if isinstance(first, tuple) else joined[0]


def _add_exponentials(
    largest: tf.Tensor, total: tf.Tensor, scores: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds `exp(scores)`, `(n, m)`, to a sum kept as `total * exp(largest)`, `(n,)` each."""
    highest = tf.maximum(largest, tf.reduce_max(scores, axis=1))
    kept = tf.where(tf.math.is_inf(largest), 0.0, tf.exp(largest - highest))
    added = tf.reduce_sum(tf.exp(scores - highest[:, None]), axis=1)
    return highest, total * kept + added
