"""Packs word vectors small, a byte a number; `kerasw2v.zoo.vectors.load_packed` reads them."""

from typing import Any

import numpy as np

from kerasw2v.report import quantize_rows
from kerasw2v.utils.checks import check_int
from kerasw2v.utils.files import PathLike, replace_on_success


def save_packed(vectors: Any, path: PathLike, max_words: int = 15_000) -> None:
    """Saves the most frequent words' vectors, each rounded to bytes and a scale.

    The error is at most half a scale. The file is NumPy's compressed `.npz`, without pickles.

    Args:
        vectors: a `gensim.models.KeyedVectors` with counts, most frequent word first.
        path: where to save.
        max_words: how many words to keep.

    Raises:
        TypeError, ValueError: if `max_words` is not a positive integer, or a word holds a line end.
        OSError: if the file cannot be written.
    """
    count = check_int("max_words", max_words, minimum=1)
    words = vectors.index_to_key[:count]
    text = "\n".join(words)
    if text.count("\n") >= len(words):
        raise ValueError("`vectors` must have words without line ends to be packed.")
    numbers, scales = quantize_rows(vectors.vectors[:count])
    with replace_on_success(path) as file:
        np.savez_compressed(
            file,
            words=np.frombuffer(text.encode(), np.uint8),
            counts=vectors.expandos["count"][:count].astype(np.int64),
            scales=scales.astype(np.float32),
            numbers=numbers,
        )
