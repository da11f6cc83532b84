"""Arguments of another kind: no path, an object of another class, words that are no text."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from kerasw2v import (
    SkipGram,
    Vocabulary,
    Word2Vec,
    block_dataset,
    grow,
    layers,
    read_corpus,
    read_table,
    to_keyed_vectors,
    warm_start,
    zoo,
)
from kerasw2v.callbacks import Checkpoint
from kerasw2v.cli import main
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.evaluation import evaluate, evaluate_next_items
from kerasw2v.history import History
from kerasw2v.keyed_vectors import load_vectors, save_projector, save_vectors
from kerasw2v.plots import plot_training, save_plot
from kerasw2v.report import write_report
from kerasw2v.utils.files import save_keras_model

SENTENCES = [["a", "b"], ["b", "a", "c"]]
VOCABULARY = Vocabulary(["a", "b"], [2, 1])
HALF = "a\ud800"


def keyed_vectors(words=("a", "b")):
    made = KeyedVectors(4)
    made.add_vectors(list(words), np.random.default_rng(0).random((len(words), 4), np.float32))
    return made


VECTORS = keyed_vectors()

PATHS = {
    "Vocabulary.load": Vocabulary.load,
    "Vocabulary.save": VOCABULARY.save,
    "load_vectors": load_vectors,
    "save_vectors": partial(save_vectors, VECTORS),
    "save_projector": partial(save_projector, VECTORS),
    "save_plot": partial(save_plot, None),
    "write_report": lambda path: write_report(path, VECTORS),
    "save_keras_model": partial(save_keras_model, None),
    "Word2Vec.load": Word2Vec.load,
    "Word2Vec.save": Word2Vec(min_count=1).save,
    "History.load": partial(History.load, epochs=1),
    "Checkpoint": Checkpoint,
    "evaluate": lambda path: evaluate(VECTORS, word_pairs={"mine": path}),
    "zoo.find_recipe": zoo.find_recipe,
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("wrong", [True, 1, None, 2.5, b"x.kv", ["x.kv"], "", "x\0.kv"])
def test_what_is_no_path(name, wrong):
    # 1 and True are the process's standard output, to `open`.
    error = ValueError if isinstance(wrong, str) else TypeError
    with pytest.raises(error, match=r"^`\w+` must be a path"):
        PATHS[name](wrong)


OBJECTS = {
    "block_dataset": (partial(block_dataset, SENTENCES), "vocabulary"),
    "TokenStream": (partial(TokenStream.from_corpus, SENTENCES), "vocabulary"),
    "read_corpus": (read_corpus, "corpus"),
    "Vocabulary": (lambda value: Vocabulary(value, [1]), "words"),
    "Vocabulary, counts": (partial(Vocabulary, ["a"]), "counts"),
    "Vocabulary.from_counts": (Vocabulary.from_counts, "counts"),
    "lookup": (VOCABULARY.lookup, "tokens"),
    "to_keyed_vectors": (lambda value: to_keyed_vectors(value, VOCABULARY), "model"),
    "save_vectors": (lambda value: save_vectors(value, "v.kv"), "vectors"),
    "save_projector": (lambda value: save_projector(value, "folder"), "vectors"),
    "evaluate": (evaluate, "vectors"),
    "evaluate_next_items": (lambda value: evaluate_next_items(value, [["a", "b"]]), "vectors"),
    "grow": (lambda value: grow(value, VOCABULARY, VOCABULARY), "model"),
    "warm_start": (lambda value: warm_start(value, VOCABULARY, VECTORS), "model"),
    "merge": (VOCABULARY.merge, "other"),
    "read_table": (lambda value: read_table(value, "basket", "item"), "table"),
    "plot_training": (plot_training, "vectors"),
    "write_report": (partial(write_report, "report.html"), "vectors"),
    "keep": (lambda value: block_dataset(SENTENCES, VOCABULARY, keep=value or "x"), "keep"),
    "shard": (lambda value: block_dataset(SENTENCES, VOCABULARY, shard=value or "x"), "shard"),
    "SkipGram": (lambda value: SkipGram(value, 4, layers.FullSoftmax(2)), "vocabulary_size"),
    "output layer": (partial(SkipGram, 2, 4), "output_layer"),
}


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("wrong", [None, True, 2.5])
def test_what_is_of_another_kind(name, wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, argument = OBJECTS[name]
    with pytest.raises((TypeError, ValueError), match=rf"^`{argument}` must "):
        make(wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_vocabulary_of_a_model():
    model = SkipGram(2, 4, layers.FullSoftmax(2))
    with pytest.raises(TypeError, match=r"^`vocabulary` must be a kerasw2v\.Vocabulary\. Received"):
        to_keyed_vectors(model, None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Vocabulary(["b", HALF], [2, 1]),
        lambda: Vocabulary.from_counts({"b": 2, HALF: 1}),
        lambda: read_corpus([["b", HALF]], min_count=1),
        lambda: Word2Vec([["b", HALF]] * 2, min_count=1, vector_size=4),
    ],
)
def test_words_are_text(make):
    sentence = r"^`words` must be text that UTF-8 can hold\. Received: 'a\\ud800'\.$"
    with pytest.raises(ValueError, match=sentence):
        make()


class TestVectorsFromElsewhere:
    """gensim takes any word."""

    @pytest.mark.parametrize("name", ["v.vec", "v.txt.gz", "v.bin"])
    def test_text_formats_refuse_half_a_letter(self, tmp_path, name):
        with pytest.raises(ValueError, match=r"^`vectors` must be text .* Received: 'a\\ud800'"):
            save_vectors(keyed_vectors(["b", HALF]), tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_a_pickle_keeps_it(self, tmp_path):
        save_vectors(keyed_vectors(["b", HALF]), tmp_path / "v.kv")
        assert load_vectors(tmp_path / "v.kv").index_to_key == ["b", HALF]

    def test_what_shows_words_shows_it_replaced(self, tmp_path):
        vectors = keyed_vectors(["word", HALF, "other"])
        save_projector(vectors, tmp_path / "projector")
        assert "a\\ud800" in (tmp_path / "projector" / "metadata.tsv").read_text("utf-8")
        write_report(tmp_path / "report.html", vectors, settings={"Files": {"path": "\udcff"}})
        assert (tmp_path / "report.html").read_text("utf-8")
        save_plot(plot_training(vectors), tmp_path / "plot.png")


def test_names_of_files_need_not_be_text(folder, capsys):
    names = ["o\udcff.kv", "state\udcff"]
    options = ["--size", "4", "--epochs", "1", "--checkpoint", names[1]]
    assert main(["train", "corpus.txt", "--output", names[0], *options]) == 0
    assert "kerasw2v similar 'o\\udcff.kv'" in capsys.readouterr().out
    assert all(Path(name).exists() for name in names)
    assert main(["similar", "no\udcff.kv", "cat"]) == 1
    assert "no\\udcff.kv" in capsys.readouterr().err
