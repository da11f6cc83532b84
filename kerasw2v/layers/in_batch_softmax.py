"""A softmax over the candidates of the batch, for two towers."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.config_arrays import array_config, find_array, is_reference
from kerasw2v.layers.streaming_probabilities import StreamingProbabilities
from kerasw2v.ops.ids import as_ids, one_sentence_errors
from kerasw2v.ops.in_batch import in_batch_loss
from kerasw2v.ops.streaming_counts import inclusion_probabilities
from kerasw2v.ops.table_scores import unit_vectors
from kerasw2v.utils.checks import check_choice, check_positive

SIMILARITIES = ("dot", "cosine")
_SMALLEST = 1e-30  # of a probability


@keras.saving.register_keras_serializable("kerasw2v")
class InBatchSoftmax(keras.layers.Layer):
    """Softmax of each query over the candidates of its batch: the loss of two towers.

    Query i belongs to candidate i; the candidates of the others are its negatives. With
    `s_ij = queries[i] . candidates[j] / temperature`, or the cosine divided by it,

    `loss_i = -t_ii + log sum_j exp(t_ij)`, `t_ij = s_ij - log P_j`.

    A popular item is a negative more often. `P_j`, the probability of item j to be in a batch,
    corrects this (the *log-Q correction*): at the optimum the scores are those of the full softmax
    over all items, and with all items in the batch the loss is the full softmax. P comes from
    `sampling`, or is given with each batch. Without either, scores are those of the softmax less
    the items' log-frequencies.

    With `ids`, another candidate with the id of the query's own (an *accidental hit*) is no
    negative of it. `P` is about a set of items, so with a correction the m copies of an item in a
    batch count `1 / m` each.

    The loss depends on the batch, in `evaluate` too. For validation use the metrics of
    `kerasw2v.metrics` with `Candidates`, which know all items.

    Args:
        temperature: divides the scores; .05 to .2 with cosines, which are at most 1 otherwise.
        similarity: `"dot"` or `"cosine"`.
        sampling: where P comes from: None for no correction; counts of the items by id, `(V,)`, in
            any order, for `P = 1 - (1 - counts / sum) ** m` of m candidates; or a
            `StreamingProbabilities`, which learns it from the batches.
        remove_accidental_hits: False to keep accidental hits as negatives.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        queries: `(n, d)`.
        candidates: `(m, d)`, m >= n: those from n on are further negatives, of all queries.
        ids: integers `(m,)` or `(m, 1)`, the candidates' items; None if they are not known.
        probabilities: float `(m,)`, P itself, in place of `sampling`.

    Returns:
        float32 `(n,)`, the loss of each query.

    Raises:
        TypeError, ValueError: if `temperature` is not positive, `similarity` is unknown, or
            `sampling` is none of these; in a call, if there is no id for each candidate where
            `sampling` needs it, or both it and `probabilities` are given.

    Cost: `O(n m d)` a step in matrix products, `O(n m)` numbers and comparisons. None of it grows
    with the number of items; no parameters.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import InBatchSoftmax
    >>> layer = InBatchSoftmax(sampling=[6, 3, 1])
    >>> users, items = np.ones((2, 4), "float32"), np.ones((2, 4), "float32")
    >>> layer(users, items, np.array([0, 2])).numpy().round(3)
    array([1.69 , 0.204], dtype=float32)

    Source: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
    recommendations", 2019; the set of candidates: Jean et al., "On using very large target
    vocabulary for neural machine translation", 2015.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        similarity: str = "dot",
        sampling: ArrayLike | StreamingProbabilities | None = None,
        remove_accidental_hits: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.temperature = check_positive("temperature", temperature)
        self.similarity = check_choice("similarity", similarity, SIMILARITIES)
        self.sampling = _checked_sampling(sampling)
        self.remove_accidental_hits = bool(remove_accidental_hits)
        self._missing: dict[str, Any] | None = None  # what a config has of counts not here yet

    def build(
        self, queries_shape: Any, candidates_shape: Any = None, ids_shape: Any = None
    ) -> None:
        if isinstance(self.sampling, np.ndarray):
            shares = (self.sampling / self.sampling.sum()).astype(np.float32)
            self._frequencies = self.add_weight(
                shape=shares.shape,
                initializer=lambda shape, dtype: tf.constant(shares),
                dtype="float32",
                trainable=False,
                autocast=False,
                name="frequencies",
            )
        self.built = True

    @one_sentence_errors()
    def call(
        self,
        queries: Any,
        candidates: Any,
        ids: Any = None,
        probabilities: Any = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        queries = tf.cast(queries, self.compute_dtype)
        candidates = tf.cast(candidates, self.compute_dtype)
        _check_shapes(queries, candidates)
        ids = None if ids is None else _flat("ids", ids, candidates)
        offsets = self._log_probabilities(candidates, ids, probabilities, training)
        own_offsets, hits = offsets[: tf.shape(queries)[0]], None
        if ids is not None and self.remove_accidental_hits:
            same = tf.equal(ids[:, None], ids[None, :])
            hits = same[: tf.shape(queries)[0]]
            if self.sampling is not None or probabilities is not None:
                copies = tf.reduce_sum(tf.cast(same, tf.float32), axis=0)
                offsets += tf.math.log(copies)
        if self.similarity == "cosine":
            queries, candidates = unit_vectors(queries), unit_vectors(candidates)
        return in_batch_loss(queries / self.temperature, candidates, offsets, own_offsets, hits)

    def _log_probabilities(
        self, candidates: tf.Tensor, ids: tf.Tensor | None, probabilities: Any, training: Any
    ) -> tf.Tensor:
        """Returns the logarithm of each candidate's P, `(m,)`; zeros without a correction."""
        number = tf.shape(candidates)[0]
        if probabilities is not None:
            if self.sampling is not None:
                raise ValueError(
                    "`probabilities` must not be given to a layer that has `sampling`. "
                    f"Received: sampling={self.sampling!r}."
                )
            chances = _flat("probabilities", probabilities, candidates)
        elif self.sampling is None:
            return tf.zeros([number])
        elif ids is None:
            raise ValueError("`ids` must be given to a layer with `sampling`. Received: ids=None.")
        elif isinstance(self.sampling, StreamingProbabilities):
            chances = self.sampling(ids, training=training)
        elif self._missing is not None:
            raise ValueError(
                f"`sampling` must be given, or come with weights, before {self.name} is used: its "
                "config has no more than the digest. Received: a config without weights."
            )
        else:
            items = as_ids("ids", ids, len(self.sampling))
            shares = tf.gather(self._frequencies.value, items)
            chances = inclusion_probabilities(shares, number)
        return tf.math.log(tf.maximum(tf.cast(chances, tf.float32), _SMALLEST))

    def compute_output_spec(self, queries: Any, *others: Any, **named: Any) -> keras.KerasTensor:
        return keras.KerasTensor(queries.shape[:1], "float32")

    def get_config(self) -> dict[str, Any]:
        sampling: Any = self.sampling
        if isinstance(sampling, np.ndarray):
            sampling = self._missing or array_config(self, "sampling")
        elif sampling is not None:
            sampling = keras.saving.serialize_keras_object(sampling)
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "similarity": self.similarity,
            "sampling": sampling,
            "remove_accidental_hits": self.remove_accidental_hits,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InBatchSoftmax":
        sampling, missing = config["sampling"], None
        if is_reference(sampling):
            found = find_array("sampling", sampling)
            missing = sampling if found is None else None
            sampling = np.ones(sampling["shape"]) if found is None else found
        elif isinstance(sampling, dict):
            sampling = keras.saving.deserialize_keras_object(sampling)
        layer = cls(**{**config, "sampling": sampling})
        layer._missing = missing
        return layer

    def array_argument(self, name: str) -> NDArray[np.float64]:
        """Returns the counts, to put into a config."""
        return np.asarray(self.sampling)

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self._restore_sampling()

    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights)
        self._restore_sampling()

    def _restore_sampling(self) -> None:
        if self._missing is not None:
            self.sampling = np.asarray(self._frequencies.numpy(), np.float64)
            self._missing = None


def _checked_sampling(sampling: Any) -> NDArray[np.float64] | StreamingProbabilities | None:
    """Returns where probabilities come from: counts by id, a layer, or nothing."""
    if sampling is None or isinstance(sampling, StreamingProbabilities):
        return sampling
    try:
        counts = np.asarray(sampling, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "`sampling` must be counts, a kerasw2v.layers.StreamingProbabilities or None. "
            f"Received: sampling={sampling!r}."
        ) from error
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any() or not counts.any():
        raise ValueError(
            "`sampling` must be a vector of counts, finite, not negative and not all zero. "
            f"Received: shape={counts.shape}, sampling={sampling!r:.80}."
        )
    return counts


def _check_shapes(queries: tf.Tensor, candidates: tf.Tensor) -> None:
    shapes = queries.shape, candidates.shape
    if [shape.rank for shape in shapes] != [2, 2] or not shapes[0][1:].is_compatible_with(
        shapes[1][1:]
    ):
        raise ValueError(
            "`queries` and `candidates` must have shapes (n, d) and (m, d). "
            f"Received: {shapes[0]}, {shapes[1]}."
        )
    numbers = shapes[0][0], shapes[1][0]
    message = "`candidates` must be at least as many as `queries`."
    if None not in numbers:
        if numbers[0] > numbers[1]:
            raise ValueError(f"{message} Received: {numbers[1]} and {numbers[0]}.")
    else:
        tf.debugging.assert_less_equal(tf.shape(queries)[0], tf.shape(candidates)[0], message)


def _flat(name: str, values: Any, candidates: tf.Tensor) -> tf.Tensor:
    """Returns one value for each candidate: `(m,)` or `(m, 1)` to `(m,)`."""
    values = tf.convert_to_tensor(values)
    shape = values.shape[:1] if values.shape[1:] == [1] else values.shape
    if shape.is_compatible_with(candidates.shape[:1]):
        return tf.reshape(values, [-1])
    raise ValueError(
        f"`{name}` must have shape (m,) for m candidates. "
        f"Received: {name} of shape {values.shape}, candidates of shape {candidates.shape}."
    )
