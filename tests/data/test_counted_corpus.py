"""One pass over the text: against counting and encoding in two."""

import numpy as np
import pytest
from gensim.models.word2vec import LineSentence
from gensim.test.utils import datapath

from kerasw2v.data import corpus as corpus_module
from kerasw2v.data import token_stream
from kerasw2v.data.counted_corpus import CountedCorpus, read_corpus
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary

from .test_token_stream import naive, write_random_corpus

LEE = datapath("lee_background.cor")


def assert_as_in_two_passes(corpus, **limits):
    vocabulary, stream = read_corpus(corpus, **limits)
    expected = Vocabulary.from_corpus(corpus, **limits)
    assert vocabulary == expected
    assert vocabulary.corpus_words == expected.corpus_words
    assert vocabulary.corpus_sentences == expected.corpus_sentences
    encoded = TokenStream.from_corpus(corpus, expected)
    np.testing.assert_array_equal(stream.tokens, encoded.tokens)
    assert stream.corpus_words == encoded.corpus_words


@pytest.mark.parametrize("limits", [{}, {"min_count": 1}, {"max_final_vocab": 50}])
def test_a_file_and_sentences(limits):
    assert_as_in_two_passes(LEE, **limits)
    assert_as_in_two_passes(LineSentence(LEE), **limits)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block", [3, 10, 40, 1 << 16])
@pytest.mark.parametrize("limit", [0, 1000, 2**20])
@pytest.mark.parametrize("part", [1, 7, 2**20])
def test_encoding_is_the_definitions(tmp_path, monkeypatch, seed, block, limit, part):
    monkeypatch.setattr(corpus_module, "_CHUNK_BYTES", block)
    monkeypatch.setattr(TokenStream.chunks, "__defaults__", (part,))
    sentences = write_random_corpus(tmp_path / "text", seed)
    counted = CountedCorpus(tmp_path / "text", in_memory_limit=limit)
    assert counted.num_words == sum(map(len, sentences))
    assert counted.num_sentences == sum(map(bool, sentences))
    for word, count in counted.counts.items():
        assert count == sum(sentence.count(word) for sentence in sentences)
    known = Vocabulary(["the", "of", "cat", "not in the corpus"], [9, 8, 7, 6])
    stream = counted.encode(known)
    assert stream.tokens.tolist() == naive(sentences, known)
    assert stream.corpus_words == counted.num_words


def test_large_ones_are_in_a_file():
    small, large = (CountedCorpus(LEE, in_memory_limit=limit) for limit in (2**30, 1000))
    vocabulary = Vocabulary.from_counts(small.counts)
    assert not isinstance(small.encode(vocabulary).tokens, np.memmap)
    assert isinstance(large.encode(vocabulary).tokens, np.memmap)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_count": 10**6}, "`min_count` must not exceed the count of the most frequent word"),
        ({"min_count": 0, "max_final_vocab": 1}, "`min_count` must be at least 1"),
    ],
)
def test_wrong_limits_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        read_corpus(LEE if limits["min_count"] else "no such file", **limits)


def test_corpora_without_words_are_refused(tmp_path):
    (tmp_path / "blank").write_text("\n \n")
    with pytest.raises(
        ValueError, match=r"`corpus` must hold at least one word\. Received: corpus="
    ):
        read_corpus(tmp_path / "blank")
    assert CountedCorpus(tmp_path / "blank", in_memory_limit=0).counts == {}
    counted = CountedCorpus([["a", "b"]])
    with pytest.raises(ValueError, match=r"one word of the vocabulary\. Received: .*2 words"):
        counted.encode(Vocabulary(["c"], [1]))


def test_nothing_is_left_when_the_disk_is_full(monkeypatch):
    class FullDisk:
        def __init__(self, max_size):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(token_stream.tempfile, "SpooledTemporaryFile", FullDisk)
    with pytest.raises(OSError, match=r"The disk is full: .*temporary file"):
        CountedCorpus(LEE)
