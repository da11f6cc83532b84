"""The table of all output layers: a new layer is one row, and every test here runs it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from kerasw2v import layers


class Row(NamedTuple):
    """How to make an output layer, and what may be expected of it.

    Attributes:
        create: makes the layer from counts, and from arguments of `keras.layers.Layer`.
        sampled: whether its loss is a draw, so that two forms agree on average only.
    """

    create: Callable[..., Any]
    sampled: bool = False


def negative_sampling(sharing: str, **kwargs: Any) -> Row:
    return Row(
        partial(layers.NegativeSampling, sharing=sharing, group_size=8, seed=1, **kwargs),
        sampled=True,
    )


OUTPUT_LAYERS = {
    "FullSoftmax": Row(layers.FullSoftmax),
    "NegativeSampling, example": negative_sampling("example"),
    "NegativeSampling, group": negative_sampling("group", shared_size=8),
    "NegativeSampling, batch": negative_sampling("batch", shared_size=32),
}
