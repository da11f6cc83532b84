"""What a corpus is, and how it is read fast in constant memory.

Files are read in chunks of 64 KiB, cut at line ends, and yielded as batches of token lists. So the
work per word (splitting here, counting and encoding in the callers) runs in C loops, and the
strings of a batch are still in the processor's cache when they are looked up. A line longer than a
chunk is cut between words, so a corpus without any line end (text8) takes no more memory.
"""

import os
import sys
import warnings
import zlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from lzma import LZMAError
from types import FunctionType, GeneratorType
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

import numpy as np
import smart_open
from numpy.typing import NDArray

from kerasw2v.data.table import check_no_table, table_suffix
from kerasw2v.utils.checks import shortened

PathLike: TypeAlias = str | os.PathLike[str]
Word: TypeAlias = Hashable
"""A token: a string, a number, a tuple, or anything else that can be a key of a `dict`."""
Corpus: TypeAlias = PathLike | Sequence[PathLike] | Iterable[Sequence[Word]]
"""A path, a list of paths, or a re-iterable of token lists.

Files hold one sentence per line, words separated by whitespace, in UTF-8; `.gz`, `.bz2` and `.xz`
are unpacked while reading. Re-iterables are lists of lists, gensim's `LineSentence`,
`Text8Corpus` and `PathLineSentences`, and objects whose `__iter__` starts anew; their tokens are
strings, numbers, tuples or anything else that is hashable.
"""

_CHUNK_BYTES = 1 << 16
_NOTHING: Any = object()
_BATCH_WORDS = 10_000


class Batch(NamedTuple):
    """Some consecutive sentences of a corpus.

    Attributes:
        sentences: token lists; some may be empty (blank lines).
        continues: whether the first item continues the last sentence of the previous batch, of
            which at least one word was read.
    """

    sentences: list[list[Any]]
    continues: bool

    def words(self) -> Iterator[Any]:
        """All words of the batch."""
        return chain.from_iterable(self.sentences)

    def num_words(self) -> int:
        """Number of words in the batch."""
        return sum(map(len, self.sentences))

    def num_new_sentences(self) -> int:
        """Number of sentences that start in the batch, empty ones left out."""
        return len(self.sentence_starts())

    def sentence_starts(self) -> NDArray[np.int64]:
        """Positions among `words` at which sentences start."""
        lengths = np.fromiter(map(len, self.sentences), np.int64, len(self.sentences))
        starts = (np.cumsum(lengths) - lengths)[lengths > 0]
        return starts[1:] if self.continues and self.sentences[0] else starts


def check_corpus(corpus: Corpus) -> None:
    """Checks, before any work is done, that `corpus` can be read, and more than once.

    It only looks at the names of files and at the first sentence of a list. Other iterables are
    not begun: they may count, open or draw something whenever they are. `iter_batches` reports
    damage further inside.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: if a file cannot be read.
        ValueError: if there is no sentence, or a path is a pipe or device, which can be read
            only once.
        TypeError: if it is a generator or another iterator, if its sentences are strings instead
            of lists of words, or if it is not a corpus at all.
    """
    paths = _paths(corpus)
    if paths is None:
        _check_iterable(corpus)
        if isinstance(corpus, list | tuple):
            _check_first(corpus, next(iter(corpus), _NOTHING))
        return
    if not isinstance(corpus, str | os.PathLike):
        _check_not_sentences(paths)
    for path in paths:
        _check_file(path)
    # Size 0 of one file among several is harmless: there is something to train on.
    if not any(os.path.getsize(path) for path in paths):
        raise ValueError(f"`corpus` must not be empty. Received: {describe(corpus)}.")


def iter_batches(corpus: Corpus) -> Iterator[Batch]:
    """Reads a corpus from its beginning, in batches of about ten thousand words.

    Words and sentences are those of gensim's `LineSentence`: a file is split into sentences at line
    feeds only, and into words by `str.split`. Unlike there, a sentence may be of any length. Memory
    does not grow with the corpus; a file of 100 MB takes less than a second.

    Raises:
        ValueError: while iterating, if a file is not UTF-8 or a compressed file is damaged.
        TypeError: while iterating, if a sentence is not a list or a word is not hashable.
        Exception: at once, all that `check_corpus` raises, also for the first sentence of an
            iterable, which is begun once.

    Example:

    >>> for batch in iter_batches([["the", "cat"], ["a", "dog"]]):
    ...     print(batch.sentences, batch.continues)
    [['the', 'cat'], ['a', 'dog']] False
    """
    paths = _paths(corpus)
    if paths is None:
        _check_iterable(corpus)
        sentences = iter(decoded(cast(Iterable[Sequence[Word]], corpus)))
        first = next(sentences, _NOTHING)
        _check_first(corpus, first)
        return batches_of_sentences(chain([first], sentences))
    check_corpus(corpus)
    _warn_of_tables(paths)
    return chain.from_iterable(map(_file_batches, paths))


def batches_of_sentences(sentences: Iterable[Any]) -> Iterator[Batch]:
    """Yields an iterable of token lists, which is begun once, as `iter_batches` does; maybe none.

    Raises:
        TypeError: while iterating, as `iter_batches`.
    """
    batch: list[list[Any]] = []
    number = size = 0
    for number, sentence in enumerate(sentences, 1):
        batch.append(_as_list(sentence, number))
        size += len(batch[-1]) + 1  # so that empty sentences fill a batch too
        if size >= _BATCH_WORDS:
            _check_words(batch, number)
            yield Batch(batch, False)
            batch, size = [], 0
    _check_words(batch, number)
    yield Batch(batch, False)


def is_exhausted_by_a_pass(corpus: object) -> bool:
    """Whether an object is known to be iterable only once: a generator, `map`, an open file ...

    An iterator whose class has an `__iter__` of its own in Python may start anew in it.
    """
    if isinstance(corpus, GeneratorType):
        return True
    if not isinstance(corpus, Iterator):
        return False
    begin = getattr(type(corpus), "__iter__", None)
    module = type(corpus).__module__.partition(".")[0]
    return not isinstance(begin, FunctionType) and module in sys.stdlib_module_names


def iter_sentences(corpus: Corpus) -> Iterator[list[Any]]:
    """Reads a corpus from its beginning, a sentence at a time; slower than `iter_batches`.

    A line longer than 64 KiB is yielded in several parts, a blank line as an empty sentence. Errors
    are those of `iter_batches`.
    """
    return chain.from_iterable(batch.sentences for batch in iter_batches(corpus))


def describe(corpus: Corpus) -> str:
    """Names a corpus in an error message: `corpus='wiki.txt'`, or the type if it is not a file."""
    paths = _paths(corpus)
    if paths is None:
        return f"corpus of type {type(corpus).__name__}"
    more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
    return f"corpus={paths[0]!r}{more}"


def no_words_error(corpus: Corpus) -> ValueError:
    """Returns the error for a corpus without any word."""
    return ValueError(f"`corpus` must hold at least one word. Received: {describe(corpus)}.")


def _paths(corpus: Any) -> list[str] | None:
    """The paths that a corpus names, or None if it is an iterable of sentences."""
    if isinstance(corpus, str | os.PathLike):
        return [os.fsdecode(corpus)]
    if not isinstance(corpus, list | tuple) or not corpus:
        return None
    if not all(isinstance(item, str | os.PathLike) for item in corpus):
        return None
    return [os.fsdecode(item) for item in corpus]


def _check_not_sentences(paths: list[str]) -> None:
    # A list of strings is a list of paths, but far more often a forgotten `split`.
    if any(map(os.path.exists, paths)):
        return
    for number, path in enumerate(paths, 1):
        has_blank = path.split() != [path]
        like_path = os.sep in path or os.path.splitext(path)[1] not in ("", ".")
        if not os.path.isabs(path) and (has_blank or not like_path):
            raise _string_sentence(path, number)


def _string_sentence(sentence: object, number: int) -> TypeError:
    return TypeError(
        "`corpus` must hold sentences that are lists of words, not strings. "
        f"Received: {shortened(sentence)} as sentence {number}."
    )


def _check_file(path: str) -> None:
    received = f"Received: {path!r}."
    if os.path.isdir(path):
        raise IsADirectoryError(
            "`corpus` must name files, not folders (gensim's `PathLineSentences` reads a folder). "
            + received
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"`corpus` must name a file that exists. {received}")
    if not os.path.isfile(path):
        raise ValueError(
            "`corpus` must name ordinary files, since it is read more than once; a pipe or device "
            f"is not. {received}"
        )
    if table_suffix(path) == ".parquet":
        raise ValueError(
            "`corpus` must be text: `kerasw2v.read_table` reads a Parquet table, and so does "
            f"`kerasw2v train --columns GROUP ITEM`. {received}"
        )
    if not os.access(path, os.R_OK):
        raise PermissionError(f"`corpus` must name a file that may be read. {received}")


def _warn_of_tables(paths: list[str]) -> None:
    for path in paths:
        if table_suffix(path):
            warnings.warn(
                f"{path!r} is read as text, a sentence a line. If it is a table, with a row for "
                "each item of a basket or session, use `kerasw2v.read_table`, or "
                "`kerasw2v train --columns GROUP ITEM`.",
                stacklevel=4,
            )


def _check_iterable(corpus: Any) -> None:
    check_no_table("corpus", corpus)
    is_iterable = isinstance(corpus, Iterable) or hasattr(corpus, "__getitem__")
    if not is_iterable or isinstance(corpus, np.generic):  # NumPy's numbers have `__iter__`
        raise TypeError(
            "`corpus` must be a path, a list of paths or an iterable of token lists. "
            f"Received: {shortened(corpus)} of type {type(corpus).__name__}."
        )
    if is_exhausted_by_a_pass(corpus):
        raise TypeError(
            "`corpus` must be iterable more than once, since it is read in several passes; a "
            "generator or other iterator is exhausted by the first. "
            f"Received: {describe(corpus)}; pass `list(corpus)`, a file, or an object whose "
            "`__iter__` starts anew."
        )


def _check_first(corpus: Any, sentence: Any) -> None:
    if sentence is _NOTHING:
        raise ValueError(f"`corpus` must not be empty. Received: {describe(corpus)}.")
    _check_words([_as_list(sentence, 1)], 1)


def _file_batches(path: str) -> Iterator[Batch]:
    continues = False  # whether a word of the current line was in an earlier chunk
    for text in _text_chunks(path):
        sentences = list(map(str.split, text.split("\n")))
        yield Batch(sentences, continues)
        # After a final line feed the last item is empty, which ends the line.
        continues = bool(sentences[-1]) or (continues and len(sentences) == 1)


def _text_chunks(path: str) -> Iterator[str]:
    offset, line = 0, 1
    with smart_open.open(path, "rb") as file:
        for chunk in _chunks(file, path):
            try:
                yield chunk.decode("utf-8")
            except UnicodeDecodeError as error:
                line += chunk.count(b"\n", 0, error.start)
                raise ValueError(
                    f"`corpus` must be UTF-8 text. Received: byte 0x{chunk[error.start]:02x} in "
                    f"line {line}, byte offset {offset + error.start}, of {path!r}."
                ) from None
            offset += len(chunk)
            line += chunk.count(b"\n")


def _chunks(file: BinaryIO, path: str) -> Iterator[bytes]:
    """Cuts a file after line feeds, or after blanks where a line is longer than a chunk."""
    rest: list[bytes] = []
    while chunk := _read(file, path):
        end = chunk.rfind(b"\n") + 1 or max(chunk.rfind(b" "), chunk.rfind(b"\t")) + 1
        if end:
            yield b"".join((*rest, chunk[:end]))
            rest.clear()
        rest.append(chunk[end:])
    yield b"".join(rest)


def _read(file: BinaryIO, path: str) -> bytes:
    try:
        return file.read(_CHUNK_BYTES)
    except (EOFError, zlib.error, LZMAError, OSError) as error:
        # OSErrors of the decompressors have no number, unlike those of the system.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"`corpus` must not be a damaged compressed file ({error}). Received: {path!r}."
        ) from error


def decoded(corpus: Iterable[Sequence[Word]]) -> Iterator[Sequence[Word]]:
    """Iterates, and names the sentence in which gensim's readers fail to decode UTF-8."""
    number = 1
    try:
        for sentence in corpus:
            yield sentence
            number += 1
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`corpus` must be UTF-8 text. Received: byte 0x{error.object[error.start]:02x} in "
            f"sentence {number} of a {describe(corpus)}."
        ) from error


def _as_list(sentence: object, number: int) -> list[Any]:
    if type(sentence) is list:
        return sentence
    if isinstance(sentence, str | bytes):
        raise _string_sentence(sentence, number)
    if isinstance(sentence, np.ndarray) and sentence.ndim:
        words: list[Any] = sentence.tolist()  # Python's numbers, which are found faster
        return words
    if not isinstance(sentence, Iterable):
        raise TypeError(
            "`corpus` must hold sentences that are lists of words. "
            f"Received: {shortened(sentence)} of type {type(sentence).__name__} "
            f"as sentence {number}."
        )
    return list(sentence)


def _check_words(sentences: list[list[Any]], last: int) -> None:
    """Raises TypeError unless all words are hashable; `last` is the last sentence's number."""
    kinds = set(map(type, chain.from_iterable(sentences)))
    if all(issubclass(kind, str | int | float | np.number) for kind in kinds):
        return
    for number, sentence in enumerate(sentences, last + 1 - len(sentences)):
        for word in sentence:
            try:
                hash(word)
            except TypeError:
                raise TypeError(
                    "`corpus` must hold words that are strings, numbers or other hashable objects. "
                    f"Received: {shortened(word)} of type {type(word).__name__} "
                    f"in sentence {number}."
                ) from None
