"""`FastText`: vectors of unseen words, what is learnt from planted word forms, files, bad input."""

import copy
import io
import re

import gensim.models
import numpy as np
import pytest
from gensim.models import fasttext as gensim_fasttext
from gensim.models.fasttext import FastTextKeyedVectors, ft_ngram_hashes
from gensim.test.utils import common_texts, datapath

import kerasw2v
from kerasw2v import FastText, Word2Vec
from kerasw2v.layers import FullSoftmax

SMALL = {"vector_size": 8, "min_count": 1, "seed": 3, "bucket": 500, "epochs": 2, "sample": 0}
MODES = {
    "sg-neg": {"sg": 1},
    "cbow-neg": {},
    "sg-hs": {"sg": 1, "hs": 1, "negative": 0},
    "cbow-hs": {"hs": 1, "negative": 0},
    "both, sum": {"hs": 1, "cbow_mean": 0},
}
each_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
UNSEEN = ["treetops", "graphs", "ü", "人間", ""]


def assert_same(first, second):
    for name in ("vectors", "vectors_vocab", "vectors_ngrams"):
        array = getattr(first.wv, name)
        np.testing.assert_array_equal(array, getattr(second.wv, name), err_msg=name)
    for name in ("syn1", "syn1neg"):
        if hasattr(first, name):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.fixture(scope="module")
def trained():
    return FastText(common_texts, **SMALL, sg=1)


@each_mode
def test_vectors_are_means_over_ngrams(mode):
    model = FastText(common_texts, **SMALL, **mode)
    untrained = FastText(**SMALL, **mode)
    untrained.build_vocab(common_texts)
    vectors = model.wv
    assert type(vectors) is FastTextKeyedVectors
    used = set()
    for i, word in enumerate(vectors.index_to_key):
        hashes = ft_ngram_hashes(word, 3, 6, 500)
        assert vectors.buckets_word[i].tolist() == hashes
        rows = [vectors.vectors_vocab[i], *vectors.vectors_ngrams[hashes]]
        np.testing.assert_allclose(vectors[word], np.mean(rows, axis=0), atol=1e-7)
        used |= set(hashes)
    is_changed = (vectors.vectors_ngrams != untrained.wv.vectors_ngrams).any(axis=1)
    assert set(np.flatnonzero(is_changed)) == used
    assert (vectors.vectors_vocab != untrained.wv.vectors_vocab).any(axis=1).all()


def test_unseen_words_have_gensims_vectors(trained):
    """The same numbers, in vectors that gensim has made."""
    theirs = FastTextKeyedVectors(8, 3, 6, 500)
    theirs.index_to_key = trained.wv.index_to_key
    theirs.key_to_index = trained.wv.key_to_index
    theirs.vectors_vocab = trained.wv.vectors_vocab
    theirs.vectors_ngrams = trained.wv.vectors_ngrams
    theirs.recalc_char_ngram_buckets()
    theirs.adjust_vectors()
    np.testing.assert_allclose(trained.wv.vectors, theirs.vectors, atol=1e-7)
    for word in UNSEEN:
        assert word in trained.wv
        np.testing.assert_allclose(trained.wv[word], theirs[word], atol=1e-7)
    neighbours, expected = (v.most_similar("treetops", topn=3) for v in (trained.wv, theirs))
    assert [word for word, _ in neighbours] == [word for word, _ in expected]


class PartVectors(FastTextKeyedVectors):
    """Vectors whose n-grams are the parts of a name, as those of pyRDF2Vec."""

    def recalc_char_ngram_buckets(self):
        self.buckets_word = [
            np.array([sum(map(ord, part)) % self.bucket for part in word.split("#")], np.uint32)
            for word in self.index_to_key
        ]


def test_vectors_may_find_ngrams_of_their_own():
    model = FastText(**SMALL)
    model.wv = PartVectors(8, 0, 0, 500)
    model.wv.vectors_ngrams = np.zeros((0, 8), np.float32)
    walks = [["n#one", "n#two", "m#one"]] * 20
    model.build_vocab(walks)
    untrained = model.wv.vectors_ngrams.copy()
    model.train(walks, total_examples=model.corpus_count, epochs=model.epochs)
    vectors = model.wv
    parts = {sum(map(ord, part)) % 500 for part in ("n", "m", "one", "two")}
    assert set(np.flatnonzero((vectors.vectors_ngrams != untrained).any(axis=1))) == parts
    for word, index in vectors.key_to_index.items():
        ids = [sum(map(ord, part)) % 500 for part in word.split("#")]
        rows = [vectors.vectors_vocab[index], *vectors.vectors_ngrams[ids]]
        np.testing.assert_allclose(vectors.vectors[index], np.mean(rows, axis=0), atol=1e-6)


def test_vectors_may_be_put_together_in_a_way_of_their_own():
    class Sums(FastTextKeyedVectors):
        def adjust_vectors(self):
            parts = zip(self.vectors_vocab, self.buckets_word, strict=True)
            self.vectors = np.array([row + self.vectors_ngrams[ids].sum(0) for row, ids in parts])

    model = FastText(**SMALL)
    model.wv = Sums(8, 3, 6, 500)
    model.wv.vectors_ngrams = np.zeros((0, 8), np.float32)
    model.build_vocab(common_texts)
    model.train(common_texts, total_examples=model.corpus_count, epochs=1)
    ids = ft_ngram_hashes("graph", 3, 6, 500)
    index = model.wv.key_to_index["graph"]
    expected = model.wv.vectors_vocab[index] + model.wv.vectors_ngrams[ids].sum(axis=0)
    np.testing.assert_allclose(model.wv["graph"], expected, atol=1e-6)


@pytest.mark.parametrize("arguments", [{"bucket": 0}, {"min_n": 3, "max_n": 2}, {"max_n": 0}])
def test_without_ngrams_it_is_word2vec(arguments):
    """Bit by bit, since words start from the same random vectors."""
    model = FastText(common_texts, **{**SMALL, **arguments}, sg=1)
    arguments = {name: value for name, value in SMALL.items() if name != "bucket"}
    np.testing.assert_array_equal(
        model.wv.vectors, Word2Vec(common_texts, **arguments, sg=1).wv.vectors
    )
    assert "treetops" not in model.wv
    with pytest.raises(KeyError):
        model.wv["treetops"]


ENDINGS = ["", "s", "ing", "ed"]


def planted():
    """Sentences on ten topics, each of two stems with endings; some forms are never used."""
    rng = np.random.default_rng(0)
    stems = ["".join(rng.choice(list("abdefghiklmnoprstuvw"), 6)) for _ in range(20)]
    unseen = [f"{stem}ing" for stem in stems[::5]]
    texts = []
    for i in range(600):
        topic = stems[i % 10 * 2 :][:2]
        words = [rng.choice(topic) + rng.choice(ENDINGS) for _ in range(10)]
        texts.append([word for word in words if word not in unseen])
    return texts, stems, unseen


@pytest.mark.parametrize("mode", ["sg-neg", "cbow-neg"])
def test_forms_of_one_word_are_near(mode):
    texts, stems, unseen = planted()
    model = FastText(
        texts, vector_size=16, min_count=1, seed=1, bucket=20_000, epochs=5, sample=0, alpha=0.1,
        batch_size=1024, **MODES[mode],
    )  # fmt: skip
    for form in unseen:
        assert form not in model.wv.key_to_index
        place = stems.index(form.removesuffix("ing"))
        nearest = stems.index(model.wv.most_similar_to_given(form, stems))
        assert nearest // 2 == place // 2  # the stem, or the other one of its topic
    # Stems of a topic share contexts, no letters.
    vectors = np.array([model.wv.get_vector(stem, norm=True) for stem in stems])
    similarity, topics = vectors @ vectors.T, np.arange(20) // 2
    is_same = (topics[:, None] == topics) & ~np.eye(20, dtype=bool)
    assert similarity[is_same].mean() > similarity[topics[:, None] != topics].mean() + 0.3


@each_mode
def test_files_hold_all(mode, tmp_path):
    model = FastText(common_texts, **SMALL, **mode, min_n=2, max_n=4, comment="a")
    model.wv.note = model.note = (1, "b")
    path = tmp_path / "model"
    model.save(path)
    loaded = FastText.load(path)
    assert_same(loaded, model)
    assert (loaded.min_n, loaded.max_n, loaded.bucket) == (2, 4, 500)
    assert loaded.wv.note == loaded.note == (1, "b")
    np.testing.assert_array_equal(loaded.wv["treetops"], model.wv["treetops"])
    for each in (model, loaded):
        each.train(common_texts, total_examples=9, epochs=1)
    assert_same(loaded, model)


def test_other_ways_to_keep_a_model(trained, tmp_path):
    file = io.BytesIO()
    trained.save(file)
    file.seek(0)
    assert_same(FastText.load(file), trained)
    assert_same(copy.deepcopy(trained), trained)
    trained.save(tmp_path / "model")
    mapped = FastText.load(tmp_path / "model", mmap="r")
    assert_same(mapped, trained)
    mapped.train(common_texts, total_examples=9, epochs=1)  # of a copy
    assert (mapped.wv.vectors_ngrams != trained.wv.vectors_ngrams).any()


def test_files_of_other_classes_are_refused(trained, tmp_path):
    trained.save(tmp_path / "ours")
    with pytest.raises(AttributeError, match=r"must be a file that kerasw2v\.Word2Vec\.save wrote"):
        Word2Vec.load(tmp_path / "ours")
    with pytest.raises(AttributeError, match=r"load it by kerasw2v\.FastText\.load\(path\)"):
        gensim.models.FastText.load(str(tmp_path / "ours"))
    words = {name: value for name, value in SMALL.items() if name != "bucket"}
    Word2Vec(common_texts, **words).save(tmp_path / "words")
    with pytest.raises(AttributeError, match=r"must be a file that kerasw2v\.FastText\.save wrote"):
        FastText.load(tmp_path / "words")


def test_a_file_with_other_buckets_is_damaged(trained, tmp_path):
    other = copy.deepcopy(trained)
    other.bucket = 499
    with pytest.raises(ValueError, match="its vectors_ngrams must be numbers of shape"):
        other.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@each_mode
def test_to_gensim_and_back(mode):
    model = FastText(common_texts, **SMALL, **mode)
    theirs = model.to_gensim()
    assert type(theirs) is gensim.models.FastText
    for word in (*model.wv.index_to_key, *UNSEEN):
        np.testing.assert_array_equal(theirs.wv[word], model.wv[word])
    theirs.train(common_texts, total_examples=9, epochs=1)
    back = FastText.from_gensim(theirs)
    assert_same(back, theirs)
    back.train(common_texts, total_examples=9, epochs=1)
    assert (back.wv.vectors != theirs.wv.vectors).any()
    with pytest.raises(TypeError, match=r"`model` must be a gensim\.models\.FastText"):
        FastText.from_gensim(gensim.models.Word2Vec(common_texts, vector_size=2, min_count=1))


NEW = [["graphs", "of", "treetops"], ["treetops", "treetops"]] * 3


@each_mode
def test_the_vocabulary_grows(mode):
    model = FastText(common_texts, **SMALL, **mode)
    before, words = model.wv["graph"].copy(), len(model.wv)
    model.build_vocab(NEW, update=True)
    assert len(model.wv) == words + 3
    np.testing.assert_allclose(model.wv["graph"], before, atol=1e-7)
    grown = model.wv["treetops"].copy()
    model.train(NEW, total_examples=len(NEW), epochs=2, start_alpha=0.1)
    assert np.abs(model.wv["treetops"] - grown).max() > 1e-4
    assert (model.wv["graph"] != before).any()  # it shares n-grams with `graphs`


def test_a_vocabulary_that_was_not_sorted():
    """The model's order is that of counts, gensim's is not."""
    model = FastText(common_texts, **SMALL, sorted_vocab=0)
    counts = [model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key]
    assert counts != sorted(counts, reverse=True)
    np.testing.assert_allclose(
        model.keras_model.embedding.embeddings.numpy()[model._trainer._rows],
        model.wv.vectors,
        atol=1e-6,
    )


def test_words_of_a_context_may_be_unseen(trained):
    assert len(trained.predict_output_word(["treetops", "graphs"], topn=3)) == 3


def test_an_output_layer():
    model = FastText(common_texts, **SMALL, output_layer="FullSoftmax")
    assert isinstance(model.keras_model.output_layer, FullSoftmax)
    assert len(model.predict_output_word(["graphs"], topn=2)) == 2


def test_the_same_seed_gives_the_same_vectors(trained):
    assert_same(FastText(common_texts, **SMALL, sg=1, workers=1), trained)


def test_subclasses_see_the_jobs():
    class Walks(FastText):
        def _do_train_job(self, sentences, alpha, inits):
            return super()._do_train_job([["graphs", "graph"] for _ in sentences], alpha, inits)

    model = Walks(**SMALL)
    model.build_vocab([*common_texts, ["graphs"]])
    before = model.wv.vectors_vocab.copy()
    model.train(common_texts, total_examples=9, epochs=1)
    changed = (before != model.wv.vectors_vocab).any(axis=1)
    assert {model.wv.index_to_key[i] for i in np.flatnonzero(changed)} == {"graphs", "graph"}


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"word_ngrams": 2}, NotImplementedError, "`word_ngrams` must be 1"),
        ({"word_ngrams": 0}, NotImplementedError, "Received: word_ngrams=0."),
        ({"bucket": -1}, ValueError, "`bucket` must be at least 0. Received: bucket=-1."),
        ({"min_n": 1.5}, ValueError, "`min_n` must be a whole number. Received: min_n=1.5."),
        ({"max_n": -1}, ValueError, "`max_n` must be at least 0. Received: max_n=-1."),
        ({"vector_size": 0}, ValueError, "`vector_size` must be at least 1."),
        ({"bucket": 2**31 - 1, "vector_size": 10**6}, MemoryError, "`bucket` or `vector_size`"),
    ],
)
def test_bad_arguments(arguments, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        FastText(common_texts, **{**SMALL, **arguments})


def test_single_rows_cannot_be_locked(trained):
    model = copy.deepcopy(trained)
    model.wv.vectors_ngrams_lockf = np.zeros(1, np.float32)
    with pytest.raises(ValueError, match=r"`wv\.vectors_ngrams_lockf` must be all ones"):
        model.train(common_texts, total_examples=9, epochs=1)


def test_files_of_facebook(tmp_path):
    path = datapath("lee_fasttext_new.bin")
    model = kerasw2v.fasttext.load_facebook_model(path)
    theirs = kerasw2v.fasttext.load_facebook_vectors(path)
    for word in ("night", "nights", "nightish"):
        np.testing.assert_allclose(model.wv[word], theirs[word], atol=1e-6)
    kerasw2v.fasttext.save_facebook_model(model, tmp_path / "model.bin")
    again = gensim_fasttext.load_facebook_vectors(str(tmp_path / "model.bin"))
    np.testing.assert_allclose(again["nightish"], theirs["nightish"], atol=1e-6)


def test_the_module_has_the_names_of_gensims():
    of_the_engine = {"FastTextTrainables", "FastTextVocab", "Word2Vec", "train_batch_any"}
    of_the_engine |= {"train_epoch_cbow", "train_epoch_sg"}
    for name in set(dir(gensim_fasttext)) - of_the_engine:
        assert name.startswith("_") or getattr(kerasw2v.fasttext, name) is not None
    for name in of_the_engine:
        with pytest.raises(AttributeError, match=r"must be replaced by|no attribute 'Word2Vec'"):
            getattr(kerasw2v.fasttext, name)
    assert kerasw2v.fasttext.FastText is FastText
    with pytest.raises(AttributeError, match="no attribute 'Fast'"):
        _ = kerasw2v.fasttext.Fast
