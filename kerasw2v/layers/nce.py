"""Noise contrastive estimation."""

import keras
import tensorflow as tf

from kerasw2v.layers.sampling_layer import SamplingLayer
from kerasw2v.ops.logistic import noise_loss, target_loss
from kerasw2v.ops.row_mass import SOFTMAX_TERM_MASS


@keras.saving.register_keras_serializable("kerasw2v")
class NCE(SamplingLayer):
    """Noise contrastive estimation: tell the target from K noise words, knowing their probability.

    `loss = -log sigmoid(D_y) - sum_j log sigmoid(-D_j)`, `D_w = s_w - log(K Q_w)`, `s_w = hidden .
    embeddings[w] + biases[w]`, noise words `j` drawn from `Q` and shared by the batch. Unlike
    negative sampling, which leaves `log(K Q)` out, it learns probabilities: at its optimum `exp(s)`
    is the distribution of the data and sums to one by itself. A noise word that is the target
    stays: leaving it out would move the optimum.

    Args:
        counts: frequencies of the words by id, in any order, `(V,)`; or V alone, all words
            equally frequent then. Words of count 0 are drawn as the rarest of the others are.
        num_sampled: noise words that each example meets, K; 512 when None, or V if that is less and
            words are drawn without replacement. With more noise words the gradient is closer to
            that of the full softmax, and rare words are drawn more often.
        noise: `"counts"`, `"uniform"`, or `"log_uniform"`: `log((w + 2) / (w + 1)) / log(V + 1)`.
        exponent: power of the counts; 1, the unigram distribution, in the paper.
        unique: True to draw without replacement; `K Q` is replaced by the probability that a word
            is in the sample, `1 - (1 - Q) ** tries`. None is False.
        use_bias: False to do without biases, which start at the words' log probabilities, so that
            training starts normalised. Without them the vectors must learn to sum to one, slowly.
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
    noise rows are read and updated. None of it grows with V. V * (d + 1) parameters, and 12 bytes
    per word for the noise.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import NCE
    >>> layer = NCE(counts=[50, 30, 20], num_sampled=10, seed=1)
    >>> np.exp(layer(np.ones((2, 4), "float32"), np.array([0, 2]))).shape
    (2,)

    Source: Gutmann and Hyvärinen, "Noise-contrastive estimation", 2010; for words: Mnih and Teh,
    "A fast and simple algorithm for training neural probabilistic language models", 2012; shared
    noise: Zoph et al., "Simple, fast noise-contrastive estimation for large RNN vocabularies",
    2016.
    """

    default_num_sampled = 512
    _loss_term_mass = 1.0  # its terms are logistic

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        sample = self.draw_sample()
        noise_scores = self.noise_scores(hidden, *sample)
        self.add_masses(hidden, candidates, weights, sample, lambda: tf.sigmoid(noise_scores))
        corrections = self.log_expected_counts(candidates, sample.tries)[:, None, :]
        targets = self.target_scores(hidden, candidates) - corrections
        loss = target_loss(targets, weights, tf.ones_like(corrections))
        row_weights = tf.reshape(tf.reduce_sum(weights, axis=-1), [-1])
        return loss + tf.reshape(noise_loss(noise_scores, row_weights), tf.shape(loss))

    def target_mass(self, targets: tf.Tensor) -> float:
        # For a normalised model the slopes of the noise terms sum to at most one on average,
        # sum_w K Q p / (p + K Q) <= sum_w p: together they are like one softmax.
        return 1.0 + min(SOFTMAX_TERM_MASS, self.num_sampled)
