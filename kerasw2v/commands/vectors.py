"""The vectors that a command works on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gensim.models import KeyedVectors


def open_vectors(path: str | None) -> "KeyedVectors":
    """Loads vectors from a file, or those of the package."""
    if path is None:
        from kerasw2v.zoo import english_vectors

        return english_vectors()
    from kerasw2v.keyed_vectors import load_vectors

    return load_vectors(path)
