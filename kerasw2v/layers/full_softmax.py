"""The exact softmax over the whole vocabulary, the reference for all other output layers."""

from typing import Any

import keras
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.layers.tables import check_scores
from kerasw2v.ops.row_mass import SOFTMAX_TERM_MASS, add_row_mass, term_mass
from kerasw2v.ops.table_scores import TableScores


@keras.saving.register_keras_serializable("kerasw2v")
class FullSoftmax(OutputLayer):
    """Softmax over all words: `loss = -s_y + log sum_w exp(s_w)`.

    The score of word w is `s_w = hidden . embeddings[w]`.

    Args:
        counts: frequencies of the words by id, `(V,)`, or V alone; only V is used.
        **kwargs: arguments of `OutputLayer`, such as `embeddings` to tie the vectors to.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies.

    Cost: `O(rows * V * d)` per step, forward and backward, and a dense gradient; the block form
    computes one normaliser for each hidden vector, however many targets it has. V * d parameters.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import FullSoftmax
    >>> layer = FullSoftmax(counts=[5, 3, 2])
    >>> layer(np.ones((2, 4), "float32"), np.array([0, 2])).numpy().round(4)
    array([1.0986, 1.0986], dtype=float32)
    """

    can_tie = True
    uses_counts = False

    def __init__(self, counts: ArrayLike, **kwargs: Any) -> None:
        super().__init__(counts, **kwargs)

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        self.embeddings = self.add_output_vectors(hidden_shape[-1])
        self.built = True

    @property
    def table_scores(self) -> TableScores:
        return TableScores(self.embeddings)

    def _scores(self, hidden: tf.Tensor) -> tf.Tensor:
        check_scores("The batch or the vocabulary", self.vocabulary_size, 1, hidden.shape[0])
        table = tf.cast(self.embeddings.value, hidden.dtype)
        return tf.cast(tf.matmul(hidden, table, transpose_b=True), tf.float32)

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        batch, length = tf.shape(weights)[0], tf.shape(weights)[1]
        scores = self._scores(tf.reshape(hidden, [-1, hidden.shape[-1]]))  # (b * L, V)
        row_weights = tf.reshape(tf.reduce_sum(weights, axis=-1), [-1])
        self._add_mass(hidden, scores, candidates, weights)
        normaliser = row_weights * tf.reduce_logsumexp(scores, axis=-1)
        by_block = tf.reshape(scores, [batch, length, self.vocabulary_size])
        targets = tf.broadcast_to(candidates[:, None, :], tf.shape(weights))
        chosen = tf.gather(by_block, targets, batch_dims=2)  # (b, L, C)
        return tf.reshape(normaliser, [batch, length]) - tf.reduce_sum(weights * chosen, axis=-1)

    def _add_mass(
        self, hidden: tf.Tensor, scores: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> None:
        def normaliser_mass() -> tf.Tensor:
            row_weights = tf.abs(tf.reduce_sum(weights, axis=-1))
            mass = SOFTMAX_TERM_MASS * tf.reshape(row_weights * term_mass(hidden), [-1])
            return tf.linalg.matvec(tf.nn.softmax(scores), mass, transpose_a=True)

        def pair_mass() -> tf.Tensor:
            return tf.reduce_sum(tf.abs(weights) * term_mass(hidden)[..., None], axis=1)

        add_row_mass(self.embeddings, None, normaliser_mass)
        add_row_mass(self.embeddings, candidates, pair_mass)

    def target_mass(self, targets: tf.Tensor) -> float:
        return SOFTMAX_TERM_MASS

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_softmax(self._scores(tf.convert_to_tensor(hidden)))
