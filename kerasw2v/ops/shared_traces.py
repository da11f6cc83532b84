"""One traced function for all models that differ in nothing but the values of their variables.

A `tf.function` that reads variables from around it is traced, optimized and loaded for one model,
and for the next one again. Here it takes them as arguments: what is traced for one model runs for
every other one that looks alike, and keeps none of them alive.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf

# Traces that are kept, those last used; one takes some MB.
_MOST_TRACES = 16

_traces: OrderedDict[Hashable, Any] = OrderedDict()
_active = threading.local()


def forget_traces() -> None:
    """Forgets all traces; the next model of each kind is traced again."""
    _traces.clear()


class Place(NamedTuple):
    """Where a `tf.Variable` is held: by an attribute of an object, or at an index of a list."""

    holder: Any
    name: Any

    def get(self) -> Any:
        """Returns what is there."""
        is_list = isinstance(self.holder, list)
        return self.holder[self.name] if is_list else getattr(self.holder, self.name)

    def set(self, value: Any) -> None:
        """Puts something else there."""
        if isinstance(self.holder, list):
            self.holder[self.name] = value
        else:
            setattr(self.holder, self.name, value)


class SharedTrace(NamedTuple):
    """What is needed to run a model's function by the trace of another model.

    Attributes:
        key: equal for models whose traces are the same, the values of variables apart.
        places: where the function finds its variables, each of them once.
    """

    key: Hashable
    places: Sequence[Place]

    def run(self, option: Hashable, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns `function(*arguments)`, traced once for each key, option and kind of arguments.

        Args:
            option: what else a trace depends on.
            function: a `tf.function`; it is called as it is if what it does depends on other
                variables or tensors around it, which are those of one model.
            *arguments: tensors and iterators over datasets.
        """
        variables = [place.get() for place in self.places]
        with _tracing(function, self.places):
            traced = self._traced(option, variables, arguments)
            if traced is not None:
                return traced(variables, *arguments)
        return function(*arguments)

    def _traced(self, option: Hashable, variables: list[Any], arguments: tuple[Any, ...]) -> Any:
        """Returns a function of variables and arguments; None if it captures anything else."""
        key = self.key, option, tuple(map(tf.type_spec_from_value, arguments))
        if key not in _traces:
            traced = tf.function(_run, autograph=False)
            is_whole = not traced.get_concrete_function(variables, *arguments).captured_inputs
            _traces[key] = traced if is_whole else None
            while len(_traces) > _MOST_TRACES:
                _traces.popitem(last=False)
        _traces.move_to_end(key)
        return _traces[key]


def _run(variables: list[Any], *arguments: Any) -> Any:
    """Runs the function of whatever model is at hand when this is traced."""
    function, places = _active.model
    with _replaced(places, variables):
        return function.python_function(*arguments)


@contextmanager
def _tracing(function: Any, places: Sequence[Place]) -> Iterator[None]:
    outer = getattr(_active, "model", None)
    _active.model = function, places
    try:
        yield
    finally:
        _active.model = outer


@contextmanager
def _replaced(places: Sequence[Place], variables: list[Any]) -> Iterator[None]:
    originals = [place.get() for place in places]
    try:
        for place, variable in zip(places, variables, strict=True):
            place.set(variable)
        yield
    finally:
        for place, original in zip(places, originals, strict=True):
            place.set(original)
