"""A disk that fills while a file is written: one sentence, and the file before it stays."""

import os
import resource
import subprocess
import sys
from contextlib import contextmanager

import keras
import numpy as np
import pytest
from gensim.models import KeyedVectors

from kerasw2v import Vocabulary, Word2Vec
from kerasw2v.callbacks import Checkpoint
from kerasw2v.history import History, Measurement
from kerasw2v.keyed_vectors import save_projector, save_vectors
from kerasw2v.plots import plot_training, save_plot
from kerasw2v.report import write_report
from kerasw2v.utils.files import save_keras_model

WORDS = [f"word{i}" for i in range(2_000)]
LIMIT = 4_000


@contextmanager
def limited_files(size):
    """No file of this process can grow beyond `size` bytes, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def vectors_of_words():
    vectors = KeyedVectors(8)
    table = np.random.default_rng(0).normal(size=(len(WORDS), 8))
    vectors.add_vectors(WORDS, table.astype(np.float32))
    return vectors


@pytest.fixture(scope="module")
def many_vectors():
    return vectors_of_words()


def keras_model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2_000)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def write_checkpoint(vectors, path):
    checkpoint = Checkpoint(path)
    checkpoint.set_model(keras_model())
    checkpoint.on_epoch_end(0)


def write_word2vec(vectors, path):
    model = Word2Vec(min_count=1)
    model.build_vocab([WORDS])
    model.save(path)


WRITERS = {
    **{f"v{suffix}": save_vectors for suffix in (".kv", ".vec", ".vec.gz", ".bin", ".bin.gz")},
    "map.png": lambda vectors, path: save_plot(plot_training(vectors, words=20), path),
    "map.svg": lambda vectors, path: save_plot(plot_training(vectors, words=20), path),
    "run.html": lambda vectors, path: write_report(path, vectors),
    "words.txt": lambda _, path: Vocabulary(WORDS, [1] * len(WORDS)).save(path),
    "history.json": lambda _, path: History(0, [Measurement(1, 2, 3, 4, 5)] * 900).save(path),
    "model.w2v": write_word2vec,
    "model.keras": lambda _, path: save_keras_model(keras_model(), path),
    "state.weights.h5": write_checkpoint,
}


@pytest.mark.parametrize("limit", [0, LIMIT])
@pytest.mark.parametrize("name", WRITERS)
def test_one_sentence_and_the_old_file_stays(many_vectors, tmp_path, name, limit):
    path = tmp_path / name
    WRITERS[name](many_vectors, path)
    before = path.read_bytes()
    assert len(before) > LIMIT
    with limited_files(limit), pytest.raises(OSError, match=r"^The disk is full: ") as caught:
        WRITERS[name](many_vectors, path)
    assert repr(str(path)) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [name]


def test_the_projector_s_files_stay_as_they_were(many_vectors, tmp_path):
    save_projector(many_vectors, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with limited_files(LIMIT), pytest.raises(OSError, match="The disk is full"):
        save_projector(many_vectors, tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_checkpoint_restores_after_one_that_did_not_fit(tmp_path):
    path = tmp_path / "state.weights.h5"
    write_checkpoint(None, path)
    saved = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2_000)])
    saved.load_weights(path)  # by Keras alone
    with limited_files(LIMIT), pytest.raises(OSError, match="The disk is full"):
        write_checkpoint(None, path)
    restored = keras_model()
    assert Checkpoint(path).restore(restored, steps_per_epoch=1) == 0
    np.testing.assert_array_equal(restored.get_weights()[0], saved.get_weights()[0])


def test_a_keras_model_for_which_memory_is_scarce(tmp_path, monkeypatch):
    # Keras writes HDF5 to the disk then, whose failures end the process.
    monkeypatch.setattr("keras.src.saving.saving_lib.is_memory_sufficient", lambda model: False)
    model = keras_model()
    save_keras_model(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    with limited_files(LIMIT), pytest.raises(OSError, match="The disk is full"):
        save_keras_model(keras_model(), tmp_path / "model.keras")
    assert os.listdir(tmp_path) == ["model.keras"]


def test_the_command_ends_with_code_1(folder):
    # In a process of its own: HDF5 could end it with a segmentation fault, even at its exit.
    code = (
        "import resource, sys; from kerasw2v.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000)); sys.exit(main())"
    )
    options = "train corpus.txt --output v.kv --checkpoint state --epochs 1 --size 600 --quiet"
    run = subprocess.run(
        [sys.executable, "-c", code, *options.split()], capture_output=True, text=True
    )
    weights = os.path.join("state", "kerasw2v.weights.h5")
    assert run.stderr == (
        f"kerasw2v: The disk is full: {weights!r} could not be written (File too large).\n"
    )
    assert run.returncode == 1
    assert os.listdir("state") == ["kerasw2v.json"]
