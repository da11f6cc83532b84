"""Argument checks: what passes, and one clear sentence for what does not."""

import re

import numpy as np
import pytest

from kerasw2v.utils.checks import (
    check_choice,
    check_counts,
    check_int,
    check_non_negative,
    check_seed,
)


@pytest.mark.parametrize("value", [1, 7, np.int32(3), np.int64(2**40), np.uint8(1)])
def test_whole_numbers_pass(value):
    checked = check_int("size", value, minimum=1)
    assert checked == value
    assert type(checked) is int


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, np.float32(2), [1]])
def test_what_is_no_whole_number_is_a_type_error(value):
    sentence = f"`size` must be an integer. Received: size={value!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        check_int("size", value, minimum=0)


@pytest.mark.parametrize("value", [0, -1, np.int64(-5)])
def test_too_small_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"^`size` must be at least 1\. Received: size="):
        check_int("size", value, minimum=1)


@pytest.mark.parametrize("seed", [0, 3, np.int64(3), np.uint64(2**63 - 1), 2**63 - 1])
def test_seeds_pass(seed):
    checked = check_seed("seed", seed)
    assert checked == seed
    assert type(checked) is int


def test_no_seed_passes():
    assert check_seed("seed", None) is None


@pytest.mark.parametrize("seed", [1.5, 3.0, "abc", True, [1], np.float32(2)])
def test_what_is_no_seed_is_a_type_error(seed):
    sentence = f"`--seed` must be an integer or None. Received: --seed={seed!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        check_seed("--seed", seed)


@pytest.mark.parametrize("seed", [-1, np.int64(-5), 2**63, np.uint64(2**63)])
def test_a_seed_out_of_range_is_a_value_error(seed):
    sentence = f"`seed` must be from 0 to {2**63 - 1}. Received: seed={seed!r}."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_seed("seed", seed)


def test_a_seed_may_have_a_lower_limit():
    assert check_seed("seed", 2**32 - 1, limit=2**32) == 2**32 - 1
    with pytest.raises(ValueError, match=r"^`seed` must be from 0 to 4294967295\. Received: seed="):
        check_seed("seed", 2**32, limit=2**32)


def test_non_negative_numbers():
    assert check_non_negative("sample", 0) == 0.0
    assert type(check_non_negative("sample", np.float32(0.5))) is float
    for wrong in (-1, -1e-9):
        with pytest.raises(ValueError, match=r"^`sample` must not be negative\. Received: sample="):
            check_non_negative("sample", wrong)
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"^`sample` must be finite\. Received: sample="):
            check_non_negative("sample", wrong)
    for wrong in ("1", None, True, [1.0]):
        with pytest.raises(TypeError, match=r"^`sample` must be a number\. Received: sample="):
            check_non_negative("sample", wrong)


def test_choices():
    assert check_choice("combiner", None, (None, "mean")) is None
    sentence = "`combiner` must be one of None, 'mean'. Received: combiner='max'."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_choice("combiner", "max", (None, "mean"))


@pytest.mark.parametrize("counts", [[5, 3, 3, 1], np.array([2**40, 0]), (0.5, 0.25), [1]])
def test_descending_counts_pass(counts):
    checked = check_counts(counts)
    assert checked.dtype == np.float64
    assert checked.tolist() == list(counts)


@pytest.mark.parametrize("size", [1, 3, np.int64(3)])
def test_a_size_stands_for_equal_counts(size):
    assert check_counts(size).tolist() == [1.0] * size


@pytest.mark.parametrize(
    ("counts", "error", "sentence"),
    [
        (["a", "b"], TypeError, "`counts` must be numbers"),
        (None, (TypeError, ValueError), "`counts` must be"),
        ([], ValueError, "`counts` must be a vector with one entry per word"),
        ([[2, 1], [1, 1]], ValueError, "`counts` must be a vector with one entry per word"),
        (2.5, ValueError, "`counts` must be a vector with one entry per word"),
        ([1, -1], ValueError, "`counts` must be finite, not negative and not all zero"),
        ([0, 0], ValueError, "`counts` must be finite, not negative and not all zero"),
        ([float("nan"), 1], ValueError, "`counts` must be finite"),
        ([float("inf"), 1], ValueError, "`counts` must be finite"),
        (0, ValueError, "`counts` must be at least 1"),
        (-4, ValueError, "`counts` must be at least 1"),
        (True, TypeError, "`counts` must be an integer"),
    ],
)
def test_what_are_no_counts(counts, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        check_counts(counts)


def test_counts_of_which_the_order_matters():
    assert check_counts([3, 1, 2]).tolist() == [3.0, 1.0, 2.0]
    with pytest.raises(ValueError, match=r"in descending order. Received: counts\[1\]=1 before"):
        check_counts([3, 1, 2], descending=True)
