"""Embedding lookup that reads and updates only the rows that a batch names."""

from typing import Any

import keras
import tensorflow as tf

from kerasw2v.layers.tables import add_table, check_shards
from kerasw2v.layers.uniform_rows import UniformRows
from kerasw2v.ops.ids import as_ids
from kerasw2v.ops.row_mass import add_row_mass
from kerasw2v.ops.rows import distinct, gather_rows
from kerasw2v.utils.checks import MAX_INT32, check_choice, check_int, check_seed

COMBINERS = (None, "mean", "sum")


@keras.saving.register_keras_serializable("kerasw2v")
class EmbeddingLookup(keras.layers.Layer):
    """Turns ids into vectors: `out = embeddings[ids]`, optionally combined over the last axis.

    Unlike `keras.layers.Embedding` it never reads the table as a whole, so a step costs what the
    rows of the batch cost, whatever the vocabulary's size; the gradient is row-sparse.

    Args:
        vocabulary_size: number of rows, V.
        embedding_dim: width of a row, d.
        combiner: None for one vector per id; `"mean"` or `"sum"` to combine the vectors of the last
            axis (bags of words, CBOW's window).
        mask_negative: True to treat negative ids as padding: they give a zero vector and do not
            count in a mean.
        embeddings_initializer: initial rows; word2vec.c's uniform in `±0.5 / d` when None.
        seed: seed of that default initializer.
        shards: number of shards of the table, for one larger than a device: row i is row
            `i // shards` of shard `i % shards`, so that frequent words are spread evenly. Shards
            are placed on the GPUs in turn, or on the logical CPUs where there is none.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        ids: integer tensor `(..., n)`, each in `[0, V)` (or negative, with `mask_negative`).

    Returns:
        `(..., n, d)`, or `(..., d)` with a combiner.

    Raises:
        TypeError, ValueError: if a size is not a positive integer, the combiner is unknown, `seed`
            is no seed, or there are more shards than rows.

    Cost: `O(ids * d)` per step, forward and backward; none of it grows with V. Each shard reads and
    updates rows of its own only.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import EmbeddingLookup
    >>> layer = EmbeddingLookup(vocabulary_size=10, embedding_dim=4, combiner="mean",
    ...                         mask_negative=True)
    >>> layer(np.array([[1, 2, 3], [4, -1, -1]])).shape
    TensorShape([2, 4])

    Source: Mikolov et al., "Efficient estimation of word representations in vector space", 2013.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        combiner: str | None = None,
        mask_negative: bool = False,
        embeddings_initializer: Any = None,
        seed: int | None = None,
        shards: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = check_int(
            "vocabulary_size", vocabulary_size, minimum=1, maximum=MAX_INT32
        )
        self.embedding_dim = check_int("embedding_dim", embedding_dim, 1, MAX_INT32)
        self.combiner = check_choice("combiner", combiner, COMBINERS)
        self.mask_negative = mask_negative
        self.seed = check_seed("seed", seed)
        self.shards = check_shards(shards, vocabulary_size)
        if embeddings_initializer is None:
            bound = 0.5 / embedding_dim
            embeddings_initializer = UniformRows(-bound, bound, self.seed)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    can_tie = True
    """Whether an output layer can share the table."""
    words_are_costly = False
    """Whether a word has many rows, so that large batches, which repeat words, save much."""

    def build(self, input_shape: Any = None) -> None:
        shape = (self.vocabulary_size, self.embedding_dim)
        self.table = add_table(self, shape, self.embeddings_initializer, self.shards)
        self.built = True

    @property
    def embeddings(self) -> Any:
        """The table, `(V, d)`: a Keras weight, or with several shards their rows in one tensor."""
        return self.table if self.shards == 1 else self.table.value

    def call(self, ids: Any) -> tf.Tensor:
        lowest = None if self.mask_negative else 0
        ids = as_ids("ids", ids, self.vocabulary_size, lowest)
        present = tf.cast(ids >= 0, self.compute_dtype)
        if self.mask_negative:
            ids = tf.maximum(ids, 0)
        rows = self._vectors(ids)
        if self.mask_negative:
            rows *= present[..., None]
        if self.combiner is None:
            return rows
        total = tf.reduce_sum(rows, axis=-2)
        if self.combiner == "sum":
            return total
        if self.mask_negative:
            return tf.math.divide_no_nan(total, tf.reduce_sum(present, axis=-1, keepdims=True))
        return total / tf.cast(tf.shape(ids)[-1], total.dtype)

    def _vectors(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the vector of each id: `(...) -> (..., d)`."""
        return gather_rows(self.table, ids, self.compute_dtype)

    def distinct_rows(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Looks up each distinct id once.

        Returns:
            `(rows, words, indices)`: the rows of the distinct ids, `(n, d)`; these ids, `(n,)`,
            and the index of each of `ids` among them, see `ops.rows.distinct`.
        """
        words, indices = distinct(ids)
        rows = gather_rows(self.table, words, self.compute_dtype, is_bucketed=True)
        return rows, words, indices

    def add_mass(self, ids: tf.Tensor, mass: tf.Tensor) -> None:
        """Reports the masses of looked-up rows to `RowSGD` (see `ops.row_mass`)."""
        add_row_mass(self.table, ids, mass)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "combiner": self.combiner,
            "mask_negative": self.mask_negative,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "seed": self.seed,
            "shards": self.shards,
        }
