"""The base class of output layers that draw noise words."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops import noise
from kerasw2v.ops.lanes import draw_for_lanes
from kerasw2v.ops.rows import gather_rows, products_with_rows
from kerasw2v.ops.seeds import add_draw_state, next_seed
from kerasw2v.ops.table_scores import TableScores, log_normaliser
from kerasw2v.utils.checks import check_choice, check_finite, check_int, check_seed

EVALUATIONS = ("exact", "sampled")


class NoiseLayer(OutputLayer):
    """Base class of layers with an output vector for each word, and a distribution of noise words.

    A subclass calls `add_output_vectors` and `add_noise` in `build`, and `draw_noise` in a step.
    The distribution is saved as weights, so a layer is restored from V and its weights.

    With `training=False`, as in `evaluate` and for `validation_data`, the loss is exact: it draws
    nothing, so it is the same number each time, whatever the batch size. For the layers that
    estimate a softmax it is `-log_probs` of the target, and its exponential is the perplexity; for
    negative sampling it is the expected loss. It costs `O(V d)` for each hidden vector, in chunks
    of bounded memory.

    Args:
        counts: frequencies of the words by id, `(V,)`; or V alone.
        num_sampled: noise words.
        exponent: power of the counts.
        seed: seed of the draws.
        evaluation: `"exact"`, or `"sampled"` for a loss with draws, as cheap as in training, in
            `evaluate` too.
        **kwargs: arguments of `OutputLayer`.
    """

    can_tie = True

    def __init__(
        self,
        counts: ArrayLike,
        num_sampled: int,
        exponent: float,
        seed: int | None,
        evaluation: str = "exact",
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, **kwargs)
        self.evaluation = check_choice("evaluation", evaluation, EVALUATIONS)
        self.num_sampled = check_int("num_sampled", num_sampled, minimum=1)
        self.exponent = check_finite("exponent", exponent)
        self.seed = check_seed("seed", seed)

    def add_noise(self, probabilities: np.ndarray) -> None:
        """Creates the tables for drawing words with these probabilities, `(V,)`."""
        accept, alias = noise.alias_table(probabilities)
        self._accept = self.add_fixed_table("noise_accept", accept)
        self._alias = self.add_fixed_table("noise_alias", alias)
        self._draw_state = add_draw_state(self, self.seed, self.draw_name)

    def draw_noise(self, shape: tuple[int | tf.Tensor, ...]) -> tf.Tensor:
        """Draws noise words with replacement: int32 ids of the given shape."""

        def draw(shape: tuple[int | tf.Tensor, ...]) -> tf.Tensor:
            seed = next_seed(self._draw_state)
            return noise.draw(self._accept.value, self._alias.value, shape, seed)

        return draw_for_lanes(draw, shape)

    @property
    def table_scores(self) -> TableScores:
        return TableScores(self.embeddings)

    @property
    def evaluates_exactly(self) -> bool:
        return self.evaluation == "exact"

    def exact_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the weighted cross-entropy of each hidden vector over its block, `(b, L)`."""
        scores = self.table_scores
        hidden = tf.cast(hidden, tf.float32)
        normaliser = log_normaliser(scores, tf.reshape(hidden, [-1, hidden.shape[-1]]))
        chosen = band_scores(hidden, scores.table, candidates)
        chosen += scores.offsets(candidates)[:, None, :]
        normaliser = tf.reshape(normaliser, tf.shape(weights)[:2])
        return tf.reduce_sum(weights * (normaliser[..., None] - chosen), axis=-1)

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        return tf.nn.log_softmax(tf.matmul(hidden, self.embeddings.value, transpose_b=True))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_sampled": self.num_sampled,
            "exponent": self.exponent,
            "seed": self.seed,
            "evaluation": self.evaluation,
        }


def band_scores(hidden: tf.Tensor, table: Any, candidates: tf.Tensor) -> tf.Tensor:
    """Returns `(b, L, C)` scores of hidden vectors `(b, L, d)` with rows of a table, `(b, C)`."""
    if hidden.shape[1] == 1 and candidates.shape[1] == 1:  # beats one tiny matmul each
        scores = products_with_rows(table, candidates, hidden)[..., None]
    else:
        scores = tf.matmul(hidden, gather_rows(table, candidates, hidden.dtype), transpose_b=True)
    return tf.cast(scores, tf.float32)
