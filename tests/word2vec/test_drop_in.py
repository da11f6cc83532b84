"""What programs that were written for gensim do with `Word2Vec`, beyond training on strings."""

import copy
import datetime
import io
import json
import os
import pickle
from fractions import Fraction
from pathlib import Path

import gensim.models
import gensim.models.word2vec as gensim_word2vec
import keras
import numpy as np
import pytest
from gensim.models.callbacks import CallbackAny2Vec
from gensim.test.utils import common_texts
from gensim.utils import save_as_line_sentence

import kerasw2v
from kerasw2v import Word2Vec
from kerasw2v.word2vec import LineSentence

TINY = {"vector_size": 4, "min_count": 1, "seed": 3, "sample": 0}


@pytest.fixture(scope="module")
def trained():
    return Word2Vec(common_texts, **TINY, epochs=1)


# Tokens of any kind

TOKENS = {
    "int": [1, 2, 3, 4],
    "numpy": [np.int64(1), np.str_("two"), np.float32(0.1), np.int64(7)],
    "tuple": [("a", 1), ("a", 2), (("b",), None), ()],
    "mixed": ["1", 1, b"one", frozenset({1, "x"})],
    "other": [None, 2.5, float("inf"), "n\u00e9"],
}
each_kind = pytest.mark.parametrize("tokens", TOKENS.values(), ids=TOKENS)


@each_kind
def test_tokens_that_are_no_strings(tokens, tmp_path):
    sentences = [tokens, tokens[:2], tokens[:1]] * 3
    ours, theirs = (kind(**TINY) for kind in (Word2Vec, gensim.models.Word2Vec))
    for model in (ours, theirs):
        model.build_vocab(sentences)
    assert ours.wv.key_to_index == theirs.wv.key_to_index
    np.testing.assert_array_equal(ours.wv.expandos["count"], theirs.wv.expandos["count"])
    ours.train(sentences, total_examples=9, epochs=1)
    # gensim takes a new number below V for the place of a known word.
    more = [[*tokens, "new", 77], ["new", 77]]
    for model in (ours, theirs):
        model.build_vocab(more, update=True, keep_raw_vocab=True)
    assert ours.wv.key_to_index == theirs.wv.key_to_index
    ours.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    assert loaded.wv.key_to_index == ours.wv.key_to_index
    assert list(map(type, loaded.wv.index_to_key)) == list(map(type, ours.wv.index_to_key))
    assert loaded.raw_vocab == ours.raw_vocab
    np.testing.assert_array_equal(
        loaded.wv.get_vector(tokens[0]), ours.wv.vectors[ours.wv.key_to_index[tokens[0]]]
    )
    assert loaded.predict_output_word([tokens[0]])


def test_numbers_learn_what_strings_do():
    numbers = [[1, 2, 3, 4], [3, 1], [2, 9]] * 5
    models = [
        Word2Vec(sentences, **TINY, epochs=2, sg=1)
        for sentences in (
            numbers,
            [[str(n) for n in s] for s in numbers],
            np.array(numbers, object),
        )
    ]
    assert [str(word) for word in models[0].wv.index_to_key] == models[1].wv.index_to_key
    for model in models[1:]:
        np.testing.assert_array_equal(model.wv.vectors, models[0].wv.vectors)
    np.testing.assert_array_equal(models[0].wv[9], models[1].wv["9"])


@pytest.mark.parametrize("token", [datetime.date(2026, 1, 1), Fraction(1, 3), keras.Model])
def test_a_token_that_no_file_can_hold_is_named(token, tmp_path):
    model = Word2Vec(**TINY)
    model.build_vocab([[token, "a"]])
    with pytest.raises(TypeError, match=r"Words must be strings, .* pickle takes others\. Rec"):
        model.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []
    assert token in pickle.loads(pickle.dumps(model)).wv


# How often a corpus is begun


class Begun:
    """Sentences that note each begin, as an iterable or as an iterator that starts anew."""

    def __init__(self, returns_itself=False):
        self.returns_itself, self.begun = returns_itself, 0

    def __iter__(self):
        self.begun += 1
        self.rest = iter(common_texts)
        return self if self.returns_itself else self.rest

    def __next__(self):
        return next(self.rest)


@pytest.mark.parametrize("returns_itself", [False, True])
def test_a_corpus_is_begun_as_often_as_by_gensim(returns_itself):
    begun = []
    for kind in (Word2Vec, gensim.models.Word2Vec):
        corpus = Begun(returns_itself)
        model = kind(corpus, **TINY, epochs=3)
        counts = [corpus.begun]
        model.build_vocab(corpus)
        counts.append(corpus.begun)
        model.train(corpus, total_examples=9, epochs=2)
        begun.append([*counts, corpus.begun])
    assert begun[0] == begun[1] == [4, 5, 7]
    corpus = Begun(returns_itself)
    cached = Word2Vec(corpus, **TINY, epochs=3, cache_corpus=True)
    assert corpus.begun == 1
    np.testing.assert_array_equal(
        cached.wv.vectors, Word2Vec(common_texts, **TINY, epochs=3).wv.vectors
    )


def test_passes_over_the_same_sentences_train_what_one_reading_does():
    """Batches are the same, so are draws and rates: two ways to the same vectors."""
    rates = [[], []]

    class Rates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(float(self.model.optimizer.learning_rate))

    models = []
    for seen, corpus in zip(rates, (common_texts * 60, tuple(common_texts * 60)), strict=True):
        model = Word2Vec(**TINY, batch_size=32, compute_loss=True)
        model.build_vocab(corpus)
        given = corpus if seen is rates[0] else Again(corpus)
        model.train(given, total_examples=540, epochs=3, callbacks=[Rates()], compute_loss=True)
        models.append(model)
    assert len(rates[0]) > 3  # more than one an epoch
    np.testing.assert_allclose(*rates, rtol=1e-6)
    np.testing.assert_array_equal(models[0].wv.vectors, models[1].wv.vectors)
    assert models[0].epoch_losses == models[1].epoch_losses
    assert models[0].running_training_loss == models[1].running_training_loss
    assert models[0].min_alpha_yet_reached == models[1].min_alpha_yet_reached


class Again:
    def __init__(self, sentences):
        self.sentences = sentences

    def __iter__(self):
        yield from self.sentences


class Walks:
    """Other walks in each pass: in pass i, between the two words of pair i."""

    def __init__(self):
        self.passes = 0

    def __iter__(self):
        first = self.passes * 2
        self.passes += 1
        return iter([[f"w{first}", f"w{first + 1}"]] * 40)


def test_other_sentences_in_each_pass_are_all_trained_on():
    model = Word2Vec(**TINY, sg=1, batch_size=32)
    words = [f"w{i}" for i in range(8)]
    model.build_vocab([words])
    before = model.wv.vectors.copy()
    assert model.train(Walks(), total_examples=40, epochs=3) == (240, 240)
    # The vectors of words that were never read are no centres, and stay as they were.
    moved = (model.wv.vectors != before).any(axis=1)
    assert dict(zip(model.wv.index_to_key, moved.tolist(), strict=True)) == {
        word: place < 6 for place, word in enumerate(words)
    }


def test_callbacks_see_each_pass_before_it_is_read():
    events = []

    class Noted(Begun):
        def __iter__(self):
            events.append("read")
            return super().__iter__()

    class Watch(CallbackAny2Vec):
        def __init__(self, name):
            self.name = name

        def on_epoch_begin(self, model):
            events.append("begin")

        def on_epoch_end(self, model):
            events.append(("end", float(model.syn1neg.sum())))

    stop = keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=1)
    model = Word2Vec(Noted(), **TINY, epochs=9, callbacks=[Watch("a"), stop])
    assert len(model.epoch_losses) == 2
    sums = [event[1] for event in events if event[0] == "end"]
    assert events == ["read", "begin", "read", ("end", sums[0]), "begin", "read", ("end", sums[1])]
    assert sums[0] != sums[1]
    assert sums[1] == float(model.syn1neg.sum())


def test_a_training_by_passes_is_taken_up_by_keras(tmp_path):
    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def passes_with(*callbacks):
        corpus, model = Begun(), Word2Vec(**TINY)
        model.build_vocab(common_texts)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        model.train(corpus, total_examples=9, epochs=4, callbacks=[backup, *callbacks])
        return corpus.begun

    with pytest.raises(KeyboardInterrupt):
        passes_with(Break())
    assert passes_with() == 2


class Exhausted:
    def __init__(self):
        self.rest = iter(common_texts)

    def __iter__(self):
        return self.rest


def test_an_exhausted_corpus_is_named():
    with pytest.raises(TypeError, match="it had sentences in an earlier pass, and has none now"):
        Word2Vec(Exhausted(), **TINY)


def test_an_error_in_a_corpus_is_that_error():
    def broken():
        yield ["a", "b"]
        raise LookupError("the cursor is gone")

    model = Word2Vec(**TINY)
    model.build_vocab([["a", "b"]])
    with pytest.raises(LookupError, match="the cursor is gone"):
        model.train(broken(), total_examples=1, epochs=1)


def test_files_are_read_once(tmp_path, monkeypatch):
    path = tmp_path / "text"
    save_as_line_sentence(common_texts, str(path))
    passes = []
    whole = LineSentence.__iter__
    monkeypatch.setattr(LineSentence, "__iter__", lambda self: passes.append(1) or whole(self))
    Word2Vec(LineSentence(str(path)), **TINY, epochs=3)
    assert len(passes) == 1
    with open(path, "rb") as file:  # an open file is another corpus
        Word2Vec(LineSentence(file), **TINY, epochs=3)
    assert len(passes) == 5


# Numbers


def test_numbers_of_numpy_go_everywhere(tmp_path):
    numbers = {
        "vector_size": 4, "window": 2, "min_count": 1, "max_vocab_size": 0, "seed": 3, "workers": 2,
        "sg": 1, "hs": 0, "negative": 3, "cbow_mean": 1, "epochs": 2, "null_word": 0,
        "sorted_vocab": 1, "batch_words": 100, "max_final_vocab": 50, "batch_size": 32,
    }  # fmt: skip
    rates = {"alpha": 0.05, "sample": 0.5, "min_alpha": 0.01, "ns_exponent": 0.5}
    plain = Word2Vec(common_texts, **numbers, **rates)
    model = Word2Vec(
        common_texts,
        **{name: np.int64(value) for name, value in numbers.items()},
        **{name: np.float64(value) for name, value in rates.items()},
        compute_loss=np.bool_(True),
        shrink_windows=np.bool_(True),
    )
    np.testing.assert_array_equal(model.wv.vectors, plain.wv.vectors)
    model.train(
        common_texts, total_examples=np.int64(9), epochs=np.int32(1), start_alpha=np.float32(0.01)
    )
    model.predict_output_word(["graph"], topn=np.int64(3))
    model.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    for name in {*numbers, *rates} - {"epochs", "alpha"}:
        assert getattr(loaded, name) == {**numbers, **rates}[name]


def test_frequencies_of_numpy(tmp_path):
    model = Word2Vec(**TINY)
    model.build_vocab_from_freq({"a": np.int64(3), "b": 2.0, 5: np.float32(4)}, keep_raw_vocab=True)
    model.save(tmp_path / "model")
    assert Word2Vec.load(tmp_path / "model").raw_vocab == {"a": 3, "b": 2, 5: 4}
    assert model.wv.index_to_key == [5, "a", "b"]


@pytest.mark.parametrize("count", [0.5, 2.5, -1, float("nan"), float("inf"), np.float32(1.5)])
def test_frequencies_that_are_no_counts(count):
    model = Word2Vec(**TINY)
    with pytest.raises(ValueError, match="`word_freq` must hold whole numbers that are not negat"):
        model.build_vocab_from_freq({"a": 3, "b": count})
    with pytest.raises(TypeError, match=r"`word_freq` must hold numbers\. Received: '3'"):
        model.build_vocab_from_freq({"a": "3"})
    assert model.raw_vocab is None


@pytest.mark.parametrize("name", ["vector_size", "window", "negative", "workers"])
def test_halves_are_not_narrowed(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a whole number. Received: {name}=4.5"):
        Word2Vec(**{name: 4.5})
    assert getattr(Word2Vec(**{name: "4"}), name) == getattr(Word2Vec(**{name: 4.0}), name) == 4


@pytest.mark.parametrize("limit", [0, None])
def test_no_limit_of_a_vocabulary(limit):
    models = [kind(max_vocab_size=limit, **TINY) for kind in (Word2Vec, gensim.models.Word2Vec)]
    for model in models:
        model.build_vocab(common_texts)
    assert models[0].wv.key_to_index == models[1].wv.key_to_index
    assert len(models[0].wv) == 12


# Comments and attributes

VALUES = {
    "numbers as keys": {1: "x", (2, "y"): {3}},
    "set": {1, "a", frozenset()},
    "nested": [(1, [2.5, None]), {"a": b"\xff", "b": True}],
    "odd numbers": [float("inf"), -0.0, 2**80, np.float32(0.1), np.uint8(3), np.bool_(True)],
    "array": {"mean": np.arange(6.0).reshape(2, 3)},
    "text": "h\u00e9\n\ud800",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_comments_and_attributes_come_back_as_they_were(value, tmp_path, trained):
    model = copy.deepcopy(trained)
    assert Word2Vec(comment=value).comment is value
    model.comment = model.mine = model.wv.theirs = value
    model.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    for again in (loaded.comment, loaded.mine, loaded.wv.theirs):
        assert type(again) is type(value)
        np.testing.assert_equal(again, value)
        assert str(again) == str(value) or isinstance(value, set)


@pytest.mark.parametrize(
    "value",
    [Path("x"), object(), {"a": Path("x")}, [lambda: 0], keras.Model, np.array([None])],
    ids=["path", "object", "path in a dict", "function", "class", "array of objects"],
)
def test_what_would_not_come_back_is_refused(value, tmp_path, trained):
    with pytest.raises(TypeError, match=r"`comment` must be None, numbers, .* as it is\. Rec"):
        Word2Vec(comment=value)
    model = copy.copy(trained)
    model.mine = value
    with pytest.raises(TypeError, match=r"The attribute `mine` must be .*; ignore=\['mine'\]"):
        model.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []
    model.save(tmp_path / "model", ignore=["mine", "no such attribute"])
    assert Word2Vec.load(tmp_path / "model").mine is None


def test_a_value_that_contains_itself():
    value = []
    value.append(value)
    with pytest.raises(TypeError, match="Received: something that contains itself"):
        Word2Vec(comment=value)


def test_attributes_of_words(tmp_path, trained):
    model = copy.deepcopy(trained)
    model.wv.set_vecattr("graph", "label", "noun")
    model.wv.set_vecattr("graph", "weight", 0.5)
    model.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    assert loaded.wv.get_vecattr("graph", "label") == "noun"
    assert loaded.wv.get_vecattr("graph", "weight") == 0.5


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"attributes": {"_trainer": 1}}, "'_trainer' is no attribute of a user"),
        ({"attributes": {"train": 1}}, "'train' is no attribute of a user"),
        ({"wv_attributes": {"vectors": 1}}, "'vectors' is no attribute of a user"),
        ({"attributes": {"x": {"object": 1}}}, "'object' is no type of a value"),
        ({"attributes": {"x": {"numpy": ["O", 1]}}}, "object is no type of a number"),
        ({"attributes": {"x": {"numpy": ["<f8", [1]]}}}, r"\[1\] is no number"),
        ({"attributes": {"x": {"array": 5}}}, "IndexError"),
        ({"vecattrs": {"label": ["x"]}}, "vecattr label must be a list with a value for each"),
    ],
    ids=str,
)
def test_a_file_cannot_set_anything_else(part, message, tmp_path, trained, monkeypatch):
    plain = json.dumps
    monkeypatch.setattr(
        "kerasw2v.word2vec.state.json.dumps", lambda header: plain({**header, **part})
    )
    trained.save(tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        Word2Vec.load(tmp_path / "model")


# Files and copies


def test_open_files(tmp_path, trained):
    buffer = io.BytesIO()
    trained.save(buffer)
    buffer.seek(0)
    with open(tmp_path / "model", "wb") as file:
        trained.save(file)
    with open(tmp_path / "model", "rb") as file:
        models = [Word2Vec.load(buffer), Word2Vec.load(file)]
    models.append(Word2Vec.load(tmp_path / "model", mmap="r"))
    for model in models:
        np.testing.assert_array_equal(model.wv.vectors, trained.wv.vectors)
    with open(tmp_path / "text", "w") as file, pytest.raises(TypeError, match="open for bytes"):
        trained.save(file)
    with pytest.raises(TypeError, match="`fname_or_handle` must be a path, or a file that is open"):
        trained.save(5)
    with pytest.raises(TypeError, match="`fname` must be a path or an open file"):
        Word2Vec.load(5)
    with pytest.raises(ValueError, match="`mmap` must be None for an open file"):
        Word2Vec.load(buffer, mmap="r")


def test_gensim_and_pickle_say_how_to_load_our_file(tmp_path, trained):
    path = str(tmp_path / "model")
    trained.save(path)
    for load in (
        gensim.models.Word2Vec.load,
        gensim.models.KeyedVectors.load,
        lambda path: pickle.loads(Path(path).read_bytes()),
    ):
        with pytest.raises(AttributeError, match=r"kerasw2v\.Word2Vec\.load\(path\).*to_gensim"):
            load(path)


@pytest.mark.parametrize("layer", [None, "FullSoftmax"])
def test_copies_train_on_as_the_original(layer):
    model = Word2Vec(common_texts, **TINY, epochs=1, output_layer=layer)
    model.mine = {"a": [1]}
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    assert copies[0].mine == copies[1].mine == {"a": [1]}
    assert copies[0].mine is not model.mine
    for each in (model, *copies):
        each.train(common_texts, total_examples=9, epochs=1)
        np.testing.assert_array_equal(each.wv.vectors, model.wv.vectors)
    copies[0].wv.vectors[:] = 0
    assert model.wv.vectors.any()


# Subclasses


class ProteinVectors(Word2Vec):
    """As biovec's ProtVec: attributes before the constructor, and another signature."""

    def __init__(self, corpus, n=3):
        self.n = n
        super().__init__(corpus, **TINY, epochs=1)
        self.names = ["a", "b"]

    def to_vecs(self):
        return self.n * self.wv.vectors


def test_a_subclass_is_saved_and_loaded_as_itself(tmp_path):
    model = ProteinVectors(common_texts, n=5)
    model.save(tmp_path / "model")
    loaded = ProteinVectors.load(tmp_path / "model")
    assert type(loaded) is ProteinVectors
    assert (loaded.n, loaded.names) == (5, ["a", "b"])
    np.testing.assert_array_equal(loaded.to_vecs(), model.to_vecs())
    plain = Word2Vec.load(tmp_path / "model")
    assert type(plain) is Word2Vec
    assert plain.n == 5
    assert type(copy.deepcopy(model)) is ProteinVectors
    assert type(ProteinVectors.from_gensim(model.to_gensim())) is ProteinVectors


def walker(base):
    """A class as fastnode2vec's, on either engine: each job makes the walks that start at it."""

    class Walker(base):
        def __init__(self, graph):
            super().__init__(
                **TINY, sg=1, window=1, negative=2, batch_words=9, workers=1, alpha=0.2
            )
            self.graph, self.jobs = graph, []
            self.build_vocab([[node] for node in graph])

        def train(self, epochs):
            nodes = (node for _ in range(epochs) for node in self.graph)
            return super().train(nodes, total_examples=epochs * len(self.graph), epochs=1)

        def _do_train_job(self, sentences, alpha, inits):
            self.jobs.append((len(sentences), alpha, [work.shape for work in inits]))
            walks = [[node, self.graph[node], node] for node in sentences]
            return super()._do_train_job(walks, alpha, inits)

        def _raw_word_count(self, job):
            return 3 * len(job)

    return Walker


@pytest.mark.parametrize("base", [Word2Vec, gensim.models.Word2Vec], ids=["ours", "gensim"])
def test_a_subclass_that_walks_in_its_jobs(base):
    graph = {0: 1, 1: 0, 2: 3, 3: 2}
    model = walker(base)(graph)
    assert model.train(100) == (1200, 1200)
    sizes, alphas, memory = zip(*model.jobs, strict=True)
    assert sizes == (3,) * 133 + (1,)
    np.testing.assert_allclose(alphas, 0.2 - 0.1999 * np.arange(134) * 3 / 400, rtol=1e-6)
    assert memory == ([(4,), (4,)],) * 134
    nodes = model.wv.index_to_key
    for node, neighbour in graph.items():
        scores = model.syn1neg @ model.wv.get_vector(node)
        assert nodes[scores.argmax()] == neighbour


def test_hooks_around_jobs_are_called():
    class Hooked(Word2Vec):
        def _job_producer(self, data_iterator, job_queue, **options):
            kinds = [dict(options)]
            super()._job_producer(([*s, "extra"] for s in data_iterator), job_queue, **options)
            self.seen = kinds

        def _worker_loop(self, job_queue, progress_queue):
            self.loops = getattr(self, "loops", 0) + 1
            super()._worker_loop(job_queue, progress_queue)

        def _get_thread_working_mem(self):
            return "mine"

        def _do_train_job(self, sentences, alpha, inits):
            assert inits == "mine"
            return super()._do_train_job(sentences, alpha, inits)

    model = Hooked(**TINY, batch_words=10)
    model.build_vocab([*common_texts, ["extra"]])
    words, raw_words = model.train(common_texts, total_examples=9, epochs=2)
    assert (words, raw_words) == (2 * (29 + 9), 2 * (29 + 9))
    assert model.loops == 2
    assert model.seen == [{"cur_epoch": 1, "total_examples": 9, "total_words": None}]
    assert model.syn1neg[model.wv.key_to_index["extra"]].any()


def test_a_job_may_train_by_itself():
    class Own(Word2Vec):
        def _do_train_job(self, sentences, alpha, inits):
            self.wv.vectors += 1
            return 5, 7

    ended = []

    class Watch(CallbackAny2Vec):
        def on_epoch_end(self, model):
            ended.append(model.wv.vectors.max())

    model = Own(**TINY)
    model.build_vocab(common_texts)
    before = model.wv.vectors.copy()
    sums = model.train(common_texts, total_examples=9, epochs=2, callbacks=[Watch()])
    assert sums == (10, 14)
    np.testing.assert_allclose(model.wv.vectors, before + 2, rtol=1e-6)
    assert len(ended) == 2


def test_jobs_that_fail():
    class Failing(Word2Vec):
        def _do_train_job(self, sentences, alpha, inits):
            raise LookupError("no such node")

    class Faster(Word2Vec):
        def _do_train_job(self, sentences, alpha, inits):
            return super()._do_train_job(sentences, 2 * alpha, inits)

    def broken():
        yield ["graph", "trees"]
        raise LookupError("the cursor is gone")

    for kind, corpus, error, message in (
        (Failing, common_texts * 50, LookupError, "no such node"),
        (Faster, common_texts, ValueError, "`alpha` must be the learning rate that the job was"),
        (walker(Word2Vec), broken(), LookupError, "the cursor is gone"),
    ):
        model = kind({}) if kind not in (Failing, Faster) else kind(**TINY, batch_words=5)
        model.build_vocab(common_texts)
        with pytest.raises(error, match=message):
            Word2Vec.train(model, corpus, total_examples=9, epochs=1)


def test_epochs_that_a_subclass_trains(tmp_path):
    class Epochs(Word2Vec):
        def _train_epoch(self, data_iterable, **options):
            self.begun = [*getattr(self, "begun", []), options["cur_epoch"]]
            return super()._train_epoch(data_iterable[:4], **options)

        def _train_epoch_corpusfile(self, corpus_file, **options):
            self.files = [*getattr(self, "files", []), options["cur_epoch"]]
            return super()._train_epoch_corpusfile(corpus_file, **options)

        def _log_train_end(self, *counts):
            self.ended = counts[:2]

    model = Epochs(common_texts, **TINY, epochs=3)
    assert model.begun == [0, 1, 2]
    words = 3 * sum(map(len, common_texts[:4]))
    assert model.ended == (words, words)
    path = tmp_path / "text"
    save_as_line_sentence(common_texts, str(path))
    model = Epochs(corpus_file=str(path), **TINY, epochs=2)
    assert model.files == [0, 1]
    np.testing.assert_array_equal(
        model.wv.vectors, Word2Vec(corpus_file=str(path), **TINY, epochs=2).wv.vectors
    )
    with pytest.raises(RuntimeError, match="An epoch must be trained by `train`"):
        Word2Vec(common_texts, **TINY, epochs=1)._train_epoch(common_texts)


@pytest.mark.parametrize("as_file", [False, True])
def test_a_subclass_that_counts(as_file, tmp_path):
    class Lower(Word2Vec):
        def _scan_vocab(self, sentences, progress_per, trim_rule):
            lower = [[word.lower() for word in sentence] for sentence in sentences]
            return super()._scan_vocab(lower, progress_per, trim_rule)

    text = [["Graph", "TREES"], ["graph"]]
    save_as_line_sentence(text, str(tmp_path / "text"))
    model = Lower(**TINY)
    corpus = {"corpus_file": str(tmp_path / "text")} if as_file else {"corpus_iterable": text}
    model.build_vocab(**corpus)
    assert model.wv.index_to_key == ["graph", "trees"]
    assert (model.corpus_total_words, model.corpus_count) == (3, 2)


def test_hooks_that_are_never_called_are_refused(tmp_path, trained):
    (tmp_path / "text").write_text("graph trees\n" * 5)
    in_file = {"corpus_file": str(tmp_path / "text")}
    for name, corpus in (
        ("_get_next_alpha", {"sentences": common_texts}),
        ("_log_progress", {"sentences": common_texts}),
        ("_do_train_epoch", in_file),
        ("_worker_loop_corpusfile", in_file),
    ):
        kind = type("Mine", (Word2Vec,), {name: lambda self, *arguments: None, "__module__": "m"})
        with pytest.raises(TypeError, match=f"`{name}` must not be overridden, .* class Mine"):
            kind(**corpus, **TINY)
    kind = type("Mine", (Word2Vec,), {"_save_specials": print, "_load_specials": print})
    with pytest.raises(TypeError, match="`_load_specials` must not be overridden"):
        kind(**TINY).save(tmp_path / "model")
    trained.save(tmp_path / "model")
    with pytest.raises(TypeError, match="`_load_specials` must not be overridden"):
        kind.load(tmp_path / "model")


def test_gensims_hooks_are_ours_or_refused():
    """Whoever overrides a private method of gensim's class learns what becomes of it."""
    known = {*kerasw2v.word2vec.model.hooks.refused_names()}
    for name in dir(gensim.models.Word2Vec):
        if not name.startswith("__"):
            assert hasattr(Word2Vec, name) or name in known, name


def test_a_subclass_without_hooks_trains_as_the_class():
    class Plain(Word2Vec):
        def train(self, *arguments, **options):
            return super().train(*arguments, **options)

    np.testing.assert_array_equal(
        Plain(common_texts, **TINY, epochs=1).wv.vectors,
        Word2Vec(common_texts, **TINY, epochs=1).wv.vectors,
    )


# The module


def test_every_public_name_of_gensims_module_is_here_or_names_its_replacement():
    ours = kerasw2v.word2vec
    missing = set()
    for name in dir(gensim_word2vec):
        if name.startswith("_"):
            continue
        try:
            found = getattr(ours, name)
        except AttributeError as error:
            assert f"`{name}` must be replaced by `" in str(error)  # noqa: PT017
            missing.add(name)
        else:
            assert (
                found is Word2Vec if name == "Word2Vec" else found is getattr(gensim_word2vec, name)
            )
    engine = {f"{verb}_{unit}_{kind}" for verb, unit in (("train", "batch"), ("train", "epoch"),
              ("score", "sentence")) for kind in ("sg", "cbow")}  # fmt: skip
    assert missing == {*engine, "Heapitem", "Vocab", "Word2VecTrainables", "Word2VecVocab"}
    with pytest.raises(
        AttributeError, match=r"`train_sg_pair` must be replaced by `Word2Vec\.train`"
    ):
        ours.train_sg_pair  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'train_wg'"):
        ours.train_wg  # noqa: B018


def test_names_that_scripts_import():
    from kerasw2v import KeyedVectors
    from kerasw2v.word2vec import FAST_VERSION, MAX_WORDS_IN_BATCH, Text8Corpus

    assert KeyedVectors is gensim.models.KeyedVectors
    assert (FAST_VERSION, MAX_WORDS_IN_BATCH) == (gensim_word2vec.FAST_VERSION, 10_000)
    assert Text8Corpus is gensim_word2vec.Text8Corpus


def test_events_are_noted_as_by_gensim(tmp_path):
    model = Word2Vec(common_texts, **TINY, epochs=1)
    model.add_lifecycle_event("mine", note="x")
    model.save(tmp_path / "model")
    events = [event["event"] for event in Word2Vec.load(tmp_path / "model").lifecycle_events]
    assert events == ["build_vocab", "train", "train", "created", "mine", "loaded"]
