"""Copies of a `Word2Vec`: in a file, and as gensim's class.

The file is a ZIP archive of NumPy arrays and one JSON text, with nothing pickled; `numpy.load`
opens it too. The archive is not compressed, so arrays can be mapped into memory.
"""

import copy
import inspect
import json
import logging
import os
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from gensim.models import KeyedVectors
from gensim.models import Word2Vec as GensimWord2Vec
from numpy.lib import format as npy
from numpy.typing import NDArray

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.utils.files import replace_on_success
from kerasw2v.word2vec.saved_state import ARGUMENTS, PATHS, STATE, TABLES, check_room, check_saved

if TYPE_CHECKING:
    from kerasw2v.word2vec.model import Word2Vec

logger = logging.getLogger("kerasw2v.word2vec")

Arrays = dict[str, NDArray[Any]]

_NOT_SAVED = {"self", "sentences", "corpus_file", "hashfxn", "trim_rule", "callbacks"}
_GENSIMS = [
    name for name in inspect.signature(GensimWord2Vec.__init__).parameters if name not in _NOT_SAVED
]

_HEADER = "model.json"
_FORMAT = "kerasw2v.Word2Vec"


def save_model(model: "Word2Vec", path: str | os.PathLike[str]) -> None:
    """Writes a `Word2Vec` to a file, without its callbacks, rules and strategy."""
    arguments = {name: _plain(getattr(model, name)) for name in ARGUMENTS}
    state = {name: _plain(getattr(model, name)) for name in STATE if hasattr(model, name)}
    layer, weights = _serialized_output_layer(model)
    header = {
        "format": _FORMAT,
        "arguments": arguments,
        "state": state,
        "words": model.wv.index_to_key,
        "raw_vocab": dict(model.raw_vocab or {}),
        "output_layer": layer,
    }
    text = json.dumps(header)  # first: nothing that JSON cannot hold is looked at
    arrays = {"vectors": model.wv.vectors, "vectors_lockf": model.wv.vectors_lockf}
    arrays |= {name: getattr(model, name) for name in TABLES if hasattr(model, name)}
    arrays |= _vecattrs(model.wv) | weights
    try:
        check_saved(
            header, header["words"], header["raw_vocab"].values(), arrays
        )  # else the file could not be loaded
    except ValueError as error:
        raise ValueError(f"A model that is saved must be in order: {error}.") from error
    with replace_on_success(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_HEADER, text)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def load_model(cls: "type[Word2Vec]", path: str | os.PathLike[str], mmap: str | None) -> "Word2Vec":
    """Loads a model of class `cls` from a file that `save_model` wrote; see `Word2Vec.load`."""
    if mmap not in (None, "r", "c"):
        raise ValueError(f"`mmap` must be None, 'r' or 'c'. Received: mmap={mmap!r}.")
    if not os.path.exists(path):
        raise FileNotFoundError(f"`fname` must name a file that exists. Received: {path!r}.")
    if not zipfile.is_zipfile(path):
        raise _foreign_file_error(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if _HEADER not in archive.namelist():
                raise _foreign_file_error(path)
            members = archive.infolist()
            _check_members(path, members)
            header = json.loads(archive.read(_HEADER))
            if header["format"] != _FORMAT:
                raise _foreign_file_error(path)
            arrays = {
                info.filename.removesuffix(".npy"): _read(path, archive, info, mmap)
                for info in members
                if info.filename.endswith(".npy")
            }
        check_saved(header, header["words"], header["raw_vocab"].values(), arrays)
        return _restored(cls, header, arrays)
    except _ForeignFileError:
        raise
    except Exception as error:
        # A file that is damaged, or made to do damage, can fail in almost any way.
        is_systems = isinstance(error, OSError) and error.errno is not None
        if is_systems or isinstance(error, MemoryError):
            raise
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"`fname` must be an undamaged file ({type(error).__name__}: {reason}). "
            f"Received: {os.fspath(path)!r}."
        ) from error


def _restored(cls: "type[Word2Vec]", header: dict[str, Any], arrays: Arrays) -> "Word2Vec":
    layer = header["output_layer"]
    if isinstance(layer, dict):
        layer = keras.saving.deserialize_keras_object(layer)
        if not isinstance(layer, OutputLayer) or layer.vocabulary_size != len(header["words"]):
            raise ValueError("its output_layer must be one for its words")
    arguments = header["arguments"]
    if layer is not None:
        arguments = {**arguments, "hs": 0, "negative": 0}
    model = cls(**arguments, output_layer=layer)
    for name, value in header["state"].items():
        setattr(model, name, value)
    model.raw_vocab = header["raw_vocab"]
    words = header["words"]
    model.wv.index_to_key = words
    model.wv.key_to_index = {word: i for i, word in enumerate(words)}
    model.wv.vectors = arrays["vectors"]
    model.wv.vectors_lockf = arrays["vectors_lockf"]
    for name in TABLES:
        if name in arrays:
            setattr(model, name, arrays[name])
    _restore_vecattrs(model.wv, arrays)
    if model.negative:
        model.make_cum_table()
    weights = [arrays[name] for name in arrays if name.startswith("output_layer.")]
    if weights:
        if not layer.built:  # Keras builds some layers from their config
            layer.build((None, model.vector_size), (None,))
        layer.set_weights(weights)
    return model


def _serialized_output_layer(model: "Word2Vec") -> tuple[dict[str, Any] | str | None, Arrays]:
    """Returns the argument `output_layer` as JSON, and the layer's weights if it is built."""
    layer = model.trained_output_layer()
    if not isinstance(layer, OutputLayer):
        return layer, {}
    config = keras.saving.serialize_keras_object(layer)
    weights = layer.get_weights() if layer.built else []
    return config, {f"output_layer.{i:03d}": array for i, array in enumerate(weights)}


def _vecattrs(vectors: Any) -> Arrays:
    """Returns the words' attributes as arrays, paths of different lengths concatenated."""
    arrays: Arrays = {}
    for name, values in vectors.expandos.items():
        if name in PATHS and len(values):
            arrays[f"vecattr.{name}"] = np.concatenate(values)
            arrays["path_lengths"] = np.array([len(path) for path in values], np.int32)
        elif values.dtype.kind in "biuf":
            arrays[f"vecattr.{name}"] = values
        else:
            logger.warning("The words' attribute %r is not numeric and was not saved.", name)
    return arrays


def _restore_vecattrs(vectors: Any, arrays: Arrays) -> None:
    for key, values in arrays.items():
        name = key.removeprefix("vecattr.")
        if name == key:
            continue
        if name in PATHS:
            ends = np.cumsum(arrays["path_lengths"])
            paths = np.empty(len(ends), object)
            paths[:] = np.split(np.array(values), ends[:-1]) if len(ends) > 1 else [values]
            values = paths
        # Copied, since `build_vocab(update=True)` writes to them.
        vectors.expandos[name] = np.array(values)


def _read(
    path: str | os.PathLike[str], archive: zipfile.ZipFile, info: zipfile.ZipInfo, mmap: str | None
) -> NDArray[Any]:
    with archive.open(info) as member:
        version = npy.read_magic(member)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read_header(member)
        check_room(info.filename, shape, dtype, info.file_size - member.tell())
        begin = _data_offset(path, info) + member.tell()
    if mmap is None:
        with archive.open(info) as member:
            return np.asarray(npy.read_array(member, allow_pickle=False))
    if is_fortran:
        raise ValueError(f"{info.filename!r} cannot be mapped")
    if not np.prod(shape):
        return np.zeros(shape, dtype)
    array: NDArray[Any] = np.memmap(path, dtype, mmap, begin, shape)  # type: ignore[call-overload]
    return array


def _check_members(path: str | os.PathLike[str], members: list[zipfile.ZipInfo]) -> None:
    """Refuses an archive that would fill the memory: its members are as large as they seem."""
    size = os.path.getsize(path)
    for info in members:
        is_stored = info.compress_type == zipfile.ZIP_STORED
        if not is_stored or info.file_size != info.compress_size or info.file_size > size:
            raise ValueError(f"{info.filename!r} must not be compressed")
    if len({info.filename for info in members}) != len(members):
        raise ValueError("it has a member twice")


def _data_offset(path: str | os.PathLike[str], info: zipfile.ZipInfo) -> int:
    """Returns the offset of a member's bytes: after its header, name and extra field."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + int(name) + int(extra)


def _plain(value: Any) -> Any:
    """Returns NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


class _ForeignFileError(AttributeError):
    """The file is none of ours; gensim raises an AttributeError for a model of another class."""


def _foreign_file_error(path: str | os.PathLike[str]) -> AttributeError:
    return _ForeignFileError(
        "`fname` must be a file that kerasw2v.Word2Vec.save wrote; to load one of gensim's, use "
        "Word2Vec.from_gensim(gensim.models.Word2Vec.load(fname)). "
        f"Received: {os.fspath(path)!r}."
    )


def from_gensim(cls: "type[Word2Vec]", model: Any) -> "Word2Vec":
    """Makes a model of class `cls` from a gensim model, with copies of all arrays."""
    if not isinstance(model, GensimWord2Vec) or type(model.wv) is not KeyedVectors:
        raise TypeError(
            "`model` must be a gensim.models.Word2Vec. "
            f"Received: {type(model).__module__}.{type(model).__qualname__}."
        )
    ours: Word2Vec = _converted(model, cls)
    return ours


def to_gensim(model: "Word2Vec") -> GensimWord2Vec:
    """Makes a gensim model from ours, with copies of all arrays."""
    if model.output_layer is not None:
        raise ValueError(
            "`output_layer` must be None for gensim, which supports `hs` and `negative` only; "
            "`wv` is a gensim object in any case. "
            f"Received: output_layer={model.output_layer!r}."
        )
    return _converted(model, GensimWord2Vec)


def _converted(source: Any, cls: Any) -> Any:
    target = cls(**{name: getattr(source, name) for name in (*_GENSIMS, "hashfxn")})
    for name in ("wv", "raw_vocab", "cum_table", "random", *TABLES):
        if hasattr(source, name):
            setattr(target, name, copy.deepcopy(getattr(source, name)))
    for name in STATE:
        if hasattr(source, name) and name != "epoch_losses":  # not gensim's
            setattr(target, name, getattr(source, name))
    if not hasattr(target.wv, "vectors_lockf"):
        target.wv.vectors_lockf = np.ones(1, np.float32)
    return target
