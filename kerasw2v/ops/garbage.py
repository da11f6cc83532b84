"""When Python collects garbage."""

import functools
import gc
from collections.abc import Callable
from typing import Any


def first_call_keeps_garbage(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function whose first call is not interrupted to collect garbage.

    Tracing a graph makes half a million objects, nearly all of which stay: enough for Python to
    look, in vain, through all that TensorFlow has brought along, which takes a tenth of the time.

    Args:
        function: traces a graph when it is first called.

    Example:

    >>> first_call_keeps_garbage(gc.isenabled)(), gc.isenabled()
    (False, True)
    """
    is_first = True

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        nonlocal is_first
        if not (is_first and gc.isenabled()):
            return function(*arguments)
        is_first = False
        gc.disable()
        try:
            return function(*arguments)
        finally:
            gc.enable()

    return call
