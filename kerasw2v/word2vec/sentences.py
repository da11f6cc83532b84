"""The corpora of a `Word2Vec`: begun as often as gensim begins them, read as it reads them."""

import logging
import os
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from gensim import utils
from gensim.models.word2vec import BrownCorpus, LineSentence, PathLineSentences, Text8Corpus
from smart_open.compression import get_supported_extensions

from kerasw2v.data.corpus import (
    Batch,
    batches_of_sentences,
    decoded,
    describe,
    is_exhausted_by_a_pass,
    iter_batches,
)
from kerasw2v.data.counted_corpus import CountedCorpus
from kerasw2v.data.table import check_no_table
from kerasw2v.data.token_stream import (
    IN_MEMORY_LIMIT,
    TokenStream,
    no_known_word_error,
    spool_tokens,
)
from kerasw2v.data.vocabulary import Vocabulary

logger = logging.getLogger("kerasw2v.word2vec")

TrimRule = Callable[[Any, int, int], int]

_LISTS = (list, tuple, np.ndarray)
_SENTENCES = (*_LISTS, str, bytes)


class Sentences:
    """The sentences of any iterable as lists of words, counted while they are read.

    Each pass begins the iterable once, and nothing else does. Strings in place of lists are read as
    lists of characters, with gensim's warning. `num_sentences` is that read so far in the current
    pass.
    """

    def __init__(self, corpus: Iterable[Any]) -> None:
        self.source = corpus
        self.num_sentences = 0

    def __iter__(self) -> Iterator[Any]:
        self.num_sentences = 0
        for sentence in decoded(self.source):
            if not self.num_sentences and isinstance(sentence, str):
                logger.warning(
                    "Each 'sentences' item should be a list of words (usually unicode strings). "
                    "The first one is a plain string, so its characters are taken for words."
                )
            self.num_sentences += 1
            yield list(sentence) if isinstance(sentence, str | bytes) else sentence


def as_corpus(corpus_iterable: Any, corpus_file: str | None) -> Sentences | str:
    """Returns the one of the two that was given."""
    return Sentences(corpus_iterable) if corpus_file is None else os.fspath(corpus_file)


def is_read_once(corpus: Sentences | str) -> bool:
    """Whether one pass over a corpus shows what all do: files, and lists of lists.

    Other iterables may draw, count or open something whenever they are begun.
    """
    if isinstance(corpus, str):
        return True
    source: Any = corpus.source
    if type(source) in (list, tuple):
        return set(map(type, source)) <= set(_SENTENCES)
    if type(source) in (LineSentence, PathLineSentences):
        return isinstance(source.source, str | os.PathLike)
    return type(source) in (np.ndarray, Text8Corpus, BrownCorpus)


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
    check_sentences("sentences", corpus_iterable)
    if passes > 1 and is_exhausted_by_a_pass(corpus_iterable):
        raise TypeError(
            f"`sentences` must be iterable more than once, for {passes} passes; a generator is "
            f"exhausted by the first. Received: {corpus_iterable!r}."
        )


def check_sentences(name: str, sentences: Any) -> None:
    """Raises TypeError unless an argument can be an iterable of token lists."""
    check_no_table(name, sentences)
    if isinstance(sentences, str | bytes | os.PathLike) or not isinstance(sentences, Iterable):
        raise TypeError(
            f"`{name}` must be an iterable of token lists. Received: {name}={sentences!r}."
        )


def exhausted_error(corpus: Sentences) -> TypeError:
    """Returns the error for a corpus that had sentences in an earlier pass, and now has none."""
    return TypeError(
        "`sentences` must be iterable more than once: it had sentences in an earlier pass, and has "
        f"none now. Received: {describe(corpus.source)}; give a list, or an object whose "
        "`__iter__` starts anew."
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

    counts: Counter[Any]
    num_words: int
    num_sentences: int


class Encoded(NamedTuple):
    """The ids of a pass over a corpus, None without a sentence, and the number of sentences."""

    stream: TokenStream | None
    num_sentences: int | None  # not counted in files that are read for training only


class ScanCache:
    """Reads corpora, and keeps the last one in numbers: training on it need not read it again.

    A file is the same until its size or its time of change differ. Another corpus is the same only
    if it is `reusable`: scanned and then trained on at once, and not to be read in each pass.
    """

    def __init__(self, reusable: Iterable[Any] | None = None) -> None:
        self._reusable = reusable
        self._key: object = None
        self._scanned: tuple[CountedCorpus, int] | None = None
        self._with_sentences: Callable[[], object] = lambda: None

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
        so on; None or 0 for no limit. `progress_per` is the number of sentences from one log
        message to the next.
        """
        self._key, self._scanned = self._key_of(corpus), None
        batches = _LoggedBatches(_batches(corpus), progress_per)
        counted = None
        if self._key is not None and not max_vocab_size:
            source = corpus.source if isinstance(corpus, Sentences) else corpus
            counted = CountedCorpus(source, batches)
        counts = counted.counts if counted else _count_words(batches, max_vocab_size, trim_rule)
        num_sentences = batches.num_sentences
        if isinstance(corpus, Sentences):
            num_sentences = corpus.num_sentences  # empty ones too, as gensim counts
            self._note_sentences(corpus)
        if counted and batches.num_words:
            self._scanned = counted, num_sentences
        return CorpusCounts(counts, batches.num_words, num_sentences)

    def encode(self, corpus: Sentences | str, vocabulary: Vocabulary) -> Encoded:
        """Encodes a corpus, without reading it again if it was scanned last; forgets that scan.

        Raises:
            TypeError: if it has no sentence, and had some in the pass before.
            ValueError: if it has words, and none is in the vocabulary.
        """
        scanned = self._scanned if self._key == self._key_of(corpus) else None
        self._reusable = self._key = self._scanned = None
        if scanned is not None:
            return Encoded(scanned[0].encode(vocabulary), scanned[1])
        if isinstance(corpus, str):
            return Encoded(TokenStream.from_corpus(corpus, vocabulary), None)
        tokens, num_words = spool_tokens(
            (
                (vocabulary.lookup(batch.words()), batch.sentence_starts())
                for batch in _batches(corpus)
            ),
            IN_MEMORY_LIMIT,
        )
        if not corpus.num_sentences:
            if corpus.source is self._with_sentences():
                raise exhausted_error(corpus)
            return Encoded(None, 0)
        self._note_sentences(corpus)
        if not tokens.size:
            raise no_known_word_error(vocabulary, num_words, corpus.source)
        return Encoded(TokenStream(tokens, num_words), corpus.num_sentences)

    def _note_sentences(self, corpus: Sentences) -> None:
        """Remembers an iterable that has sentences, as long as it lives."""
        if corpus.num_sentences and not isinstance(corpus.source, _LISTS):
            try:
                self._with_sentences = weakref.ref(corpus.source)
            except TypeError:
                self._with_sentences = lambda: None

    def _key_of(self, corpus: Sentences | str) -> object:
        if isinstance(corpus, str):
            state = os.stat(corpus)
            return os.path.realpath(corpus), state.st_ino, state.st_size, state.st_mtime_ns
        return id(corpus.source) if corpus.source is self._reusable else None


def _batches(corpus: Sentences | str) -> Iterator[Batch]:
    if isinstance(corpus, Sentences):
        return batches_of_sentences(corpus)
    return iter_batches(corpus) if os.path.getsize(corpus) else iter(())


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
) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    min_reduce = 1
    for batch in batches:
        if not max_vocab_size or len(counts) + batch.num_words() <= max_vocab_size:
            counts.update(batch.words())
            continue
        for sentence in batch.sentences:
            counts.update(sentence)
            if len(counts) > max_vocab_size:
                utils.prune_vocab(counts, min_reduce, trim_rule=trim_rule)
                min_reduce += 1
    return counts
