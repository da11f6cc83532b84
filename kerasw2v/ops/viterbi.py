"""Decoding the codes of `ops.codes`: the probabilities of words, and the most probable ones.

The bits of a code are independent given their log odds, so a word's score is a sum over its bits.
Ids are read from their lowest bit up; a *prefix* is the bits read so far, a *completion* the rest.
The best score of a completion, and the sum over all of them for the normaliser, are computed from
the last bit back to the first (Viterbi's algorithm) for each state of the code's shift register.

Only ids below `num_words` count. A prefix that is not above the lowest bits of the largest id may
have all completions that this id has, another one fewer: so each state comes in two kinds.

Example: five words, plain bits, log odds 2, 3 and 1. A bit of 1 costs nothing, a 0 its log odds.
The largest id is 4, binary 100. The first stage reads two bits, the second one:

```
prefix   bits 0, 1   score   kind           bit 2    best completion   best id   its score
0        0 0         -5      not above 00   0 or 1        0            4            -5
1        1 0         -3      above          0            -1            1            -4
2        0 1         -2      above          0            -1            2            -3
3        1 1          0      above          0            -1            3            -1
```

The best two words are 3 and 2: prefixes 3 and 2 promise most, and the others need not be completed.
"""

import functools
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasw2v.ops.codes import Code

_IMPOSSIBLE = -1e30  # minus infinity without its NaNs
_BITS = 2  # of an id, read in one stage: fewer and larger ops, as long as states are few


class _Completions(NamedTuple):
    """Scores of the completions of each state.

    Attributes:
        best: before each stage and after the last, `(2 * states, rows)`: the score of the best
            completion; first for prefixes above the largest id's lowest bits, then for the others.
        log_total: `(rows,)`, the logarithm of the sum over words of `exp(score)`.
    """

    best: list[tf.Tensor]
    log_total: tf.Tensor


def word_log_probs(log_odds: tf.Tensor, log_mass: tf.Tensor, code: Code) -> tf.Tensor:
    """Returns the log-probabilities of all words, float32, `(rows, num_words)`.

    A word's probability is the product of its bits' probabilities, normalised over the words.

    Args:
        log_odds: float32, `(rows, num_bits)`, that each bit is 1.
        log_mass: float32, `(rows,)`, the logarithm of the sum of the probabilities.
        code: the words' code.
    """
    rows = tf.convert_to_tensor(log_odds), tf.convert_to_tensor(log_mass)
    return _compiled(_word_log_probs, code)(*rows)


def top_words(
    log_odds: tf.Tensor, log_mass: tf.Tensor, code: Code, k: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the `k` most probable words, without scoring the others.

    It extends prefixes stage by stage and keeps the k with the best completions: those of the k
    best words are always among them. A row costs `O(states * B + k log k * B)`. The arguments are
    those of `word_log_probs`; k is at most `num_words`.

    Returns:
        `(ids, log_probs)`: int32 and float32, `(rows, k)`, best first.
    """
    rows = tf.convert_to_tensor(log_odds), tf.convert_to_tensor(log_mass)
    best: tuple[tf.Tensor, tf.Tensor] = _compiled(_top_words, code, k)(*rows)
    return best


@functools.cache
def _compiled(function: Callable[..., Any], code: Code, *arguments: Any) -> Callable[..., Any]:
    """Returns a decoder as a graph for any number of rows: it is hundreds of small ops."""
    rows = tf.TensorSpec((None, code.num_bits), tf.float32), tf.TensorSpec((None,), tf.float32)
    traced = tf.function(
        lambda log_odds, log_mass: function(log_odds, log_mass, code, *arguments), autograph=False
    )
    with tf.init_scope():  # the first caller may be a graph itself
        graph: Callable[..., Any] = traced.get_concrete_function(*rows)
    return graph


def _symbol_scores(log_odds: tf.Tensor, code: Code) -> tf.Tensor:
    """Returns the score of each symbol at each step: `(steps, symbols, rows)`.

    A bit that contradicts the sign of its log odds costs their size, the other bit nothing: scores
    of the best words stay small, and exact.
    """
    by_bit = tf.transpose(log_odds)
    both = tf.stack([tf.minimum(-by_bit, 0.0), tf.minimum(by_bit, 0.0)], axis=1)
    rows = tf.shape(log_odds)[0]
    both = tf.reshape(both, [code.steps, code.outputs, 2, rows])
    scores = both[:, 0]
    for output in range(1, code.outputs):
        scores = both[:, output, :, None] + scores[:, None]
        scores = tf.reshape(scores, [code.steps, 2 << output, rows])
    return scores


def _stages(code: Code) -> list[tuple[int, int]]:
    """Returns first and last step (exclusive) of the stages in which an id's bits are read."""
    bounds = [*range(0, code.id_bits, _BITS), code.id_bits]
    return list(pairwise(bounds))


def _contents(code: Code, first: int, last: int) -> np.ndarray:
    """Returns all numbers that the bits remembered before a stage and those read in it can form."""
    return np.arange(code.states(first) << (last - first))


def _branches(symbol_scores: tf.Tensor, code: Code, first: int, last: int) -> tf.Tensor:
    """Returns what a stage adds to the score, for each of its contents: `(contents, rows)`."""
    total = 0.0
    for step in range(first, last):
        known = _contents(code, first, last) >> (code.oldest(step) - code.oldest(first))
        symbols = code.symbols(step)
        total += tf.gather(symbol_scores[step], symbols[known % len(symbols)])
    return total


def _following(code: Code, first: int, last: int) -> np.ndarray:
    """Returns the state after a stage, for each kind of the state before and each content."""
    contents = _contents(code, first, last)
    read = contents // code.states(first)
    largest = (code.num_words - 1 >> first) % (1 << (last - first))
    within = np.where(read == largest, [[0], [1]], read < largest)
    states = contents >> (code.oldest(last) - code.oldest(first))
    return np.ravel(within * code.states(last) + states)


def _complete(symbol_scores: tf.Tensor, branches: list[tf.Tensor], code: Code) -> _Completions:
    """Returns the completions, computed from the last step back to the first."""
    rows = tf.shape(symbol_scores)[-1]
    tail = tf.zeros([1, rows])
    for step in reversed(range(code.id_bits, code.steps)):
        states = np.arange(code.states(step)) >> (code.oldest(step + 1) - code.oldest(step))
        tail = tf.gather(tail, states) + tf.gather(symbol_scores[step], code.symbols(step))

    best = [tf.concat([tf.fill(tf.shape(tail), _IMPOSSIBLE), tail], axis=0)]
    total = tf.ones_like(best[0])  # of exp(score - best) over all completions
    for (first, last), added in zip(reversed(_stages(code)), reversed(branches), strict=True):
        following = _following(code, first, last)
        read = 1 << (last - first)
        shape = [2, read, code.states(first), rows]  # kind, bits read, state, row
        scores = tf.reshape(tf.gather(best[-1], following), shape)
        scores += tf.reshape(added, shape[1:])
        high = tf.reduce_max(scores, axis=1, keepdims=True)
        weights = tf.exp(scores - high) * tf.reshape(tf.gather(total, following), shape)
        total = tf.reshape(tf.reduce_sum(weights, axis=1), [-1, rows])
        best.append(tf.reshape(high, [-1, rows]))
    best.reverse()
    return _Completions(best, best[0][1] + tf.math.log(total[1]))


def _word_log_probs(log_odds: tf.Tensor, log_mass: tf.Tensor, code: Code) -> tf.Tensor:
    symbol_scores = _symbol_scores(log_odds, code)
    branches = [_branches(symbol_scores, code, *stage) for stage in _stages(code)]
    completions = _complete(symbol_scores, branches, code)
    rows = tf.shape(log_odds)[0]
    scores = tf.zeros([rows, 1])
    for (first, last), added in zip(_stages(code), branches, strict=True):
        # The bits read are the highest so far: all words with zeros there come first.
        states = code.states(first)
        added = tf.reshape(tf.transpose(added), [rows, 1 << (last - first), states, 1])
        scores = tf.reshape(scores, [rows, 1, states, 1 << code.oldest(first)])
        scores = tf.reshape(scores + added, [rows, 1 << last])
    states = code.states(code.id_bits)
    tail = completions.best[-1][states:]
    ends = tf.transpose(tail - (completions.log_total - log_mass))
    scores = tf.reshape(scores, [rows, states, 1 << code.oldest(code.id_bits)])
    scores = tf.reshape(scores + ends[:, :, None], [rows, 1 << code.id_bits])
    return scores[:, : code.num_words]


def _top_words(
    log_odds: tf.Tensor, log_mass: tf.Tensor, code: Code, k: int
) -> tuple[tf.Tensor, tf.Tensor]:
    symbol_scores = _symbol_scores(log_odds, code)
    branches = [_branches(symbol_scores, code, *stage) for stage in _stages(code)]
    completions = _complete(symbol_scores, branches, code)
    rows = tf.shape(log_odds)[0]

    def look_up(table: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.reshape(table, [-1]), indices * rows + tf.range(rows)[:, None])

    ends = completions.best[-1] - (completions.log_total - log_mass)
    prefixes = tf.zeros([rows, 1], tf.int32)
    scores = tf.zeros([rows, 1])
    completion_scores = [*completions.best[1:-1], ends]
    for (first, last), added, best in zip(_stages(code), branches, completion_scores, strict=True):
        read = np.arange(1 << (last - first), dtype=np.int32)[:, None] << first
        prefixes = tf.reshape(prefixes[:, None] + read, [rows, prefixes.shape[1] * len(read)])
        contents = tf.bitwise.right_shift(prefixes, code.oldest(first))
        scores = tf.tile(scores, [1, len(read)]) + look_up(added, contents)
        within = tf.cast(prefixes <= (code.num_words - 1) % (1 << last), tf.int32)
        states = tf.bitwise.right_shift(prefixes, code.oldest(last)) + within * code.states(last)
        totals = scores + look_up(best, states)
        if prefixes.shape[1] > k or last == code.id_bits:
            totals, best_indices = tf.math.top_k(totals, k)
            prefixes = tf.gather(prefixes, best_indices, batch_dims=1)
            scores = tf.gather(scores, best_indices, batch_dims=1)
    return prefixes, totals
