"""TokenStream: against an encoding word by word, in memory and in files."""

import gc
import os
import random
import subprocess
import sys
from itertools import chain, pairwise

import numpy as np
import pytest
from gensim.models.word2vec import LineSentence
from gensim.test.utils import datapath

from kerasw2v.data import corpus as corpus_module
from kerasw2v.data.token_stream import TokenStream, select_tokens
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
    monkeypatch.setattr(corpus_module, "_CHUNK_BYTES", block)
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
def test_a_corpus_in_any_form_gives_the_same(tmp_path, seed):
    sentences = write_random_corpus(tmp_path / "text", seed)
    expected = naive(sentences, KNOWN)
    for corpus in (sentences, LineSentence(str(tmp_path / "text"))):
        stream = TokenStream.from_corpus(corpus, KNOWN)
        assert stream.tokens.tolist() == expected
        assert stream.corpus_words == sum(map(len, sentences))


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
stream = TokenStream(np.load(sys.argv[1], mmap_mode="r"))
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


def test_no_word_of_the_corpus_in_the_vocabulary():
    corpus = [["x", "y"], ["z"]]
    message = "at least one word of the vocabulary.*3 words, none among the vocabulary's 3"
    with pytest.raises(ValueError, match=message):
        TokenStream.from_corpus(corpus, KNOWN)


def test_bad_corpus_and_bad_limit():
    with pytest.raises(TypeError, match="`corpus` must be iterable more than once"):
        TokenStream.from_corpus(iter([["the"]]), KNOWN)
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


LIMITED = """
import resource, sys, tempfile
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary
tempfile.tempdir = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
corpus = [["the", "of", "cat"]] * 100_000
try:
    TokenStream.from_corpus(corpus, Vocabulary(["the", "of"], [2, 1]), in_memory_limit=1000)
except OSError as error:
    print(error)
"""


def test_a_disk_that_fills_while_encoding(tmp_path):
    run = [sys.executable, "-c", LIMITED, str(tmp_path)]
    out = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert out.startswith(f"The disk is full: '{tmp_path}/(temporary file)' could not")
    assert out.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_an_interrupted_encoding_leaves_nothing(tmp_path, monkeypatch):
    class Breaks:
        def __iter__(self):
            yield from [["the", "cat"]] * 20_000
            raise KeyboardInterrupt

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        TokenStream.from_corpus(Breaks(), KNOWN, in_memory_limit=1000)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("seed", range(20))
def test_selected_tokens_are_the_definitions(seed):
    """A stream cut at random into chunks, of which random tokens are selected."""
    rng = np.random.default_rng(seed)
    sentences = [list(rng.integers(9, size=n)) for n in rng.integers(6, size=40)]
    stay = [rng.random(len(sentence)) < 0.3 for sentence in sentences]
    expected = []
    for sentence, mask in zip(sentences, stay, strict=True):
        tokens = [word for word, stays in zip(sentence, mask, strict=True) if stays]
        expected += [~tokens[0], *tokens[1:]] if tokens else []
    ids, mask = np.array([*chain(*sentences)], np.int32), np.concatenate(stay)
    starts = np.cumsum([0, *map(len, filter(None, sentences))])[:-1]
    cuts = [0, *np.sort(rng.integers(len(ids), size=15)), len(ids)]  # empty chunks too
    selected, unstarted = [], False
    for begin, end in pairwise(cuts):
        inside = starts[(starts >= begin) & (starts < end)] - begin
        positions = np.flatnonzero(mask[begin:end])
        tokens, unstarted = select_tokens(ids[begin:end], positions, inside, unstarted)
        selected += tokens.tolist()
    assert selected == expected
