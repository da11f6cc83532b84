"""`Word2Vec`: gensim's figures side by side, what gensim cannot do, files, and bad input."""

import copy
import hashlib
import logging
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import gensim.models
import keras
import numpy as np
import pytest
from gensim import utils
from gensim.models.callbacks import CallbackAny2Vec
from gensim.models.word2vec import LineSentence
from gensim.test.utils import common_texts, lee_corpus_list

from kerasw2v import CBOW, SkipGram, Word2Vec
from kerasw2v.data.counted_corpus import CountedCorpus
from kerasw2v.layers import FullSoftmax
from kerasw2v.layers.sum_of_losses import SumOfLosses
from kerasw2v.word2vec.trainer import LinearAlpha, Schedule
from kerasw2v.word2vec.words import words_by_frequency

ROOT = Path(__file__).parents[2]
LEE = lee_corpus_list[:60]
SMALL = {"vector_size": 8, "min_count": 1, "seed": 3}
MODES = {
    "sg-neg": {"sg": 1},
    "cbow-neg": {},
    "sg-hs": {"sg": 1, "hs": 1, "negative": 0},
    "cbow-hs": {"hs": 1, "negative": 0},
    "both": {"sg": 1, "hs": 1},
    "sum": {"cbow_mean": 0},
}
each_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def arrays(model):
    tables = {name: getattr(model, name) for name in ("syn1", "syn1neg") if hasattr(model, name)}
    return {"vectors": model.wv.vectors, **tables}


def assert_same(first, second):
    assert arrays(first).keys() == arrays(second).keys()
    for name, array in arrays(first).items():
        np.testing.assert_array_equal(array, arrays(second)[name], err_msg=name)


def assert_same_vocabulary(ours, theirs):
    assert ours.wv.index_to_key == theirs.wv.index_to_key
    assert ours.wv.key_to_index == theirs.wv.key_to_index
    for name in ("count", "sample_int"):
        np.testing.assert_array_equal(ours.wv.expandos[name], theirs.wv.expandos[name])
    if theirs.negative:
        np.testing.assert_array_equal(ours.cum_table, theirs.cum_table)
    for name in ("corpus_count", "corpus_total_words", "effective_min_count", "min_count"):
        assert getattr(ours, name) == getattr(theirs, name)


# Vocabulary, side by side with gensim


def rule(word, count, min_count):
    if word in ("the", "sydney"):
        return utils.RULE_DISCARD
    return utils.RULE_KEEP if word.startswith("qua") else utils.RULE_DEFAULT


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"min_count": 1},
        {"min_count": 0, "sample": 0},
        {"sample": 1e-5},
        {"sample": 30},
        {"max_final_vocab": 100},
        {"max_final_vocab": 10_000, "min_count": 2},
        {"max_vocab_size": 300},
        {"max_vocab_size": 300, "trim_rule": rule},
        {"trim_rule": rule},
        {"sorted_vocab": 0},
        {"null_word": 1},
        {"ns_exponent": -0.5},
        {"ns_exponent": 0},
    ],
    ids=", ".join,
)
def test_vocabulary_and_figures_are_those_of_gensim(arguments):
    arguments = dict(arguments)
    trim_rule = arguments.pop("trim_rule", None)
    models = [kind(**arguments) for kind in (Word2Vec, gensim.models.Word2Vec)]
    for model in models:
        model.scan_vocab(LEE, trim_rule=trim_rule)
    counts = [dict(model.raw_vocab) for model in models]
    assert counts[0] == counts[1]
    dry, reports = [], []
    for model in models:
        dry.append(model.prepare_vocab(dry_run=True, keep_raw_vocab=True, trim_rule=trim_rule))
        model.build_vocab(LEE, trim_rule=trim_rule, keep_raw_vocab=True)
        reports.append(model.prepare_vocab(keep_raw_vocab=True, trim_rule=trim_rule))
    assert dry[0] == dry[1]
    assert reports[0] == reports[1]
    if not arguments.get("null_word"):  # gensim adds another null word each time
        assert_same_vocabulary(*models)
    assert models[0].estimate_memory() == models[1].estimate_memory()
    assert models[0].estimate_memory(1000, {"other": 7}) == models[1].estimate_memory(
        1000, {"other": 7}
    )


@pytest.mark.parametrize("null_word", [0, 1])
def test_initial_vectors_are_those_of_gensim(null_word):
    models = [
        kind(vector_size=8, min_count=2, seed=5, hs=1, null_word=null_word)
        for kind in (Word2Vec, gensim.models.Word2Vec)
    ]
    for model in models:
        model.build_vocab(LEE)
    assert models[0].wv.index_to_key == models[1].wv.index_to_key
    np.testing.assert_array_equal(models[0].wv.vectors, models[1].wv.vectors)
    for name in ("syn1", "syn1neg"):
        np.testing.assert_array_equal(getattr(models[0], name), getattr(models[1], name))
    assert str(models[0]) == str(models[1])


def test_growing_is_that_of_gensim():
    models = [kind(**SMALL) for kind in (Word2Vec, gensim.models.Word2Vec)]
    more = [["zebra", "computer", "zebra", "trees"], ["zebra", "yak", "yak"]]
    for model in models:
        model.build_vocab(common_texts)
        model.build_vocab(more, update=True)
    assert_same_vocabulary(*models)
    assert_same(*models)
    assert models[0].wv.index_to_key[-2:] == ["zebra", "yak"]  # more frequent words come last
    assert len(models[0].syn1neg) == 14


def test_a_vocabulary_from_frequencies():
    models = [kind(min_count=2, hs=1, negative=0) for kind in (Word2Vec, gensim.models.Word2Vec)]
    for model in models:
        model.build_vocab_from_freq({"a": 4, "b": 1, "c": 9}, corpus_count=5)
        model.build_vocab_from_freq({"a": 1, "d": 2}, update=True)
    assert models[0].wv.index_to_key == models[1].wv.index_to_key == ["c", "a", "d"]
    assert models[0].wv.expandos["count"].tolist() == models[1].wv.expandos["count"].tolist()
    for model in models:  # a Huffman code: of two words with the least counts, the longest
        assert [len(code) for code in model.wv.expandos["code"]] == [1, 2, 2]


def test_huffman_codes_are_as_short_as_gensims():
    models = [kind(hs=1, negative=0) for kind in (Word2Vec, gensim.models.Word2Vec)]
    lengths = []
    for model in models:
        model.build_vocab(LEE)
        codes, points = (model.wv.expandos[name] for name in ("code", "point"))
        assert {str(code.dtype) for code in codes} == {"uint8"}
        assert {str(point.dtype) for point in points} == {"uint32"}
        lengths.append(np.array([len(code) for code in codes]) @ model.wv.expandos["count"])
    assert lengths[0] == lengths[1]  # trees may differ where counts are equal, costs may not


@pytest.mark.parametrize("corpus", ["list", "tuple of tuples", "LineSentence", "generator", "file"])
def test_all_kinds_of_corpora_count_the_same(corpus, tmp_path):
    path = tmp_path / "corpus.txt"
    utils.save_as_line_sentence(common_texts, str(path))
    model = Word2Vec(min_count=1)
    if corpus == "file":
        model.build_vocab(corpus_file=str(path))
    else:
        given = {
            "list": common_texts,
            "tuple of tuples": tuple(map(tuple, common_texts)),
            "LineSentence": LineSentence(str(path)),
            "generator": (sentence for sentence in common_texts),
        }[corpus]
        model.build_vocab(given)
    assert (model.corpus_count, model.corpus_total_words) == (9, 29)
    counts = Counter(word for sentence in common_texts for word in sentence)
    assert dict(zip(model.wv.index_to_key, model.wv.expandos["count"], strict=True)) == counts


def test_keeping_the_raw_vocabulary():
    model = Word2Vec()
    model.build_vocab(common_texts, keep_raw_vocab=True)
    assert model.raw_vocab["graph"] == 3
    model.build_vocab(common_texts)
    assert not model.raw_vocab


def test_reset_from_another_model():
    other = Word2Vec(common_texts, **SMALL)
    model = Word2Vec(vector_size=4, min_count=1)
    model.reset_from(other)
    assert model.wv.key_to_index == other.wv.key_to_index
    assert model.wv.vectors.shape == (12, 4)
    assert not model.syn1neg.any()
    model.train(common_texts, total_examples=9, epochs=1)
    assert model.syn1neg.any()


# Training


@each_mode
def test_training_at_once_is_building_and_training(mode):
    at_once = Word2Vec(common_texts, **SMALL, **mode)
    model = Word2Vec(**SMALL, **mode)
    model.build_vocab(common_texts)
    before = copy.deepcopy(arrays(model))
    held = model.wv.vectors
    model.train(common_texts, total_examples=model.corpus_count, epochs=5)
    assert_same(model, at_once)
    assert held is model.wv.vectors  # who holds the array sees it trained
    for name, array in arrays(model).items():
        assert not np.allclose(array, before[name]), name
        assert np.isfinite(array).all()


def test_a_compiled_training_learns_what_a_short_one_does_op_by_op(monkeypatch):
    results = []
    for tokens in (0, 10**6):
        monkeypatch.setattr("kerasw2v.word2vec.trainer._SHORT_TRAINING", tokens)
        results.append(Word2Vec(common_texts * 10, **SMALL, epochs=3))
    for name, array in arrays(results[0]).items():
        np.testing.assert_allclose(array, arrays(results[1])[name], atol=1e-5)


HASH_CODE = """
import hashlib, sys
from gensim.test.utils import lee_corpus_list
from kerasw2v import Word2Vec
model = Word2Vec(lee_corpus_list[:60], vector_size=16, seed=7, workers=int(sys.argv[1]), epochs=2)
print(hashlib.sha256(model.wv.vectors.tobytes() + model.syn1neg.tobytes()).hexdigest())
"""


def test_the_seed_alone_decides():
    digests = set()
    for workers, hash_seed in ((1, "0"), (8, "123")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", HASH_CODE, str(workers)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
        assert run.returncode == 0, run.stderr
        assert run.stderr == ""  # TensorFlow starts in silence
        digests.add(run.stdout.strip())
    assert len(digests) == 1
    other = Word2Vec(LEE, vector_size=16, seed=8, epochs=2)
    digest = hashlib.sha256(other.wv.vectors.tobytes() + other.syn1neg.tobytes()).hexdigest()
    assert digest not in digests


@pytest.mark.parametrize("seed", [0, np.int64(3), np.uint32(2**32 - 1)])
def test_a_seed_of_numpy_is_the_same_seed(seed, tmp_path):
    arguments = {**SMALL, "epochs": 1, "hs": 1}
    model = Word2Vec(common_texts, **{**arguments, "seed": seed})
    assert_same(model, Word2Vec(common_texts, **{**arguments, "seed": int(seed)}))
    model.save(tmp_path / "model")
    assert Word2Vec.load(tmp_path / "model").seed == seed
    theirs = gensim.models.Word2Vec(common_texts, **{**arguments, "seed": seed})
    assert Word2Vec.from_gensim(theirs).seed == seed


def test_lists_are_read_once_by_the_constructor(monkeypatch):
    apart = Word2Vec(vector_size=4, min_count=1)
    apart.build_vocab(LEE)
    apart.train(LEE, total_examples=apart.corpus_count, epochs=apart.epochs)
    monkeypatch.setattr("kerasw2v.word2vec.sentences.spool_tokens", None)  # reads a second time
    assert_same(Word2Vec(LEE, vector_size=4, min_count=1), apart)


def test_a_file_is_read_again_only_if_it_has_changed(tmp_path, monkeypatch):
    path = tmp_path / "text"
    utils.save_as_line_sentence(LEE, str(path))
    model, apart = (Word2Vec(vector_size=4, min_count=1) for _ in range(2))
    model.build_vocab(corpus_file=str(path))
    apart.build_vocab(LEE)
    apart.train(LEE, total_examples=len(LEE), epochs=2)
    totals = {"total_examples": len(LEE), "total_words": sum(map(len, LEE)), "epochs": 2}
    with monkeypatch.context() as context:
        context.setattr("kerasw2v.data.token_stream.iter_batches", None)  # reads the text
        model.train(corpus_file=str(path), **totals)
    assert_same(model, apart)
    utils.save_as_line_sentence(LEE[:2], str(path))
    _, raw_words = model.train(corpus_file=str(path), **totals)
    assert raw_words == 2 * sum(map(len, LEE[:2]))


@pytest.mark.parametrize("limit", [0, 2**20])  # in a file, in memory
def test_a_corpus_is_released_when_it_is_trained_on(limit, tmp_path, monkeypatch):
    released = []
    monkeypatch.setattr(CountedCorpus.__init__, "__defaults__", (None, limit))
    monkeypatch.setattr(CountedCorpus, "__del__", lambda _: released.append(1), raising=False)
    path = tmp_path / "text"
    utils.save_as_line_sentence(LEE, str(path))
    model = Word2Vec(corpus_file=str(path), vector_size=4, min_count=1, epochs=1)
    assert len(released) == 1
    totals = {"total_examples": len(LEE), "total_words": sum(map(len, LEE)), "epochs": 1}
    assert model.train(corpus_file=str(path), **totals)[1] == totals["total_words"]
    apart = Word2Vec(vector_size=4, min_count=1, epochs=1)
    apart.build_vocab(corpus_file=str(path))
    assert len(released) == 1
    apart.train(corpus_file=str(path), **totals)
    assert len(released) == 2


def test_sentences_are_not_cut():
    long = ["a", "b"] * 6000 + ["c", "d"] * 1000
    model = Word2Vec([long], **SMALL, sample=0, epochs=1)
    theirs = gensim.models.Word2Vec([long], **SMALL, sample=0, epochs=1, workers=1)
    assert model.syn1neg[[model.wv.key_to_index[word] for word in "cd"]].all()
    # gensim trains 10,000 words, and the input vectors of the others stay as they were drawn.
    for word in "cd":
        assert np.linalg.norm(theirs.wv[word]) < 1 / np.sqrt(SMALL["vector_size"])
        assert np.linalg.norm(model.wv[word]) > 1
    assert model.train([long], total_examples=1, epochs=2) == (28_000, 28_000)


def test_word_counts_and_downsampling():
    model = Word2Vec(min_count=2, sample=1e-2, vector_size=4)
    model.build_vocab(LEE)
    report_words = int((model.wv.expandos["sample_int"] / 2**32) @ model.wv.expandos["count"])
    words, raw_words = model.train(LEE, total_examples=60, epochs=3)
    assert raw_words == 3 * sum(map(len, LEE))
    assert words == pytest.approx(3 * report_words, rel=1e-4)


def test_training_goes_on_from_vectors_that_the_user_set():
    model = Word2Vec(common_texts, **SMALL)
    given = np.random.default_rng(0).normal(size=model.wv.vectors.shape).astype(np.float32)
    model.wv.vectors = given.copy()
    model.syn1neg = np.zeros_like(model.syn1neg)
    model.train(common_texts, total_examples=9, epochs=1, start_alpha=1e-4, end_alpha=1e-4)
    np.testing.assert_allclose(model.wv.vectors, given, atol=0.01)
    assert np.abs(model.syn1neg).max() < 0.1


@pytest.mark.parametrize("mode", [{"sg": 1}, {"sg": 1, "hs": 1, "negative": 0}], ids=["neg", "hs"])
def test_words_out_of_order_are_trained_as_themselves(mode):
    """An appended word becomes the most frequent one; rows must not be mixed up."""
    pairs = [["cat", "dog"], ["red", "blue"]] * 30
    model = Word2Vec(pairs, **SMALL, **mode, sample=0, epochs=1)
    more = [["sun", "moon", "sun", "moon"]] * 200 + pairs
    model.build_vocab(more, update=True)
    assert model.wv.expandos["count"].argmax() >= 4
    model.train(more, total_examples=len(more), epochs=40, start_alpha=0.05, end_alpha=0.05)
    for first, second in (("sun", "moon"), ("cat", "dog"), ("red", "blue")):
        partner = "moon" if first != "sun" else "dog"
        score = (
            model.wv[first] @ (model.syn1neg[model.wv.key_to_index[second]])
            if (model.negative)
            else model.score([[first, second]])[0]
        )
        other = (
            model.wv[first] @ (model.syn1neg[model.wv.key_to_index[partner]])
            if (model.negative)
            else model.score([[first, partner]])[0]
        )
        assert score > other + 1


def test_one_cbow_step_with_sums_is_gensims(monkeypatch):
    """One sentence of three words; noise is switched off by drawing the target alone."""
    sentence = ["a", "b", "c"]
    theirs = gensim.models.Word2Vec(
        vector_size=6, min_count=1, hs=1, negative=0, cbow_mean=0, window=2, sample=0,
        shrink_windows=False, workers=1, alpha=0.5, min_alpha=0.5,
    )  # fmt: skip
    theirs.build_vocab([sentence])
    rng = np.random.default_rng(1)
    theirs.wv.vectors = rng.normal(0, 0.5, (3, 6)).astype(np.float32)
    theirs.syn1 = rng.normal(0, 0.5, (3, 6)).astype(np.float32)
    theirs.syn1[2] = 0
    alpha, rate = theirs.alpha, 1e-3
    assert alpha == 0.5
    ours = Word2Vec.from_gensim(theirs)
    starts = arrays(ours)["vectors"].copy(), ours.syn1.copy()
    steps = {}
    for name, model in (("ours", ours), ("theirs", theirs)):
        model.train([sentence], total_examples=1, epochs=1, start_alpha=rate, end_alpha=rate)
        steps[name] = (model.wv.vectors - starts[0], model.syn1 - starts[1])
    # gensim updates after each word and reads sigmoids from a table; at a tiny rate both vanish.
    for mine, its in zip(steps["ours"], steps["theirs"], strict=True):
        assert np.abs(its).max() > 1e-4
        np.testing.assert_allclose(mine, its, atol=0.03 * np.abs(its).max())


def test_the_learning_rate_falls_as_gensims():
    seen = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(float(self.model.optimizer.learning_rate))

    model = Word2Vec(**SMALL, alpha=0.05, min_alpha=0.01, batch_words=1, batch_size=256)
    model.build_vocab(common_texts)
    model.train(common_texts, total_examples=9, epochs=4, callbacks=[Rates()])
    np.testing.assert_allclose(seen, [0.04, 0.03, 0.02, 0.01], rtol=1e-5)
    assert model.min_alpha_yet_reached == pytest.approx(0.01)
    del seen[:]
    model.train(common_texts, total_examples=9, epochs=2, start_alpha=0.01, callbacks=[Rates()])
    np.testing.assert_allclose(seen, [0.01, 0.01], rtol=1e-5)
    assert model.alpha == 0.01
    assert model.epochs == 2


def test_totals_say_how_far_the_learning_rate_falls():
    seen = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(float(self.model.optimizer.learning_rate))

    model = Word2Vec(**SMALL, alpha=0.05, min_alpha=0.01, sample=0, batch_size=32, batch_words=1)
    model.build_vocab(common_texts * 4)
    for total in (36, 72):
        model.train(common_texts * 4, total_examples=total, epochs=1, callbacks=[Rates()])
    half = len(seen) // 2
    places = np.arange(half) / half
    word = 0.04 / sum(map(len, common_texts * 4))  # the rate falls by so much with each
    np.testing.assert_allclose(seen[:half], 0.05 - 0.04 * places, atol=word)
    np.testing.assert_allclose(seen[half:], 0.05 - 0.04 * places / 2, atol=word)


@pytest.mark.parametrize("batch_words", [10_000, 40, 12])
def test_the_learning_rate_falls_where_gensims_does(batch_words, monkeypatch):
    """gensim sets the rate of each batch of whole sentences by the sentences before it."""
    corpus = [["graph", "trees", "user", "time"]] * 24
    arguments = {"alpha": 0.05, "min_alpha": 0.01, "sample": 0, "batch_words": batch_words}
    theirs = gensim.models.Word2Vec(**SMALL, **arguments, workers=1)
    theirs.build_vocab(corpus)
    expected = []

    def train_job(sentences, alpha, inits):
        expected.extend([alpha] * len(sentences))
        return 4 * len(sentences), 4 * len(sentences)

    monkeypatch.setattr(theirs, "_do_train_job", train_job)
    theirs.train(corpus, total_examples=24, epochs=2)
    alpha = LinearAlpha()
    alpha.set(Schedule(0.05, 0.01, 2, 1.0, batch_words), 96, steps_per_epoch=24, first_step=7)
    rates = [float(alpha(step)) for step in range(7, 7 + 48)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_a_corpus_of_another_size_is_reported(caplog):
    model = Word2Vec(**SMALL)
    model.build_vocab(common_texts)
    model.train(common_texts, total_examples=10, total_words=30, epochs=1)
    assert "The corpus has 9 sentences, not 10 as given." in caplog.text
    assert "The corpus has 29 words, not 30 as given." in caplog.text


def test_an_empty_corpus_is_reported(caplog):
    model = Word2Vec(common_texts, **SMALL)
    before = model.wv.vectors.copy()
    assert model.train([], total_examples=0, epochs=2) == (0, 0)
    assert "The corpus is empty" in caplog.text
    np.testing.assert_array_equal(model.wv.vectors, before)


# The loss


def test_the_loss_is_summed_over_all_epochs():
    model = Word2Vec(common_texts, **SMALL, sg=1, sample=0, shrink_windows=False, epochs=2)
    assert model.get_latest_training_loss() == 0
    pairs = sum(len(s) * (len(s) - 1) for s in common_texts)  # windows hold whole sentences
    model.train(common_texts, total_examples=9, epochs=3, compute_loss=True)
    assert len(model.epoch_losses) == 3
    loss = model.get_latest_training_loss()
    assert isinstance(loss, float)
    assert loss == pytest.approx(pairs * sum(model.epoch_losses), rel=1e-6)
    model.train(common_texts, total_examples=9, epochs=1, compute_loss=True)
    assert model.get_latest_training_loss() < loss  # of the last training


def test_the_loss_is_right_beyond_what_float32_counts(monkeypatch):
    seen = []

    class Watch(CallbackAny2Vec):
        def on_epoch_end(self, model):
            seen.append(model.get_latest_training_loss())

    monkeypatch.setattr("kerasw2v.block_model.PairMean.sums", lambda self: (2.0**27 + 1, 2.0**25))
    Word2Vec(common_texts, **SMALL, epochs=3, compute_loss=True, callbacks=[Watch()])
    assert seen == [2.0**27 + 1, 2.0**28 + 2, 3 * 2.0**27 + 3]  # float32 has no odd numbers there


# Callbacks


def test_callbacks_of_gensim_and_of_keras_together(tmp_path):
    events = []

    class Gensim(CallbackAny2Vec):
        def on_train_begin(self, model):
            events.append(("train begin", model.syn1neg.sum()))

        def on_epoch_begin(self, model):
            events.append(("epoch begin", model.syn1neg.sum()))

        def on_epoch_end(self, model):
            events.append(("epoch end", model.syn1neg.sum()))

        def on_train_end(self, model):
            events.append(("train end", model.syn1neg.sum()))

    logged = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    saved = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    callbacks = [Gensim(), logged, saved]
    model = Word2Vec(common_texts, **SMALL, epochs=2, sample=0, callbacks=callbacks)
    names, sums = zip(*events, strict=True)
    epoch = ("epoch begin", "epoch end")
    assert names == ("train begin", *epoch, *epoch, "train end")
    assert sums[0] == sums[1]
    assert len({*sums}) == 3  # before, after one epoch, after two: the arrays are up to date
    assert sums[2] == sums[3]
    assert sums[-1] == model.syn1neg.sum()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    loaded = keras.saving.load_model(tmp_path / "2.keras")
    np.testing.assert_array_equal(loaded.embedding.embeddings.numpy(), model.wv.vectors)


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    board = keras.callbacks.TensorBoard(str(tmp_path))
    Word2Vec(common_texts, **SMALL, epochs=2, callbacks=[board])
    assert list(tmp_path.rglob("*tfevents*"))


def test_early_stopping():
    stop = keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=2)
    model = Word2Vec(common_texts, **SMALL, epochs=50, callbacks=[stop])
    assert len(model.epoch_losses) == 3


def test_a_callback_that_interrupts_leaves_what_was_learnt():
    class Stop(CallbackAny2Vec):
        def on_epoch_end(self, model):
            raise KeyboardInterrupt

    model = Word2Vec(**SMALL)
    model.build_vocab(common_texts)
    with pytest.raises(KeyboardInterrupt):
        model.train(common_texts, total_examples=9, epochs=5, callbacks=[Stop()])
    assert model.syn1neg.any()
    assert len(model.epoch_losses) == 1


def test_training_taken_up_by_keras(tmp_path):
    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def model_with(*callbacks):
        model = Word2Vec(**SMALL)
        model.build_vocab(common_texts)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        model.train(common_texts, total_examples=9, epochs=4, callbacks=[backup, *callbacks])
        return model

    with pytest.raises(KeyboardInterrupt):
        model_with(Break())
    assert len(model_with().epoch_losses) == 2


def test_the_progress_bar(capsys):
    Word2Vec(common_texts, **SMALL, epochs=2, progress_bar=True)
    shown = capsys.readouterr().err
    assert shown.count("words/s, loss ") == 2


# What gensim cannot do


@pytest.mark.parametrize("name", ["FullSoftmax", "NegativeSampling"])
def test_an_output_layer_by_name(name):
    model = Word2Vec(common_texts, **SMALL, output_layer=name, epochs=3)
    again = Word2Vec(common_texts, **SMALL, output_layer=name, epochs=3)
    assert_same(model, again)
    assert type(model.keras_model.output_layer).__name__ == name
    assert not hasattr(model, "syn1neg")
    assert model.negative == 0
    (word, share), *_ = model.predict_output_word(["graph", "trees"], topn=12)
    assert word in model.wv
    assert 1 / 12 <= share < 1


def test_an_output_layer_as_an_instance_learns_on():
    counts = sorted(Counter(w for s in common_texts for w in s).values(), reverse=True)
    layer = FullSoftmax(counts)
    model = Word2Vec(common_texts, **SMALL, output_layer=layer, epochs=3)
    assert model.keras_model.output_layer is layer
    learnt = layer.embeddings.numpy()
    model.window = 2  # another Keras model, the same layer
    model.train(common_texts, total_examples=9, epochs=1, start_alpha=1e-6, end_alpha=1e-6)
    assert model.keras_model.output_layer is layer
    assert learnt.any()
    np.testing.assert_allclose(layer.embeddings.numpy(), learnt, atol=1e-4)


def test_predictions_of_an_output_layer_find_the_word_between():
    corpus = [["left", "middle", "right"]] * 60 + [["a", "b", "c"]] * 40
    model = Word2Vec(
        corpus, **SMALL, output_layer="FullSoftmax", sample=0, window=1, epochs=40, alpha=0.1
    )
    assert model.predict_output_word(["left", "right"], topn=1)[0][0] == "middle"
    assert model.predict_output_word(["a", "c"], topn=1)[0][0] == "b"


@pytest.mark.parametrize("mode", [{}, {"sg": 1, "output_layer": "FullSoftmax"}], ids=str)
def test_a_strategy(mode, strategy):
    arguments = {**SMALL, **mode, "sample": 0, "epochs": 2, "shrink_windows": False}
    model = Word2Vec(common_texts, strategy=strategy, **arguments, compute_loss=True)
    alone = Word2Vec(common_texts, **arguments, compute_loss=True)
    assert model.epoch_losses == pytest.approx(alone.epoch_losses, rel=0.3)
    assert model.get_latest_training_loss() > 0
    if model.sg:  # nothing is drawn: two devices do what one does
        assert model.epoch_losses == pytest.approx(alone.epoch_losses, rel=1e-4)
        np.testing.assert_allclose(model.wv.vectors, alone.wv.vectors, atol=1e-5)


def test_the_keras_model_behind():
    model = Word2Vec(common_texts, **SMALL, sg=1, hs=1)
    assert isinstance(model.keras_model, SkipGram)
    assert isinstance(model.keras_model.output_layer, SumOfLosses)
    np.testing.assert_array_equal(model.keras_model.predict(np.arange(12), verbose=0),
                                  model.wv.vectors)  # fmt: skip
    assert isinstance(Word2Vec(common_texts, **SMALL).keras_model, CBOW)


@pytest.mark.parametrize("mode", [{"sg": 1}, {}, {"sg": 1, "hs": 1, "negative": 0}], ids=str)
def test_a_window_of_a_whole_basket_costs_what_the_basket_does(mode):
    arguments = {**SMALL, **mode, "shrink_windows": False, "sample": 0, "epochs": 2}
    wide = Word2Vec(common_texts, **arguments, window=100_000)
    narrow = Word2Vec(common_texts, **arguments, window=16)  # no text has more words
    assert_same(wide, narrow)
    assert wide.window == 100_000
    longer = [[f"{i}" for i in range(40)]]
    wide.build_vocab(longer, update=True)
    wide.train(longer, total_examples=1, epochs=1)
    assert wide.keras_model.halo == 64


# Queries


def plain_scores(model, sentences):
    """Hierarchical softmax by a double loop, on gensim's arrays, codes and points."""
    scores = []
    for sentence in sentences:
        ids = [model.wv.key_to_index[word] for word in sentence if word in model.wv]
        total = 0.0
        for place, word in enumerate(ids):
            near = [*ids[max(0, place - model.window) : place]]
            near += ids[place + 1 : place + 1 + model.window]
            rows = model.wv.vectors[near].astype(np.float64)
            if not model.sg:
                rows = rows.sum(axis=0, keepdims=True)
                rows /= len(near) if near and model.cbow_mean else 1
            path = model.syn1[model.wv.get_vecattr(word, "point")].astype(np.float64)
            signs = 1 - 2.0 * model.wv.get_vecattr(word, "code")
            total -= np.logaddexp(0, -signs * (rows @ path.T)).sum()
        scores.append(total)
    return np.array(scores)


@pytest.mark.parametrize("mode", [{"sg": 1}, {}, {"cbow_mean": 0}], ids=["sg", "cbow", "sum"])
def test_scores_are_those_of_gensim(mode):
    ours = Word2Vec(common_texts, **SMALL, **mode, hs=1, negative=0)
    rng = np.random.default_rng(0)
    ours.wv.vectors, ours.syn1 = rng.normal(0, 0.5, (2, 12, 8)).astype(np.float32)
    sentences = [*common_texts, ["unknown"], ["graph"], ["graph", "unknown", "trees"]]
    scores = ours.score(sentences)
    np.testing.assert_allclose(scores, plain_scores(ours, sentences), rtol=1e-5, atol=1e-6)
    # gensim reads each log-probability from a table, up to .012 too low, and skips |scores| > 6.
    theirs = ours.to_gensim().score(sentences, len(sentences))
    np.testing.assert_allclose(scores, theirs, rtol=0.06, atol=0.05)


def test_scores_stop_where_told(caplog):
    model = Word2Vec(common_texts, **SMALL, hs=1, negative=0)
    scores = model.score(common_texts, total_sentences=4, chunksize=3)
    assert len(scores) == 4
    assert "Only the first 4 sentences were scored." in caplog.text
    np.testing.assert_allclose(scores, model.score(common_texts)[:4], rtol=1e-5)
    assert len(model.score([])) == 0


@pytest.mark.parametrize("cbow_mean", [0, 1])
def test_predictions_are_those_of_gensim(cbow_mean):
    ours = Word2Vec(common_texts, **SMALL, epochs=20, alpha=0.2, cbow_mean=cbow_mean)
    theirs = ours.to_gensim()
    for context in (["graph"], ["graph", "trees", "unknown"], [3, "trees"]):
        words, shares = zip(*ours.predict_output_word(context, topn=12), strict=True)
        its_words, its_shares = zip(*theirs.predict_output_word(context, topn=12), strict=True)
        assert words == its_words
        np.testing.assert_allclose(shares, its_shares, rtol=1e-5)
    assert ours.predict_output_word(["unknown"]) is None


def test_gensims_deprecated_methods():
    model = Word2Vec(common_texts, **SMALL)
    assert model.seeded_vector("a", 5).shape == (5,)
    with pytest.warns(DeprecationWarning, match="init_sims"):
        model.init_sims(replace=True)
    np.testing.assert_allclose(np.linalg.norm(model.wv.vectors, axis=1), 1, rtol=1e-5)


# Files


@each_mode
@pytest.mark.parametrize("mmap", [None, "r"])
def test_a_loaded_model_is_the_saved_one(mode, mmap, tmp_path):
    path = tmp_path / "model.w2v"
    model = Word2Vec(common_texts, **SMALL, **mode, comment="mine", compute_loss=True)
    model.wv.set_vecattr("graph", "weight", 2.5)
    model.save(path)
    loaded = Word2Vec.load(path, mmap=mmap)
    assert_same(loaded, model)
    assert_same_vocabulary(loaded, model)
    assert loaded.wv.get_vecattr("graph", "weight") == 2.5
    assert str(loaded) == str(model)
    for name in ("comment", "running_training_loss", "epoch_losses", "train_count", "epochs"):
        assert getattr(loaded, name) == getattr(model, name)
    # Going on after loading is going on undisturbed.
    more = [["graph", "trees", "new"], ["new", "graph"]] * 5
    for each in (loaded, model):
        each.train(common_texts, total_examples=9, epochs=2)
    assert_same(loaded, model)
    for each in (loaded, model):
        each.build_vocab(more, update=True)
        each.train(more, total_examples=10, epochs=2)
    assert_same(loaded, model)


@pytest.mark.parametrize("trained", [True, False])
def test_an_output_layer_is_saved(trained, tmp_path):
    path = tmp_path / "model.w2v"
    model = Word2Vec(**SMALL, output_layer="NegativeSampling")
    model.build_vocab(common_texts)
    if trained:
        model.train(common_texts, total_examples=9, epochs=2)
    model.save(path)
    loaded = Word2Vec.load(path)
    for each in (loaded, model):
        each.train(common_texts, total_examples=9, epochs=2)
    assert_same(loaded, model)
    for ours, its in zip(
        model.keras_model.output_layer.get_weights(),
        loaded.keras_model.output_layer.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, its)


def test_a_saved_file_holds_no_pickle(tmp_path):
    path = tmp_path / "model.w2v"
    Word2Vec(common_texts, **SMALL, hs=1).save(str(path))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        with archive.open("vectors.npy") as member:
            assert np.load(member, allow_pickle=False).shape == (12, 8)
    assert {"model.json", "vectors.npy", "syn1.npy", "syn1neg.npy"} <= set(names)
    assert os.listdir(tmp_path) == ["model.w2v"]


def test_an_untrained_model_is_saved(tmp_path):
    path = tmp_path / "model.w2v"
    Word2Vec(vector_size=7).save(path)
    loaded = Word2Vec.load(path)
    assert loaded.vector_size == 7
    assert len(loaded.wv) == 0
    loaded.build_vocab(LEE)
    assert len(loaded.wv) > 10


@pytest.mark.parametrize("what", ["gensim", "text", "other zip"])
def test_other_files_are_not_loaded(what, tmp_path):
    path = tmp_path / "model"
    if what == "gensim":
        gensim.models.Word2Vec(common_texts, **SMALL).save(str(path))
    elif what == "text":
        path.write_text("graph 1\n")
    else:
        np.savez(path, vectors=np.eye(2))
        path = path.with_suffix(".npz")
    with pytest.raises(AttributeError, match=r"^`fname` must be a file that kerasw2v\.Word2Vec"):
        Word2Vec.load(path)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_damaged_files_are_named(share, tmp_path):
    path = tmp_path / "model"
    Word2Vec(common_texts, **SMALL).save(path)
    content = bytearray(path.read_bytes())
    place = int(share * len(content))
    content[place : place + 60] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^`fname` must be an undamaged file .* Received"):
        Word2Vec.load(path)


def test_no_file_to_load(tmp_path):
    with pytest.raises(FileNotFoundError, match="`fname` must name a file that exists"):
        Word2Vec.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="`mmap` must be None, 'r' or 'c'"):
        Word2Vec.load(tmp_path / "nothing", mmap="w")
    with pytest.raises(AttributeError):
        Word2Vec().load(tmp_path / "nothing")


# gensim's models


@each_mode
def test_to_gensim_and_back(mode):
    ours = Word2Vec(LEE, vector_size=8, min_count=2, **mode, epochs=2)
    theirs = ours.to_gensim()
    assert type(theirs) is gensim.models.Word2Vec
    assert_same(theirs, ours)
    assert_same_vocabulary(theirs, ours)
    back = Word2Vec.from_gensim(theirs)
    before = copy.deepcopy(arrays(ours))
    theirs.train(LEE, total_examples=60, epochs=1)
    for name, array in arrays(ours).items():
        np.testing.assert_array_equal(array, before[name])  # nothing is shared
        assert not np.allclose(arrays(theirs)[name], array)
    for model in (ours, back):
        model.train(LEE, total_examples=60, epochs=2)
    assert_same(ours, back)


@pytest.mark.parametrize("sg", [0, 1])
def test_a_gensim_tree_is_taken_over(sg, tmp_path):
    """Trees of gensim differ in ties: what was learnt on one must be used on that one."""
    theirs = gensim.models.Word2Vec(
        LEE, vector_size=16, min_count=1, sg=sg, hs=1, negative=0, epochs=10, alpha=0.1
    )
    ours = Word2Vec.from_gensim(theirs)
    rows = ours._synchronised_trainer()._node_rows
    assert sorted(rows) == list(range(len(theirs.wv) - 1))
    assert (rows != np.arange(len(rows))).any()
    expected = plain_scores(theirs, LEE)
    np.testing.assert_allclose(ours.score(LEE), expected, rtol=1e-4)
    ours.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.score(LEE), expected, rtol=1e-4)
    ours.train(LEE, total_examples=60, epochs=5)
    assert ours.score(LEE).sum() > expected.sum()
    back = ours.to_gensim()
    np.testing.assert_allclose(plain_scores(back, LEE), ours.score(LEE), rtol=1e-4)


def test_a_model_of_gensim_that_cannot_be_taken_over():
    with pytest.raises(TypeError, match=r"^`model` must be a gensim\.models\.Word2Vec\. Received"):
        Word2Vec.from_gensim(gensim.models.FastText(vector_size=4))
    with pytest.raises(TypeError, match=r"Received: builtins\.dict"):
        Word2Vec.from_gensim({})
    model = Word2Vec(output_layer="FullSoftmax")
    with pytest.raises(ValueError, match=r"^`output_layer` must be None for gensim"):
        model.to_gensim()


def test_gensim_trains_further_and_saves(tmp_path):
    theirs = Word2Vec(common_texts, **SMALL, hs=1).to_gensim()
    theirs.build_vocab([["new", "graph"]] * 5, update=True)
    theirs.train([["new", "graph"]] * 5, total_examples=5, epochs=2)
    theirs.save(str(tmp_path / "theirs"))
    assert_same(gensim.models.Word2Vec.load(str(tmp_path / "theirs")), theirs)


# Warnings and bad input


def test_warnings_of_ignored_arguments(caplog):
    Word2Vec(trim_rule=rule, callbacks=[CallbackAny2Vec()])
    assert "`trim_rule` is ignored without a corpus" in caplog.text
    assert "`callbacks` are ignored without a corpus" in caplog.text


def test_progress_is_logged(caplog):
    caplog.set_level(logging.INFO, "kerasw2v.word2vec")
    Word2Vec(common_texts, **SMALL)
    for text in (
        "12 different words among 29 in 9 sentences",
        "effective words/s",
        "12 words of 8",
    ):
        assert text in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"sentences": 5}, TypeError, "`sentences` must be an iterable of token lists"),
        ({"sentences": "corpus.txt"}, TypeError, "a file is given as `corpus_file`"),
        ({"sentences": [], "corpus_file": "x"}, TypeError, "Exactly one .* Received: both"),
        ({"sentences": (s for s in [["a"]])}, TypeError, "iterable more than once, for 6 passes"),
        ({"sentences": map(list, ["ab"])}, TypeError, "iterable more than once"),
        (
            {"sentences": [[[1], 2]], "min_count": 1},
            TypeError,
            "numbers or other hashable",
        ),
        ({"sentences": [5]}, TypeError, "sentences that are lists of words"),
        ({"sentences": []}, RuntimeError, "There must be a vocabulary before training"),
        ({"sentences": [["a"]]}, RuntimeError, "There must be a vocabulary before training"),
        ({"sentences": [["a"]], "min_count": 1, "epochs": 0}, ValueError, "`epochs` must be given"),
        ({"corpus_file": "no such file"}, TypeError, "`corpus_file` must be the path of a file"),
        ({"sentences": [["a"]], "hs": 0, "negative": 0}, ValueError, "`hs` or `negative` must"),
        ({"vector_size": 0}, ValueError, "`vector_size` must be at least 1"),
        ({"window": 0}, ValueError, "`window` must be at least 1"),
        ({"seed": -1}, ValueError, "`seed` must be from 0 to 4294967295. Received: seed=-1"),
        (
            {"seed": 2**32},
            ValueError,
            "`seed` must be from 0 to 4294967295. Received: seed=4294967296",
        ),
        ({"seed": 1.5}, TypeError, "`seed` must be an integer or None. Received: seed=1.5"),
        ({"seed": "abc"}, TypeError, "`seed` must be an integer or None. Received: seed='abc'"),
        ({"output_layer": "Softmax"}, ValueError, "`output_layer` must be one of '"),
        ({"output_layer": "OutputLayer"}, ValueError, "`output_layer` must be one of '"),
        ({"output_layer": 5}, TypeError, "`output_layer` must be the name of one"),
        ({"output_layer": "FullSoftmax", "hs": 1}, ValueError, "`hs` must be 0 where"),
        (
            {"sentences": common_texts, "min_count": 1, "output_layer": FullSoftmax(5)},
            ValueError,
            "`output_layer` must have the model's vocabulary",
        ),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        Word2Vec(**arguments)


def test_a_compressed_corpus_file(tmp_path):
    path = tmp_path / "corpus.bz2"
    path.write_bytes(b"")
    with pytest.raises(TypeError, match="`corpus_file` must not be compressed"):
        Word2Vec(corpus_file=str(path))


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_corpus_file_without_words(content, tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(content)
    with pytest.raises(RuntimeError, match="There must be a vocabulary before training"):
        Word2Vec(corpus_file=str(path))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({}, ValueError, "`total_examples` or `total_words` must be given"),
        ({"epochs": 5}, ValueError, "`total_examples` or `total_words` must be given"),
        ({"total_examples": 9}, ValueError, "`epochs` must be given and positive"),
        ({"total_examples": 9, "epochs": 0}, ValueError, "Received: epochs=0"),
        ({"total_examples": 9, "epochs": 1.5}, TypeError, "`epochs` must be an integer"),
    ],
)
def test_bad_trainings(arguments, error, sentence):
    model = Word2Vec(**SMALL)
    model.build_vocab(common_texts)
    before = model.wv.vectors.copy()
    with pytest.raises(error, match=sentence):
        model.train(common_texts, **arguments)
    np.testing.assert_array_equal(model.wv.vectors, before)


def test_other_bad_trainings(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("graph trees\n")
    model = Word2Vec(**SMALL)
    with pytest.raises(RuntimeError, match="no word is known"):
        model.train(common_texts, total_examples=9, epochs=1)
    with pytest.raises(RuntimeError, match="`update` must be False for a model without a voc"):
        model.build_vocab(common_texts, update=True)
    model.build_vocab(common_texts)
    with pytest.raises(ValueError, match="`total_words` must be given with `corpus_file`"):
        model.train(corpus_file=str(path), total_examples=1, epochs=1)
    with pytest.raises(TypeError, match="Received: neither"):
        model.train(total_examples=1, epochs=1)
    with pytest.raises(TypeError, match="for 2 passes"):
        model.train((s for s in common_texts), total_examples=9, epochs=2)
    with pytest.raises(ValueError, match="at least one word of the vocabulary"):
        model.train([["unknown"]], total_examples=1, epochs=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        model.train(common_texts, total_examples=9, epoch=2)
    model.wv.vectors_lockf = np.zeros(12, np.float32)
    with pytest.raises(ValueError, match=r"`wv\.vectors_lockf` must be all ones"):
        model.train(common_texts, total_examples=9, epochs=1)
    model.wv.vectors_lockf = np.ones(1, np.float32)
    model.syn1neg = model.syn1neg[:5]
    with pytest.raises(ValueError, match=r"`syn1neg` must have a row for each word .* \(12, 8\)"):
        model.train(common_texts, total_examples=9, epochs=1)


def test_an_output_layer_grows_with_the_vocabulary():
    model = Word2Vec(common_texts, **SMALL, sample=0, output_layer="FullSoftmax", epochs=2)
    words, vectors = list(model.wv.index_to_key), model.wv.vectors.copy()
    output = dict(zip(words_by_frequency(model.wv), weights_of(model), strict=True))
    new = [["new", "human", "new", "trees"]] * 5
    model.build_vocab(new, update=True)
    np.testing.assert_array_equal([model.wv[word] for word in words], vectors)
    for word, row in zip(words_by_frequency(model.wv), weights_of(model), strict=True):
        np.testing.assert_array_equal(row, output.get(word, np.zeros_like(row)))
    before = model.wv["new"].copy()
    model.train(new, total_examples=5, epochs=2)
    assert np.isfinite(model.wv.vectors).all()
    assert not np.array_equal(model.wv["new"], before)


def weights_of(model):
    """The output vectors of a full softmax."""
    return model.keras_model.output_layer.get_weights()[0]


def test_queries_that_need_another_model():
    with pytest.raises(RuntimeError, match="no word is known"):
        Word2Vec(hs=1, negative=0).score(common_texts)
    with pytest.raises(RuntimeError, match=r"no word is known\..*`min_count` .*: min_count=5"):
        Word2Vec([["graph", "trees"]])
    with pytest.raises(RuntimeError, match="`score` needs the normalised probabilities"):
        Word2Vec(common_texts, **SMALL).score(common_texts)
    with pytest.raises(RuntimeError, match="`predict_output_word` needs the output vectors"):
        Word2Vec(common_texts, **SMALL, hs=1, negative=0).predict_output_word(["graph"])


def test_one_word_only():
    for mode in MODES.values():
        model = Word2Vec([["a", "a", "a"]], **SMALL, **mode, sample=0)
        assert np.isfinite(model.wv.vectors).all()
