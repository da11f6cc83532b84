"""What importance sampling, the sampled softmax and NCE share: one noise sample a batch."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.noise_layer import NoiseLayer, band_scores
from kerasw2v.ops import noise as noise_ops
from kerasw2v.ops.row_mass import SOFTMAX_TERM_MASS, add_row_mass, term_mass
from kerasw2v.ops.rows import count_equal, gather_rows
from kerasw2v.ops.seeds import next_seed
from kerasw2v.utils.checks import check_choice

# See `_rare_word_factor`: tried on text and on 300 words, with 512 to 16,384 tokens in a step.
_EASY_TERMS, MAX_TERM_MASS = 8.0, 4.0


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
        use_bias: True to add a trained bias to each word's score, log probability at the start.
        seed: seed of the draws.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies in descending order, `num_sampled`
            is not a positive integer or, without replacement, larger than V, `exponent` is not a
            finite number, or `noise` is unknown.
    """

    # What a term of the loss counts for in row masses, at least.
    _term_mass = SOFTMAX_TERM_MASS

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
        # Training starts from the words' own frequencies: corrected by them, scores begin nearly
        # level, and a sample says most about the normaliser.
        values = noise_ops.noise_log_probabilities(self._counts, "counts", 1.0)
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: tf.constant(values, dtype),
            autocast=False,
            name="biases",
        )

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
        scores = band_scores(hidden, self.embeddings, candidates)
        if self.use_bias:
            scores += gather_rows(self.biases, candidates, tf.float32)[:, None, :]
        return scores

    def add_masses(
        self,
        hidden: tf.Tensor,
        candidates: tf.Tensor,
        weights: tf.Tensor,
        sample: Sample,
        noise_share: Callable[[], tf.Tensor],
    ) -> None:
        """Reports the row masses of targets and of noise words.

        A rare word is pushed up whenever it is a target, and down, by as much, only when it is in
        the sample, with probability `P`: once in `1 / P` steps, all at once. Were only that large
        step bounded, the word would drift upwards without end. So a target that is not in the
        sample counts as many terms as its word is pushed down by some time.

        Args:
            hidden: that of `block_loss`.
            candidates: that of `block_loss`.
            weights: that of `block_loss`.
            sample: the noise words.
            noise_share: returns how far each noise word takes part in the loss of each hidden
                vector, 0 to 1, `(b * L, K)`.
        """
        weights = tf.abs(weights)

        @cache  # one value for embeddings and biases
        def target_mass() -> tf.Tensor:
            chance, curvature = self._chance_and_term_mass(candidates, weights, sample)
            log_noise = tf.gather(self._log_noise.value, candidates)
            occurrences = tf.minimum(1.0, tf.reduce_sum(weights) * tf.exp(log_noise))
            postponed = tf.maximum(1.0, curvature * occurrences / chance)
            hits = count_equal(tf.reshape(candidates, [1, -1]), sample.ids[None, :])
            in_sample = tf.reshape(hits, tf.shape(candidates)) > 0
            terms = tf.einsum("blc,bl->bc", weights, term_mass(hidden))
            return tf.where(in_sample, 1.0, postponed) * terms

        @cache
        def noise_mass() -> tf.Tensor:
            _, curvature = self._chance_and_term_mass(sample.ids, weights, sample)
            terms = tf.reduce_sum(weights, axis=-1) * term_mass(hidden)
            shares = tf.linalg.matvec(noise_share(), tf.reshape(terms, [-1]), transpose_a=True)
            return curvature * shares

        for table in (self.embeddings, self.biases) if self.use_bias else (self.embeddings,):
            add_row_mass(table, candidates, target_mass)
            add_row_mass(table, sample.ids, noise_mass)

    def _chance_and_term_mass(
        self, ids: tf.Tensor, weights: tf.Tensor, sample: Sample
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns how likely words are in a sample, and what a term of each counts for.

        Words that seldom are in a sample take all their noise terms at once then: the more these
        are, the more of the step is chance, and the more each of them counts.
        """
        rare = self._rare_word_factor(weights)
        curvature = tf.maximum(self._term_mass, rare)
        expected = tf.exp(self.log_expected_counts(ids, sample.tries))
        chance = -tf.math.expm1(-expected) if sample.tries is None else expected
        return chance, curvature * (rare - (rare - 1.0) * chance)

    def _rare_word_factor(self, weights: tf.Tensor) -> tf.Tensor | float:
        """Returns how often a rare word's terms count: once up to 8 a noise word, then more."""
        crowd = tf.reduce_sum(weights) / (_EASY_TERMS * self.num_sampled)
        return tf.clip_by_value(tf.square(crowd), 1.0, MAX_TERM_MASS)

    def target_mass(self, targets: tf.Tensor) -> float:
        return SOFTMAX_TERM_MASS

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
