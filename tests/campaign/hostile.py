"""Files that were made to do damage: each is refused in one sentence, and runs nothing."""

import io
import json
import os
import pickle
import zipfile
from functools import partial

import numpy as np
from cases import expected

WORDS = ["a", "b", "c", "d"]
NESTED = 100_000  # brackets


def cases(plan):
    for make in (word2vec_files, vector_files, packed_files, keras_files, text_files):
        yield from make(plan.new_folder())


class Trap:
    """Makes a file when it is unpickled, or when it is read as a corpus."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


# Word2Vec.save


def saved_model(folder, **options):
    from kerasw2v import Word2Vec

    path = folder / "good.model"
    model = Word2Vec(vector_size=4, min_count=1, seed=1, **options)
    model.build_vocab([WORDS] * 5)
    model.save(path)
    return path


def rewritten(path, target, change):
    """Copies the file of a model with other contents: `change(header, arrays)` edits both."""
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("model.json"))
        arrays = {
            name: np.load(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    change(header, arrays)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("model.json", json.dumps(header))
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(name, member.getvalue())
    return target


def _set(part, name, value):
    return lambda header, arrays: header[part].__setitem__(name, value)


def _put(name, value):
    return lambda header, arrays: arrays.__setitem__(name, value)


def _drop(name):
    return lambda header, arrays: arrays.pop(name)


def header_changes(folder):
    """Name, and change of the header and arrays of a file with hierarchical softmax too."""
    corpus = folder / "corpus.txt"
    corpus.write_text("x y z\n" * 50)
    wrong_values = {
        "sentences": [["x", "y"]] * 50,
        "corpus_file": str(corpus),
        "callbacks": [],
        "trim_rule": "x",
        "hashfxn": "print",
        "output_layer": "FullSoftmax",
        "strategy": "x",
        "unknown": 1,
        "vector_size": 10**9,
        "window": -1,
        "negative": -1,
        "seed": 2**40,
        "alpha": float("nan"),
        "min_alpha": "0",
        "sample": float("inf"),
        "ns_exponent": None,
        "epochs": "5",
        "batch_size": 0,
        "sg": 0.5,
        "workers": [],
    }
    for name, value in wrong_values.items():
        yield f"argument {name}", _set("arguments", name, value)
    for name, value in {
        "wv": {},
        "train": 1,
        "__class__": "x",
        "_trainer": 1,
        "save": "x",
        "corpus_count": -1,
        "train_count": 2**63,
        "total_train_time": float("nan"),
        "epoch_losses": "x",
        "running_training_loss": [],
        "min_alpha_yet_reached": None,
    }.items():
        yield f"state {name}", _set("state", name, value)
    for name, value in {
        "words": ["a", "b", "c", "a"],
        "arguments": [],
        "state": 3,
        "raw_counts": ["x"],
        "raw_words": ["a"],
        "vecattrs": {"more": [1]},
        "attributes": {"train": "x"},
        "comment": {"pickle": "x"},
        "output_layer": {"class_name": "Lambda", "module": "keras.layers", "config": {}},
    }.items():
        yield f"header {name}", lambda h, arrays, name=name, value=value: h.update({name: value})
    yield "too few words", lambda header, arrays: header["words"].pop()
    yield "words that are lists", lambda h, arrays: h.update(words=[[w] for w in WORDS])
    for name in ("arguments", "state", "words", "raw_words", "format", "output_layer"):
        yield f"no {name}", lambda header, arrays, name=name: header.pop(name)


def array_changes():
    nan = np.full((4, 4), np.nan, np.float32)
    eye = np.eye(4, dtype=np.float32)
    for name in ("vectors", "syn1", "syn1neg"):
        for kind, value in {
            "NaN": nan,
            "infinite": nan * 0 + np.inf,
            "integers": eye.astype(int),
            "complex": eye.astype(complex),
            "text": eye.astype(str),
            "short": eye[:2],
            "narrow": eye[:, :2],
            "deep": eye[None],
        }.items():
            yield f"{name} {kind}", _put(f"{name}.npy", value)
    for name, value in {
        "vectors_lockf.npy": np.ones((4, 4), np.float32),
        "vecattr.count.npy": np.array([-1, 2, 3, 4]),
        "vecattr.sample_int.npy": np.ones(4),
        "path_lengths.npy": np.array([9, 9, 9, 9]),
        "vecattr.point.npy": np.array([-1] * 8),
        "vecattr.code.npy": np.zeros(3, np.uint8),
        "vecattr.more.npy": np.zeros(9),
    }.items():
        yield f"array {name}", _put(name, value)
    yield "counts that are floats", _put("vecattr.count.npy", np.full(4, np.nan))
    yield "no vectors", _drop("vectors.npy")
    yield "no vectors_lockf", _drop("vectors_lockf.npy")


def layer_changes():
    lambda_layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "x", "function": {"class_name": "__lambda__", "config": {}}},
        "registered_name": None,
    }
    get_file = {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "x"}}
    for name, value in {"Lambda": lambda_layer, "get_file": get_file}.items():
        yield f"output layer with {name} in it", _set("output_layer", "more", value)
        yield f"{name} as type", lambda h, a, v=value: h["output_layer"]["config"].update(dtype=v)
        yield f"{name} as output layer", lambda h, a, v=value: h.update(output_layer=v)
    for name, value in {"counts": 10**12, "shards": -1, "num_classes": "x"}.items():
        yield (
            f"layer's {name}",
            lambda h, a, n=name, v=value: h["output_layer"]["config"].update({n: v}),
        )
    yield "layer of a module", _set("output_layer", "registered_name", "os>system")
    yield (
        "wide layer",
        lambda h, a: h["output_layer"]["build_config"]["shapes_dict"].update(
            hidden_shape=[None, 10**9]
        ),
    )
    yield "layer's weights", _put("output_layer.000.npy", np.full((2, 4), np.nan, np.float32))
    yield "layer's shapes", _put("output_layer.000.npy", np.ones((3, 3), np.float32))


def word2vec_files(folder):
    from kerasw2v import Word2Vec

    def refused(path, change, mmap):
        bad = rewritten(path, folder / "bad.model", change)
        begun = set(os.listdir(folder))
        with expected(ValueError, AttributeError, names="`fname`"):
            Word2Vec.load(bad, mmap=mmap)
        assert set(os.listdir(folder)) == begun

    good = saved_model(folder, hs=1)
    for mmap in (None, "r"):
        for name, change in (*header_changes(folder), *array_changes()):
            yield f"Word2Vec, mmap={mmap}: {name}", partial(refused, good, change, mmap)
    layered = saved_model(
        folder.joinpath("layer") if not (folder / "layer").mkdir() else folder,
        output_layer="ClassSoftmax",
    )
    for name, change in layer_changes():
        yield f"Word2Vec: {name}", partial(refused, layered, change, None)
    for name, write in archives(good).items():
        yield f"Word2Vec: {name}", partial(refused_bytes, folder / "bad.model", write, "`fname`")

    def loads_unchanged(path):
        same = rewritten(path, folder / "same.model", lambda header, arrays: None)
        assert Word2Vec.load(same).wv.index_to_key == Word2Vec.load(path).wv.index_to_key

    yield "Word2Vec: unchanged", partial(loads_unchanged, good)
    yield "Word2Vec: unchanged, with a layer", partial(loads_unchanged, layered)


def refused_bytes(path, write, names):
    from kerasw2v import Word2Vec

    write(path)
    with expected(ValueError, AttributeError, names=names):
        Word2Vec.load(path)


def archives(good):
    """Name, and a function that writes an archive that is none."""
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def write(changed, path, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in {**members, **changed}.items():
                archive.writestr(name, content)

    def npy(text):
        text = text.ljust(118) + "\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()

    pickled = io.BytesIO()
    np.save(pickled, np.array([Trap(good.parent / "trap")]), allow_pickle=True)
    huge = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000), }")
    return {
        "nested brackets": partial(write, {"model.json": "[" * NESTED}),
        "no JSON": partial(write, {"model.json": "\xff"}),
        "a pickle in it": partial(write, {"vectors.npy": pickled.getvalue()}),
        "an array of a petabyte": partial(write, {"vectors.npy": huge}),
        "a bomb": partial(
            write, {"vectors.npy": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED
        ),
        "code as shape": partial(write, {"vectors.npy": npy("__import__('os').getpid()")}),
        "nothing": lambda path: path.write_bytes(b""),
        "another archive": lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),
    }


# load_vectors


def vector_files(folder):
    from gensim.models import KeyedVectors

    from kerasw2v.keyed_vectors import load_vectors

    def kv(**changes):
        vectors = KeyedVectors(2)
        vectors.add_vectors(["a", "b"], np.eye(2, dtype=np.float32))
        vectors.expandos["count"] = np.array([2, 1])
        vars(vectors).update(changes)
        return pickle.dumps(vectors)

    bad = np.array([[1, np.nan], [0, 1]], np.float32)
    trap = folder / "trap"
    contents = {
        "code.kv": pickle.dumps(Trap(trap)),
        "code_in_it.kv": kv(more=Trap(trap)),
        "nan.kv": kv(vectors=bad),
        "infinite.kv": kv(vectors=np.where(np.isnan(bad), np.inf, bad)),
        "integers.kv": kv(vectors=np.eye(2, dtype=int)),
        "rows.kv": kv(vectors=np.eye(3, 2, dtype=np.float32)),
        "twice.kv": kv(index_to_key=["a", "a"], key_to_index={"a": 1}),
        "indices.kv": kv(key_to_index={"a": 1, "b": 0}),
        "counts.kv": kv(expandos={"count": np.array([-1, 2])}),
        "count_of_words.kv": kv(expandos={"count": np.array([1])}),
        "text_counts.kv": kv(expandos={"count": np.array(["x", "y"])}),
        "table.kv": kv(expandos=[1]),
        "side.kv": kv(__numpys=["../../etc/passwd"]),
        "recursion.kv": kv(__recursive_saveloads=["x"]),
        "nested.kv": b"\x80\x04" + b"]" * NESTED + b"a" * (NESTED - 1) + b".",
        "nothing.kv": b"",
        "list.kv": pickle.dumps([1]),
    }
    for suffix in (".vec", ".txt"):
        contents |= {
            f"nan{suffix}": b"1 2\na 1 nan\n",
            f"infinite{suffix}": b"1 2\na 1 1e999\n",
            f"twice{suffix}": b"2 1\na 1\na 2\n",
            f"short{suffix}": b"9 2\na 1 2\n",
            f"huge{suffix}": b"99999999999 99999\na 1 2\n",
            f"narrow{suffix}": b"1 2\na 1\n",
            f"words{suffix}": b"1 2\na x y\n",
            f"minus{suffix}": b"-1 2\n",
        }
    contents |= {
        "nan.bin": b"1 1\na " + np.float32(np.nan).tobytes(),
        "twice.bin": b"2 1\n" + b"".join(b"a " + np.float32(i).tobytes() for i in range(2)),
        "cut.bin": b"2 9\na 12345",
        "huge.bin": b"99999999999 99999\na ",
        "zip.vec.gz": b"\x1f\x8bnothing",
    }

    def refused(name):
        path = folder / name
        path.write_bytes(contents[name])
        with expected(ValueError, names="`path`"):
            load_vectors(path)
        assert not trap.exists()

    for name in contents:
        yield f"vectors: {name}", partial(refused, name)


# The package's own vectors


def packed_files(folder):
    from kerasw2v.zoo.vectors import load_packed

    good = {
        "words": np.frombuffer(b"a\nb", np.uint8),
        "numbers": np.ones((2, 3), np.int8),
        "scales": np.ones(2, np.float32),
        "counts": np.array([2, 1]),
    }
    changes = {
        "twice": {"words": np.frombuffer(b"a\na", np.uint8)},
        "words": {"words": np.frombuffer(b"a\nb\nc", np.uint8)},
        "no text": {"words": np.frombuffer(b"a\xff", np.uint8)},
        "strings": {"words": np.array(["a", "b"])},
        "scales": {"scales": np.array([1, np.nan], np.float32)},
        "scale": {"scales": np.ones(1, np.float32)},
        "counts": {"counts": np.array([-1, 1])},
        "floats": {"numbers": np.ones((2, 3))},
        "flat": {"numbers": np.ones(2, np.int8)},
    }

    def refused(arrays, name):
        path = folder / name
        if name.endswith(".npy"):
            np.save(path, np.ones(3))
        else:
            np.savez(path, **arrays)
        with expected(ValueError, names="`path`"):
            load_packed(path)

    for name, change in changes.items():
        yield f"packed vectors: {name}", partial(refused, good | change, f"{name}.npz")
    for name in good:
        rest = {key: value for key, value in good.items() if key != name}
        yield f"packed vectors: no {name}", partial(refused, rest, f"no {name}.npz")
    yield "packed vectors: a plain array", partial(refused, {}, "plain.npy")

    def loads():
        np.savez(folder / "good.npz", **good)
        assert load_packed(folder / "good.npz").index_to_key == ["a", "b"]

    yield "packed vectors: unchanged", loads


# Keras models and checkpoints


def keras_files(folder):
    import keras

    from kerasw2v import SkipGram, layers

    model = SkipGram(4, 2, layers.FullSoftmax(4), window=1)
    model.compile()
    good, trap = folder / "good.keras", str(folder / "trap")
    model.save(good)

    def refused(change):
        bad = folder / "bad.keras"
        with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as copy:
            for name in archive.namelist():
                content = archive.read(name)
                if name == "config.json":
                    config = json.loads(content)
                    change(config)
                    content = json.dumps(config)
                copy.writestr(name, content)
        try:
            keras.saving.load_model(bad)
        except Exception:
            assert not os.path.exists(trap)
        else:
            raise AssertionError("it was loaded")

    code = keras.layers.Lambda(lambda x: os.mkdir(trap) or x, name="code").get_config()
    lambda_layer = {"module": "keras.layers", "class_name": "Lambda", "config": code}
    opener = {"module": "builtins", "class_name": "function", "config": "open"}
    system = {"module": "os", "class_name": "function", "config": "system"}
    for name, item in {"Lambda": lambda_layer, "open": opener, "os.system": system}.items():
        item = {**item, "registered_name": None}
        yield (
            f"Keras model with {name} as output layer",
            partial(refused, lambda c, item=item: c["config"].update(output_layer=item)),
        )
        yield (
            f"Keras model that is a {name}",
            partial(refused, lambda c, item=item: (c.clear(), c.update(item))),
        )

    def checkpoint(content):
        from kerasw2v.callbacks import Checkpoint

        path = folder / "state.weights.h5"
        path.write_bytes(content)
        with expected(ValueError, names="`path`"):
            Checkpoint(path).restore(model, 1)

    for name, content in {"nothing": b"", "text": b"x" * 999, "HDF5": b"\x89HDF\r\n\x1a\n"}.items():
        yield f"checkpoint: {name}", partial(checkpoint, content)


# Texts


def text_files(folder):
    from kerasw2v import Vocabulary
    from kerasw2v.history import History
    from kerasw2v.zoo.recipe import read_recipe

    recipes = {
        "nested brackets": f"x = {'[' * NESTED}",
        "nested tables": f"x = {'{a=' * NESTED}",
        "code": '[model]\narchitecture = "os.system"\n',
        "key": '[model]\narchitecture = "cbow"\nseed = 1\n',
        "nan": '[model]\narchitecture = "cbow"\nwindow = nan\n',
        "no TOML": "\x00",
        "a number of a million digits": f"x = {'9' * 1_000_000}",
    }

    def recipe(text):
        path = folder / "recipe.toml"
        path.write_text(text)
        with expected(ValueError):
            read_recipe(path)

    for name, text in recipes.items():
        yield f"recipe: {name}", partial(recipe, text)
    vocabularies = {
        "count": b"a x\n",
        "minus": b"a -1\n",
        "huge": b"a 99999999999999999999\n",
        "twice": b"a 1\na 2\n",
        "bytes": b"\xff 1\n",
        "empty": b"",
        "digits": "a ²\n".encode(),
    }

    def vocabulary(content):
        path = folder / "words.txt"
        path.write_bytes(content)
        with expected(ValueError, names="`path`"):
            Vocabulary.load(path)

    for name, content in vocabularies.items():
        yield f"vocabulary: {name}", partial(vocabulary, content)

    def history(text):
        path = folder / "history.json"
        path.write_text(text)
        assert History.load(path, 3).begun == 3  # only a picture is lost

    for name, text in {"brackets": "[" * NESTED, "values": '[1, [["x"]], {}]', "no": ""}.items():
        yield f"history: {name}", partial(history, text)
