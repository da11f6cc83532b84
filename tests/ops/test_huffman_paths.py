"""Trees given as paths: built back, renumbered where need be."""

import numpy as np
import pytest

from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.ops import huffman
from kerasw2v.ops.huffman_paths import tree_of_paths

COUNTS = [9, 7, 7, 4, 2, 2, 2, 1, 1]


def paths_of(parents, codes):
    size = (len(parents) + 1) // 2
    return [huffman.huffman_path(parents, codes, word) for word in range(size)]


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_tree_of_ours_comes_back_as_it_is(size):
    parents, codes = huffman.huffman_tree(COUNTS[:size])
    again, its_codes, rows = tree_of_paths(paths_of(parents, codes))
    np.testing.assert_array_equal(again, parents)
    np.testing.assert_array_equal(its_codes, codes)
    np.testing.assert_array_equal(rows, np.arange(size - 1))


@pytest.mark.parametrize("seed", range(5))
def test_any_tree_keeps_its_paths(seed):
    """A random tree with random numbers of its inner nodes: paths are the same in new numbers."""
    rng = np.random.default_rng(seed)
    size = 40
    names = rng.permutation(size - 1)
    trees = [[(word, [])] for word in range(size)]  # for each subtree its words' (points, codes)
    for name in names:
        rng.shuffle(trees)
        halves = trees.pop(), trees.pop()
        trees.append(
            [
                (word, [(name, code), *path])
                for code, half in enumerate(halves)
                for word, path in half
            ]
        )
    paths = [np.array(path).T for _, path in sorted(trees[0])]
    parents, codes, rows = tree_of_paths(paths)
    assert sorted(rows) == list(range(size - 1))
    inner = parents[size:-1]
    assert (np.diff(inner) >= 0).all()
    assert parents[-1] == 2 * size - 2
    for (points, code), (new_points, new_code) in zip(paths, paths_of(parents, codes), strict=True):
        np.testing.assert_array_equal(new_points, rows[points])
        np.testing.assert_array_equal(new_code, code)


def test_tables_are_those_of_the_layer():
    layer = HierarchicalSoftmax(COUNTS, dense_rows=3)
    layer.build((None, 4))
    tables = huffman.tree_tables(*huffman.huffman_tree(COUNTS), layer.dense_rows)
    found = {variable.name: variable.numpy() for variable in layer.non_trainable_variables}
    assert found.keys() == tables.keys()
    for name, table in tables.items():
        np.testing.assert_array_equal(table, found[name])


def test_a_layer_takes_another_tree():
    layer, other = (HierarchicalSoftmax(counts, dense_rows=3) for counts in (COUNTS, len(COUNTS)))
    rows = np.random.default_rng(0).normal(size=(len(COUNTS) - 1, 4))
    for each in (layer, other):
        each.build((None, 4))
        each.embeddings.assign(rows)
    hidden, targets = np.ones((len(COUNTS), 4), np.float32), np.arange(len(COUNTS))
    assert not np.allclose(layer(hidden, targets), other(hidden, targets))
    other.set_tree(*huffman.huffman_tree(COUNTS))
    np.testing.assert_array_equal(layer(hidden, targets), other(hidden, targets))


@pytest.mark.parametrize(
    "paths",
    [
        [([0], [0]), ([0, 1], [1, 0]), ([0], [1])],  # node 1 has one branch, node 0 three
        [([0], [0]), ([5], [1])],
        [([0, 1], [0]), ([0], [1])],
    ],
)
def test_what_is_no_tree(paths):
    with pytest.raises(ValueError, match="`paths` must be those of the words of one binary tree"):
        tree_of_paths(paths)
