"""Counting the work of a training step: elements made, and multiplications in matrix products."""

from contextlib import contextmanager

import numpy as np
from tensorflow.python.framework import op_callbacks

_PRODUCTS = {"MatMul", "BatchMatMul", "BatchMatMulV2"}


@contextmanager
def counted_work():
    """Yields a list; every op that runs eagerly in the block appends its work to it."""
    work = []

    def callback(op_type, inputs, attrs, outputs, op_name=None, graph=None):
        made = sum(np.prod(output.shape) for output in outputs)
        if op_type in _PRODUCTS:
            made *= inputs[0].shape[-2 if _first_is_transposed(attrs) else -1]
        work.append(int(made))

    op_callbacks.add_op_callback(callback)
    try:
        yield work
    finally:
        op_callbacks.remove_op_callback(callback)


def _first_is_transposed(attrs):
    attributes = dict(zip(attrs[::2], attrs[1::2], strict=True))
    return attributes.get("transpose_a") or attributes.get("adj_x")
