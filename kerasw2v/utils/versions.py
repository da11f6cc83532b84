"""Versions of Python and of the packages that a result depends on."""

import platform
from importlib import metadata

_PACKAGES = ("tensorflow", "keras", "numpy", "gensim", "kerasw2v")


def version(package: str) -> str:
    """Returns a package's version; "not installed" for one that is not or runs from its sources.

    Example:

    >>> version("no-such-package")
    'not installed'
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """Returns the versions of Python and of all packages that a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
