"""Argument checks, each ending in one sentence: the argument, the rule, what was received."""

import operator
from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")


def check_int(name: str, value: object, minimum: int) -> int:
    """Checks that an argument is a whole number and large enough.

    Args:
        name: the argument's name, for the message.
        value: what was received. Python and NumPy integers pass, `bool` does not.
        minimum: the smallest number that is right.

    Returns:
        `value` as an `int`.

    Raises:
        TypeError: if it is not a whole number.
        ValueError: if it is smaller than `minimum`.

    Example:

    >>> check_int("min_count", 5, minimum=1)
    5
    >>> check_int("min_count", 0, minimum=1)
    Traceback (most recent call last):
    ...
    ValueError: `min_count` must be at least 1. Received: min_count=0.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}.")
    number = operator.index(value)
    if number < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}. Received: {name}={value!r}.")
    return number


def check_seed(name: str, seed: object, limit: int = 2**63) -> int | None:
    """Checks the seed of random draws.

    Args:
        name: the argument's name, for the message.
        seed: what was received: a Python or NumPy integer, or None for draws without a seed.
        limit: all seeds must be below it.

    Returns:
        `seed` as an `int`, or None.

    Raises:
        TypeError: if it is neither an integer nor None.
        ValueError: if it is negative or not below `limit`.

    Example:

    >>> check_seed("seed", np.int64(3))
    3
    >>> check_seed("seed", -1)
    Traceback (most recent call last):
    ...
    ValueError: `seed` must be from 0 to 9223372036854775807. Received: seed=-1.
    """
    if seed is None:
        return None
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"`{name}` must be an integer or None. Received: {name}={seed!r}.")
    number = operator.index(seed)
    if not 0 <= number < limit:
        raise ValueError(f"`{name}` must be from 0 to {limit - 1}. Received: {name}={seed!r}.")
    return number


def check_finite(name: str, value: object) -> float:
    """Returns `value` as a float; raises TypeError or ValueError unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}.")
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


def check_choice(name: str, value: T, choices: Sequence[T]) -> T:
    """Returns `value`; raises ValueError unless it is one of `choices`."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {listed}. Received: {name}={value!r}.")
    return value


def check_counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Returns frequencies as a float64 vector, most frequent first.

    Args:
        counts: `(V,)` frequencies in descending order, or the number of words, all equally
            frequent then.

    Raises:
        TypeError: if `counts` is not numeric.
        ValueError: if it is empty, not a vector, has negative or non-finite entries, is all zero
            or is not in descending order.
    """
    if isinstance(counts, Integral):
        return np.ones(check_int("counts", counts, minimum=1))
    try:
        array = np.asarray(counts, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`counts` must be numbers. Received: counts={counts!r}.") from error
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"`counts` must be a vector with an entry a word. Received: shape={array.shape}."
        )
    if not np.isfinite(array).all() or array.min() < 0 or array.max() == 0:
        raise ValueError(
            "`counts` must be finite, not negative and not all zero. "
            f"Received: smallest {array.min()}, largest {array.max()}."
        )
    rising = np.flatnonzero(np.diff(array) > 0)
    if rising.size:
        at = int(rising[0])
        raise ValueError(
            "`counts` must be in descending order. "
            f"Received: counts[{at}]={array[at]:g} before counts[{at + 1}]={array[at + 1]:g}."
        )
    return array
