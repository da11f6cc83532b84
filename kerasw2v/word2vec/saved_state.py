"""What the file of a `Word2Vec` may say: every argument, state and array, by type and range.

A file may come from anywhere. Only what is listed here becomes an argument or an attribute, so that
loading trains nothing, reads nothing else and makes no object of another kind.
"""

from collections.abc import Callable, Mapping
from math import isfinite, prod
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.utils.checks import shortened

Arrays = Mapping[str, NDArray[Any]]
Rule = tuple[str, Callable[[Any], bool]]  # what is allowed, in words and as a test

PATHS = ("code", "point")
TABLES = ("syn1", "syn1neg")


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value)


def whole_number(minimum: int, maximum: int = 2**63 - 1) -> Rule:
    """Returns the rule of a whole number in a range."""
    limit = f" and at most {maximum}" if maximum < 2**63 - 1 else ""
    return (
        f"an integer of at least {minimum}{limit}",
        lambda value: _is_whole(value) and minimum <= value <= maximum,
    )


def _or_none(rule: Rule) -> Rule:
    return f"{rule[0]}, or null", lambda value: value is None or rule[1](value)


_FLAG: Rule = ("true, false or an integer", lambda value: type(value) in (bool, int))
_NUMBER: Rule = ("a finite number", _is_number)
_NOT_NEGATIVE: Rule = (
    "a finite number of at least 0",
    lambda value: _is_number(value) and value >= 0,
)
_LOSSES: Rule = (
    "a list of numbers",
    lambda value: isinstance(value, list) and all(isinstance(each, int | float) for each in value),
)

# Constructor arguments; no corpus, nothing callable.
ARGUMENTS: dict[str, Rule] = {
    "vector_size": whole_number(1),
    "alpha": _NUMBER,
    "window": whole_number(1),
    "min_count": _or_none(_NUMBER),
    "max_vocab_size": _or_none(_NOT_NEGATIVE),
    "sample": _or_none(_NOT_NEGATIVE),
    "seed": _or_none(whole_number(0, 2**32 - 1)),
    "workers": _NUMBER,
    "min_alpha": _NUMBER,
    "sg": _FLAG,
    "hs": _FLAG,
    "negative": whole_number(0),
    "ns_exponent": _NUMBER,
    "cbow_mean": _FLAG,
    "epochs": _or_none(_NUMBER),
    "null_word": _FLAG,
    "sorted_vocab": _FLAG,
    "batch_words": _or_none(_NUMBER),
    "compute_loss": _FLAG,
    "max_final_vocab": _or_none(_NOT_NEGATIVE),
    "shrink_windows": _FLAG,
    "batch_size": _or_none(whole_number(1)),
    "progress_bar": _FLAG,
    "cache_corpus": _FLAG,
}


class Kind(NamedTuple):
    """What differs between the files of `Word2Vec` and those of a class derived from it.

    Attributes:
        name: of the class, with its module; files begin with it.
        gensim_class: gensim's class.
        vectors_class: gensim's class of its `wv`.
        own_vectors_class: ours, which is saved as gensim's, if there is one.
        arguments: the constructor's arguments that are saved.
        word_table: the array of `wv` with a trained row for each word.
        other_table: another array of `wv` with trained rows, if there is one, and the argument that
            is the number of its rows.
        locks: arrays of `wv` that lock rows.
    """

    name: str
    gensim_class: Any
    vectors_class: Any
    own_vectors_class: Any = None
    arguments: dict[str, Rule] = ARGUMENTS
    word_table: str = "vectors"
    other_table: tuple[str, str] | None = None
    locks: tuple[str, ...] = ("vectors_lockf",)

    @property
    def vector_arrays(self) -> tuple[str, ...]:
        """The arrays of `wv` that are saved."""
        others = () if self.other_table is None else self.other_table[:1]
        return (self.word_table, *others, *self.locks)


# Attributes that building the vocabulary and training set.
STATE: dict[str, Rule] = {
    "corpus_count": _or_none(whole_number(0)),
    "corpus_total_words": _or_none(whole_number(0)),
    "effective_min_count": _or_none(_NOT_NEGATIVE),
    "train_count": whole_number(0),
    "total_train_time": _NOT_NEGATIVE,
    "min_alpha_yet_reached": _NUMBER,
    "running_training_loss": ("a number", lambda value: type(value) in (int, float)),
    "epoch_losses": _LOSSES,
    "held_out_losses": _LOSSES,
}

# Classes that the config of an output layer may name besides registered output layers.
_PLAIN_MODULES = ("keras.initializers", "keras.regularizers", "keras.constraints")
_PLAIN_CLASSES = ("DTypePolicy", "__tensor__", "__numpy__")


def check_saved(kind: Kind, header: Any, words: Any, counts: Any, arrays: Arrays) -> None:
    """Checks what a file says, before anything is made of it.

    Args:
        kind: the class that the file is of.
        header: the JSON of the file; keys that are not known here are not looked at.
        words: the words that it holds.
        counts: the values of its `raw_vocab`.
        arrays: its arrays.

    Raises:
        ValueError: naming the first thing that is not allowed, or that does not agree.
        KeyError, TypeError: if something is missing, or of another structure.
    """
    _check_values("argument", header["arguments"], kind.arguments)
    _check_values("state", header["state"], STATE)
    size = header["arguments"]["vector_size"]
    if not isinstance(words, list) or len(set(words)) != len(words):
        raise ValueError("its words must be a list without a word twice")
    if not all(map(_is_number, counts)):
        raise ValueError("its raw_vocab must hold counts")
    _check_output_layer(header["output_layer"], len(words), size)
    _check_arrays(arrays, len(words), size)
    _check_vectors(kind, header["arguments"], arrays, len(words))


def _check_values(kind: str, values: Any, rules: Mapping[str, Rule]) -> None:
    for name, value in dict(values).items():
        if name not in rules:
            raise ValueError(f"it has an unknown {kind} {name!r}")
        rule, holds = rules[name]
        if not holds(value):
            raise ValueError(f"its {name} must be {rule}, not {shortened(value, 40)}")


def _check_arrays(arrays: Arrays, number: int, size: int) -> None:
    for name in TABLES:
        if name in arrays:
            _check_table(name, arrays, number, size)
    for name, array in arrays.items():
        attribute = name.removeprefix("vecattr.")
        if attribute in PATHS and attribute != name:
            lengths = arrays["path_lengths"]
            _check_array("path_lengths", lengths, "iu", (number,), minimum=0)
            _check_array(name, array, "iu", (int(lengths.sum()),), minimum=0)
        elif attribute != name:
            is_count = attribute in ("count", "sample_int")
            if is_count:
                _check_array(name, array, "iu", (number,), minimum=0)
            elif array.shape[:1] != (number,):  # a user's own, of any kind
                raise ValueError(f"its {name} must have an entry for each word")
        elif name.startswith("output_layer."):
            _check_array(name, array, "biuf", array.shape)


def _check_vectors(kind: Kind, arguments: Any, arrays: Arrays, number: int) -> None:
    size, rows = arguments["vector_size"], number
    _check_table(kind.word_table, arrays, number, size)
    if kind.other_table is not None:
        name, argument = kind.other_table
        rows = arguments[argument]
        _check_table(name, arrays, rows, size)
    for name in kind.locks:
        _check_array(name, arrays[name], "f", (max(1, len(arrays[name])),))
        if len(arrays[name]) not in (1, number, rows):
            raise ValueError(f"its {name} must have one entry, or one for each row")


def _check_table(name: str, arrays: Arrays, rows: int, size: int) -> None:
    # Before the weights are made there are words without them.
    _check_array(name, arrays[name], "f", (len(arrays[name]) and rows, size))


def _check_array(
    name: str,
    array: NDArray[Any],
    kinds: str,
    shape: tuple[int, ...],
    minimum: float | None = None,
) -> None:
    if array.dtype.kind not in kinds or array.shape != shape:
        expected = "numbers" if "f" in kinds else "integers"
        raise ValueError(
            f"its {name} must be {expected} of shape {shape}, not {array.dtype} of {array.shape}"
        )
    if array.size:
        # NaN is passed on by both; unlike `np.isfinite`, they need no memory.
        smallest, largest = array.min(), array.max()
        if not (np.isfinite(smallest) and np.isfinite(largest)):
            raise ValueError(f"its {name} must be finite")
        if minimum is not None and smallest < minimum:
            raise ValueError(f"its {name} must be at least {minimum}, not {smallest}")


def _check_output_layer(config: Any, number: int, size: int) -> None:
    if config is None or isinstance(config, str):
        return  # the constructor knows the names
    if not isinstance(config, dict) or not _is_output_layer(config):
        raise ValueError("its output_layer must be a registered OutputLayer")
    waiting: list[Any] = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item and not _is_harmless(item):
                raise ValueError(
                    f"its output_layer must not hold a {shortened(item['class_name'], 40)}"
                )
            _check_sizes(item, number, size)
            waiting += item.values()
        elif isinstance(item, list | tuple) and not all(map(_is_number, item)):
            waiting += item


def _check_sizes(config: dict[str, Any], number: int, size: int) -> None:
    """Refuses another vocabulary or width, for which arrays would be made."""
    counts = config.get("counts", number)
    if (len(counts) if isinstance(counts, list) else counts) != number:
        raise ValueError(f"its output_layer must be for {number} words")
    shape = config.get("hidden_shape", [None, size])
    if list(shape) != [None, size]:
        raise ValueError(f"its output_layer must be for vectors of width {size}")


def _is_output_layer(config: dict[str, Any]) -> bool:
    kind = keras.saving.get_registered_object(config.get("registered_name"))
    return isinstance(kind, type) and issubclass(kind, OutputLayer)


def _is_harmless(config: dict[str, Any]) -> bool:
    if _is_output_layer(config) or config.get("module") in _PLAIN_MODULES:
        return True
    return config["class_name"] in _PLAIN_CLASSES and config.get("module") in (None, "keras")


def check_room(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], room: int) -> None:
    """Raises ValueError unless an array fills exactly the bytes that a file has for it.

    NumPy would allocate whatever its header promises.
    """
    if dtype.hasobject or prod(shape) * dtype.itemsize != room:
        raise ValueError(f"its {name} promises {dtype} of {shape}, but has {room} bytes")
