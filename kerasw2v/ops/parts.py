"""Working on a batch in parts, where one chain of ops over all of it is slower."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length

_PARTS = 8
_MIN_BLOCKS_PER_PART = 16  # smaller parts take longer to start than to compute
_MIN_TOKENS = 4096


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


def in_two_branches(
    function: Callable[..., tuple[tf.Tensor, ...]], *tensors: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Applies a function to both halves of a batch, and joins what it returns.

    The ops of a training step are too short to be shared among threads, so one chain of them keeps
    one core busy, and two chains keep two. A small batch is not split, since more ops have to be
    started; nor is one of an unknown or odd number of rows, nor any on a GPU.

    Args:
        function: from tensors to tensors, all with the batch as their first axis.
        *tensors: its arguments, the first of them with a number for each token.
    """
    shape = tensors[0].shape
    tokens = shape.num_elements() or 0
    if tokens < _MIN_TOKENS or shape[0] % 2 or tf.config.list_physical_devices("GPU"):
        return function(*tensors)
    halves = zip(*(tf.split(each, 2) for each in tensors), strict=True)
    results = zip(*(function(*half) for half in halves), strict=True)
    return tuple(tf.concat(pair, axis=0) for pair in results)
