"""How much memory there is, asked before a size is taken at its word."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_NEVER_SCARCE = 2**26
_UNLIMITED = 2**60


def check_memory(names: str, needed: float, what: str) -> None:
    """Raises MemoryError, one sentence, if more bytes are needed than are available.

    Nothing happens where the system does not tell.

    Args:
        names: the arguments that must be smaller, in backquotes.
        needed: bytes, at least.
        what: what needs them, with the values that were received.

    Example:

    >>> check_memory("`embedding_dim`", 2.0**70, "a table of 5 rows, embedding_dim=10**20")
    Traceback (most recent call last):
        ...
    MemoryError: `embedding_dim` must be smaller: ... needs 1,099,511,627,776 GiB of memory, ...
    """
    if needed < _NEVER_SCARCE:
        return
    available = available_memory()
    if available is not None and needed > available:
        raise MemoryError(
            f"{names} must be smaller: {what} needs {_gib(needed)} of memory, and "
            f"{_gib(available)} are available."
        )


def _gib(size: float) -> str:
    return f"{size / 2**30:,.{0 if size >= 10 * 2**30 else 1}f} GiB"


def available_memory() -> int | None:
    """Returns the bytes that a process can still get, swap included; None if nobody tells.

    On Linux these are `MemAvailable` and free swap, or what the control groups of the process leave
    if that is less; elsewhere the memory of the machine.
    """
    available = _system_memory()
    limits = list(_control_group_rooms())
    return min(limits if available is None else [available, *limits], default=None)


def _system_memory() -> int | None:
    with suppress(OSError, KeyError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return 1024 * (kilobytes["MemAvailable"] + kilobytes["SwapFree"])
    with suppress(AttributeError, OSError, ValueError):  # not on Windows
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _control_group_rooms() -> Iterator[int]:
    """Yields what each limit on a group of this process leaves; cached files are given up first."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            base = Path("/sys/fs/cgroup") / controllers
            names = ("memory.max", "memory.current", "inactive_file")
            if controllers:
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            group = PurePosixPath(path.lstrip("/"))
            for folder in {base / group, *(base / parent for parent in group.parents)}:
                with suppress(OSError, ValueError):  # no such folder, or "max"
                    yield _room(folder, *names)


def _room(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> int:
    limit = int((folder / limit_name).read_text("ascii"))
    if limit >= _UNLIMITED:
        raise ValueError("no limit")
    used = int((folder / usage_name).read_text("ascii"))
    statistics = (folder / "memory.stat").read_text("ascii").split()
    cached = int(statistics[statistics.index(cache_name) + 1])
    return max(0, limit - used + cached)
