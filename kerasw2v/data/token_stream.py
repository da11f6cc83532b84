"""A corpus as one stream of token ids, encoded once and read by every epoch."""

import io
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from kerasw2v.data.corpus import Batch, Corpus, describe, iter_batches
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.utils.checks import check_int
from kerasw2v.utils.files import clear_disk_errors, replace_on_success

IN_MEMORY_LIMIT = 64 * 2**20
"""Bytes of ids from which on they are kept in a file."""
_SCAN_TOKENS = 1 << 20
_RELEASE_BYTES = 16 * 2**20


def word_ids(tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Returns the ids of tokens of a stream, whether or not they start a sentence."""
    return np.asarray(tokens ^ (tokens >> 31))


def taken(
    ids: npt.NDArray[np.int32],
    places: npt.NDArray[np.integer],
    starts: npt.NDArray[np.integer],
    start_is_due: bool,
) -> tuple[npt.NDArray[np.int32], bool]:
    """Takes some tokens of a part of a stream; the first that is taken of a sentence starts it.

    Args:
        ids: of all tokens of the part.
        places: which of them to take, rising.
        starts: where sentences start, rising.
        start_is_due: whether the sentence that reaches into the part has none taken so far.

    Returns:
        The tokens taken, and whether the last sentence has none so far.

    Example:

    >>> taken(np.arange(5), places=np.array([1, 4]), starts=np.array([0, 2]), start_is_due=False)
    (array([-2, -5]), False)
    """
    tokens = ids[places]
    first = np.searchsorted(places, starts)
    if start_is_due:
        first = np.concatenate([[0], first])
    start_is_due = bool(len(first)) and bool(first[-1] == len(tokens))
    first = np.unique(first[first < len(tokens)])
    tokens[first] = ~tokens[first]
    return tokens, start_is_due


class TokenStream:
    """All words of a corpus that are in the vocabulary, as int32 ids, in the corpus' order.

    The first token of each sentence is stored as `~id` (that is `-id - 1`), every other as `id`: so
    one array holds the sentences' boundaries too, and `tokens < 0` finds them. Words outside the
    vocabulary are not there; a sentence that has none else vanishes.

    Args:
        tokens: one-dimensional int32 array as described, starting with a sentence.
        corpus_words: number of words of the corpus, those outside the vocabulary included.
            Defaults to the number of tokens.

    Attributes:
        tokens: the ids; an array, or a memory map of a file if they are many. Read-only.
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
    """

    def __init__(self, tokens: npt.NDArray[np.int32], corpus_words: int | None = None) -> None:
        self.tokens = _checked_tokens(tokens)
        self._unreleased = 0
        self.corpus_words = len(self)
        if corpus_words is not None:
            self.corpus_words = check_int("corpus_words", corpus_words, minimum=len(self))
        self.num_sentences = sum(int(np.count_nonzero(part < 0)) for part in self.parts())

    @classmethod
    def from_corpus(
        cls,
        corpus: Corpus,
        vocabulary: Vocabulary,
        path: str | os.PathLike[str] | None = None,
        in_memory_limit: int = IN_MEMORY_LIMIT,
    ) -> "TokenStream":
        """Encodes a corpus, in one pass.

        Args:
            corpus: a path, a list of paths or a re-iterable of token lists; see
                `kerasw2v.data.corpus.check_corpus`.
            vocabulary: the `Vocabulary`.
            path: if given, the ids are written there, as a plain `.npy` file, which appears whole
                or not at all, and mapped into memory; `load` opens it again.
            in_memory_limit: without `path`, more bytes of ids than this go to a temporary file in
                the system's folder for such (`TMPDIR`). It has no name: it vanishes with the
                `TokenStream`, even if the process is killed.

        Returns:
            The `TokenStream`: 4 bytes for each word in the vocabulary; about 3 s for 17 million
            words. Memory beside `in_memory_limit` does not grow with the corpus.

        Raises:
            ValueError: if no word of the corpus is in the vocabulary, or it is not UTF-8.
            TypeError: if `corpus` is a generator or its sentences are not lists of strings.
            FileNotFoundError: if a file, or the folder of `path`, does not exist.
            OSError: if the disk fills; nothing is left behind.

        Example: see the class.
        """
        check_int("in_memory_limit", in_memory_limit, minimum=0)
        batches = iter_batches(corpus)
        if path is None:
            return cls(*_encode_to_spool(batches, vocabulary, corpus, in_memory_limit))
        with replace_on_success(path, "w+b") as file:
            corpus_words = _encode_to_npy(batches, vocabulary, corpus, file)
        return cls.load(path, len(vocabulary), corpus_words)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        vocabulary_size: int | None = None,
        corpus_words: int | None = None,
    ) -> "TokenStream":
        """Maps a file that `from_corpus(..., path=path)` wrote.

        Args:
            path: the file.
            vocabulary_size: if given, all ids must be smaller. Costs one pass over the file.
            corpus_words: number of words of the corpus, which is not in the file; for instance
                `vocabulary.corpus_words`. Defaults to the number of tokens.

        Returns:
            The `TokenStream`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is damaged or no such file, or if an id is not in the vocabulary.

        Example:

        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/tokens.npy"
        >>> vocabulary = Vocabulary(["the", "cat"], [2, 2])
        >>> stream = TokenStream.from_corpus([["the", "cat"]], vocabulary, path=path)
        >>> TokenStream.load(path, vocabulary_size=2).tokens
        memmap([-1,  1], dtype=int32)
        """
        stream = cls(_map_npy(path), corpus_words)
        if vocabulary_size is not None:
            largest = max(int(np.max(word_ids(part))) for part in stream.parts())
            if largest >= vocabulary_size:
                raise ValueError(
                    "`path` must hold ids inside the vocabulary, below "
                    f"vocabulary_size={vocabulary_size}. "
                    f"Received: id {largest} in {os.fspath(path)!r}."
                )
        return stream

    def read(self, start: int, stop: int) -> npt.NDArray[np.int32]:
        """Copies some tokens.

        The same as `tokens[start:stop].copy()`, but pages of a mapped file are handed back to the
        system every 16 MiB. With plain indexing they count as memory of the process until the
        system needs it, at last the whole file.

        Args:
            start: first token.
            stop: first token that is not copied any more.

        Returns:
            int32 array.

        Example:

        >>> vocabulary = Vocabulary(["the", "cat"], [2, 2])
        >>> TokenStream.from_corpus([["the", "cat"]], vocabulary).read(1, 2)
        array([1], dtype=int32)
        """
        part: npt.NDArray[np.int32] = np.array(self.tokens[start:stop])
        self._unreleased += part.nbytes
        if self._unreleased >= _RELEASE_BYTES:
            self._unreleased = 0
            _release_pages(self.tokens)
        return part

    def shards(self, number: int) -> list["TokenStream"]:
        """Cuts the stream at starts of sentences into parts of about the same length.

        Args:
            number: how many, at most one for each sentence.

        Returns:
            Streams that share the memory of this one.

        Raises:
            TypeError, ValueError: if `number` is not from 1 to the number of sentences.

        Example:

        >>> vocabulary = Vocabulary(["the", "cat"], [2, 2])
        >>> stream = TokenStream.from_corpus([["the", "cat"], ["cat", "the"]], vocabulary)
        >>> [shard.tokens.tolist() for shard in stream.shards(2)]
        [[-1, 1], [-2, 0]]
        """
        number = check_int("number", number, minimum=1)
        if number == 1:
            return [self]
        if number > self.num_sentences:
            raise ValueError(
                f"`number` must be at most the number of sentences, {self.num_sentences}. "
                f"Received: number={number}."
            )
        offsets = range(0, len(self), _SCAN_TOKENS)
        starts = np.concatenate(
            [np.flatnonzero(part < 0) + at for at, part in zip(offsets, self.parts(), strict=True)]
        )
        order = np.arange(1, number)
        ideal = np.searchsorted(starts, len(self) * order // number)
        # Each part begins after the one before, and leaves a sentence for each one after.
        chosen = np.maximum.accumulate(np.maximum(ideal - order, 0)) + order
        cuts = starts[np.minimum(chosen, len(starts) - number + order)]
        ends = [0, *map(int, cuts), len(self)]
        return [TokenStream(self.tokens[begin:end]) for begin, end in pairwise(ends)]

    def parts(self, size: int = _SCAN_TOKENS) -> Iterator[npt.NDArray[np.int32]]:
        """Yields all tokens, so many at a time, as `read` does."""
        for start in range(0, len(self), size):
            yield self.read(start, start + size)

    def __len__(self) -> int:
        return self.tokens.size

    def __repr__(self) -> str:
        return f"<TokenStream of {len(self):,} tokens in {self.num_sentences:,} sentences>"


class _Encoder:
    """Encodes batch after batch, and remembers what a sentence's next piece must know."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.corpus_words = 0
        self.num_tokens = 0
        self._vocabulary = vocabulary
        self._sentence_begun = False  # whether the last sentence has had a token

    def encode(self, batch: Batch) -> npt.NDArray[np.int32]:
        sentences = batch.sentences
        lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
        ids = self._vocabulary.lookup(chain.from_iterable(sentences))
        sentence = np.repeat(np.arange(lengths.size, dtype=np.int32), lengths)
        kept = ids >= 0
        tokens, sentence = ids[kept], sentence[kept]
        begins = np.ones(tokens.size, bool)
        begins[1:] = sentence[1:] != sentence[:-1]
        begun = batch.continues and self._sentence_begun
        if begun and tokens.size and sentence[0] == 0:
            begins[0] = False
        last = lengths.size - 1
        in_last = bool(tokens.size) and int(sentence[-1]) == last
        self._sentence_begun = in_last or (begun and last == 0)
        self.corpus_words += ids.size
        self.num_tokens += tokens.size
        return np.where(begins, ~tokens, tokens)


def _encode_to(
    write: Callable[[bytes], Any], batches: Iterator[Batch], vocabulary: Vocabulary, corpus: Corpus
) -> _Encoder:
    encoder = _Encoder(vocabulary)
    for batch in batches:
        write(encoder.encode(batch).tobytes())
    if not encoder.num_tokens:
        raise no_known_word_error(vocabulary, encoder.corpus_words, corpus)
    return encoder


def no_known_word_error(vocabulary: Vocabulary, corpus_words: int, corpus: Corpus) -> ValueError:
    """Returns what to raise about a corpus in which there is no word of the vocabulary."""
    return ValueError(
        "`corpus` must hold at least one word of the vocabulary. "
        f"Received: {describe(corpus)}, {corpus_words:,} words, none among the "
        f"vocabulary's {len(vocabulary):,}."
    )


def _encode_to_spool(
    batches: Iterator[Batch], vocabulary: Vocabulary, corpus: Corpus, limit: int
) -> tuple[npt.NDArray[np.int32], int]:
    encoders = []

    def write_all(write: Callable[[bytes], Any]) -> int:
        encoders.append(_encode_to(write, batches, vocabulary, corpus))
        return encoders[0].num_tokens

    return spooled(write_all, limit), encoders[0].corpus_words


def spooled(
    write_all: Callable[[Callable[[bytes], Any]], int], limit: int
) -> npt.NDArray[np.int32]:
    """Keeps numbers in memory, or in a file without a name if they are many.

    Args:
        write_all: writes the bytes of int32 numbers with the function that it is given, and
            returns how many numbers they are.
        limit: bytes to keep in memory at most.
    """
    # The file that takes over when the limit is passed is unlinked from the start, so nobody
    # has to delete it; the map keeps it alive after it is closed here.
    place = os.path.join(tempfile.gettempdir(), "(temporary file)")
    with clear_disk_errors(place), tempfile.SpooledTemporaryFile(max_size=limit) as spool:
        if limit == 0:
            spool.rollover()
        length = write_all(spool.write)
        if length * 4 <= limit:
            spool.seek(0)
            return np.frombuffer(spool.read(), np.int32)
        spool.flush()
        return np.memmap(spool, np.int32, "r", shape=(length,))


def _encode_to_npy(
    batches: Iterator[Batch], vocabulary: Vocabulary, corpus: Corpus, file: IO[bytes]
) -> int:
    # The length is known at the end only; any header of the largest length fits every other.
    room = len(_npy_header(np.iinfo(np.int64).max))
    file.write(bytes(room))
    encoder = _encode_to(file.write, batches, vocabulary, corpus)
    file.seek(0)
    file.write(_npy_header(encoder.num_tokens, room))
    return encoder.corpus_words


def _npy_header(length: int, room: int = 0) -> bytes:
    buffer = io.BytesIO()
    description = {"descr": "<i4", "fortran_order": False, "shape": (length,)}
    npy.write_array_header_1_0(buffer, description)
    header = buffer.getvalue()
    if room and len(header) != room:
        raise RuntimeError(f"The .npy header takes {len(header)} bytes instead of {room}.")
    return header


def _map_npy(path: str | os.PathLike[str]) -> npt.NDArray[np.int32]:
    name = os.fspath(path)
    if not os.path.exists(name):
        raise FileNotFoundError(f"`path` must name a file that exists. Received: path={name!r}.")
    try:
        return _checked_tokens(npy.open_memmap(name, mode="r"))
    except (ValueError, TypeError, EOFError, OverflowError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ValueError(
            f"`path` must be a token stream, an undamaged .npy file ({reason}). "
            f"Received: path={name!r}."
        ) from error


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
