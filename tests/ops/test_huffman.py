"""Huffman trees against brute force, heapq and gensim."""

import heapq
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from gensim.models import Word2Vec

from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.ops import huffman
from kerasw2v.ops.huffman import (
    ancestor_edges,
    huffman_path,
    huffman_tree,
    path_lengths,
    top_paths,
    tree_of_paths,
)
from kerasw2v.ops.tree_paths import leaf_log_probs, lower_paths

TREES = {
    "one": np.array([3]),
    "two": np.array([3, 3]),
    "three": np.array([5, 1, 1]),
    "ties": np.ones(13, int),
    "zeros": np.array([7, 7, 2, 0, 0]),
    "mostly zeros": np.concatenate([np.sort(100 // np.arange(1, 50))[::-1], np.zeros(300, int)]),
    "chain": 2 ** np.arange(20)[::-1],
    "zipf": np.sort(1000 // np.arange(1, 400))[::-1],  # many ties at the end
}
each_tree = pytest.mark.parametrize("counts", TREES.values(), ids=TREES.keys())


def cost(counts):
    return int(counts @ path_lengths(huffman_tree(counts)[0]))


def cost_by_heap(counts):
    """The cost of any Huffman tree is the sum of what is merged."""
    heap, total = sorted(int(count) for count in counts), 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, merged)
        total += merged
    return total


@cache
def best_cost(counts):
    """The least cost of all binary trees, by trying every first split of the words in two."""
    if len(counts) == 1:
        return 0
    splits = range(1, 2 ** (len(counts) - 1))  # the last word stays on one side
    sides = (
        [tuple(c for i, c in enumerate(counts) if bool(split >> i & 1) == side) for side in (0, 1)]
        for split in splits
    )
    return sum(counts) + min(best_cost(left) + best_cost(right) for left, right in sides)


@pytest.mark.parametrize("seed", range(20))
def test_no_tree_is_cheaper(seed):
    rng = np.random.default_rng(seed)
    counts = np.sort(rng.integers(0, 12, rng.integers(1, 8)))[::-1]
    assert cost(counts) == best_cost(tuple(counts.tolist()))


@each_tree
def test_cost_is_that_of_heapq(counts):
    assert cost(counts) == cost_by_heap(counts)


def test_cost_is_gensims():
    counts = TREES["zipf"]
    words = [[f"w{word}"] * int(count) for word, count in enumerate(counts)]
    model = Word2Vec(vector_size=1, min_count=1, hs=1, negative=0)
    model.build_vocab(words)
    keys = model.wv.index_to_key
    lengths = [len(model.wv.get_vecattr(word, "code")) for word in keys]
    assert cost(counts) == sum(
        length * model.wv.get_vecattr(word, "count")
        for length, word in zip(lengths, keys, strict=True)
    )


def test_ties_are_broken_as_in_word2vec_c():
    # Words 3 and 2 make node 4 of count 2. It ties with word 1 and goes first: node 5 of count 4.
    # Word 0, of count 2, is less than that: the root.
    parents, codes = huffman_tree([2, 2, 1, 1])
    assert parents.tolist() == [6, 5, 4, 4, 5, 6, 6]
    assert codes.tolist() == [0, 1, 1, 0, 0, 1, 0]


def test_words_that_never_occur_have_short_paths():
    seen, unseen = np.sort(100_000 // np.arange(1, 1001))[::-1], 199_000
    lengths = path_lengths(huffman_tree([*seen, *[0] * unseen])[0])
    # One more leaf under the rarest word, and a balanced tree from there.
    assert lengths.max() <= lengths[:1000].max() + 1 + np.ceil(np.log2(unseen))
    with_one_more = path_lengths(huffman_tree([*seen, 0])[0])
    np.testing.assert_array_equal(lengths[:1000], with_one_more[:1000])


@pytest.mark.parametrize("counts", [[0.5, 0.3, 0, 0], [0, 0, 0, 0, 0]])
def test_any_counts_of_zero_make_a_tree(counts):
    assert sum(2.0 ** -np.float64(path_lengths(huffman_tree(counts)[0]))) == 1


@each_tree
def test_paths(counts):
    size = len(counts)
    parents, codes = huffman_tree(counts)
    lengths = path_lengths(parents)
    paths = [huffman_path(parents, codes, word) for word in range(size)]
    assert [len(points) for points, _ in paths] == lengths.tolist()
    assert sum(2.0 ** -np.float64(lengths)) == 1  # Kraft: no branch is left open
    assert len({tuple(labels) for _, labels in paths}) == size
    if size > 1:
        assert {points[0] for points, _ in paths} == {size - 2}  # the root, as in gensim
        assert {row for points, _ in paths for row in points} == set(range(size - 1))
        assert (np.diff(lengths) >= 0).all()  # a rarer word has no shorter path


@each_tree
@pytest.mark.parametrize("top", [0, 1, 5, 100])
def test_top_and_lower_paths_make_up_the_path(counts, top):
    size = len(counts)
    top = min(top, size - 1)
    lower_rows = size - 1 - top
    parents, codes = huffman_tree(counts)
    subtree_of_word, path_of_subtree = top_paths(parents, codes, top)
    assert path_of_subtree.shape == (top + 1, 2, top)
    assert set(subtree_of_word) == set(range(top + 1))
    table = tf.Variable(ancestor_edges(parents, codes))
    assert table.shape == (2 * size - 1, 4)
    paths = lower_paths(table, tf.range(size), lower_rows).numpy()
    for word in range(size):
        points, labels = huffman_path(parents, codes, word)
        in_top = points >= lower_rows
        edges = (2 * points + labels)[~in_top][::-1]
        assert paths[word][paths[word] >= 0].tolist() == edges.tolist()
        on_path, with_code_0 = np.zeros((2, top))
        on_path[points[in_top] - lower_rows] = 1
        with_code_0[points[in_top & (labels == 0)] - lower_rows] = 1
        np.testing.assert_array_equal(
            path_of_subtree[subtree_of_word[word]], [on_path, with_code_0]
        )


@each_tree
def test_leaf_log_probs(counts):
    if len(counts) == 1:
        return
    parents, codes = huffman_tree(counts)
    scores = np.random.default_rng(0).normal(0, 2, (len(counts) - 1, 3)).astype(np.float32)
    result = leaf_log_probs(tf.Variable(ancestor_edges(parents, codes)), tf.constant(scores))
    for word in range(len(counts)):
        points, labels = huffman_path(parents, codes, word)
        signed = np.float64(scores[points]) * (1 - 2.0 * labels)[:, None]
        expected = -np.logaddexp(0, -signed).sum(0)
        np.testing.assert_allclose(result[word], expected, rtol=1e-5)  # sums of up to 19 float32


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
