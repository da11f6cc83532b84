"""Files that were made to do damage: the campaign's cases, all of which take seconds."""

import sys
from pathlib import Path

import pytest

# `importlib` mode keeps that folder off the path.
sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))
import cases
import hostile


@pytest.mark.parametrize(
    "kind",
    [
        hostile.word2vec_files,
        hostile.vector_files,
        hostile.packed_files,
        hostile.keras_files,
        hostile.text_files,
    ],
    ids=lambda kind: kind.__name__,
)
@pytest.mark.filterwarnings("ignore")  # of NumPy and Keras, on their way to the error
def test_each_is_refused_in_one_sentence_and_runs_nothing(kind, tmp_path):
    tried = 0
    for name, run in kind(tmp_path):
        try:
            run()
        except Exception as error:
            pytest.fail(f"{name}: {type(error).__name__}: {error}")
        tried += 1
    assert tried > 5


def test_a_family_counts_what_fails(tmp_path):
    def family(plan):
        yield "good", lambda: None
        yield "bad", lambda: 1 / 0
        yield "dead", lambda: cases.os.kill(cases.os.getpid(), 9)

    outcome = cases.run_family("three", family, cases.Plan(False, 1, tmp_path))
    assert (outcome.tried, outcome.passed) == (3, 1)
    assert outcome.failed[0].startswith("three: bad: ZeroDivisionError at test_hostile_files.py:")
    assert outcome.failed[1] == "three: the process of the family ended with status 9"


def test_one_sentence_is_asked_for():
    with pytest.raises(AssertionError, match="nothing was raised"), cases.expected(ValueError):
        pass
    with pytest.raises(AssertionError, match="not one sentence"), cases.expected(ValueError):
        raise ValueError("one\ntwo")
    wanted = pytest.raises(AssertionError, match="does not name `path`")
    with wanted, cases.expected(ValueError, names="`path`"):
        raise ValueError("one")
