"""Predicting the word's vector instead of the word: no softmax at all."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.config_arrays import array_config
from kerasw2v.layers.kept_rows import KeptRows, kept_whole
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.layers.tables import check_scores, check_table
from kerasw2v.ops.row_mass import add_row_mass
from kerasw2v.ops.rows import gather_rows
from kerasw2v.ops.seeds import add_draw_state, named_seed, next_seed
from kerasw2v.ops.von_mises_fisher import negative_log_normalizer
from kerasw2v.utils.checks import check_choice, check_int, check_non_negative, check_seed

LOSSES = ("vmf", "cosine", "max_margin")
_SMALLEST_NORM = 1e-3


@keras.saving.register_keras_serializable("kerasw2v")
class EmbeddingPrediction(OutputLayer):
    """Predicts the target's vector, one of V fixed unit vectors `e(w)` in m dimensions.

    The prediction `p` is the hidden vector itself, or its projection to m dimensions. The losses:

    * `"vmf"`: `-log C_m(k) - dot_weight * p . e(y) + norm_penalty * k` with `k = |p|`: how unlikely
      the target is where p / k is the mean direction and k the concentration of a von Mises-Fisher
      distribution. Both regularisers are the paper's; it uses .02 for `norm_penalty` (lambda 1) and
      .1 for `dot_weight` (lambda 2). Without them, vectors of words seen in one context only grow
      without end.
    * `"cosine"`: `1 - cos(p, e(y))`.
    * `"max_margin"`: `max(0, margin + cos(p, e(z)) - cos(p, e(y)))`, `z` the most misleading of
      `num_sampled` words: that with the largest cosine, other than the target. They are drawn
      uniformly, once for each batch. Where many words are right, as in word2vec, the most
      misleading of many draws is one of these: keep `num_sampled` small.

    The target vectors are not trained: a model that may move them makes them all equal. They are

    * those of a trained model: to fit something new (other text, another language, a network over
      characters) into a space that exists. Word2vec learns nothing from it that the vectors do not
      contain already;
    * or random, the default: each input vector becomes a random projection of the words around it
      ("random indexing"). Only the input side learns; m of some hundreds separates words.

    `log_probs` are `log_softmax(p . e(w))`: the von Mises-Fisher density at the words' vectors,
    normalised over the words. The other losses ignore the length of p, which is scaled to one then.
    The order of the words, and so `top_k`, is that of nearest neighbours by cosine.

    Args:
        counts: frequencies of the words by id, `(V,)`, or V alone; only V is used.
        target_vectors: `(V, m)`, one vector per word in the same order, scaled to unit length here;
            random directions when None. They are saved with the weights.
        target_dim: m; that of `target_vectors`, or else of the hidden vectors, when None.
        loss: `"vmf"`, `"cosine"` or `"max_margin"`.
        norm_penalty: price of the prediction's length; `"vmf"` only.
        dot_weight: weight of the dot product; `"vmf"` only.
        margin: smallest difference of the cosines that costs nothing; `"max_margin"` only.
        num_sampled: words drawn to find the most misleading one; `"max_margin"` only.
        use_projection: True for a trained matrix between hidden vector and prediction, False for
            none, None for one only where dimensions differ.
        seed: seed of random targets, of the projection and of the draws.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies; if
            `target_vectors` are not V finite vectors that are not zero; if a number is out of
            range, or `loss` is unknown; in `build`, if dimensions differ and `use_projection` is
            False.

    Cost: for each hidden vector `O(C m)` in the block form and `O(m)` in the pair form, for
    `"max_margin"` `O((C + num_sampled) m)`; a projection adds `O(m d)`. None of it grows with V.
    Decoding is `O(V m)`. No trained parameters, or m * d; V * m numbers that stay as they are.

    The cosine's gradient is that of the direction: `1 / |p|`, so plain SGD jumps far from tiny
    vectors, and hardly turns long ones. Lengths below .001 count as .001.

    Can be compiled by XLA (`jit_compile=True`).

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import EmbeddingPrediction
    >>> layer = EmbeddingPrediction(3, target_vectors=[[1, 0], [0, 2], [-1, 0]], loss="cosine")
    >>> layer(np.array([[3, 4], [3, 4]], "float32"), np.array([0, 1])).numpy().round(3)
    array([0.4, 0.2], dtype=float32)
    >>> layer.top_k(np.array([[3, 4]], "float32"), k=2)[0].numpy()
    array([[1, 0]], dtype=int32)

    Source: Kumar & Tsvetkov, "Von Mises-Fisher loss for training sequence to sequence models with
    continuous outputs", 2019; the margin: Lazaridou et al., "Hubness and pollution", 2015; random
    targets: Sahlgren, "An introduction to random indexing", 2005.
    """

    has_output_vectors = False
    uses_counts = False

    def __init__(
        self,
        counts: ArrayLike,
        target_vectors: ArrayLike | None = None,
        target_dim: int | None = None,
        loss: str = "vmf",
        norm_penalty: float = 0.0,
        dot_weight: float = 1.0,
        margin: float = 0.5,
        num_sampled: int = 8,
        use_projection: bool | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, **kwargs)
        if target_dim is not None:
            target_dim = check_int("target_dim", target_dim, minimum=2)
        self._initial_targets = None
        self._has_given_targets = target_vectors is not None
        if target_vectors is not None:
            self._initial_targets = _unit_vectors(target_vectors, self.vocabulary_size, target_dim)
            target_dim = self._initial_targets.shape[1]
        self.target_dim = target_dim
        self.loss = check_choice("loss", loss, LOSSES)
        self.norm_penalty = check_non_negative("norm_penalty", norm_penalty)
        self.dot_weight = check_non_negative("dot_weight", dot_weight)
        self.margin = check_non_negative("margin", margin)
        self.num_sampled = check_int("num_sampled", num_sampled, minimum=1)
        self.use_projection = check_choice("use_projection", use_projection, (None, True, False))
        self.seed = check_seed("seed", seed)

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        hidden_dim = hidden_shape[-1]
        target_dim = hidden_dim if self.target_dim is None else self.target_dim
        if self.use_projection is False and hidden_dim != target_dim:
            raise ValueError(
                "`use_projection` must not be False where hidden and target vectors differ in "
                f"width. Received: hidden vectors of {hidden_dim}, targets of {target_dim}."
            )
        if self._initial_targets is None:
            check_table(self.vocabulary_size, target_dim, width="target_dim")
        self.projection = None
        if self.use_projection or hidden_dim != target_dim:
            self.projection = self.add_weight(
                shape=(target_dim, hidden_dim),
                initializer=keras.initializers.GlorotUniform(named_seed(self.seed, "projection")),
                autocast=False,
                name="projection",
            )
        if self.loss == "max_margin":
            check_scores("`num_sampled`", self.num_sampled, target_dim)
        targets, self._initial_targets = self._initial_targets, None  # a weight from here on
        if targets is None:
            targets = _random_unit_vectors(
                self.vocabulary_size, target_dim, named_seed(self.seed, "targets")
            )
        self.target_vectors = self.add_fixed_table("target_vectors", targets)
        if self.loss == "max_margin":
            self._draw_state = add_draw_state(self, self.seed, self.draw_name)
        self.built = True

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        predictions = self._predict(hidden, weights)
        if self.loss == "max_margin":
            return self._margin_loss(predictions, candidates, weights)
        pull = self._weighted_targets(candidates, weights, predictions.dtype)
        dots = _dot(predictions, pull)
        row_weights = tf.reduce_sum(weights, axis=-1)
        squared = _dot(predictions, predictions)
        if self.loss == "cosine":
            return row_weights - dots * _inverse_norm(squared)
        price = negative_log_normalizer(squared, self.target_vectors.shape[1])
        if self.norm_penalty:
            price += self.norm_penalty * tf.sqrt(tf.maximum(squared, 1e-30))  # no corner at zero
        return row_weights * price - self.dot_weight * dots

    def _predict(self, hidden: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns predictions `(b, L, m)`, and reports the row masses of the projection."""
        if self.projection is None:
            return hidden
        dim, pair_mass = self.projection.shape[0], self.target_mass(None)
        add_row_mass(
            self.projection,
            None,
            lambda: tf.fill([dim], pair_mass * tf.reduce_sum(tf.abs(weights))),
        )
        flat = self._project(tf.reshape(hidden, [-1, hidden.shape[-1]]))
        return tf.reshape(flat, [-1, weights.shape[1] or tf.shape(weights)[1], dim])

    def _project(self, hidden: tf.Tensor) -> tf.Tensor:
        if self.projection is None:
            return hidden
        matrix = tf.cast(self.projection.value, hidden.dtype)
        return tf.matmul(hidden, matrix, transpose_b=True)

    def _weighted_targets(self, candidates: tf.Tensor, weights: tf.Tensor, dtype: Any) -> tf.Tensor:
        """Returns the weighted sum of each hidden vector's targets, `(b, L, m)`."""
        rows = gather_rows(self.target_vectors, candidates, dtype)
        weights = tf.cast(weights, dtype)
        return weights * rows if weights.shape[-1] == 1 else tf.matmul(weights, rows)

    def _margin_loss(
        self, predictions: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        inverse_norm = _inverse_norm(_dot(predictions, predictions))[..., None]
        units = predictions * tf.cast(inverse_norm, predictions.dtype)
        rows = gather_rows(self.target_vectors, candidates, units.dtype)
        if rows.shape[1] == 1:
            cosines = _dot(units, rows)[..., None]
        else:
            cosines = tf.cast(tf.matmul(units, rows, transpose_b=True), tf.float32)
        worst = self._most_misleading(units, candidates)
        hinge = tf.nn.relu(self.margin + worst - cosines)
        return tf.reduce_sum(weights * hinge, axis=-1)

    def _most_misleading(self, units: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Returns the largest cosine with a drawn word that is not the candidate, `(b, L, C)`."""
        seed = next_seed(self._draw_state)
        ids = tf.random.stateless_uniform(
            (self.num_sampled,), seed, 0, self.vocabulary_size, tf.int32
        )
        rows = gather_rows(self.target_vectors, ids, units.dtype)
        flat = tf.reshape(units, [-1, units.shape[-1]])
        check_scores("`num_sampled`", self.num_sampled, flat.shape[1], flat.shape[0])
        cosines = tf.cast(tf.matmul(flat, rows, transpose_b=True), tf.float32)  # (b * L, K)
        first_id = tf.gather(ids, tf.argmax(cosines, axis=-1))
        first = tf.reduce_max(cosines, axis=-1)
        others = tf.where(ids == first_id[:, None], -np.inf, cosines)
        second = tf.reduce_max(others, axis=-1)  # where the candidate has the largest itself
        first_id, first, second = (
            tf.reshape(tensor, [-1, units.shape[1] or tf.shape(units)[1], 1])
            for tensor in (first_id, first, second)
        )
        return tf.where(candidates[:, None, :] == first_id, second, first)

    def target_mass(self, targets: tf.Tensor | None) -> float:
        return 2.0 if self.loss == "max_margin" else 1.0

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        predictions = self._project(tf.cast(hidden, tf.float32))
        if self.loss != "vmf":
            predictions *= _inverse_norm(_dot(predictions, predictions))[:, None]
        scores = tf.matmul(predictions, self.target_vectors.value, transpose_b=True)
        return tf.nn.log_softmax(scores)

    def grown(self, counts: NDArray[np.integer], ids: NDArray[np.integer]) -> Any:
        layer = super().grown(counts, ids)
        layer._has_given_targets = True  # those that are kept
        return layer

    def _grown_config(
        self, counts: NDArray[np.integer], ids: NDArray[np.integer]
    ) -> dict[str, Any]:
        config = super()._grown_config(counts, ids)
        return {**config, "target_vectors": None, "target_dim": self.target_vectors.shape[1]}

    def kept_rows(self, grown: Any, ids: NDArray[np.integer]) -> list[KeptRows]:
        kept = [KeptRows(self.target_vectors, grown.target_vectors, ids)]
        if self.projection is not None:
            kept.append(kept_whole(self.projection, grown.projection))
        return kept

    def array_argument(self, name: str) -> np.ndarray:
        if name != "target_vectors":
            return super().array_argument(name)
        targets: np.ndarray = (
            self.target_vectors.numpy() if self._initial_targets is None else self._initial_targets
        )
        return targets

    def arrays_restored(self, missing: dict[str, Any], has_counts: bool) -> None:
        self._has_given_targets |= "target_vectors" in missing

    def get_config(self) -> dict[str, Any]:
        given = self._has_given_targets
        config = {
            **super().get_config(),
            "target_vectors": array_config(self, "target_vectors") if given else None,
            "target_dim": self.target_dim,
            "loss": self.loss,
            "norm_penalty": self.norm_penalty,
            "dot_weight": self.dot_weight,
            "margin": self.margin,
            "num_sampled": self.num_sampled,
            "use_projection": self.use_projection,
            "seed": self.seed,
        }
        return self.complete(config)


def _dot(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns dot products over the last axis, summed in float32."""
    return tf.reduce_sum(tf.cast(first, tf.float32) * tf.cast(second, tf.float32), axis=-1)


def _inverse_norm(squared: tf.Tensor) -> tf.Tensor:
    return tf.math.rsqrt(tf.maximum(squared, _SMALLEST_NORM**2))


def _random_unit_vectors(size: int, dim: int, seed: int) -> NDArray[np.float32]:
    return _scaled(np.random.default_rng(seed).standard_normal((size, dim), np.float32))


def _scaled(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    units: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def _unit_vectors(vectors: ArrayLike, size: int, dim: int | None) -> NDArray[np.float32]:
    """Returns `target_vectors`, checked and scaled to unit length."""
    try:
        array = np.asarray(vectors, np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`target_vectors` must be an array of numbers. Received: {type(vectors).__name__}."
        ) from error
    if array.ndim != 2 or array.shape[0] != size or array.shape[1] != (dim or array.shape[1]):
        raise ValueError(
            f"`target_vectors` must have shape ({size}, {dim or 'm'}): one vector per word. "
            f"Received: shape={array.shape}."
        )
    check_int("target_dim", array.shape[1], minimum=2)
    largest = np.abs(array).max(axis=1, keepdims=True)
    for wrong, rule in ((~np.isfinite(largest), "be finite"), (largest == 0, "not be zero")):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"Each of `target_vectors` must {rule}. "
                f"Received: target_vectors[{row}]={_shortened(array[row])}."
            )
    if (largest <= 1).all() and (np.abs(np.linalg.norm(array, axis=1) - 1) < 1e-6).all():
        return array  # of a config or a layer: the same bits again
    return _scaled(array / largest)  # divided twice, so that squares neither overflow nor vanish


def _shortened(vector: NDArray[np.float32]) -> str:
    return np.array2string(vector, threshold=6, edgeitems=2, precision=3)
