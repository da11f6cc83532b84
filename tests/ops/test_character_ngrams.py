"""Character n-grams and their buckets against gensim's."""

import itertools

import numpy as np
import pytest
from gensim.models.fasttext import ft_ngram_hashes
from gensim.models.fasttext_inner import compute_ngrams_bytes

from kerasw2v.ops import character_ngrams as module
from kerasw2v.ops.character_ngrams import character_ngrams

WORDS = ["rose", "a", "", "käse", "東京都", "don't", "😀x😀", "aaaaaaa", "<>", 5, None, "ñ" * 9]


def lists(words, *arguments):
    ids, splits = character_ngrams(words, *arguments)
    assert ids.dtype == np.int32
    return [ids[begin:end].tolist() for begin, end in itertools.pairwise(splits)]


@pytest.mark.parametrize(("min_n", "max_n"), [(3, 6), (1, 3), (0, 2), (2, 1), (5, 5), (1, 40)])
@pytest.mark.parametrize("bucket", [1, 7, 2_000_000, 2**31 - 1])
def test_buckets_are_gensims(min_n, max_n, bucket):
    expected = [ft_ngram_hashes(word, min_n, max_n, bucket) for word in WORDS]
    assert lists(WORDS, min_n, max_n, bucket) == expected


def test_words_in_parts(monkeypatch):
    whole = lists(WORDS, 3, 6, 100)
    monkeypatch.setattr(module, "_WORDS_AT_ONCE", 5)
    assert lists(WORDS, 3, 6, 100) == whole


def test_the_example_of_the_paper():
    assert [ngram.decode() for ngram in compute_ngrams_bytes("where", 3, 3)] == [
        *("<wh", "whe", "her", "ere", "re>")
    ]
    assert len(lists(["where"], 3, 3, 2_000_000)[0]) == 5


def test_no_words():
    assert lists([], 3, 6, 10) == []


@pytest.mark.parametrize(("word", "error"), [("\ud800", ValueError), (("a", 1), TypeError)])
def test_words_without_ngrams_are_named(word, error):
    with pytest.raises(error, match=r"^Words must be .*Received: the word "):
        character_ngrams(["a", word], 3, 6, 10)
