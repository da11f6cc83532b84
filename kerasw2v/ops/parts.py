"""Working on a batch in parts, where one chain of ops over all of it is slower."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length

_PARTS = 8
_MIN_BLOCKS_PER_PART = 16  # smaller parts take longer to start than to compute


def in_sorted_parts(
    function: Callable[..., tf.Tensor], lengths: tf.Tensor, *blocks: tf.Tensor
) -> tf.Tensor:
    """Sorts padded blocks by length, and applies a function to parts of similar length.

    That saves most of the padding; and the parts are independent of one another, which keeps
    several cores busy. A batch of few blocks, or of an unknown number, is one part.

    Args:
        function: from a length and tensors, `(n, ...)`, to a tensor `(n, ...)`: no block of the
            part is longer than that length, which is a bucket (see `ops.fused.bucketed_length`).
            It is differentiated with respect to whatever it closes over.
        lengths: int, `(b,)`, of the blocks.
        *blocks: arguments of `function`, `(b, ...)`; no gradient.
    """
    number = blocks[0].shape[0]
    lengths = tf.cast(lengths, tf.int32)
    if number is None or number < _PARTS * _MIN_BLOCKS_PER_PART:
        return function(bucketed_length(tf.maximum(tf.reduce_max(lengths), 0)), *blocks)
    order = tf.ensure_shape(tf.argsort(lengths), [number])
    sizes = [len(part) for part in np.array_split(np.arange(number), _PARTS)]
    parts = [tf.split(tf.gather(x, order), sizes) for x in blocks]
    longest = tf.gather(lengths, tf.gather(order, np.cumsum(sizes) - 1))

    # A permutation, so its gradient needs no scatter.
    @tf.custom_gradient
    def join(*results: tf.Tensor) -> tuple[tf.Tensor, Callable[..., list[tf.Tensor]]]:
        joined = tf.gather(tf.concat(results, axis=0), tf.math.invert_permutation(order))
        return joined, lambda upstream: tf.split(tf.gather(upstream, order), sizes)

    return join(*map(function, tf.unstack(bucketed_length(longest)), *parts))
