"""Versions of Python and of the packages that a result depends on."""

import platform
from importlib import metadata

_PACKAGES = ("tensorflow", "keras", "numpy", "gensim", "kerasw2v")


def versions() -> dict[str, str]:
    """Returns the version of each, by name; "not installed" for what runs from its sources alone.

    Example:

    >>> sorted(versions())
    ['gensim', 'keras', 'kerasw2v', 'numpy', 'python', 'tensorflow']
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
