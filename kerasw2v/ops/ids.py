"""Ids and weights of examples as they come in: checked, and cast without changing an id."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

NO_WORD = 2**31 - 1
"""Stands for what is no id, in a graph: no vocabulary is so large, so lookups refuse it."""

_CHUNK = 2**20
# From here on a float stands for several whole numbers. Keras makes float32 of float64.
_FLOAT_LIMITS = {"bfloat16": 2**8, "float16": 2**11, "float32": 2**24, "float64": 2**24}
_OUT_OF_RANGE = re.compile(r" = (-?\d+) is (?:not in|out of range) \[0, (\d+)\)")
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\] \[(-?\d+)\]")


def as_ids(
    name: str,
    ids: Any,
    vocabulary_size: int,
    lowest: int | None = 0,
) -> tf.Tensor:
    """Returns ids as an int32 tensor.

    Arrays and eager tensors are checked by `check_ids`. In a graph values are not known: there what
    is no whole number, or too large for int32, becomes `NO_WORD`, which lookups on a CPU refuse
    (on a GPU they return zeros). That costs two small ops for int64, none for int32.

    Args:
        name: the argument's name, for errors.
        ids: integers of any type, or whole floats; any shape, ragged too.
        vocabulary_size: number of words, V.
        lowest: the smallest id; None if all negative ones are padding.

    Raises:
        TypeError, ValueError: as `check_ids`; in a graph, if the type is not one of numbers.

    Example:

    >>> as_ids("targets", [0, 2], vocabulary_size=3).dtype
    tf.int32
    """
    if isinstance(ids, tf.RaggedTensor):
        values = as_ids(name, ids.flat_values, vocabulary_size, lowest)
        return ids.with_flat_values(values)
    if _is_known(ids):
        with one_sentence_errors():
            check_ids(name, ids, vocabulary_size, lowest)
        return tf.cast(ids, tf.int32)
    if ids.dtype.name in _FLOAT_LIMITS:
        limit = _FLOAT_LIMITS[ids.dtype.name]
        is_whole = (tf.abs(ids) < limit) & (tf.floor(ids) == ids)  # false for NaN too
        return tf.where(is_whole, tf.cast(tf.where(is_whole, ids, 0), tf.int32), NO_WORD)
    if not ids.dtype.is_integer:
        with one_sentence_errors():
            raise _type_error(name, ids.dtype.name)
    if ids.dtype.size < 4 or ids.dtype == tf.int32:
        return tf.cast(ids, tf.int32)
    wide = tf.cast(ids, tf.int64)
    if ids.dtype == tf.uint64:
        wide = tf.where(wide < 0, tf.constant(NO_WORD, tf.int64), wide)  # from 2**63 on
    return tf.cast(tf.clip_by_value(wide, -(2**31), NO_WORD), tf.int32)


def is_equal(ids: tf.Tensor, number: int) -> tf.Tensor:
    """Returns which ids, of any type, are a number, which may be none of that type."""
    wide = tf.cast(ids, tf.int64) if ids.dtype.is_integer else ids
    return tf.equal(wide, tf.cast(number, wide.dtype))


def check_ids(
    name: str,
    ids: Any,
    vocabulary_size: int,
    lowest: int | None = 0,
) -> None:
    """Checks ids whose values are known, in one pass and without a copy of them.

    Arguments are those of `as_ids`.

    Raises:
        TypeError: if they are not numbers.
        ValueError: if one of them is not a whole number, or not from `lowest` to V - 1.

    Example:

    >>> check_ids("targets", [0, 2**32 + 3], vocabulary_size=10)
    Traceback (most recent call last):
        ...
    ValueError: `targets` must be ids from 0 to 9. Received: targets[1]=4294967299.
    """
    array = np.asarray(getattr(ids, "flat_values", ids))
    type_name = array.dtype.name
    limit = _FLOAT_LIMITS.get(type_name)
    if limit is None and array.dtype.kind not in "iu" and array.size:
        raise _type_error(name, type_name)
    for start, chunk in _chunks(array):
        if limit is not None:
            chunk = chunk.astype(np.float32 if limit < 2**24 else chunk.dtype, copy=False)
            _check_whole(name, chunk, start, type_name, limit)
        _check_range(name, chunk, start, vocabulary_size, lowest)


def _check_whole(name: str, chunk: NDArray[Any], start: int, type_name: str, limit: int) -> None:
    is_whole = np.isfinite(chunk) & (np.floor(chunk) == chunk)
    if not is_whole.all():
        raise ValueError(
            f"`{name}` must be whole numbers. Received: {_first(name, chunk, ~is_whole, start)}."
        )
    too_large = np.abs(chunk) >= limit
    if too_large.any():
        raise ValueError(
            f"`{name}` must be integers from {limit} on, where {type_name} does not tell whole "
            f"numbers apart. Received: {_first(name, chunk, too_large, start)}."
        )


def _check_range(
    name: str, chunk: NDArray[Any], start: int, vocabulary_size: int, lowest: int | None
) -> None:
    too_low = lowest is not None and int(chunk.min()) < lowest
    if not too_low and int(chunk.max()) < vocabulary_size:
        return
    is_wrong = chunk >= vocabulary_size
    if lowest is not None and chunk.dtype.kind != "u":
        is_wrong |= chunk < lowest
    first = _first(name, chunk, is_wrong, start)
    rule = f"ids from {lowest} to {vocabulary_size - 1}"
    if lowest is None:
        rule = f"ids below {vocabulary_size}, the number of words, or negative for padding"
    elif lowest < 0:
        rule = f"ids from 0 to {vocabulary_size - 1}, or ~id where a sentence starts"
    raise ValueError(f"`{name}` must be {rule}. Received: {first}.")


def _first(name: str, chunk: NDArray[Any], is_wrong: NDArray[np.bool_], start: int) -> str:
    """Returns the name, index and value of the first wrong number."""
    value: Any
    if not chunk.ndim:
        return f"{name}={_plain(chunk)}"
    index = [int(i) for i in np.argwhere(is_wrong)[0]]
    value = chunk[tuple(index)]
    index[0] += start
    return f"{name}[{', '.join(map(str, index))}]={_plain(value)}"


def _plain(value: Any) -> Any:
    number = value.item()
    is_whole = isinstance(number, float) and number.is_integer()
    return int(number) if is_whole else number


def _type_error(name: str, type_name: str) -> TypeError:
    return TypeError(
        f"`{name}` must be ids: integers, or whole floats. Received: {name} of type {type_name}."
    )


def check_examples(
    name: str, x: Any, y: Any, weights: Any, vocabulary_size: int, lowest: int | None
) -> None:
    """Checks arrays of training data: all of them, before any work.

    Datasets and generators pass: what they yield is checked in the steps, by `as_ids`.

    Args:
        name: the arguments' names, with `{}` for `x`, `y` and `sample_weight`.
        x: ids of the inputs; of blocks where `y` is None.
        y: ids of the targets, or None.
        weights: of the examples, or None.
        vocabulary_size: number of words, V.
        lowest: the smallest id of an input, see `as_ids`.

    Raises:
        TypeError, ValueError: as `check_ids`, or if a weight is not a finite number.
    """
    if is_array(x):
        check_ids(name.format("x"), x, vocabulary_size, -vocabulary_size if y is None else lowest)
    if is_array(y):
        check_ids(name.format("y"), y, vocabulary_size)
    if is_array(weights):
        check_weights(name.format("sample_weight"), weights)


def check_weights(name: str, weights: Any) -> None:
    """Raises TypeError or ValueError unless all weights, of known values, are finite numbers."""
    array = np.asarray(weights)
    if array.dtype.kind not in "iufb" and array.dtype.name != "bfloat16":
        raise TypeError(f"`{name}` must be numbers. Received: {name} of type {array.dtype.name}.")
    for start, chunk in _chunks(array):
        is_wrong = ~np.isfinite(chunk)
        if is_wrong.any():
            raise ValueError(
                f"`{name}` must be finite. Received: {_first(name, chunk, is_wrong, start)}."
            )


def as_weights(name: str, weights: Any) -> tf.Tensor:
    """Returns weights as a float32 tensor; arrays and eager tensors are checked.

    Raises:
        TypeError, ValueError: as `check_weights`.
    """
    if _is_known(weights):
        with one_sentence_errors():
            check_weights(name, weights)
    return tf.cast(weights, tf.float32)


def _is_known(values: Any) -> bool:
    return not (tf.is_tensor(values) and tf.is_symbolic_tensor(values))


def is_array(data: Any) -> bool:
    """Whether data are an array or tensor, rather than a dataset, a generator or None."""
    return isinstance(data, tf.RaggedTensor) or hasattr(data, "__array__")


def _chunks(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yields parts of about a million numbers, and the row at which each starts."""
    if not array.size:
        return
    if not array.ndim:
        yield 0, array
        return
    rows = max(1, _CHUNK * len(array) // array.size)
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Keeps Keras from adding a list of all arguments to an error in the `call` of a layer."""
    try:
        yield
    except (MemoryError, TypeError, ValueError) as error:
        error._keras_call_info_injected = True  # type: ignore[union-attr]
        raise


@contextmanager
def one_sentence_id_errors() -> Iterator[None]:
    """Turns the long error of an op that met an id out of range into a ValueError, one sentence.

    Raises:
        ValueError: for such an error in the block.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        sentence = _sentence(error.message)
        if sentence is None:
            raise
        raise ValueError(sentence) from error


def _sentence(message: str) -> str | None:
    if found := _ASSERTION.search(message):
        rule, value = found.groups()
        return f"{rule} {_received(int(value))}."
    if found := _OUT_OF_RANGE.search(message):
        value, size = map(int, found.groups())
        return f"Ids in the data must be from 0 to {size - 1}. Received: {_received(value)}."
    return None


def _received(value: int) -> str:
    return f"no whole number, or one from {NO_WORD} on" if value == NO_WORD else str(value)
