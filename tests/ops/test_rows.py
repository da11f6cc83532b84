"""Row lookups, counting equal ids, and the masses that travel from layers to the optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.row_gradients import record_rows
from kerasw2v.ops.row_mass import add_row_mass
from kerasw2v.ops.rows import (
    count_equal,
    distinct,
    gather_rows,
    row_products,
    rows_at,
    sum_by_owner,
)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gathered_rows_have_a_sparse_gradient(dtype):
    table = keras.Variable(np.arange(12.0).reshape(4, 3), dtype="float32")
    with tf.GradientTape() as tape:
        rows = gather_rows(table, tf.constant([[2, 0], [2, 2]]), dtype)
    assert rows.dtype == dtype
    assert (tf.cast(rows, tf.float32).numpy() == table.numpy()[[[2, 0], [2, 2]]]).all()
    gradient = tape.gradient(rows, table.value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert (tf.convert_to_tensor(gradient).numpy()[:, 0] == [1, 0, 3, 0]).all()


@pytest.mark.parametrize("graph", [False, True])
def test_distinct_ids(graph):
    ids = np.array([[7, 3, 7], [0, 3, 9]])
    found, places = (tf.function(distinct) if graph else distinct)(tf.constant(ids, tf.int32))
    assert found.numpy().tolist() == [7, 3, 0, 9, 0, 0, 0, 0]  # and zeros up to a round number
    assert (found.numpy()[places] == ids).all()


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_rows_at_places_have_a_dense_gradient(wrap):
    rng = np.random.default_rng(0)
    rows, upstream = tf.constant(rng.normal(size=(4, 3))), rng.normal(size=(2, 5, 3))
    places = rng.integers(0, 3, (2, 5))

    @wrap
    def run():
        with tf.GradientTape() as tape:
            tape.watch(rows)
            taken = rows_at(rows, tf.constant(places))
            loss = tf.reduce_sum(upstream * taken)
        return taken, tape.gradient(loss, rows)

    taken, gradient = run()
    np.testing.assert_array_equal(taken, rows.numpy()[places])
    expected = np.zeros((4, 3))
    np.add.at(expected, places, upstream)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize("graph", [False, True])
def test_equal_ids_are_counted_group_by_group(graph):
    rng = np.random.default_rng(0)
    ids, pool = rng.integers(0, 6, (3, 8)), rng.integers(0, 6, (3, 5))
    count = tf.function(count_equal) if graph else count_equal
    counted = count(tf.constant(ids, tf.int32), tf.constant(pool, tf.int32)).numpy()
    expected = [[list(pool[g]).count(i) for i in ids[g]] for g in range(3)]
    assert counted.tolist() == expected
    assert np.max(expected) > 1


def test_masses_reach_the_record():
    table, other = tf.Variable(tf.zeros((5, 2))), tf.Variable(tf.zeros((5, 2)))
    with tf.GradientTape() as tape, record_rows(tape) as record:
        add_row_mass(table, tf.constant([[1, 2], [1, 3]]), tf.constant([[1.0, 2.0], [3.0, 4.0]]))
        add_row_mass(table, None, lambda: tf.range(5.0))
        add_row_mass(other, tf.constant([4]), tf.constant([7.0]))
    (ids, mass), (every, dense) = record.masses(table)
    assert ids.numpy().tolist() == [1, 2, 1, 3]
    assert mass.numpy().tolist() == [1, 2, 3, 4]
    assert every is None
    assert dense.numpy().tolist() == [0, 1, 2, 3, 4]
    assert len(record.masses(other)) == 1


def test_nothing_is_computed_without_a_record():
    def forbidden():
        raise AssertionError("computed a mass that nobody asked for")

    table = tf.Variable(tf.zeros((5, 2)))
    add_row_mass(table, tf.constant([1]), forbidden)
    tape = tf.GradientTape()
    with pytest.raises(AssertionError, match="nobody asked for"), tape, record_rows(tape):
        add_row_mass(table, tf.constant([1]), forbidden)
    add_row_mass(table, tf.constant([1]), forbidden)  # the record ended when its block raised


def test_an_inner_record_does_not_disturb_the_outer_one():
    table = tf.Variable(tf.zeros((5, 2)))
    with tf.GradientTape() as tape, record_rows(tape) as outer:
        with record_rows(tape) as inner:
            add_row_mass(table, tf.constant([1]), tf.constant([1.0]))
        add_row_mass(table, tf.constant([2]), tf.constant([2.0]))
    assert [ids.numpy().tolist() for ids, _ in inner.masses(table)] == [[1]]
    assert [ids.numpy().tolist() for ids, _ in outer.masses(table)] == [[2]]


def test_masses_carry_no_gradient():
    table, x = tf.Variable(tf.zeros((5, 2))), tf.Variable([3.0])
    with tf.GradientTape() as tape, record_rows(tape) as record:
        add_row_mass(table, tf.constant([1]), x * x)
        total = tf.reduce_sum(record.masses(table)[0].values)
    assert tape.gradient(total, x) is None


def test_sum_by_owner():
    values = tf.constant([[1.0], [2.0], [4.0]])
    assert sum_by_owner(values, tf.constant([0, 2, 2]), 5)[:, 0].numpy().tolist() == [1, 0, 6, 0, 0]
    assert sum_by_owner(values[:0, 0], tf.zeros(0, tf.int32), 2).numpy().tolist() == [0, 0]


def test_row_products():
    rng = np.random.default_rng(0)
    left, right = tf.constant(rng.normal(size=(2, 5, 3)))
    slope = tf.constant(rng.normal(size=5))
    with tf.GradientTape() as tape:
        tape.watch([left, right])
        products = row_products(left, right)
    np.testing.assert_allclose(products, np.einsum("nd,nd->n", left, right))
    gradients = tape.gradient(products, [left, right], slope)
    np.testing.assert_allclose(gradients[0], slope[:, None] * right)
    np.testing.assert_allclose(gradients[1], slope[:, None] * left)
