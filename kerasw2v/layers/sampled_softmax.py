"""The softmax over a target and a sample of noise words."""

import keras
import tensorflow as tf

from kerasw2v.layers.sampling_layer import Sample, SamplingLayer, log_normaliser
from kerasw2v.ops.rows import count_equal


@keras.saving.register_keras_serializable("kerasw2v")
class SampledSoftmax(SamplingLayer):
    """Softmax over the target and K noise words, shared by the batch.

    `loss = -t_y + log(exp(t_y) + sum_{j != y} exp(t_j))`, with `t_w = hidden . embeddings[w] - log
    E_w` and `E_w = 1 - (1 - Q_w) ** tries` the probability that word `w` is in the sample. A noise
    word that is the target is left out. The bias of the gradient falls with K; with all words in
    the sample it is the full softmax. The loss underestimates that of the full softmax.

    Unlike `tf.nn.sampled_softmax_loss` it runs on any device as a whole (the op that finds
    accidental hits there runs on CPUs only), takes many targets for one hidden vector, and mixed
    precision.

    Long trainings want half the learning rate of negative sampling, or the normaliser drifts.

    Args:
        counts: frequencies of the words by id, in any order, `(V,)`; or V alone, all words
            equally frequent then. Words of count 0 are drawn as the rarest of the others are.
        num_sampled: noise words, K; 512 when None, or V if that is less and words are drawn without
            replacement. With 512 for a batch of 4,096 rows at d = 100 the matrix products fill the
            processor.
        noise: `"counts"`, `"uniform"`, or `"log_uniform"`: `log((w + 2) / (w + 1)) / log(V + 1)`.
        exponent: power of the counts; negative sampling's 0.75 gives a much worse perplexity.
        unique: True to draw until there are K different words. False to draw K times; a word that
            is drawn more than once then counts once, and `E` is the probability that it is drawn
            at all. (With its expected number of draws, `K Q`, the score of a frequent target, which
            is in the softmax only once, would be too low.) None is True.
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

    Cost: `O((C + K) d)` per step for each hidden vector with C candidates, in matrix products, and
    `O(C K)` comparisons; K noise rows are read and updated. None of it grows with V. V * d
    parameters, V more with biases, and 12 bytes per word for the noise.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import SampledSoftmax
    >>> layer = SampledSoftmax(counts=[50, 30, 20], num_sampled=3)  # all words: the full softmax
    >>> layer(np.ones((2, 4), "float32"), np.array([0, 2])).numpy().round(4)
    array([0.6931, 1.6094], dtype=float32)

    Source: Jean et al., "On using very large target vocabulary for neural machine translation",
    2015.
    """

    default_num_sampled = 512
    default_unique = True

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        sample = self.draw_sample()
        noise_scores = self.noise_scores(hidden, *sample)
        self.add_masses(hidden, candidates, weights, sample, lambda: tf.nn.softmax(noise_scores))
        hits = count_equal(tf.reshape(candidates, [1, -1]), sample.ids[None, :])
        corrections = self.log_expected_counts(candidates, sample.tries)[:, None, :]
        targets = self.target_scores(hidden, candidates) - corrections
        normaliser = log_normaliser(noise_scores, tf.shape(weights)[:2])
        losses = _loss_without_hits(
            normaliser[:, :, None] - targets, tf.reshape(hits, tf.shape(corrections)) > 0
        )
        return tf.reduce_sum(weights * losses, axis=-1)

    def draw_sample(self) -> Sample:
        sample = super().draw_sample()
        # With replacement the sample is a set, too: repetitions count once.
        return sample if self.unique else Sample(sample.ids, tf.constant(float(self.num_sampled)))

    def noise_scores(self, hidden: tf.Tensor, ids: tf.Tensor, tries: tf.Tensor | None) -> tf.Tensor:
        scores = super().noise_scores(hidden, ids, tries)
        if self.unique:
            return scores
        return scores - tf.math.log(count_equal(ids[None, :], ids[None, :]))


def _loss_without_hits(lead: tf.Tensor, hits: tf.Tensor) -> tf.Tensor:
    """Returns the loss of targets, `log(exp(x) + 1)` for `x = log sum_j exp(t_j) - t_y`.

    Where the target is among the noise words already it is `x`, which is positive up to rounding.
    """
    positive = lead + tf.stop_gradient(tf.nn.relu(-lead))  # of the gradient of `lead`
    return tf.where(hits, positive, tf.nn.softplus(lead))
