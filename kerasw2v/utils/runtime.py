"""How TensorFlow and Keras start and run here."""

import functools
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

_ADVICE = (
    "Keras must run on TensorFlow for kerasw2v: set the environment variable "
    "KERAS_BACKEND=tensorflow before keras is first imported. Received: backend={backend!r}."
)


def require_tensorflow() -> None:
    """Raises ImportError, one clear sentence, if Keras runs on another backend than TensorFlow."""
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


# Chains of ops side by side in the steps of negative sampling (`ops.lanes`) and of hierarchical
# softmax (`ops.parts`), where there are as many cores.
MAX_CHAINS = 8

_is_fork_of_tensorflow = False


def _note_fork() -> None:
    """Notes in a new child whether TensorFlow had started: its threads are not in the child."""
    global _is_fork_of_tensorflow
    tensorflow = sys.modules.get("tensorflow")
    if not hasattr(tensorflow, "config"):
        return  # not there, or not yet
    threading = tensorflow.config.threading  # type: ignore[union-attr]
    number = threading.get_inter_op_parallelism_threads()
    try:
        threading.set_inter_op_parallelism_threads(number + 1)  # refused once it has started
        threading.set_inter_op_parallelism_threads(number)
    except RuntimeError:
        _is_fork_of_tensorflow = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def check_not_forked() -> None:
    """Raises RuntimeError in a child that was forked while TensorFlow ran, where it would hang.

    A child of a process that has only imported TensorFlow may train, and so may any process that
    was spawned.
    """
    if _is_fork_of_tensorflow:
        raise RuntimeError(
            "TensorFlow would hang in a process that was forked from one where it ran before: "
            "start processes that train by multiprocessing.get_context('spawn')."
        )


def usable_cores() -> int:
    """Returns how many cores the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chains_side_by_side() -> int:
    """Returns how many chains of ops are worth having: TensorFlow's threads for ops, 8 at most."""
    import tensorflow as tf

    threads = tf.config.threading.get_inter_op_parallelism_threads() or usable_cores()
    return min(MAX_CHAINS, threads)


def divide_cores(chains: int = 2) -> None:
    """Divides the cores among the chains of ops that a step runs side by side.

    A training step is many short ops. Sharing each among all cores costs more in waking threads
    than it gains: on two cores, one thread an op was 15 to 20 % faster, and steadier. It is
    TensorFlow's setting for the whole process, for programs that do nothing but train. It must come
    before TensorFlow does anything; later it is left as it is, as it is where the environment
    variable TF_NUM_INTRAOP_THREADS is set.

    Args:
        chains: 2, targets and noise, or as many as a step is cut into (see `ops.lanes`).
    """
    import tensorflow as tf

    if "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(max(1, usable_cores() // chains))


_has_loaded_tensorflow = False


def divide_cores_of_own_program(chains: int) -> None:
    """Does `divide_cores` if `quiet_start` loaded TensorFlow: then nobody else uses it."""
    if _has_loaded_tensorflow:
        divide_cores(chains)


def _wants_start_messages() -> bool:
    """Whether an environment variable of TensorFlow's own asks for what it says at the start."""
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")
    verbose = (os.environ.get(name) for name in ("TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_VMODULE"))
    return level in ("0", "1") or any(value not in (None, "", "0") for value in verbose)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Loads TensorFlow in the block without what its C++ code says then.

    Nothing is changed where TensorFlow is loaded already, or where TF_CPP_MIN_LOG_LEVEL is 0 or 1
    or TF_CPP_MAX_VLOG_LEVEL or TF_CPP_VMODULE is set. If the block raises, all that was said is
    shown. TensorFlow's warnings stay hidden later: it reads TF_CPP_MIN_LOG_LEVEL once.
    """
    global _has_loaded_tensorflow
    if "tensorflow" in sys.modules:
        yield
        return
    _has_loaded_tensorflow = True
    if _wants_start_messages():
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _silent_stderr():
        yield


@functools.cache
def find_devices_quietly() -> None:
    """Lets TensorFlow look for its devices, which has much to say, as quietly as `quiet_start`."""
    import tensorflow as tf

    with nullcontext() if _wants_start_messages() else _silent_stderr():
        tf.config.list_physical_devices()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keeps what is written to the process's stderr away from it, unless the block raises."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
    try:
        terminal = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        has_failed = True
        try:
            yield
            has_failed = False
        finally:
            with suppress(AttributeError, OSError, ValueError):
                sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            if has_failed:
                sink.seek(0)
                os.write(2, sink.read())


def start_tensorflow(chains: int = 2) -> None:
    """Starts TensorFlow for a program that does nothing but train: silent, cores divided."""
    with quiet_start():
        require_tensorflow()
        divide_cores(chains)
    find_devices_quietly()


def trace_without_gc(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function whose first call is not interrupted to collect garbage.

    Tracing a graph makes half a million objects, nearly all of which stay: enough for Python to
    look, in vain, through all that TensorFlow has brought along, which takes a tenth of the time.
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


def tf_config() -> tuple[list[str], int] | None:
    """Returns all workers' addresses in `TF_CONFIG`, chief first, and this one's index, or None."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        jobs, task = config["cluster"], config["task"]
        chiefs = jobs.get("chief", [])
        index = int(task["index"]) + (len(chiefs) if task["type"] == "worker" else 0)
        return [*chiefs, *jobs.get("worker", [])], index
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None


def without_autotune(dataset: Any) -> Any:
    """Returns a dataset without the thread that measures and tunes it.

    At the end of an epoch that thread is waited for, and it is often asleep until 0.63, 1.27, 2.55,
    5.11 ... seconds after the start: a fit ends up to twice as late as it could.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
