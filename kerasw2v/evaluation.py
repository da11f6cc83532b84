"""Tests of vectors: analogies, agreement with people about similarity, next items of baskets.

The three test sets are those that papers report; gensim ships them: `questions-words.txt`
(Mikolov et al., 2013), WordSim353 (Finkelstein et al., 2002) and SimLex999 (Hill et al., 2015).
"""

import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from gensim.test.utils import datapath
from numpy.typing import NDArray

from kerasw2v.utils.checks import check_choice, check_int, check_vectors, shortened
from kerasw2v.utils.files import PathLike
from kerasw2v.utils.paths import check_path

# Scores of queries with all items, at once.
_CHUNK_SCORES = 2**24
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

        Tests for which too few words are known are not in the table, but named below it.

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
            if s.total
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
            if s.spearman is not None
        ]
        analogies.insert(0, ("Analogies", "accuracy", "correct", "asked"))
        pairs.insert(0, ("Word pairs", "Spearman", "Pearson", "pairs", "unknown"))
        names = max(len(row[0]) for row in (*analogies, *pairs))
        tables = [_aligned(rows, names) for rows in (analogies, pairs) if len(rows) > 1]
        return "\n\n".join([*tables, *self._untested()])

    def _untested(self) -> list[str]:
        """Returns a sentence on the tests for which too few words are known, if there are any."""
        sections = [section.name for section in self.sections if not section.total]
        names = sections if self.total.total else ["analogies"]
        names += [score.name for score in self.word_pairs if score.spearman is None]
        return [f"Not tested, as too few words are known: {', '.join(names)}."] if names else []

    @property
    def is_tested(self) -> bool:
        """Whether enough words are known for any of the tests."""
        return bool(self.total.total) or any(s.spearman is not None for s in self.word_pairs)


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


@dataclass(frozen=True)
class NextItemScore:
    """Results of `evaluate_next_items`.

    Attributes:
        hit_rates: for each k the share of baskets whose item is among the first k; None if no
            basket could be asked.
        mrr: mean reciprocal rank; None in the same case.
        baskets: number of baskets given.
        asked: number of baskets that were asked. The others are left out:
        too_short: those of fewer than two items;
        unknown: those whose last item, or all others, the vectors do not know;
        seen: those whose last item is among the others, where these are no candidates.
    """

    hit_rates: Mapping[int, float] | None
    mrr: float | None
    baskets: int
    asked: int
    too_short: int
    unknown: int
    seen: int

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dict for JSON; there a k becomes text.

        Example:

        >>> NextItemScore({1: 0.5}, 0.75, 3, 2, 1, 0, 0).to_dict()["hit_rates"]
        {1: 0.5}
        """
        rates = None if self.hit_rates is None else dict(self.hit_rates)
        return {**vars(self), "hit_rates": rates}

    def table(self) -> str:
        """Returns a table for people to read.

        Example:

        >>> print(NextItemScore({1: 0.5, 10: 1.0}, 0.75, 3, 2, 1, 0, 0).table())
        Next item                 2 baskets
        hit rate (recall) at 1        50.0%
        hit rate (recall) at 10      100.0%
        mean reciprocal rank           .750
        <BLANKLINE>
        Left out: 1 of fewer than two items.
        """
        left_out = [
            f"{number:,} {why}"
            for number, why in (
                (self.too_short, "of fewer than two items"),
                (self.unknown, "whose last item or all others are unknown"),
                (self.seen, "whose last item is among those before it"),
            )
            if number
        ]
        note = [f"Left out: {', '.join(left_out)}."] if left_out else []
        if self.hit_rates is None:
            return "\n\n".join(["No basket could be asked.", *note])
        rows = [("Next item", f"{self.asked:,} basket{'s' * (self.asked != 1)}")]
        rows += [(f"hit rate (recall) at {k}", _percent(r)) for k, r in self.hit_rates.items()]
        rows.append(("mean reciprocal rank", _decimal(self.mrr)))
        return "\n\n".join([_aligned(rows, max(len(row[0]) for row in rows)), *note])


def evaluate_next_items(
    vectors: Any,
    baskets: Iterable[Sequence[Any]],
    k: Sequence[int] = (1, 5, 10, 20),
    query: str = "mean",
    exclude_seen: bool = True,
) -> NextItemScore:
    """Finds the last item of held-out baskets, sessions or playlists from the items before it.

    Let q be the mean of the vectors of the known items before the last, each of length one, or the
    vector of the last of them. All items are ranked by their cosine with q; of equal ones the more
    frequent is first. With r the rank of the item to find, 1 for the best, and means over baskets,

        hit rate at k = mean(r <= k)        mean reciprocal rank = mean(1 / r)

    There is one item to find, so the hit rate at k is the recall at k too. Baskets that cannot be
    asked are left out and counted.

    Args:
        vectors: a `gensim.models.KeyedVectors`, most frequent item first.
        baskets: a list of items each, as from `kerasw2v.read_table`; not those of the training.
        k: where hit rates are taken.
        query: `"mean"` for the mean of the items before, `"last"` for the last of them.
        exclude_seen: True to leave the items before out of the candidates: for what a customer does
            not have yet.

    Returns:
        A `NextItemScore`. Takes `V d` multiplications a basket.

    Raises:
        TypeError: if `baskets` is not an iterable of lists of items.
        ValueError: if there is no basket, `k` is not of positive integers, or `query` is neither.

    Example:

    >>> import numpy as np
    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["tea", "cup", "rope"], np.array([[1, 0], [0.9, 0.1], [0, 1]]))
    >>> evaluate_next_items(vectors, [["tea", "cup"], ["tea", "rope"], ["tea"]], k=[1]).hit_rates
    {1: 0.5}

    Source: Caselles-Dupré et al., "Word2vec applied to recommendation: hyperparameters matter",
    2018, which predicts from the item before the last, `query="last"`.
    """
    check_vectors("vectors", vectors)
    check_choice("query", query, ("mean", "last"))
    if isinstance(k, str | bytes) or not isinstance(k, Iterable):
        raise TypeError(f"`k` must be a list of integers. Received: k={k!r}.")
    places = [check_int("k", each, minimum=1) for each in k]
    index = vectors.key_to_index
    counts = {"baskets": 0, "too_short": 0, "unknown": 0, "seen": 0}
    questions = []
    for basket in _checked_baskets(baskets):
        counts["baskets"] += 1
        before = [index[item] for item in basket[:-1] if item in index]
        if len(basket) < 2:
            counts["too_short"] += 1
        elif basket[-1] not in index or not before:
            counts["unknown"] += 1
            unknown = basket[-1]
        elif exclude_seen and index[basket[-1]] in before:
            counts["seen"] += 1
        else:
            questions.append((before, index[basket[-1]]))
    if not counts["baskets"]:
        raise ValueError("`baskets` must hold at least one basket. Received: none.")
    if counts["unknown"] and not questions:
        _warn_of_other_types(unknown, index)
    hit_rates, mrr = None, None
    if questions:
        ranks = _next_item_ranks(vectors.vectors, questions, query, exclude_seen)
        hit_rates = {each: float(np.mean(ranks <= each)) for each in places}
        mrr = float(np.mean(1 / ranks))
    return NextItemScore(hit_rates, mrr, asked=len(questions), **counts)


def _warn_of_other_types(item: Any, index: Mapping[Any, int]) -> None:
    """Warns if items are numbers here and text there, as when only one of two tables is a CSV."""
    known = next(iter(index), item)
    if isinstance(item, str) != isinstance(known, str):
        warnings.warn(
            f"No item of the baskets may be known, as their types differ: {item!r} in `baskets`, "
            f"{known!r} in `vectors`. Items of a CSV are text.",
            stacklevel=3,
        )


def _checked_baskets(baskets: Any) -> Iterable[Sequence[Any]]:
    if isinstance(baskets, str | bytes) or not isinstance(baskets, Iterable):
        raise TypeError(
            f"`baskets` must be an iterable of lists of items. Received: {shortened(baskets)}."
        )
    for basket in baskets:
        if isinstance(basket, str | bytes) or not isinstance(basket, Sequence):
            raise TypeError(
                f"`baskets` must hold lists of items. Received: {shortened(basket)} among them."
            )
        yield basket


def _next_item_ranks(
    table: NDArray[np.float32],
    questions: Sequence[tuple[list[int], int]],
    query: str,
    exclude_seen: bool,
) -> NDArray[np.int64]:
    """Returns the rank of each question's item; a question is the items before, and the item."""
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    units = table / np.maximum(lengths, np.finfo(np.float32).tiny)
    size = max(1, _CHUNK_SCORES // len(units))
    ranks = []
    for start in range(0, len(questions), size):
        chunk = questions[start : start + size]
        known = [before if query == "mean" else before[-1:] for before, _ in chunk]
        scores = np.stack([units[ids].mean(axis=0) for ids in known]) @ units.T
        targets = np.array([target for _, target in chunk])[:, None]
        found = np.take_along_axis(scores, targets, axis=1)
        if exclude_seen:
            for row, (before, _) in enumerate(chunk):
                scores[row, before] = -np.inf
        is_earlier = np.arange(len(units)) < targets
        ranks.append(1 + ((scores > found) | ((scores == found) & is_earlier)).sum(axis=1))
    return np.concatenate(ranks)


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
