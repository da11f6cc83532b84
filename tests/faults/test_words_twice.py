"""A file with a word twice is refused, in every format."""

import gzip
import pickle

import numpy as np
import pytest
from gensim.models import KeyedVectors

from kerasw2v.keyed_vectors import SUFFIXES, load_vectors

ROWS = [("a", (1, 0)), ("b", (0, 1)), ("a", (1, 1))]


def content(suffix):
    if suffix == ".kv":
        vectors = KeyedVectors(2)
        vectors.vectors = np.array([row for _, row in ROWS], np.float32)
        vectors.index_to_key = [word for word, _ in ROWS]
        vectors.key_to_index = {word: i for i, (word, _) in enumerate(ROWS)}
        return pickle.dumps(vectors)
    if ".bin" in suffix:
        rows = [word.encode() + b" " + np.array(row, np.float32).tobytes() for word, row in ROWS]
        whole = b"3 2\n" + b"".join(rows)
    else:
        whole = "3 2\n" + "".join(f"{word} {x} {y}\n" for word, (x, y) in ROWS)
        whole = whole.encode()
    return gzip.compress(whole) if suffix.endswith(".gz") else whole


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_sentence(tmp_path, suffix):
    path = tmp_path / f"twice{suffix}"
    path.write_bytes(content(suffix))
    with pytest.raises(ValueError, match=r"`path` must be an undamaged file.* in it twice\)\.$"):
        load_vectors(path)
