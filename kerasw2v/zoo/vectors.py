"""The word vectors that come with the package: packed small, one byte per number."""

import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from kerasw2v.keyed_vectors import with_counts
from kerasw2v.utils.files import PathLike
from kerasw2v.utils.paths import check_path


def load_packed(path: PathLike) -> Any:
    """Loads packed vectors as float32: each is a scale times its bytes.

    The file is NumPy's `.npz`, without pickles; `benchmarks/zoo/maintain.py pack` writes it.
    """
    if not Path(check_path("path", path)).is_file():
        raise FileNotFoundError(
            f"`path` must name a file that exists. Received: path={os.fspath(path)!r}."
        )
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            words = arrays["words"].tobytes().decode().split("\n")
            return with_counts(
                words, arrays["numbers"] * arrays["scales"][:, None], arrays["counts"]
            )
    except (BadZipFile, EOFError, KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"`path` must be an undamaged file of packed vectors. Received: {os.fspath(path)!r}."
        ) from error
