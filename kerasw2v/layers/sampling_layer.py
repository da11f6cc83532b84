"""What importance sampling, the sampled softmax and NCE share: one noise sample a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.noise_layer import NoiseLayer, band_scores
from kerasw2v.ops import noise as noise_ops
from kerasw2v.ops.checks import check_choice
from kerasw2v.ops.row_mass import add_row_mass
from kerasw2v.ops.rows import gather_rows
from kerasw2v.ops.seeds import next_seed


class Sample(NamedTuple):
    """Noise words `ids`, int32 `(K,)`; without replacement also how many `tries` they took."""

    ids: tf.Tensor
    tries: tf.Tensor | None


class SamplingLayer(NoiseLayer):
    """Base class of layers that score a batch against one sample of noise words.

    The scores of all hidden vectors with all noise words are one matrix product, corrected by how
    often each word is expected in the sample. A subclass implements `block_loss` with
    `draw_sample`, `noise_scores`, `target_scores` and `add_masses`.

    Args:
        counts: frequencies of the words, most frequent first, `(V,)`; or V alone, all words
            equally frequent then.
        num_sampled: noise words in a sample, K.
        noise: `"counts"`, `"uniform"` or `"log_uniform"`: see `ops.noise.noise_log_probabilities`.
        exponent: power of the counts; not used by other noise.
        unique: True to draw without replacement.
        use_bias: True to add a trained bias to each word's score.
        seed: seed of the draws.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies in descending order, `num_sampled`
            is not a positive integer or, without replacement, larger than V, `exponent` is not a
            finite number, or `noise` is unknown.
    """

    # How many logistic terms a softmax counts for in row masses. It curves up to four times as much
    # as a logistic term, and much of it is met all at once: 8 was too little, 16 has been stable.
    curvature = 16.0

    def __init__(
        self,
        counts: ArrayLike,
        num_sampled: int,
        noise: str,
        exponent: float,
        unique: bool,
        use_bias: bool,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, num_sampled, exponent, seed, **kwargs)
        self.noise = check_choice("noise", noise, noise_ops.NOISES)
        self.unique = bool(unique)
        self.use_bias = bool(use_bias)
        if self.unique and self.num_sampled > self.vocabulary_size:
            raise ValueError(
                "`num_sampled` must be at most the number of words when they are drawn without "
                f"replacement. Received: num_sampled={num_sampled}, {self.vocabulary_size} words."
            )

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        self.embeddings = self.add_output_vectors(hidden_shape[-1])
        self.biases: Any = self._add_biases() if self.use_bias else None
        log_noise = noise_ops.noise_log_probabilities(self._counts, self.noise, self.exponent)
        self.add_noise(np.exp(log_noise))
        self._log_noise = self.add_fixed_table(
            "noise_log_probabilities", log_noise.astype(np.float32)
        )
        self.built = True

    def _add_biases(self) -> Any:
        values = self.initial_biases()
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: tf.constant(values, dtype),
            autocast=False,
            name="biases",
        )

    def initial_biases(self) -> np.ndarray:
        """Returns the biases, `(V,)`, that training starts from."""
        return np.zeros(self.vocabulary_size)

    def draw_sample(self) -> Sample:
        """Draws the noise words of a batch."""
        if not self.unique:
            return Sample(self.draw_noise((self.num_sampled,)), None)
        seed = next_seed(self._draw_state)
        accept, alias = self._accept.value, self._alias.value
        return Sample(*noise_ops.draw_unique(accept, alias, self.num_sampled, seed))

    def log_expected_counts(self, ids: tf.Tensor, tries: tf.Tensor | None) -> tf.Tensor:
        """Returns, as a logarithm, how often words are expected in a sample."""
        log_noise = tf.gather(self._log_noise.value, ids)
        return tf.stop_gradient(noise_ops.log_expected_counts(log_noise, self.num_sampled, tries))

    def noise_scores(self, hidden: tf.Tensor, ids: tf.Tensor, tries: tf.Tensor | None) -> tf.Tensor:
        """Scores hidden vectors `(b, L, d)` with a sample, corrected: `(b * L, K)`, float32."""
        rows = gather_rows(self.embeddings, ids, hidden.dtype)
        states = tf.reshape(hidden, [-1, hidden.shape[-1]])
        scores = tf.cast(tf.matmul(states, rows, transpose_b=True), tf.float32)
        offsets = -self.log_expected_counts(ids, tries)
        if self.use_bias:
            offsets += gather_rows(self.biases, ids, tf.float32)
        return scores + offsets

    def target_scores(self, hidden: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Scores hidden vectors `(b, L, d)` with their targets: `(b, L, C)`, float32."""
        scores = band_scores(hidden, gather_rows(self.embeddings, candidates, hidden.dtype))
        if self.use_bias:
            scores += gather_rows(self.biases, candidates, tf.float32)[:, None, :]
        return scores

    def add_masses(
        self,
        candidates: tf.Tensor,
        weights: tf.Tensor,
        sample: Sample,
        noise_mass: Callable[[], tf.Tensor],
    ) -> None:
        """Reports the row masses of targets and of noise words, `(K,)`.

        A rare word is pushed up whenever it is a target, and down, by as much, only when it is in
        the sample: once in `1 / E` steps, all at once. Were only that large step bounded, the word
        would drift upwards without end. So a target counts as many terms as its word is then
        pushed down by.
        """

        def target_mass() -> tf.Tensor:
            expected = tf.minimum(1.0, tf.exp(self.log_expected_counts(candidates, sample.tries)))
            log_noise = tf.gather(self._log_noise.value, candidates)
            occurrences = tf.minimum(1.0, tf.reduce_sum(weights) * tf.exp(log_noise))
            terms = tf.maximum(1.0, self.curvature * occurrences / expected)
            return terms * tf.reduce_sum(weights, axis=1)

        for table in (self.embeddings, self.biases) if self.use_bias else (self.embeddings,):
            add_row_mass(table, candidates, target_mass)
            add_row_mass(table, sample.ids, noise_mass)

    def softmax_mass(self, noise_scores: tf.Tensor, row_weights: tf.Tensor) -> tf.Tensor:
        """Returns the mass of each noise word's row in a softmax over the sample: `(K,)`."""
        weights = tf.reshape(row_weights, [-1])
        probabilities = tf.nn.softmax(noise_scores)
        return self.curvature * tf.linalg.matvec(probabilities, weights, transpose_a=True)

    def target_mass(self, targets: tf.Tensor) -> float:
        return self.curvature

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        scores = tf.matmul(hidden, self.embeddings.value, transpose_b=True)
        return tf.nn.log_softmax(scores + self.biases.value if self.use_bias else scores)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "noise": self.noise,
            "unique": self.unique,
            "use_bias": self.use_bias,
        }


def log_normaliser(noise_scores: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Returns `log sum_j exp(s_j)` over a sample: `(b * L, K) -> (b, L)`."""
    return tf.reshape(tf.reduce_logsumexp(noise_scores, axis=-1), shape)
