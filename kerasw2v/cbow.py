"""CBOW: predict the centre word from the mean, or sum, of its context."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.block_model import BlockModel
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops.ids import as_ids
from kerasw2v.ops.window_means import (
    MAX_TAPS,
    extent_means,
    sum_over_extents,
    sum_over_weights,
    weight_means,
    window_extents,
)
from kerasw2v.utils.checks import check_choice

GRADIENTS = ("word2vec", "exact")
COMBINERS = ("mean", "sum")
# Of a window of n words the hidden vector is `n ** p` times the sum, and each row gets `n ** q`
# times its error. A step of all n rows moves the hidden vector by `n ** r`, r = p + q + 1.
_POWERS = {
    # combiner, gradient: p, q, r
    ("mean", "word2vec"): (-1, 0, 0),
    ("mean", "exact"): (-1, -1, -1),
    ("sum", "word2vec"): (0, -1, 0),
    ("sum", "exact"): (0, 0, 1),
}


@keras.saving.register_keras_serializable("kerasw2v")
class CBOW(BlockModel):
    """Continuous bag of words: the mean of a window is the hidden vector, its centre the target.

    `loss = sum over centres of output_layer(mean over its window of embedding(context), centre)`.

    Trained on blocks, each token's rows are gathered once, and added up by windows in one kernel.
    Trained on arrays, `fit(contexts, targets)` takes int arrays `(n, width)` and `(n,)` or
    `(n, 1)`; negative ids pad short contexts, or contexts are a `tf.RaggedTensor`, `(n, None)`.
    `predict(contexts)` returns the means.

    Args:
        vocabulary_size: number of words, V.
        embedding_dim: width of a vector, d.
        output_layer: a `kerasw2v.layers.OutputLayer` for the same vocabulary.
        window: largest distance between a centre and a context word.
        gradient: `"word2vec"` adds the whole error of the mean to each context row, as word2vec.c
            and gensim do; `"exact"` is the gradient of the mean, an n-th of it for n context
            words, and needs a learning rate n times as large.
        combiner: `"mean"`, or `"sum"` for the sum of the context as hidden vector (gensim's
            `cbow_mean=0`). With `"sum"`, the exact gradient adds the whole error to each context
            row, and `"word2vec"` an n-th of it, as gensim does.
        shrink_windows: True to draw each centre's window from 1 to `window`, as word2vec does.
        block_length: centres in a block; that of `block_dataset` for this halo when None.
        seed: seed of the initial vectors and of the windows.
        shards: number of parts that the table of input vectors is kept in, see `EmbeddingLookup`;
            the output layer has a number of its own.
        halo: tokens at each end of a block that are context only, as in `block_dataset`; `window`
            when None.
        embedding: the layer of the input vectors, such as a `layers.SubwordLookup`, instead of an
            `EmbeddingLookup` with `seed` and `shards`.
        **kwargs: arguments of `keras.Model`.

    Raises:
        TypeError, ValueError: if a size is not a positive integer, `gradient` or `combiner` is
            unknown, or `output_layer` is none, or one for another vocabulary.

    Cost: for a token, `1 + 2 * window / block_length` input rows, `4 window d` multiplications for
    the means and as many for their gradient (`(block_length + 2 * window) d` each for windows over
    24), and the output layer's pair form; none of it grows with V.

    Example:

    >>> import numpy as np
    >>> from kerasw2v import CBOW, layers, optimizers
    >>> model = CBOW(100, 8, layers.NegativeSampling(100))
    >>> model.compile(optimizers.RowSGD(0.05))
    >>> contexts = np.array([[1, 2, 4, 5], [2, 3, -1, -1]])
    >>> history = model.fit(contexts, np.array([3, 4]), verbose=0)
    >>> model.predict(contexts, verbose=0).shape
    (2, 8)

    Source: Mikolov et al., "Efficient estimation of word representations in vector space", 2013;
    the two gradients: İrsoy et al., "Corrected CBOW performs as well as skip-gram", 2021.
    """

    lowest_input = None  # negative ids pad contexts

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        output_layer: OutputLayer,
        window: int = 5,
        gradient: str = "word2vec",
        combiner: str = "mean",
        shrink_windows: bool = True,
        block_length: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.gradient = check_choice("gradient", gradient, GRADIENTS)
        self.combiner = check_choice("combiner", combiner, COMBINERS)
        super().__init__(
            vocabulary_size,
            embedding_dim,
            output_layer,
            window=window,
            shrink_windows=shrink_windows,
            block_length=block_length,
            seed=seed,
            **kwargs,
        )

    def call(self, inputs: Any) -> tf.Tensor:
        ids, weights = _contexts(as_ids("inputs", inputs, self.vocabulary_size, self.lowest_input))
        no_terms = tf.zeros_like(weights[:, :, 0])
        _, scale, gradient_scale, _ = sum_over_weights(weights, no_terms, self._powers)
        return weight_means(self.embedding(ids), weights, scale, gradient_scale)[:, 0]

    @property
    def _serving_spec(self) -> keras.InputSpec:
        return keras.InputSpec(shape=(None, None), dtype="int32")

    @property
    def _powers(self) -> tf.Tensor:
        return tf.constant(_POWERS[self.combiner, self.gradient], tf.float32)

    def _numbers_of_block(self) -> int:
        is_product = 2 * self.halo > MAX_TAPS
        weights = self.block_length * (self.block_length + 2 * self.halo)
        return super()._numbers_of_block() + is_product * 2 * weights

    @property
    def _loss_shape(self) -> tuple[int, int]:
        return 1, 1

    def loss_of_blocks(
        self, ids: tf.Tensor, sentences: tf.Tensor, reach: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        centres = ids[:, self.halo : self.halo + self.block_length]
        before, behind = window_extents(sentences, reach, self.halo)
        ones = tf.ones_like(before)
        terms = ones * self.output_layer.target_mass(centres)
        sizes, scale, gradient_scale, mass = sum_over_extents(
            before, behind, terms, self._powers, ids
        )
        self.embedding.add_mass(ids, mass)
        hidden = extent_means(self.embedding(ids), before, behind, scale, gradient_scale)
        return self._target_losses(hidden, centres, ones, sizes)

    def loss_of_examples(
        self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        ids, context_weights = _contexts(inputs)
        targets, weights = targets[:, None], weights[:, None]
        terms = tf.abs(weights) * self.output_layer.target_mass(targets)
        sizes, scale, gradient_scale, mass = sum_over_weights(context_weights, terms, self._powers)
        self.embedding.add_mass(ids, mass)
        hidden = weight_means(self.embedding(ids), context_weights, scale, gradient_scale)
        return self._target_losses(hidden, targets, weights, sizes)

    def _target_losses(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, sizes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the losses of targets, those with an empty window left out, and their weights."""
        pairs = tf.reshape(weights * tf.cast(sizes > 0, tf.float32), [-1])
        hidden = tf.reshape(hidden, [-1, self.embedding_dim])
        return self.output_layer(hidden, tf.reshape(targets, [-1]), pairs), pairs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gradient": self.gradient, "combiner": self.combiner}


def _contexts(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the ids of contexts, 0 for padding, and their weights: `(n, width)`, `(n, 1, width)`.

    Args:
        ids: int32, `(n, width)`, negative for padding, or a `tf.RaggedTensor` of them.
    """
    if isinstance(ids, tf.RaggedTensor):
        ids = ids.to_tensor(-1)
    if ids.shape.rank not in (2, None):
        raise ValueError(
            f"`contexts` must have shape (n, width). Received: shape={tuple(ids.shape)}."
        )
    ids = tf.ensure_shape(ids, (None, None))
    return tf.maximum(ids, 0), tf.cast(ids >= 0, tf.float32)[:, None, :]
