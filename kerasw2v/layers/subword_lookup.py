"""Embedding lookup of words that are made of subwords."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.layers.config_arrays import array_config, arrays_left_out, find_array, is_reference
from kerasw2v.layers.embedding_lookup import EmbeddingLookup
from kerasw2v.layers.tables import add_table
from kerasw2v.ops.character_ngrams import character_ngrams
from kerasw2v.ops.row_mass import add_row_mass
from kerasw2v.ops.rows import copy_of_replica, distinct, gather_rows, rows_at, sums_of_rows
from kerasw2v.ops.subwords import Subwords, of_owners, scaled_by_share, subwords_of, word_shares
from kerasw2v.utils.checks import MAX_INT32, check_choice, check_int, shortened

GRADIENTS = ("word2vec", "exact")

_WORDS_AT_ONCE = 2**14


@keras.saving.register_keras_serializable("kerasw2v")
class SubwordLookup(EmbeddingLookup):
    """Turns ids of words into the mean of their own rows and those of their subwords.

    `out = (embeddings[w] + sum over its subwords s of subword_embeddings[s]) / (1 + n_w)` for a
    word `w` with `n_w` subwords, for instance its character n-grams. So words share what they
    learn, and a word that was never seen has a vector: the mean of its subwords' rows.

    Pass it to `SkipGram` or `CBOW` as `embedding`. The distinct words of a batch are looked up
    once each.

    Args:
        subwords: for each word the ids of its subwords: lists of ints, or a `tf.RaggedTensor`.
            A word may have none, or one of them twice.
        num_subwords: number of subwords that there are.
        embedding_dim: width of a vector, d.
        gradient: `"word2vec"` adds the whole error of a word's vector to each of its rows, as
            fastText and gensim do, so that the vector moves by the step that it makes without
            subwords; `"exact"` is the gradient of the mean, an (1 + n_w)-th of it, and needs a
            learning rate that is larger by as much.
        **kwargs: other arguments of `EmbeddingLookup`; `shards` is that of the words' own table.

    Call arguments:
        ids: integer tensor `(..., n)` of word ids, see `EmbeddingLookup`.

    Returns:
        `(..., n, d)`, or `(..., d)` with a combiner.

    Raises:
        TypeError, ValueError: if a subword is no integer in `[0, num_subwords)`, `gradient` is
            unknown, or as `EmbeddingLookup`.

    Cost: for each distinct word of the batch `O((1 + n_w) d)`, forward and backward, and an index
    for each id; none of it grows with V or `num_subwords`. `(V + num_subwords) * d` parameters, and
    4 bytes for each subword of each word.

    Example:

    >>> import numpy as np
    >>> from kerasw2v import SkipGram, layers
    >>> embedding = layers.SubwordLookup.from_words(["rose", "roses"], 8, bucket=100)
    >>> model = SkipGram(2, 8, layers.NegativeSampling([3, 2]), embedding=embedding)
    >>> model.predict(np.array([0, 1, 1]), verbose=0).shape
    (3, 8)

    Source: Bojanowski et al., "Enriching word vectors with subword information", 2017.
    """

    can_tie = False
    words_are_costly = True

    def __init__(
        self,
        subwords: Any,
        num_subwords: int,
        embedding_dim: int,
        gradient: str = "word2vec",
        **kwargs: Any,
    ) -> None:
        self.num_subwords = check_int("num_subwords", num_subwords, minimum=1, maximum=MAX_INT32)
        self.gradient = check_choice("gradient", gradient, GRADIENTS)
        ids, splits = _ids_and_splits(subwords, self.num_subwords)
        super().__init__(len(splits) - 1, embedding_dim, **kwargs)
        self._first_ids, self._first_splits = ids, splits
        self._is_missing = False

    @classmethod
    def from_words(
        cls,
        words: Sequence[Any],
        embedding_dim: int,
        min_n: int = 3,
        max_n: int = 6,
        bucket: int = 2_000_000,
        **kwargs: Any,
    ) -> Self:
        """Returns a layer whose subwords are the character n-grams of words, as in fastText.

        Args:
            words: the words by id, as in `Vocabulary.words`.
            embedding_dim: width of a vector, d.
            min_n: the fewest characters of an n-gram; a word has a mark at its start and its end.
            max_n: the most.
            bucket: n-grams are hashed to so many subwords, with fastText's hash.
            **kwargs: other arguments of this layer.
        """
        min_n, max_n = check_int("min_n", min_n, 1), check_int("max_n", max_n, 1)
        bucket = check_int("bucket", bucket, minimum=1, maximum=MAX_INT32)
        ids, splits = character_ngrams(words, min_n, max_n, bucket)
        return cls(tf.RaggedTensor.from_row_splits(ids, splits), bucket, embedding_dim, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        shape = (self.num_subwords, self.embedding_dim)
        initializer = _with_next_seed(self.embeddings_initializer)
        self.subword_embeddings = add_table(self, shape, initializer, name="subword_embeddings")
        self._ids = self._add_constant("subword_ids", self._first_ids)
        self._splits = self._add_constant("subword_splits", self._first_splits)

    def _add_constant(self, name: str, values: NDArray[np.int32]) -> Any:
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: tf.constant(values, dtype),
            dtype="int32",
            trainable=False,
            name=name,
        )

    @property
    def embeddings(self) -> tf.Tensor:
        """The vectors of all words, `(V, d)`, computed from both tables."""
        size = self.vocabulary_size
        parts = [
            self._means(tf.range(start, min(start + _WORDS_AT_ONCE, size)))
            for start in range(0, size, _WORDS_AT_ONCE)
        ]
        return tf.concat(parts, axis=0)

    def _vectors(self, ids: tf.Tensor) -> tf.Tensor:
        vectors, _, indices = self.distinct_rows(ids)
        return rows_at(vectors, indices)

    def distinct_rows(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        words, number, indices = _distinct(ids)
        return self._means(words, number), words, indices

    def _means(self, words: tf.Tensor, number: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the vectors of words; those from `number` on are padding."""
        subwords = self._subwords_of(words, number)
        own = gather_rows(self.table, words, self.compute_dtype, is_bucketed=True)
        sums = sums_of_rows(
            self.subword_embeddings,
            subwords.ids,
            subwords.owners,
            tf.size(words),
            self.compute_dtype,
        )
        share = tf.cast(word_shares(subwords), self.compute_dtype)
        if self.gradient == "exact":
            return share[:, None] * (own + sums)
        return scaled_by_share(own + sums, share)

    def _subwords_of(self, words: tf.Tensor, number: tf.Tensor | None = None) -> Subwords:
        self._check_restored()
        number = tf.size(words) if number is None else number
        ids, splits = (copy_of_replica(each.value) for each in (self._ids, self._splits))
        return subwords_of(words, number, ids, splits)

    def add_mass(self, ids: tf.Tensor, mass: tf.Tensor) -> None:
        words, number, indices = _distinct(ids)
        subwords = self._subwords_of(words, number)
        flat = tf.reshape(mass, [-1]), tf.reshape(indices, [-1])
        of_words = tf.math.unsorted_segment_sum(*flat, tf.size(words))
        if self.gradient == "exact":
            of_words *= word_shares(subwords)
        add_row_mass(self.table, words, of_words)
        add_row_mass(self.subword_embeddings, subwords.ids, of_owners(of_words, subwords))

    # Configs and files

    def array_argument(self, name: str) -> NDArray[np.int32]:
        """Returns the subwords of all words, behind the places where those of a word begin."""
        return np.concatenate([self._current_splits(), self._current_ids()])

    def _current_ids(self) -> NDArray[np.int32]:
        return np.asarray(self._ids.numpy()) if self.built else self._first_ids

    def _current_splits(self) -> NDArray[np.int32]:
        return np.asarray(self._splits.numpy()) if self.built else self._first_splits

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        words = config.pop("vocabulary_size")
        subwords = array_config(self, "subwords")
        if is_reference(subwords):
            subwords["words"] = words
        elif subwords is not None:
            parts = np.split(self._current_ids(), self._current_splits()[1:-1])
            subwords = [part.tolist() for part in parts]
        return {
            **config,
            "subwords": subwords,
            "num_subwords": self.num_subwords,
            "gradient": self.gradient,
        }

    def trace_config(self) -> dict[str, Any]:
        """Returns what a traced step depends on, beside variables (see `model_traces`)."""
        with arrays_left_out():  # they are in tables
            return self.get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        reference = config["subwords"]
        if not is_reference(reference):
            return cls(**config)
        array, words = find_array("subwords", reference), reference["words"]
        is_missing = array is None
        if array is None:  # the shapes are right; the rest comes with the weights
            size = reference["shape"][0] - words - 1
            array = np.zeros(words + 1 + size, np.int32)
            array[1 : words + 1] = size
        ragged = tf.RaggedTensor.from_row_splits(array[words + 1 :], array[: words + 1])
        layer = cls(**{**config, "subwords": ragged})
        layer._is_missing = is_missing
        return layer

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self._is_missing = False

    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights)
        self._is_missing = False

    def _check_restored(self) -> None:
        if self._is_missing:
            raise ValueError(
                f"`subwords` must be given, or come with weights, before {self.name} is used: its "
                "config has no more than their digest. Received: a config without weights."
            )


def _distinct(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns what `ops.rows.distinct` does, padded with one of the ids, and their number."""
    words, indices = distinct(ids)
    number = tf.reduce_max(indices) + 1
    words = tf.where(tf.range(tf.size(words)) < number, words, tf.reduce_max(words))
    return words, number, indices


def _with_next_seed(initializer: Any) -> Any:
    """Returns an initializer of the same kind that draws other numbers."""
    if not hasattr(initializer, "get_config"):
        return initializer  # a function
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] += 1
    return type(initializer).from_config(config)


def _ids_and_splits(
    subwords: Any, num_subwords: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the subwords of all words in one array, and where those of each word begin."""
    if isinstance(subwords, tf.RaggedTensor):
        ids, splits = np.asarray(subwords.flat_values), np.asarray(subwords.row_splits)
        if subwords.shape.rank != 2:
            raise ValueError(
                "`subwords` must have a list of ids for each word. "
                f"Received: shape={tuple(subwords.shape)}."
            )
    else:
        lists = [_list_of(word, each) for word, each in enumerate(_words_of(subwords))]
        ids = np.concatenate([np.zeros(0, np.int64), *lists])
        splits = np.cumsum([0, *map(len, lists)])
    if len(splits) < 2 or len(ids) > MAX_INT32:
        raise ValueError(
            "`subwords` must be those of one word or more, and fit into int32. "
            f"Received: {len(splits) - 1:,} words, {len(ids):,} subwords."
        )
    is_wrong = (ids < 0) | (ids >= num_subwords)
    if is_wrong.any():
        place = int(is_wrong.argmax())
        word = int(np.searchsorted(splits, place, side="right")) - 1
        raise ValueError(
            f"`subwords` must be ids from 0 to {num_subwords - 1}. "
            f"Received: subwords[{word}][{place - splits[word]}]={ids[place]}."
        )
    return ids.astype(np.int32), splits.astype(np.int32)


def _words_of(subwords: Any) -> Iterable[Any]:
    if isinstance(subwords, str) or not isinstance(subwords, Iterable):
        raise TypeError(
            "`subwords` must have a list of ids for each word. "
            f"Received: subwords={shortened(subwords)}."
        )
    return subwords


def _list_of(word: int, subwords: Any) -> NDArray[np.int64]:
    ids = np.asarray(subwords)
    if ids.shape == (0,):
        return np.zeros(0, np.int64)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise TypeError(
            "`subwords` must have a list of integers for each word. "
            f"Received: subwords[{word}]={shortened(subwords)}."
        )
    return ids.astype(np.int64)
