"""Classes of words, and tiles put together again."""

import re

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.classes import check_classes, frequency_classes, tile_rows


@pytest.mark.parametrize("seed", range(30))
def test_frequency_classes_are_contiguous_and_none_is_empty(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 40))
    counts = np.sort(rng.random(size) ** rng.choice([0.0, 1.0, 20.0]))[::-1]
    counts[rng.integers(1, size + 1) :] = 0
    number = int(rng.integers(1, size + 1))
    classes = frequency_classes(counts, number)
    assert classes.dtype == np.int32
    assert classes[0] == 0
    assert set(np.diff(classes)) <= {0, 1}
    assert classes[-1] == number - 1


def test_frequency_classes_have_equal_mass():
    counts = 1e9 / np.arange(1, 100_001)
    classes = frequency_classes(counts, 316)
    mass = np.bincount(classes, np.sqrt(counts))
    # Both ends of a class are off by half of the word before it at most.
    first = np.unique(classes, return_index=True)[1]
    before = np.sqrt(counts[np.maximum(first - 1, 0)])
    large = before < mass.mean()  # the others are one word each
    assert (np.abs(mass - mass.mean()) <= before)[large].all()
    assert large.sum() > 300


def test_an_average_row_costs_less_than_two_square_roots():
    counts = 1.0 / np.arange(1, 84_001)
    number = round(84_000**0.5)
    classes = frequency_classes(counts, number)
    batch = np.random.default_rng(0).choice(84_000, 4096, p=counts / counts.sum())
    words = np.bincount(classes)[classes[batch]].mean()
    assert number + words <= 2 * 84_000**0.5


@pytest.mark.parametrize(
    ("classes", "error", "sentence"),
    [
        ([0.0, 1.0, 0.0], TypeError, "`classes` must be integers. Received: dtype=float64."),
        ([0, 1], ValueError, "`classes` must name a class for each of the 3 words. Received: sha"),
        ([[0, 1, 0]], ValueError, "`classes` must name a class for each of the 3 words. Received"),
        ([0, -1, 0], ValueError, "`classes` must be in [0, 1). Received: a word in class -1."),
        ([0, 2, 0], ValueError, "must have a word in each of the 3 classes. Received: none in cl"),
        ([0, 10**12, 0], ValueError, "must have a word in each of the 1000000000001 classes."),
    ],
)
def test_bad_classes(classes, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        check_classes(classes, 3, None)


def test_classes_and_their_number_must_agree():
    assert check_classes([1, 0, 1], 3, 2).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match=re.escape("`classes` must be in [0, 1). Received: a wor")):
        check_classes([1, 0, 1], 3, 1)
    with pytest.raises(ValueError, match=r"each of the 3 classes\. Received: none in class 2"):
        check_classes([1, 0, 1], 3, 3)


@pytest.mark.parametrize("seed", range(10))
def test_tiles_hold_each_row_with_each_word_of_its_class_once(seed):
    rng = np.random.default_rng(seed)
    size, number, rows = 30, int(rng.integers(1, 8)), int(rng.integers(0, 40))
    height, width = (int(value) for value in rng.integers(1, 6, 2))
    word_classes = rng.permutation(np.arange(size) % number)
    members = np.argsort(word_classes, kind="stable").astype(np.int32)
    starts = np.searchsorted(word_classes[members], np.arange(number + 1)).astype(np.int32)
    words = rng.integers(0, size, rows)
    ranks = np.argsort(members)[words].astype(np.int32)
    classes = word_classes[words].astype(np.int32)
    tiles = tile_rows(
        tf.constant(classes),
        tf.constant(ranks),
        tf.Variable(members),
        tf.constant(starts),
        height,
        width,
    )
    tiles = type(tiles)(*(part.numpy() for part in tiles))
    row_at = {position: row for row, position in enumerate(tiles.positions)}
    assert len(row_at) == rows
    assert all(tiles.rows.ravel()[position] == row for position, row in row_at.items())
    seen = []
    for tile, band in enumerate(tiles.bands):
        for offset in range(height):
            row = row_at.get(band * height + offset)
            if row is not None:
                seen += [(row, word) for word in tiles.words[tile][tiles.is_word[tile] == 1]]
    expected = [
        (row, word) for row in range(rows) for word in np.flatnonzero(word_classes == classes[row])
    ]
    assert sorted(seen) == expected
    assert set(tiles.words.ravel()) <= set(np.flatnonzero(np.isin(word_classes, classes)))
    for row, (tile, offset, column) in enumerate(tiles.targets):
        assert tiles.bands[tile] * height + offset == tiles.positions[row]
        assert tiles.words[tile, column] == words[row]
        assert tiles.is_word[tile, column] == 1
