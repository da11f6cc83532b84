"""Skip-gram: predict each context word from the centre word."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.block_model import BlockModel
from kerasw2v.ops.examples import as_pairs, as_vector
from kerasw2v.ops.windows import split_blocks, sub_block_length, window_weights


@keras.saving.register_keras_serializable("kerasw2v")
class SkipGram(BlockModel):
    """Skip-gram: the centre word's vector is the hidden vector, each context word a target.

    `loss = sum over pairs (centre, context) of output_layer(embedding(centre), context)`.

    Trained on blocks, each token's rows are gathered once and all windows of a block are scored in
    one matrix product. Trained on arrays, `fit(centres, contexts)` takes int arrays `(n,)` or
    `(n, 1)`, one pair per entry; or contexts as a `tf.RaggedTensor`, `(n, None)`, all those of each
    centre. `predict(words)` returns word vectors.

    Args:
        vocabulary_size: number of words, V.
        embedding_dim: width of a vector, d.
        output_layer: a `kerasw2v.layers.OutputLayer` for the same vocabulary.
        window: largest distance between a centre and a context word.
        shrink_windows: True to draw each centre's window from 1 to `window`, as word2vec does.
        block_length: centres in a block; that of `block_dataset` for this halo when None.
        halo: tokens at each end of a block that are context only, as in `block_dataset`; `window`
            when None.
        seed: seed of the initial vectors and of the windows.
        shards: number of parts that the table of input vectors is kept in, see `EmbeddingLookup`;
            the output layer has a number of its own.
        embedding: the layer of the input vectors, such as a `layers.SubwordLookup`, instead of an
            `EmbeddingLookup` with `seed` and `shards`.
        **kwargs: arguments of `keras.Model`.

    Raises:
        TypeError, ValueError: if a size is not a positive integer, or `output_layer` is none, or
            one for another vocabulary.

    Cost: for a token, one input row, `1 + 2 * window / block_length` output rows, and the output
    layer's block form with `block_length + 2 * window` candidates. With an output layer whose
    targets are costly, an input row for each distinct word, and blocks of a few targets and the
    words around them (see `ops.windows.sub_block_length`). None of it grows with V.

    Example:

    >>> from kerasw2v import SkipGram, Vocabulary, block_dataset, layers, optimizers
    >>> sentences = [["a", "rose", "is", "a", "rose"], ["is", "a", "rose"]] * 50
    >>> vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    >>> model = SkipGram(len(vocabulary), 8, layers.NegativeSampling(vocabulary.counts), window=2)
    >>> model.compile(optimizers.RowSGD(0.05))
    >>> dataset = block_dataset(sentences, vocabulary, window=2, batch_size=64, seed=1)
    >>> history = model.fit(dataset, epochs=2, verbose=0)
    >>> sorted(history.history)
    ['loss']

    Source: Mikolov et al., "Efficient estimation of word representations in vector space", 2013.
    """

    # Scores of targets and those of noise words, about as much work each, need one another only in
    # the end.
    chains_in_lane = 2

    @property
    def largest_batch(self) -> int:
        # Costly targets make steps of many small ops, which larger batches share among more tokens.
        return 8192 if self.output_layer.targets_are_costly else super().largest_batch

    def call(self, inputs: Any) -> tf.Tensor:
        return self.embedding(inputs)

    def _numbers_of_block(self) -> int:
        pairs = self.block_length * (self.block_length + 2 * self.halo)
        return super()._numbers_of_block() + 2 * pairs  # their scores and weights

    def loss_of_blocks(
        self, ids: tf.Tensor, sentences: tf.Tensor, reach: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        weights = window_weights(sentences, reach, self.halo)
        if self.output_layer.targets_are_costly:
            return self._loss_of_centres(ids, weights), weights
        words = ids[:, self.halo : -self.halo]
        terms = weights * self.output_layer.target_mass(ids[:, None, :])
        self.embedding.add_mass(words, tf.reduce_sum(terms, axis=-1))
        losses = self.output_layer(self.embedding(words), candidates=ids, weights=weights)
        return losses, weights

    def _loss_of_centres(self, ids: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the loss with centres as targets and context words as hidden vectors.

        So does word2vec.c: the pairs are the same, seen from the other word, and there are fewer
        targets. Each target is scored against all words of its block, so blocks are made short.
        """
        centres = slice(self.halo, -self.halo)
        terms = weights * self.output_layer.target_mass(ids[:, centres, None])
        self.embedding.add_mass(ids, tf.reduce_sum(terms, axis=1))
        hidden, words, indices = self.embedding.distinct_rows(ids)
        length = min(sub_block_length(self.halo), self.block_length)
        indices, weights = split_blocks(indices, weights, length)
        targets = tf.gather(words, indices[:, centres])
        return self.output_layer.shared_loss(hidden, indices, targets, weights)

    def _examples(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, Any, Any]:
        inputs = as_vector("centres", inputs)
        if isinstance(targets, tf.RaggedTensor):
            if weights is not None and not isinstance(weights, tf.RaggedTensor):
                weights = as_vector("sample_weight", weights)
            return as_pairs(inputs, targets, weights)
        return super()._examples(inputs, targets, weights)

    def loss_of_examples(
        self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        self.embedding.add_mass(inputs, tf.abs(weights) * self.output_layer.target_mass(targets))
        losses = self.output_layer(self.embedding(inputs), targets, weights)
        return losses, weights
