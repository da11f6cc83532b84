"""Hierarchical softmax over a Huffman tree."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops import huffman
from kerasw2v.ops.fused import fused_per_bucket
from kerasw2v.ops.logistic import softplus_and_sigmoid
from kerasw2v.ops.parts import in_sorted_parts
from kerasw2v.ops.row_mass import add_row_mass, term_mass
from kerasw2v.ops.rows import (
    gather_rows,
    matrix_products_with_rows,
    row_products,
    rows_at,
    sum_by_owner,
)
from kerasw2v.ops.tree_paths import leaf_log_probs, lower_paths, of_visitors, pack_paths
from kerasw2v.utils.checks import check_int

# The least that a visit of a node counts for in row masses: its visitors differ in what they want.
_LEAST_TERM = 0.3
# The padding's turn, see `pack_paths`.


@keras.saving.register_keras_serializable("kerasw2v")
class HierarchicalSoftmax(OutputLayer):
    """Hierarchical softmax: a word's probability is that of its path down a Huffman tree.

    `loss = -sum_j log sigmoid((1 - 2 code_j) * hidden . embeddings[row_j])` over the inner nodes
    from the root to the word. Frequent words have short paths. The tree is that of word2vec.c, row
    numbers included: the table is gensim's `syn1` where gensim breaks ties in the same way.

    Args:
        counts: frequencies of the words, most frequent first, `(V,)`; or V alone, all words
            equally frequent then.
        dense_rows: rows at the top of the tree that are scored for all hidden vectors by one matrix
            product: nearly every path goes through them, so that costs less than gathering them
            path by path. The loss does not depend on it.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies in descending order, or `dense_rows`
            is not a positive integer.

    Cost: `O(log(V) * d)` for each target, about the entropy of the counts in bits (11 for 84,000
    words of English), and the dense product with `dense_rows`. The block form reads a candidate's
    path once for all hidden vectors of its block, and `shared_loss` multiplies each hidden vector
    once with `dense_rows`, however many places it has. `log_probs` and `top_k` are
    `O(rows * V * d)`. (V - 1) * d parameters, and 40 bytes a word for finding paths. The shapes of
    a step depend on the targets, so the layer cannot run under `jit_compile=True`.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import HierarchicalSoftmax
    >>> layer = HierarchicalSoftmax(counts=[5, 2, 1])
    >>> layer(np.ones((2, 4), "float32"), np.array([0, 2])).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)

    Source: Morin and Bengio, "Hierarchical probabilistic neural network language model", 2005;
    Huffman tree: Mikolov et al., "Distributed representations of words and phrases and their
    compositionality", 2013.
    """

    targets_are_costly = True  # a path each

    def __init__(self, counts: ArrayLike, dense_rows: int = 64, **kwargs: Any) -> None:
        super().__init__(counts, **kwargs)
        self.dense_rows = check_int("dense_rows", dense_rows, minimum=1)
        self.supports_jit = False  # the shapes of a step depend on the targets

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        nodes = max(self.vocabulary_size - 1, 1)  # a weight must not be empty
        self.embeddings = self.add_output_vectors(hidden_shape[-1], rows=nodes)
        self._top = min(self.dense_rows, self.vocabulary_size - 1)
        tables = huffman.tree_tables(*huffman.huffman_tree(self._counts), self._top)
        self._tree = {name: self.add_fixed_table(name, table) for name, table in tables.items()}
        self._steps = self._tree["ancestor_steps"]
        self._path_lengths = self._tree["path_lengths"]
        self._branches, self._ways = self._tree["branches"], self._tree["ways"]
        self.built = True

    def set_tree(self, parents: NDArray[np.int32], codes: NDArray[np.int8]) -> None:
        """Takes another tree over the same words, such as gensim's where counts are equal.

        Args:
            parents: of all nodes, `(2 V - 1,)`, see `ops.huffman.huffman_tree`.
            codes: of the branches that lead to them, `(2 V - 1,)`.
        """
        for name, table in huffman.tree_tables(parents, codes, self._top).items():
            self._tree[name].assign(table)

    @property
    def _below(self) -> int:
        """First row of the top."""
        return self.vocabulary_size - 1 - self._top

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        weights = tf.ones_like(targets, tf.float32) if weights is None else weights
        branches, targets = self._branches_of(targets)
        lower = self._lower_pair_loss(hidden, targets, weights)
        if not self._top:  # one word, no inner node
            return lower
        visits = weights[:, None] * tf.gather(self._ways.value, branches)
        return lower + self._top_loss(hidden, visits)

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(hidden)[:2]
        rows = tf.reshape(hidden, [-1, hidden.shape[-1]])
        places = tf.reshape(tf.range(tf.shape(rows)[0]), shape)
        places = tf.ensure_shape(places, hidden.shape[:2])
        lower, top = self._shared_losses(rows, places, candidates, weights)
        return lower + tf.reshape(top, shape)

    def shared_loss(
        self, hidden: tf.Tensor, places: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        lower, top = self._shared_losses(hidden, places, candidates, weights)
        return tf.reduce_sum(lower) + tf.reduce_sum(top)

    def _shared_losses(
        self, hidden: tf.Tensor, places: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns losses below the top of the tree, `(b, L)`, and those in it, of all places."""
        branches, candidates = self._branches_of(candidates)
        lower = self._lower_block_loss(hidden, places, candidates, weights)
        if not self._top:  # one word, no inner node
            return lower, tf.zeros_like(hidden[:, 0], tf.float32)
        ways = self._ways.value
        met = _count_branches(hidden, places, branches, weights, ways)
        return lower, self._top_loss(hidden, tf.matmul(met, ways))

    def _branches_of(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the branch of the tree that each word is on, and the words.

        An id that is no word is named here; the table of steps has rows for inner nodes too.
        """
        branches = tf.gather(self._branches.value, words)
        with tf.control_dependencies([branches]):
            return branches, tf.identity(words)

    def _top_loss(self, hidden: tf.Tensor, visits: tf.Tensor) -> tf.Tensor:
        """Returns what the top of the tree adds to each loss, from `(rows, 2 * top)` visits."""
        ids = tf.range(self._below, self._below + self._top)
        add_row_mass(
            self.embeddings,
            ids,
            lambda: tf.linalg.matvec(
                tf.abs(visits[:, : self._top]), _terms(hidden), transpose_a=True
            ),
        )
        table = gather_rows(self.embeddings, ids, hidden.dtype)
        scores = tf.cast(tf.matmul(hidden, table, transpose_b=True), tf.float32)
        return _top_terms_loss(scores, visits)

    def _lower_pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns what the nodes below the top add to each loss; each visit is a row of its own."""
        paths = lower_paths(self._steps.value, targets, self._below)
        found = tf.where((paths >= 0) & (weights != 0)[:, None])
        steps, owners = tf.gather_nd(paths, found), tf.cast(found[:, 0], tf.int32)
        ids = tf.bitwise.right_shift(steps, 1)
        visits = tf.stop_gradient(tf.gather(weights, owners))
        add_row_mass(
            self.embeddings, ids, lambda: tf.abs(visits) * tf.gather(_terms(hidden), owners)
        )
        rows = gather_rows(self.embeddings, ids, hidden.dtype)
        scores = tf.cast(row_products(_of_owners(hidden, owners), rows), tf.float32)
        terms = visits * (tf.nn.softplus(scores) - _is_left(steps) * scores)
        return sum_by_owner(terms, owners, tf.shape(hidden)[0])

    def _lower_block_loss(
        self, hidden: tf.Tensor, places: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns what the nodes below the top add to each loss, all of a block's in a product."""
        by_candidate = tf.transpose(weights, [0, 2, 1])
        paths = lower_paths(self._steps.value, tf.reshape(candidates, [-1]), self._below)
        ids, turns, sizes = pack_paths(paths, by_candidate)
        add_row_mass(
            self.embeddings,
            ids,
            lambda: _massesof_visitors(
                tf.linalg.matvec(tf.abs(by_candidate), tf.gather(_terms(hidden), places)), turns
            ),
        )

        def losses(
            nodes: tf.Tensor,
            places: tf.Tensor,
            by_candidate: tf.Tensor,
            ids: tf.Tensor,
            turns: tf.Tensor,
        ) -> tf.Tensor:
            """Returns the losses of blocks, all padded to the same number of nodes."""
            ids, turns = ids[:, :nodes], turns[:, :nodes]
            vectors = rows_at(hidden, places)
            scores = matrix_products_with_rows(self.embeddings, ids, vectors, is_bucketed=True)
            return _node_terms_loss(tf.cast(scores, tf.float32), by_candidate, turns)

        return in_sorted_parts(losses, sizes, places, by_candidate, ids, turns)

    def target_mass(self, targets: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self._path_lengths.value, targets), tf.float32)

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        if self.vocabulary_size == 1:
            return tf.zeros_like(hidden[:, :1])
        scores = tf.matmul(self.embeddings.value, hidden, transpose_b=True)
        return tf.transpose(leaf_log_probs(self._steps.value, scores))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dense_rows": self.dense_rows}


def _is_left(turns: tf.Tensor) -> tf.Tensor:
    """Returns 1 where the last bit, the code, is 0: the term is `log sigmoid(+score)` there."""
    return tf.cast(1 - turns % 2, tf.float32)


_massesof_visitors = fused_per_bucket(of_visitors)


@fused_per_bucket
def _fused_nodes(
    scores: tf.Tensor, by_candidate: tf.Tensor, turns: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    visits = of_visitors(by_candidate, turns)  # (b, nodes, L)
    softplus, sigmoid = softplus_and_sigmoid(scores)
    left = _is_left(turns)[..., None]
    return tf.reduce_sum(visits * (softplus - left * scores), axis=1), visits * (sigmoid - left)


@tf.custom_gradient
def _node_terms_loss(
    scores: tf.Tensor, by_candidate: tf.Tensor, turns: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
    loss, slope = _fused_nodes(scores, by_candidate, turns)
    return loss, lambda upstream: (upstream[:, None, :] * slope, None, None)


@fused_per_bucket
def _fused_top(scores: tf.Tensor, visits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    passed, left = tf.split(visits, 2, axis=1)
    softplus, sigmoid = softplus_and_sigmoid(scores)
    return tf.reduce_sum(passed * softplus - left * scores, axis=-1), passed * sigmoid - left


@tf.custom_gradient
def _top_terms_loss(
    scores: tf.Tensor, visits: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
    loss, slope = _fused_top(scores, visits)
    return loss, lambda upstream: (upstream[:, None] * slope, None)


@fused_per_bucket
def _count_branches(
    hidden: tf.Tensor, places: tf.Tensor, branches: tf.Tensor, weights: tf.Tensor, ways: tf.Tensor
) -> tf.Tensor:
    """Returns how often each hidden vector meets words of each branch, `(n, top + 1)`.

    Args:
        hidden: `(n, d)`; of it the first axis counts.
        places: int32, `(b, L)`.
        branches: int32, `(b, C)`, of the candidates.
        weights: float32, `(b, L, C)`.
        ways: `(top + 1, 2 * top)`; of it the first axis counts.
    """
    shape = tf.shape(hidden)[0], tf.shape(ways)[0]
    pairs = places[:, :, None] * shape[1] + branches[:, None, :]
    return tf.reshape(tf.math.unsorted_segment_sum(weights, pairs, shape[0] * shape[1]), shape)


@tf.custom_gradient
def _of_owners(
    hidden: tf.Tensor, owners: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns the hidden vector of each visit's owner; owners rise."""
    size = tf.shape(hidden)[0]
    return tf.gather(hidden, owners), lambda upstream: (sum_by_owner(upstream, owners, size), None)


def _terms(hidden: tf.Tensor) -> tf.Tensor:
    """Returns how many terms of row mass a visit counts for: fewer than one of a softmax."""
    return term_mass(hidden, share=0.5, least=_LEAST_TERM)
