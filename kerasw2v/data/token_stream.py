"""A corpus as one stream of token ids, encoded once and read by every epoch."""

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kerasw2v.data.corpus import Corpus, describe, iter_batches
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.utils.checks import check_instance, check_int
from kerasw2v.utils.files import clear_disk_errors

IN_MEMORY_LIMIT = 64 * 2**20
"""Most bytes of ids that are kept in memory; more go to a file."""
_SCAN_TOKENS = 1 << 20
_RELEASE_BYTES = 16 * 2**20


def word_ids(tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Returns the word ids of tokens, whether or not they start a sentence."""
    return np.asarray(tokens ^ (tokens >> 31))


def select_tokens(
    ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.integer],
    sentence_starts: npt.NDArray[np.integer],
    in_unstarted_sentence: bool,
) -> tuple[npt.NDArray[np.int32], bool]:
    """Selects tokens of a chunk of a corpus; the first selected one of a sentence starts it.

    Args:
        ids: word ids of the chunk.
        positions: which of them to select, ascending.
        sentence_starts: positions at which sentences start, ascending.
        in_unstarted_sentence: whether the chunk continues a sentence of which no token was
            selected yet.

    Returns:
        The selected tokens, `~id` at the start of a sentence, and `in_unstarted_sentence` for the
        next chunk.
    """
    tokens = ids[positions]
    first = np.searchsorted(positions, sentence_starts)
    if in_unstarted_sentence:
        first = np.concatenate([[0], first])
    in_unstarted_sentence = bool(len(first)) and bool(first[-1] == len(tokens))
    first = np.unique(first[first < len(tokens)])
    tokens[first] = ~tokens[first]
    return tokens, in_unstarted_sentence


class TokenSpool:
    """Joins the tokens of a corpus, in memory or, if they are many, in a file without a name.

    Args:
        in_memory_limit: more bytes of ids than this go to the file.

    Attributes:
        num_words: number of words so far, those left out included.
    """

    def __init__(self, in_memory_limit: int = IN_MEMORY_LIMIT) -> None:
        self.num_words = 0
        self._limit, self._num_tokens = in_memory_limit, 0
        self._path = os.path.join(tempfile.gettempdir(), "(temporary file)")
        self._in_unstarted_sentence = False
        # The file has no name from the start, so nobody has to delete it.
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory_limit)  # noqa: SIM115
        if in_memory_limit == 0:
            with clear_disk_errors(self._path):
                self._file.rollover()

    def add(self, ids: npt.NDArray[np.int32], sentence_starts: npt.NDArray[np.integer]) -> None:
        """Adds word ids, -1 for a word to leave out, and the positions where sentences start."""
        tokens, self._in_unstarted_sentence = select_tokens(
            ids, np.flatnonzero(ids >= 0), sentence_starts, self._in_unstarted_sentence
        )
        with clear_disk_errors(self._path):
            self._file.write(tokens.tobytes())
        self._num_tokens += tokens.size
        self.num_words += ids.size

    def tokens(self) -> npt.NDArray[np.int32]:
        """Returns all tokens, and closes the file, which its memory map keeps."""
        with self._file, clear_disk_errors(self._path):
            if self._num_tokens * 4 <= self._limit:
                self._file.seek(0)
                return np.frombuffer(self._file.read(), np.int32)
            self._file.flush()
            return np.memmap(self._file, np.int32, "r", shape=(self._num_tokens,))

    def close(self) -> None:
        """Closes the file, for a corpus that fails."""
        self._file.close()


def spool_tokens(
    chunks: Iterable[tuple[npt.NDArray[np.int32], npt.NDArray[np.integer]]], in_memory_limit: int
) -> tuple[npt.NDArray[np.int32], int]:
    """Joins the tokens of a corpus, as `TokenSpool` does.

    `chunks` are word ids, -1 for a word to leave out, with the positions at which sentences start.
    Returns the tokens, and the number of words, those left out included.
    """
    spool = TokenSpool(in_memory_limit)
    with closing(spool):
        for ids, sentence_starts in chunks:
            spool.add(ids, sentence_starts)
        return spool.tokens(), spool.num_words


class TokenStream:
    """All words of a corpus that are in the vocabulary, as int32 ids, in the corpus' order.

    The first token of each sentence is stored as `~id` (that is `-id - 1`), every other one as
    `id`: one array holds the sentences' boundaries too, and `tokens < 0` finds them. Words outside
    the vocabulary are left out, and so are sentences without any other word.

    Args:
        tokens: one-dimensional int32 array as described, starting with a sentence.
        corpus_words: number of words of the corpus, those outside the vocabulary included.
            Defaults to the number of tokens.

    Attributes:
        tokens: the ids: an array, or a memory map of a file if they are many. Read-only.
        corpus_words: as above.
        num_sentences: number of sentences.

    Raises:
        TypeError: if `tokens` is not an int32 array.
        ValueError: if it is not one-dimensional, is empty or does not start with a sentence.

    Example:

    >>> vocabulary = Vocabulary(["the", "cat"], [2, 2])
    >>> stream = TokenStream.from_corpus([["the", "black", "cat"], ["cat", "the"]], vocabulary)
    >>> stream.tokens
    array([-1,  1, -2,  0], dtype=int32)
    >>> len(stream), stream.num_sentences, stream.corpus_words
    (4, 2, 5)
    >>> [shard.tokens.tolist() for shard in stream.shards(2)]
    [[-1, 1], [-2, 0]]
    """

    def __init__(self, tokens: npt.NDArray[np.int32], corpus_words: int | None = None) -> None:
        self.tokens = _checked_tokens(tokens)
        self._unreleased = 0
        self.corpus_words = len(self)
        if corpus_words is not None:
            self.corpus_words = check_int("corpus_words", corpus_words, minimum=len(self))
        self.num_sentences = sum(int(np.count_nonzero(chunk < 0)) for chunk in self.chunks())

    @classmethod
    def from_corpus(
        cls, corpus: Corpus, vocabulary: Vocabulary, in_memory_limit: int = IN_MEMORY_LIMIT
    ) -> "TokenStream":
        """Encodes a corpus, in one pass.

        Args:
            corpus: as in `kerasw2v.read_corpus`.
            vocabulary: the `Vocabulary`.
            in_memory_limit: more bytes of ids than this go to a temporary file in the system's
                folder for such files (`TMPDIR`). It has no name: it vanishes with the
                `TokenStream`, even if the process is killed.

        Raises:
            ValueError: if no word of the corpus is in the vocabulary.
            FileNotFoundError, OSError, TypeError, ValueError: as `kerasw2v.read_corpus`.

        Cost: about 0.2 microseconds per word; 4 bytes per word in the vocabulary.
        """
        check_instance("vocabulary", vocabulary, Vocabulary)
        check_int("in_memory_limit", in_memory_limit, minimum=0)
        chunks = (
            (vocabulary.lookup(batch.words()), batch.sentence_starts())
            for batch in iter_batches(corpus)
        )
        tokens, num_words = spool_tokens(chunks, in_memory_limit)
        if not tokens.size:
            raise no_known_word_error(vocabulary, num_words, corpus)
        return cls(tokens, num_words)

    def longest_sentence(self) -> int:
        """Returns the number of tokens in the longest sentence, in one pass over them."""
        longest, begin, done = 0, 0, 0
        for chunk in self.chunks():
            starts = np.concatenate([[begin], np.flatnonzero(chunk < 0) + done])
            longest = max(longest, int(np.diff(starts).max(initial=0)))
            begin, done = int(starts[-1]), done + len(chunk)
        return max(longest, done - begin)

    def read(self, start: int, stop: int) -> npt.NDArray[np.int32]:
        """Returns a copy of `tokens[start:stop]`.

        Pages of a mapped file are released every 16 MiB: they would count as memory of the process.
        """
        tokens: npt.NDArray[np.int32] = np.array(self.tokens[start:stop])
        self._unreleased += tokens.nbytes
        if self._unreleased >= _RELEASE_BYTES:
            self._unreleased = 0
            _release_pages(self.tokens)
        return tokens

    def shards(self, number: int) -> list["TokenStream"]:
        """Cuts the stream between sentences into `number` shards of about the same length.

        They share the memory of this one. Raises TypeError or ValueError unless `number` is from 1
        to the number of sentences.
        """
        number = check_int("number", number, minimum=1)
        if number == 1:
            return [self]
        if number > self.num_sentences:
            raise ValueError(
                f"`number` must be at most the number of sentences, {self.num_sentences}. "
                f"Received: number={number}."
            )
        starts = np.concatenate(
            [np.flatnonzero(chunk < 0) + i * _SCAN_TOKENS for i, chunk in enumerate(self.chunks())]
        )
        order = np.arange(1, number)
        ideal = np.searchsorted(starts, len(self) * order // number)
        # Each shard starts after the one before, and leaves a sentence for each one after it.
        chosen = np.maximum.accumulate(np.maximum(ideal - order, 0)) + order
        cuts = starts[np.minimum(chosen, len(starts) - number + order)]
        ends = [0, *map(int, cuts), len(self)]
        return [TokenStream(self.tokens[begin:end]) for begin, end in pairwise(ends)]

    def chunks(self, size: int = _SCAN_TOKENS) -> Iterator[npt.NDArray[np.int32]]:
        """Yields all tokens, `size` at a time, as `read` does."""
        for start in range(0, len(self), size):
            yield self.read(start, start + size)

    def __len__(self) -> int:
        return self.tokens.size

    def __repr__(self) -> str:
        return f"<TokenStream of {len(self):,} tokens in {self.num_sentences:,} sentences>"


def no_known_word_error(vocabulary: Vocabulary, corpus_words: int, corpus: Corpus) -> ValueError:
    """Returns the error for a corpus without any word of the vocabulary."""
    return ValueError(
        "`corpus` must hold at least one word of the vocabulary. "
        f"Received: {describe(corpus)}, {corpus_words:,} words, none among the "
        f"vocabulary's {len(vocabulary):,}."
    )


def _checked_tokens(tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    if not isinstance(tokens, np.ndarray) or tokens.dtype != np.int32:
        kind = getattr(tokens, "dtype", type(tokens).__name__)
        raise TypeError(f"`tokens` must be an int32 array. Received: {kind}.")
    if tokens.ndim != 1 or not tokens.size:
        raise ValueError(
            "`tokens` must be one-dimensional and not empty. "
            f"Received: an array of shape {tokens.shape}."
        )
    if tokens[0] >= 0:
        raise ValueError(
            "`tokens` must start with a sentence, that is with a negative number. "
            f"Received: {tokens[0]}."
        )
    view = tokens.view()
    view.flags.writeable = False
    return view


def _release_pages(tokens: npt.NDArray[np.int32]) -> None:
    base: object = tokens
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)
