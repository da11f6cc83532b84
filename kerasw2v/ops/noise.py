"""Drawing noise words from any distribution in constant time a draw (Walker's alias method)."""

import numpy as np
import tensorflow as tf


def noise_probabilities(counts: np.ndarray, exponent: float) -> np.ndarray:
    """Returns `counts ** exponent`, normalised, in float64."""
    weights = np.where(counts > 0, np.asarray(counts, np.float64) ** exponent, 0.0)
    return np.asarray(weights / weights.sum())


def alias_table(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Builds Walker's alias table without a Python loop.

    A draw picks a slot `i` uniformly, then takes `i` with probability `accept[i]` and `alias[i]`
    otherwise. Slots below the mean are topped up from those above it, in order: running sums of
    what the first lack and of what the second have to give say who tops up whom.

    Args:
        probabilities: `(V,)`, non-negative, summing to one.

    Returns:
        `(accept, alias)`: float32 and int32, `(V,)`.

    Source: Walker, "An efficient method for generating discrete random variables with general
    distributions", 1977.
    """
    scaled = np.asarray(probabilities, np.float64) * len(probabilities)
    above = scaled >= 1
    above[np.argmax(scaled)] = True  # rounding may leave none
    small, large = np.flatnonzero(~above), np.flatnonzero(above)
    accept = np.ones(len(scaled))
    alias = np.arange(len(scaled))
    lacking = np.cumsum(1 - scaled[small])
    giving = np.cumsum(scaled[large] - 1)
    # A small slot is topped up by the large one whose surplus is in use when its turn comes.
    giver = np.searchsorted(giving, np.concatenate([[0.0], lacking[:-1]]), side="right")
    giver = np.minimum(giver, len(large) - 1)[: len(small)]
    accept[small] = scaled[small]
    alias[small] = large[giver]
    # A large slot that gave too much is topped up by the next large one.
    if len(small) and len(large) > 1:
        last = np.searchsorted(lacking, giving[:-1], side="right")  # whom its surplus ends with
        last, over = np.minimum(last, len(small) - 1), last == len(small)
        drained = ~over & (giver[last] <= np.arange(len(large) - 1))
        overdraft = np.clip(lacking[last] - giving[:-1], 0, 1)
        accept[large[:-1]] = np.where(drained, 1 - overdraft, 1)
        alias[large[:-1]] = np.where(drained, large[1:], large[:-1])
    return accept.astype(np.float32), alias.astype(np.int32)


def draw(
    accept: tf.Variable, alias: tf.Variable, shape: tuple[int | tf.Tensor, ...], seed: tf.Tensor
) -> tf.Tensor:
    """Draws ids from an alias table, two random numbers and two lookups a draw.

    Args:
        accept: float32 variable, `(V,)`.
        alias: int32 variable, `(V,)`.
        shape: shape of the result.
        seed: int32, `(2,)`; the same seed gives the same draws on any device.

    Returns:
        int32 tensor of the given shape.
    """
    slot_seed, coin_seed = tf.unstack(tf.random.split(seed, 2))
    slots = tf.random.stateless_uniform(
        shape, slot_seed, maxval=alias.shape[0], dtype=tf.int32, minval=0
    )
    coins = tf.random.stateless_uniform(shape, coin_seed)
    return tf.where(coins < tf.gather(accept, slots), slots, tf.gather(alias, slots))
