"""Drawing noise words from any distribution in constant time a draw (Walker's alias method)."""

import numpy as np
import tensorflow as tf

NOISES = ("counts", "uniform", "log_uniform")

_ROUNDS = 32
_TINY = 1e-37


def ids_by_frequency(counts: np.ndarray) -> np.ndarray:
    """Returns the ids, most frequent first, those of equal counts in their order: int32, `(V,)`."""
    return np.argsort(-np.asarray(counts), kind="stable").astype(np.int32)


def noise_probabilities(counts: np.ndarray, exponent: float) -> np.ndarray:
    """Returns `counts ** exponent`, normalised, in float64."""
    weights = np.zeros(len(counts))
    weights[counts > 0] = count_powers(counts[counts > 0], exponent)
    return np.asarray(weights / weights.sum())


def count_powers(counts: np.ndarray, exponent: float) -> np.ndarray:
    """Returns `counts ** exponent`, in float64; raises ValueError where that holds no such sum."""
    with np.errstate(over="ignore", under="ignore"):
        powers = np.asarray(counts, np.float64) ** exponent
        total = powers.sum()
    if powers.size and not 0 < total < np.inf:
        raise _exponent_error(counts, exponent)
    return powers


def _exponent_error(counts: np.ndarray, exponent: float) -> ValueError:
    return ValueError(
        "The exponent of the noise distribution must leave numbers that float64 can hold. "
        f"Received: exponent={exponent}, counts up to {counts.max()}."
    )


def noise_log_probabilities(counts: np.ndarray, noise: str, exponent: float) -> np.ndarray:
    """Returns the logarithms of noise probabilities, in float64, all of them finite.

    Args:
        counts: `(V,)`, by id. A word of count 0 gets the probability of the rarest
            other word: an estimate of a sum over all words must be able to draw each of them.
        noise: `"counts"` for `counts ** exponent`, `"uniform"`, or `"log_uniform"` for
            `log((i + 2) / (i + 1))`, a Zipf distribution of the ranks i by frequency.
        exponent: power of the counts.
    """
    ranks = np.argsort(ids_by_frequency(counts))
    if noise == "counts":
        logarithms = np.log(np.maximum(counts, counts[counts > 0].min()))
        if not np.isfinite(exponent * logarithms.max() * len(counts)):
            raise _exponent_error(counts, exponent)
        logits = exponent * logarithms
    else:
        logits = np.log(np.log1p(1 / (ranks + 1))) if noise == "log_uniform" else 0.0 * ranks
    return np.asarray(logits - np.logaddexp.reduce(logits))


def alias_table(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Builds Walker's alias table for a distribution `(V,)`, by Vose's method, in `O(V)`.

    A draw picks a slot `i` uniformly, then takes `i` with probability `accept[i]` and `alias[i]`
    otherwise. A word with less than a slot's share fills its slot from one with more, whose rest
    may then be less than a slot's share too.

    Returns:
        `(accept, alias)`: float32 and int32, `(V,)`.

    Source: Vose, "A linear algorithm for generating random numbers with a given distribution",
    1991.
    """
    rest = (np.asarray(probabilities, np.float64) * len(probabilities)).tolist()
    accept, alias = np.ones(len(rest), np.float32), np.arange(len(rest), dtype=np.int32)
    small = [word for word, share in enumerate(rest) if share < 1]
    large = [word for word, share in enumerate(rest) if share >= 1]
    while small and large:  # rounding may leave some, whose share is one
        word, donor = small.pop(), large[-1]
        accept[word], alias[word] = rest[word], donor
        rest[donor] -= 1 - rest[word]
        if rest[donor] < 1:
            small.append(large.pop())
    return accept, alias


def probabilities_of(accept: tf.Tensor, alias: tf.Tensor) -> tf.Tensor:
    """Returns the distribution that an alias table draws from: float32, `(V,)`."""
    given = tf.math.unsorted_segment_sum(1.0 - accept, alias, tf.size(accept))
    return (accept + given) / tf.cast(tf.size(accept), tf.float32)


def draw(
    accept: tf.Variable, alias: tf.Variable, shape: tuple[int | tf.Tensor, ...], seed: tf.Tensor
) -> tf.Tensor:
    """Draws int32 ids from an alias table, two random numbers and two lookups a draw.

    The same seed, int32 `(2,)`, gives the same draws on any device, others under XLA.
    """
    slot_seed, coin_seed = tf.unstack(tf.random.split(seed, 2))
    slots = tf.random.stateless_uniform(
        shape, slot_seed, maxval=alias.shape[0], dtype=tf.int32, minval=0
    )
    coins = tf.random.stateless_uniform(shape, coin_seed)
    return tf.where(coins < tf.gather(accept, slots), slots, tf.gather(alias, slots))


def draw_unique(
    accept: tf.Variable, alias: tf.Variable, size: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws ids until `size` different ones are found, all shapes static.

    Ids are drawn in rounds of `2 * size`, of which one usually suffices. Where the rest of the
    distribution is so thin that 32 do not, the most frequent missing words complete the set.
    Arguments are those of `draw`; with `size` V the sample is all ids.

    Returns:
        `(ids, tries)`: int32, `(size,)`, all different; and float32, the number of draws that it
        took, infinity for V ids.
    """
    if size == alias.shape[0]:
        return tf.range(size), tf.constant(np.inf)
    chunk = 2 * size
    frequent = tf.range(chunk) % size  # at least as many words as are missing

    def is_incomplete(number: tf.Tensor, ids: tf.Tensor, tries: tf.Tensor) -> tf.Tensor:
        return ids[-1] < 0

    def draw_more(number: tf.Tensor, ids: tf.Tensor, tries: tf.Tensor) -> tuple[tf.Tensor, ...]:
        drawn = draw(accept, alias, (chunk,), tf.random.fold_in(seed, number))
        drawn = tf.where(number < _ROUNDS, drawn, frequent)
        ids, last = _first_distinct(tf.concat([ids, drawn], 0), size)
        return number + 1, ids, tries + tf.cast(tf.minimum(last + 1 - size, chunk), tf.float32)

    start = (tf.constant(0), tf.fill([size], -1), tf.constant(0.0))
    _, ids, tries = tf.while_loop(is_incomplete, draw_more, start)
    return ids, tries


def _first_distinct(stream: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first `size` different ids in their order, and the position of the last of them.

    Ids of -1 are padding, in the stream and in the result.
    """
    length = stream.shape[0]
    keys = tf.sort(tf.cast(stream, tf.int64) * length + tf.range(length, dtype=tf.int64))
    ids, positions = keys // length, tf.cast(keys % length, tf.int32)
    is_first = tf.concat([[True], ids[1:] != ids[:-1]], 0) & (ids >= 0)
    positions = tf.sort(tf.where(is_first, positions, length))[:size]
    distinct = tf.gather(stream, tf.minimum(positions, length - 1))
    return tf.where(positions < length, distinct, -1), positions[-1]


def log_expected_counts(
    log_probabilities: tf.Tensor, num_sampled: int, tries: tf.Tensor | None
) -> tf.Tensor:
    """Returns how often words of these probabilities are expected in a sample, as a logarithm.

    `log(num_sampled * Q)` with replacement, where `tries` is None; without, where they are from
    `draw_unique`, `log(1 - (1 - Q) ** tries)`, the probability to be among so many draws.
    """
    if tries is None:
        return log_probabilities + np.float32(np.log(num_sampled))
    probabilities = tf.maximum(tf.exp(log_probabilities), _TINY)
    included = -tf.math.expm1(tries * tf.math.log1p(-probabilities))
    return tf.math.log(tf.maximum(included, _TINY))
