"""The full softmax with its normaliser estimated by importance sampling."""

import keras
import tensorflow as tf

from kerasw2v.layers.sampling_layer import MAX_RARE_WORD_FACTOR, SamplingLayer, log_normaliser


@keras.saving.register_keras_serializable("kerasw2v")
class ImportanceSampling(SamplingLayer):
    """Softmax whose normaliser is estimated from K noise words, shared by the batch.

    `loss = -s_y + log((1 / K) sum_j exp(s_j) / Q_j)`, with `s_w = hidden . embeddings[w]` and noise
    words `j` drawn from `Q`. Its gradient is that of the full softmax, with the mean over all words
    replaced by the self-normalised estimate `sum_j r_j grad s_j / sum_j r_j`, `r_j = exp(s_j) /
    Q_j`; its bias falls with K. The target's own term is exact and not part of the normaliser, so
    a target among the noise words stays there. The loss is an estimate too and may be negative.

    Args:
        counts: frequencies of the words by id, in any order, `(V,)`; or V alone, all words
            equally frequent then. Words of count 0 are drawn as the rarest of the others are.
        num_sampled: noise words, K; 1,024 when None, or V if that is less and words are drawn
            without replacement. With too few the estimate, and then training, is poor.
        noise: `"counts"`, `"uniform"`, or `"log_uniform"`: `log((w + 2) / (w + 1)) / log(V + 1)`.
        exponent: power of the counts; 1, the unigram distribution, is what the paper starts from.
        unique: True to draw without replacement; `K Q` is replaced by the probability that a word
            is in the sample, `1 - (1 - Q) ** tries`. None is False.
        use_bias: False to do without biases, which start at the words' log probabilities: scores
            then start level, and the noise estimates best. Without them training is slow.
        seed: seed of the draws.
        **kwargs: `evaluation`, `"exact"` or `"sampled"` (see `NoiseLayer`), `embeddings` and other
            arguments of `OutputLayer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies, `num_sampled`
            is not a positive integer or, without replacement, larger than V, `exponent` is not a
            finite number, or `noise` is unknown.

    Cost: `O((C + K) d)` per step for each hidden vector with C candidates, in matrix products; K
    noise rows are read and updated. None of it grows with V. V * d parameters, V more with biases,
    and 12 bytes per word for the noise.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import ImportanceSampling
    >>> layer = ImportanceSampling(counts=[50, 30, 20], num_sampled=64, seed=1)
    >>> layer(np.ones((2, 4), "float32"), np.array([0, 2])).shape
    TensorShape([2])

    Source: Bengio and Senécal, "Quick training of probabilistic neural nets by importance
    sampling", 2003.
    """

    default_num_sampled = 1024

    def _rare_word_factor(self, weights: tf.Tensor) -> float:
        return MAX_RARE_WORD_FACTOR  # noise alone pushes a word's score down

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        sample = self.draw_sample()
        noise_scores = self.noise_scores(hidden, *sample)
        row_weights = tf.reduce_sum(weights, axis=-1)
        self.add_masses(hidden, candidates, weights, sample, lambda: tf.nn.softmax(noise_scores))
        normaliser = log_normaliser(noise_scores, tf.shape(row_weights))
        chosen = tf.reduce_sum(weights * self.target_scores(hidden, candidates), axis=-1)
        return row_weights * normaliser - chosen
