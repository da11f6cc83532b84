"""The word vectors that come with the package: packed small, one byte per number."""

import os
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from kerasw2v.keyed_vectors import with_counts
from kerasw2v.utils.files import PathLike
from kerasw2v.utils.paths import check_path

_DTYPES = {"words": np.uint8, "numbers": np.int8, "scales": np.float32, "counts": np.int64}


def load_packed(path: PathLike) -> Any:
    """Loads packed vectors as float32: each is a scale times its bytes.

    The file is NumPy's `.npz`, without pickles; `benchmarks/zoo/maintain.py pack` writes it.
    """
    if not Path(check_path("path", path)).is_file():
        raise FileNotFoundError(
            f"`path` must name a file that exists. Received: path={os.fspath(path)!r}."
        )
    try:
        if not is_zipfile(path):
            raise ValueError("it is no archive of arrays")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return with_counts(*_checked(*(arrays[name] for name in _DTYPES)))
    except (
        BadZipFile,
        EOFError,
        KeyError,
        IndexError,
        MemoryError,
        ValueError,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            "`path` must be an undamaged file of packed vectors. "
            f"Received: {os.fspath(path)!r} ({reason.rstrip('.')})."
        ) from error


def _checked(
    text: NDArray[Any], numbers: NDArray[Any], scales: NDArray[Any], counts: NDArray[Any]
) -> tuple[list[str], NDArray[np.float32], NDArray[np.int64]]:
    """Returns words, vectors and counts; ValueError unless they agree."""
    for (name, dtype), array in zip(_DTYPES.items(), (text, numbers, scales, counts), strict=True):
        if array.dtype != dtype or array.ndim != 1 + (name == "numbers"):
            raise ValueError(f"its {name} are {array.dtype} of shape {array.shape}")
    words = text.tobytes().decode().split("\n")
    if not len(words) == len(numbers) == len(scales) == len(counts):
        raise ValueError(f"it has {len(words)} words and arrays of other lengths")
    if len(set(words)) != len(words):
        raise ValueError("a word is in it twice")
    if not np.isfinite(scales).all() or (counts < 0).any():
        raise ValueError("its scales or counts are out of range")
    return words, numbers * scales[:, None], counts
