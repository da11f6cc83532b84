"""Cutting a training step into lanes, so that it keeps many cores busy.

The ops of a step are too short to be shared among threads, so one chain of them keeps one core
busy. A *lane* is a chain of its own, from the lookup to the gradient of its rows, over a part of
the batch: TensorFlow runs lanes side by side. What is random is drawn once, for the whole batch,
and rows are updated in the order of the whole batch, so the number of lanes changes no result.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasw2v.ops.row_gradients import interleave_lanes

# Fewer take longer to start than to compute.
_MIN_TOKENS = 512

_active = threading.local()  # replicas trace in threads of their own


@dataclass
class _Lane:
    index: int
    number: int
    draws: list[list[tf.Tensor]]  # those of all lanes, in order
    drawn: int = 0


def number_of_lanes(blocks: tf.Tensor, together: int, limit: int) -> int:
    """Returns the number of lanes for a batch of blocks, `(batch, tokens)`: a power of two.

    Each lane has 512 tokens or more. One on a GPU, and where the number of blocks is unknown.

    Args:
        blocks: the batch.
        together: how many blocks, one after the other, must stay in one lane.
        limit: the largest number of lanes.
    """
    number = blocks.shape[0]
    if number is None or tf.config.list_physical_devices("GPU"):
        return 1
    limit = min(limit, blocks.shape.num_elements() // _MIN_TOKENS)
    lanes = 1
    while 2 * lanes <= limit and number % (2 * lanes * together) == 0:
        lanes *= 2
    return lanes


def in_lanes(
    function: Callable[..., tuple[tf.Tensor, ...]], number: int, *tensors: Any
) -> tuple[tf.Tensor, ...]:
    """Applies a function to equal parts of a batch, and joins what it returns.

    Args:
        function: from tensors to tensors, all with the batch as their first axis.
        number: the number of lanes, a divisor of the batch's size.
        *tensors: its arguments; None stays None.
    """
    if number == 1:
        return function(*tensors)
    parts = [[None] * number if each is None else tf.split(each, number) for each in tensors]
    draws: list[list[tf.Tensor]] = []
    results = []
    with interleave_lanes(number):
        for index, arguments in enumerate(zip(*parts, strict=True)):
            outer = getattr(_active, "lane", None)
            _active.lane = _Lane(index, number, draws)
            try:
                results.append(function(*arguments))
            finally:
                _active.lane = outer
    return tuple(tf.concat(each, axis=0) for each in zip(*results, strict=True))


def draw_for_lanes(
    draw: Callable[[tuple[Any, ...]], tf.Tensor], shape: tuple[Any, ...]
) -> tf.Tensor:
    """Returns the lane's part of one draw for all lanes; outside of lanes, a draw.

    Args:
        draw: from a shape to a tensor of that shape.
        shape: that of the lane's part.
    """
    lane: _Lane | None = getattr(_active, "lane", None)
    if lane is None:
        return draw(shape)
    if lane.drawn == len(lane.draws):
        lane.draws.append(tf.split(draw((lane.number * shape[0], *shape[1:])), lane.number))
    lane.drawn += 1
    return lane.draws[lane.drawn - 1][lane.index]
