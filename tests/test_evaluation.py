import json
from collections import defaultdict

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.test.utils import datapath
from scipy.stats import pearsonr, spearmanr

from kerasw2v import evaluation
from kerasw2v.evaluation import evaluate, evaluate_next_items


def read_tsv(name):
    with open(datapath(name), encoding="utf-8") as file:
        lines = [line.rstrip().split("\t") for line in file if not line.startswith("#")]
    return [(a.upper(), b.upper(), float(score)) for a, b, score in lines]


def read_questions():
    sections = defaultdict(list)
    with open(datapath("questions-words.txt"), encoding="utf-8") as file:
        for line in file:
            if line.startswith(": "):
                name = line[2:].strip()
            else:
                sections[name].append(line.upper().split())
    return sections


@pytest.fixture(scope="module")
def random_vectors():
    """Random vectors for most words of the test sets, some in capitals."""
    words = {
        word
        for name in ("wordsim353.tsv", "simlex999.txt")
        for row in read_tsv(name)
        for word in row[:2]
    }
    for questions in read_questions().values():
        words.update(word for question in questions[:60] for word in question)
    words = sorted(words)
    rng = np.random.default_rng(0)
    kept = [word.lower() if i % 3 else word for i, word in enumerate(words) if i % 7]
    vectors = KeyedVectors(8)
    vectors.add_vectors(kept, rng.normal(size=(len(kept), 8)).astype(np.float32))
    return vectors


def unit_rows(vectors):
    table = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    return {word.upper(): row for word, row in zip(vectors.index_to_key, table, strict=True)}


def test_word_pairs_against_scipy(random_vectors):
    rows = unit_rows(random_vectors)
    scores = evaluate(random_vectors).word_pairs
    assert [score.name for score in scores] == ["WordSim353", "SimLex999"]
    for score, name in zip(scores, ["wordsim353.tsv", "simlex999.txt"], strict=True):
        pairs = read_tsv(name)
        known = [(rows[a] @ rows[b], gold) for a, b, gold in pairs if a in rows and b in rows]
        assert score.pairs == len(pairs)
        assert score.out_of_vocabulary == pytest.approx(1 - len(known) / len(pairs))
        assert score.spearman == pytest.approx(spearmanr(*zip(*known, strict=True))[0], abs=1e-4)
        assert score.pearson == pytest.approx(pearsonr(*zip(*known, strict=True))[0], abs=1e-4)


def test_analogies_against_a_plain_search(random_vectors):
    restrict = 900
    result = evaluate(random_vectors, restrict_vocab=restrict)
    rows = unit_rows(random_vectors)
    words = [word.upper() for word in random_vectors.index_to_key[:restrict]]
    table = np.stack([rows[word] for word in words])
    correct, total = defaultdict(int), defaultdict(int)
    for name, questions in read_questions().items():
        for question in questions:
            if not set(question) <= set(words):
                continue
            a, b, c, expected = question
            cosines = table @ (rows[b] - rows[a] + rows[c])
            for given in (a, b, c):
                cosines[words.index(given)] = -np.inf
            total[name] += 1
            correct[name] += words[np.argmax(cosines)] == expected
    assert result.total.total > 200
    for section in result.sections:
        assert (section.correct, section.total) == (correct[section.name], total[section.name])
    assert result.total.correct == sum(correct.values())
    grammar = sum(n for name, n in total.items() if name.startswith("gram"))
    assert result.syntactic.total == grammar
    assert result.semantic.total == sum(total.values()) - grammar


def toy_vectors():
    vectors = KeyedVectors(2)
    words = ["man", "woman", "king", "queen", "apple"]
    vectors.add_vectors(words, np.array([[1, 0.1], [1, 1], [2, 0.2], [2, 2], [-1, 0]]))
    return vectors


def test_own_files(tmp_path):
    (tmp_path / "questions").write_text(": royal\nman king woman queen\n: empty\n")
    (tmp_path / "pairs").write_text("man\twoman\t9\nman\tking\t10\nman\tapple\t1\nx\ty\t3\n")
    result = evaluate(toy_vectors(), tmp_path / "questions", {"mine": tmp_path / "pairs"})
    assert result.total.accuracy == 1
    assert result.sections[1].accuracy is None
    assert result.semantic is None
    assert result.syntactic is None
    assert result.word_pairs[0].spearman == pytest.approx(1)
    assert result.word_pairs[0].out_of_vocabulary == 0.25


def test_no_word_is_known():
    stranger = KeyedVectors(2)
    stranger.add_vectors(["qwertz", "asdf"], np.eye(2))
    result = evaluate(stranger)
    assert result.total.total == 0
    assert result.total.accuracy is None
    assert [score.spearman for score in result.word_pairs] == [None, None]
    assert [score.out_of_vocabulary for score in result.word_pairs] == [1, 1]
    assert result.word_pairs[1].pairs == 999
    assert "Not tested" in result.table()
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("pairs", ["man\twoman\t9\n", "man\twoman\t9\nman\twoman\t8\n"])
def test_too_little_for_a_correlation(tmp_path, pairs):
    (tmp_path / "pairs").write_text(pairs + "x\ty\t3\n")
    (tmp_path / "questions").write_text(": one\na b c d\n")
    score = evaluate(toy_vectors(), tmp_path / "questions", {"p": tmp_path / "pairs"}).word_pairs[0]
    assert (score.spearman, score.pearson) == (None, None)
    assert score.out_of_vocabulary == pytest.approx(1 / (pairs.count("\n") + 1))


def test_table_and_dict_tell_the_same(random_vectors):
    result = evaluate(random_vectors)
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    table = result.table()
    assert len({len(line) for line in table.split("\n\n")[0].splitlines()}) == 1
    for section in told["analogies"]["sections"]:
        row = next(line for line in table.splitlines() if line.startswith(section["name"] + " "))
        assert row.split()[-1] == f"{section['total']:,}"
    assert f"{told['word_pairs'][0]['out_of_vocabulary']:.1%}" in table


class TestBadInput:
    def test_no_such_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="`analogies` must name a file that exists"):
            evaluate(toy_vectors(), tmp_path / "none")
        with pytest.raises(FileNotFoundError, match="`word_pairs` must name a file that exists"):
            evaluate(toy_vectors(), word_pairs={"x": tmp_path / "none"})

    @pytest.mark.parametrize("text", ["", "man king woman queen\n", ": only a heading\n"])
    def test_no_questions(self, tmp_path, text):
        (tmp_path / "questions").write_text(text)
        with pytest.raises(ValueError, match="`analogies` must name a file with a heading"):
            evaluate(toy_vectors(), tmp_path / "questions")

    @pytest.mark.parametrize("text", ["", "man woman 9\n", "man\twoman\tmuch\n"])
    def test_no_pairs(self, tmp_path, text):
        (tmp_path / "pairs").write_text(text)
        with pytest.raises(ValueError, match="`word_pairs` must name files with two words"):
            evaluate(toy_vectors(), word_pairs={"x": tmp_path / "pairs"})

    def test_not_utf8(self, tmp_path):
        (tmp_path / "pairs").write_bytes(b"k\xe4se\tmilch\t9\n")
        with pytest.raises(ValueError, match="`word_pairs` must name a UTF-8 text file"):
            evaluate(toy_vectors(), word_pairs={"x": tmp_path / "pairs"})

    def test_restrict_vocab(self):
        with pytest.raises(ValueError, match="`restrict_vocab` must be at least 1"):
            evaluate(toy_vectors(), restrict_vocab=0)


def test_tests_that_cannot_be_made_are_named_in_place_of_zeros(tmp_path):
    (tmp_path / "questions").write_text(": royal\nman king woman queen\n: empty\na b c d\n")
    (tmp_path / "pairs").write_text("man\twoman\t9\nman\tking\t10\nman\tapple\t1\n")
    (tmp_path / "strange").write_text("x\ty\t3\n")
    pairs = {"mine": tmp_path / "pairs", "theirs": tmp_path / "strange"}
    result = evaluate(toy_vectors(), tmp_path / "questions", pairs)
    *_, note = result.table().split("\n\n")
    assert note == "Not tested, as too few words are known: empty, theirs."
    assert [line.split()[0] for line in result.table().split("\n")[1:3]] == ["royal", "total"]
    assert result.is_tested
    (tmp_path / "questions").write_text(": empty\na b c d\n")
    nothing = evaluate(toy_vectors(), tmp_path / "questions", {"theirs": tmp_path / "strange"})
    assert nothing.table() == "Not tested, as too few words are known: analogies, theirs."
    assert not nothing.is_tested


class TestNextItems:
    @pytest.fixture
    def items(self):
        rng = np.random.default_rng(0)
        vectors = KeyedVectors(4)
        table = rng.normal(size=(30, 4)).astype(np.float32)
        vectors.add_vectors(list(range(30)), table)
        return vectors

    @pytest.fixture
    def baskets(self):
        rng = np.random.default_rng(1)
        return [rng.integers(33, size=size).tolist() for size in rng.integers(1, 7, size=60)]

    @pytest.mark.parametrize("query", ["mean", "last"])
    @pytest.mark.parametrize("exclude_seen", [True, False])
    def test_against_plain_loops(self, items, baskets, monkeypatch, query, exclude_seen):
        monkeypatch.setattr(evaluation, "_CHUNK_SCORES", 70)  # two queries at a time
        score = evaluate_next_items(items, baskets, [1, 3, 10], query, exclude_seen)
        unit = items.vectors / np.linalg.norm(items.vectors, axis=1, keepdims=True)
        ranks, unknown, seen = [], 0, 0
        for *before, last in baskets:
            known = [item for item in before if item < 30]
            if not before:
                continue
            if last >= 30 or not known:
                unknown += 1
                continue
            if exclude_seen and last in known:
                seen += 1
                continue
            asked = unit[known if query == "mean" else known[-1:]].mean(axis=0)
            candidates = [i for i in range(30) if not (exclude_seen and i in known)]
            order = sorted(candidates, key=lambda i: -unit[i] @ asked)
            ranks.append(order.index(last) + 1)
        assert (score.unknown, score.seen, score.asked) == (unknown, seen, len(ranks))
        assert score.too_short == sum(len(basket) == 1 for basket in baskets)
        assert score.asked + score.unknown + score.seen + score.too_short == score.baskets
        for k in (1, 3, 10):
            assert score.hit_rates[k] == pytest.approx(np.mean([rank <= k for rank in ranks]))
        assert score.mrr == pytest.approx(np.mean([1 / rank for rank in ranks]))
        assert f"{score.hit_rates[10]:.1%}" in score.table()
        json.dumps(score.to_dict(), allow_nan=False)

    def test_of_equal_cosines_the_first_item_comes_first(self):
        vectors = KeyedVectors(2)
        vectors.add_vectors(["a", "b", "c", "none"], np.array([[1, 0], [0, 1], [0, 2], [0, 0]]))
        ranks = [
            evaluate_next_items(vectors, [["a", item]]).mrr ** -1 for item in ("b", "c", "none")
        ]
        assert ranks == [1, 2, 3]

    def test_no_basket_can_be_asked(self, items):
        score = evaluate_next_items(items, [[1], [1, 99]])
        assert (score.asked, score.hit_rates, score.mrr) == (0, None, None)
        assert score.table() == (
            "No basket could be asked.\n\nLeft out: 1 of fewer than two items, 1 whose last item "
            "or all others are unknown."
        )

    def test_text_where_the_vectors_have_numbers(self, items):
        with pytest.warns(UserWarning, match="their types differ: '2' in `baskets`, "):
            assert evaluate_next_items(items, [["1", "2"]]).unknown == 1

    def test_refused(self, items):
        with pytest.raises(TypeError, match="`baskets` must hold lists of items"):
            evaluate_next_items(items, ["tea cup"])
        with pytest.raises(TypeError, match="`baskets` must be an iterable"):
            evaluate_next_items(items, "tea")
        with pytest.raises(ValueError, match="`baskets` must hold at least one basket"):
            evaluate_next_items(items, [])
        with pytest.raises(ValueError, match="`k` must be at least 1"):
            evaluate_next_items(items, [[1, 2]], k=[0])
        with pytest.raises(TypeError, match="`k` must be a list of integers"):
            evaluate_next_items(items, [[1, 2]], k=10)
        with pytest.raises(ValueError, match="`query` must be one of"):
            evaluate_next_items(items, [[1, 2]], query="median")
