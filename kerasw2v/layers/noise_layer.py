"""The base class of output layers that draw noise words."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops import noise
from kerasw2v.ops.rows import gather_rows, products_with_rows
from kerasw2v.ops.seeds import add_draw_state, next_seed
from kerasw2v.utils.checks import check_finite, check_int, check_seed


class NoiseLayer(OutputLayer):
    """Base class of layers with an output vector for each word, and a distribution of noise words.

    A subclass calls `add_output_vectors` and `add_noise` in `build`, and `draw_noise` in a step.
    The distribution is saved as weights, so a layer is restored from V and its weights.
    """

    def __init__(
        self,
        counts: ArrayLike,
        num_sampled: int,
        exponent: float,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, **kwargs)
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
        seed = next_seed(self._draw_state)
        return noise.draw(self._accept.value, self._alias.value, shape, seed)

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        return tf.nn.log_softmax(tf.matmul(hidden, self.embeddings.value, transpose_b=True))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_sampled": self.num_sampled,
            "exponent": self.exponent,
            "seed": self.seed,
        }


def band_scores(hidden: tf.Tensor, table: Any, candidates: tf.Tensor) -> tf.Tensor:
    """Returns `(b, L, C)` scores of hidden vectors `(b, L, d)` with rows of a table, `(b, C)`."""
    if hidden.shape[1] == 1 and candidates.shape[1] == 1:  # beats one tiny matmul each
        scores = products_with_rows(table, candidates, hidden)[..., None]
    else:
        scores = tf.matmul(hidden, gather_rows(table, candidates, hidden.dtype), transpose_b=True)
    return tf.cast(scores, tf.float32)
