"""Word vectors packed small, a byte a number, to come with the package."""

import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from gensim.models import KeyedVectors

from kerasw2v.utils.checks import check_int
from kerasw2v.utils.files import replace_on_success

PathLike = str | os.PathLike[str]

_LARGEST = 127


def save_packed(vectors: KeyedVectors, path: PathLike, max_words: int = 15_000) -> None:
    """Saves the most frequent words' vectors, each rounded to bytes and a scale.

    `vector = scale * bytes`, the scale being a 127th of the vector's largest number: the error is
    at most half a scale. The file is NumPy's compressed `.npz`, without pickles.

    Args:
        vectors: vectors with counts, most frequent word first.
        path: where to save.
        max_words: how many words to keep.

    Raises:
        TypeError, ValueError: if `max_words` is not a positive integer, or a word holds a line end.
        OSError: if the file cannot be written.

    Example: see `load_packed`.
    """
    count = check_int("max_words", max_words, minimum=1)
    words = vectors.index_to_key[:count]
    text = "\n".join(words)
    if text.count("\n") >= len(words):
        raise ValueError("`vectors` must have words without line ends to be packed.")
    matrix = vectors.vectors[:count]
    scales = np.maximum(np.abs(matrix).max(axis=1), 1e-30) / _LARGEST
    with replace_on_success(path) as file:
        np.savez_compressed(
            file,
            words=np.frombuffer(text.encode(), np.uint8),
            counts=vectors.expandos["count"][:count].astype(np.int64),
            scales=scales.astype(np.float32),
            numbers=np.rint(matrix / scales[:, None]).astype(np.int8),
        )


def load_packed(path: PathLike) -> KeyedVectors:
    """Loads what `save_packed` saved, as float32 vectors.

    Args:
        path: the file.

    Returns:
        A `gensim.models.KeyedVectors` with counts.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or another kind of file.

    Example:

    >>> import tempfile
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["to", "be"], np.array([[1, 0.5], [-0.25, 1]], np.float32))
    >>> vectors.expandos["count"] = np.array([2, 1])
    >>> path = tempfile.mkdtemp() + "/vectors.npz"
    >>> save_packed(vectors, path)
    >>> load_packed(path)["to"].round(2)
    array([1. , 0.5], dtype=float32)
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"`path` must name a file that exists. Received: path={os.fspath(path)!r}."
        )
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            words = arrays["words"].tobytes().decode().split("\n")
            counts, scales, numbers = (arrays[key] for key in ("counts", "scales", "numbers"))
        vectors = KeyedVectors(numbers.shape[1])
        vectors.add_vectors(words, numbers * scales[:, None])
        vectors.allocate_vecattrs(["count"], [int])
        vectors.expandos["count"][:] = counts
    except (BadZipFile, EOFError, KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"`path` must be an undamaged file of packed vectors. Received: {os.fspath(path)!r}."
        ) from error
    return vectors
