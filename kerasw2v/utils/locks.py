"""Locks that end with the process that holds them, however it ends."""

import os
import platform
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, nothing is locked
    fcntl = None  # type: ignore[assignment]


def try_lock(descriptor: int) -> bool | None:
    """Locks an open file or folder until it is closed or the process ends.

    Args:
        descriptor: of the file or folder.

    Returns:
        Whether it is locked now; None where there are no locks, as on some network disks.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     try_lock(file.fileno())
    True
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def exclusive(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keeps a file or folder from all others that ask in this way, until the block ends.

    A hidden file in the folder, or next to the file, says who holds it, and is removed at the end.
    If the process is killed that file stays, but locks nothing.

    Args:
        path: a folder, or a file, which need not exist; its own folder must.

    Raises:
        BlockingIOError: if it is held already.

    Example:

    >>> import tempfile
    >>> with exclusive(tempfile.mkdtemp() + "/vectors.kv"):
    ...     pass
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not (target.is_file() or target.is_dir()):
        yield  # a device or pipe
        return
    lock_path = _lock_path(target)
    descriptor = _open_locked(lock_path, path)
    try:
        with suppress(OSError):  # on a full disk the name of the holder is missing
            os.ftruncate(descriptor, 0)
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            holder = f"process {os.getpid()} on {platform.node()} holds it since {now}"
            os.write(descriptor, holder.encode())
        yield
    finally:
        lock_path.unlink(missing_ok=True)  # while it is locked: later it could be another's
        os.close(descriptor)


def _lock_path(target: Path) -> Path:
    if target.is_dir():
        return target / ".kerasw2v.lock"
    name = os.fsencode(target.name)
    # A name may be too long to be made longer.
    short = target.name if len(name) < 200 else f"{zlib.crc32(name):08x}"
    return target.with_name(f".{short}.lock")


def _open_locked(lock_path: Path, path: str | os.PathLike[str]) -> int:
    while True:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o666)
        if try_lock(descriptor) is False:
            holder = os.read(descriptor, 1000).decode(errors="replace")
            os.close(descriptor)
            raise BlockingIOError(
                f"`path` must not be in use: {holder or 'another process holds it'}. "
                f"Received: path={os.fspath(path)!r}."
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock_path)):
                return descriptor
        os.close(descriptor)  # its last holder has just removed it
