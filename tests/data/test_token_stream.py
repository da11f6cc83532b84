"""TokenStream: against an encoding word by word, in memory and in files."""

import gc
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from gensim.models.word2vec import LineSentence
from gensim.test.utils import datapath

from kerasw2v import corpus as corpus_module
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary

LEE = datapath("lee_background.cor")


def naive(sentences, vocabulary):
    """The definition: sentence by sentence, word by word."""
    ids = {word: number for number, word in enumerate(vocabulary.words)}
    stream = []
    for sentence in sentences:
        kept = [ids[word] for word in sentence if word in ids]
        stream += [~kept[0], *kept[1:]] if kept else []
    return stream


def write_random_corpus(path, seed):
    """Lines of known and unknown words, blank lines, lines of unknown words only."""
    rng = random.Random(seed)
    words = ["the", "of", "cat", "dog", "x", "y", "z"]
    lines = [" ".join(rng.choices(words, k=rng.randrange(9))) for _ in range(300)]
    path.write_text("\n".join(lines))
    return [line.split() for line in lines]


KNOWN = Vocabulary(["the", "of", "cat"], [9, 8, 7])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block", [3, 10, 40, 1 << 16])
@pytest.mark.parametrize("limit", [0, 1000, 2**20])
def test_encoding_is_the_definitions(tmp_path, monkeypatch, seed, block, limit):
    monkeypatch.setattr(corpus_module, "_BLOCK_BYTES", block)
    sentences = write_random_corpus(tmp_path / "text", seed)
    expected = naive(sentences, KNOWN)
    stream = TokenStream.from_corpus(tmp_path / "text", KNOWN, in_memory_limit=limit)
    assert stream.tokens.tolist() == expected
    assert stream.tokens.dtype == np.int32
    assert len(stream) == len(expected)
    assert stream.corpus_words == sum(map(len, sentences))
    assert stream.num_sentences == sum(token < 0 for token in expected)
    assert isinstance(stream.tokens, np.memmap) == (4 * len(expected) > limit)
    assert not stream.tokens.flags.writeable


@pytest.mark.parametrize("seed", range(5))
def test_a_corpus_in_any_form_and_place_gives_the_same(tmp_path, seed):
    sentences = write_random_corpus(tmp_path / "text", seed)
    expected = naive(sentences, KNOWN)
    for corpus in (sentences, LineSentence(str(tmp_path / "text"))):
        stream = TokenStream.from_corpus(corpus, KNOWN, path=tmp_path / "tokens.npy")
        assert stream.tokens.tolist() == expected
        assert stream.corpus_words == sum(map(len, sentences))
    assert np.load(tmp_path / "tokens.npy").tolist() == expected
    assert sorted(os.listdir(tmp_path)) == ["text", "tokens.npy"]
    loaded = TokenStream.load(tmp_path / "tokens.npy", vocabulary_size=3)
    assert loaded.tokens.tolist() == expected
    assert isinstance(loaded.tokens, np.memmap)
    assert not loaded.tokens.flags.writeable


def test_real_text():
    vocabulary = Vocabulary.from_corpus(LEE)
    stream = TokenStream.from_corpus(LEE, vocabulary)
    assert stream.tokens.tolist() == naive(LineSentence(LEE), vocabulary)
    assert stream.corpus_words == vocabulary.corpus_words
    ids = np.where(stream.tokens < 0, ~stream.tokens, stream.tokens)
    assert np.bincount(ids).tolist() == vocabulary.counts.tolist()
    assert repr(stream) == f"<TokenStream of {len(stream):,} tokens in 300 sentences>"


def test_a_very_long_line_is_not_cut(tmp_path):
    (tmp_path / "text").write_text("the cat x " * 50_000)
    stream = TokenStream.from_corpus(tmp_path / "text", KNOWN)
    assert stream.num_sentences == 1
    assert len(stream) == 100_000


@pytest.mark.parametrize("limit", [0, 2**20])
def test_read_hands_back_pages_and_loses_nothing(monkeypatch, limit):
    monkeypatch.setattr("kerasw2v.data.token_stream._RELEASE_BYTES", 50)
    sentences = [["the", "cat", "of"]] * 1000
    stream = TokenStream.from_corpus(sentences, KNOWN, in_memory_limit=limit)
    read = np.concatenate([stream.read(start, start + 7) for start in range(0, 3000, 7)])
    assert read.tolist() == stream.tokens.tolist() == naive(sentences, KNOWN)


RESIDENT = """
import sys
import numpy as np
from kerasw2v.data.token_stream import TokenStream
def resident():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmRSS"))
stream = TokenStream.load(sys.argv[1])
before = resident()
peak = 0
for start in range(0, len(stream), 1 << 20):
    stream.read(start, start + (1 << 20))
    peak = max(peak, resident() - before)
print(peak // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_a_large_file_takes_little_memory(tmp_path):
    np.save(tmp_path / "tokens.npy", np.full(30 * 2**20, -1, np.int32))  # 120 MB
    run = [sys.executable, "-c", RESIDENT, str(tmp_path / "tokens.npy")]
    assert int(subprocess.run(run, capture_output=True, check=True).stdout) < 40


def test_temporary_file_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stream = TokenStream.from_corpus([["the", "cat"]] * 100, KNOWN, in_memory_limit=10)
    assert isinstance(stream.tokens, np.memmap)
    assert os.listdir(tmp_path) == []  # unlinked from the start
    tokens = stream.tokens
    del stream
    gc.collect()
    assert tokens[1] == 2


def test_no_word_of_the_corpus_in_the_vocabulary(tmp_path):
    corpus = [["x", "y"], ["z"]]
    message = "at least one word of the vocabulary.*3 words, none among the vocabulary's 3"
    with pytest.raises(ValueError, match=message):
        TokenStream.from_corpus(corpus, KNOWN)
    with pytest.raises(ValueError, match=message):
        TokenStream.from_corpus(corpus, KNOWN, path=tmp_path / "tokens.npy")
    assert os.listdir(tmp_path) == []


def test_bad_corpus_and_bad_limit(tmp_path):
    with pytest.raises(TypeError, match="`corpus` must be iterable more than once"):
        TokenStream.from_corpus(iter([["the"]]), KNOWN)
    with pytest.raises(FileNotFoundError, match="`path` must lie in a folder that exists"):
        TokenStream.from_corpus([["the"]], KNOWN, path=tmp_path / "none" / "tokens.npy")
    with pytest.raises(ValueError, match="`in_memory_limit` must be at least 0"):
        TokenStream.from_corpus([["the"]], KNOWN, in_memory_limit=-1)


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([-1, 2], TypeError, "`tokens` must be an int32 array. Received: list"),
        (np.array([-1, 2]), TypeError, "`tokens` must be an int32 array. Received: int64"),
        (np.full((2, 2), -1, np.int32), ValueError, "must be one-dimensional and not empty"),
        (np.zeros(0, np.int32), ValueError, "must be one-dimensional and not empty"),
        (np.array([1, 2], np.int32), ValueError, "must start with a sentence.*Received: 1"),
    ],
)
def test_bad_tokens(tokens, error, message):
    with pytest.raises(error, match=message):
        TokenStream(tokens)


def test_bad_corpus_words():
    with pytest.raises(ValueError, match="`corpus_words` must be at least 2"):
        TokenStream(np.array([-1, 2], np.int32), corpus_words=1)


def test_the_callers_array_stays_writable():
    tokens = np.array([-1, 2], np.int32)
    TokenStream(tokens)
    tokens[1] = 3


def test_load_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="`path` must name a file that exists"):
        TokenStream.load(tmp_path / "none.npy")


def saved(array):
    return lambda path: np.save(path, array, allow_pickle=True)


def cut(path):
    np.save(path, np.full(1000, -1, np.int32))
    os.truncate(path, 2000)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"the 9\nof 5\n"),
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x76\x00{'descr': "),
        cut,
        saved(np.zeros(4)),
        saved(np.array([-1, 2])),
        saved(np.array([-1, 2], ">i4")),
        saved(np.array([None, "a"])),
        saved(np.full((2, 2), -1, np.int32)),
        saved(np.zeros(0, np.int32)),
        saved(np.array([3, 4], np.int32)),
    ],
)
def test_load_of_a_damaged_or_foreign_file(tmp_path, write):
    path = tmp_path / "tokens.npy"
    write(path)
    with pytest.raises(ValueError, match=r"`path` must be a token stream.*Received: path='.*'\.$"):
        TokenStream.load(path)


@pytest.mark.parametrize("tokens", [[-1, 2, 3], [-4, 0]])
def test_load_with_ids_outside_the_vocabulary(tmp_path, tokens):
    np.save(tmp_path / "tokens.npy", np.array(tokens, np.int32))
    TokenStream.load(tmp_path / "tokens.npy", vocabulary_size=4)
    with pytest.raises(ValueError, match=r"below vocabulary_size=3. Received: id 3 in '"):
        TokenStream.load(tmp_path / "tokens.npy", vocabulary_size=3)


LIMITED = """
import resource, sys, tempfile
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary
tempfile.tempdir = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
corpus = [["the", "of", "cat"]] * 100_000
path = sys.argv[2] or None
try:
    TokenStream.from_corpus(corpus, Vocabulary(["the", "of"], [2, 1]), path, in_memory_limit=1000)
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["tokens.npy", ""])
def test_a_disk_that_fills_while_encoding(tmp_path, name):
    path = str(tmp_path / name) if name else ""
    run = [sys.executable, "-c", LIMITED, str(tmp_path), path]
    out = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert out.startswith(f"The disk is full: '{tmp_path}/{name or '(temporary file)'}' could not")
    assert out.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_encoding_leaves_the_old_file(tmp_path, error):
    class Breaks:
        def __iter__(self):
            yield from [["the", "cat"]] * 20_000
            raise error

    (tmp_path / "tokens.npy").write_bytes(b"old")
    with pytest.raises(error):
        TokenStream.from_corpus(Breaks(), KNOWN, path=tmp_path / "tokens.npy")
    assert (tmp_path / "tokens.npy").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["tokens.npy"]
