"""How TensorFlow and Keras start."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ADVICE = (
    "Keras must run on TensorFlow for kerasw2v: set the environment variable "
    "KERAS_BACKEND=tensorflow before keras is first imported. Received: backend={backend!r}."
)


def require_tensorflow() -> None:
    """Raises one clear sentence if Keras runs on another backend than TensorFlow.

    Raises:
        ImportError: if `keras.backend.backend()` is not `"tensorflow"`, or if Keras cannot be
            imported because the backend that it is told to use is not installed.

    Example:

    >>> require_tensorflow()
    """
    try:
        import keras
    except ImportError as error:
        backend = os.environ.get("KERAS_BACKEND", error.name or "unknown")
        # A missing Keras or TensorFlow is another trouble, which Python's own message names.
        if backend == "tensorflow" or error.name in ("keras", "tensorflow"):
            raise
        raise ImportError(_ADVICE.format(backend=backend)) from error
    if keras.backend.backend() != "tensorflow":
        raise ImportError(_ADVICE.format(backend=keras.backend.backend()))


def divide_cores() -> None:
    """Gives each op half of the cores, for programs that do nothing but train.

    A training step has two branches side by side, targets and noise, of many short ops. Sharing
    each op among all cores costs more in waking threads than it gains: on two cores, one thread an
    op was 15 to 20 % faster, and steadier. It is TensorFlow's setting for the whole process and
    must come before TensorFlow does anything; later it is left as it is, as it is where the
    environment variable TF_NUM_INTRAOP_THREADS is set.

    Example:

    >>> divide_cores()
    """
    import tensorflow as tf

    if "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(max(1, (os.cpu_count() or 1) // 2))


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keeps what TensorFlow's C++ code says while it starts away from the terminal.

    Example:

    >>> with quiet_start():
    ...     import tensorflow as tf
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
