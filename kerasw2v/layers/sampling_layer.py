"""What importance sampling, the sampled softmax and NCE share: one noise sample per batch."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.frequency_order import warn_without_counts
from kerasw2v.layers.noise_layer import NoiseLayer, band_scores
from kerasw2v.layers.tables import check_scores
from kerasw2v.ops import noise as noise_ops
from kerasw2v.ops.row_mass import SOFTMAX_TERM_MASS, add_row_mass, term_mass
from kerasw2v.ops.rows import count_equal, gather_rows
from kerasw2v.ops.seeds import next_seed
from kerasw2v.ops.table_scores import TableScores
from kerasw2v.utils.checks import check_choice, check_counts

# Of `_rare_word_factor`, a fitted rule: terms a noise word up to which it is 1, and its maximum.
_TERMS_PER_NOISE_WORD, MAX_RARE_WORD_FACTOR = 8.0, 4.0


class Sample(NamedTuple):
    """Noise words `ids`, int32 `(K,)`; without replacement also how many `tries` they took."""

    ids: tf.Tensor
    tries: tf.Tensor | None


class SamplingLayer(NoiseLayer):
    """Base class of layers that score a batch against one sample of noise words.

    The scores of all hidden vectors with all noise words are one matrix product, corrected by how
    often each word is expected in the sample. A subclass implements `block_loss` with
    `draw_sample`, `noise_scores`, `target_scores` and `add_masses`, and sets the defaults of
    `num_sampled` and `unique`.
    """

    default_num_sampled: int
    default_unique = False
    _loss_term_mass = SOFTMAX_TERM_MASS  # of a term of the loss, at least

    def __init__(
        self,
        counts: ArrayLike,
        num_sampled: int | None = None,
        noise: str = "counts",
        exponent: float = 1.0,
        unique: bool | None = None,
        use_bias: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.unique = self.default_unique if unique is None else bool(unique)
        if num_sampled is None:
            num_sampled = self.default_num_sampled
            if self.unique:
                num_sampled = min(num_sampled, len(check_counts(counts)))
        super().__init__(counts, num_sampled, exponent, seed, **kwargs)
        self.noise = check_choice("noise", noise, noise_ops.NOISES)
        if noise == "log_uniform":
            warn_without_counts(self, counts)
        self.use_bias = bool(use_bias)
        if self.unique and self.num_sampled > self.vocabulary_size:
            raise ValueError(
                "`num_sampled` must be at most the number of words when they are drawn without "
                f"replacement. Received: num_sampled={num_sampled}, {self.vocabulary_size} words."
            )

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        check_scores("`num_sampled`", self.num_sampled, hidden_shape[-1])
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
        states = tf.reshape(hidden, [-1, hidden.shape[-1]])
        check_scores("`num_sampled`", self.num_sampled, states.shape[1], states.shape[0])
        rows = gather_rows(self.embeddings, ids, hidden.dtype)
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
        noise_shares: Callable[[], tf.Tensor],
    ) -> None:
        """Reports the row masses of targets and of noise words.

        A word is pushed up by each of its targets, and down only in the steps that have it in their
        sample, a share P of them, by all its noise terms at once. Near the optimum both are equal
        on average: with f targets per step it has `f / P` noise terms in a step that samples it, of
        mass m each. Were only these large steps bounded, by `m f / P`, and the small steps up not,
        the word's score would rise without end. So a target outside the sample counts as much as
        the step down that it leads to: `max(1, m f / P)` times its own mass. Here `f = min(1, N Q)`
        for a batch of N targets: several targets of a word add up their masses anyway.

        `noise_shares` returns the slope of each hidden vector's loss by each noise score, 0 to 1,
        `(b * L, K)`; the other arguments are those of `block_loss`, and the sample.
        """
        weights = tf.abs(weights)

        @cache  # one value for embeddings and biases
        def target_mass() -> tf.Tensor:
            chance, noise_term_mass = self._chance_and_noise_term_mass(candidates, weights, sample)
            log_noise = tf.gather(self._log_noise.value, candidates)
            frequency = tf.minimum(1.0, tf.reduce_sum(weights) * tf.exp(log_noise))
            postponed = tf.maximum(1.0, noise_term_mass * frequency / chance)
            hits = count_equal(tf.reshape(candidates, [1, -1]), sample.ids[None, :])
            in_sample = tf.reshape(hits, tf.shape(candidates)) > 0
            mass = tf.einsum("blc,bl->bc", weights, term_mass(hidden))
            return tf.where(in_sample, 1.0, postponed) * mass

        @cache
        def noise_mass() -> tf.Tensor:
            _, noise_term_mass = self._chance_and_noise_term_mass(sample.ids, weights, sample)
            masses = tf.reshape(tf.reduce_sum(weights, axis=-1) * term_mass(hidden), [-1])
            return noise_term_mass * tf.linalg.matvec(noise_shares(), masses, transpose_a=True)

        for table in (self.embeddings, self.biases) if self.use_bias else (self.embeddings,):
            add_row_mass(table, candidates, target_mass)
            add_row_mass(table, sample.ids, noise_mass)

    def _chance_and_noise_term_mass(
        self, ids: tf.Tensor, weights: tf.Tensor, sample: Sample
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns words' probability P to be in a sample, and the mass m of their noise terms.

        `m = max(c, F) (F - (F - 1) P)`: the mass c of a term of this loss, times the rare-word
        factor F for a word that hardly ever is in a sample, and once for one that always is.
        """
        factor = self._rare_word_factor(weights)
        expected = tf.exp(self.log_expected_counts(ids, sample.tries))
        chance = -tf.math.expm1(-expected) if sample.tries is None else expected
        largest = tf.maximum(self._loss_term_mass, factor)
        return chance, largest * (factor - (factor - 1.0) * chance)

    def _rare_word_factor(self, weights: tf.Tensor) -> tf.Tensor | float:
        """Returns F, `min(4, max(1, (N / 8 K) ** 2))` for N targets in the batch.

        The more terms each of the K noise words stands for, the more of a rare word's step is the
        chance to be in the sample. The rule is fitted, not derived.
        """
        load = tf.reduce_sum(weights) / (_TERMS_PER_NOISE_WORD * self.num_sampled)
        return tf.clip_by_value(tf.square(load), 1.0, MAX_RARE_WORD_FACTOR)

    @property
    def table_scores(self) -> TableScores:
        return TableScores(self.embeddings, self.biases)

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
