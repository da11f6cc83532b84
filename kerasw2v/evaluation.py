"""Tests of word vectors: analogies, and agreement with people about similarity.

The three test sets are those that papers report; gensim ships them: `questions-words.txt`
(Mikolov et al., 2013), WordSim353 (Finkelstein et al., 2002) and SimLex999 (Hill et al., 2015).
"""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from gensim.test.utils import datapath

from kerasw2v.utils.checks import check_int, check_vectors
from kerasw2v.utils.files import PathLike
from kerasw2v.utils.paths import check_path

_WORD_PAIRS = {"WordSim353": "wordsim353.tsv", "SimLex999": "simlex999.txt"}


@dataclass(frozen=True)
class AnalogyScore:
    """Right answers among the analogy questions of a section, or of several.

    Attributes:
        name: name of the section.
        correct: number of right answers.
        total: number of questions whose four words are all known; others are left out.
    """

    name: str
    correct: int
    total: int

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; None where no question could be asked."""
        return self.correct / self.total if self.total else None


@dataclass(frozen=True)
class PairScore:
    """Agreement of cosines with people's judgements of how similar two words are.

    Attributes:
        name: name of the test set.
        spearman: rank correlation; None if fewer than two pairs have both words known, or all
            similarities are equal.
        pearson: linear correlation; None in the same cases.
        pairs: number of pairs in the test set.
        out_of_vocabulary: share of pairs with an unknown word; these are left out.
    """

    name: str
    spearman: float | None
    pearson: float | None
    pairs: int
    out_of_vocabulary: float


@dataclass(frozen=True)
class Evaluation:
    """Results of `evaluate`.

    Attributes:
        sections: score of each section of the analogy questions.
        semantic: all sections about the world (capitals, currencies, families) together; None if
            no section has a name that begins with "gram".
        syntactic: all sections about grammar together; None in the same case.
        total: all sections together.
        word_pairs: score of each set of word pairs.
    """

    sections: tuple[AnalogyScore, ...]
    semantic: AnalogyScore | None
    syntactic: AnalogyScore | None
    total: AnalogyScore
    word_pairs: tuple[PairScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as dicts, lists, strings, numbers and None, ready for JSON.

        Example:

        >>> total = AnalogyScore("total", 1, 4)
        >>> Evaluation((), None, None, total, ()).to_dict()["analogies"]["total"]
        {'name': 'total', 'correct': 1, 'total': 4, 'accuracy': 0.25}
        """
        return {
            "analogies": {
                "sections": [_analogy_dict(section) for section in self.sections],
                "semantic": _analogy_dict(self.semantic),
                "syntactic": _analogy_dict(self.syntactic),
                "total": _analogy_dict(self.total),
            },
            "word_pairs": [asdict(score) for score in self.word_pairs],
        }

    def table(self) -> str:
        """Returns a table for people to read.

        Example:

        >>> total = AnalogyScore("total", 1, 4)
        >>> pairs = (PairScore("WordSim353", 0.5, 0.25, 353, 0.1),)
        >>> print(Evaluation((), None, None, total, pairs).table())
        Analogies   accuracy  correct  asked
        total          25.0%        1      4
        <BLANKLINE>
        Word pairs  Spearman  Pearson  pairs  unknown
        WordSim353      .500     .250    353    10.0%
        """
        summary = [s for s in (self.semantic, self.syntactic, self.total) if s is not None]
        analogies = [
            (s.name, _percent(s.accuracy), f"{s.correct:,}", f"{s.total:,}")
            for s in (*self.sections, *summary)
        ]
        pairs = [
            (
                s.name,
                _decimal(s.spearman),
                _decimal(s.pearson),
                f"{s.pairs:,}",
                _percent(s.out_of_vocabulary),
            )
            for s in self.word_pairs
        ]
        analogies.insert(0, ("Analogies", "accuracy", "correct", "asked"))
        pairs.insert(0, ("Word pairs", "Spearman", "Pearson", "pairs", "unknown"))
        names = max(len(row[0]) for row in (*analogies, *pairs))
        return _aligned(analogies, names) + "\n\n" + _aligned(pairs, names)


def evaluate(
    vectors: Any,
    analogies: PathLike | None = None,
    word_pairs: Mapping[str, PathLike] | None = None,
    restrict_vocab: int = 30_000,
) -> Evaluation:
    """Runs the usual tests on word vectors.

    Case is ignored. Questions and pairs with unknown words are left out, as is usual, so compare
    only vectors of the same vocabulary.

    Args:
        vectors: a `gensim.models.KeyedVectors`, most frequent word first.
        analogies: file of questions, four words per line, sections headed by `: name`;
            `questions-words.txt` when None.
        word_pairs: name and file of each set of word pairs, two words and a judgement a line,
            separated by tabs; WordSim353 and SimLex999 when None.
        restrict_vocab: number of most frequent words that analogies are restricted to; the default
            is that of word2vec's own evaluation. Word pairs use all words.

    Returns:
        An `Evaluation`. Takes about ten seconds for a vocabulary of 30,000 words or more.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if a file has no question or pair, or `restrict_vocab` is not positive.

    Example:

    >>> import numpy as np
    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["cat", "dog", "tea"], np.array([[1, 0], [0.9, 0.1], [0, 1]]))
    >>> evaluate(vectors).total.accuracy is None
    True
    """
    check_vectors("vectors", vectors)
    check_int("restrict_vocab", restrict_vocab, minimum=1)
    if word_pairs is not None and not isinstance(word_pairs, Mapping):
        raise TypeError(
            f"`word_pairs` must be names with files. Received: word_pairs={word_pairs!r}."
        )
    if word_pairs is None:
        word_pairs = {name: datapath(file) for name, file in _WORD_PAIRS.items()}
    if analogies is None:
        analogies = datapath("questions-words.txt")
    # All files are checked before the first slow test.
    pairs = {name: _read_pairs(path) for name, path in word_pairs.items()}
    _check_questions(analogies)
    return Evaluation(
        **_analogies(vectors, analogies, restrict_vocab),
        word_pairs=tuple(
            _word_pairs(vectors, name, path, pairs[name]) for name, path in word_pairs.items()
        ),
    )


def _analogies(vectors: Any, path: PathLike, restrict_vocab: int) -> dict[str, Any]:
    _, results = vectors.evaluate_word_analogies(os.fspath(path), restrict_vocab=restrict_vocab)
    sections = tuple(
        AnalogyScore(
            result["section"],
            len(result["correct"]),
            len(result["correct"]) + len(result["incorrect"]),
        )
        for result in results[:-1]  # the last one is gensim's total
    )
    grammar = [section for section in sections if section.name.startswith("gram")]
    world = [section for section in sections if section not in grammar]
    return {
        "sections": sections,
        "semantic": _sum("semantic", world) if grammar else None,
        "syntactic": _sum("syntactic", grammar) if grammar else None,
        "total": _sum("total", sections),
    }


def _sum(name: str, sections: Sequence[AnalogyScore]) -> AnalogyScore:
    return AnalogyScore(name, sum(s.correct for s in sections), sum(s.total for s in sections))


def _word_pairs(
    vectors: Any, name: str, path: PathLike, pairs: Sequence[tuple[str, str]]
) -> PairScore:
    known = {str(word).upper() for word in vectors.index_to_key}
    unknown = sum(not {a.upper(), b.upper()} <= known for a, b in pairs) / len(pairs)
    spearman = pearson = [math.nan]
    # The file is valid, so ValueError says that fewer than two pairs are known; SciPy warns of
    # constant input.
    with suppress(ValueError), warnings.catch_warnings(action="ignore"):
        pearson, spearman, _ = vectors.evaluate_word_pairs(
            os.fspath(path), restrict_vocab=len(vectors)
        )
    return PairScore(name, _number(spearman[0]), _number(pearson[0]), len(pairs), unknown)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _read_pairs(path: PathLike) -> list[tuple[str, str]]:
    pairs = []
    for line in _read_lines(path, "word_pairs"):
        with suppress(ValueError):  # a line of another form is no pair
            first, second, judgement = line.split("\t")
            float(judgement)
            if not line.startswith("#"):
                pairs.append((first, second))
    if not pairs:
        raise ValueError(
            "`word_pairs` must name files with two words and a number per line, separated by tabs. "
            f"Received: {os.fspath(path)!r}."
        )
    return pairs


def _check_questions(path: PathLike) -> None:
    lines = _read_lines(path, "analogies")
    headed = bool(lines) and lines[0].startswith(": ")
    if not headed or not any(len(line.split()) == 4 and line[0] != ":" for line in lines):
        raise ValueError(
            "`analogies` must name a file with a heading `: name` first and then four words a "
            f"line. Received: {os.fspath(path)!r}."
        )


def _read_lines(path: PathLike, argument: str) -> list[str]:
    if not os.path.exists(check_path(argument, path)):
        raise FileNotFoundError(
            f"`{argument}` must name a file that exists. Received: {os.fspath(path)!r}."
        )
    try:
        with open(path, encoding="utf-8") as file:
            return file.readlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{argument}` must name a UTF-8 text file. Received: {os.fspath(path)!r}."
        ) from error


def _analogy_dict(score: AnalogyScore | None) -> dict[str, Any] | None:
    return None if score is None else {**asdict(score), "accuracy": score.accuracy}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".replace("0.", ".", 1)


def _aligned(rows: Sequence[tuple[str, ...]], names: int) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][1:]
    return "\n".join(
        "  ".join([row[0].ljust(names), *map(str.rjust, row[1:], widths)]) for row in rows
    )
