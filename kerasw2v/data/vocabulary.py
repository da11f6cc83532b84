"""The words that a model knows, in the order of their ids."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kerasw2v.data.corpus import Corpus, Word, iter_batches, no_words_error
from kerasw2v.utils.checks import check_instance, check_int, check_words
from kerasw2v.utils.files import replace_on_success
from kerasw2v.utils.paths import check_path

_SENTENCE_END = "</s>"


class _Ids(dict[Any, int]):
    """Ids by word, -1 for unknown words: faster than `get` with a default."""

    def __missing__(self, word: Word) -> int:
        return -1


class Vocabulary:
    """Words with their counts, by descending count; a word's index is its id.

    The arguments are attributes too: `words` as a list, `counts` as a read-only int64 array. Two
    vocabularies are equal if their words and counts are.

    Args:
        words: the words, each once: strings, numbers, tuples or other hashable objects.
        counts: how often each occurs in the corpus; positive, descending.
        corpus_words: number of words of the corpus, those outside the vocabulary included.
            Defaults to the sum of `counts`.
        corpus_sentences: number of sentences of the corpus, if known.

    Raises:
        TypeError: if `words` is not a sequence of hashable objects or `counts` not of integers.
        ValueError: if `words` is empty, has a word twice, or one that UTF-8 cannot hold; if
            `counts` has another length, is not positive or not descending, or `corpus_words` is
            smaller than their sum.

    Example:

    >>> vocabulary = Vocabulary(["the", "cat"], [3, 1])
    >>> len(vocabulary), "cat" in vocabulary, vocabulary.index("cat")
    (2, True, 1)
    >>> vocabulary.encode(["the", "black", "cat"])
    array([0, 1], dtype=int32)
    >>> vocabulary.lookup(["the", "black", "cat"])
    array([ 0, -1,  1], dtype=int32)
    """

    def __init__(
        self,
        words: Sequence[Any],
        counts: Sequence[int] | npt.NDArray[np.integer],
        corpus_words: int | None = None,
        corpus_sentences: int | None = None,
    ) -> None:
        self.words = _checked_words(words)
        self.counts = _checked_counts(counts, len(self.words))
        self.corpus_words = total = int(self.counts.sum())
        if corpus_words is not None:
            self.corpus_words = check_int("corpus_words", corpus_words, minimum=total)
        self.corpus_sentences = corpus_sentences
        if corpus_sentences is not None:
            self.corpus_sentences = check_int("corpus_sentences", corpus_sentences, minimum=1)
        self._ids = _Ids(zip(self.words, range(len(self.words)), strict=True))
        if len(self._ids) < len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self._ids[word] != i)
            raise ValueError(f"`words` must hold each word once. Received: {twice!r} twice.")

    @classmethod
    def from_corpus(
        cls, corpus: Corpus, min_count: int = 5, max_final_vocab: int | None = None
    ) -> "Vocabulary":
        """Counts the words of a corpus, in one pass.

        Arguments and errors are those of `kerasw2v.read_corpus`, which encodes the corpus
        too in the same pass. Words of the same count are ordered by code point, or by their own
        order if they are not strings; words that cannot be ordered, in that of the corpus.

        Cost: about 0.2 microseconds per word, as gensim's `build_vocab`; memory for the counts of
        all different words.

        Example:

        >>> corpus = [["the", "cat", "and", "the", "dog"], ["a", "dog"]]
        >>> Vocabulary.from_corpus(corpus, min_count=1).words
        ['dog', 'the', 'a', 'and', 'cat']
        """
        check_limits(min_count, max_final_vocab)
        counts: Counter[Any] = Counter()
        sentences = 0
        for batch in iter_batches(corpus):
            counts.update(batch.words())
            sentences += batch.num_new_sentences()
        if not counts:
            raise no_words_error(corpus)
        return cls.from_counts(counts, min_count, max_final_vocab, sentences)

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[Any, int],
        min_count: int = 1,
        max_final_vocab: int | None = None,
        corpus_sentences: int | None = None,
    ) -> "Vocabulary":
        """Makes a vocabulary from counts, whose sum is its `corpus_words`.

        Args:
            counts: the count of each word, in any order.
            min_count: as in `kerasw2v.read_corpus`.
            max_final_vocab: as there.
            corpus_sentences: number of sentences of the corpus, if known.

        Raises:
            ValueError: if no word is left.

        Example:

        >>> Vocabulary.from_counts({"a": 1, "the": 9, "of": 5}, min_count=2).words
        ['the', 'of']
        """
        check_limits(min_count, max_final_vocab)
        check_instance("counts", counts, Mapping)
        if not counts:
            raise ValueError("`counts` must hold at least one word. Received: counts={}.")
        least = effective_min_count(counts, min_count, max_final_vocab)
        words = _in_order(word for word, count in counts.items() if count >= least)
        if not words:
            raise _no_word_left_error(max(counts.values()), min_count, max_final_vocab)
        words.sort(key=counts.__getitem__, reverse=True)  # stable: ties stay in order
        return cls(words, [counts[word] for word in words], sum(counts.values()), corpus_sentences)

    def merge(self, other: "Vocabulary") -> "Vocabulary":
        """Returns the vocabulary of both corpora together: counts of words are added up.

        So a vocabulary grows with new text. Words of the same count are in the order that
        `from_corpus` has.

        Args:
            other: the vocabulary of the other corpus.

        Returns:
            A vocabulary with the words of both. Its `corpus_words` are those of both together, and
            its `corpus_sentences` too, if both are known.

        Raises:
            TypeError: if `other` is not a vocabulary.

        Example:

        >>> monday = Vocabulary(["tea", "cup"], [3, 2])
        >>> merged = monday.merge(Vocabulary(["milk", "cup"], [4, 2]))
        >>> merged.words, merged.counts.tolist()
        (['cup', 'milk', 'tea'], [4, 4, 3])
        """
        check_instance("other", other, Vocabulary)
        counts: Counter[Any] = Counter()
        for each in (self, other):
            counts.update(dict(zip(each.words, each.counts.tolist(), strict=True)))
        known = self.corpus_sentences is not None and other.corpus_sentences is not None
        merged = self.from_counts(counts)
        return Vocabulary(
            merged.words,
            merged.counts,
            self.corpus_words + other.corpus_words,
            self.corpus_sentences + other.corpus_sentences if known else None,  # type: ignore[operator]
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Reads a vocabulary from a text file with a word and its count in each line.

        `save`, gensim (`save_word2vec_format(..., fvocab=...)`) and word2vec.c (`-save-vocab`)
        write such files. Lines may be in any order; words of the same count keep theirs. The `</s>`
        for line ends, which word2vec.c writes first whatever its count, is not read as a word. The
        file does not say how many words of the corpus were left out.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if a line is not of that form; the message names the line.

        Example:

        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/vocabulary.txt"
        >>> vocabulary = Vocabulary(["the", "cat"], [3, 1])
        >>> vocabulary.save(path)
        >>> Vocabulary.load(path) == vocabulary
        True
        """
        check_path("path", path)
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"`path` must name a file that exists. Received: path={os.fspath(path)!r}."
            )
        counts = _read_counts(path)
        sentences = None
        first = next(iter(counts), None)
        if first == _SENTENCE_END and counts[first] < max([*counts.values()][1:], default=1):
            sentences = counts.pop(first) or None
        if not counts:
            raise ValueError(f"`path` must hold a word. Received: path={os.fspath(path)!r}.")
        words = sorted(counts, key=counts.__getitem__, reverse=True)  # stable
        return cls(words, [counts[word] for word in words], corpus_sentences=sentences)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a line with the word and its count for each word, in UTF-8, for `load` to read.

        gensim reads the file as `fvocab`, word2vec.c as `-read-vocab`. (word2vec.c reads its first
        line as the mark of line ends: add a line `</s> 0` before it for that program.)
        An existing file is replaced; the file appears whole or not at all.

        Raises:
            TypeError: if a word is not a string.
            ValueError: if a word is empty or has whitespace in it.
            OSError: if the folder does not exist, cannot be written, or the disk is full.
        """
        for word in self.words:
            if not isinstance(word, str):
                raise TypeError(
                    "`words` must be strings to be saved as text, which does not say their type. "
                    f"Received: {word!r} of type {type(word).__name__}."
                )
            if word.split() != [word]:
                raise ValueError(
                    "`words` must be without whitespace and not empty to be saved as text. "
                    f"Received: {word!r}."
                )
        with replace_on_success(path) as file:
            for word, count in zip(self.words, self.counts.tolist(), strict=True):
                file.write(f"{word} {count}\n".encode())

    def index(self, word: Word) -> int:
        """Returns the id of a word; raises KeyError for a word outside the vocabulary."""
        index = self._ids[word]
        if index < 0:
            raise KeyError(
                f"`word` must be in the vocabulary of {len(self):,} words. Received: word={word!r}."
            )
        return index

    def encode(self, tokens: Iterable[Word]) -> npt.NDArray[np.int32]:
        """Returns the ids of a sentence's words, int32, without words outside the vocabulary."""
        ids = self.lookup(tokens)
        return ids[ids >= 0]

    def lookup(self, tokens: Iterable[Word]) -> npt.NDArray[np.int32]:
        """Returns the id of each word, int32, -1 for one outside the vocabulary.

        Costs about 0.1 microseconds per word. Raises TypeError for a string instead of a list.
        """
        if isinstance(tokens, str | bytes) or not isinstance(tokens, Iterable):
            raise TypeError(
                f"`tokens` must be a list of words, not a string. Received: tokens={tokens!r}."
            )
        return np.fromiter(map(self._ids.__getitem__, tokens), np.int32)

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.words == other.words and np.array_equal(self.counts, other.counts)

    def __repr__(self) -> str:
        return (
            f"<Vocabulary of {len(self):,} words, {self.words[0]!r} to {self.words[-1]!r}, counts "
            f"{self.counts[0]:,} to {self.counts[-1]:,}, corpus of {self.corpus_words:,} words>"
        )


def _in_order(words: Iterable[Any]) -> list[Any]:
    """Returns words in their order; as they come if they have none, as numbers among strings."""
    words = list(words)
    try:
        return sorted(words)
    except TypeError:
        return words


def _checked_words(words: Sequence[Any]) -> list[Any]:
    if isinstance(words, str | bytes) or not isinstance(words, Iterable):
        raise TypeError(f"`words` must be a list of words. Received: words={words!r}.")
    try:
        checked = list(words)
    except TypeError:
        raise TypeError(f"`words` must be a list of words. Received: words={words!r}.") from None
    if not checked:
        raise ValueError("`words` must hold at least one word. Received: words=[].")
    for word in checked:
        try:
            hash(word)
        except TypeError:
            raise TypeError(
                "`words` must be strings, numbers or other hashable objects. "
                f"Received: {word!r} of type {type(word).__name__}."
            ) from None
    check_words("words", checked)
    return checked


def _checked_counts(
    counts: Sequence[int] | npt.NDArray[np.integer], length: int
) -> npt.NDArray[np.int64]:
    array = np.asarray(counts)
    if array.shape != (length,):
        raise ValueError(
            f"`counts` must hold one count per word, {length} in all. "
            f"Received: shape {array.shape}."
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"`counts` must be integers. Received: counts of type {array.dtype}.")
    array = array.astype(np.int64)
    if array.min() < 1:
        raise ValueError(f"`counts` must be at least 1. Received: {array.min()}.")
    rises = np.flatnonzero(array[1:] > array[:-1])
    if rises.size:
        first, second = array[rises[0] : rises[0] + 2]
        raise ValueError(f"`counts` must descend. Received: {second} after {first}.")
    array.flags.writeable = False
    return array


def check_limits(min_count: int, max_final_vocab: int | None) -> None:
    """Raises TypeError or ValueError unless both limits of a vocabulary are positive integers."""
    check_int("min_count", min_count, minimum=1)
    if max_final_vocab is not None:
        check_int("max_final_vocab", max_final_vocab, minimum=1)


def effective_min_count(
    counts: Mapping[Any, int], min_count: int, max_final_vocab: int | None
) -> int:
    """Returns `min_count`, raised until at most `max_final_vocab` words are left, as in gensim."""
    if max_final_vocab is None or max_final_vocab >= len(counts):
        return min_count
    return max(min_count, sorted(counts.values(), reverse=True)[max_final_vocab] + 1)


def _no_word_left_error(largest: int, min_count: int, max_final_vocab: int | None) -> ValueError:
    if largest < min_count:
        return ValueError(
            "`min_count` must not exceed the count of the most frequent word, which is "
            f"{largest}. Received: min_count={min_count}."
        )
    return ValueError(
        f"`max_final_vocab` must be large enough for all words of the largest count, {largest}, "
        "since words of the same count are kept or left out together. "
        f"Received: max_final_vocab={max_final_vocab}, min_count={min_count}."
    )


def _read_counts(path: str | os.PathLike[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            word, count = _parse(line, number, path)
            if word in counts:
                raise _bad_line(f"{word!r}, which is in an earlier line too,", number, path)
            counts[word] = count
    return counts


def _parse(line: bytes, number: int, path: str | os.PathLike[str]) -> tuple[str, int]:
    try:
        word, count = line.decode("utf-8").split()
    except ValueError:
        raise _bad_line(repr(line[:40]), number, path) from None
    # word2vec.c writes `</s>` with the count 0 for a corpus without line ends.
    least = 0 if word == _SENTENCE_END and number == 1 else 1
    if not (count.isascii() and count.isdigit() and least <= int(count) < 2**63):
        raise _bad_line(f"the count {count[:40]!r}", number, path)
    return word, int(count)


def _bad_line(what: str, number: int, path: str | os.PathLike[str]) -> ValueError:
    return ValueError(
        "`path` must be a vocabulary, a text file with a word and its count in each line, each "
        f"word once. Received: {what} in line {number} of {os.fspath(path)!r}."
    )
