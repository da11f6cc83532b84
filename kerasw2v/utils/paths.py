"""Whether a value can name a file; without NumPy, for the command line."""

import os


def check_path(name: str, path: object) -> str:
    """Returns a path as text; raises TypeError or ValueError unless it can name a file.

    An integer would be taken for an open file, such as standard output.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"`{name}` must be a path. Received: {name}={path!r}.")
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ValueError(
            f"`{name}` must be a path, not empty and without NUL. Received: {name}={text!r}."
        )
    return text


def check_keras_path(filepath: object) -> None:
    """Raises ValueError for an HDF5 file, which Keras could write and not load again."""
    if str(filepath).lower().endswith((".h5", ".hdf5")):
        raise ValueError(
            "`filepath` must end in .keras: Keras cannot load models of other classes than its "
            f"own from HDF5. Received: filepath={str(filepath)!r}."
        )
