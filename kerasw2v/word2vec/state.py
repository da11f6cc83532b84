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
from kerasw2v.utils.paths import check_path

if TYPE_CHECKING:
    from kerasw2v.word2vec.model import Word2Vec

logger = logging.getLogger("kerasw2v.word2vec")

Arrays = dict[str, NDArray[Any]]

_NOT_SAVED = {"self", "sentences", "corpus_file", "hashfxn", "trim_rule", "callbacks"}
_GENSIMS = [
    name for name in inspect.signature(GensimWord2Vec.__init__).parameters if name not in _NOT_SAVED
]
_SAVED = [*_GENSIMS, "batch_size", "progress_bar"]
# Attributes that building the vocabulary and training set.
_STATE = (
    "corpus_count",
    "corpus_total_words",
    "effective_min_count",
    "train_count",
    "total_train_time",
    "min_alpha_yet_reached",
    "running_training_loss",
)
_TABLES = ("syn1", "syn1neg")

_HEADER = "model.json"
_FORMAT = "kerasw2v.Word2Vec"
_PATHS = ("code", "point")


def save_model(model: "Word2Vec", path: str | os.PathLike[str]) -> None:
    """Writes a `Word2Vec` to a file, without its callbacks, rules and strategy."""
    arguments = {name: _plain(getattr(model, name)) for name in _SAVED}
    state = {name: _plain(getattr(model, name)) for name in _STATE if hasattr(model, name)}
    layer, weights = _serialized_output_layer(model)
    text = json.dumps(
        {
            "format": _FORMAT,
            "arguments": arguments,
            "state": {**state, "epoch_losses": model.epoch_losses},
            "words": model.wv.index_to_key,
            "raw_vocab": dict(model.raw_vocab or {}),
            "output_layer": layer,
        }
    )
    arrays = {"vectors": model.wv.vectors, "vectors_lockf": model.wv.vectors_lockf}
    arrays |= {name: getattr(model, name) for name in _TABLES if hasattr(model, name)}
    arrays |= _vecattrs(model.wv) | weights
    with replace_on_success(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_HEADER, text)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def load_model(cls: "type[Word2Vec]", path: str | os.PathLike[str], mmap: str | None) -> "Word2Vec":
    """Loads a model of class `cls` from a file that `save_model` wrote; see `Word2Vec.load`."""
    if mmap not in (None, "r", "c"):
        raise ValueError(f"`mmap` must be None, 'r' or 'c'. Received: mmap={mmap!r}.")
    if not os.path.exists(check_path("fname", path)):
        raise FileNotFoundError(f"`fname` must name a file that exists. Received: {path!r}.")
    if not zipfile.is_zipfile(path):
        raise _foreign_file_error(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if _HEADER not in archive.namelist():
                raise _foreign_file_error(path)
            header = json.loads(archive.read(_HEADER))
            arrays = {
                info.filename.removesuffix(".npy"): _read(path, archive, info, mmap)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
        if header["format"] != _FORMAT:
            raise _foreign_file_error(path)
        return _restored(cls, header, arrays)
    except (KeyError, IndexError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`fname` must be an undamaged file ({type(error).__name__}: {error}). "
            f"Received: {os.fspath(path)!r}."
        ) from error


def _restored(cls: "type[Word2Vec]", header: dict[str, Any], arrays: Arrays) -> "Word2Vec":
    layer = header["output_layer"]
    if isinstance(layer, dict):
        layer = keras.saving.deserialize_keras_object(layer)
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
    for name in _TABLES:
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
        if name in _PATHS and len(values):
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
        if name in _PATHS:
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
        if mmap is None:
            return np.asarray(npy.read_array(member, allow_pickle=False))
        version = npy.read_magic(member)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read_header(member)
        begin = _data_offset(path, info) + member.tell()
    if dtype.hasobject or is_fortran or info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename!r} cannot be mapped")
    if not np.prod(shape):
        return np.zeros(shape, dtype)
    array: NDArray[Any] = np.memmap(path, dtype, mmap, begin, shape)  # type: ignore[call-overload]
    return array


def _data_offset(path: str | os.PathLike[str], info: zipfile.ZipInfo) -> int:
    """Returns the offset of a member's bytes: after its header, name and extra field."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + int(name) + int(extra)


def _plain(value: Any) -> Any:
    """Returns NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _foreign_file_error(path: str | os.PathLike[str]) -> AttributeError:
    return AttributeError(
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
    for name in ("wv", "raw_vocab", "cum_table", "random", *_TABLES):
        if hasattr(source, name):
            setattr(target, name, copy.deepcopy(getattr(source, name)))
    for name in _STATE:
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))
    if not hasattr(target.wv, "vectors_lockf"):
        target.wv.vectors_lockf = np.ones(1, np.float32)
    return target
