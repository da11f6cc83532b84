"""Exact search among all candidates of a layer, and its vectors for an approximate index."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.layers.shapes import check_hidden
from kerasw2v.ops.ids import as_ids
from kerasw2v.ops.table_scores import (
    TableScores,
    in_row_chunks,
    log_normaliser,
    ranks_of,
    rows_before,
)
from kerasw2v.utils.checks import check_int


class TableSearch(keras.layers.Layer):
    """Base class: what can be asked about all candidates at once, in chunks of bounded memory.

    A class has `vocabulary_size` and either `table_scores`, or `log_probs` of `(n, d)`.
    """

    # Width of hidden vectors, d; None before the layer is built.
    hidden_dim: int | None = None

    # Whether `pair_loss` is minus the log-probability, for less than the work of all of them.
    has_cheap_log_probs = False

    @property
    def table_scores(self) -> TableScores | None:
        """The table whose rows are scored; None for a layer that has no row for each candidate."""
        return None

    def checked_k(self, k: int) -> int:
        """Returns `k`; raises TypeError or ValueError unless it is from 1 to V."""
        number = check_int("k", k, minimum=1)
        if number > self.vocabulary_size:
            raise ValueError(f"`k` must be at most V = {self.vocabulary_size}. Received: k={k}.")
        return number

    def ranks(self, hidden: Any, targets: Any) -> tf.Tensor:
        """Returns the places of targets among all candidates, 1 for the best.

        Of equal scores the smaller id is first, as in `top_k`. In chunks: memory is bounded,
        whatever V and the number of hidden vectors.

        Args:
            hidden: float, `(..., d)`.
            targets: ids, `(...)`, or `(..., r)` for several targets of each.

        Returns:
            int32, of the shape of `targets`.
        """
        targets = as_ids("targets", targets, self.vocabulary_size)
        shape = tf.shape(targets)
        queries, targets = self._queries(hidden), _by_query(targets, hidden)
        scores = self.table_scores
        if scores is not None:
            return tf.reshape(ranks_of(scores, queries, targets), shape)

        def ranks(queries: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
            return _ranks_among(self.log_probs(queries), targets)

        size = self.vocabulary_size
        return tf.reshape(in_row_chunks(ranks, (queries, targets), size), shape)

    def target_log_probs(self, hidden: Any, targets: Any) -> tf.Tensor:
        """Returns the exact log-probability of each target: `(..., d), (...) -> (...)`, float32.

        That is `log_probs` at the target, in chunks: memory is bounded, whatever V and the number
        of hidden vectors.
        """
        targets = as_ids("targets", targets, self.vocabulary_size)
        shape = tf.shape(targets)
        queries, targets = self._queries(hidden), _by_query(targets, hidden)
        scores = self.table_scores
        if scores is not None:
            found = scores.of_targets(queries, targets)[:, 0] - log_normaliser(scores, queries)
        elif self.has_cheap_log_probs:
            found = -self.pair_loss(tf.cast(queries, self.compute_dtype), targets[:, 0], None)
        else:
            found = in_row_chunks(self._log_probs_at, (queries, targets), self.vocabulary_size)
        return tf.reshape(found, shape)

    def _log_probs_at(self, queries: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.log_probs(queries), targets, batch_dims=1)[:, 0]

    def index_vectors(self) -> NDArray[np.float32]:
        """Returns the vectors of all candidates for an index of largest inner products.

        `index.add(layer.index_vectors())` fills one of faiss; hnswlib and ScaNN take the same
        array. With `index_queries` an inner product is the score: where the layer has biases they
        are one more column. Searching with it may be approximate, but the scores are those of
        `top_k`, up to the normaliser of log-probabilities.

        Returns:
            float32, `(V, d)`, or `(V, d + 1)` with biases.

        Raises:
            ValueError: for a layer that has no vector for each candidate.
        """
        scores = self._table_scores_or_raise()
        vectors = scores.rows(tf.range(scores.size), tf.float32).numpy()
        if scores.biases is None:
            return np.ascontiguousarray(vectors)
        return np.column_stack([vectors, np.asarray(scores.biases.numpy(), np.float32)])

    def index_queries(self, hidden: Any) -> NDArray[np.float32]:
        """Returns hidden vectors as queries to an index of `index_vectors`.

        Args:
            hidden: float, `(..., d)`.

        Returns:
            float32, `(n, d)`, or `(n, d + 1)` with a column of ones for biases.

        Raises:
            ValueError: for a layer that has no vector for each candidate.
        """
        scores = self._table_scores_or_raise()
        queries = self._queries(hidden).numpy()
        if scores.biases is None:
            return np.ascontiguousarray(queries)
        return np.column_stack([queries, np.ones(len(queries), np.float32)])

    def _table_scores_or_raise(self) -> TableScores:
        if self.table_scores is None:
            raise ValueError(
                "Only a layer that scores each word by a vector of its own has vectors for an "
                f"index. Received: {type(self).__name__}."
            )
        return self.table_scores

    def _queries(self, hidden: Any) -> tf.Tensor:
        """Returns hidden vectors as they are scored: float32, `(n, d)`."""
        hidden = tf.cast(hidden, tf.float32)
        check_hidden(hidden.shape, self.hidden_dim)
        return tf.reshape(hidden, [-1, hidden.shape[-1]])


def _by_query(targets: tf.Tensor, hidden: Any) -> tf.Tensor:
    """Returns the targets of each hidden vector, `(n, r)`."""
    several = targets.shape.rank == len(hidden.shape)
    return tf.reshape(targets, [-1, targets.shape[-1] if several else 1])


def _ranks_among(scores: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns the places of targets `(n, r)` among all scores `(n, V)`."""
    ids = tf.range(tf.shape(scores)[1])
    own = tf.gather(scores, targets, batch_dims=1)
    return 1 + rows_before(scores, own, ids, targets)
