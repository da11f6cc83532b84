"""Hierarchical softmax over a Huffman tree."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.config_arrays import array_config, arrays_left_out
from kerasw2v.layers.frequency_order import warn_without_counts
from kerasw2v.layers.kept_rows import KeptRows
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.layers.tables import check_room
from kerasw2v.ops import huffman
from kerasw2v.ops.fused import fused_per_bucket
from kerasw2v.ops.logistic import softplus_and_sigmoid
from kerasw2v.ops.parts import in_sorted_parts
from kerasw2v.ops.row_mass import add_row_mass, term_mass
from kerasw2v.ops.rows import gather_rows, matrix_products_with_rows, rows_at
from kerasw2v.ops.tree_paths import gather_by_edge, leaf_log_probs, lower_paths, pack_edges
from kerasw2v.utils.checks import check_int

# Less than one: the words on a node's two edges pull its row in opposite directions.
_MIN_EDGE_MASS = 0.3


@keras.saving.register_keras_serializable("kerasw2v")
class HierarchicalSoftmax(OutputLayer):
    r"""Hierarchical softmax: a word's probability is that of its path down a Huffman tree.

    `loss = -sum_j log sigmoid((1 - 2 code_j) * hidden . embeddings[row_j])` over the inner nodes
    from the root to the word. Frequent words have short paths. The tree is that of word2vec.c, row
    numbers included: the table is gensim's `syn1` where gensim breaks ties in the same way.

    The tree is split in two, because nearly every path goes through the nodes at its top:

    ```
              o             top: the last `dense_rows` rows of the table. One matrix product scores
            /   \           them for all hidden vectors, and weights select those on the path.
          o       o
        --|-------|---      under the top hang `top + 1` subtrees
          o       o
         / \     / \        lower part: the rows on each path are gathered.
        w0  w1  w2  w3
    ```

    Four tables hold the tree: `ancestor_edges` and `path_lengths` give a word's path, node by node;
    `subtree_of_word` and `path_of_subtree` give the part of it that is in the top.

    Args:
        counts: frequencies of the words by id, in any order, `(V,)`; or V alone, all words
            equally frequent then.
        dense_rows: number of rows in the top part. The loss does not depend on it.
        tree: another tree than Huffman's: `(parents, codes)`, see `set_tree`; None for Huffman's.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies, or `dense_rows`
            is not a positive integer.

    Cost: `O(log(V) * d)` for each target, about the entropy of the counts in bits (11 for 84,000
    words of English), and the dense product with `dense_rows`; fewer than 128 targets all cost as
    much as the one with the longest path. The block form reads a candidate's
    path once for all hidden vectors of its block, and `shared_loss` multiplies each hidden vector
    once with the top, however often it occurs in the blocks. `log_probs` and `top_k` are
    `O(rows * V * d)`. (V - 1) * d parameters, and 40 bytes per word for the tree. The shapes of a
    step depend on the targets, so the layer cannot run under `jit_compile=True`.

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
    has_cheap_log_probs = True

    def __init__(
        self, counts: ArrayLike, dense_rows: int = 64, tree: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(counts, **kwargs)
        self.tree = None if tree is None else check_tree(tree, self.vocabulary_size)
        if tree is None:
            warn_without_counts(self, counts)
        self.dense_rows = check_int("dense_rows", dense_rows, minimum=1)
        self.supports_jit = False  # the shapes of a step depend on the targets

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        nodes = self.vocabulary_size - 1
        self.embeddings = self.add_output_vectors(hidden_shape[-1], rows=max(nodes, 1))
        self._top = min(self.dense_rows, nodes)
        paths = f"the paths through {self._top:,} nodes"
        check_room("`dense_rows`", 2 * self._top * (self._top + 1), paths)
        self._lower_rows = nodes - self._top  # the first of the table; the top's rows follow
        tree = huffman.huffman_tree(self._counts) if self.tree is None else self.tree
        tables = huffman.tree_tables(*tree, self._top)
        self._tree = {name: self.add_fixed_table(name, table) for name, table in tables.items()}
        self.built = True

    def set_tree(self, parents: NDArray[np.int32], codes: NDArray[np.int8]) -> None:
        """Replaces the tree by another over the same words, such as gensim's if counts are equal.

        Args:
            parents: of all nodes, `(2 V - 1,)`, see `ops.huffman.huffman_tree`.
            codes: of the edges to their parents, `(2 V - 1,)`.
        """
        self.tree = check_tree((parents, codes), self.vocabulary_size)
        for name, table in huffman.tree_tables(*self.tree, self._top).items():
            self._tree[name].assign(table)

    def _grown_config(
        self, counts: NDArray[np.integer], ids: NDArray[np.integer]
    ) -> dict[str, Any]:
        parents, codes, _ = self._grown_tree(counts, ids)
        return {**super()._grown_config(counts, ids), "tree": (parents, codes)}

    def _grown_tree(
        self, counts: NDArray[np.integer], ids: NDArray[np.integer]
    ) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
        tree = huffman.tree_of_edges(self._tree["ancestor_edges"].numpy())
        return huffman.grown_tree(*tree, counts, ids)

    def kept_rows(self, grown: Any, ids: NDArray[np.integer]) -> list[KeptRows]:
        *_, rows = self._grown_tree(grown._counts, ids)
        source = np.full(grown.embeddings.shape[0], -1)
        source[rows[: self.vocabulary_size - 1]] = np.arange(self.vocabulary_size - 1)
        return [KeptRows(self.embeddings, grown.embeddings, source)]

    def array_argument(self, name: str) -> np.ndarray:
        if name != "tree" or self.tree is None:
            return super().array_argument(name)
        return np.stack(self.tree)

    def arrays_restored(self, missing: dict[str, Any], has_counts: bool) -> None:
        if "tree" in missing or not has_counts:
            self.tree = huffman.tree_of_edges(self._tree["ancestor_edges"].numpy())

    def _table(self, name: str) -> tf.Variable:
        """Returns a table of the tree, see `ops.huffman.tree_tables`."""
        return self._tree[name].value

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(hidden)[:2]
        rows = tf.reshape(hidden, [-1, hidden.shape[-1]])
        indices = tf.reshape(tf.range(tf.shape(rows)[0]), shape)
        indices = tf.ensure_shape(indices, hidden.shape[:2])
        lower, top = self._shared_losses(rows, indices, candidates, weights)
        return lower + tf.reshape(top, shape)

    def shared_loss(
        self, hidden: tf.Tensor, indices: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        lower, top = self._shared_losses(hidden, indices, candidates, weights)
        return tf.reduce_sum(lower) + tf.reduce_sum(top)

    def _shared_losses(
        self, hidden: tf.Tensor, indices: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the losses of the lower part, `(b, L)`, and of the top, one a hidden vector."""
        subtrees, candidates = self._subtrees_of(candidates)
        lower = self._lower_loss(hidden, indices, candidates, weights)
        if not self._top:  # one word, no inner node
            return lower, tf.zeros_like(hidden[:, 0], tf.float32)
        paths = tf.convert_to_tensor(self._table("path_of_subtree"))
        subtree_weights = _sum_by_subtree(hidden, indices, subtrees, weights, paths)
        return lower, self._top_loss(hidden, tf.matmul(subtree_weights, paths))

    def _subtrees_of(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the subtree of each word, and the words.

        This lookup comes first because it refuses an id that is no word: `ancestor_edges` has rows
        for inner nodes too.
        """
        subtrees = tf.gather(self._table("subtree_of_word"), words)
        with tf.control_dependencies([subtrees]):
            return subtrees, tf.identity(words)

    def _top_loss(self, hidden: tf.Tensor, edge_weights: tf.Tensor) -> tf.Tensor:
        """Returns the loss in the top of the tree of each hidden vector.

        Args:
            hidden: `(n, d)`.
            edge_weights: float32, `(n, 2 * top)`, how often each node is on the paths, and how
                often with code 0.
        """
        ids = tf.range(self._lower_rows, self._lower_rows + self._top)

        def masses() -> tf.Tensor:
            node_weights = tf.abs(edge_weights[:, : self._top])
            return tf.linalg.matvec(node_weights, _edge_mass(hidden), transpose_a=True)

        add_row_mass(self.embeddings, ids, masses)
        table = gather_rows(self.embeddings, ids, hidden.dtype)
        scores = tf.cast(tf.matmul(hidden, table, transpose_b=True), tf.float32)
        return _top_edges_loss(scores, edge_weights)

    def _lower_loss(
        self, hidden: tf.Tensor, indices: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the losses in the lower part, `(b, L)`: a block's edges share a product."""
        candidate_weights = tf.transpose(weights, [0, 2, 1])
        words = tf.reshape(candidates, [-1])
        paths = lower_paths(self._table("ancestor_edges"), words, self._lower_rows)
        ids, candidate_and_code, lengths = pack_edges(paths, candidate_weights)

        def masses() -> tf.Tensor:
            hidden_masses = tf.gather(_edge_mass(hidden), indices)
            candidate_masses = tf.linalg.matvec(tf.abs(candidate_weights), hidden_masses)
            return _fused_gather_by_edge(candidate_masses, candidate_and_code)

        add_row_mass(self.embeddings, ids, masses)

        def losses(
            length: tf.Tensor,
            indices: tf.Tensor,
            candidate_weights: tf.Tensor,
            ids: tf.Tensor,
            candidate_and_code: tf.Tensor,
        ) -> tf.Tensor:
            """Returns the losses of blocks that have at most `length` edges."""
            scores = matrix_products_with_rows(
                self.embeddings, ids[:, :length], rows_at(hidden, indices), is_bucketed=True
            )
            return _lower_edges_loss(
                tf.cast(scores, tf.float32), candidate_weights, candidate_and_code[:, :length]
            )

        return in_sorted_parts(losses, lengths, indices, candidate_weights, ids, candidate_and_code)

    def target_mass(self, targets: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self._table("path_lengths"), targets), tf.float32)

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        if self.vocabulary_size == 1:
            return tf.zeros_like(hidden[:, :1])
        scores = tf.matmul(self.embeddings.value, hidden, transpose_b=True)
        return tf.transpose(leaf_log_probs(self._table("ancestor_edges"), scores))

    def get_config(self) -> dict[str, Any]:
        tree = None if self.tree is None else array_config(self, "tree")
        return self.complete({**super().get_config(), "dense_rows": self.dense_rows, "tree": tree})

    def trace_config(self) -> dict[str, Any]:
        with arrays_left_out():  # they are in tables
            return super().trace_config()


def check_tree(tree: Any, size: int) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Returns the parents and codes of a tree; raises ValueError unless they have its shape."""
    parents, codes = (np.asarray(values) for values in tree)
    if not parents.shape == codes.shape == (2 * size - 1,):
        raise ValueError(
            f"`tree` must be parents and codes of {2 * size - 1} nodes. "
            f"Received: shapes {parents.shape} and {codes.shape}."
        )
    return parents.astype(np.int32), codes.astype(np.int8)


def _has_code_0(edges: tf.Tensor) -> tf.Tensor:
    """Returns 1 for an edge whose last bit, the code, is 0: its loss is `-log sigmoid(score)`."""
    return tf.cast(1 - edges % 2, tf.float32)


def _edge_mass(hidden: tf.Tensor) -> tf.Tensor:
    """Returns the row mass of an edge with each hidden vector: `(..., d) -> (...)`."""
    return term_mass(hidden, share=0.5, least=_MIN_EDGE_MASS)


_fused_gather_by_edge = fused_per_bucket(gather_by_edge)


@fused_per_bucket
def _lower_edges(
    scores: tf.Tensor, candidate_weights: tf.Tensor, candidate_and_code: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the loss of `_lower_edges_loss` and its derivative by each score."""
    weights = gather_by_edge(candidate_weights, candidate_and_code)  # (b, edges, L)
    softplus, sigmoid = softplus_and_sigmoid(scores)
    has_code_0 = _has_code_0(candidate_and_code)[..., None]
    loss = tf.reduce_sum(weights * (softplus - has_code_0 * scores), axis=1)
    return loss, weights * (sigmoid - has_code_0)


@tf.custom_gradient
def _lower_edges_loss(
    scores: tf.Tensor, candidate_weights: tf.Tensor, candidate_and_code: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
    """Sums the losses of a block's edges: `(b, edges, L), (b, C, L), (b, edges) -> (b, L)`."""
    loss, slope = _lower_edges(scores, candidate_weights, candidate_and_code)
    return loss, lambda upstream: (upstream[:, None, :] * slope, None, None)


@fused_per_bucket
def _top_edges(scores: tf.Tensor, edge_weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the loss of `_top_edges_loss` and its derivative by each score."""
    on_path, with_code_0 = tf.split(edge_weights, 2, axis=1)
    softplus, sigmoid = softplus_and_sigmoid(scores)
    loss = tf.reduce_sum(on_path * softplus - with_code_0 * scores, axis=-1)
    return loss, on_path * sigmoid - with_code_0


@tf.custom_gradient
def _top_edges_loss(
    scores: tf.Tensor, edge_weights: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
    """Sums the losses in the top: `(n, top), (n, 2 * top) -> (n,)`."""
    loss, slope = _top_edges(scores, edge_weights)
    return loss, lambda upstream: (upstream[:, None] * slope, None)


@fused_per_bucket
def _sum_by_subtree(
    hidden: tf.Tensor,
    indices: tf.Tensor,
    subtrees: tf.Tensor,
    weights: tf.Tensor,
    paths: tf.Tensor,
) -> tf.Tensor:
    """Sums each hidden vector's weights by the subtree of the candidate: `(n, top + 1)`.

    Args:
        hidden: `(n, d)`, for its length.
        indices: int32, `(b, L)`, of hidden vectors.
        subtrees: int32, `(b, C)`, of the candidates.
        weights: float32, `(b, L, C)`.
        paths: `(top + 1, 2 * top)`, for its length.
    """
    shape = tf.shape(hidden)[0], tf.shape(paths)[0]
    segments = indices[:, :, None] * shape[1] + subtrees[:, None, :]
    return tf.reshape(tf.math.unsorted_segment_sum(weights, segments, shape[0] * shape[1]), shape)
