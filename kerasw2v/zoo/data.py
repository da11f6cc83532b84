"""The data of recipes: any text, corpora with a name, and baskets with planted groups."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasw2v.data.corpus import Corpus, check_corpus, iter_sentences
from kerasw2v.data.demo_corpus import lee_corpus

_HELD_OUT_EVERY = 100


def open_corpus(corpus: Corpus | None) -> tuple[str, Corpus]:
    """Returns the name of a corpus and the corpus, which may be a name itself.

    `"lee"`, also None, is 60,000 words of news that gensim ships; `"text8"`, 17 million words of
    Wikipedia, which gensim downloads once. A file of that name has precedence.
    """
    if corpus is None or (corpus == "lee" and not os.path.exists("lee")):
        return "lee", lee_corpus()
    if isinstance(corpus, str) and corpus == "text8" and not os.path.exists(corpus):
        return "text8", _text8()
    check_corpus(corpus)
    if isinstance(corpus, str | os.PathLike):
        return Path(os.fsdecode(corpus)).name.split(".")[0], corpus
    return "a corpus", corpus


def _text8() -> str:
    from gensim import downloader

    try:
        path: str = downloader.load("text8", return_path=True)
    except (OSError, ValueError) as error:  # urllib's errors are OSErrors
        raise ConnectionError(
            "The corpus text8 must be downloaded, which needs a network, once; or give the path "
            f"of a text file instead. Received: {' '.join(str(error).split())}."
        ) from error
    return path


@dataclass(frozen=True)
class Part:
    """The sentences of a corpus to train on, or those held out: every hundredth, from the first.

    Sentences are held out until they have `held_out_words` words; those to train on end with the
    one that reaches `max_words`.
    """

    corpus: Corpus
    held_out_words: int
    max_words: int | None = None
    held_out: bool = False

    def __iter__(self) -> Iterator[list[str]]:
        held_out = trained = 0
        for number, sentence in enumerate(filter(None, iter_sentences(self.corpus))):
            if number % _HELD_OUT_EVERY == 0 and held_out < self.held_out_words:
                held_out += len(sentence)
                if self.held_out:
                    yield sentence
            elif self.held_out and held_out >= self.held_out_words:
                return
            elif not self.held_out:
                trained += len(sentence)
                yield sentence
                if self.max_words is not None and trained >= self.max_words:
                    return


def planted_baskets(
    groups: int, items_per_group: int, baskets: int, basket_size: int, noise: float
) -> list[list[str]]:
    """Makes baskets whose items mostly belong to one group, drawn uniformly; always the same.

    Each item is of that group or, with probability `noise`, of any group. The n-th item of a group
    is drawn with a probability proportional to `1 / n`: there are best-sellers, as in real shops.
    Items are named by group and rank: `"g7-0"` is the best-seller of group 7.

    Example:

    >>> planted_baskets(groups=2, items_per_group=50, baskets=2, basket_size=3, noise=0.0)
    [['g1-21', 'g1-0', 'g1-26'], ['g1-0', 'g1-14', 'g1-0']]
    """
    if not 0 <= noise <= 1:
        raise ValueError(f"`noise` must be from 0 to 1. Received: noise={noise}.")
    rng = np.random.default_rng(0)
    popularity = 1 / np.arange(1, items_per_group + 1)
    popularity /= popularity.sum()
    shape = (baskets, basket_size)
    basket_group = np.broadcast_to(rng.integers(groups, size=(baskets, 1)), shape)
    group = np.where(rng.random(shape) < noise, rng.integers(groups, size=shape), basket_group)
    rank = rng.choice(items_per_group, size=shape, p=popularity)
    return [
        [f"g{g}-{r}" for g, r in zip(*pair, strict=True)]
        for pair in zip(group.tolist(), rank.tolist(), strict=True)
    ]


def item_group(item: str) -> str:
    """Returns the group of an item of `planted_baskets`."""
    return item.split("-")[0]


def digest(corpus: Corpus) -> str:
    """Returns the SHA-256 of a corpus: of its file, or of its sentences written as lines."""
    if isinstance(corpus, str | os.PathLike):
        with open(corpus, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    sha256 = hashlib.sha256()
    for sentence in iter_sentences(corpus):
        sha256.update((" ".join(sentence) + "\n").encode())
    return sha256.hexdigest()
