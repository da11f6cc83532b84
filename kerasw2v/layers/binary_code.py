"""Predicting the bits of a word's code instead of the word."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.frequency_order import FrequencyOrder, warn_without_counts
from kerasw2v.layers.full_softmax import FullSoftmax
from kerasw2v.layers.kept_rows import KeptRows, kept_range, source_ranks
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops.codes import BIT_LOSSES, GENERATORS, Code, bit_loss, encode
from kerasw2v.ops.noise import ids_by_frequency
from kerasw2v.ops.row_mass import add_row_mass
from kerasw2v.ops.viterbi import top_words, word_log_probs
from kerasw2v.utils.checks import check_choice, check_int


@keras.saving.register_keras_serializable("kerasw2v")
class BinaryCode(OutputLayer):
    """Logistic regressions for the bits of the target's code: log V outputs in place of V.

    With `q_j = sigmoid(hidden . bits[j] + bias[j])` and the code `b` of the target,

    ```
    loss = sum_j (q_j - b_j)**2                                  "squared"
    loss = -sum_j b_j log q_j + (1 - b_j) log(1 - q_j)           "cross_entropy"
    ```

    A word's code is its rank by frequency in binary, `B = ceil(log2(V))` bits, lowest first, so
    frequent words share their high bits. Two extensions repair what this costs in accuracy:

    - hybrid, `num_frequent=N`: a softmax over the N most frequent words and one class for all
      others; only those others have a code (of their id less N), and a loss of their bits.
    - error-correcting, `code_memory=r`: a convolutional code of `2 (B + r)` bits. Decoding finds
      the word whose whole code fits best, so some bits may be wrong: any 2, 2, 3, 3 or 4 for a
      memory of 2, 3, 4, 5 or 6.

    A word's probability is the product of its bits' probabilities, normalised over all words: a
    code that is no word's has none and is never decoded.

    A target moves its hidden vector once for each bit, so many bits want a lower learning rate than
    one softmax, above all with cross-entropy (0.005 for 20 bits). An error-correcting code predicts
    the same few bits several times, so its probabilities are too extreme: it is made for decoding,
    not for perplexity.

    All words share the same few output vectors, so hidden vectors, and the embedding table, differ
    in at most as many directions as there are bits (and N): word vectors are poor at analogies and
    similarity. Choose this layer where memory or decoding time decides.

    Args:
        counts: frequencies of the words by id, `(V,)`, or V alone; only their order is used.
        num_frequent: words with a softmax of their own, N; 0 for none.
        code_memory: bits of memory of the convolutional code, r, 2 to 6; 0 for plain bits.
        loss: `"squared"`, the paper's, or `"cross_entropy"`.
        use_bias: whether each bit, and each class, has a bias, the last column of its row; with ids
            by frequency most bits are far more often 0 than 1.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies, `num_frequent`
            leaves no word, `code_memory` is not 0 or 2 to 6, or `loss` is unknown.

    Cost: for each hidden vector `O((N + bits) d)`, with `bits = B` or `2 (B + r)`, however many
    targets it has, and `O(bits)` for each target; `top_k` adds `O(2**r B)` for the decoder. Nothing
    grows with V but B. `(N + 1 + bits) (d + 1)` parameters, `bits (d + 1)` for N = 0; no table for
    the codes. Shapes are static: it runs under `jit_compile=True`, where target ids go unchecked.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import BinaryCode
    >>> layer = BinaryCode(counts=100_000, code_memory=6)
    >>> hidden = np.ones((2, 4), "float32")
    >>> layer(hidden, np.array([0, 99_999])).shape, layer.count_params()
    (TensorShape([2]), 230)
    >>> ids, log_probs = layer.top_k(hidden, 3)
    >>> ids.shape
    TensorShape([2, 3])

    Source: Oda et al., "Neural machine translation via binary code prediction", 2017; codes for
    classes: Dietterich and Bakiri, "Solving multiclass learning problems via error-correcting
    output codes", 1995.
    """

    has_output_vectors = False

    def __init__(
        self,
        counts: ArrayLike,
        num_frequent: int = 0,
        code_memory: int = 0,
        loss: str = "squared",
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, **kwargs)
        warn_without_counts(self, counts)
        self.num_frequent = check_int("num_frequent", num_frequent, minimum=0)
        if self.num_frequent >= self.vocabulary_size:
            raise ValueError(
                "`num_frequent` must be smaller than the vocabulary. "
                f"Received: num_frequent={num_frequent}, {self.vocabulary_size} words."
            )
        self.code_memory = check_choice("code_memory", code_memory, tuple(GENERATORS))
        self.loss = check_choice("loss", loss, tuple(BIT_LOSSES))
        self.use_bias = bool(use_bias)
        self.code = Code(self.vocabulary_size - self.num_frequent, self.code_memory)
        self.head = None
        if self.num_frequent:
            self.head = FullSoftmax(self.num_frequent + 1, dtype=self.dtype_policy, name="head")

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        width = hidden_shape[-1] + self.use_bias
        self.bits = self.add_weight(
            shape=(self.code.num_bits, width),
            initializer="zeros",
            autocast=False,
            name="bits",
        )
        if self.head is not None:
            self.head.build((None, width))
        self._order = FrequencyOrder(self, ids_by_frequency(self._counts))
        self.built = True

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        hidden, targets = self._with_bias(hidden), self._checked_ranks(targets)
        coded, bits = self._codes(targets)
        if weights is not None:
            coded *= weights
        loss = self._bit_loss(hidden, coded[:, None], coded[:, None] * bits)
        if self.head is not None:
            loss += self.head.pair_loss(hidden, tf.minimum(targets, self.num_frequent), weights)
        return loss

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        hidden, candidates = self._with_bias(hidden), self._checked_ranks(candidates)
        coded, bits = self._codes(candidates)
        coded = weights * coded[:, None, :]
        loss = self._bit_loss(
            tf.reshape(hidden, [-1, hidden.shape[-1]]),
            tf.reshape(coded, [-1, tf.shape(weights)[-1]]),
            tf.reshape(tf.matmul(coded, bits), [-1, self.code.num_bits]),
        )
        loss = tf.reshape(loss, tf.shape(weights)[:2])
        if self.head is not None:
            classes = tf.minimum(candidates, self.num_frequent)
            loss += self.head.block_loss(hidden, classes, weights)
        return loss

    def _checked_ranks(self, targets: tf.Tensor) -> tf.Tensor:
        return self._order.ranks(self._checked_targets(targets))

    def _with_bias(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns hidden vectors with a last component of 1, which the biases multiply."""
        if not self.use_bias:
            return hidden
        return tf.concat([hidden, tf.ones_like(hidden[..., :1])], axis=-1)

    def _codes(self, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns 1 for each word that has a code and 0 for the frequent ones, and the codes."""
        ids = targets - self.num_frequent
        return tf.cast(ids >= 0, tf.float32), encode(tf.maximum(ids, 0), self.code)

    def _bit_loss(self, hidden: tf.Tensor, coded: tf.Tensor, ones: tf.Tensor) -> tf.Tensor:
        """Returns the loss of the bits, `(rows,)`.

        `coded`, `(rows, targets)`, are the weights of the targets, 0 for words without a code, and
        `ones`, `(rows, num_bits)`, those of the targets whose bit is 1.
        """
        bits = self.code.num_bits
        add_row_mass(self.bits, None, lambda: tf.fill([bits], tf.reduce_sum(tf.abs(coded))))
        zeros = tf.reduce_sum(coded, axis=-1, keepdims=True) - ones
        return bit_loss(self._log_odds(hidden), zeros, ones, self.loss)

    def _log_odds(self, hidden: tf.Tensor) -> tf.Tensor:
        table = tf.cast(self.bits.value, hidden.dtype)
        return tf.cast(tf.matmul(hidden, table, transpose_b=True), tf.float32)

    def target_mass(self, targets: tf.Tensor) -> tf.Tensor | float:
        if self.head is None:
            return float(self.code.num_bits)
        coded = tf.cast(self._order.ranks(targets) >= self.num_frequent, tf.float32)
        return self.head.target_mass(targets) + self.code.num_bits * coded

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        frequent, log_odds, others = self._split(hidden)
        coded = word_log_probs(log_odds, others, self.code)
        if frequent is not None:
            coded = tf.concat([frequent, coded], axis=1)
        return self._order.by_id(coded)

    def top_k(self, hidden: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
        k = self.checked_k(k)
        frequent, log_odds, others = self._split(hidden)
        ids, scores = top_words(log_odds, others, self.code, min(k, self.code.num_words))
        if frequent is None:
            return self._order.ids(ids), scores
        frequent_scores, frequent_ids = tf.math.top_k(frequent, min(k, self.num_frequent))
        ids = tf.concat([frequent_ids, ids + self.num_frequent], axis=1)
        scores, order = tf.math.top_k(tf.concat([frequent_scores, scores], axis=1), k)
        return self._order.ids(tf.gather(ids, order, batch_dims=1)), scores

    def _split(self, hidden: tf.Tensor) -> tuple[tf.Tensor | None, tf.Tensor, tf.Tensor]:
        """Returns log-probabilities of frequent words, the bits' log odds, and the rest's.

        The first are `(rows, N)` or None, the last `(rows,)`: of all words with a code together.
        """
        hidden = self._with_bias(tf.cast(hidden, tf.float32))
        log_odds = self._log_odds(hidden)
        if self.head is None:
            return None, log_odds, tf.zeros_like(log_odds[:, 0])
        classes = self.head.log_probs(hidden)
        return classes[:, :-1], log_odds, classes[:, -1]

    def kept_rows(self, grown: Any, ids: NDArray[np.integer]) -> list[KeptRows]:
        orders = [ids_by_frequency(layer._counts) for layer in (self, grown)]
        source = source_ranks(ids, *orders)
        kept = []
        if self.head is not None:
            frequent = source[: self.num_frequent]
            rows = kept_range(
                self.head.embeddings, grown.head.embeddings, frequent, 0, self.num_frequent
            )
            others = np.append(rows.source, self.num_frequent)
            kept.append(rows._replace(source=others))
        size = self.vocabulary_size
        if (source[:size] == np.arange(size)).all():
            # A longer code begins with the bits of the shorter one.
            bits = np.arange(grown.code.num_bits)
            kept.append(
                KeptRows(self.bits, grown.bits, np.where(bits < self.code.num_bits, bits, -1))
            )
        else:
            warnings.warn(
                f"The codes of {self.name} follow the order of frequency, which has changed, so "
                "the vectors of their bits start anew.",
                stacklevel=4,
            )
        return kept

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_frequent": self.num_frequent,
            "code_memory": self.code_memory,
            "loss": self.loss,
            "use_bias": self.use_bias,
        }
