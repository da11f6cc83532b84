"""Python values as JSON text and NumPy arrays, and back exactly as they were; nothing is pickled.

JSON has no tuples, sets, bytes or keys that are numbers. Such a value becomes an object with one
key, which names its type: `(1, 2)` is `{"tuple": [1, 2]}`.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasw2v.utils.checks import shortened

PLAIN_VALUES = (
    "None, numbers, strings, bytes, NumPy arrays, or tuples, lists, sets and dicts of these"
)
"""What can be saved, for error messages."""

_COLLECTIONS: dict[str, type] = {kind.__name__: kind for kind in (tuple, set, frozenset)}
_NUMPY_KINDS = "biufU"


def encode(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Returns a value as JSON can hold it; arrays are appended to a list and named by their place.

    Raises:
        TypeError: if it is, or holds, something that would not come back as it is.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if kind is float:
        return {"float": str(value)}
    if kind is list:
        return [encode(item, arrays) for item in value]
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind is dict:
        return {"dict": [[encode(part, arrays) for part in item] for item in value.items()]}
    if kind.__name__ in _COLLECTIONS and kind is _COLLECTIONS[kind.__name__]:
        return {kind.__name__: [encode(item, arrays) for item in value]}
    if isinstance(value, np.generic) and value.dtype.kind in _NUMPY_KINDS and value.nbytes <= 2**20:
        return {"numpy": [value.dtype.str, encode(value.item(), arrays)]}
    if kind in (np.ndarray, np.memmap) and not value.dtype.hasobject:
        arrays.append(value)
        return {"array": len(arrays) - 1}
    raise TypeError(f"{kind.__module__}.{kind.__qualname__}")


def decode(value: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    """Returns the value that `encode` was given; ValueError or TypeError if there is none."""
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise ValueError(f"{sorted(value)} is no type of a value")
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "dict":
        return {decode(key, arrays): decode(item, arrays) for key, item in content}
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](decode(item, arrays) for item in content)
    if kind == "numpy":
        dtype = np.dtype(content[0])
        if dtype.kind not in _NUMPY_KINDS:
            raise ValueError(f"{dtype} is no type of a number")
        number = decode(content[1], arrays)
        if not isinstance(number, int | float | str):
            raise ValueError(f"{shortened(number)} is no number")
        return dtype.type(number)
    if kind == "array":
        return arrays[content]
    raise ValueError(f"{kind!r} is no type of a value")


def check_plain(name: str, value: Any) -> Any:
    """Returns a value; raises TypeError unless it can be saved and comes back as it is."""
    try:
        encode(value, [])
    except (TypeError, RecursionError) as error:
        raise TypeError(
            f"`{name}` must be {PLAIN_VALUES}, to be saved as it is. "
            f"Received: {_kind(error)}, in {name}={shortened(value)}."
        ) from None
    return value


def encode_words(words: Sequence[Any]) -> list[Any]:
    """Returns words as JSON can hold them, strings as they are; TypeError for other objects."""
    if set(map(type, words)) <= {str}:
        return list(words)
    encoded = []
    for word in words:
        try:
            encoded.append(encode(word, []))
        except TypeError as error:
            raise TypeError(
                "Words must be strings, numbers, bytes, or tuples and frozensets of these, to be "
                f"saved; pickle takes others. Received: {shortened(word)} of type {error}."
            ) from None
    return encoded


def decode_words(encoded: Sequence[Any]) -> list[Any]:
    """Returns the words that `encode_words` was given."""
    return [word if type(word) is str else decode(word, ()) for word in encoded]


def encode_attributes(
    attributes: dict[str, Any], arrays: list[NDArray[Any]], owner: str = ""
) -> dict[str, Any]:
    """Returns attributes that a user has set as JSON can hold them; TypeError names a bad one."""
    encoded = {}
    for name, value in attributes.items():
        try:
            encoded[name] = encode(value, arrays)
        except (TypeError, RecursionError) as error:
            raise TypeError(
                f"The attribute `{owner}{name}` must be {PLAIN_VALUES}, to be saved; "
                f"ignore=[{name!r}] leaves it out. Received: {_kind(error)}."
            ) from None
    return encoded


def decode_attributes(encoded: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> dict[str, Any]:
    """Returns the attributes that `encode_attributes` was given."""
    return {name: decode(value, arrays) for name, value in encoded.items()}


def _kind(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "something that contains itself"
    return f"an object of type {error}"
