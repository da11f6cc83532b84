"""The check that Keras runs on TensorFlow."""

import os

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
