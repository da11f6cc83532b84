"""Vectors that queries are matched with: exact search, and arrays for an approximate one."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from kerasw2v.layers.in_batch_softmax import SIMILARITIES
from kerasw2v.layers.table_search import TableSearch
from kerasw2v.layers.tables import is_in_use
from kerasw2v.ops.table_scores import TableScores, best_rows, unit_vectors
from kerasw2v.utils.checks import check_choice, check_int, check_positive


@keras.saving.register_keras_serializable("kerasw2v")
class Candidates(TableSearch):
    """All items of a catalogue by their vectors, for exact search and exact validation.

    `score = query . vectors[i] / temperature`, or the cosine divided by it. The vectors are not
    trained: an item tower computes them, `assign` sets them, and they are saved with the model.
    Items that are rows of a trained table need no copy: an output layer with `embeddings=` has the
    same methods.

    Args:
        vocabulary_size: number of items, V.
        embedding_dim: width of a vector, d.
        similarity: `"dot"` or `"cosine"`, as in `InBatchSoftmax`.
        temperature: divides the scores; of no effect on their order.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden: queries `(..., d)`.
        k: number of items.

    Returns:
        `(ids, scores)`, int32 and float32, `(..., k)`, best first.

    Raises:
        TypeError, ValueError: if a size is not a positive integer, `similarity` is unknown, or
            `temperature` is not positive; in a call, if k is larger than V.

    Cost: `O(V d)` for each query, in chunks: about 16 MB at a time, whatever V and the number of
    queries. V * d numbers, which are not trained.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import Candidates
    >>> candidates = Candidates(vocabulary_size=3, embedding_dim=2)
    >>> candidates.assign([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> ids, scores = candidates(np.array([[2.0, 1.0]], "float32"), k=2)
    >>> ids.numpy().tolist(), scores.numpy().tolist()
    ([[2, 1]], [[3.0, 2.0]])
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        similarity: str = "dot",
        temperature: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.vocabulary_size = check_int("vocabulary_size", vocabulary_size, minimum=1)
        self.embedding_dim = check_int("embedding_dim", embedding_dim, minimum=1)
        self.similarity = check_choice("similarity", similarity, SIMILARITIES)
        self.temperature = check_positive("temperature", temperature)
        self.vectors = self.add_weight(
            shape=(self.vocabulary_size, self.embedding_dim),
            initializer="zeros",
            trainable=False,
            autocast=False,
            name="vectors",
        )
        self.hidden_dim = self.embedding_dim
        self._has_vectors = False
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: the vectors are there from the start, to be assigned."""

    def assign(self, vectors: ArrayLike) -> None:
        """Sets all vectors, `(V, d)`, such as `item_tower.predict(items)`.

        Raises:
            ValueError: if they are not `(V, d)` finite numbers.
        """
        array = np.asarray(vectors, np.float32)
        if array.shape != tuple(self.vectors.shape):
            raise ValueError(
                f"`vectors` must have shape {tuple(self.vectors.shape)}. "
                f"Received: shape={array.shape}."
            )
        if not np.isfinite(array).all():
            raise ValueError("`vectors` must be finite. Received: others among them.")
        self.vectors.assign(array)

    @property
    def table_scores(self) -> TableScores:
        self._warn_without_vectors()
        return TableScores(
            self.vectors, scale=1.0 / self.temperature, is_cosine=self.similarity == "cosine"
        )

    def _warn_without_vectors(self) -> None:
        """Warns while all vectors are zero; they are looked at until they are not, no more."""
        if not self._has_vectors and is_in_use(self.vectors):
            with tf.init_scope():  # eagerly, also where a graph is traced
                self._has_vectors = bool(np.any(self.vectors.value.numpy()))
            if not self._has_vectors:
                warnings.warn(
                    f"{self.name} has no vectors yet, so that all candidates are equal: give it "
                    "those of the items by `assign`.",
                    stacklevel=4,
                )

    def _queries(self, hidden: Any) -> tf.Tensor:
        queries = super()._queries(hidden)
        return unit_vectors(queries) if self.similarity == "cosine" else queries

    def call(self, hidden: Any, k: int = 10) -> tuple[tf.Tensor, tf.Tensor]:
        self.checked_k(k)
        found = best_rows(self.table_scores, self._queries(hidden), k, with_normaliser=False)
        shape = tf.concat([tf.shape(hidden)[:-1], [k]], axis=0)
        ids, scores = (tf.reshape(each, shape) for each in found)
        return ids, scores

    def top_k(self, hidden: Any, k: int = 10) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the ids and the scores of the k best candidates, as a call does."""
        found: tuple[tf.Tensor, tf.Tensor] = self(hidden, k=k)
        return found

    def log_probs(self, hidden: Any) -> tf.Tensor:
        """Returns the log-probabilities of all candidates: `(..., d) -> (..., V)`, all at once."""
        queries, scores = self._queries(hidden), self.table_scores
        all_scores = scores.of_rows(queries, tf.range(self.vocabulary_size))
        shape = tf.concat([tf.shape(hidden)[:-1], [self.vocabulary_size]], axis=0)
        return tf.reshape(tf.nn.log_softmax(all_scores), shape)

    def compute_output_spec(
        self, hidden: Any, k: int = 10
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        shape = (*hidden.shape[:-1], self.checked_k(k))
        return keras.KerasTensor(shape, "int32"), keras.KerasTensor(shape, "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "similarity": self.similarity,
            "temperature": self.temperature,
        }
