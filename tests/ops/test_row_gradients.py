"""Gradients lookup by lookup against those of a tape."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.row_gradients import (
    RowGradient,
    RowProducts,
    RowSlices,
    as_slices,
    record_rows,
)
from kerasw2v.ops.rows import gather_rows, matrix_products_with_rows, products_with_rows
from kerasw2v.ops.sharded_table import ShardedTable

RNG = np.random.default_rng(0)
IDS = np.array([[2, 0, 2], [1, 2, 4]], np.int32)


def variable(*shape, **kwargs):
    return keras.Variable(RNG.normal(size=shape).astype(np.float32), **kwargs)


def both(loss, variables):
    """Gradients as dense arrays, lookup by lookup and of a tape that knows of no lookups."""
    with tf.GradientTape() as tape, record_rows(tape) as record:
        value = loss()
    apart = record.gradients(value, variables)
    with tf.GradientTape() as tape:
        value = loss()
    joined = tape.gradient(value, [each.value for each in variables])
    return apart, joined


def assert_equal(apart, joined):
    for one, other in zip(apart, joined, strict=True):
        dense, expected = (tf.convert_to_tensor(as_slices(each)).numpy() for each in (one, other))
        np.testing.assert_allclose(dense, expected, rtol=1e-6)


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("width", [(), (3,)], ids=["numbers", "rows"])
def test_slices_sum_to_the_gradient_of_a_tape(wrap, width):
    table = variable(5, *width)

    def loss():
        rows = gather_rows(table, tf.constant(IDS), tf.float32)
        others = gather_rows(table, tf.constant([4, 2], tf.int32), tf.float32)
        return tf.reduce_sum(rows**2) * tf.reduce_sum(others)

    @wrap
    def run():
        apart, joined = both(loss, [table])
        assert [each.values.shape for each in apart[0].slices] == [(6, *width), (2, *width)]
        return [as_slices(each) for each in apart], joined

    assert_equal(*run())


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_gradients_of_products_are_left_as_multiples(wrap):
    table, other = variable(5, 3), variable(6, 3)

    def loss():
        partners = gather_rows(other, tf.constant(IDS), tf.float32)
        products = products_with_rows(table, tf.constant(IDS), partners)
        return tf.reduce_sum(tf.sin(products)) + tf.reduce_sum(partners**2)

    @wrap
    def run():
        apart, joined = both(loss, [table, other])
        (slices,) = apart[0].slices
        assert isinstance(slices, RowSlices)
        assert slices.scale.shape == (6,)
        return slices.values, [as_slices(each) for each in apart], joined

    values, apart, joined = run()
    np.testing.assert_array_equal(values, other.numpy()[IDS.ravel()])
    assert_equal(apart, joined)
    expected = np.zeros((5, 3))
    for row in IDS.ravel():
        expected[row] += np.cos(table.numpy()[row] @ other.numpy()[row]) * other.numpy()[row]
    np.testing.assert_allclose(tf.convert_to_tensor(apart[0]), expected, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_gradients_of_matrix_products_are_left_as_products(wrap):
    table, other = variable(5, 3), variable(6, 3)

    def loss():
        partners = gather_rows(other, tf.constant([[0, 5, 2, 2], [1, 1, 3, 0]]), tf.float32)
        products = matrix_products_with_rows(table, tf.constant(IDS), partners)
        return tf.reduce_sum(tf.sin(products)) + tf.reduce_sum(partners**2)

    @wrap
    def run():
        apart, joined = both(loss, [table, other])
        (products,) = apart[0].slices
        assert isinstance(products, RowProducts)
        assert (products.factors.shape, products.partners.shape) == ((2, 3, 4), (2, 4, 3))
        return [as_slices(each) for each in apart], joined

    assert_equal(*run())


@pytest.mark.parametrize(
    ("form", "shape"), [(products_with_rows, (2, 3, 3)), (matrix_products_with_rows, (2, 4, 3))]
)
def test_products_of_half_precision_and_of_shards(form, shape):
    table = variable(5, 3)
    shards = ShardedTable([keras.Variable(table.numpy()[i::2]) for i in range(2)])
    partners = tf.constant(RNG.normal(size=shape), tf.bfloat16)
    with tf.GradientTape() as tape, record_rows(tape) as record:
        products = form(table, tf.constant(IDS), partners)
        of_shards = form(shards, tf.constant(IDS), partners)
        loss = tf.reduce_sum(products)
    assert products.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(products, tf.float32), tf.cast(of_shards, tf.float32))
    (gradient,) = record.gradients(loss, [table])
    assert gradient.slices[0].rows().values.dtype == tf.float32


def test_a_table_that_is_read_as_a_whole_too():
    table, dense = variable(5, 3), variable(3, 2)

    def loss():
        rows = gather_rows(table, tf.constant(IDS), tf.float32)
        return tf.reduce_sum(rows @ dense.value) + tf.reduce_sum(table.value**2)

    apart, joined = both(loss, [table, dense])
    assert isinstance(apart[0], RowGradient)
    assert isinstance(apart[1], tf.Tensor)
    assert_equal(apart, joined)


def test_rows_read_by_other_means_stay_sparse():
    table = variable(5, 3)

    def loss():
        rows = gather_rows(table, tf.constant(IDS), tf.float32)
        return tf.reduce_sum(rows**2) + tf.reduce_sum(tf.gather(table.value, np.int64([4, 4])) ** 3)

    apart, joined = both(loss, [table])
    assert [each.values.shape for each in apart[0].slices] == [(6, 3), (2, 3)]
    assert_equal(apart, joined)


def test_parts_of_a_table_have_gradients_of_their_own():
    table = ShardedTable([variable(3, 2), variable(2, 2)])

    def loss():
        return tf.reduce_sum(gather_rows(table, tf.constant(IDS), tf.float32) ** 3)

    apart, joined = both(loss, table.parts)
    assert all(isinstance(each, RowGradient) for each in apart)
    assert_equal(apart, joined)


def test_rows_without_part_in_the_loss_have_no_gradient():
    table, idle, fixed = variable(5, 3), variable(5, 3), variable(5, 3, trainable=False)
    with tf.GradientTape() as tape, record_rows(tape) as record:
        rows = [gather_rows(each, tf.constant(IDS), tf.float32) for each in (table, idle, fixed)]
        loss = tf.reduce_sum(rows[0])
    of_table, of_idle, of_fixed = record.gradients(loss, [table, idle, fixed])
    assert of_fixed is None
    assert (of_table.slices[0].values.numpy() == 1).all()
    assert of_idle is None


def test_lookups_outside_are_not_recorded():
    table = variable(5, 3)
    with tf.GradientTape(persistent=True) as tape, record_rows(tape) as outer:
        with record_rows(tape) as inner:
            loss = tf.reduce_sum(gather_rows(table, tf.constant(IDS), tf.float32))
        loss += tf.reduce_sum(gather_rows(table, tf.constant(IDS[0]), tf.float32))
    gather_rows(table, tf.constant(IDS), tf.float32)
    for record, number in ((inner, 6), (outer, 3)):
        ((slices,),) = [each.slices for each in record.gradients(loss, [table])]
        assert slices.ids.shape == (number,)


def test_a_row_without_reported_mass_has_that_of_its_lookups():
    table = variable(5, 3)
    with tf.GradientTape() as tape, record_rows(tape) as record:
        loss = tf.reduce_sum(gather_rows(table, tf.constant(IDS), tf.float32))
    (gradient,) = record.gradients(loss, [table])
    assert gradient.mass.total(5).numpy().tolist() == np.bincount(IDS.ravel()).tolist()
