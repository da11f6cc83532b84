"""Working on a batch in parts whose blocks are alike in size."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasw2v.ops.fused import bucketed_length

_PARTS = 8
_LEAST_BLOCKS = 16  # of a part; smaller ones are slower to start than to compute


def in_sorted_parts(
    function: Callable[..., tf.Tensor], sizes: tf.Tensor, *blocks: tf.Tensor
) -> tf.Tensor:
    """Applies a function that treats blocks as equally large, to blocks of similar size at a time.

    That spares most of the padding behind the smaller ones; and the parts, each a chain of ops
    that wait for one another, keep several cores busy. The whole batch is one part where the number
    of blocks is small, or not known beforehand.

    Args:
        function: from a size that no block of a part exceeds, one of few (see
            `ops.fused.bucketed_length`), and what belongs to these blocks, to a tensor with these
            blocks as first axis. It is differentiated with respect to whatever it closes over.
        sizes: int, `(b,)`, how large each block is.
        *blocks: arguments of `function`, `(b, ...)`; no gradient.
    """
    number = blocks[0].shape[0]
    sizes = tf.cast(sizes, tf.int32)
    if number is None or number < _PARTS * _LEAST_BLOCKS:
        return function(bucketed_length(tf.maximum(tf.reduce_max(sizes), 0)), *blocks)
    order = tf.ensure_shape(tf.argsort(sizes), [number])
    numbers = [len(part) for part in np.array_split(np.arange(number), _PARTS)]
    of_parts = [tf.split(tf.gather(x, order), numbers) for x in blocks]
    largest = tf.gather(sizes, tf.gather(order, np.cumsum(numbers) - 1))
    lengths = tf.unstack(bucketed_length(largest))

    # A permutation, so its gradient needs no scatter.
    @tf.custom_gradient
    def put_together(*pieces: tf.Tensor) -> tuple[tf.Tensor, Callable[..., list[tf.Tensor]]]:
        whole = tf.gather(tf.concat(pieces, axis=0), tf.math.invert_permutation(order))
        return whole, lambda upstream: tf.split(tf.gather(upstream, order), numbers)

    return put_together(*map(function, lengths, *of_parts))


_LEAST_NUMBERS = 4096


def in_two_branches(
    function: Callable[..., tuple[tf.Tensor, ...]], *tensors: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Applies a function to both halves of a batch, and joins what it returns.

    The ops of a training step are too short to be shared among threads, so a chain of them, each
    waiting for the one before, keeps one core busy. Two chains keep two: CBOW's step of 4,096
    tokens takes a tenth less time, while in smaller ones starting twice as many ops costs more.
    There are no halves where shapes are not known, or the number of rows is odd, nor on a GPU,
    which shares each op among its cores.

    Args:
        function: from tensors to tensors, all with the batch as their first axis.
        *tensors: its arguments, the first of them with a number a token.
    """
    shape = tensors[0].shape
    numbers = shape.num_elements() or 0
    if numbers < _LEAST_NUMBERS or shape[0] % 2 or tf.config.list_physical_devices("GPU"):
        return function(*tensors)
    first, second = (
        function(*half) for half in zip(*(tf.split(each, 2) for each in tensors), strict=True)
    )
    return tuple(tf.concat(pair, axis=0) for pair in zip(first, second, strict=True))
