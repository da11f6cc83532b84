"""The corpora of a `Word2Vec`: read as gensim reads them, once if possible."""

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
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary

logger = logging.getLogger("kerasw2v.word2vec")

TrimRule = Callable[[str, int, int], int]


class Sentences:
    """The sentences of any iterable as lists of words, counted while they are read.

    A generator can be read once. Strings in place of lists are read as lists of characters, with
    gensim's warning. `num_sentences` is that read so far in the current pass.
    """

    def __init__(self, corpus: Iterable[Any]) -> None:
        iterator = iter(corpus)
        self._once = iterator if iterator is corpus else None
        self.source = corpus
        # One sentence is read to recognise an empty corpus; a generator yields it only once.
        self._head = list(islice(iterator, 1))
        if self._head and isinstance(self._head[0], str):
            logger.warning(
                "Each 'sentences' item should be a list of words (usually unicode strings). "
                "The first one is a plain string, so its characters are taken for words."
            )
        self.num_sentences = 0

    def is_empty(self) -> bool:
        """Whether there is no sentence."""
        return not self._head

    def __iter__(self) -> Iterator[list[str]]:
        self.num_sentences = 0
        source: Iterable[Any] = self.source
        if self._once is not None:
            source = chain(self._head, self._once)
        for sentence in source:
            self.num_sentences += 1
            # `iter_batches` refuses what is not iterable.
            is_list = type(sentence) is list or not isinstance(sentence, Iterable)
            yield sentence if is_list else list(sentence)


def as_corpus(corpus_iterable: Any, corpus_file: str | None) -> Sentences | str:
    """Returns the one of the two that was given."""
    return Sentences(corpus_iterable) if corpus_file is None else os.fspath(corpus_file)


def check_corpus_arguments(corpus_iterable: Any, corpus_file: Any, passes: int) -> None:
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
            f"exhausted by the first. Received: {corpus_iterable!r}."
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


class CorpusCounts(NamedTuple):
    """The count of each word, and the numbers of words and sentences of a corpus."""

    counts: Counter[str]
    num_words: int
    num_sentences: int


class ScanCache:
    """Reads corpora, and keeps the last one in numbers: training on it need not read it again.

    A file is the same until its size or its time of change differ. An iterable may yield anything
    the next time, so it is the same only if it is `reusable`: scanned and then trained on at once.
    """

    def __init__(self, reusable: Iterable[Any] | None = None) -> None:
        self._reusable = reusable
        self._key: object = None
        self._scanned: tuple[CountedCorpus, int] | None = None

    def scan(
        self,
        corpus: Sentences | str,
        max_vocab_size: int | None,
        trim_rule: TrimRule | None,
        progress_per: int,
    ) -> CorpusCounts:
        """Counts the words of a corpus in one pass.

        If more than `max_vocab_size` different words are known, rare ones are forgotten, unless
        `trim_rule` keeps them: first those that occurred once, then those that occurred twice, and
        so on. `progress_per` is the number of sentences from one log message to the next.
        """
        self._key, self._scanned = self._key_of(corpus), None
        if corpus.is_empty() if isinstance(corpus, Sentences) else not os.path.getsize(corpus):
            return CorpusCounts(Counter(), 0, 0)
        batches = _LoggedBatches(iter_batches(corpus), progress_per)
        counted = None
        if self._key is not None and max_vocab_size is None:
            counted = CountedCorpus(corpus, batches)
        counts = counted.counts if counted else _count_words(batches, max_vocab_size, trim_rule)
        num_sentences = batches.num_sentences
        if isinstance(corpus, Sentences):
            num_sentences = corpus.num_sentences  # empty ones too, as gensim counts
        if counted:
            self._scanned = counted, num_sentences
        return CorpusCounts(counts, batches.num_words, num_sentences)

    def encode(
        self, corpus: Sentences | str, vocabulary: Vocabulary
    ) -> tuple[TokenStream, int | None]:
        """Encodes a corpus, without reading it again if it was scanned last; forgets that scan.

        Returns the tokens, and the number of sentences if it is known.
        """
        scanned = self._scanned if self._key == self._key_of(corpus) else None
        self._reusable = self._key = self._scanned = None
        if scanned is not None:
            return scanned[0].encode(vocabulary), scanned[1]
        stream = TokenStream.from_corpus(corpus, vocabulary)
        return stream, corpus.num_sentences if isinstance(corpus, Sentences) else None

    def _key_of(self, corpus: Sentences | str) -> object:
        if isinstance(corpus, str):
            state = os.stat(corpus)
            return os.path.realpath(corpus), state.st_ino, state.st_size, state.st_mtime_ns
        return id(corpus.source) if corpus.source is self._reusable else None


class _LoggedBatches:
    """Batches, counted and logged while they are read."""

    def __init__(self, batches: Iterator[Batch], progress_per: int) -> None:
        self._batches, self._progress_per = batches, progress_per
        self.num_words = self.num_sentences = 0

    def __iter__(self) -> Iterator[Batch]:
        logged = 0
        for batch in self._batches:
            yield batch
            self.num_words += batch.num_words()
            self.num_sentences += batch.num_new_sentences()
            if self.num_sentences - logged >= self._progress_per:
                logged = self.num_sentences
                logger.info("%i sentences, %i words", logged, self.num_words)


def _count_words(
    batches: Iterable[Batch], max_vocab_size: int | None, trim_rule: TrimRule | None
) -> Counter[str]:
    counts: Counter[str] = Counter()
    min_reduce = 1
    for batch in batches:
        if max_vocab_size is None or len(counts) + batch.num_words() <= max_vocab_size:
            counts.update(batch.words())
            continue
        for sentence in batch.sentences:
            counts.update(sentence)
            if len(counts) > max_vocab_size:
                utils.prune_vocab(counts, min_reduce, trim_rule=trim_rule)
                min_reduce += 1
    return counts
