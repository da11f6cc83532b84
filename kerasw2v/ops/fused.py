"""Compiling chains of small ops into one kernel."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

_active = threading.local()


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `function` compiled by XLA where its inputs have static shapes, else as it is.

    A training step is many small ops on tensors larger than the first caches: fused, each value is
    read once. Inputs of unknown shape, and those of eager calls, would be compiled again at every
    step, so both run op by op. All arguments are tensors, and positional: a variable is read, since
    what is compiled lives longer than a model. One that is written is given as its handle.
    """
    return _compiled(function, lambda shape: shape.is_fully_defined())


def fused_per_bucket(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `function`, as in `fused`, compiled by XLA once for each shape of its inputs.

    For inputs whose shape is unknown before a step runs, but padded by `bucketed_length`.
    """
    return _compiled(function, lambda shape: shape.rank is not None)


@contextmanager
def op_by_op(is_wanted: bool) -> Iterator[None]:
    """Has functions run op by op that are traced in the block, for work too short to compile for.

    They round differently then.
    """
    outer = getattr(_active, "op_by_op", False)
    _active.op_by_op = is_wanted
    try:
        yield
    finally:
        _active.op_by_op = outer


def bucketed_length(length: tf.Tensor) -> tf.Tensor:
    """Rounds a length up to a bucket, by an eighth at most, so that few different ones occur.

    Example:

    >>> [int(bucketed_length(tf.constant(length))) for length in (1, 64, 65, 150, 1025)]
    [8, 64, 72, 160, 1152]
    """
    octave = tf.math.log(tf.cast(tf.maximum(length, 64), tf.float64)) / tf.math.log(
        tf.constant(2.0, tf.float64)
    )
    unit = tf.bitwise.left_shift(1, tf.cast(tf.floor(octave + 1e-9), tf.int32) - 3)
    return -(-length // unit) * unit


def _compiled(
    function: Callable[..., Any], is_known: Callable[[tf.TensorShape], bool]
) -> Callable[..., Any]:
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        arguments = tuple(map(tf.convert_to_tensor, arguments))
        is_short = getattr(_active, "op_by_op", False)
        known = (
            tf.inside_function()
            and not is_short
            and all(is_known(argument.shape) for argument in arguments)
        )
        return (compiled if known else function)(*arguments)

    return call
