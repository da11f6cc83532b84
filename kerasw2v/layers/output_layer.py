"""The contract of all output layers: from hidden vectors and target words to a loss."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.config_arrays import StoreWithout, array_config, find_array, is_reference
from kerasw2v.layers.kept_rows import KeptRows, kept_whole
from kerasw2v.layers.shapes import (
    as_before,
    check_blocks,
    check_hidden,
    flat_hidden,
    flat_values,
    has_axis_of_one,
)
from kerasw2v.layers.table_search import TableSearch
from kerasw2v.layers.tables import (
    add_table,
    check_shards,
    check_tie,
    is_in_use,
    tied_table,
    warn_of_lost_tie,
)
from kerasw2v.layers.top_k import UnpackTopK, pack
from kerasw2v.ops.ids import as_ids, as_weights, is_equal, one_sentence_errors
from kerasw2v.ops.rows import rows_at
from kerasw2v.ops.seeds import evaluation_draws, grown_seed, is_evaluating
from kerasw2v.ops.sharded_table import ShardedTable
from kerasw2v.ops.softmax_loss import sum_by_row, take_rows
from kerasw2v.ops.table_scores import FEWEST_ROWS, best_rows
from kerasw2v.utils.checks import check_counts, check_int


def _for_any_shape(method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method of hidden vectors `(n, d)` that takes `(..., d)`, and KerasTensors.

    The layer is built first if it is not.
    """

    @wraps(method)
    def call(self: "OutputLayer", hidden: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(hidden, keras.KerasTensor):
            # One more call of this layer: a model shares, saves and clones it as any other.
            k = arguments[0] if arguments else named.get("k")
            return self(hidden) if k is None else UnpackTopK()(self(hidden, packed_top_k=k))
        hidden = tf.convert_to_tensor(hidden)
        shape = check_hidden(hidden.shape, self.hidden_dim)
        if not self.built:
            self.build(shape)
        self._check_restored()
        return as_before(method(self, flat_hidden(hidden), *arguments, **named), hidden)

    return call


def _noting_width(build: Callable[..., None]) -> Callable[..., None]:
    """Returns a method `build` that also notes the width of hidden vectors."""

    @wraps(build)
    def build_and_note(self: "OutputLayer", hidden_shape: Any, *others: Any, **named: Any) -> None:
        build(self, hidden_shape, *others, **named)
        self.hidden_dim = hidden_shape[-1]

    return build_and_note


class OutputLayer(TableSearch):
    """Base class: scores hidden vectors against a vocabulary and returns losses.

    ```
    layer(hidden, targets)      (..., d), (...)  ->  (...)      loss of each hidden vector
    layer.log_probs(hidden)     (..., d)         ->  (..., V)   log-probabilities of all words
    layer.top_k(hidden, k)      (..., d)         ->  (..., k)   the best ids, and these of theirs
    ```

    `...` is any shape: `(rows,)`, `(batch, time)` and so on. `targets` may have a last dimension of
    one, as Keras' own losses allow. `weights`, of the shape of `targets`, multiply the losses.
    Positions that a Keras mask on `hidden` excludes, and those with the target `ignore_id`, have
    the loss 0 and no gradient; the losses carry a mask of the others, so that Keras' mean is a mean
    over these.

    All three take KerasTensors: `keras.Model(inputs, layer.top_k(hidden, 10))` is a model that
    shares the layer with the one that trains it. `layer(hidden)` is `layer.log_probs(hidden)`.

    Skip-gram has many targets for one hidden vector. The *block form* is made for it, and has names
    of its own:

    ```
    layer(hidden, candidates=ids, weights=weights)   (b, L, d), (b, C), (b, L, C)   -> (b, L)
    ```

    Row `(i, l)` sums `weights[i, l, c]` times the loss of target `candidates[i, c]`.

    With `training=False`, as in `evaluate`, layers that draw words report an exact loss
    (`NoiseLayer`). What is drawn nevertheless comes from a stream of its own: the same for the same
    targets, and without an effect on later training.

    A subclass sees flat shapes only. It implements `pair_loss` or `block_loss`, from which this
    class derives the other: blocks by writing out the pairs, pairs as blocks of one. It implements
    both where one hidden vector with many targets saves work. It implements `log_probs` for hidden
    vectors `(n, d)`, creates its weights in `build`,
    and reports row masses (`ops.row_mass.add_row_mass`) where it uses rows of a table, so that
    `kerasw2v.optimizers.RowSGD` can bound the steps of frequent rows. Weights may have any sign;
    masses count their absolute values.

    Args:
        counts: frequencies of the words by id, `(V,)`, in any order, also zeros; or V alone, all
            words equally frequent then.
        shards: number of shards of the table of output vectors, for one that is larger than a
            device, as in `EmbeddingLookup`; 1 only for layers that have no such table.
        ignore_id: targets with this id count nothing, such as padding: a word's id, or a number
            that is none, such as -1; None for no such id.
        embeddings: a `keras.layers.Embedding` or `EmbeddingLookup` of V rows, whose table the layer
            then shares ("tied" vectors) instead of having one of its own; None for its own. Only
            for layers with an output vector for each word.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden: float, `(..., d)`.
        targets: ids, `(...)` or `(..., 1)`.
        weights: float, `(...)` or `(..., 1)`; ones when None.
        mask: bool, `(...)`: False for hidden vectors that count nothing; Keras gives it.
        candidates: ids, `(b, C)`, in place of `targets`, for the block form.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies, `shards` is
            not from 1 to V, or `ignore_id` no integer; in a call, if shapes do not fit.
    """

    # Whether anything depends on the counts, beside their number.
    uses_counts = True
    # Whether the layer's output vectors are those of `add_output_vectors`.
    has_output_vectors = True
    # Whether these can be those of an embedding: row w is the vector of word w.
    can_tie = False
    # Whether a target costs more than a hidden vector. Skip-gram then makes the centres targets,
    # which are fewer than context words, and calls `shared_loss`.
    targets_are_costly = False

    def __init__(
        self,
        counts: ArrayLike,
        shards: int = 1,
        ignore_id: int | None = None,
        embeddings: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # weights of pairs stay float32
        self.supports_masking = True
        self._missing: dict[str, Any] = {}  # references in a config to arrays that are not here
        self.draw_name = type(self).__name__  # of its draws, see `ops.seeds.add_draw_state`
        self._counts = check_counts(counts)
        self.shards = check_shards(shards, len(self._counts))
        self.ignore_id = None if ignore_id is None else check_int("ignore_id", ignore_id, -(2**31))
        if shards > 1 and not self.has_output_vectors:
            raise ValueError(
                f"`shards` must be 1 for {type(self).__name__}, which has no table of output "
                f"vectors to divide. Received: shards={shards}."
            )
        self.tied_embeddings = check_tie(self, embeddings)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("log_probs", "top_k"):
            if name in vars(cls):
                setattr(cls, name, _for_any_shape(vars(cls)[name]))
        if "build" in vars(cls):
            cls.build = _noting_width(cls.build)

    @property
    def vocabulary_size(self) -> int:
        """Number of words, V."""
        return len(self._counts)

    @property
    def embeddings(self) -> Any:
        """The table of output vectors: the layer's own, or that of the embedding it is tied to."""
        if self.tied_embeddings is not None:
            return tied_table(self.tied_embeddings)
        return self._own_embeddings

    @embeddings.setter
    def embeddings(self, table: Any) -> None:
        self._own_embeddings = table

    def add_output_vectors(self, embedding_dim: int, rows: int | None = None) -> Any:
        """Creates the table of output vectors, zeros as in word2vec.c.

        Args:
            embedding_dim: width of a row, d.
            rows: number of rows; V when None.

        Returns:
            A Keras weight, or with `shards` an `ops.sharded_table.ShardedTable`; `gather_rows` and
            `add_row_mass` take either. None where an embedding's table is shared: then that is
            `embeddings`.
        """
        if self.tied_embeddings is not None:
            tied_table(self.tied_embeddings, embedding_dim)
            return None
        rows = self.vocabulary_size if rows is None else rows
        return add_table(self, (rows, embedding_dim), "zeros", self.shards)

    def add_fixed_table(self, name: str, values: np.ndarray) -> Any:
        """Creates a table that is not trained: saved with the weights, whatever its size."""
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: values,
            dtype=values.dtype.name,
            trainable=False,
            autocast=False,
            name=name,
        )

    @one_sentence_errors()
    def call(
        self,
        hidden: Any,
        targets: Any = None,
        weights: Any = None,
        mask: Any = None,
        candidates: Any = None,
        packed_top_k: int | None = None,
        training: bool | None = None,
        hidden_mask: Any = None,  # what Keras calls `mask` where there are targets too
    ) -> Any:
        self._check_restored()
        if targets is None and candidates is None:
            if packed_top_k is None:
                return self.log_probs(hidden)
            return pack(*self.top_k(hidden, packed_top_k))
        hidden = tf.cast(hidden, self.compute_dtype)
        check_hidden(hidden.shape, self.hidden_dim)
        mask = hidden_mask if mask is None else mask
        weights = None if weights is None else as_weights("weights", weights)
        if candidates is not None:
            candidates = tf.convert_to_tensor(candidates)
            return self._block_losses(hidden, candidates, weights, mask, training)
        targets = tf.convert_to_tensor(targets)
        if _are_blocks(hidden, targets, weights):
            return self._block_losses(hidden, targets, weights, mask, training)
        return self._pair_losses(hidden, targets, weights, mask, training)

    @one_sentence_errors()
    def compute_output_spec(
        self,
        hidden: Any,
        targets: Any = None,
        weights: Any = None,
        mask: Any = None,
        candidates: Any = None,
        packed_top_k: int | None = None,
        training: bool | None = None,
        hidden_mask: Any = None,
    ) -> Any:
        shape = check_hidden(tf.TensorShape(hidden.shape), self.hidden_dim)
        warn_of_lost_tie(self, self.tied_embeddings)
        leading = shape[:-1]
        if targets is not None or candidates is not None:
            if targets is not None and not _are_blocks(hidden, targets, weights):
                has_axis_of_one("targets", tuple(targets.shape), shape)
            return keras.KerasTensor(leading, "float32")
        if packed_top_k is None:
            return keras.KerasTensor((*leading, self.vocabulary_size), "float32")
        return keras.KerasTensor((*leading, 2 * self.checked_k(packed_top_k)), "int32")

    def _pair_losses(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: Any, mask: Any, training: bool | None
    ) -> tf.Tensor:
        """Returns the loss of each hidden vector, `(..., d), (...) -> (...)`."""
        targets, is_word = self._words("targets", flat_values("targets", targets, hidden))
        if weights is not None:
            weights = flat_values("weights", weights, hidden)
        counted = None if mask is None else flat_values("mask", tf.cast(mask, tf.bool), hidden)
        if is_word is not None:
            counted = is_word if counted is None else is_word & counted
        if counted is not None:
            weights = tf.ones_like(targets, tf.float32) if weights is None else weights
            weights = tf.where(counted, weights, 0.0)
        with evaluation_draws(targets) if training is False else nullcontext():
            if is_evaluating() and self.evaluates_exactly:
                blocks = as_blocks(flat_hidden(hidden), targets, weights)
                losses = tf.squeeze(self.exact_loss(*blocks), 1)
            else:
                losses = self.pair_loss(flat_hidden(hidden), targets, weights)
        losses = as_before(losses, hidden)
        if counted is not None:
            losses._keras_mask = as_before(counted, hidden)
        return losses

    def _block_losses(
        self, hidden: tf.Tensor, candidates: tf.Tensor, weights: Any, mask: Any, training: Any
    ) -> tf.Tensor:
        """Returns the loss of each hidden vector over its block, `(b, L)`."""
        check_blocks(hidden, candidates, weights)
        candidates, counted = self._words("candidates", candidates)
        if counted is not None:
            weights = tf.where(counted[:, None, :], weights, 0.0)
        if mask is not None:
            weights = tf.where(tf.cast(mask, tf.bool)[..., None], weights, 0.0)
        with evaluation_draws(candidates) if training is False else nullcontext():
            if is_evaluating() and self.evaluates_exactly:
                return self.exact_loss(hidden, candidates, weights)
            return self.block_loss(hidden, candidates, weights)

    def _words(self, name: str, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns ids with word 0 in place of `ignore_id`, and which are none; None for all."""
        if self.ignore_id is None:
            return as_ids(name, ids, self.vocabulary_size), None
        is_word = ~is_equal(ids, self.ignore_id)
        return as_ids(
            name, tf.where(is_word, ids, tf.zeros_like(ids)), self.vocabulary_size
        ), is_word

    def rows_together(self, rows: int, length: int, candidates: int) -> int:
        """Returns how many hidden vectors, one after the other, must not be parted.

        Parts of a batch of whole such groups have the losses of the whole, at the same cost; what
        is random has to come from `draw_noise`. All of them, unless a layer overrides it.

        Args:
            rows: hidden vectors in the batch.
            length: hidden vectors in a block.
            candidates: candidates of a block.
        """
        return rows

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns the loss of each (hidden, target) pair: `(rows, d), (rows,) -> (rows,)`."""
        if type(self).block_loss is OutputLayer.block_loss:
            raise NotImplementedError(
                f"{type(self).__name__} must implement `pair_loss` or `block_loss`."
            )
        return tf.squeeze(self.block_loss(*as_blocks(hidden, targets, weights)), 1)

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the weighted loss of each hidden vector over its block's candidates."""
        shape = tf.shape(weights)[:2]
        hidden, rows, targets, weights = as_pairs(hidden, candidates, weights)
        loss = self.pair_loss(take_rows(hidden, rows), targets, weights)
        return tf.reshape(sum_by_row(loss, rows, hidden), shape)

    def shared_loss(
        self, hidden: tf.Tensor, indices: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the summed loss of blocks that share hidden vectors.

        `sum(block_loss(hidden[indices], candidates, weights))`. Overridden by layers that can do
        a part of the work once for each hidden vector, however many blocks have it.

        Args:
            hidden: float, `(n, d)`.
            indices: int32, `(b, L)`, rows of `hidden`.
            candidates: int32, `(b, C)`.
            weights: float32, `(b, L, C)`.
        """
        return tf.reduce_sum(self.block_loss(rows_at(hidden, indices), candidates, weights))

    @property
    def evaluates_exactly(self) -> bool:
        """Whether `evaluate` reports `exact_loss` in place of the loss that is trained."""
        return False

    def exact_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns what `block_loss` estimates by drawing words: `(b, L)`."""
        return self.block_loss(hidden, candidates, weights)

    def target_mass(self, targets: tf.Tensor) -> tf.Tensor | float:
        """Returns the row mass that one target adds to its hidden vector.

        It bounds the curvature of the target's loss in logistic terms (see `ops.row_mass`):
        `SOFTMAX_TERM_MASS` for a softmax; one and the number of noise words for negative sampling.
        Broadcasts against `targets`.
        """
        return 1.0

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns exact log-probabilities of all words: `(..., d) -> (..., V)`.

        A subclass implements it for `(n, d)`; other shapes, KerasTensors, and building the layer if
        it is not yet built, are the base class's work.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `log_probs`.")

    @_for_any_shape
    def top_k(self, hidden: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the `k` most probable words of each hidden vector and their log-probabilities.

        Args:
            hidden: float, `(..., d)`.
            k: number of words.

        Returns:
            `(ids, scores)`, both `(..., k)`, best first.

        Raises:
            TypeError, ValueError: if `k` is not a number of words.
        """
        k, scores = self.checked_k(k), self.table_scores
        if scores is not None and self.vocabulary_size > FEWEST_ROWS:
            return best_rows(scores, tf.cast(hidden, tf.float32), k, with_normaliser=True)
        best, ids = tf.math.top_k(self.log_probs(hidden), k)
        return ids, best

    def _checked_targets(self, targets: tf.Tensor) -> tf.Tensor:
        """Returns the targets, checked; for layers that look up no rows by them."""
        size = self.vocabulary_size
        wrong = (targets < 0) | (targets >= size)
        first = tf.reduce_max(tf.where(wrong, targets, -(2**31)))
        message = f"`targets` must be word ids from 0 to {size - 1}. Received, among others:"
        check = tf.debugging.Assert(~tf.reduce_any(wrong), [message, first])
        with tf.control_dependencies([check] if check is not None else []):
            return tf.identity(targets)

    def compute_output_shape(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> tuple[int | None, ...]:
        return tuple(hidden_shape)[:-1]

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "counts": self._counts_config(),
            "shards": self.shards,
            "ignore_id": self.ignore_id,
            "embeddings": keras.saving.serialize_keras_object(self.tied_embeddings),
        }
        return self.complete(config)

    def trace_config(self) -> dict[str, Any]:
        """Returns what a traced step depends on, beside variables (see `model_traces`)."""
        return self.get_config()

    def _counts_config(self) -> Any:
        if not self._has_counts:
            return self.vocabulary_size
        counts = array_config(self, "counts")
        if is_reference(counts):  # what tells whether the layer has tables of the order
            counts["unsorted"] = bool((np.diff(self._counts) > 0).any())
        return counts

    def complete(self, config: dict[str, Any]) -> dict[str, Any]:
        """Returns a config with the references that could not be followed yet, unchanged."""
        return {**config, **self._missing}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        # Within a saved model this is the model's own embedding: Keras keeps shared objects.
        config["embeddings"] = keras.saving.deserialize_keras_object(config.get("embeddings"))
        missing = {}
        for name, value in config.items():
            if is_reference(value):
                config[name] = find_array(name, value)
                if config[name] is None:
                    missing[name] = value
        if "counts" in missing:  # others of the same order, until the weights are loaded
            size = missing["counts"]["shape"][0]
            config["counts"] = np.arange(size) + 1 if missing["counts"]["unsorted"] else size
        if isinstance(config["counts"], int):
            config["counts"] = np.ones(config["counts"])
        layer = cls(**config)
        layer._missing = missing
        return layer

    def grown(self, counts: NDArray[np.integer], ids: NDArray[np.integer]) -> Any:
        """Returns a layer like this one for a vocabulary that has grown, not built yet.

        Args:
            counts: frequencies of the words of that vocabulary, `(V',)`.
            ids: the id of each of them here, `(V',)`, -1 for a new word.

        Raises:
            ValueError: if the layer shares the table of an embedding.
        """
        if self.tied_embeddings is not None:
            raise ValueError(
                "`embeddings` must be None for an output layer that grows: the embedding that it "
                f"shares would not grow. Received: embeddings={self.tied_embeddings!r}."
            )
        return type(self).from_config(self._grown_config(counts, ids))

    def _grown_config(
        self, counts: NDArray[np.integer], ids: NDArray[np.integer]
    ) -> dict[str, Any]:
        config = self.get_config()
        config["counts"] = counts if self._has_counts else len(counts)
        if "seed" in config:
            config["seed"] = grown_seed(config["seed"], len(counts))
        return config

    def kept_rows(self, grown: Any, ids: NDArray[np.integer]) -> list[KeptRows]:
        """Returns the tables whose rows the layer from `grown`, once built, is to keep.

        Here tables with a row for each word are kept by word, those of the same shape as a whole.
        A layer whose tables are of another kind overrides this.

        Args:
            grown: that layer.
            ids: as given to `grown`.
        """
        kept = []
        for old, new in zip(self._trained_tables(), grown._trained_tables(), strict=True):
            if old.shape[0] == self.vocabulary_size:
                kept.append(KeptRows(old, new, ids))
            elif old.shape == new.shape:
                kept.append(kept_whole(old, new))
        return kept

    def _trained_tables(self) -> list[Any]:
        """Returns the trained weights, a table in shards as one."""
        own = getattr(self, "_own_embeddings", None)
        if not isinstance(own, ShardedTable):
            return list(self.trainable_variables)
        parts = {id(part) for part in own.parts}
        return [own, *(each for each in self.trainable_variables if id(each) not in parts)]

    def array_argument(self, name: str) -> np.ndarray:
        """Returns the array that an argument stands for, to put into a config."""
        return self._counts

    def arrays_restored(self, missing: dict[str, Any], has_counts: bool) -> None:
        """Takes over arrays that came with the weights; a subclass with such arguments does so.

        Args:
            missing: arguments that the config had by reference only.
            has_counts: whether counts came too; files of earlier versions have none.
        """

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self._has_counts:
            store["counts"] = self._counts

    def load_own_variables(self, store: Any) -> None:
        has_counts = "counts" in store.keys()  # noqa: SIM118
        if has_counts:
            self._counts = np.asarray(store["counts"], np.float64)
        super().load_own_variables(StoreWithout(store, "counts"))
        self.arrays_restored(self._missing, has_counts)
        self._missing = {}

    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights)
        self.arrays_restored(self._missing, True)
        self._missing = {}

    @property
    def _has_counts(self) -> bool:
        return self.uses_counts and bool((self._counts != 1).any())

    def _check_restored(self) -> None:
        if self._missing and self.built and is_in_use(self.weights[0]):
            names = " and ".join(f"`{name}`" for name in self._missing)
            raise ValueError(
                f"{names} must be given, or come with weights, before {self.name} is used: its "
                "config has no more than their digest. Received: a config without weights."
            )


def _are_blocks(hidden: Any, targets: Any, weights: Any) -> bool:
    """Returns whether a call without names is of the block form: weights have an axis C to sum."""
    if weights is None:
        return False
    if [tf.TensorShape(x.shape).rank for x in (hidden, targets, weights)] != [3, 2, 3]:
        return False
    blocks = tf.TensorShape([*hidden.shape[:2], targets.shape[1]])
    return bool(blocks.is_compatible_with(tuple(weights.shape)))


def as_blocks(
    hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns pairs as blocks of one hidden vector and one candidate each."""
    weights = tf.ones_like(targets, tf.float32) if weights is None else weights
    return tf.expand_dims(hidden, 1), targets[:, None], weights[:, None, None]


def as_pairs(
    hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the pairs of blocks whose weight is not zero.

    Returns:
        The hidden vectors, `(b * L, d)`; and of each pair the row of its hidden vector among them,
        int32, ascending; its target, int32; and its weight.
    """
    pairs = tf.where(weights != 0)
    block, row, candidate = tf.unstack(tf.cast(pairs, tf.int32), axis=1)
    rows = block * tf.shape(weights)[1] + row
    targets = tf.gather_nd(candidates, tf.stack([block, candidate], axis=1))
    hidden = tf.reshape(hidden, [-1, hidden.shape[-1]])
    return hidden, rows, targets, tf.gather_nd(weights, pairs)


@keras.saving.register_keras_serializable("kerasw2v")
def outputs_are_losses(targets: Any, losses: Any) -> Any:
    """Returns the model's outputs: the `loss` of a Keras model that ends in an output layer.

    Unlike a lambda it can be saved with the model.

    Args:
        targets: ignored; the output layer has them as an input.
        losses: what the model returns.

    Example:

    >>> import keras
    >>> from kerasw2v import layers
    >>> hidden, targets = keras.Input((4,)), keras.Input((), dtype="int32")
    >>> model = keras.Model([hidden, targets], layers.FullSoftmax(10)(hidden, targets))
    >>> model.compile(loss=layers.outputs_are_losses)
    """
    return losses
