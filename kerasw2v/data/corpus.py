"""What a corpus is, and reading it fast in constant memory.

Files are read in blocks of 64 KiB, cut at line ends, and handed on as batches of token lists: so
the work per word (splitting here, counting and encoding in the callers) runs inside C loops, and a
batch's strings are still in the processor's cache when they are looked up. A line longer than a
block comes in several pieces, cut between words, so a corpus without any line end (text8) takes no
more memory than another.
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from lzma import LZMAError
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

import smart_open

Path: TypeAlias = str | os.PathLike[str]
Corpus: TypeAlias = Path | Sequence[Path] | Iterable[Sequence[str]]
"""A path, a list of paths, or a re-iterable of token lists.

Files hold one sentence a line, words separated by whitespace, in UTF-8; `.gz`, `.bz2` and `.xz`
are unpacked while reading.
"""

_BLOCK_BYTES = 1 << 16
_BATCH_WORDS = 10_000


class Batch(NamedTuple):
    """Some consecutive sentences of a corpus.

    Attributes:
        sentences: token lists; some may be empty (blank lines).
        continues: whether the first item goes on with the sentence that ended the batch before,
            which has had at least one word.
    """

    sentences: list[list[str]]
    continues: bool

    def num_words(self) -> int:
        """Number of words in the batch."""
        return sum(map(len, self.sentences))

    def num_new_sentences(self) -> int:
        """Number of sentences with a word in them that begin in the batch."""
        begun = sum(map(bool, self.sentences))
        return begun - (self.continues and bool(self.sentences[0]))


def check_corpus(corpus: Corpus) -> None:
    """Checks, before any work is done, that `corpus` is one that can be read more than once.

    It costs a look at the files and at the first sentence of an iterable; damage further inside is
    found, and reported as clearly, by `iter_batches`.

    Args:
        corpus: a path (plain, `.gz`, `.bz2` or `.xz`; UTF-8; one sentence a line, words separated
            by whitespace), a list of paths, or any re-iterable of token lists, such as a list of
            lists or gensim's `LineSentence`, `Text8Corpus` and `PathLineSentences`.

    Raises:
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a path is a folder.
        PermissionError: if a file may not be read.
        ValueError: if there is no sentence, or a path is a pipe or device, which can be read
            only once.
        TypeError: if it is a generator or another iterator, if its sentences are strings instead
            of lists of strings, or if it is no corpus at all.

    Example:

    >>> check_corpus([["the", "cat"], ["a", "dog"]])
    >>> check_corpus(["the cat", "a dog"])
    Traceback (most recent call last):
    ...
    TypeError: `corpus` must hold sentences that are lists of words, not strings. Received: \
'the cat' as sentence 1.
    """
    paths = _paths(corpus)
    if paths is None:
        _check_iterable(corpus)
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

    What is a word and what is a sentence is as in gensim's `LineSentence`: a file is cut into
    sentences at line feeds only and into words at whatever `str.split` holds for whitespace. In
    difference to it, no line is too long for one sentence.

    Args:
        corpus: as in `check_corpus`, which is called at once.

    Returns:
        An iterator of `Batch`. Memory does not grow with the corpus; a file of 100 MB takes below a
        second.

    Raises:
        ValueError: while iterating, if a file is not UTF-8 or a compressed file is damaged.
        TypeError: while iterating, if a sentence is no list of words or a word is no string.
        Exception: at once, all that `check_corpus` raises.

    Example:

    >>> for batch in iter_batches([["the", "cat"], ["a", "dog"]]):
    ...     print(batch.sentences, batch.continues)
    [['the', 'cat'], ['a', 'dog']] False
    """
    check_corpus(corpus)
    paths = _paths(corpus)
    if paths is None:
        return _iterable_batches(cast(Iterable[Sequence[str]], corpus))
    return chain.from_iterable(map(_file_batches, paths))


def iter_sentences(corpus: Corpus) -> Iterator[list[str]]:
    """Reads a corpus from its beginning, a sentence at a time; slower than `iter_batches`.

    A line longer than 64 KiB comes in several pieces, and blank lines as empty sentences.

    Args:
        corpus: as in `check_corpus`, which is called at once.

    Raises:
        Exception: all that `iter_batches` raises.

    Example:

    >>> list(iter_sentences([["the", "cat"], ["a", "dog"]]))
    [['the', 'cat'], ['a', 'dog']]
    """
    return chain.from_iterable(batch.sentences for batch in iter_batches(corpus))


def describe(corpus: Corpus) -> str:
    """Names a corpus in an error message, briefly.

    Args:
        corpus: any corpus.

    Returns:
        For instance `corpus='wiki.txt'`, or the type for what is not a file.

    Example:

    >>> describe("wiki.txt"), describe([["a"]])
    ("corpus='wiki.txt'", 'corpus of type list')
    """
    paths = _paths(corpus)
    if paths is None:
        return f"corpus of type {type(corpus).__name__}"
    more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
    return f"corpus={paths[0]!r}{more}"


def no_words_error(corpus: Corpus) -> ValueError:
    """Returns what to raise about a corpus in which there is no word."""
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
        f"Received: {_short(sentence)} as sentence {number}."
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
    if not os.access(path, os.R_OK):
        raise PermissionError(f"`corpus` must name a file that may be read. {received}")


def _check_iterable(corpus: Any) -> None:
    try:
        iterator = iter(corpus)
    except TypeError:
        raise TypeError(
            "`corpus` must be a path, a list of paths or an iterable of token lists. "
            f"Received: {_short(corpus)} of type {type(corpus).__name__}."
        ) from None
    # The second condition unmasks classes that hand out one and the same generator.
    if iterator is corpus or iterator is iter(corpus):
        raise TypeError(
            "`corpus` must be iterable more than once, since it is read in several passes; a "
            "generator or other iterator is used up by the first. "
            f"Received: {describe(corpus)}; pass `list(corpus)`, a file, or an object whose "
            "`__iter__` starts anew."
        )
    for sentence in iterator:
        _check_words([_as_list(sentence, 1)], 1)
        return
    raise ValueError(f"`corpus` must not be empty. Received: {describe(corpus)}.")


def _file_batches(path: str) -> Iterator[Batch]:
    line_open = False  # whether the line goes on from the last piece and has had a word
    for text in _text_pieces(path):
        sentences = list(map(str.split, text.split("\n")))
        yield Batch(sentences, line_open)
        # After a final line feed the last item is empty and closes the line by itself.
        line_open = bool(sentences[-1]) or (line_open and len(sentences) == 1)


def _text_pieces(path: str) -> Iterator[str]:
    offset, line = 0, 1
    with smart_open.open(path, "rb") as file:
        for piece in _pieces(file, path):
            try:
                yield piece.decode("utf-8")
            except UnicodeDecodeError as error:
                line += piece.count(b"\n", 0, error.start)
                raise ValueError(
                    f"`corpus` must be UTF-8 text. Received: byte 0x{piece[error.start]:02x} in "
                    f"line {line}, byte offset {offset + error.start}, of {path!r}."
                ) from None
            offset += len(piece)
            line += piece.count(b"\n")


def _pieces(file: BinaryIO, path: str) -> Iterator[bytes]:
    """Cuts a file behind line feeds, or behind blanks where a line is longer than a block."""
    parts: list[bytes] = []
    while block := _read(file, path):
        cut = block.rfind(b"\n") + 1 or max(block.rfind(b" "), block.rfind(b"\t")) + 1
        if cut:
            yield b"".join((*parts, block[:cut]))
            parts.clear()
        parts.append(block[cut:])
    yield b"".join(parts)


def _read(file: BinaryIO, path: str) -> bytes:
    try:
        return file.read(_BLOCK_BYTES)
    except (EOFError, zlib.error, LZMAError, OSError) as error:
        # The unpackers' own OSErrors come without a number; those of the system pass.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"`corpus` must not be a damaged compressed file ({error}). Received: {path!r}."
        ) from error


def _iterable_batches(corpus: Iterable[Sequence[str]]) -> Iterator[Batch]:
    sentences: list[list[str]] = []
    size = first = 0
    for number, sentence in enumerate(_decoded(corpus), 1):
        tokens = _as_list(sentence, number)
        if not sentences:
            first = number
        sentences.append(tokens)
        size += len(tokens) + 1  # so that empty sentences fill a batch too
        if size >= _BATCH_WORDS:
            _check_words(sentences, first)
            yield Batch(sentences, False)
            sentences, size = [], 0
    _check_words(sentences, first)
    yield Batch(sentences, False)


def _decoded(corpus: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Iterates, and names the sentence where gensim's readers meet bytes that are not UTF-8."""
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


def _as_list(sentence: object, number: int) -> list[str]:
    if type(sentence) is list:
        return sentence
    if isinstance(sentence, str | bytes):
        raise _string_sentence(sentence, number)
    if not isinstance(sentence, Iterable):
        raise TypeError(
            "`corpus` must hold sentences that are lists of words. "
            f"Received: {_short(sentence)} of type {type(sentence).__name__} as sentence {number}."
        )
    return list(sentence)


def _check_words(sentences: list[list[str]], first: int) -> None:
    kinds = set(map(type, chain.from_iterable(sentences)))
    if all(issubclass(kind, str) for kind in kinds):
        return
    for number, sentence in enumerate(sentences, first):
        for word in sentence:
            if not isinstance(word, str):
                raise TypeError(
                    "`corpus` must hold words that are strings. Received: "
                    f"{_short(word)} of type {type(word).__name__} in sentence {number}."
                )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
