"""The contract of all output layers: from hidden vectors and target words to a loss."""

from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.tables import add_table, check_shards
from kerasw2v.ops.ids import as_ids, as_weights
from kerasw2v.ops.rows import rows_at
from kerasw2v.ops.seeds import evaluation_draws
from kerasw2v.ops.softmax_loss import sum_by_row, take_rows
from kerasw2v.utils.checks import check_counts, check_int


class OutputLayer(keras.layers.Layer):
    """Base class: scores hidden vectors against a vocabulary and returns losses.

    A layer is called in one of two forms:

    ```
    layer(hidden, targets)               (rows, d), (rows,)              -> (rows,)   loss of each
    layer(hidden, candidates, weights)   (b, L, d), (b, C), (b, L, C)    -> (b, L)    weighted sum
    ```

    The first is the definition. The second, the *block form*, is the same loss for many targets
    of one hidden vector: row `(i, l)` sums `weights[i, l, c]` times the loss of target
    `candidates[i, c]`. In the first form `weights` may be given too, `(rows,)`, to weight the
    examples.

    With `training=False`, as in `evaluate`, random draws come from a stream of their own: the same
    for the same targets, and without an effect on later training.

    A subclass implements `pair_loss` or `block_loss`, from which this class derives the other:
    blocks by writing out the pairs, pairs as blocks of one. It implements both where one hidden
    vector with many targets saves work. It implements `log_probs`, creates its weights in `build`,
    and reports row masses (`ops.row_mass.add_row_mass`) where it uses rows of a table, so that
    `kerasw2v.optimizers.RowSGD` can bound the steps of frequent rows. Weights may have any sign;
    masses count their absolute values.

    Args:
        counts: frequencies of the words, most frequent first, `(V,)`; or V alone, all words
            equally frequent then.
        shards: number of shards of the table of output vectors, for one that is larger than a
            device, as in `EmbeddingLookup`; 1 only for layers that have no such table.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies in descending order, or `shards` is
            not from 1 to V.
    """

    # Whether the layer's output vectors are those of `add_output_vectors`.
    has_output_vectors = True
    # Whether a target costs more than a hidden vector. Skip-gram then makes the centres targets,
    # which are fewer than context words, and calls `shared_loss`.
    targets_are_costly = False
    # Whether two halves of a batch have the losses of the whole, at the same cost.
    can_split_batch = False

    def __init__(self, counts: ArrayLike, shards: int = 1, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # weights of pairs stay float32
        self.draw_name = type(self).__name__  # of its draws, see `ops.seeds.add_draw_state`
        self._counts = check_counts(counts)
        self.shards = check_shards(shards, len(self._counts))
        if shards > 1 and not self.has_output_vectors:
            raise ValueError(
                f"`shards` must be 1 for {type(self).__name__}, which has no table of output "
                f"vectors to divide. Received: shards={shards}."
            )

    @property
    def vocabulary_size(self) -> int:
        """Number of words, V."""
        return len(self._counts)

    def add_output_vectors(self, embedding_dim: int, rows: int | None = None) -> Any:
        """Creates the table of output vectors, zeros as in word2vec.c.

        Args:
            embedding_dim: width of a row, d.
            rows: number of rows; V when None.

        Returns:
            A Keras weight, or with `shards` an `ops.sharded_table.ShardedTable`; `gather_rows` and
            `add_row_mass` take either.
        """
        rows = self.vocabulary_size if rows is None else rows
        return add_table(self, (rows, embedding_dim), "zeros", self.shards)

    def add_fixed_table(self, name: str, values: np.ndarray) -> Any:
        """Creates a table that is not trained: saved with the weights, whatever its size."""
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: values,
            dtype=values.dtype.name,
            trainable=False,
            autocast=False,
            name=name,
        )

    def call(
        self, hidden: Any, targets: Any, weights: Any = None, training: bool | None = None
    ) -> tf.Tensor:
        targets = as_ids("targets", targets, self.vocabulary_size)
        hidden = tf.cast(hidden, self.compute_dtype)
        weights = None if weights is None else as_weights("weights", weights)
        if len(hidden.shape) == 3 and weights is None:
            raise ValueError(
                "`weights` must be given with blocks of hidden vectors. "
                f"Received: weights=None, hidden of shape {tuple(hidden.shape)}."
            )
        loss = self.pair_loss if len(hidden.shape) == 2 else self.block_loss
        with evaluation_draws(targets) if training is False else nullcontext():
            return loss(hidden, targets, weights)

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns the loss of each (hidden, target) pair: `(rows, d), (rows,) -> (rows,)`."""
        if type(self).block_loss is OutputLayer.block_loss:
            raise NotImplementedError(
                f"{type(self).__name__} must implement `pair_loss` or `block_loss`."
            )
        return tf.squeeze(self.block_loss(*as_blocks(hidden, targets, weights)), 1)

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the weighted loss of each hidden vector over its block's candidates."""
        shape = tf.shape(weights)[:2]
        hidden, rows, targets, weights = as_pairs(hidden, candidates, weights)
        loss = self.pair_loss(take_rows(hidden, rows), targets, weights)
        return tf.reshape(sum_by_row(loss, rows, hidden), shape)

    def shared_loss(
        self, hidden: tf.Tensor, indices: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the summed loss of blocks that share hidden vectors.

        `sum(block_loss(hidden[indices], candidates, weights))`. Overridden by layers that can do
        a part of the work once for each hidden vector, however many blocks have it.

        Args:
            hidden: float, `(n, d)`.
            indices: int32, `(b, L)`, rows of `hidden`.
            candidates: int32, `(b, C)`.
            weights: float32, `(b, L, C)`.
        """
        return tf.reduce_sum(self.block_loss(rows_at(hidden, indices), candidates, weights))

    def target_mass(self, targets: tf.Tensor) -> tf.Tensor | float:
        """Returns the row mass that one target adds to its hidden vector.

        It bounds the curvature of the target's loss in logistic terms (see `ops.row_mass`):
        `SOFTMAX_TERM_MASS` for a softmax; one and the number of noise words for negative sampling.
        Broadcasts against `targets`.
        """
        return 1.0

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns exact log-probabilities of all words: `(rows, d) -> (rows, V)`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `log_probs`.")

    def top_k(self, hidden: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the `k` most probable words of each row and their log-probabilities.

        Returns:
            `(ids, scores)`, both `(rows, k)`, best first.

        Raises:
            TypeError, ValueError: if `k` is not a number of words.
        """
        scores, ids = tf.math.top_k(self.log_probs(hidden), self._checked_k(k))
        return ids, scores

    def _checked_k(self, k: int) -> int:
        if check_int("k", k, minimum=1) > self.vocabulary_size:
            raise ValueError(f"`k` must be at most V = {self.vocabulary_size}. Received: k={k}.")
        return k

    def _checked_targets(self, targets: tf.Tensor) -> tf.Tensor:
        """Returns the targets, checked; for layers that look up no rows by them."""
        size = self.vocabulary_size
        wrong = (targets < 0) | (targets >= size)
        first = tf.reduce_max(tf.where(wrong, targets, -(2**31)))
        message = f"`targets` must be word ids from 0 to {size - 1}. Received, among others:"
        check = tf.debugging.Assert(~tf.reduce_any(wrong), [message, first])
        with tf.control_dependencies([check] if check is not None else []):
            return tf.identity(targets)

    def compute_output_shape(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> tuple[int | None, ...]:
        return tuple(hidden_shape)[:-1]

    def get_config(self) -> dict[str, Any]:
        # What a layer makes of its counts is saved with its weights: a config stays small.
        return {**super().get_config(), "counts": self.vocabulary_size, "shards": self.shards}


def as_blocks(
    hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns pairs as blocks of one hidden vector and one candidate each."""
    weights = tf.ones_like(targets, tf.float32) if weights is None else weights
    return tf.expand_dims(hidden, 1), targets[:, None], weights[:, None, None]


def as_pairs(
    hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the pairs of blocks whose weight is not zero.

    Returns:
        The hidden vectors, `(b * L, d)`; and of each pair the row of its hidden vector among them,
        int32, ascending; its target, int32; and its weight.
    """
    pairs = tf.where(weights != 0)
    block, row, candidate = tf.unstack(tf.cast(pairs, tf.int32), axis=1)
    rows = block * tf.shape(weights)[1] + row
    targets = tf.gather_nd(candidates, tf.stack([block, candidate], axis=1))
    hidden = tf.reshape(hidden, [-1, hidden.shape[-1]])
    return hidden, rows, targets, tf.gather_nd(weights, pairs)


@keras.saving.register_keras_serializable("kerasw2v")
def outputs_are_losses(targets: Any, losses: Any) -> Any:
    """Returns the model's outputs: the `loss` of a Keras model that ends in an output layer.

    Unlike a lambda it can be saved with the model.

    Args:
        targets: ignored; the output layer has them as an input.
        losses: what the model returns.

    Example:

    >>> import keras
    >>> from kerasw2v import layers
    >>> hidden, targets = keras.Input((4,)), keras.Input((), dtype="int32")
    >>> model = keras.Model([hidden, targets], layers.FullSoftmax(10)(hidden, targets))
    >>> model.compile(loss=layers.outputs_are_losses)
    """
    return losses
