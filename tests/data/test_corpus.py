"""Reading a corpus: gensim's LineSentence is the judge of what words and sentences are."""

import bz2
import gzip
import io
import lzma
import os
import random

import numpy as np
import pytest
from gensim.models.word2vec import LineSentence, PathLineSentences, Text8Corpus

from kerasw2v.data import corpus as corpus_module
from kerasw2v.data.block_dataset import block_dataset
from kerasw2v.data.corpus import check_corpus, iter_batches
from kerasw2v.data.counted_corpus import read_corpus
from kerasw2v.data.vocabulary import Vocabulary

BLANKS = [" ", "  ", "\t", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\xa0"]
BLANKS += ["\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\r\n", "\n", "\n"]
NO_BLANKS = ["\ufeff", "\u200b", "\x00", "\x7f", "\u00ad"]


def read(corpus):
    """All sentences, pieces joined, empty ones left out."""
    sentences, words, begun = [], 0, 0
    for batch in iter_batches(corpus):
        words += batch.num_words()
        begun += batch.num_new_sentences()
        parts = list(batch.sentences)
        if batch.continues:
            sentences[-1] = sentences[-1] + parts.pop(0)
        sentences += [part for part in parts if part]
    assert begun == len(sentences)
    assert words == sum(map(len, sentences))
    return sentences


def write_random_text(path, seed, final="\n"):
    rng = random.Random(seed)
    words = ["a", "the", "caf\u00e9", "\u732b", "\U0001f63a", "word" * 5, *NO_BLANKS]
    text = "".join(rng.choice(words) + rng.choice(BLANKS) for _ in range(2000))
    path.write_bytes((text + "last" + final).encode())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block", [1, 7, 64, 1 << 16])
@pytest.mark.parametrize("final", ["", "\n", "\n\n \n"])
def test_words_and_sentences_are_line_sentences(tmp_path, monkeypatch, seed, block, final):
    monkeypatch.setattr(corpus_module, "_CHUNK_BYTES", block)
    write_random_text(tmp_path / "text", seed, final)
    expected = list(LineSentence(str(tmp_path / "text"), max_sentence_length=10**9))
    assert read(tmp_path / "text") == expected
    assert len(expected) > 100


def test_a_line_longer_than_any_block_is_one_sentence(tmp_path):
    words = [f"w{i}" for i in range(50_000)]
    (tmp_path / "text8").write_text(" ".join(words))
    assert read(tmp_path / "text8") == [words]
    assert max(batch.num_words() for batch in iter_batches(tmp_path / "text8")) < 20_000


def test_a_word_longer_than_any_block(tmp_path):
    (tmp_path / "text").write_text("a " + "x" * 300_000 + " b\nc")
    assert read(tmp_path / "text") == [["a", "x" * 300_000, "b"], ["c"]]


@pytest.mark.parametrize(
    ("suffix", "module"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma), ("", None)]
)
def test_compressed_files(tmp_path, suffix, module):
    path = tmp_path / f"text.txt{suffix}"
    with (module or io).open(path, "wb") as file:
        file.write("caf\u00e9 the\nthe cat\n".encode())
    assert read(str(path)) == [["caf\u00e9", "the"], ["the", "cat"]]


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_files_and_no_sentence_across_them(tmp_path, kind):
    for name, text in [("a", "one two"), ("b", ""), ("c", "three\nfour")]:
        (tmp_path / name).write_text(text)
    paths = kind([str(tmp_path / "a"), tmp_path / "b", tmp_path / "c"])
    assert read(paths) == [["one", "two"], ["three"], ["four"]]


def test_iterables_of_token_lists(tmp_path):
    sentences = [["the", "cat"], [], ("a", "dog"), np.array(["x", "y"]), iter(["of", "words"])]
    assert read(sentences[:-1]) == [["the", "cat"], ["a", "dog"], ["x", "y"]]
    many = [[f"w{i}", "the"] for i in range(30_000)]
    assert read(many) == many
    assert sum(1 for _ in iter_batches(many)) > 5
    (tmp_path / "text").write_text("the cat\n\na dog\n")
    path = str(tmp_path / "text")
    assert read(LineSentence(path)) == read(path)
    assert read(PathLineSentences(str(tmp_path))) == read(path)
    assert read(Text8Corpus(path)) == [["the", "cat", "a", "dog"]]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`corpus` must name a file that exists\. Rec"):
        check_corpus(tmp_path / "none.txt")
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        check_corpus([str(tmp_path / "none.txt")])
    (tmp_path / "some").write_text("a")
    with pytest.raises(FileNotFoundError, match="Received: 'none'"):
        check_corpus([str(tmp_path / "some"), "none"])


def test_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="`corpus` must name files, not folders"):
        check_corpus(tmp_path)


def test_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="`corpus` must name ordinary files"):
        check_corpus(tmp_path / "pipe")


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "text").write_text("a")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="`corpus` must name a file that may be read"):
        check_corpus(tmp_path / "text")


@pytest.mark.parametrize("empty", [[], (), {}.values()])
def test_no_sentences(empty):
    with pytest.raises(ValueError, match="`corpus` must not be empty"):
        iter_batches(empty)


def test_empty_file(tmp_path):
    (tmp_path / "text").touch()
    for corpus in (tmp_path / "text", [tmp_path / "text"]):
        with pytest.raises(ValueError, match=r"`corpus` must not be empty\. Received: corpus='"):
            check_corpus(corpus)


@pytest.mark.parametrize("corpus", [(["a"] for _ in range(3)), iter([["a"]]), map(list, ["ab"])])
def test_generator(corpus):
    with pytest.raises(TypeError, match="`corpus` must be iterable more than once"):
        check_corpus(corpus)
    assert list(corpus)  # and was not begun


def test_an_open_file_is_exhausted_by_a_pass(tmp_path):
    (tmp_path / "text").write_text("a b\n")
    with (
        open(tmp_path / "text") as file,
        pytest.raises(TypeError, match="`corpus` must be iterable more than once"),
    ):
        check_corpus(file)


class HandsOutOneGenerator:
    def __init__(self):
        self.generator = (["a"] for _ in range(3))

    def __iter__(self):
        return self.generator


def test_a_corpus_that_turns_out_to_be_exhausted():
    corpus = HandsOutOneGenerator()
    assert len(read(corpus)) == 3
    with pytest.raises(ValueError, match="`corpus` must not be empty"):
        iter_batches(corpus)


class Begun:
    """Sentences that count how often they are begun; as an iterator that starts anew, or not."""

    def __init__(self, returns_itself):
        self.returns_itself, self.begun = returns_itself, 0

    def __iter__(self):
        self.begun += 1
        self.left = [["the", "cat"], ["a", "dog"]]
        return self if self.returns_itself else iter(self.left)

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


@pytest.mark.parametrize("returns_itself", [False, True])
def test_each_pass_begins_a_corpus_once(returns_itself):
    corpus = Begun(returns_itself)
    check_corpus(corpus)
    assert corpus.begun == 0
    for passes in (1, 2):
        assert read(corpus) == [["the", "cat"], ["a", "dog"]]
        assert corpus.begun == passes
    vocabulary, _ = read_corpus(corpus, min_count=1)
    assert corpus.begun == 3
    block_dataset(corpus, vocabulary, batch_size=32)
    assert corpus.begun == 4


def test_an_array_is_a_corpus_of_python_numbers():
    sentences = next(iter(iter_batches(np.array([[1, 2], [3, 4]])))).sentences
    assert sentences == [[1, 2], [3, 4]]
    assert {type(word) for words in sentences for word in words} == {int}


@pytest.mark.parametrize(
    "corpus",
    [["the cat", "a dog"], ["cat", "dog"], ("the cat",), {"the cat"}, ["e.g. the cat"], [b"cat"]],
)
def test_sentences_that_are_strings(corpus):
    with pytest.raises(TypeError, match="sentences that are lists of words, not strings"):
        iter_batches(corpus)


def test_sentence_that_is_a_string_further_on():
    with pytest.raises(TypeError, match=r"not strings. Received: 'the cat' as sentence 3"):
        list(iter_batches([["a"], ["b"], "the cat"]))


@pytest.mark.parametrize("corpus", [None, 5, object()])
def test_no_corpus_at_all(corpus):
    with pytest.raises(TypeError, match="`corpus` must be a path, a list of paths or"):
        check_corpus(corpus)


@pytest.mark.parametrize("sentence", [None, 3])
def test_sentence_that_is_no_list(sentence):
    with pytest.raises(
        TypeError, match=r"lists of words. Received: (None|3) of type .* sentence 1"
    ):
        check_corpus([sentence])
    with pytest.raises(TypeError, match="as sentence 2"):
        list(iter_batches([["a"], sentence]))


@pytest.mark.parametrize("word", [["cat"], {"cat"}, ("cat", []), np.array(["cat"])], ids=str)
def test_word_that_is_not_hashable(word):
    message = (
        r"words that are strings, numbers or other hashable objects. Received: .* in sentence "
    )
    with pytest.raises(TypeError, match=f"{message}1"):
        check_corpus([["a", word]])
    with pytest.raises(TypeError, match=f"{message}20003"):
        list(iter_batches([["a"]] * 20_002 + [["a", word]]))


@pytest.mark.parametrize(
    "words", [[1, 2], [np.int64(1), 2], [("a", 1), ("a", 2)], ["1", 1], [b"a", None], [2.5, True]]
)
def test_words_that_are_no_strings(words):
    assert read([words, words]) == [words, words]
    vocabulary, tokens = read_corpus([words, words[:1]], min_count=1)
    assert vocabulary.words == words
    assert vocabulary.counts.tolist() == [2, 1]
    assert [vocabulary.index(word) for word in words] == [0, 1]
    assert tokens.tokens.tolist() == [-1, 1, -1]
    assert vocabulary == Vocabulary.from_corpus([words, words[:1]], min_count=1)


@pytest.mark.parametrize("block", [8, 1 << 16])
def test_bytes_that_are_not_utf8(tmp_path, monkeypatch, block):
    monkeypatch.setattr(corpus_module, "_CHUNK_BYTES", block)
    (tmp_path / "text").write_bytes(b"the cat\nsat on\nthe caf\xe9 x\n")
    message = r"`corpus` must be UTF-8 text\. Received: byte 0xe9 in line 3, byte offset 22, of '"
    with pytest.raises(ValueError, match=message):
        list(iter_batches(tmp_path / "text"))


def test_bytes_that_are_not_utf8_through_gensim(tmp_path):
    (tmp_path / "text").write_bytes(b"the cat\ncaf\xe9\n")
    with pytest.raises(ValueError, match="byte 0xe9 in sentence 2 of a corpus of type LineSent"):
        list(iter_batches(LineSentence(str(tmp_path / "text"))))


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
@pytest.mark.parametrize("damage", ["cut", "foreign", "changed"])
def test_damaged_compressed_file(tmp_path, suffix, module, damage):
    whole = module.compress(random.Random(0).randbytes(5000).hex().encode())
    changed = whole[:2000] + bytes(50) + whole[2050:]
    data = {"cut": whole[:3000], "foreign": b"the cat", "changed": changed}[damage]
    (tmp_path / f"text{suffix}").write_bytes(data)
    with pytest.raises(ValueError, match="`corpus` must not be a damaged compressed file"):
        list(iter_batches(tmp_path / f"text{suffix}"))
