"""EmbeddingLookup against NumPy indexing."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kerasw2v.layers import EmbeddingLookup, uniform_rows
from kerasw2v.ops.row_gradients import record_rows

IDS = np.array([[1, 2, 2], [4, -1, -1], [-1, -1, -1]])
PRESENT = (IDS >= 0)[..., None]


def built(**kwargs):
    layer = EmbeddingLookup(6, 4, seed=3, **kwargs)
    layer.build()
    return layer, layer.embeddings.numpy()


def test_rows_of_the_table():
    layer, table = built()
    assert layer(np.array([5, 0])).numpy().tolist() == table[[5, 0]].tolist()
    assert layer(np.array([[[5, 0]]])).shape == (1, 1, 2, 4)
    assert layer(np.array([5.0, 0.0], np.float32)).numpy().tolist() == table[[5, 0]].tolist()


def test_combined_rows():
    mean, table = built(combiner="mean")
    total, _ = built(combiner="sum")
    full = np.array([[0, 1, 1], [5, 2, 3]])
    np.testing.assert_allclose(mean(full), table[full].mean(1), atol=1e-6)
    np.testing.assert_allclose(total(full), table[full].sum(1), atol=1e-6)


@pytest.mark.parametrize("combiner", [None, "mean", "sum"])
def test_negative_ids_are_padding(combiner):
    layer, table = built(combiner=combiner, mask_negative=True)
    rows = table[IDS] * PRESENT
    expected = {
        None: rows,
        "sum": rows.sum(1),
        "mean": rows.sum(1) / np.maximum(PRESENT.sum(1), 1),
    }[combiner]
    with tf.GradientTape() as tape:
        out = layer(IDS)
    np.testing.assert_allclose(out, expected, atol=1e-6)
    gradient = tf.convert_to_tensor(tape.gradient(out, layer.embeddings.value)).numpy()
    share = np.full(3, 1.0) if combiner != "mean" else 1 / np.maximum(PRESENT.sum((1, 2)), 1)
    expected_gradient = np.zeros((6, 4))
    np.add.at(expected_gradient, np.maximum(IDS, 0), (PRESENT * share[:, None, None]) * np.ones(4))
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)


def test_gradient_is_sparse_with_a_row_an_id():
    layer, _ = built(combiner="mean")
    with tf.GradientTape() as tape:
        out = layer(np.array([[0, 1], [5, 0]]))
    gradient = tape.gradient(out, layer.trainable_variables)[0]
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.values.shape == (4, 4)


def test_first_rows_are_those_of_word2vec():
    layer = EmbeddingLookup(2000, 10, seed=1)
    layer.build()
    rows = layer.embeddings.numpy()
    assert np.abs(rows).max() <= 0.05
    # Uniform in +-.05 has sigma .0289; 20,000 of them estimate it to within .5 %.
    assert rows.std() == pytest.approx(0.1 / 12**0.5, rel=0.03)
    again, other = (EmbeddingLookup(2000, 10, seed=seed) for seed in (1, 2))
    again.build()
    other.build()
    assert (again.embeddings.numpy() == rows).all()
    assert (other.embeddings.numpy() != rows).any()


@pytest.mark.parametrize("is_distributed", [False, True])
def test_large_tables_are_drawn_in_parts(monkeypatch, is_distributed):
    monkeypatch.setattr(uniform_rows, "_LARGE", 30_000)
    monkeypatch.setattr(uniform_rows, "_PART", 8_000)

    def table(seed):
        layer = EmbeddingLookup(5_001, 8, seed=seed)  # five parts of 1,000 rows, and one row
        layer.build()
        return layer.table

    if is_distributed:
        with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
            copies = [copy.numpy() for copy in table(1).value.values]
        np.testing.assert_array_equal(*copies)
        np.testing.assert_array_equal(copies[0], table(1).numpy())
        return
    rows = table(1).numpy()
    assert len(np.unique(rows, axis=0)) == 5_001
    assert abs(rows).max() <= 0.5 / 8
    assert stats.kstest(rows.ravel(), stats.uniform(-0.5 / 8, 1 / 8).cdf).pvalue > 0.001
    np.testing.assert_array_equal(table(1).numpy(), rows)
    assert not (table(2).numpy() == rows).all(axis=1).any()


def test_own_initializer():
    layer = EmbeddingLookup(3, 2, embeddings_initializer="ones")
    assert layer(np.array([2])).numpy().tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"combiner": "sum", "mask_negative": True}, {"embeddings_initializer": "ones", "seed": 3}],
)
def test_config_round_trip(kwargs):
    layer = EmbeddingLookup(6, 4, **kwargs)
    copy = EmbeddingLookup.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert {**copy.get_config(), **kwargs, "embeddings_initializer": 0} == {
        **copy.get_config(),
        "embeddings_initializer": 0,
    }


def test_half_precision_computes_in_half_and_keeps_the_table():
    layer, table = built(dtype="mixed_bfloat16")
    assert table.dtype == np.float32
    rows = layer(np.array([1, 2]))
    assert rows.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(rows, tf.float32), table[[1, 2]], rtol=2**-8)


def test_distinct_ids_are_looked_up_once():
    layer, table = built()
    ids = np.array([[5, 2, 5], [2, 2, 0]], np.int32)
    rows, found, places = layer.distinct_rows(tf.constant(ids))
    assert found.numpy()[:3].tolist() == [5, 2, 0]
    np.testing.assert_array_equal(tf.gather(rows, places), table[ids])


def test_masses_are_handed_on():
    layer, _ = built()
    with tf.GradientTape() as tape, record_rows(tape) as record:
        layer.add_mass(tf.constant([[1, 2]]), tf.constant([[3.0, 4.0]]))
    ((ids, mass),) = record.masses(layer.embeddings)
    assert ids.numpy().tolist() == [1, 2]
    assert mass.numpy().tolist() == [3, 4]


def test_in_a_functional_model(tmp_path):
    inputs = keras.Input((3,), dtype="int32")
    bag = EmbeddingLookup(6, 4, combiner="mean", mask_negative=True, seed=1)(inputs)
    assert bag.shape == (None, 4)
    model = keras.Model(inputs, keras.layers.Dense(1)(bag))
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(IDS, np.ones((3, 1)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(IDS, verbose=0), loaded.predict(IDS, verbose=0))


@pytest.mark.parametrize("wrong", [6, -1, 2**32 + 3])
def test_an_id_outside_the_table_is_named(wrong):
    layer, _ = built()
    with pytest.raises(
        ValueError, match=rf"^`ids` must be ids from 0 to 5\. .*ids\[1\]={wrong}\.$"
    ):
        layer(np.array([0, wrong]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"is not in \[0, 6\)"):
        tf.function(layer)(tf.constant([0, wrong], tf.int64))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"vocabulary_size": 0}, "`vocabulary_size` must be at least 1. Received"),
        ({"vocabulary_size": -2}, "`vocabulary_size` must be at least 1. Received"),
        ({"embedding_dim": 0}, "`embedding_dim` must be at least 1. Received"),
        ({"combiner": "max"}, "`combiner` must be one of None, 'mean', 'sum'. Received"),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        EmbeddingLookup(**{"vocabulary_size": 3, "embedding_dim": 2, **arguments})
