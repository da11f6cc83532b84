"""Negative sampling, with noise words drawn for each pair or shared by many."""

from math import ceil, gcd
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.config_arrays import arrays_left_out
from kerasw2v.layers.noise_layer import NoiseLayer, band_scores
from kerasw2v.layers.output_layer import as_blocks
from kerasw2v.layers.tables import check_scores
from kerasw2v.ops.fused import fused
from kerasw2v.ops.logistic import noise_loss, target_loss
from kerasw2v.ops.noise import noise_probabilities, probabilities_of
from kerasw2v.ops.row_mass import add_row_mass, term_mass
from kerasw2v.ops.rows import count_equal, gather_rows
from kerasw2v.ops.table_scores import mean_of
from kerasw2v.utils.checks import MAX_INT32, check_choice, check_int

SHARINGS = ("example", "group", "batch")


@keras.saving.register_keras_serializable("kerasw2v")
class NegativeSampling(NoiseLayer):
    """Negative sampling: tell the target from noise words by logistic regression.

    `loss = -log sigmoid(s_y) - k E[log sigmoid(-s_z)]`, with `s_w = hidden . embeddings[w]`, `k`
    noise words `z` for each target, drawn from `counts ** exponent`. A noise word that is the
    target is skipped, as word2vec.c does.

    With `k` noise words for each pair word2vec is many tiny products; with noise words shared by
    many hidden vectors it is a few large ones. Each hidden vector then meets all K noise words of
    its group, weighted by `k / K`, so the expected loss and gradient are those of fresh draws.

    Args:
        counts: frequencies of the words by id, in any order, `(V,)`; or V alone, all words
            equally frequent then.
        num_sampled: noise words for each target, k ("negative" in word2vec.c and gensim).
        exponent: power of the counts in the noise distribution; 0.75 in the paper.
        sharing: which hidden vectors share noise words: `"group"`, `group_size` consecutive ones;
            `"batch"`, all of them; `"example"`, none: k fresh words for each pair.
        group_size: hidden vectors in a group; when None 64, or 128 where each has several targets.
        shared_size: noise words that are shared, K; see `noise_size` when None. Not used by
            `"example"`.
        seed: seed of the draws.
        **kwargs: `evaluation`, `"exact"` or `"sampled"` (see `NoiseLayer`), `embeddings` and other
            arguments of `OutputLayer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies, a size is not a
            positive integer, or `sharing` is unknown.

    Cost: for each hidden vector `O((C + K) d)` in the block form and `O((1 + K) d)` in the pair
    form, in matrix products; K noise rows are read and updated for each group. None of it grows
    with V. V * d parameters, and 8 bytes per word for drawing noise.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import NegativeSampling
    >>> layer = NegativeSampling(counts=[50, 30, 20], num_sampled=5, sharing="example", seed=1)
    >>> layer(np.ones((2, 4), "float32"), np.array([0, 2])).shape
    TensorShape([2])

    Source: Mikolov et al., "Distributed representations of words and phrases and their
    compositionality", 2013; shared noise: Ji et al., "Parallelizing word2vec in shared and
    distributed memory", 2016, and Zoph et al., "Simple, fast noise-contrastive estimation for
    large RNN vocabularies", 2016.
    """

    def __init__(
        self,
        counts: ArrayLike,
        num_sampled: int = 5,
        exponent: float = 0.75,
        sharing: str = "group",
        group_size: int | None = None,
        shared_size: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, num_sampled, exponent, seed, **kwargs)
        self.sharing = check_choice("sharing", sharing, SHARINGS)
        self.group_size = _checked_size("group_size", group_size)
        self.shared_size = _checked_size("shared_size", shared_size)

    def noise_size(self, candidates: int = 1) -> int:
        """Returns how many noise words each hidden vector with so many candidates meets, K.

        `shared_size`, or when it is None about 6 k for hidden vectors with one target (32 for
        k = 5) and 12 k for those with several; four times as many for a whole batch.
        """
        if self.sharing == "example":
            return self.num_sampled
        if self.shared_size is not None:
            return self.shared_size
        size = 16 * ceil(6 * self.num_sampled / 16)  # whole registers
        size *= 1 if candidates == 1 else 2  # several targets have more noise terms together
        return size * 4 if self.sharing == "batch" else size

    def sharers(self, candidates: int = 1) -> int:
        """Returns how many hidden vectors with so many candidates share noise words in a group."""
        if self.group_size is not None:
            return self.group_size
        return 64 if candidates == 1 else 128  # as many noise rows are read for either

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        self._check_noise(1, 2, hidden_shape[-1])
        self.embeddings = self.add_output_vectors(hidden_shape[-1])
        self.add_noise(noise_probabilities(self._counts, self.exponent))
        self.built = True

    def _check_noise(self, groups: int, candidates: int, dim: int) -> None:
        names = "`num_sampled` (`negative` in word2vec)"
        if self.shared_size is not None:
            names = "`shared_size`"
        words = groups * self.noise_size(candidates)
        check_scores(names, words, dim, 1 if self.sharing == "example" else None)

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        return tf.squeeze(self._shared_loss(*as_blocks(hidden, targets, weights)), 1)

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        if self.sharing == "example":
            return super().block_loss(hidden, candidates, weights)
        return self._shared_loss(hidden, candidates, weights)

    def _shared_loss(
        self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the loss of blocks; groups of whole blocks share noise words."""
        blocks = weights
        hidden, candidates, weights, groups = self._grouped(hidden, candidates, weights)
        length, width, dim = weights.shape[1], candidates.shape[1], hidden.shape[-1]
        self._check_noise(groups if isinstance(groups, int) else 1, width, dim)
        noise_size = self.noise_size(width)
        noise_ids = self.draw_noise((groups, noise_size))
        noise_share = self.num_sampled / noise_size
        hits = count_equal(tf.reshape(candidates, [groups, -1]), noise_ids)
        kept_noise = 1.0 - noise_share * tf.reshape(hits, [-1, 1, width])
        noise_weights = tf.reshape(noise_share * tf.reduce_sum(weights, axis=-1), [groups, -1])
        masses = _masses(hidden, weights, noise_weights, noise_ids)
        for ids, mass in zip((candidates, noise_ids), masses, strict=True):
            add_row_mass(self.embeddings, ids, mass)

        noise_rows = gather_rows(self.embeddings, noise_ids, hidden.dtype)
        grouped = tf.reshape(hidden, [groups, -1, dim])
        noise_scores = tf.matmul(grouped, noise_rows, transpose_b=True)
        scores = band_scores(hidden, self.embeddings, candidates)
        loss = target_loss(scores, weights, kept_noise)
        loss += tf.reshape(
            noise_loss(tf.cast(noise_scores, tf.float32), noise_weights), [-1, length]
        )
        return loss if blocks is weights else loss[: tf.shape(blocks)[0]]

    def rows_together(self, rows: int, length: int, candidates: int) -> int:
        if self.sharing == "example":
            return 1 if candidates == 1 else rows  # of blocks only pairs in a window draw
        size = self._blocks_in_group(rows // length, length, candidates)
        return rows if size is None else size * length

    def _blocks_in_group(self, blocks: int, length: int, candidates: int) -> int | None:
        """Returns how many blocks share noise words; None if some groups have to be padded."""
        if self.sharing == "batch":
            return blocks
        size = max(1, min(blocks, self._largest_group(length, candidates)))
        divisor = gcd(blocks, size)
        return divisor if 2 * divisor >= size else None

    def _largest_group(self, length: int, candidates: int) -> int:
        rows = self.sharers(candidates) if self.sharing == "group" else 1
        return min(max(1, round(rows / length)), MAX_INT32)

    def _grouped(
        self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, int | tf.Tensor]:
        """Returns the blocks, padded to whole groups if necessary, and the number of groups."""
        blocks, length, width = weights.shape
        if self.sharing == "batch":
            return hidden, candidates, weights, 1
        size = self._largest_group(length, width)
        if blocks is None:
            size = tf.clip_by_value(tf.shape(weights)[0], 1, size)
        else:
            size = max(1, min(size, blocks))
            equal = self._blocks_in_group(blocks, length, width)
            if equal is not None:
                return hidden, candidates, weights, blocks // equal
        padding = -tf.shape(weights)[0] % size
        padded = [
            tf.pad(tensor, [[0, padding]] + [[0, 0]] * (len(tensor.shape) - 1))
            for tensor in (hidden, candidates, weights)
        ]
        return padded[0], padded[1], padded[2], tf.shape(padded[0])[0] // size

    def exact_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the weighted expected loss of each hidden vector over its block, `(b, L)`."""
        scores = self.table_scores
        hidden = tf.cast(hidden, tf.float32)
        chances = probabilities_of(self._accept.value, self._alias.value)
        flat = tf.reshape(hidden, [-1, hidden.shape[-1]])
        expected = tf.reshape(mean_of(scores, flat, tf.nn.softplus, chances), tf.shape(weights)[:2])
        targets = band_scores(hidden, scores.table, candidates)
        skipped = tf.gather(chances, candidates)[:, None, :] * tf.nn.softplus(targets)
        noise = self.num_sampled * (expected[..., None] - skipped)
        return tf.reduce_sum(weights * (tf.nn.softplus(-targets) + noise), axis=-1)

    def target_mass(self, targets: tf.Tensor) -> float:
        return 1.0 + self.num_sampled

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "sharing": self.sharing,
            "group_size": self.group_size,
            "shared_size": self.shared_size,
        }

    def trace_config(self) -> dict[str, Any]:
        with arrays_left_out():  # they are in tables
            return super().trace_config()


@fused
def _masses(
    hidden: tf.Tensor, weights: tf.Tensor, noise_weights: tf.Tensor, noise_ids: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the masses of the rows of candidates, `(b, C)`, and of noise words, `(groups, K)`.

    A logistic term curves by at most a quarter of `|h|^2`. As long as a 16th of it is below one the
    mass counts terms, which is all that word2vec's rates need; beyond, training would diverge.
    """
    of_term = term_mass(hidden, share=1 / 16)
    target_mass = tf.reduce_sum(tf.abs(weights) * of_term[..., None], axis=1)
    of_group = tf.reshape(of_term, tf.shape(noise_weights))
    noise_mass = tf.reduce_sum(tf.abs(noise_weights) * of_group, axis=1, keepdims=True)
    return target_mass, tf.broadcast_to(noise_mass, tf.shape(noise_ids))


def _checked_size(name: str, size: int | None) -> int | None:
    return None if size is None else check_int(name, size, minimum=1)
