"""Converts a trained model to gensim's `KeyedVectors`; saves and loads them."""

import copy
import os
import pickle
import re
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gensim.models import KeyedVectors as KeyedVectors
from smart_open import open as open_any

from kerasw2v.utils.checks import check_int, check_vectors, check_words
from kerasw2v.utils.files import (
    PathLike,
    check_output_path,
    check_suffix,
    replace_on_success,
    temporary_sibling,
)
from kerasw2v.utils.paths import check_path

_TEXT = (".vec", ".txt", ".vec.gz", ".txt.gz")
_BINARY = (".bin", ".bin.gz")
SUFFIXES = (".kv", *_TEXT, *_BINARY)
"""Endings of the names of vector files."""

# Every global in the pickle of a KeyedVectors, for all versions of NumPy.
_TRUSTED = {("gensim.models.keyedvectors", "KeyedVectors"), ("builtins", "frozenset")} | {
    (f"numpy{module}", name)
    for module, name in (
        ("", "dtype"),
        ("", "ndarray"),
        ("._core.multiarray", "_reconstruct"),
        ("._core.multiarray", "scalar"),
        ("._core.numeric", "_frombuffer"),
        (".core.multiarray", "_reconstruct"),
        (".core.multiarray", "scalar"),
        (".core.numeric", "_frombuffer"),
    )
}
# The largest compression ratio of gzip.
_MAX_GZIP_RATIO = 1032
# An array of more numbers lies beside its `.kv` file; gensim's own limit.
_SEPARATE_FROM = 10 * 1024**2


class Words(Protocol):
    """What `to_keyed_vectors` needs of a vocabulary, such as `kerasw2v.Vocabulary`."""

    words: list[Any]
    counts: npt.NDArray[np.int64]


def to_keyed_vectors(
    model: Any, vocabulary: Words, table: str = "input", copy: bool = True
) -> KeyedVectors:
    """Returns a model's word vectors, with the counts of the words, as a gensim `KeyedVectors`.

    Args:
        model: a trained `kerasw2v.SkipGram`, `kerasw2v.CBOW` or anything else with
            `model.embedding.embeddings` of shape `(V, d)`.
        vocabulary: the `kerasw2v.Vocabulary` that the model was trained with.
        table: `"input"` for the input vectors, the usual choice; `"output"` for the output vectors,
            which only sampling layers and the full softmax have.
        copy: False to share the model's memory, for tables that fit into memory once only. The
            vectors can be read and saved, not changed. Training on copies the table then.

    Returns:
        A `gensim.models.KeyedVectors` of float32 vectors, most frequent word first, with
        `get_vecattr(word, "count")`. A million words take about a second.

    Raises:
        ValueError: if the vocabulary is not of the model's size, `table` is neither of the two, or
            the output layer has no vector for each word.

    Example:

    >>> from kerasw2v import SkipGram, Vocabulary, layers
    >>> vocabulary = Vocabulary(["rose", "is", "a"], [3, 2, 1])
    >>> model = SkipGram(3, 8, layers.NegativeSampling(vocabulary.counts))
    >>> vectors = to_keyed_vectors(model, vocabulary)
    >>> vectors["rose"].shape, vectors.get_vecattr("rose", "count")
    ((8,), np.int64(3))
    """
    matrix = _table(model, table)
    if not hasattr(vocabulary, "words"):
        raise TypeError(
            f"`vocabulary` must be a kerasw2v.Vocabulary. Received: vocabulary={vocabulary!r}."
        )
    matrix = matrix.copy() if copy else matrix
    if len(vocabulary.words) != len(matrix):
        raise ValueError(
            "`vocabulary` must be the one the model was trained with. Received: "
            f"{len(vocabulary.words):,} words for {len(matrix):,} vectors."
        )
    return with_counts(vocabulary.words, matrix, vocabulary.counts)


def with_counts(
    words: list[Any], matrix: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]
) -> KeyedVectors:
    """Returns words and their vectors as a gensim `KeyedVectors` with counts.

    Args:
        words: the words, most frequent first.
        matrix: `(V, d)`, a vector for each word.
        counts: how often each word occurs.

    Raises:
        ValueError: if a word occurs twice.

    Example:

    >>> vectors = with_counts(["rose", "is"], np.eye(2), np.array([3, 2]))
    >>> vectors.get_vecattr("rose", "count")
    np.int64(3)
    """
    vectors = KeyedVectors(matrix.shape[1])
    # add_vectors would copy the matrix three times.
    vectors.index_to_key = list(words)
    vectors.key_to_index = {word: index for index, word in enumerate(words)}
    if len(vectors.key_to_index) != len(words):
        twice = next(w for i, w in enumerate(words) if vectors.key_to_index[w] != i)
        raise ValueError(f"`words` must be distinct. Received: the word {twice!r} twice.")
    vectors.vectors = np.asarray(matrix, np.float32)
    # gensim's own `extras` of add_vectors fails, and set_vecattr takes a call for each word.
    vectors.allocate_vecattrs(["count"], [int])
    vectors.expandos["count"][:] = counts
    return vectors


def check_vectors_path(path: PathLike) -> None:
    """Checks, before any work is done, that `save_vectors` can write to `path`.

    Args:
        path: where vectors are going to be saved.

    Raises:
        ValueError: if the name ends in none of the suffixes.
        OSError: if the folder does not exist, or it or the file cannot be written.

    Example:

    >>> check_vectors_path("vectors.pdf")
    Traceback (most recent call last):
    ...
    ValueError: `path` must end in .kv, .vec, .txt, .vec.gz, .txt.gz, .bin or .bin.gz. Received: \
path='vectors.pdf'.
    """
    check_suffix(path, SUFFIXES)
    check_output_path(path)


def check_words_for(path: PathLike, words: list[Any]) -> None:
    """Checks, before any work is done, that the format of a file can hold words.

    Args:
        path: where vectors are going to be saved.
        words: their words.

    Raises:
        ValueError: if the name ends in none of the suffixes of `save_vectors`, or a word is empty
            or has whitespace, which the word2vec formats cannot represent.
        TypeError: if a word is not a string, in a word2vec format.

    Example:

    >>> check_words_for("vectors.kv", ["whole milk"])
    >>> check_words_for("vectors.vec", ["whole milk"])
    Traceback (most recent call last):
    ...
    ValueError: `vectors` must have words without whitespace to be saved in a word2vec format; \
gensim's own, .kv, takes any. Received: the word 'whole milk'.
    """
    if check_suffix(path, SUFFIXES) != ".kv":
        _check_words(words)


def save_vectors(vectors: KeyedVectors, path: PathLike) -> None:
    """Saves vectors; the suffix of the file's name decides the format.

    Suffixes, their formats, and how gensim reads them:

    - `.kv`: gensim's own, keeps the counts; `KeyedVectors.load(path)`
    - `.vec`, `.txt`, also `.gz`: word2vec text; `KeyedVectors.load_word2vec_format(path)`
    - `.bin`, also `.gz`: word2vec binary; the same with `binary=True`

    The file appears whole or not at all. For a `.kv` file, gensim saves very large arrays (over 10
    million numbers) separately in `.kv.vectors.npy`; keep the two files together. `load_vectors`
    refuses two that are not of one save, as a run leaves them that is killed between the two.

    Args:
        vectors: any `gensim.models.KeyedVectors`.
        path: where to save; an existing file is replaced.

    Raises:
        ValueError: if the name ends in none of these, or a word is empty or has whitespace, which
            the word2vec formats cannot represent.
        TypeError: if a word is not a string, in a word2vec format.
        OSError: if the folder does not exist, cannot be written, or the disk fills.

    Example:

    >>> import tempfile
    >>> import numpy as np
    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["to", "be"], np.eye(2))
    >>> path = tempfile.mkdtemp() + "/vectors.vec"
    >>> save_vectors(vectors, path)
    >>> print(open(path).read(), end="")
    2 2
    to 1.0 0.0
    be 0.0 1.0
    """
    check_vectors("vectors", vectors)
    suffix = check_suffix(path, SUFFIXES)
    check_words_for(path, vectors.index_to_key)
    with temporary_sibling(path) as temporary:
        if suffix == ".kv":
            _with_checksum(vectors).save(os.fspath(temporary), sep_limit=_SEPARATE_FROM)
        else:
            vectors.save_word2vec_format(temporary, binary=suffix in _BINARY)


def load_vectors(path: PathLike) -> KeyedVectors:
    r"""Loads vectors from a file in one of the formats of `save_vectors`, from any source.

    A `.kv` file is a Python pickle, which can run code when it is loaded. This function refuses
    every pickle that names anything but `KeyedVectors` and NumPy's arrays; gensim's own
    `KeyedVectors.load` does not.

    Args:
        path: the file; its name ends in one of the suffixes of `save_vectors`.

    Returns:
        The `gensim.models.KeyedVectors`. The word2vec formats have no counts; gensim counts down
        from the number of words instead.

    Raises:
        ValueError: if the name ends in none of these, or the file is damaged or of another kind.
        OSError: if the file does not exist or cannot be read.

    Example:

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/vectors.vec"
    >>> with open(path, "w") as file:
    ...     _ = file.write("2 2\nto 1.0 0.0\nbe 0.0 1.0\n")
    >>> load_vectors(path).index_to_key
    ['to', 'be']
    """
    suffix = check_suffix(path, SUFFIXES)
    path = os.fspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"`path` must name a file, not a folder. Received: path={path!r}.")
    if not os.path.exists(path):
        raise FileNotFoundError(f"`path` must name a file that exists. Received: path={path!r}.")
    try:
        return _load_kv(path) if suffix == ".kv" else _load_word2vec(path, suffix in _BINARY)
    except OSError as error:
        # Errors of the system have a number; those of a decompressor do not.
        if error.errno is not None and not isinstance(error, FileNotFoundError):
            raise
        raise _damaged(path, error) from error
    except MemoryError:
        raise
    except Exception as error:
        # A damaged pickle can fail in almost any way.
        raise _damaged(path, error) from error


def save_projector(vectors: KeyedVectors, folder: PathLike, max_words: int = 10_000) -> None:
    """Writes the files for TensorBoard's embedding projector.

    They are `tensors.tsv`, `metadata.tsv` and `projector_config.pbtxt`: run
    `tensorboard --logdir FOLDER` and open the Projector tab. The two `.tsv` files can also be
    loaded at https://projector.tensorflow.org without installing anything. Where such files are
    already, the new tables are `tensors-2.tsv` and `metadata-2.tsv`, and in turn: the old ones go
    when the configuration names the new ones.

    Args:
        vectors: any `gensim.models.KeyedVectors`.
        folder: where to write. It is created if only its parent exists.
        max_words: number of most frequent words to write; browsers are slow beyond the default.

    Raises:
        ValueError: if `max_words` is not positive.
        OSError: if the folder cannot be made or written, or the disk fills.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["to", "be"], np.eye(2))
    >>> folder = tempfile.mkdtemp()
    >>> save_projector(vectors, folder)
    >>> sorted(os.listdir(folder))
    ['metadata.tsv', 'projector_config.pbtxt', 'tensors.tsv']
    """
    check_vectors("vectors", vectors)
    check_int("max_words", max_words, minimum=1)
    folder = Path(check_path("folder", folder))
    folder.mkdir(exist_ok=True)
    words = vectors.index_to_key[:max_words]
    counts = vectors.expandos.get("count", np.arange(len(vectors), 0, -1))
    rows = ("\t".join(map(str, row)) for row in vectors.vectors[:max_words].tolist())
    labels = (f"{_printable(str(word))}\t{n}" for word, n in zip(words, counts, strict=False))
    config = folder / "projector_config.pbtxt"
    # The configuration decides which tables are shown; those that it names are not touched.
    is_live = config.exists() and b'"tensors.tsv"' in config.read_bytes()
    suffix, old = ("-2", "") if is_live else ("", "-2")
    tensors, metadata = f"tensors{suffix}.tsv", f"metadata{suffix}.tsv"
    files = {  # moved into the folder last to first
        config.name: (
            "embeddings {",
            '  tensor_name: "word vectors"',
            f'  tensor_path: "{tensors}"',
            f'  metadata_path: "{metadata}"',
            "}",
        ),
        # The projector drops blank lines, and expects a header if there are two columns.
        metadata: ("word\tcount", *labels),
        tensors: rows,
    }
    with ExitStack() as stack:
        for name, lines in files.items():
            file = stack.enter_context(replace_on_success(folder / name, "w"))
            file.writelines(f"{line}\n" for line in lines)
    for name in ("tensors", "metadata"):
        (folder / f"{name}{old}.tsv").unlink(missing_ok=True)


def _table(model: Any, table: str) -> npt.NDArray[np.float32]:
    """Returns the vectors in the model's own memory, read-only."""
    if table not in ("input", "output"):
        raise ValueError(f"`table` must be 'input' or 'output'. Received: table={table!r}.")
    if not hasattr(model, "embedding"):
        raise TypeError(
            f"`model` must have an `embedding`, as SkipGram and CBOW do. Received: model={model!r}."
        )
    layer = model.embedding if table == "input" else model.output_layer
    if not hasattr(layer, "embeddings"):
        raise ValueError(
            "`table` must be 'input' for a model whose output layer has no vector for each word. "
            f"Received: table='output', output_layer={type(layer).__name__}."
        )
    # Not imported above: reading and writing files needs no TensorFlow.
    import tensorflow as tf

    # A table in shards has all of its rows as `value`, and so has a weight.
    table_of_all = getattr(layer.embeddings, "value", layer.embeddings)
    matrix = tf.cast(tf.convert_to_tensor(table_of_all), tf.float32)
    return np.asarray(memoryview(matrix))


def _check_words(words: list[Any]) -> None:
    check_words("vectors", words)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(
                "`vectors` must have words that are strings to be saved in a word2vec format; "
                f"gensim's own, .kv, takes any. Received: {word!r} of type {type(word).__name__}."
            )
        if not word or re.search(r"[ \t\n\r\f\v]", word):
            raise ValueError(
                "`vectors` must have words without whitespace to be saved in a word2vec format; "
                f"gensim's own, .kv, takes any. Received: the word {word!r}."
            )


def _with_checksum(vectors: KeyedVectors) -> KeyedVectors:
    """Returns the same vectors; if they are saved apart from the words, with what ties the two."""
    if vectors.vectors.size >= _SEPARATE_FROM:
        vectors = copy.copy(vectors)
        vectors.vectors_crc32 = _checksum(vectors.vectors)
    return vectors


def _checksum(array: npt.NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)


def _printable(word: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", lambda match: repr(match[0])[1:-1], word)


def _damaged(path: str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split()) or type(error).__name__
    kind = "gensim KeyedVectors" if path.lower().endswith(".kv") else "word2vec vectors"
    return ValueError(
        f"`path` must be an undamaged file of {kind}. Received: {path!r} ({reason.rstrip('.')})."
    )


class _Unpickler(pickle.Unpickler):
    """Reads pickles of `KeyedVectors` and refuses all others."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _TRUSTED:
            raise ValueError(f"it asks for {module_name}.{global_name}")
        return super().find_class(module_name, global_name)


def _load_kv(path: str) -> KeyedVectors:
    with open(path, "rb") as file:
        vectors = _Unpickler(file, encoding="latin1").load()
    if type(vectors) is not KeyedVectors:
        raise ValueError(f"it holds a {type(vectors).__name__}")
    state = vars(vectors)
    if state.get("__scipys") or state.get("__recursive_saveloads"):
        raise ValueError("it refers to further pickles")
    for name in state.get("__numpys", ()):
        state[name] = np.load(_side_file(path, name), allow_pickle=False)
    checksum = state.pop("vectors_crc32", None)  # gensim writes none
    if checksum is not None and checksum != _checksum(state["vectors"]):
        raise ValueError(f"{_side_file(path, 'vectors')!r} belongs to another save")
    for name in state.get("__ignoreds", ()):
        state[name] = None
    _check_state(state)
    return vectors


def _side_file(path: str, name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"it refers to an array named {name!r}")
    side_file = f"{path}.{name}.npy"
    if not os.path.exists(side_file):
        raise ValueError(f"its vectors are in {side_file!r}, which is missing")
    return side_file


def _check_state(state: dict[str, Any]) -> None:
    array, words, size = (state.get(key) for key in ("vectors", "index_to_key", "vector_size"))
    if not isinstance(array, np.ndarray) or not isinstance(words, list):
        raise ValueError("it has no vectors, or comes from gensim before 4.0")
    if array.shape != (len(words), size) or array.dtype.kind != "f":
        raise ValueError(f"its {len(words)} words have vectors of shape {array.shape}")
    if state.get("key_to_index") != {word: i for i, word in enumerate(words)}:
        raise ValueError("its words and their indices do not agree")
    if len(state["key_to_index"]) != len(words):
        raise ValueError("a word is in it twice")
    if array.size and not np.isfinite([array.min(), array.max()]).all():
        raise ValueError("a number in it is infinite or none")
    if not isinstance(state.setdefault("expandos", {}), dict):
        raise ValueError("its counts are not a table")
    for name, values in state["expandos"].items():
        # gensim makes them longer than there are words if it is told to.
        if not isinstance(values, np.ndarray) or len(values) < len(words):
            raise ValueError(f"its words have no {name!r} each")
    counts = state["expandos"].get("count", np.zeros(0, int))
    if counts.dtype.kind not in "iuf" or (counts.size and not counts.min() >= 0):
        raise ValueError("its counts are no counts")
    state["norms"] = None  # gensim computes them when needed


class _StrictVectors(KeyedVectors):
    """Refuses words twice, and a row of another width: NumPy would broadcast a single number."""

    def has_index_for(self, key: str) -> bool:
        # gensim asks this before it adds a word, and would go on without the vector.
        if key in self.key_to_index:
            raise ValueError(f"the word {key!r} is in it twice")
        return False

    def add_vector(self, key: str, vector: Any) -> int:
        if len(vector) != self.vector_size:
            raise ValueError(f"{len(vector)} numbers for {key!r} instead of {self.vector_size}")
        if not np.isfinite(vector).all():
            raise ValueError(f"a number for {key!r} is infinite or none")
        return super().add_vector(key, vector)  # type: ignore[no-any-return]


def _load_word2vec(path: str, binary: bool) -> KeyedVectors:
    _check_header(path, binary)
    strict = _StrictVectors.load_word2vec_format(path, binary=binary)
    vectors = KeyedVectors(strict.vector_size)
    vars(vectors).update(vars(strict))
    return vectors


def _check_header(path: str, binary: bool) -> None:
    """Refuses a first line with more vectors than the file can hold: gensim would allocate them."""
    with open_any(path, "rb") as file:
        header = file.readline(100)
    parts = header.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise ValueError("its first line is not the number of words and of dimensions")
    words, size = map(int, parts)
    if not words or not size:
        raise ValueError("its first line promises no vectors")
    least = words * (1 + size * (4 if binary else 2))
    room = os.path.getsize(path) * (_MAX_GZIP_RATIO if path.lower().endswith(".gz") else 1)
    if least > room:
        raise ValueError(f"its first line promises {words} words, which it is too short for")
