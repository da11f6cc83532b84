"""The corpora of a `Word2Vec`: read as gensim reads them, and no oftener than it takes."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from types import GeneratorType
from typing import Any, NamedTuple

from gensim import utils
from smart_open.compression import get_supported_extensions

from kerasw2v.data.corpus import Batch, iter_batches
from kerasw2v.data.counted_corpus import CountedCorpus

logger = logging.getLogger("kerasw2v.word2vec")

TrimRule = Callable[[str, int, int], int]


class Sentences:
    """The sentences of any iterable as lists of words, counted while they are read.

    A generator may be read once. Strings in place of lists are read as lists of characters, with
    gensim's warning.

    Args:
        corpus: iterable of sentences.

    Attributes:
        source: that iterable.
        num_sentences: sentences read since it was last begun.
        num_words: words read since then.
    """

    def __init__(self, corpus: Iterable[Any]) -> None:
        iterator = iter(corpus)
        self._once = iterator if iterator is corpus else None
        self.source = corpus
        # Peeking tells an empty corpus from others; what a generator hands out is kept.
        self._head = list(islice(iterator, 1))
        if self._head and isinstance(self._head[0], str):
            logger.warning(
                "Each 'sentences' item should be a list of words (usually unicode strings). "
                "The first one is a plain string, so its characters are taken for words."
            )
        self.num_sentences = 0
        self.num_words = 0

    def is_empty(self) -> bool:
        """Whether there is not one sentence."""
        return not self._head

    def __iter__(self) -> Iterator[list[str]]:
        self.num_sentences = self.num_words = 0
        source: Iterable[Any] = self.source
        if self._once is not None:
            source = chain(self._head, self._once)
        for sentence in source:
            # Anything that is no iterable is passed on, to be refused where corpora are checked.
            words = sentence
            if type(sentence) is not list and isinstance(sentence, Iterable):
                words = list(sentence)
            self.num_sentences += 1
            self.num_words += len(words) if isinstance(words, list) else 0
            yield words


def as_sentences(corpus_iterable: Any, corpus_file: str | None) -> Sentences | str:
    """Returns which of the two is the corpus."""
    return Sentences(corpus_iterable) if corpus_file is None else os.fspath(corpus_file)


def check_corpus(corpus_iterable: Any, corpus_file: Any, passes: int) -> None:
    """Raises TypeError unless exactly one corpus is given, and can be read `passes` times."""
    if (corpus_iterable is None) == (corpus_file is None):
        raise TypeError(
            "Exactly one of a corpus of sentences and `corpus_file` must be given. "
            f"Received: {'neither' if corpus_file is None else 'both'}."
        )
    if corpus_file is not None:
        _check_corpus_file(corpus_file)
        return
    if isinstance(corpus_iterable, str | bytes | os.PathLike):
        raise TypeError(
            "`sentences` must be an iterable of token lists; a file is given as `corpus_file`. "
            f"Received: {corpus_iterable!r}."
        )
    if not isinstance(corpus_iterable, Iterable):
        raise TypeError(
            f"`sentences` must be an iterable of token lists. Received: {corpus_iterable!r}."
        )
    once = isinstance(corpus_iterable, GeneratorType) or iter(corpus_iterable) is corpus_iterable
    if once and passes > 1:
        raise TypeError(
            f"`sentences` must be iterable more than once, for {passes} passes; a generator is "
            f"used up by the first. Received: {corpus_iterable!r}."
        )


def _check_corpus_file(corpus_file: Any) -> None:
    if not isinstance(corpus_file, str | os.PathLike) or not os.path.isfile(corpus_file):
        raise TypeError(f"`corpus_file` must be the path of a file. Received: {corpus_file!r}.")
    suffix = os.path.splitext(corpus_file)[1].lower()
    if suffix in get_supported_extensions():
        raise TypeError(
            "`corpus_file` must not be compressed; give LineSentence(path) as `sentences` instead. "
            f"Received: {corpus_file!r}."
        )


class ScannedCorpus(NamedTuple):
    """What one pass over a corpus finds.

    Attributes:
        counts: how often each word occurs.
        num_words: number of words.
        num_sentences: number of sentences.
        numbered: the corpus itself, ready to be encoded, where that was asked for.
    """

    counts: Counter[str]
    num_words: int
    num_sentences: int
    numbered: CountedCorpus | None = None


def scan(
    corpus: Sentences | str,
    max_vocab_size: int | None = None,
    trim_rule: TrimRule | None = None,
    progress_per: int = 10_000,
    keep_numbers: bool = False,
) -> ScannedCorpus:
    """Counts the words of a corpus in one pass.

    Args:
        corpus: sentences, or the path of a file with one a line.
        max_vocab_size: if given, rare words are forgotten whenever more different ones are known,
            those that occurred once the first time, twice the second, and so on.
        trim_rule: gensim's rule of what to keep, for that pruning.
        progress_per: sentences from one log message to the next.
        keep_numbers: True to keep the corpus in numbers, so that it need not be read again.

    Raises:
        TypeError: if sentences are not lists of strings.
        ValueError: if a file is not UTF-8.
    """
    if corpus.is_empty() if isinstance(corpus, Sentences) else not os.path.getsize(corpus):
        return ScannedCorpus(Counter(), 0, 0)
    batches = _CountedBatches(iter_batches(corpus), progress_per)
    numbered = None
    if max_vocab_size is not None:
        counts = _count_pruning(batches, max_vocab_size, trim_rule)
    elif keep_numbers:
        numbered = CountedCorpus(corpus, iter(batches))
        counts = numbered.counts
    else:
        counts = Counter()
        for batch in batches:
            counts.update(chain.from_iterable(batch.sentences))
    num_sentences = batches.num_sentences
    if isinstance(corpus, Sentences):
        num_sentences = corpus.num_sentences  # empty ones too, as gensim counts
    return ScannedCorpus(counts, batches.num_words, num_sentences, numbered)


class _CountedBatches:
    """Batches, counted and logged as they are read."""

    def __init__(self, batches: Iterator[Batch], progress_per: int) -> None:
        self._batches, self._progress_per = batches, progress_per
        self.num_words = self.num_sentences = 0

    def __iter__(self) -> Iterator[Batch]:
        told = 0
        for batch in self._batches:
            yield batch
            self.num_words += batch.num_words()
            self.num_sentences += batch.num_new_sentences()
            if self.num_sentences - told >= self._progress_per:
                told = self.num_sentences
                logger.info("%i sentences, %i words", told, self.num_words)


def _count_pruning(
    batches: Iterable[Batch], max_vocab_size: int, trim_rule: TrimRule | None
) -> Counter[str]:
    counts: Counter[str] = Counter()
    least = 1
    for batch in batches:
        if len(counts) + batch.num_words() <= max_vocab_size:
            counts.update(chain.from_iterable(batch.sentences))
            continue
        for sentence in batch.sentences:
            counts.update(sentence)
            if len(counts) > max_vocab_size:
                utils.prune_vocab(counts, least, trim_rule=trim_rule)
                least += 1
    return counts


class ScanCache:
    """The corpus that was scanned last, in numbers: training on it need not read it again.

    A file is the same until its size or its time of change differ. An iterable may hand out
    anything the next time, so it is taken for the same only where the caller says so.

    Args:
        same: an iterable that is scanned and then trained on at once.
    """

    def __init__(self, same: Iterable[Any] | None = None) -> None:
        self._same = same
        self._key: object = None
        self._scanned: ScannedCorpus | None = None

    def scan(
        self,
        corpus: Sentences | str,
        max_vocab_size: int | None,
        trim_rule: TrimRule | None,
        progress_per: int,
    ) -> ScannedCorpus:
        """Does what the function `scan` does, and remembers it."""
        self._key = self._key_of(corpus)
        keep_numbers = self._key is not None
        self._scanned = scan(corpus, max_vocab_size, trim_rule, progress_per, keep_numbers)
        return self._scanned

    def find(self, corpus: Sentences | str) -> ScannedCorpus | None:
        """Returns the last scan if it was of this corpus, and can be encoded."""
        scanned, key = self._scanned, self._key_of(corpus)
        if scanned is None or scanned.numbered is None or key is None or key != self._key:
            return None
        return scanned

    def _key_of(self, corpus: Sentences | str) -> object:
        if isinstance(corpus, str):
            state = os.stat(corpus)
            return os.path.realpath(corpus), state.st_ino, state.st_size, state.st_mtime_ns
        return id(corpus.source) if corpus.source is self._same else None
