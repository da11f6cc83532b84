"""The adaptive softmax: a full-width head, and ever narrower tails for rare words."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.layers.frequency_order import FrequencyOrder, warn_without_counts
from kerasw2v.layers.kept_rows import KeptRows, kept_range, kept_whole, source_ranks
from kerasw2v.layers.output_layer import OutputLayer, as_pairs
from kerasw2v.layers.tables import check_table
from kerasw2v.ops.cost_fit import fit_cost_model
from kerasw2v.ops.cutoffs import CostModel, StepCost, plan_cutoffs, tail_dim
from kerasw2v.ops.noise import ids_by_frequency
from kerasw2v.ops.row_mass import SOFTMAX_TERM_MASS, add_row_mass, term_mass
from kerasw2v.ops.seeds import named_seed
from kerasw2v.ops.softmax_loss import softmax_loss, sum_by_row, take_rows
from kerasw2v.utils.checks import check_finite, check_int, check_seed


@keras.saving.register_keras_serializable("kerasw2v")
class AdaptiveSoftmax(OutputLayer):
    """Softmax over frequent words and clusters of rare ones, then over a cluster's words.

    `log P(w) = head[w]` for the `cutoffs[0]` most frequent words, and `head[cluster] + tail[w]` for
    the others. `head` is a log-softmax over those words and one class for each cluster, `tail` one
    over the cluster's words, from the hidden vector projected to a smaller width. A tail is
    computed only for the hidden vectors that have a target in it.

    With `cutoffs=None`, `build` chooses the number and the sizes of the clusters: it fits a cost
    model to half a second of timing on the device in use, once in a process, and takes the cheapest
    plan by dynamic programming over the counts. `ops.cutoffs.describe_plan` and `plots.plot_plan`
    show both. Timings vary: pass `cost_model` or `cutoffs` to get the same layer everywhere. The
    config of a built layer has the cutoffs that were chosen.

    Args:
        counts: frequencies of the words by id, in any order, `(V,)`; or V alone, all words
            equally frequent then. They matter for the plan only, and should be the frequencies
            that targets have: after subsampling, if words are subsampled.
        cutoffs: first word of the first tail, of the second and so on, ascending, from 1 to V - 1;
            `[]` for a full softmax; chosen by `ops.cutoffs.plan_cutoffs` when None.
        div_value: how much narrower each tail is than the one before; the first is `d / div_value`.
        min_projection_dim: smallest width of a tail (d if that is smaller). Below 16 the
            exponentials dominate the cost, so narrower tails lose accuracy for nothing.
        batch_size: hidden vectors in a step, for planning the cutoffs.
        cost_model: a `kerasw2v.ops.cutoffs.CostModel` for planning; fitted by timing when None. Not
            part of the config.
        seed: seed of the initial projections; drawn from `keras.utils.set_random_seed` when None.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError, ValueError: if `counts` are not frequencies, `cutoffs` do not
            ascend or exceed the vocabulary, `div_value` is below 1, or a size is not positive.
        tf.errors.InvalidArgumentError: in a step, if a target is not in the vocabulary.

    Cost: with `J` tails of `k_i` words and width `d_i`, which hold a share `p_i` of the targets,
    `O(rows (k_0 + J) d + sum_i rows p_i (k_i d_i + d d_i))` per step, forward and backward, and
    dense gradients; the block form computes one normaliser for each hidden vector and tail, however
    many targets it has there. `(k_0 + J) d + sum_i (k_i + d) d_i` parameters. The number of rows of
    a tail varies from step to step, so the layer cannot run under `jit_compile=True`.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import AdaptiveSoftmax
    >>> layer = AdaptiveSoftmax(counts=[9, 7, 2, 1, 1], cutoffs=[2], seed=1)
    >>> layer(np.ones((2, 4), "float32"), np.array([0, 3])).numpy().round(4)
    array([1.0986, 2.1972], dtype=float32)

    Source: Grave et al., "Efficient softmax approximation for GPUs", 2017.
    """

    has_output_vectors = False
    has_cheap_log_probs = True

    def __init__(
        self,
        counts: ArrayLike,
        cutoffs: Sequence[int] | None = None,
        div_value: float = 4.0,
        min_projection_dim: int = 16,
        batch_size: int = 4096,
        cost_model: CostModel | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(counts, **kwargs)
        warn_without_counts(self, counts)
        self.cutoffs = None if cutoffs is None else _check_cutoffs(cutoffs, self.vocabulary_size)
        self.div_value = check_finite("div_value", div_value)
        if self.div_value < 1:
            raise ValueError(f"`div_value` must be at least 1. Received: div_value={div_value}.")
        self.min_projection_dim = check_int("min_projection_dim", min_projection_dim, minimum=1)
        self.batch_size = check_int("batch_size", batch_size, minimum=1)
        self.cost_model = cost_model
        self.seed = check_seed("seed", seed)
        self.supports_jit = False

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        dim = hidden_shape[-1]
        if self.cutoffs is None:
            self.cutoffs = plan_cutoffs(np.sort(self._counts)[::-1], self._step_cost(dim))
        self._order = FrequencyOrder(self, ids_by_frequency(self._counts))
        self._edges = [*self.cutoffs, self.vocabulary_size]
        self._shortlist = self._edges[0]
        sizes = [end - start for start, end in pairwise(self._edges)]
        clusters = len(sizes)
        widths = [
            tail_dim(i, dim, self.div_value, self.min_projection_dim) for i in range(clusters)
        ]
        self.head = self._add_table("head", (self._shortlist + clusters, dim))
        # In a chain of two tables one must not start at zero, or neither would ever move.
        self.projections = [
            self._add_table(
                f"projection_{i}",
                (dim, width),
                keras.initializers.GlorotUniform(named_seed(self.seed, f"projection {i}")),
            )
            for i, width in enumerate(widths)
        ]
        self.tails = [
            self._add_table(f"tail_{i}", (size, width))
            for i, (size, width) in enumerate(zip(sizes, widths, strict=True))
        ]
        self.built = True

    def _step_cost(self, embedding_dim: int) -> StepCost:
        return StepCost(
            self.cost_model or fit_cost_model(embedding_dim),
            embedding_dim,
            self.batch_size,
            self.div_value,
            self.min_projection_dim,
        )

    def _add_table(self, name: str, shape: tuple[int, int], initializer: Any = "zeros") -> Any:
        check_table(*shape)
        return self.add_weight(shape=shape, initializer=initializer, autocast=False, name=name)

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        if weights is None:
            weights = tf.ones_like(targets, tf.float32)
        return self._loss(hidden, tf.range(tf.shape(hidden)[0]), targets, weights)

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
        targets = self._order.ranks(self._checked_targets(targets))
        cluster = self._cluster(targets)  # 0 for the shortlist, then 1, 2 ...
        classes = tf.where(cluster == 0, targets, self._shortlist - 1 + cluster)
        loss = _table_loss(self.head, hidden, rows, classes, weights)
        for i in range(len(self.tails)):
            members = tf.where((cluster == i + 1) & (weights != 0))[:, 0]
            tail_rows, positions = _merge_repeats(tf.gather(rows, members))
            words = tf.gather(targets, members) - self._edges[i]
            tail_weights = tf.gather(weights, members)
            tail_hidden = take_rows(hidden, tail_rows)
            self._add_projection_mass(i, tail_weights, positions, tail_hidden)
            narrow = self._project(i, tail_hidden)
            tail_loss = _table_loss(self.tails[i], narrow, positions, words, tail_weights)
            loss += sum_by_row(tail_loss, tail_rows, hidden)
        return loss

    def _cluster(self, targets: tf.Tensor) -> tf.Tensor:
        reached = [tf.cast(targets >= edge, tf.int32) for edge in self._edges[:-1]]
        return tf.add_n([tf.zeros_like(targets), *reached])

    def _project(self, tail: int, hidden: tf.Tensor) -> tf.Tensor:
        return tf.matmul(hidden, tf.cast(self.projections[tail].value, hidden.dtype))

    def _add_projection_mass(
        self, tail: int, weights: tf.Tensor, rows: tf.Tensor, hidden: tf.Tensor
    ) -> None:
        table = self.projections[tail]  # every score depends on each of its rows

        def mass() -> tf.Tensor:
            total = tf.reduce_sum(tf.abs(weights) * tf.gather(term_mass(hidden), rows))
            return tf.fill([table.shape[0]], SOFTMAX_TERM_MASS * total)

        add_row_mass(table, None, mass)

    def target_mass(self, targets: tf.Tensor) -> tf.Tensor:
        softmaxes = 1 + tf.minimum(self._cluster(self._order.ranks(targets)), 1)
        return SOFTMAX_TERM_MASS * tf.cast(softmaxes, tf.float32)

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        head = _log_softmax(hidden, self.head)
        tails = [
            head[:, self._shortlist + i, None] + self._tail_log_probs(i, hidden)
            for i in range(len(self.tails))
        ]
        return self._order.by_id(tf.concat([head[:, : self._shortlist], *tails], axis=-1))

    def _tail_log_probs(self, tail: int, hidden: tf.Tensor) -> tf.Tensor:
        return _log_softmax(self._project(tail, hidden), self.tails[tail])

    def top_k(self, hidden: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the `k` most probable words of each row and their log-probabilities, best first.

        No word is more probable than its cluster, so a tail is computed only for the rows whose
        k-th best word so far is less probable than that cluster.
        """
        k = self.checked_k(k)
        hidden = tf.cast(hidden, tf.float32)
        head = _log_softmax(hidden, self.head)
        size = min(k, self._shortlist)
        scores, ids = tf.math.top_k(head[:, : self._shortlist], size)
        scores = tf.pad(scores, [[0, 0], [0, k - size]], constant_values=float("-inf"))
        ids = tf.pad(ids, [[0, 0], [0, k - size]])
        for i, (start, end) in enumerate(pairwise(self._edges)):
            cluster = head[:, self._shortlist + i]
            rows = tf.where(cluster > scores[:, -1])
            words = self._tail_log_probs(i, tf.gather_nd(hidden, rows))
            words, indices = tf.math.top_k(
                tf.gather_nd(cluster, rows)[:, None] + words, min(k, end - start)
            )
            merged = tf.concat([tf.gather_nd(scores, rows), words], axis=-1)
            merged_ids = tf.concat([tf.gather_nd(ids, rows), indices + start], axis=-1)
            best, indices = tf.math.top_k(merged, k)
            best_ids = tf.gather(merged_ids, indices, batch_dims=1)
            scores = tf.tensor_scatter_nd_update(scores, rows, best)
            ids = tf.tensor_scatter_nd_update(ids, rows, best_ids)
        return self._order.ids(ids), scores

    def kept_rows(self, grown: Any, ids: NDArray[np.integer]) -> list[KeptRows]:
        orders = [ids_by_frequency(layer._counts) for layer in (self, grown)]
        source = source_ranks(ids, *orders)
        tables = zip([self.head, *self.tails], [grown.head, *grown.tails], strict=True)
        edges = zip(pairwise([0, *self._edges]), pairwise([0, *grown._edges]), strict=True)
        kept = [
            kept_range(old, new, source[new_start:new_end], start, end - start)
            for (old, new), ((start, end), (new_start, new_end)) in zip(tables, edges, strict=True)
        ]
        moved = self.vocabulary_size - sum(int((rows.source >= 0).sum()) for rows in kept)
        clusters = self._shortlist + np.arange(len(self.tails))  # the last rows of the head
        kept[0] = kept[0]._replace(source=np.append(kept[0].source, clusters))
        kept += map(kept_whole, self.projections, grown.projections)
        if moved:
            warnings.warn(
                f"{moved:,} of {self.vocabulary_size:,} words change their cluster in "
                f"{self.name} with their frequency, and start anew there.",
                stacklevel=4,
            )
        return kept

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cutoffs": None if self.cutoffs is None else list(self.cutoffs),
            "div_value": self.div_value,
            "min_projection_dim": self.min_projection_dim,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }


def _check_cutoffs(cutoffs: Sequence[int], vocabulary_size: int) -> list[int]:
    received = f"Received: cutoffs={cutoffs!r}."
    try:
        numbers = [check_int("cutoffs", cutoff, minimum=1) for cutoff in cutoffs]
    except TypeError:
        raise TypeError(f"`cutoffs` must be a list of integers. {received}") from None
    except ValueError:
        raise ValueError(f"`cutoffs` must be at least 1. {received}") from None
    if any(left >= right for left, right in pairwise(numbers)):
        raise ValueError(f"`cutoffs` must rise from one to the next. {received}")
    if numbers and numbers[-1] >= vocabulary_size:
        raise ValueError(
            f"`cutoffs` must be below the number of words, V = {vocabulary_size}. {received}"
        )
    return numbers


def _table_loss(
    table: Any, hidden: tf.Tensor, rows: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Returns `softmax_loss` with a Keras weight as table, whose row masses it reports."""
    vectors = tf.cast(table.value, hidden.dtype)
    loss, slope = softmax_loss(hidden, vectors, rows, classes, weights)

    def mass() -> tf.Tensor:
        pair_mass = weights * tf.gather(term_mass(hidden), rows)
        row_mass = sum_by_row(pair_mass, rows, hidden)
        slopes = tf.linalg.matvec(slope, tf.abs(row_mass), transpose_a=True)
        # The slope is softmax less targets, so these are added again for the mass of the softmax.
        subtracted = pair_mass * tf.gather(tf.sign(row_mass), rows)
        target_mass = SOFTMAX_TERM_MASS * subtracted + tf.abs(pair_mass)
        target_mass = tf.math.unsorted_segment_sum(target_mass, classes, table.shape[0])
        return tf.nn.relu(SOFTMAX_TERM_MASS * slopes + target_mass)

    add_row_mass(table, None, mass)
    return loss


def _merge_repeats(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the distinct numbers among ascending ones, and the index of each among them."""
    before = tf.concat([[-1], rows], axis=0)[:-1]
    first = rows != before
    return tf.boolean_mask(rows, first), tf.cumsum(tf.cast(first, tf.int32)) - 1


def _log_softmax(hidden: tf.Tensor, table: Any) -> tf.Tensor:
    return tf.nn.log_softmax(tf.matmul(hidden, table.value, transpose_b=True))
