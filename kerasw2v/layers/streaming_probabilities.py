"""Probabilities of ids to be in a batch, estimated during training."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasw2v.ops.rows import copy_of_replica
from kerasw2v.ops.streaming_counts import (
    StreamingCounts,
    batch_probabilities,
    count_batch,
    counters_of,
    hash_factors,
)
from kerasw2v.utils.checks import check_finite, check_int, check_seed


@keras.saving.register_keras_serializable("kerasw2v")
class StreamingProbabilities(keras.layers.Layer):
    """Estimates, from the batches that stream by, how likely an id is in a batch.

    For a catalogue that grows or whose popular items change no table of counts is right for long.
    This layer keeps, for each id, the step `A` of the last batch that had it, and the mean number
    of steps `B` between two such batches:

    `B += rate * (t - A - B)`, then `A = t`, with `rate = max(learning_rate, 1 / hits)`;
    `p = 1 / max(B, (t - A) / 5)`.

    So `p` begins as the share of all batches so far and follows a drift later, and an id that is
    missing for more than five of its intervals gets rare. With `training=True`, as in `fit`, a call
    counts its batch first.

    Ids are hashed to counters, `num_hashes` each. Two ids that share a counter look more frequent,
    so the longest of an id's intervals counts.

    The state is saved with the model. With several replicas an update counts the ids of all of
    them, and `p` is that of one replica's part of the batch.

    Args:
        vocabulary_size: number of ids, for a closed set: one counter each, no hashing. None for any
            integers.
        num_buckets: counters for each hash, a power of two; a few times the number of ids that
            are about.
        num_hashes: hashes of an id.
        learning_rate: share of the newest interval in the mean, at least. A smaller one is more
            exact and follows a drift later: about `1 / learning_rate` occurrences of an id.
        seed: seed of the hashes.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        ids: integers of any shape.
        training: True to count this batch first.

    Returns:
        float32 of the same shape.

    Raises:
        TypeError, ValueError: if a size is not a positive integer, `num_buckets` is not a power of
            two, or `learning_rate` is not above 0 and at most 1.

    Cost: `O(n num_hashes)` for n ids; 20 bytes for each of `num_hashes * num_buckets` counters.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import StreamingProbabilities
    >>> layer = StreamingProbabilities(vocabulary_size=10)
    >>> for step in range(100):
    ...     batch = [3, 7, 7] if step % 4 == 3 else [3]  # 7 is in one batch of four
    ...     _ = layer(np.array(batch), training=True)
    >>> layer(np.array([3, 7])).numpy()
    array([1.  , 0.25], dtype=float32)

    Source: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
    recommendations", 2019.
    """

    def __init__(
        self,
        vocabulary_size: int | None = None,
        num_buckets: int = 2**20,
        num_hashes: int = 2,
        learning_rate: float = 0.01,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if vocabulary_size is not None:
            vocabulary_size = check_int("vocabulary_size", vocabulary_size, minimum=1)
        self.vocabulary_size = vocabulary_size
        self.num_buckets = check_int("num_buckets", num_buckets, minimum=2)
        if num_buckets & (num_buckets - 1):
            raise ValueError(
                f"`num_buckets` must be a power of two. Received: num_buckets={num_buckets}."
            )
        self.num_hashes = check_int("num_hashes", num_hashes, minimum=1)
        self.learning_rate = check_finite("learning_rate", learning_rate)
        if not 0 < learning_rate <= 1:
            raise ValueError(
                "`learning_rate` must be above 0 and at most 1. "
                f"Received: learning_rate={learning_rate}."
            )
        self.seed = check_seed("seed", seed) or 0

    def build(self, input_shape: Any = None) -> None:
        shape: tuple[int, ...]
        self._factors: np.ndarray | None
        if self.vocabulary_size is None:
            self._factors = hash_factors(self.num_hashes, self.seed)
            shape = (self.num_hashes * self.num_buckets,)
        else:
            self._factors = None
            shape = (self.vocabulary_size,)
        self._step = self._add_state((), "int64", "step")
        self._last_seen = self._add_state(shape, "int64", "last_seen")
        self._interval = self._add_state(shape, "float32", "interval")
        self._hits = self._add_state(shape, "float32", "hits")
        self.built = True

    def _add_state(self, shape: tuple[int, ...], dtype: str, name: str) -> Any:
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            dtype=dtype,
            trainable=False,
            autocast=False,
            name=name,
        )

    def call(self, ids: Any, training: bool | None = None) -> tf.Tensor:
        ids = tf.convert_to_tensor(ids)
        weights = (self._step, self._last_seen, self._interval, self._hits)
        state = StreamingCounts(*(copy_of_replica(each.value) for each in weights))
        context = tf.distribute.get_replica_context()
        replicas = 1 if context is None else context.num_replicas_in_sync
        flat = tf.reshape(ids, [-1])
        if training:
            counted = context.all_gather(flat, 0) if replicas > 1 else flat
            count_batch(state, self._counters(counted), self.learning_rate)
        chance = batch_probabilities(state, self._counters(flat))
        if replicas > 1:
            chance = -tf.math.expm1(tf.math.log1p(-chance) / replicas)
        return tf.reshape(chance, tf.shape(ids))

    def _counters(self, ids: tf.Tensor) -> tf.Tensor:
        size = self.vocabulary_size or self.num_buckets
        return counters_of(ids, self._factors, size)

    def compute_output_spec(self, ids: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(ids.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "num_buckets": self.num_buckets,
            "num_hashes": self.num_hashes,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }
