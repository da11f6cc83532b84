"""Compiling chains of small ops into one kernel."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `function` compiled by XLA where its inputs have static shapes, else as it is.

    A training step is many small ops on tensors too large for the first caches: fused, each value
    is read once. Inputs of unknown shape would be compiled anew at every step, and so would those
    of eager calls, so both run op by op.

    Args:
        function: a function of tensors (and variables), all arguments positional.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        static = tf.inside_function() and all(
            argument.shape.is_fully_defined() for argument in arguments
        )
        return (compiled if static else function)(*arguments)

    return call
