"""Argument checks, each ending in one sentence: the argument, the rule, what was received."""

import operator
from collections.abc import Hashable, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kerasw2v.utils.memory import check_memory

T = TypeVar("T")


# The largest number of words, and of anything else that an int32 numbers.
MAX_INT32 = 2**31 - 1


def check_int(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Returns `value` as an int; TypeError unless it is whole, ValueError if out of range.

    Python and NumPy integers pass, `bool` does not.
    """
    if not _is_index(value):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={_shown(value)}.")
    number = operator.index(value)  # type: ignore[arg-type]
    if number < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}. Received: {name}={value!r}.")
    if maximum is not None and number > maximum:
        raise ValueError(f"`{name}` must be at most {maximum}. Received: {name}={value!r}.")
    return number


def check_convertible(kind: type[int | float], **values: object) -> None:
    """Raises TypeError unless each value, by its name, is something that `int` or `float` takes.

    For arguments that are converted as gensim does it: `"5"`, `True` and 5.0 are 5.
    """
    for name, value in values.items():
        try:
            kind(value)  # type: ignore[arg-type, call-overload]
        except (OverflowError, TypeError, ValueError) as error:
            what = "an integer" if kind is int else "a number"
            raise TypeError(
                f"`{name}` must be {what}. Received: {name}={_shown(value)}."
            ) from error


def _is_index(value: object) -> bool:
    # NumPy's arrays have `__index__`, whatever their shape.
    is_array = isinstance(value, np.ndarray) and value.ndim > 0
    return hasattr(value, "__index__") and not is_array and not isinstance(value, bool)


def _shown(value: object) -> str:
    """Returns a value as Python shows it, in one line."""
    return " ".join(repr(value).split())


def shortened(value: object, longest: int = 60) -> str:
    """Returns a value as Python shows it, cut to so many characters for an error message."""
    text = repr(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def check_seed(name: str, seed: object, limit: int = 2**63) -> int | None:
    """Returns the seed of random draws as an int, or None for draws without a seed.

    Raises TypeError if it is neither, ValueError if it is negative or not below `limit`.
    """
    if seed is None:
        return None
    if not _is_index(seed):
        raise TypeError(f"`{name}` must be an integer or None. Received: {name}={_shown(seed)}.")
    number = operator.index(seed)  # type: ignore[arg-type]
    if not 0 <= number < limit:
        raise ValueError(f"`{name}` must be from 0 to {limit - 1}. Received: {name}={seed!r}.")
    return number


def check_finite(name: str, value: object) -> float:
    """Returns `value` as a float; raises TypeError or ValueError unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={_shown(value)}.")
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value}.")
    return number


def check_non_negative(name: str, value: object) -> float:
    """Returns `value` as a float; raises TypeError or ValueError unless it is finite and >= 0."""
    number = check_finite(name, value)
    if number < 0:
        raise ValueError(f"`{name}` must not be negative. Received: {name}={value}.")
    return number


def check_positive(name: str, value: object) -> float:
    """Returns `value` as a float; raises TypeError or ValueError unless it is finite and > 0."""
    number = check_finite(name, value)
    if number <= 0:
        raise ValueError(f"`{name}` must be positive. Received: {name}={value}.")
    return number


def check_choice(name: str, value: T, choices: Sequence[T]) -> T:
    """Returns `value`; raises ValueError unless it is one of `choices`."""
    # An array would be compared number by number.
    if not isinstance(value, Hashable) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {listed}. Received: {name}={_shown(value)}.")
    return value


def check_counts(counts: ArrayLike, descending: bool = False) -> NDArray[np.float64]:
    """Returns frequencies, `(V,)`, as float64; a number of words means ones.

    Raises TypeError unless they are numeric; ValueError unless they are a vector, not empty,
    finite, not negative, not all zero and, with `descending`, the most frequent first.
    """
    if isinstance(counts, Integral):
        size = check_int("counts", counts, minimum=1, maximum=MAX_INT32)
        check_memory("`counts`", 8 * size, f"a vocabulary of {size:,} words")
        return np.ones(size)
    try:
        array = np.asarray(counts, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`counts` must be numbers. Received: counts={counts!r}.") from error
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"`counts` must be a vector with one entry per word. Received: shape={array.shape}."
        )
    with np.errstate(over="ignore"):
        total = array.sum()
    if not np.isfinite(total) or array.min() < 0 or array.max() == 0:
        raise ValueError(
            "`counts` must be finite, not negative and not all zero. "
            f"Received: smallest {array.min()}, largest {array.max()}."
        )
    rising = np.flatnonzero(np.diff(array) > 0)
    if descending and rising.size:
        at = int(rising[0])
        raise ValueError(
            "`counts` must be in descending order. "
            f"Received: counts[{at}]={array[at]:g} before counts[{at + 1}]={array[at + 1]:g}."
        )
    return array


def check_instance(name: str, value: Any, kind: type) -> None:
    """Raises TypeError unless a value is an instance of a class."""
    if not isinstance(value, kind):
        raise TypeError(
            f"`{name}` must be a {kind.__module__}.{kind.__qualname__}. Received: {name}={value!r}."
        )


def check_vectors(name: str, value: Any) -> None:
    """Raises TypeError unless a value has words and vectors, as gensim's `KeyedVectors`."""
    if not (hasattr(value, "index_to_key") and hasattr(value, "vectors")):
        raise TypeError(
            f"`{name}` must be a gensim.models.KeyedVectors. Received: {name}={value!r}."
        )


def check_words(name: str, words: Sequence[Any]) -> None:
    """Raises ValueError if a word holds half of a surrogate pair, which no file can hold."""
    try:
        "\n".join(word for word in words if isinstance(word, str)).encode()
    except UnicodeEncodeError as error:
        word = next(word for word in words if not _is_text(word))
        raise ValueError(
            f"`{name}` must be text that UTF-8 can hold. Received: {word!r}."
        ) from error


def _is_text(word: Any) -> bool:
    try:
        str(word).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_workers(workers: Any, index: Any) -> tuple[list[str], int]:
    """Returns the addresses and the index of this process, or raises TypeError or ValueError."""
    if isinstance(workers, str):
        raise TypeError(
            f"`workers` must be a list of addresses, not a string. Received: workers={workers!r}."
        )
    addresses = list(workers)
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ValueError(f"Each of `workers` must be host:port. Received: {address!r}.")
    if len(set(addresses)) != len(addresses) or not addresses:
        raise ValueError(f"`workers` must be different addresses. Received: {addresses}.")
    if index is None:
        raise ValueError("`index` must be given with `workers`. Received: index=None.")
    index = check_int("index", index, minimum=0)
    if index >= len(addresses):
        raise ValueError(
            f"`index` must be below the number of workers, {len(addresses)}. "
            f"Received: index={index}."
        )
    return addresses, index
