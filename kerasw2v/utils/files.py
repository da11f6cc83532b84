"""Files that appear whole or not at all.

Everything that the package saves is first written next to its destination and then moved there.
Whatever goes wrong (an exception, Ctrl-C, a full disk), an older file of that name stays unchanged,
and no incomplete file remains.
"""

import errno
import io
import math
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from kerasw2v.utils.locks import try_lock
from kerasw2v.utils.paths import check_path

PathLike = str | os.PathLike[str]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PREFIX = ".kerasw2v-"
_FOLDERS_OPEN = hasattr(os, "O_DIRECTORY")  # not on Windows, which has no such locks either
_HDF5_OVERHEAD = 2048  # bytes an array, and more than HDF5 takes


def check_output_path(path: PathLike) -> None:
    """Checks, before any work is done, that a file can be written at `path`.

    Args:
        path: where a file will be written. It may exist already.

    Raises:
        FileNotFoundError: if the folder does not exist.
        NotADirectoryError: if what should be the folder is a file.
        IsADirectoryError: if `path` itself is a folder.
        PermissionError: if the folder, or an existing file, cannot be written.

    Example:

    >>> check_output_path("/no/such/folder/vectors.kv")
    Traceback (most recent call last):
    ...
    FileNotFoundError: `path` must lie in a folder that exists. Received: \
path='/no/such/folder/vectors.kv'.
    """
    received = f"Received: path={check_path('path', path)!r}."
    target = _destination(path)
    folder = target.parent
    if target.is_dir() or not target.name:
        raise IsADirectoryError(f"`path` must name a file, not a folder. {received}")
    if not folder.exists():
        raise FileNotFoundError(f"`path` must lie in a folder that exists. {received}")
    if not folder.is_dir():
        raise NotADirectoryError(f"`path` must lie in a folder, not in a file. {received}")
    if _is_special(target):
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"`path` must lie in a folder that can be written. {received}")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"`path` must not be a write-protected file. {received}")


def check_suffix(path: PathLike, suffixes: Sequence[str]) -> str:
    """Returns the suffix that the name of a file ends in, whatever its case.

    Args:
        path: where a file will be written.
        suffixes: two or more, each with its dot; the first that matches is returned.

    Raises:
        ValueError: if the name ends in none of them, or is only a suffix.

    Example:

    >>> check_suffix("run.HTML", (".html", ".htm"))
    '.html'
    >>> check_suffix("run.pdf", (".html", ".htm"))
    Traceback (most recent call last):
    ...
    ValueError: `path` must end in .html or .htm. Received: path='run.pdf'.
    """
    name = os.path.basename(check_path("path", path)).lower()
    for suffix in suffixes:
        if name.endswith(suffix) and name != suffix:
            return suffix
    listed = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
    raise ValueError(f"`path` must end in {listed}. Received: path={os.fspath(path)!r}.")


@contextmanager
def temporary_sibling(path: PathLike) -> Iterator[Path]:
    """Yields a path to write to; the file is moved to `path` when the block succeeds.

    For writers that need the name of a file. The temporary path has the same file name, as some
    writers look at the suffix, and lies in a new hidden folder next to `path`, on the same disk.
    Additional files in that folder, as of gensim's `save` for large arrays, are moved first. If the
    block raises, also on `KeyboardInterrupt`, everything is removed and `path` stays unchanged. A
    device or pipe such as `/dev/stdout` cannot be replaced and is yielded itself.

    Args:
        path: the final path.

    Yields:
        The `pathlib.Path` to write to. The file does not exist yet.

    Raises:
        FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError: before the
            block runs, as `check_output_path`.
        OSError: with one sentence, if the disk fills while the block runs.

    Example:

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with temporary_sibling(folder / "words.txt") as temporary:
    ...     _ = temporary.write_text("cat 2")
    ...     (folder / "words.txt").exists()
    False
    >>> (folder / "words.txt").read_text()
    'cat 2'
    """
    check_output_path(path)
    target = _destination(path)
    if _is_special(target):
        yield target
        return
    _remove_leftovers(target.parent)
    folder, descriptor = _make_folder(target.parent, path)
    try:
        with clear_disk_errors(path):
            yield folder / target.name
            _move_into_place(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def replace_on_success(path: PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    r"""Opens a file for writing that replaces `path` only when the block succeeds.

    Args:
        path: the final path.
        mode: `"wb"` or `"w+b"` for bytes, `"w"` or `"w+"` for text (UTF-8, lines end in `"\n"`).

    Yields:
        The open file. It is closed and moved to `path` when the block ends. When the block raises,
        also on `KeyboardInterrupt`, it is removed and `path` stays unchanged.

    Raises:
        ValueError: if `mode` is not one for writing a new file.
        FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError: before the
            block runs, as `check_output_path`.
        OSError: with one sentence, if the disk fills while the block runs.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "words.txt"
    >>> with replace_on_success(path, "w") as file:
    ...     _ = file.write("cat 2")
    >>> path.read_text()
    'cat 2'
    """
    if sorted(mode.replace("b", "").replace("t", "")) not in (["w"], ["+", "w"]):
        raise ValueError(f"`mode` must be one of 'wb', 'w+b', 'w', 'w+'. Received: mode={mode!r}.")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with temporary_sibling(path) as temporary, open(temporary, mode, **text) as file:  # type: ignore[call-overload]
        yield file


@contextmanager
def clear_disk_errors(path: PathLike) -> Iterator[None]:
    """Turns the errors of a full disk in the block into one sentence that names the file.

    Args:
        path: the file that is written, for the sentence.

    Raises:
        OSError: in place of an error of an exhausted disk, quota or size limit, with the same
            `errno`. Other errors pass.

    Example:

    >>> with clear_disk_errors("vectors.kv"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    OSError: The disk is full: 'vectors.kv' could not be written (No space left on device).
    """
    try:
        yield
    except OSError as error:
        if not _says_full(error):
            raise
        reason = error.strerror or str(error)
        clear = OSError(f"The disk is full: {os.fspath(path)!r} could not be written ({reason}).")
        clear.errno = error.errno
        raise clear from error


class _WeightsFile(io.BytesIO):
    """Passes what HDF5 writes on to a file, and keeps failures for `close`, which raises the first.

    HDF5 ends the process with a segmentation fault if a write fails. Keras takes a path or a
    `BytesIO`; nothing is in memory here.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._error: OSError | None = None

    def __str__(self) -> str:
        return self._file.name  # Keras looks at its suffix

    def _attempt(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._file, method)(*arguments)
        except OSError as error:
            self._error = self._error or error
            return 0

    def seek(self, *position: int) -> int:
        return self._attempt("seek", *position)  # type: ignore[no-any-return]

    def tell(self) -> int:
        return self._attempt("tell")  # type: ignore[no-any-return]

    def readinto(self, buffer: Any) -> int:
        return self._attempt("readinto", buffer)  # type: ignore[no-any-return]

    def write(self, data: Any) -> int:
        return self._attempt("write", data)  # type: ignore[no-any-return]

    def truncate(self, size: int | None = None) -> int:
        return self._attempt("truncate", size)  # type: ignore[no-any-return]

    def close(self) -> None:
        super().close()
        error, self._error = self._error, None
        if error:
            raise error


@contextmanager
def _interrupts_afterwards() -> Iterator[None]:
    """Lets signals wait until the block ends: HDF5 must not see an exception of its file."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only there are signals received
        return
    received: list[int] = []
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    for n in handlers:
        signal.signal(n, lambda number, frame: received.append(number))
    try:
        yield
    finally:
        for n, handler in handlers.items():
            signal.signal(n, handler or signal.SIG_DFL)
        for number in received:
            signal.raise_signal(number)


def save_keras_weights(model: Any, path: PathLike) -> None:
    """Saves the weights of a Keras model and its optimizer, in a file that appears whole or not.

    Args:
        model: a built `keras.Model`.
        path: where to save, ending in `.weights.h5`; an existing file is replaced.

    Raises:
        OSError: if the folder does not exist, cannot be written, or the disk fills.

    Example:

    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> path = tempfile.mkdtemp() + "/model.weights.h5"
    >>> save_keras_weights(model, path)
    >>> model.load_weights(path)
    """
    with (
        replace_on_success(path, "w+b") as file,
        _interrupts_afterwards(),
        _WeightsFile(file) as weights,
    ):
        model.save_weights(weights)


def save_keras_model(model: Any, path: PathLike) -> None:
    """Saves a Keras model in a `.keras` file, which appears whole or not at all.

    Args:
        model: a built `keras.Model`.
        path: where to save; an existing file is replaced.

    Raises:
        OSError: if the folder does not exist, cannot be written, or the disk fills.

    Example:

    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> path = tempfile.mkdtemp() + "/model.keras"
    >>> save_keras_model(model, path)
    >>> keras.models.load_model(path).count_params()
    2
    """
    with temporary_sibling(path) as temporary:
        if hasattr(os, "posix_fallocate"):
            # Keras lets HDF5 write large models to the disk, and a failure ends the process.
            optimizer = getattr(model, "optimizer", None)
            variables = [*model.variables, *getattr(optimizer, "variables", [])]
            size = sum(4 * math.prod(variable.shape) + _HDF5_OVERHEAD for variable in variables)
            with open(temporary, "wb") as file:
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                except OSError as error:  # not every file system can
                    if _says_full(error):
                        raise
        model.save(temporary)


def _says_full(error: OSError) -> bool:
    # NumPy's own writers report a short write without an error number.
    return error.errno in _FULL or (error.errno is None and "requested and" in str(error))


def _destination(path: PathLike) -> Path:
    # A link stays a link: its target is replaced.
    return Path(os.path.realpath(path))


def _is_special(target: Path) -> bool:
    return target.exists() and not target.is_file()


def _make_folder(parent: Path, path: PathLike) -> tuple[Path, int]:
    """Makes a folder that is locked while the returned descriptor is open."""
    try:
        while True:
            folder = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
            # Another run may take it for a leftover before it is locked.
            with suppress(FileNotFoundError):
                descriptor = os.open(folder if _FOLDERS_OPEN else os.devnull, os.O_RDONLY)
                if try_lock(descriptor) is not False and os.path.exists(folder):
                    return Path(folder), descriptor
                os.close(descriptor)
    except OSError as error:
        reason = error.strerror or str(error)
        raise type(error)(
            f"`path` must lie in a folder that can be written ({reason}). "
            f"Received: path={os.fspath(path)!r}."
        ) from error


def _remove_leftovers(parent: Path) -> None:
    """Removes the folders of runs that were killed: those that nobody has locked."""
    if not _FOLDERS_OPEN:
        return
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if try_lock(descriptor):
                shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _move_into_place(folder: Path, target: Path) -> None:
    if not (folder / target.name).exists():
        raise FileNotFoundError(f"Nothing was written for {str(target)!r}.")
    for written in sorted(folder.iterdir(), key=lambda file: file.name == target.name):
        destination = target.parent / written.name
        if destination.exists():
            shutil.copymode(destination, written)
        os.replace(written, destination)
