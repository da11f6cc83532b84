"""Metrics of models with many classes: exact, over all of them, in bounded memory."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasw2v.ops.ids import NO_WORD, as_ids, is_equal
from kerasw2v.utils.checks import check_int

__all__ = ["NDCG", "MeanReciprocalRank", "Perplexity", "RecallAtK", "TopKAccuracy"]


class _RowMean(keras.metrics.Metric):
    """Weighted mean of a value of each example, summed in float64.

    A subclass implements `values`. It is fed by a layer that scores, or without one by its results.
    """

    def __init__(self, layer: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        if layer is not None and not hasattr(layer, "target_log_probs"):
            raise TypeError(
                f"`layer` must be an output layer, Candidates or None. Received: layer={layer!r}."
            )
        self.layer = layer
        self.lost_layer: str | None = None  # the name of one that was not saved with the metric
        self._total = self.add_variable((), "zeros", dtype="float64", name="total")
        self._weight = self.add_variable((), "zeros", dtype="float64", name="weight")

    def bind(self, layer: Any) -> None:
        """Gives a metric that was saved without its layer the layer of that name."""
        self.layer, self.lost_layer = layer, None

    def values(self, targets: tf.Tensor, outputs: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Returns the value of each example, `(n,)`.

        Args:
            targets: ids `(n, r)`, zero where they are not `present`.
            outputs: hidden vectors `(n, d)`; without a layer `(n, m)` or `(n,)`.
            present: bool `(n, r)`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `values`.")

    def _examples(self, targets: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns targets `(n, r)` and outputs `(n, d)`, from any leading shape."""
        ranks = targets.shape.rank, outputs.shape.rank
        if None in ranks or ranks[0] not in (ranks[1], ranks[1] - 1) or ranks[1] < 2:
            raise ValueError(
                "`y_true` and `y_pred` must have shapes (...) or (..., r), and (..., d). "
                f"Received: {targets.shape}, {outputs.shape}."
            )
        number = targets.shape[-1] if ranks[0] == ranks[1] else 1
        if not targets.shape[: ranks[1] - 1].is_compatible_with(outputs.shape[:-1]):
            raise ValueError(
                "`y_true` and `y_pred` must have as many examples. "
                f"Received: {targets.shape}, {outputs.shape}."
            )
        return tf.reshape(targets, [-1, number]), tf.reshape(outputs, [-1, outputs.shape[-1]])

    def _targets(self, y_true: Any) -> tf.Tensor:
        """Returns the ids of targets, negative where there is none."""
        ids = tf.convert_to_tensor(y_true)
        if (ignored := getattr(self.layer, "ignore_id", None)) is not None:
            ids = tf.cast(ids, tf.int64) if ids.dtype.is_integer else ids  # to hold -1
            ids = tf.where(is_equal(ids, ignored), -tf.ones_like(ids), ids)
        size = NO_WORD if self.layer is None else self.layer.vocabulary_size
        return as_ids("y_true", ids, size, lowest=None)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds examples.

        Args:
            y_true: ids of the targets, `(...)` or `(..., r)`. Negative ids, and the layer's
                `ignore_id`, are no targets; an example without any counts nothing.
            y_pred: what the class says, `(..., d)`.
            sample_weight: float `(...)`; ones when None.
        """
        if self.lost_layer is not None:
            raise ValueError(
                f"The metric {self.name!r} was saved without its layer {self.lost_layer!r}: call "
                "`compile` again, with metrics of this model's own layers."
            )
        outputs = tf.convert_to_tensor(y_pred)
        mask = getattr(y_pred, "_keras_mask", None)
        targets, outputs = self._examples(self._targets(y_true), outputs)
        present = targets >= 0
        if mask is not None:
            present &= tf.reshape(tf.cast(mask, tf.bool), [-1, 1])
        values = tf.cast(self.values(tf.where(present, targets, 0), outputs, present), tf.float64)
        weights = tf.cast(tf.reduce_any(present, axis=1), tf.float64)
        if sample_weight is not None:
            weights *= tf.reshape(tf.cast(sample_weight, tf.float64), [-1])
        # Not multiplied by zero: what does not count may be no number.
        self._total.assign_add(tf.reduce_sum(tf.where(weights != 0, weights * values, 0.0)))
        self._weight.assign_add(tf.reduce_sum(weights))

    def result(self) -> tf.Tensor:
        mean = tf.math.divide_no_nan(self._total.value, self._weight.value)
        return tf.cast(mean, tf.float32)

    def get_config(self) -> dict[str, Any]:
        # Not the layer: Keras (3.15) would load a copy apart from the model's, without its weights.
        name = self.lost_layer if self.layer is None else self.layer.name
        return {**super().get_config(), "layer": name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        metric = cls(**{**config, "layer": None})
        metric.lost_layer = config["layer"]
        return metric


@keras.saving.register_keras_serializable("kerasw2v")
class Perplexity(_RowMean):
    """`exp` of the mean loss: `exp(-mean log p(target))`, exact over all words.

    Args:
        layer: an output layer, and `y_pred` are hidden vectors `(..., d)`; None, and `y_pred` are
            losses `(...)`, the outputs of a model that ends in an output layer.
        name, dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: if `layer` is no output layer.

    Cost: `O(V d)` for each target, in chunks of bounded memory; no more than the loss itself where
    that is exact at less (adaptive, class-based, hierarchical softmax).

    Example:

    >>> import numpy as np
    >>> from kerasw2v import layers, metrics
    >>> layer = layers.FullSoftmax(50)
    >>> layer.build((None, 4))
    >>> perplexity = metrics.Perplexity(layer)
    >>> perplexity.update_state(np.array([3, 7]), np.ones((2, 4), "float32"))
    >>> round(float(perplexity.result()), 3)  # all words are equal before training
    50.0
    """

    def __init__(self, layer: Any = None, name: str = "perplexity", dtype: Any = None) -> None:
        super().__init__(layer, name, dtype)

    def _examples(self, targets: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.layer is None:
            return tf.reshape(targets, [-1, 1]), tf.reshape(outputs, [-1])
        targets, outputs = super()._examples(targets, outputs)
        if targets.shape[1] != 1:
            raise ValueError(
                f"`y_true` must be one target an example. Received: {targets.shape[1]}."
            )
        return targets, outputs

    def values(self, targets: tf.Tensor, outputs: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        if self.layer is None:
            return outputs
        return -self.layer.target_log_probs(outputs, targets[:, 0])

    def result(self) -> tf.Tensor:
        mean = tf.math.divide_no_nan(self._total.value, self._weight.value)
        return tf.cast(tf.exp(mean), tf.float32)


class _RankMetric(_RowMean):
    """Mean of a function of the places of the targets among all candidates, from 1."""

    def __init__(self, layer: Any, k: int | None, name: str, dtype: Any = None) -> None:
        if hasattr(k, "target_log_probs"):
            raise TypeError(
                f"`layer` must be given by name, {type(self).__name__}(layer=...), or after `k`. "
                "Received: a layer as `k`."
            )
        super().__init__(layer, name, dtype)
        self.k = None if k is None else check_int("k", k, minimum=1)

    def values(self, targets: tf.Tensor, outputs: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        if self.layer is None:
            ranks = self._ranks_in_lists(as_ids("y_pred", outputs, NO_WORD, None), targets)
        else:
            ranks = tf.cast(self.layer.ranks(outputs, targets), tf.float32)
        return self.values_of_ranks(tf.where(present, ranks, np.inf), present)

    def _ranks_in_lists(self, ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Returns the places of targets `(n, r)` in lists `(n, m)`; infinity if they are absent."""
        length = ids.shape[1]
        if self.k is not None and length is not None and self.k > length:
            raise ValueError(
                f"`y_pred` must list at least k = {self.k} ids an example. Received: {length}."
            )
        same = targets[:, :, None] == ids[:, None, :]
        first = tf.cast(tf.argmax(same, axis=-1), tf.float32) + 1.0
        return tf.where(tf.reduce_any(same, axis=-1), first, np.inf)

    def values_of_ranks(self, ranks: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Returns the value of each example, from `(n, r)`: infinity for targets not present."""
        raise NotImplementedError(f"{type(self).__name__} must implement `values_of_ranks`.")

    def _among_k(self, ranks: tf.Tensor) -> tf.Tensor:
        among = ranks < np.inf if self.k is None else ranks <= self.k
        return tf.cast(among, tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


@keras.saving.register_keras_serializable("kerasw2v")
class TopKAccuracy(_RankMetric):
    """Share of the examples with a target among the k best candidates ("hit rate").

    Args:
        k: how many of the best candidates count.
        layer: an output layer or `Candidates`, and `y_pred` are hidden vectors `(..., d)`; None,
            and `y_pred` are ids `(..., m)`, best first: of `top_k`, or of an approximate index.
        name: `"top_<k>_accuracy"` when None.
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError, ValueError: if `k` is not a positive integer, or `layer` is none that scores; in
            an update, if shapes do not fit, or fewer than k ids are listed.

    Cost: `O(V d)` for each example, in chunks of bounded memory; from lists `O(m)`.

    Example:

    >>> import numpy as np
    >>> from kerasw2v import metrics
    >>> accuracy = metrics.TopKAccuracy(k=2)
    >>> accuracy.update_state(np.array([4, 5]), np.array([[7, 4, 5], [7, 4, 5]]))
    >>> float(accuracy.result())
    0.5
    """

    def __init__(
        self, k: int = 10, layer: Any = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(layer, k, name or f"top_{k}_accuracy", dtype)

    def values_of_ranks(self, ranks: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(self._among_k(ranks), axis=1)


@keras.saving.register_keras_serializable("kerasw2v")
class RecallAtK(_RankMetric):
    """Share of each example's targets that are among the k best candidates.

    Args:
        k: how many of the best candidates count.
        layer, dtype: as in `TopKAccuracy`.
        name: `"recall_at_<k>"` when None.

    Raises:
        TypeError, ValueError: as in `TopKAccuracy`.

    Cost: as of `TopKAccuracy`; `O(r V)` comparisons for r targets.

    Example:

    >>> import numpy as np
    >>> from kerasw2v import metrics
    >>> recall = metrics.RecallAtK(k=2)
    >>> recall.update_state(np.array([[4, 5], [7, -1]]), np.array([[7, 4, 5], [7, 4, 5]]))
    >>> float(recall.result())
    0.75
    """

    def __init__(
        self, k: int = 10, layer: Any = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(layer, k, name or f"recall_at_{k}", dtype)

    def values_of_ranks(self, ranks: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        targets = tf.reduce_sum(tf.cast(present, tf.float32), axis=1)
        return tf.math.divide_no_nan(tf.reduce_sum(self._among_k(ranks), axis=1), targets)


@keras.saving.register_keras_serializable("kerasw2v")
class MeanReciprocalRank(_RankMetric):
    """Mean of `1 / rank` of each example's best target; 0 for one that is not among the k best.

    Args:
        k: how many of the best candidates count; all of them, or all that are listed, when None.
        layer, dtype: as in `TopKAccuracy`.
        name: `"mean_reciprocal_rank"` when None, with `"_at_<k>"` if `k` is given.

    Raises:
        TypeError, ValueError: as in `TopKAccuracy`.

    Cost: as of `RecallAtK`.

    Example:

    >>> import numpy as np
    >>> from kerasw2v import metrics
    >>> mrr = metrics.MeanReciprocalRank()
    >>> mrr.update_state(np.array([4, 7]), np.array([[7, 4, 5], [7, 4, 5]]))
    >>> float(mrr.result())
    0.75
    """

    def __init__(
        self, k: int | None = None, layer: Any = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(layer, k, name or "mean_reciprocal_rank" + _at(k), dtype)

    def values_of_ranks(self, ranks: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(self._among_k(ranks) / ranks, axis=1)


@keras.saving.register_keras_serializable("kerasw2v")
class NDCG(_RankMetric):
    """Normalised discounted cumulative gain: targets gain 1, discounted by their rank.

    `sum_t 1 / log2(rank_t + 1)` over an example's targets among the k best, divided by what they
    would gain in the first places. The targets of an example are different ids.

    Args:
        k: how many of the best candidates count; all of them, or all that are listed, when None.
        layer, dtype: as in `TopKAccuracy`.
        name: `"ndcg"` when None, with `"_at_<k>"` if `k` is given.

    Raises:
        TypeError, ValueError: as in `TopKAccuracy`.

    Cost: as of `RecallAtK`.

    Example:

    >>> import numpy as np
    >>> from kerasw2v import metrics
    >>> ndcg = metrics.NDCG(k=3)
    >>> ndcg.update_state(np.array([[7, 5]]), np.array([[7, 4, 5]]))
    >>> round(float(ndcg.result()), 4)  # (1 + 1 / log2(4)) / (1 + 1 / log2(3))
    0.9197

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002.
    """

    def __init__(
        self, k: int | None = None, layer: Any = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(layer, k, name or "ndcg" + _at(k), dtype)

    def values_of_ranks(self, ranks: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        gains = tf.reduce_sum(self._among_k(ranks) * _discounts(ranks), axis=1)
        places = tf.cumsum(tf.cast(present, tf.float32), axis=1)  # the first as many as there are
        places = tf.where(present, places, np.inf)
        best = tf.reduce_sum(self._among_k(places) * _discounts(places), axis=1)
        return tf.math.divide_no_nan(gains, best)


def _at(k: int | None) -> str:
    return "" if k is None else f"_at_{k}"


def _discounts(ranks: tf.Tensor) -> tf.Tensor:
    return np.log(2.0).astype(np.float32) / tf.math.log(ranks + 1.0)
