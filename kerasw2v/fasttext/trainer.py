"""The Keras side of `FastText`: that of `Word2Vec` with words that are made of n-grams."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.layers.embedding_lookup import EmbeddingLookup
from kerasw2v.layers.subword_lookup import SubwordLookup
from kerasw2v.word2vec.trainer import Settings, Trainer

NGRAMS = "vectors_ngrams"


class FastTextTrainer(Trainer):
    """A Keras model for a gensim vocabulary with character n-grams.

    Its table of n-grams has only those that a word has: few of the buckets.

    Args:
        settings: the model.
        words: the words, in gensim's order.
        *arguments: other arguments of `Trainer`.
        ngrams: the buckets of each word's n-grams, in gensim's order.

    Attributes:
        used_ngrams: the buckets that have a row in the table, in its order.
    """

    def __init__(
        self, settings: Settings, words: Sequence[Any], *arguments: Any, ngrams: Sequence[Any]
    ) -> None:
        self._ngrams = ngrams
        ids = np.concatenate([np.zeros(0, np.int64), *ngrams])
        self.used_ngrams = np.unique(ids)
        super().__init__(settings, words, *arguments)

    def _embedding(self) -> EmbeddingLookup | None:
        if not len(self.used_ngrams):
            return None
        ngrams = [self._ngrams[word] for word in self._order]
        splits = np.cumsum([0, *map(len, ngrams)])
        ids = np.searchsorted(self.used_ngrams, np.concatenate(ngrams))
        return SubwordLookup(
            tf.RaggedTensor.from_row_splits(ids, splits),
            len(self.used_ngrams),
            self.settings.vector_size,
            embeddings_initializer="zeros",  # until the vectors are pushed
            name="embedding",
        )

    def push(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Sets the model's tables to gensim's arrays; `"vectors"` are words' own vectors."""
        super().push(arrays)
        if len(self.used_ngrams):
            rows = arrays[NGRAMS][self.used_ngrams]
            self.model.embedding.subword_embeddings.assign(rows)

    def pull(self) -> dict[str, NDArray[np.float32]]:
        """Returns gensim's arrays, as the model's tables are now; of n-grams the used ones."""
        arrays = super().pull()
        if len(self.used_ngrams):
            table = self.model.embedding.subword_embeddings
            arrays[NGRAMS] = np.asarray(tf.convert_to_tensor(table.value))
        return arrays
