"""Output layers by name, for recipes and for arguments that name one."""

import inspect
from typing import Any

from numpy.typing import ArrayLike

from kerasw2v import layers
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.utils.checks import check_choice


def output_layers() -> dict[str, type[OutputLayer]]:
    """Returns the classes of `kerasw2v.layers` that can be made from counts alone, by name.

    Example:

    >>> "NCE" in output_layers(), "SumOfLosses" in output_layers()
    (True, False)
    """
    exported = {name: getattr(layers, name) for name in layers.__all__}
    return {
        name: each
        for name, each in exported.items()
        if inspect.isclass(each)
        and issubclass(each, OutputLayer)
        and each is not OutputLayer
        and "counts" in inspect.signature(each).parameters
    }


def make_output_layer(
    name: str, counts: ArrayLike, seed: int | None = None, **arguments: Any
) -> OutputLayer:
    """Makes an output layer by its name.

    Args:
        name: one of `output_layers()`.
        counts: frequencies, most frequent word first, or V alone.
        seed: seed of the layer's draws; ignored by layers that draw nothing.
        **arguments: other arguments of the layer.

    Raises:
        TypeError, ValueError: if there is no such layer, or it refuses an argument.

    Example:

    >>> layer = make_output_layer("NCE", [5, 2, 1], seed=1, num_sampled=2)
    >>> type(layer).__name__, layer.num_sampled
    ('NCE', 2)
    """
    classes = output_layers()
    layer_class: Any = classes[check_choice("output_layer", name, tuple(classes))]
    if "seed" in inspect.signature(layer_class).parameters:
        arguments["seed"] = seed
    layer: OutputLayer = layer_class(counts, **arguments)
    return layer
