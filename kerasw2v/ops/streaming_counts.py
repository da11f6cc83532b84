"""How often an id is in a batch, estimated while batches stream by.

For each id the time between two batches that have it is averaged; its inverse is the probability of
the id to be in a batch. Ids from an open set share counters by hashing.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Intervals that an id may be missing before it counts as rarer: by chance once in exp(5) = 148.
PATIENCE = 5.0


class StreamingCounts(NamedTuple):
    """The state of an estimate: variables with an entry a counter.

    Attributes:
        step: int64, `()`: batches so far.
        last_seen: int64, `(c,)`: step of the last batch that had the counter's id; 0 for none.
        interval: float32, `(c,)`: mean number of steps between two such batches.
        hits: float32, `(c,)`: number of such batches.
    """

    step: tf.Variable
    last_seen: tf.Variable
    interval: tf.Variable
    hits: tf.Variable


def hash_factors(num_hashes: int, seed: int) -> np.ndarray:
    """Returns odd factors of a multiplicative hash, int64, `(m,)`."""
    return np.random.default_rng(seed).integers(0, 2**62, num_hashes) * 2 + 1


def counters_of(ids: tf.Tensor, factors: np.ndarray | None, num_buckets: int) -> tf.Tensor:
    """Returns the counters of ids: `(n,) -> (m, n)`, int64, m of each id.

    Args:
        ids: integers.
        factors: from `hash_factors`; None for the ids themselves, one counter each.
        num_buckets: counters for each hash; a power of two above one if ids are hashed.
    """
    ids = tf.cast(ids, tf.int64)
    if factors is None:
        return ids[None, :]
    # Multiplied modulo 2 ** 64, the highest bits depend on all bits of the id.
    products = tf.cast(tf.constant(factors)[:, None] * ids[None, :], tf.uint64)
    rest = tf.constant(64 - (num_buckets.bit_length() - 1), tf.uint64)
    buckets = tf.cast(tf.bitwise.right_shift(products, rest), tf.int64)
    return buckets + num_buckets * tf.range(len(factors), dtype=tf.int64)[:, None]


def count_batch(state: StreamingCounts, counters: tf.Tensor, learning_rate: float) -> None:
    """Adds a batch: each of its counters was seen once more, however many ids name it.

    `interval += rate * (step - last_seen - interval)` with `rate = max(learning_rate, 1 / hits)`:
    the mean of all intervals at first, then one that forgets, so that it follows a drift.

    Args:
        state: what to update.
        counters: from `counters_of`, `(m, n)`.
        learning_rate: share of the newest interval in the mean, at least.
    """
    state.step.assign_add(1)
    counters = tf.reshape(counters, [-1])
    indices = counters[:, None]
    hits = tf.gather(state.hits, counters) + 1.0
    rate = tf.maximum(learning_rate, 1.0 / hits)
    waited = tf.cast(state.step - tf.gather(state.last_seen, counters), tf.float32)
    interval = tf.gather(state.interval, counters)
    # A counter that is named twice gets the same values twice.
    state.interval.scatter_nd_update(indices, interval + rate * (waited - interval))
    state.last_seen.scatter_nd_update(indices, tf.fill([tf.shape(indices)[0]], state.step))
    state.hits.scatter_nd_update(indices, hits)


def batch_probabilities(state: StreamingCounts, counters: tf.Tensor) -> tf.Tensor:
    """Returns the probability of ids to be in a batch: `(m, n) -> (n,)`, float32.

    Ids that share a counter shorten its interval, so the longest of an id's m intervals counts.
    """
    missing = tf.cast(state.step - tf.gather(state.last_seen, counters), tf.float32)
    patience = tf.where(tf.gather(state.hits, counters) > 0, PATIENCE, 1.0)  # 1: never seen
    interval = tf.maximum(tf.gather(state.interval, counters), missing / patience)
    return 1.0 / tf.maximum(1.0, tf.reduce_max(interval, axis=0))


def inclusion_probabilities(frequencies: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Returns the probability to be among so many draws, `1 - (1 - q) ** draws`, for shares `q`."""
    return -tf.math.expm1(tf.cast(draws, tf.float32) * tf.math.log1p(-frequencies))
