"""Class-based softmax: first the word's class, then the word within its class."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.config_arrays import array_config
from kerasw2v.layers.frequency_order import warn_without_counts
from kerasw2v.layers.kept_rows import KeptRows, kept_whole
from kerasw2v.layers.output_layer import OutputLayer, as_pairs
from kerasw2v.ops.classes import Tiles, check_classes, frequency_classes, grown_classes, tile_rows
from kerasw2v.ops.noise import ids_by_frequency
from kerasw2v.ops.row_mass import SOFTMAX_TERM_MASS, add_row_mass, term_mass
from kerasw2v.ops.rows import gather_rows, sum_by_owner
from kerasw2v.utils.checks import check_int

# Of a tile: large enough for a matrix product, small enough that classes of few words and batches
# of few rows do not fill tiles with repetitions.
_HEIGHT, _WIDTH = 16, 32


@keras.saving.register_keras_serializable("kerasw2v")
class ClassSoftmax(OutputLayer):
    """Softmax over classes, then over the words of one class.

    `loss = -log p(class of y | hidden) - log p(y | its class, hidden)`, with
    `p(c | hidden) ~ exp(hidden . class_embeddings[c])` and, over the words of the class,
    `p(w | c, hidden) ~ exp(hidden . embeddings[w])`.

    Args:
        counts: frequencies of the words by id, in any order, `(V,)`; or V alone, all words
            equally frequent then.
        num_classes: number of classes, C; about `sqrt(V)` when None.
        classes: the class of each word, integers from 0 to C - 1, `(V,)`, say from Brown clustering
            or k-means; when None, words by frequency are cut into classes of equal sums of
            `sqrt(count)`. They are saved with the weights.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies, `num_classes` is
            not from 1 to V, or a word has no class, or a class no word.

    Cost: `O((C + S) d)` for each target, S words in its class: together about `2 sqrt(V) d` or less
    for classes by frequency. The block form has one normaliser over classes for each hidden vector.
    Only rows of the targets' classes are read and updated. `log_probs` and
    `top_k` are `O(rows * V * d)`. (V + C) * d parameters, and 12 bytes per word for its class. The
    shapes of a step depend on the targets, so the layer cannot run under `jit_compile=True`.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import ClassSoftmax
    >>> layer = ClassSoftmax(counts=[5, 2, 1], classes=[0, 1, 1])
    >>> layer(np.ones((2, 4), "float32"), np.array([0, 2])).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)

    Source: Goodman, "Classes for fast maximum entropy training", 2001.
    """

    has_cheap_log_probs = True

    def __init__(
        self,
        counts: ArrayLike,
        num_classes: int | None = None,
        classes: ArrayLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, **kwargs)
        self.supports_jit = False  # the shapes of a step depend on the targets
        if num_classes is not None:
            num_classes = _check_num_classes(num_classes, self.vocabulary_size)
        if classes is not None:
            classes = check_classes(classes, self.vocabulary_size, num_classes)
            num_classes = int(classes.max()) + 1
        else:
            warn_without_counts(self, counts)
        self.num_classes: int = num_classes or round(sqrt(self.vocabulary_size))
        self.classes = classes

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        self.embeddings = self.add_output_vectors(hidden_shape[-1])
        self.class_embeddings = self.add_weight(
            shape=(self.num_classes, hidden_shape[-1]),
            initializer="zeros",
            autocast=False,
            name="class_embeddings",
        )
        classes = self.classes
        if classes is None:
            classes = frequency_classes(self._counts, self.num_classes)
        members = np.argsort(classes, kind="stable").astype(np.int32)
        sizes = np.bincount(classes, minlength=self.num_classes)
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        self._class_of = self.add_fixed_table("class_of", classes)
        self._members = self.add_fixed_table("members", members)
        self._ranks = self.add_fixed_table("ranks", np.argsort(members).astype(np.int32))
        self._starts = self.add_fixed_table("starts", starts)
        self.built = True

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        weights = tf.ones_like(targets, tf.float32) if weights is None else weights
        return self._loss(hidden, tf.range(tf.size(targets)), targets, weights)

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        loss = self._loss(*as_pairs(hidden, candidates, weights))
        return tf.reshape(loss, tf.shape(weights)[:2])

    def _loss(
        self, hidden: tf.Tensor, rows: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the loss of each hidden vector `(n, d)` over its targets, `(n,)`.

        `rows` are the hidden vectors of the targets, ascending; `(targets,)`, as `targets` and
        `weights`.
        """
        classes = tf.gather(self._class_of.value, targets)
        starts = tf.identity(self._starts.value)
        sizes = tf.gather(starts, classes + 1) - tf.gather(starts, classes)
        loss = self._class_loss(hidden, rows, classes, weights)
        # A class of one word needs no second softmax.
        selected = tf.cast(tf.where((sizes > 1) & (weights != 0))[:, 0], tf.int32)
        rows, targets, classes, weights = (
            tf.gather(values, selected) for values in (rows, targets, classes, weights)
        )
        ranks = tf.gather(self._ranks.value, targets)
        tiles = tile_rows(classes, ranks, self._members.value, starts, _HEIGHT, _WIDTH)
        word_loss = self._word_loss(hidden, rows, targets, weights, tiles)
        return loss + sum_by_owner(word_loss, rows, tf.shape(hidden)[0])

    def _class_loss(
        self, hidden: tf.Tensor, rows: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns what the classes of the targets add to the loss of each hidden vector."""
        size = tf.shape(hidden)[0]
        scores = self._class_scores(hidden)
        row_weights = sum_by_owner(weights, rows, size)
        chosen = weights * tf.gather_nd(scores, tf.stack([rows, classes], axis=1))

        def normaliser_mass() -> tf.Tensor:
            mass = SOFTMAX_TERM_MASS * tf.abs(row_weights) * term_mass(hidden)
            return tf.linalg.matvec(tf.nn.softmax(scores), mass, transpose_a=True)

        add_row_mass(self.class_embeddings, None, normaliser_mass)
        add_row_mass(self.class_embeddings, classes, lambda: _pair_mass(hidden, rows, weights))
        normaliser = tf.reduce_logsumexp(scores, axis=-1)
        return row_weights * normaliser - sum_by_owner(chosen, rows, size)

    def _class_scores(self, hidden: tf.Tensor) -> tf.Tensor:
        table = tf.cast(self.class_embeddings.value, hidden.dtype)
        return tf.cast(tf.matmul(hidden, table, transpose_b=True), tf.float32)

    def _word_loss(
        self,
        hidden: tf.Tensor,
        rows: tf.Tensor,
        targets: tf.Tensor,
        weights: tf.Tensor,
        tiles: Tiles,
    ) -> tf.Tensor:
        """Returns the weighted loss of each target within its class."""
        states = _hidden_by_tile(hidden, rows, tiles)
        vectors = gather_rows(self.embeddings, tiles.words, hidden.dtype)
        scores = tf.cast(tf.matmul(states, vectors, transpose_b=True), tf.float32)
        softmax, normaliser = _softmax_by_class(tf.stop_gradient(scores), tiles)

        def normaliser_mass() -> tf.Tensor:
            mass = SOFTMAX_TERM_MASS * _by_tile(_pair_mass(hidden, rows, weights), tiles)
            return tf.linalg.matvec(softmax, mass, transpose_a=True)

        add_row_mass(self.embeddings, tiles.words, normaliser_mass)
        add_row_mass(self.embeddings, targets, lambda: _pair_mass(hidden, rows, weights))
        return weights * _target_losses(scores, softmax, normaliser, tiles)

    def target_mass(self, targets: tf.Tensor) -> float:
        return 2 * SOFTMAX_TERM_MASS  # two softmaxes

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        members = self._members.value
        table = tf.gather(self.embeddings.value, members)
        scores = tf.matmul(table, hidden, transpose_b=True)  # (V, rows), class by class
        classes = tf.gather(self._class_of.value, members)
        largest = tf.math.segment_max(scores, classes)
        shifted = scores - tf.gather(largest, classes)
        normaliser = tf.math.log(tf.math.segment_sum(tf.exp(shifted), classes))
        of_class = tf.transpose(tf.nn.log_softmax(self._class_scores(hidden)))
        log_probs = shifted + tf.gather(of_class - normaliser, classes)
        return tf.transpose(tf.gather(log_probs, self._ranks.value))

    def _grown_config(
        self, counts: NDArray[np.integer], ids: NDArray[np.integer]
    ) -> dict[str, Any]:
        classes = grown_classes(self._class_of.numpy(), ids, ids_by_frequency(counts))
        return {**super()._grown_config(counts, ids), "classes": classes}

    def kept_rows(self, grown: Any, ids: NDArray[np.integer]) -> list[KeptRows]:
        return [
            KeptRows(self.embeddings, grown.embeddings, ids),
            kept_whole(self.class_embeddings, grown.class_embeddings),
        ]

    def array_argument(self, name: str) -> np.ndarray:
        if name != "classes" or self.classes is None:
            return super().array_argument(name)
        return self.classes

    def arrays_restored(self, missing: dict[str, Any], has_counts: bool) -> None:
        if "classes" in missing or not has_counts:
            self.classes = self._class_of.numpy()

    def get_config(self) -> dict[str, Any]:
        classes = None if self.classes is None else array_config(self, "classes")
        return self.complete(
            {**super().get_config(), "num_classes": self.num_classes, "classes": classes}
        )


def _check_num_classes(num_classes: int, vocabulary_size: int) -> int:
    number = check_int("num_classes", num_classes, minimum=1)
    if number > vocabulary_size:
        raise ValueError(
            f"`num_classes` must not be above the {vocabulary_size} words. "
            f"Received: num_classes={number}."
        )
    return number


def _pair_mass(hidden: tf.Tensor, rows: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the row mass of each pair: a weight with a row of `hidden`."""
    return tf.abs(weights) * tf.gather(term_mass(hidden), rows)


def _hidden_by_tile(hidden: tf.Tensor, rows: tf.Tensor, tiles: Tiles) -> tf.Tensor:
    """Returns the hidden vectors of each tile, `(tiles, height, d)`.

    Its gradient is sums over neighbours and one gather, where a gather's own gradient is a scatter.
    """

    @tf.custom_gradient
    def gather(hidden: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            by_band = tf.math.segment_sum(upstream, tiles.bands)
            by_pair = tf.gather(tf.reshape(by_band, [-1, hidden.shape[-1]]), tiles.positions)
            return sum_by_owner(by_pair, rows, tf.shape(hidden)[0])

        ids = tf.gather(tf.gather(rows, tiles.rows), tiles.bands)
        return tf.gather(hidden, ids), gradient

    return gather(hidden)


def _softmax_by_class(scores: tf.Tensor, tiles: Tiles) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the softmax over classes, `(tiles, height, width)`, and normalisers by band."""
    largest = tf.math.segment_max(tf.reduce_max(scores, axis=-1), tiles.bands)
    shifted = scores - tf.gather(largest, tiles.bands)[..., None]
    exps = tf.exp(shifted) * tiles.is_word[:, None, :]
    total = tf.math.segment_sum(tf.reduce_sum(exps, axis=-1), tiles.bands)
    softmax = exps * tf.gather(1.0 / total, tiles.bands)[..., None]
    return softmax, largest + tf.math.log(total)


def _by_tile(values: tf.Tensor, tiles: Tiles) -> tf.Tensor:
    """Returns a value of each row as `(tiles, height)`, zero where a band repeats a row."""
    by_band = tf.scatter_nd(tiles.positions[:, None], values, [tf.size(tiles.rows)])
    return tf.gather(tf.reshape(by_band, tf.shape(tiles.rows)), tiles.bands)


def _target_losses(
    scores: tf.Tensor, softmax: tf.Tensor, normaliser: tf.Tensor, tiles: Tiles
) -> tf.Tensor:
    """Returns `-log p(target | class)` of each row, from the softmax of `_softmax_by_class`."""

    @tf.custom_gradient
    def losses(scores: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            slope = softmax * _by_tile(upstream, tiles)[..., None]
            return tf.tensor_scatter_nd_sub(slope, tiles.targets, upstream)

        normalisers = tf.gather(tf.reshape(normaliser, [-1]), tiles.positions)
        return normalisers - tf.gather_nd(scores, tiles.targets), gradient

    return losses(scores)
