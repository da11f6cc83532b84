"""Copies of a `Word2Vec`: in a file, and as gensim's class.

The file is a ZIP archive of NumPy arrays and one JSON text, with nothing pickled. The archive is
not compressed, so arrays can be mapped into memory. Before it stand bytes that `pickle.load`, and
so gensim's `load`, takes for a name that does not exist: its error then says how to load the file.
"""

import copy
import inspect
import io
import json
import logging
import os
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import keras
import numpy as np
from gensim.models import KeyedVectors
from gensim.models import Word2Vec as GensimWord2Vec
from numpy.lib import format as npy
from numpy.typing import NDArray

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.utils.files import replace_on_success
from kerasw2v.utils.paths import check_path
from kerasw2v.word2vec.hooks import check_file_hooks
from kerasw2v.word2vec.saved_state import PATHS, STATE, TABLES, Kind, check_room, check_saved
from kerasw2v.word2vec.values import (
    decode,
    decode_attributes,
    decode_words,
    encode_attributes,
    encode_words,
)
from kerasw2v.word2vec.word_vectors import WordVectors

if TYPE_CHECKING:
    from kerasw2v.word2vec.model import Word2Vec

File = str | os.PathLike[str] | IO[bytes]

logger = logging.getLogger("kerasw2v.word2vec")

Arrays = dict[str, NDArray[Any]]

_NOT_COPIED = {"self", "sentences", "corpus_file", "trim_rule", "callbacks"}
# Attributes that are no arguments, and are made anew or saved in a way of their own.
_OWN = {
    *STATE,
    *TABLES,
    "wv",
    "comment",
    "hashfxn",
    "output_layer",
    "strategy",
    "layer1_size",
    "cum_table",
    "raw_vocab",
    "epoch_losses",
    "held_out_losses",
    "random",
    "load",
    "_scan_cache",
    "_trainer",
    "_training",
    "_held_out",
}

_HEADER = "model.json"

WORD2VEC = Kind("kerasw2v.Word2Vec", GensimWord2Vec, KeyedVectors, WordVectors)


def _refusal_to_unpickle(kind: Kind) -> bytes:
    """Returns a pickle of protocol 0 that asks for a name of `builtins`, which is advice."""
    advice = (
        f"(this file was saved by {kind.name}.save: load it by {kind.name}.load(path); "
        f"for a gensim model, {kind.name}.load(path).to_gensim())"
    )
    return f"cbuiltins\n{advice}\n.".encode()


def _own_of_vectors(model: Any) -> set[str]:
    """Returns the attributes of `wv` that are gensim's."""
    return {*vars(model._new_vectors())}


def save_model(model: "Word2Vec", file: File, ignore: Iterable[str] = ()) -> None:
    """Writes a `Word2Vec` to a file, without its callbacks, rules and strategy.

    Attributes that the user has set are saved too, but for those in `ignore`.
    """
    check_file_hooks(model)
    kind = model._kind
    if type(model.wv) not in (kind.vectors_class, kind.own_vectors_class):
        raise TypeError(
            f"`wv` must be a gensim {kind.vectors_class.__name__} to be saved. "
            f"Received: wv of type {type(model.wv).__module__}.{type(model.wv).__qualname__}."
        )
    ignore = {ignore} if isinstance(ignore, str) else set(ignore)
    arguments = {name: _plain(getattr(model, name)) for name in kind.arguments}
    state = {name: _plain(getattr(model, name)) for name in STATE if hasattr(model, name)}
    layer, weights = _serialized_output_layer(model)
    raw_vocab = {} if "raw_vocab" in ignore else dict(model.raw_vocab or {})
    values: list[NDArray[Any]] = []
    own, own_of_vectors = {*_OWN, *arguments}, _own_of_vectors(model)
    attributes = {name: value for name, value in vars(model).items() if name not in own}
    header: dict[str, Any] = {
        "format": kind.name,
        "arguments": arguments,
        "state": state,
        "words": encode_words(model.wv.index_to_key),
        "raw_words": encode_words(list(raw_vocab)),
        "raw_counts": [int(count) for count in raw_vocab.values()],
        "output_layer": layer,
        "comment": encode_attributes({"comment": model.comment}, values)["comment"],
        "attributes": encode_attributes(
            {name: value for name, value in attributes.items() if name not in ignore}, values
        ),
        "ignored": sorted(ignore & set(attributes)),
        "wv_attributes": encode_attributes(
            {
                name: value
                for name, value in vars(model.wv).items()
                if name not in own_of_vectors | ignore
            },
            values,
            owner="wv.",
        ),
        "vecattrs": _object_vecattrs(model.wv, values),
    }
    text = json.dumps(header)
    arrays = {name: getattr(model.wv, name) for name in kind.vector_arrays}
    arrays |= {
        name: getattr(model, name) for name in TABLES if hasattr(model, name) and name not in ignore
    }
    arrays |= _vecattrs(model.wv) | weights
    arrays |= {f"value.{i:03d}": array for i, array in enumerate(values)}
    try:
        check_saved(kind, header, model.wv.index_to_key, header["raw_counts"], arrays)
    except ValueError as error:  # the file could not be loaded
        raise ValueError(f"A model that is saved must be in order: {error}.") from error
    with _opened_to_write(file) as opened:
        opened.write(_refusal_to_unpickle(kind))
        with zipfile.ZipFile(opened, "w") as archive:
            archive.writestr(_HEADER, text)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


@contextmanager
def _opened_to_write(file: File) -> Iterator[IO[bytes]]:
    """Yields an open file as it is, or one that appears whole or not at all."""
    if isinstance(file, str | os.PathLike):
        with replace_on_success(file) as opened:
            yield opened
    elif isinstance(file, io.TextIOBase) or not hasattr(file, "write"):
        raise TypeError(
            "`fname_or_handle` must be a path, or a file that is open for bytes, as by "
            f"open(path, 'wb'). Received: {file!r}."
        )
    else:
        yield file


def load_model(cls: Any, file: File, mmap: str | None) -> Any:
    """Loads a model of class `cls` from a file that `save_model` wrote; see `Word2Vec.load`."""
    check_file_hooks(cls)
    kind = cls._kind
    if mmap not in (None, "r", "c"):
        raise ValueError(f"`mmap` must be None, 'r' or 'c'. Received: mmap={mmap!r}.")
    if isinstance(file, str | os.PathLike):
        if not os.path.exists(check_path("fname", file)):
            raise FileNotFoundError(f"`fname` must name a file that exists. Received: {file!r}.")
    elif not hasattr(file, "read"):
        raise TypeError(f"`fname` must be a path or an open file. Received: {file!r}.")
    elif mmap is not None:
        raise ValueError(
            f"`mmap` must be None for an open file, which has no path. Received: mmap={mmap!r}."
        )
    if not zipfile.is_zipfile(file):
        raise _foreign_file_error(file, kind)
    try:
        with zipfile.ZipFile(file) as archive:
            if _HEADER not in archive.namelist():
                raise _foreign_file_error(file, kind)
            members = archive.infolist()
            _check_members(archive, members)
            header = json.loads(archive.read(_HEADER))
            if header["format"] != kind.name:
                raise _foreign_file_error(file, kind)
            arrays = {
                info.filename.removesuffix(".npy"): _read(file, archive, info, mmap)
                for info in members
                if info.filename.endswith(".npy")
            }
        words = decode_words(header["words"])
        check_saved(kind, header, words, header["raw_counts"], arrays)
        return _restored(cls, header, words, arrays)
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
            f"Received: {_name_of(file)}."
        ) from error


def _name_of(file: File) -> str:
    return repr(os.fspath(file) if isinstance(file, str | os.PathLike) else file)


def _made(cls: Any, **arguments: Any) -> Any:
    """Makes a model of a class without calling a constructor that a user has written."""
    model = cls.__new__(cls)
    _base_of(cls).__init__(model, **arguments)
    return model


def _base_of(cls: Any) -> Any:
    """Returns the class of this package that a class is, or is derived from."""
    return next(base for base in cls.__mro__ if base.__module__.partition(".")[0] == "kerasw2v")


def _restored(cls: Any, header: dict[str, Any], words: list[Any], arrays: Arrays) -> Any:
    layer = header["output_layer"]
    if isinstance(layer, dict):
        layer = keras.saving.deserialize_keras_object(layer)
        if not isinstance(layer, OutputLayer) or layer.vocabulary_size != len(words):
            raise ValueError("its output_layer must be one for its words")
    arguments = header["arguments"]
    if layer is not None:
        arguments = {**arguments, "hs": 0, "negative": 0}
    values = [arrays[name] for name in sorted(arrays) if name.startswith("value.")]
    comment = decode(header["comment"], values)
    model = _made(cls, **arguments, comment=comment, output_layer=layer)
    for name, value in header["state"].items():
        setattr(model, name, value)
    raw_words = decode_words(header["raw_words"])
    model.raw_vocab = dict(zip(raw_words, header["raw_counts"], strict=True))
    model.wv.index_to_key = words
    model.wv.key_to_index = {word: i for i, word in enumerate(words)}
    for name in model._kind.vector_arrays:
        setattr(model.wv, name, arrays[name])
    for name in TABLES:
        if name in arrays:
            setattr(model, name, arrays[name])
    _restore_vecattrs(model.wv, arrays)
    for name, objects in decode_attributes(header["vecattrs"], values).items():
        if not isinstance(objects, list) or len(objects) != len(words):
            raise ValueError(f"its vecattr {name} must be a list with a value for each word")
        model.wv.expandos[name] = np.empty(len(words), object)
        model.wv.expandos[name][:] = objects
    if model.negative:
        model.make_cum_table()
    ignored = dict.fromkeys(header["ignored"])  # None, as in gensim
    attributes = decode_attributes(header["attributes"], values) | ignored
    wv_attributes = decode_attributes(header["wv_attributes"], values)
    for given, own in (
        (attributes, {*_OWN, *model._kind.arguments, *dir(_base_of(cls))}),
        (wv_attributes, {*_own_of_vectors(model), *dir(type(model.wv))}),
    ):
        for name in own & set(given):
            raise ValueError(f"{name!r} is no attribute of a user")
    vars(model).update(attributes)
    vars(model.wv).update(wv_attributes)
    model._restore_vectors()
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
        elif not values.dtype.hasobject:
            arrays[f"vecattr.{name}"] = values
    return arrays


def _object_vecattrs(vectors: Any, values: list[NDArray[Any]]) -> dict[str, Any]:
    """Returns the words' attributes that are objects, paths aside, as JSON can hold them."""
    return {
        name: encode_attributes({name: list(objects)}, values, owner="wv.expandos.")[name]
        for name, objects in vectors.expandos.items()
        if objects.dtype.hasobject and name not in PATHS
    }


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
    path: File, archive: zipfile.ZipFile, info: zipfile.ZipInfo, mmap: str | None
) -> NDArray[Any]:
    with archive.open(info) as member:
        version = npy.read_magic(member)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read_header(member)
        begin = member.tell()
    check_room(info.filename, shape, dtype, info.file_size - begin)
    if mmap is None or not isinstance(path, str | os.PathLike):
        with archive.open(info) as member:
            return np.asarray(npy.read_array(member, allow_pickle=False))
    begin += _data_offset(path, info)
    if is_fortran:
        raise ValueError(f"{info.filename!r} cannot be mapped")
    if not np.prod(shape):
        return np.zeros(shape, dtype)
    array: NDArray[Any] = np.memmap(path, dtype, mmap, begin, shape)  # type: ignore[call-overload]
    return array


def _check_members(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """Refuses an archive that would fill the memory: its members are as large as they seem."""
    end = archive.start_dir  # of all members
    for info in members:
        is_stored = info.compress_type == zipfile.ZIP_STORED
        if not is_stored or info.file_size != info.compress_size or info.file_size > end:
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


def _foreign_file_error(file: File, kind: Kind) -> AttributeError:
    name = kind.gensim_class.__name__
    return _ForeignFileError(
        f"`fname` must be a file that {kind.name}.save wrote; to load one of gensim's, use "
        f"{name}.from_gensim(gensim.models.{name}.load(fname)), and for vectors alone (.kv) use "
        "kerasw2v.KeyedVectors.load(fname). "
        f"Received: {_name_of(file)}."
    )


def from_gensim(cls: Any, model: Any) -> Any:
    """Makes a model of class `cls` from a gensim model, with copies of all arrays."""
    kind = cls._kind
    if not isinstance(model, kind.gensim_class) or type(model.wv) is not kind.vectors_class:
        raise TypeError(
            f"`model` must be a gensim.models.{kind.gensim_class.__name__}. "
            f"Received: {type(model).__module__}.{type(model).__qualname__}."
        )
    return _converted(model, cls, kind)


def to_gensim(model: "Word2Vec") -> Any:
    """Makes a gensim model from ours, with copies of all arrays."""
    if model.output_layer is not None:
        raise ValueError(
            "`output_layer` must be None for gensim, which supports `hs` and `negative` only; "
            "`wv` is a gensim object in any case. "
            f"Received: output_layer={model.output_layer!r}."
        )
    kind = model._kind
    return _converted(model, kind.gensim_class, kind)


def _converted(source: Any, cls: Any, kind: Kind) -> Any:
    names = set(inspect.signature(kind.gensim_class.__init__).parameters) - _NOT_COPIED
    # gensim keeps some arguments with the vectors only.
    arguments = {name: getattr(source, name, getattr(source.wv, name, None)) for name in names}
    target = cls(**arguments) if cls is kind.gensim_class else _made(cls, **arguments)
    for name in ("wv", "raw_vocab", "cum_table", "random", *TABLES):
        if hasattr(source, name):
            setattr(target, name, copy.deepcopy(getattr(source, name)))
    for name in STATE:
        if hasattr(source, name) and name != "epoch_losses":  # not gensim's
            setattr(target, name, getattr(source, name))
    if not hasattr(target.wv, "vectors_lockf"):
        target.wv.vectors_lockf = np.ones(1, np.float32)
    return target
