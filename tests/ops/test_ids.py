"""Ids and weights as they come in: of any type, out of range, and what is no number at all."""

import re

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.ids import NO_WORD, as_ids, as_weights, check_ids, check_weights, is_equal

TYPES = [
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
]


@pytest.mark.parametrize("dtype", TYPES)
def test_all_types_of_numbers_are_the_same_ids(dtype):
    ids = tf.cast([[0, 7], [100, 3]], dtype)
    for made in (as_ids("ids", ids, 101), tf.function(as_ids)("ids", ids, 101)):
        assert made.dtype == tf.int32
        assert made.numpy().tolist() == [[0, 7], [100, 3]]


@pytest.mark.parametrize("ids", [[0, 7], (0, 7), np.array([0, 7]), 3, [], np.zeros((2, 0), int)])
def test_lists_arrays_and_single_numbers(ids):
    np.testing.assert_array_equal(as_ids("ids", ids, 8), np.asarray(ids, np.int32))


def test_ragged_ids():
    ids = tf.ragged.constant([[1], [], [2, 3]], dtype=tf.int64)
    assert as_ids("ids", ids, 4).to_list() == [[1], [], [2, 3]]
    with pytest.raises(ValueError, match=r"^`ids` must be ids from 0 to 2\. .*: ids\[2\]=3\.$"):
        as_ids("ids", ids, 3)


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([0, 2**32 + 3], "`x` must be ids from 0 to 9. Received: x[1]=4294967299."),
        ([[0, 1], [2, 10]], "`x` must be ids from 0 to 9. Received: x[1, 1]=10."),
        (-1, "`x` must be ids from 0 to 9. Received: x=-1."),
        (np.array([2**63], np.uint64), f"`x` must be ids from 0 to 9. Received: x[0]={2**63}."),
        ([1.7], "`x` must be whole numbers. Received: x[0]=1.7."),
        ([1.0, float("nan")], "`x` must be whole numbers. Received: x[1]=nan."),
        ([-np.inf], "`x` must be whole numbers. Received: x[0]=-inf."),
        ([10.0], "`x` must be ids from 0 to 9. Received: x[0]=10."),
    ],
)
def test_what_is_out_of_range_is_named(ids, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_ids("x", ids, 10)


@pytest.mark.parametrize("ids", [["a"], [None], [True], [2**70], [1j]])
def test_what_is_no_number_is_a_type_error(ids):
    with pytest.raises(TypeError, match=r"^`x` must be ids: integers, or whole floats. Received"):
        as_ids("x", ids, 10)
    with pytest.raises(TypeError, match="`x` must be ids"):
        tf.function(as_ids)("x", tf.constant([True]), 10)


@pytest.mark.parametrize(("dtype", "limit"), [("float16", 2**11), ("float32", 2**24)])
def test_floats_that_stand_for_several_numbers_are_refused(dtype, limit):
    check_ids("x", np.array([limit - 1], dtype), 2**30)
    with pytest.raises(ValueError, match=rf"^`x` must be integers from {limit} on, where {dtype}"):
        check_ids("x", np.array([limit], dtype), 2**30)


def test_padding_and_blocks_may_be_negative():
    check_ids("x", [-1, -(2**40), 9], 10, lowest=None)
    check_ids("x", [-10, 9], 10, lowest=-10)
    with pytest.raises(ValueError, match=r"^`x` must be ids below 10, .* or negative for padding"):
        check_ids("x", [2**31], 10, lowest=None)
    with pytest.raises(ValueError, match=r"^`x` must be ids from 0 to 9, or ~id .*: x\[0\]=-11"):
        check_ids("x", [-11], 10, lowest=-10)


def test_which_ids_are_a_number_that_their_type_may_not_hold():
    for ids, number in (([3, -100], -100), (np.array([3, 99], np.uint8), -1), ([3.0, -1.0], -1)):
        expected = [float(each) == number for each in ids]
        assert is_equal(tf.constant(ids), number).numpy().tolist() == expected


def test_a_wrong_id_is_found_anywhere_in_a_large_array():
    ids = np.zeros((3_000_000, 1), np.int8).view()
    ids[-1] = 5
    with pytest.raises(ValueError, match=r"x\[2999999, 0\]=5\.$"):
        check_ids("x", ids, 5)


@pytest.mark.parametrize(
    "ids",
    [
        np.array([2**32 + 3, 2**31, 2**63 - 1]),
        np.array([2**32 + 3, 2**64 - 1], np.uint64),
        np.array([2**31, 2**32 - 1], np.uint32),
        np.array([1.7, np.nan, np.inf, -np.inf, 2.0**40]),
        np.array([1.5, 4096], np.float16),
    ],
)
def test_in_a_graph_no_wrong_number_becomes_an_id_or_padding(ids):
    made = tf.function(as_ids)("x", tf.constant(ids), 10, None)
    assert set(made.numpy()) == {NO_WORD}


def test_in_a_graph_negative_numbers_stay_negative():
    ids = tf.constant([-1, -(2**31), -(2**40), -(2**63)], tf.int64)
    made = tf.function(as_ids)("x", ids, 10, None)
    assert made.numpy().tolist() == [-1, -(2**31), -(2**31), -(2**31)]


@pytest.mark.parametrize("weights", [[1, 2], [-1.0, 0.5], [True], np.zeros((2, 3), np.float16)])
def test_weights(weights):
    made = as_weights("w", weights)
    assert made.dtype == tf.float32
    np.testing.assert_array_equal(made, np.asarray(weights, np.float32))


def test_what_are_no_weights():
    for wrong in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=rf"^`w` must be finite\. Received: w\[1\]={wrong}\.$"):
            check_weights("w", [1, wrong])
    with pytest.raises(TypeError, match=r"^`w` must be numbers. Received: w of type str"):
        as_weights("w", ["a"])
