"""Vocabulary: against collections.Counter and against gensim on the same sentences."""

import os
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from gensim.models import KeyedVectors, Word2Vec
from gensim.models.word2vec import LineSentence
from gensim.test.utils import datapath

from kerasw2v.data import corpus as corpus_module
from kerasw2v.data.vocabulary import Vocabulary

LEE = datapath("lee_background.cor")
SMALL = [["the", "cat", "and", "the", "dog"], [], ["a", "dog"]]


def random_sentences(seed):
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(60)] + ["caf\u00e9", "\u732b", "\U0001f63a", "Z", "z"]
    weights = [1 / (i + 1) for i in range(len(words))]
    return [rng.choices(words, weights, k=rng.randrange(12)) for _ in range(300)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("min_count", [1, 5, 20])
def test_words_and_counts_are_the_counters(seed, min_count):
    sentences = random_sentences(seed)
    counter = Counter(word for sentence in sentences for word in sentence)
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    vocabulary = Vocabulary.from_corpus(sentences, min_count=min_count)
    assert list(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)) == [
        (word, count) for word, count in ordered if count >= min_count
    ]
    assert vocabulary.counts.dtype == np.int64
    assert vocabulary.corpus_words == counter.total()
    assert vocabulary.corpus_sentences == sum(map(bool, sentences))


@pytest.mark.parametrize("min_count", [1, 5])
@pytest.mark.parametrize("max_final_vocab", [None, 1, 10, 100, 1000, 10**6])
def test_same_words_as_gensim(min_count, max_final_vocab):
    model = Word2Vec(min_count=min_count, max_final_vocab=max_final_vocab)
    model.build_vocab(LineSentence(LEE))
    expected = {word: model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key}
    vocabulary = Vocabulary.from_corpus(LEE, min_count, max_final_vocab)
    assert dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)) == expected
    assert vocabulary.corpus_words == model.corpus_total_words
    assert vocabulary.corpus_sentences == model.corpus_count


def test_a_corpus_in_any_form_gives_the_same(tmp_path, monkeypatch):
    lists = Vocabulary.from_corpus(list(LineSentence(LEE)))
    assert Vocabulary.from_corpus(LineSentence(LEE)) == lists == Vocabulary.from_corpus(LEE)
    monkeypatch.setattr(corpus_module, "_CHUNK_BYTES", 50)  # lines come in pieces
    pieces = Vocabulary.from_corpus(LEE)
    assert pieces == lists
    assert pieces.corpus_words == lists.corpus_words
    assert pieces.corpus_sentences == lists.corpus_sentences == 300


def test_the_order_of_ties_does_not_depend_on_the_hash_seed():
    code = "from kerasw2v.data.vocabulary import Vocabulary; import sys;" + (
        "print(ascii(Vocabulary.from_corpus([list('dbca\u00e9Z\u732b'), ['b']], 1).words))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert outputs == {ascii(["b", "Z", "a", "c", "d", "\u00e9", "\u732b"]).encode()}


def test_the_modules_import_neither_tensorflow_nor_keras():
    # Loaded by file: the package's own `__init__` imports all of it.
    code = (
        "import sys, types; package = types.ModuleType('kerasw2v');"
        "package.__path__ = [sys.argv[1]]; sys.modules['kerasw2v'] = package;"
        "import kerasw2v.data.corpus, kerasw2v.data.vocabulary, kerasw2v.data.token_stream;"
        "print({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules))"
    )
    folder = os.path.dirname(os.path.dirname(corpus_module.__file__))
    run = [sys.executable, "-c", code, folder]
    assert subprocess.run(run, capture_output=True, check=True, text=True).stdout == "set()\n"


def test_lookups():
    vocabulary = Vocabulary.from_corpus(SMALL, min_count=2)
    assert vocabulary.words == ["dog", "the"] == list(vocabulary)
    assert len(vocabulary) == 2
    assert "dog" in vocabulary
    assert "cat" not in vocabulary
    assert vocabulary.index("the") == 1
    assert vocabulary.encode(["the", "cat", "dog", "the"]).tolist() == [1, 0, 1]
    assert vocabulary.lookup(["the", "cat", "dog"]).tolist() == [1, -1, 0]
    assert vocabulary.encode([]).dtype == vocabulary.encode(["the"]).dtype == np.int32
    assert repr(vocabulary) == (
        "<Vocabulary of 2 words, 'dog' to 'the', counts 2 to 2, corpus of 7 words>"
    )


def test_equality():
    vocabulary = Vocabulary(["a", "b"], [2, 1])
    assert vocabulary == Vocabulary(("a", "b"), np.array([2, 1], np.int32), corpus_words=9)
    assert vocabulary != Vocabulary(["a", "b"], [2, 2])
    assert vocabulary != Vocabulary(["a", "c"], [2, 1])
    assert vocabulary != "a b"


def test_word_that_is_not_there():
    with pytest.raises(KeyError, match=r"must be in the vocabulary of 2 words. Received: word='x'"):
        Vocabulary(["a", "b"], [2, 1]).index("x")


@pytest.mark.parametrize(
    ("words", "counts", "error", "message"),
    [
        ([], [], ValueError, "`words` must hold at least one word"),
        (["a", "b"], [1], ValueError, "one count per word, 2 in all. Received: shape \\(1,\\)"),
        (["a", "b", "a"], [3, 2, 1], ValueError, "each word once. Received: 'a' twice"),
        (["a", "b"], [2, 0], ValueError, "`counts` must be at least 1. Received: 0"),
        (["a", "b"], [1, 2], ValueError, "`counts` must descend. Received: 2 after 1"),
        (["a", "b"], [2.0, 1.0], TypeError, "`counts` must be integers"),
        (["a", "b"], [True, True], TypeError, "`counts` must be integers"),
        (
            ["a", []],
            [2, 1],
            TypeError,
            r"`words` must be strings, numbers .* Received: \[\] of type",
        ),
        ("ab", [2, 1], TypeError, "`words` must be a list of words"),
    ],
)
def test_bad_words_or_counts(words, counts, error, message):
    with pytest.raises(error, match=message):
        Vocabulary(words, counts)


def test_bad_corpus_sizes():
    with pytest.raises(ValueError, match=r"`corpus_words` must be at least 3. Received"):
        Vocabulary(["a", "b"], [2, 1], corpus_words=2)
    with pytest.raises(ValueError, match=r"`corpus_sentences` must be at least 1. Received"):
        Vocabulary(["a", "b"], [2, 1], corpus_sentences=0)


@pytest.mark.parametrize("word", [1, ("a", "b"), b"a", None])
def test_words_that_are_no_strings_are_not_saved_as_text(word, tmp_path):
    with pytest.raises(TypeError, match="`words` must be strings to be saved as text, which does"):
        Vocabulary([word], [1]).save(tmp_path / "vocabulary")
    assert not list(tmp_path.iterdir())


def test_counts_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        Vocabulary(["a", "b"], [2, 1]).counts[0] = 9


def test_every_word_below_min_count():
    with pytest.raises(ValueError, match=r"most frequent word, which is 2. Received: min_count=5"):
        Vocabulary.from_corpus(SMALL)


def test_max_final_vocab_below_a_tie():
    with pytest.raises(ValueError, match=r"`max_final_vocab` must be .* Received: max_final_voc"):
        Vocabulary.from_corpus(SMALL, min_count=1, max_final_vocab=1)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"min_count": 0}, ValueError),
        ({"min_count": -1}, ValueError),
        ({"min_count": 1.5}, TypeError),
        ({"max_final_vocab": 0}, ValueError),
        ({"max_final_vocab": "9"}, TypeError),
    ],
)
def test_bad_limits(arguments, error):
    (name,) = arguments
    with pytest.raises(error, match=f"`{name}` must be .* Received: {name}="):
        Vocabulary.from_corpus(SMALL, **arguments)


def test_corpus_of_blanks_only(tmp_path):
    (tmp_path / "text").write_text(" \n\n\t\n")
    with pytest.raises(
        ValueError, match=r"`corpus` must hold at least one word. Received: corpus="
    ):
        Vocabulary.from_corpus(tmp_path / "text")
    with pytest.raises(ValueError, match="`corpus` must hold at least one word"):
        Vocabulary.from_corpus([[], []])


def test_from_counts():
    vocabulary = Vocabulary.from_counts({"a": 1, "c": 5, "b": 5}, min_count=2)
    assert vocabulary == Vocabulary(["b", "c"], [5, 5])
    assert vocabulary.corpus_words == 11
    with pytest.raises(ValueError, match="`counts` must hold at least one word"):
        Vocabulary.from_counts({})


def test_encode_of_a_string():
    with pytest.raises(TypeError, match="`tokens` must be a list of words, not a string"):
        Vocabulary(["a"], [1]).encode("a a")


@pytest.mark.parametrize("seed", range(5))
def test_save_and_load(tmp_path, seed):
    vocabulary = Vocabulary.from_corpus(random_sentences(seed), min_count=1)
    vocabulary.save(tmp_path / "vocabulary.txt")
    loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
    assert loaded == vocabulary
    assert loaded.words == vocabulary.words
    lines = (tmp_path / "vocabulary.txt").read_bytes().decode("utf-8").split("\n")
    assert lines[0] == f"{vocabulary.words[0]} {vocabulary.counts[0]}"
    assert len(lines) == len(vocabulary) + 1
    assert lines[-1] == ""
    assert os.listdir(tmp_path) == ["vocabulary.txt"]


def test_gensim_reads_it_as_fvocab_and_the_reverse(tmp_path):
    vocabulary = Vocabulary.from_corpus(LEE, min_count=5)
    vocabulary.save(tmp_path / "ours.txt")
    vectors = KeyedVectors(2)
    vectors.add_vectors(vocabulary.words, np.zeros((len(vocabulary), 2), np.float32))
    vectors.save_word2vec_format(str(tmp_path / "vectors.txt"))
    loaded = KeyedVectors.load_word2vec_format(
        str(tmp_path / "vectors.txt"), fvocab=str(tmp_path / "ours.txt")
    )
    counts = [loaded.get_vecattr(word, "count") for word in vocabulary.words]
    assert counts == vocabulary.counts.tolist()
    loaded.save_word2vec_format(str(tmp_path / "vectors.txt"), fvocab=str(tmp_path / "gensims.txt"))
    assert Vocabulary.load(tmp_path / "gensims.txt") == vocabulary


@pytest.mark.parametrize(("mark", "sentences"), [("</s> 0\n", None), ("</s> 3\n", 3)])
def test_the_line_end_of_word2vec_c_is_no_word(tmp_path, mark, sentences):
    (tmp_path / "vocabulary.txt").write_text(mark + "the 9\nof 5\n")
    loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
    assert loaded == Vocabulary(["the", "of"], [9, 5])
    assert loaded.corpus_sentences == sentences


def test_a_frequent_word_that_looks_like_a_line_end_survives(tmp_path):
    vocabulary = Vocabulary(["</s>", "the"], [9, 5])
    vocabulary.save(tmp_path / "vocabulary.txt")
    assert Vocabulary.load(tmp_path / "vocabulary.txt") == vocabulary


def test_lines_in_another_order(tmp_path):
    (tmp_path / "vocabulary.txt").write_text("of 5\nb 7\nthe 9\na 7\n")
    assert Vocabulary.load(tmp_path / "vocabulary.txt").words == ["the", "b", "a", "of"]


@pytest.mark.parametrize("word", ["New York", "a\u00a0b", "", "a\nb", "\ud800"])
def test_words_that_the_text_form_cannot_hold(tmp_path, word):
    (tmp_path / "vocabulary.txt").write_text("old")
    with pytest.raises(ValueError, match=r"`words` must be .* Received: '"):
        Vocabulary(["the", word], [2, 1]).save(tmp_path / "vocabulary.txt")
    assert (tmp_path / "vocabulary.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["vocabulary.txt"]


def test_save_into_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="must lie in a folder that exists"):
        Vocabulary(["a"], [1]).save(tmp_path / "none" / "vocabulary.txt")


def test_load_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="`path` must name a file that exists"):
        Vocabulary.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"the 9\nof\n", "Received: b'of\\\\n' in line 2 of '.*vocabulary.txt'"),
        (b"the 9\nof 5 5\n", "in line 2"),
        (b"the 9\n\nof 5\n", "in line 2"),
        (b"the 9\nof five\n", "the count 'five' in line 2"),
        (b"the 9\nof -5\n", "the count '-5' in line 2"),
        (b"the 9\nof 0\n", "the count '0' in line 2"),
        (b"the 9\nof 99999999999999999999\n", "in line 2"),
        (b"the 9\nof 5\nthe 4\n", "'the', which is in an earlier line too, in line 3"),
        (b"the 9\ncaf\xe9 5\n", "in line 2"),
        (b"\x80\x04\x95pickle", "in line 1"),
        (b"2 3\nthe 0.1 0.2 0.3\nof 0.1 0.2 0.3\n", "in line 2"),  # a file of vectors
    ],
)
def test_load_of_a_damaged_or_foreign_file(tmp_path, content, message):
    (tmp_path / "vocabulary.txt").write_bytes(content)
    with pytest.raises(ValueError, match=f"`path` must be a vocabulary.*{message}"):
        Vocabulary.load(tmp_path / "vocabulary.txt")


@pytest.mark.parametrize("content", ["", "</s> 0\n"])
def test_load_of_a_file_without_words(tmp_path, content):
    (tmp_path / "vocabulary.txt").write_text(content)
    with pytest.raises(ValueError, match="`path` must"):
        Vocabulary.load(tmp_path / "vocabulary.txt")
