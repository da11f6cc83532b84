"""Arrays in the configs of layers: short ones as lists, long ones by reference.

A config is JSON and stays small. A long array is in it as a reference, its digest and shape. Where
a layer of this process has that array, as when a model is cloned, it is taken from there; otherwise
it comes with the weights.
"""

import hashlib
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

_LONGEST_LIST = 256  # numbers
_DIGEST = "sha256"


class HasArrays(Protocol):
    """A layer with arguments that are arrays."""

    def array_argument(self, name: str) -> np.ndarray:
        """Returns the array that an argument stands for."""


_layers: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
_are_left_out = ContextVar("arrays left out of configs", default=False)


@contextmanager
def arrays_left_out() -> Iterator[None]:
    """Has None for each array in the configs that are made in the block: no digest, no O(V)."""
    token = _are_left_out.set(True)
    try:
        yield
    finally:
        _are_left_out.reset(token)


def array_config(layer: HasArrays, name: str) -> Any:
    """Returns a layer's array as it is in a config: a list, or a reference.

    Args:
        layer: the layer, which has to stay alive for a reference to be followed without weights.
        name: of the argument that the array is given by.
    """
    if _are_left_out.get():
        return None
    array = layer.array_argument(name)
    if array.size <= _LONGEST_LIST:
        is_whole = array.dtype.kind == "f" and (array == np.round(array)).all()
        return (array.astype(np.int64) if is_whole else array).tolist()
    reference = {_DIGEST: _digest(array), "shape": list(array.shape)}
    _layers[f"{name} {reference[_DIGEST]}"] = layer
    return reference


def is_reference(value: Any) -> bool:
    """Returns whether a value of a config is a reference from `array_config`."""
    return isinstance(value, dict) and _DIGEST in value


def find_array(name: str, reference: dict[str, Any]) -> np.ndarray | None:
    """Returns the array that a reference stands for, or None if no layer here has it any more."""
    layer = _layers.get(f"{name} {reference[_DIGEST]}")
    array = None if layer is None else layer.array_argument(name)
    return array if array is not None and _digest(array) == reference[_DIGEST] else None


def _digest(array: np.ndarray) -> str:
    header = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()


class StoreWithout:
    """A store of a layer's variables, as Keras reads it, without the entry of one name."""

    def __init__(self, store: Any, name: str) -> None:
        self._store, self._name = store, name

    def keys(self) -> list[str]:
        """Returns the names of the other entries."""
        return [key for key in self._store.keys() if key != self._name]  # noqa: SIM118

    def __getitem__(self, key: str) -> Any:
        return self._store[key]
