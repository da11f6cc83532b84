"""RowSGD against NumPy, and where plain SGD diverges."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import SkipGram, Vocabulary, block_dataset
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.layers import NegativeSampling
from kerasw2v.ops.row_gradients import (
    RowGradient,
    RowMass,
    RowProducts,
    RowSlices,
    record_rows,
)
from kerasw2v.ops.row_mass import add_row_mass
from kerasw2v.optimizers import RowSGD, default_learning_rate, default_schedule, linear_decay

V, DIM = 9, 3
TABLE = np.random.default_rng(0).normal(size=(V, DIM)).astype(np.float32)
IDS = np.array([4, 1, 4, 4, 0, 8, 1, 4], np.int32)
VALUES = np.random.default_rng(1).normal(size=(len(IDS), DIM)).astype(np.float32)
# Masses by slot, other slots than the gradient's: rows 4 and 8 are beyond the bound of 4 / .05.
MASS_IDS = np.array([4, 4, 1, 0, 8, 4, 4], np.int32)
MASSES = np.array([100, 60, 3, 1, 81, 5, 0.5], np.float32)


def by_numpy(table, ids, values, learning_rate, mass=None, max_step=4.0):
    """One step; `mass` is one number a row, or None to count how often `ids` names it."""
    table, gradient = np.float64(table), np.zeros(table.shape)
    np.add.at(gradient, ids, values)
    mass = np.bincount(ids, minlength=len(table)) if mass is None else mass
    for row in np.unique(ids):
        scale = min(1.0, max_step / (learning_rate * mass[row]))
        table[row] -= learning_rate * scale * gradient[row]
    return table


def total_mass():
    return np.bincount(MASS_IDS, MASSES, minlength=V)


class Step:
    """Applies given slices to a table, in one of the ways that TensorFlow can run it."""

    def __init__(self, mode, optimizer, table=TABLE, with_masses=True):
        self.table = keras.Variable(table, name="table")
        self.optimizer = optimizer
        self.with_masses = with_masses
        self.in_parts = "parts" in mode
        self.is_bucketed = "few" in mode
        if mode == "eager":
            self.run = self.apply
        elif mode in ("graph", "parts"):
            self.run = tf.function(self.apply)
        else:
            shapes = [([None], tf.int32), ([None, DIM], tf.float32)] * 2
            shapes[3] = ([None], tf.float32)
            signature = [tf.TensorSpec(*shape) for shape in shapes]
            self.run = tf.function(self.apply, input_signature=signature)

    def apply(self, ids, values, mass_ids, masses):
        gradient = tf.IndexedSlices(values, ids, dense_shape=self.table.shape)
        if self.with_masses:
            parts = (slice(0, 3), slice(3, None)) if self.in_parts else (slice(None),)
            bucketed = {"is_bucketed": self.is_bucketed}
            slices = [RowSlices(ids[part], values[part], **bucketed) for part in parts]
            gradient = RowGradient(slices, RowMass(mass_ids, masses), TABLE.shape)
        self.optimizer.apply([gradient], [self.table])

    def __call__(self, ids=IDS, values=VALUES, mass_ids=MASS_IDS, masses=MASSES):
        self.run(*map(tf.constant, (ids, values, mass_ids, masses)))
        return self.table.numpy()


MODES = (
    "eager",
    "graph",
    "unknown shapes",
    "parts",
    "parts of unknown shapes",
    "parts of few shapes",
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("learning_rate", [0.05, 0.001])
def test_a_step_with_masses(mode, learning_rate):
    stepped = Step(mode, RowSGD(learning_rate))()
    expected = by_numpy(TABLE, IDS, VALUES, learning_rate, total_mass())
    np.testing.assert_allclose(stepped, expected, atol=1e-6)  # sums of up to four numbers
    untouched = np.setdiff1d(np.arange(V), IDS)
    assert (stepped[untouched] == TABLE[untouched]).all()
    plain = by_numpy(TABLE, IDS, VALUES, learning_rate, np.zeros(V) + 1e-9)
    bounded = np.abs(expected - plain).max(1) > 1e-6
    assert bounded.tolist() == [learning_rate == 0.05 and row in (4, 8) for row in range(V)]


@pytest.mark.parametrize("few", [True, False])
def test_rows_that_are_matrix_products(few):
    rng = np.random.default_rng(4)
    ids = np.int32([[4, 8, 4], [1, 4, 0]])
    left, right = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 5, DIM))
    table, optimizer = keras.Variable(TABLE), RowSGD(0.05)

    @tf.function(input_signature=[tf.TensorSpec((2, None, 5))])
    def apply(factors):
        rows = tf.constant(ids)[:, : tf.shape(factors)[1]]
        values = tf.constant(right, tf.float32)
        products = RowProducts(tf.reshape(rows, [-1]), factors, values, few)
        mass = RowMass(tf.constant(MASS_IDS), tf.constant(MASSES))
        optimizer.apply([RowGradient([products], mass, TABLE.shape)], [table])

    apply(tf.constant(left, tf.float32))
    values = (left @ right).reshape(-1, DIM)
    expected = by_numpy(TABLE, ids.ravel(), values, 0.05, total_mass())
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_a_step_without_masses_counts_rows(mode):
    # Row 4 is named four times: beyond a bound of 1 / .5 = 2, as row 1 just is not.
    stepped = Step(mode, RowSGD(0.5, max_step=1.0), with_masses=False)()
    expected = by_numpy(TABLE, IDS, VALUES, 0.5, max_step=1.0)
    np.testing.assert_allclose(stepped, expected, atol=1e-6)


def test_masses_do_not_pile_up_from_step_to_step():
    step = Step("graph", RowSGD(0.05))
    step()
    expected = by_numpy(
        by_numpy(TABLE, IDS, VALUES, 0.05, total_mass()), IDS, VALUES, 0.05, total_mass()
    )
    np.testing.assert_allclose(step(), expected, atol=2e-6)


@pytest.mark.parametrize("mode", MODES)
def test_masses_of_earlier_steps_are_forgotten_where_a_row_has_none(mode):
    step = Step(mode, RowSGD(0.05))
    step(mass_ids=np.resize(np.arange(V, dtype=np.int32), len(MASSES)), masses=MASSES + 1e6)
    before = step.table.numpy()
    stepped = step(mass_ids=np.full_like(MASS_IDS, 3))  # row 3 is not among IDS
    expected = by_numpy(before, IDS, VALUES, 0.05, np.zeros(V) + 1e-9)
    np.testing.assert_allclose(stepped, expected, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_schedules_and_later_changes_of_the_learning_rate(mode):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.04, 0.01])
    step = Step(mode, RowSGD(schedule))
    first = step()
    np.testing.assert_allclose(first, by_numpy(TABLE, IDS, VALUES, 0.04, total_mass()), atol=1e-6)
    expected = by_numpy(first, IDS, VALUES, 0.01, total_mass())
    np.testing.assert_allclose(step(), expected, atol=1e-6)
    assert int(step.optimizer.iterations) == 2

    step = Step(mode, RowSGD(0.04))
    first = step()
    step.optimizer.learning_rate = 0.002
    expected = by_numpy(first, IDS, VALUES, 0.002, total_mass())
    np.testing.assert_allclose(step(), expected, atol=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_dense_gradients_are_plain_sgd(graph):
    table, bias = keras.Variable(TABLE), keras.Variable(TABLE[:, 0])
    optimizer = RowSGD(0.5, max_step=1e-3)

    def apply():
        gradients = [tf.constant(VALUES[:1] + 0 * TABLE), tf.constant(TABLE[:, 1])]
        optimizer.apply(gradients, [table, bias])

    (tf.function(apply) if graph else apply)()
    np.testing.assert_allclose(table.numpy(), TABLE - 0.5 * VALUES[:1], atol=1e-6)
    np.testing.assert_allclose(bias.numpy(), TABLE[:, 0] - 0.5 * TABLE[:, 1], atol=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_dense_gradients_with_masses_are_bounded_row_by_row(graph):
    table = keras.Variable(TABLE)
    optimizer = RowSGD(0.05)
    gradient = np.random.default_rng(2).normal(size=TABLE.shape).astype(np.float32)
    factors = tf.constant(gradient)

    def apply():
        with tf.GradientTape() as tape, record_rows(tape) as record:
            add_row_mass(table, None, tf.range(float(V)) * 20)
            add_row_mass(table, tf.constant(MASS_IDS), tf.constant(MASSES))
            loss = tf.reduce_sum(factors * table.value)
        optimizer.apply(record.gradients(loss, [table]), [table])

    (tf.function(apply) if graph else apply)()
    mass = total_mass() + 20 * np.arange(V)
    expected = by_numpy(TABLE, np.arange(V), gradient, 0.05, mass)
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)


def test_a_variable_without_gradient_stays():
    table, other = keras.Variable(TABLE), keras.Variable(TABLE)
    optimizer = RowSGD(0.5)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, tf.IndexedSlices(VALUES, IDS)], [table, other])
    assert (table.numpy() == TABLE).all()
    np.testing.assert_allclose(other.numpy(), by_numpy(TABLE, IDS, VALUES, 0.5), atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_same_gradients_same_result_to_the_last_bit(mode):
    rng = np.random.default_rng(3)
    table = rng.normal(size=(50, DIM)).astype(np.float32)
    ids = rng.integers(0, 50, 40_000).astype(np.int32)  # large enough for TensorFlow's threads
    values = rng.normal(size=(40_000, DIM)).astype(np.float32)
    masses = rng.random(40_000).astype(np.float32)
    results = [Step(mode, RowSGD(0.05), table)(ids, values, ids, masses) for _ in range(8)]
    assert all((result == results[0]).all() for result in results)


def test_no_state_beside_iterations_and_learning_rate():
    optimizer = RowSGD()
    optimizer.build([keras.Variable(TABLE)])
    assert {variable.name for variable in optimizer.variables} == {"iteration", "learning_rate"}


def test_numbers_of_numpy():
    half = np.float32(0.5)
    assert float(RowSGD(half, max_step=half).learning_rate) == 0.5
    schedule = linear_decay(half, np.int64(10), np.int32(2), end=half)
    assert json.loads(json.dumps(schedule.get_config()))["end_learning_rate"] == 0.25


@pytest.mark.parametrize("learning_rate", [0.025, keras.optimizers.schedules.CosineDecay(0.1, 9)])
def test_config_round_trip(learning_rate):
    optimizer = RowSGD(learning_rate, max_step=2.5, name="mine")
    for copy in (
        RowSGD.from_config(optimizer.get_config()),
        keras.optimizers.deserialize(keras.optimizers.serialize(optimizer)),
    ):
        assert isinstance(copy, RowSGD)
        assert copy.get_config() == optimizer.get_config()
        assert (copy.max_step, copy.name) == (2.5, "mine")
        np.testing.assert_allclose(copy.learning_rate, optimizer.learning_rate)


@pytest.mark.parametrize(
    "argument",
    [
        {"clipnorm": 1.0},
        {"global_clipnorm": 1.0},
        {"clipvalue": 0.5},
        {"weight_decay": 1e-4},
        {"use_ema": True},
        {"gradient_accumulation_steps": 4},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_what_would_touch_every_row_is_refused(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"^`{name}` must not be set: .* Received: {name}="):
        RowSGD(**argument)
    RowSGD(**dict.fromkeys(argument))  # None is Keras' own default


@pytest.mark.parametrize("max_step", [0, -1.0])
def test_max_step_must_be_positive(max_step):
    sentence = f"`max_step` must be positive. Received: max_step={max_step}."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        RowSGD(max_step=max_step)


def zipf_stream():
    """30,000 words of a language with frequencies 1 / rank, in which neighbours are related."""
    rng = np.random.default_rng(0)
    probabilities = 1 / np.arange(1, 301)
    ids = rng.choice(300, 30_000, p=probabilities / probabilities.sum())
    ids = np.sort(ids.reshape(-1, 10), axis=1)  # words of near rank come together
    ids = ids.astype(np.int32)
    counts = np.maximum(np.bincount(ids.ravel(), minlength=300), 1)
    order = np.argsort(-counts, kind="stable")
    ids = np.argsort(order)[ids].astype(np.int32)
    ids[:, 0] = ~ids[:, 0]
    return TokenStream(ids.ravel()), Vocabulary([f"w{i}" for i in range(300)], counts[order])


def trained(optimizer, batch_size, epochs=2):
    stream, vocabulary = zipf_stream()
    model = SkipGram(300, 16, NegativeSampling(vocabulary.counts, seed=1), window=3, seed=1)
    model.compile(optimizer)
    dataset = block_dataset(stream, vocabulary, 3, 0, batch_size, seed=1)
    return model, model.fit(dataset, epochs=epochs, verbose=0).history["loss"]


@pytest.mark.parametrize(
    ("learning_rate", "batch_size"), [(0.01, 512), (0.1, 512), (0.01, 16_384), (0.1, 16_384)]
)
def test_no_learning_rate_and_batch_diverges(learning_rate, batch_size):
    model, losses = trained(RowSGD(learning_rate), batch_size)
    assert np.isfinite(model.embedding.embeddings.numpy()).all()
    assert np.abs(model.embedding.embeddings.numpy()).max() < 20
    assert losses[1] < losses[0] < 4.2  # 4.16 is the loss of vectors that are all zero


def test_where_plain_sgd_does():
    model, _ = trained(keras.optimizers.SGD(0.1), 16_384)
    assert not np.abs(model.embedding.embeddings.numpy()).max() < 1e3  # also true of NaN


@pytest.mark.parametrize("dense", [False, True])
def test_biases_are_rows_of_one_number(dense):
    biases = keras.Variable(TABLE[:, 0], name="biases")
    values = np.bincount(IDS, VALUES[:, 0], V) if dense else VALUES[:, 0]
    slices = RowSlices(None if dense else tf.constant(IDS), tf.constant(values, tf.float32))
    mass = RowMass(tf.constant(MASS_IDS), tf.constant(MASSES))
    RowSGD(0.05).apply([RowGradient([slices], mass, (V,))], [biases])
    expected = by_numpy(TABLE[:, :1], IDS, VALUES[:, :1], 0.05, np.maximum(total_mass(), 1e-9))
    np.testing.assert_allclose(biases.numpy(), expected[:, 0], rtol=1e-5)


def test_default_learning_rates():
    assert default_learning_rate("skip-gram", 1) == 0.05
    assert default_learning_rate("skip-gram", 5) == pytest.approx(0.046, abs=5e-4)
    assert default_learning_rate("cbow", 1) == 0.09
    assert default_learning_rate("cbow", 5) == pytest.approx(0.065, abs=5e-4)
    with pytest.raises(ValueError, match="`architecture` must be one of 'skip-gram', 'cbow'"):
        default_learning_rate("sg", 1)
    with pytest.raises(ValueError, match="`epochs` must be at least 1"):
        default_learning_rate("cbow", 0)


@pytest.mark.parametrize(
    ("architecture", "epochs", "start", "end"),
    [("skip-gram", 1, 0.05, 0.005), ("cbow", 1, 0.09, 0.03), ("cbow", 2, 0.0783, 0.0087)],
)
def test_default_schedules(architecture, epochs, start, end):
    schedule = default_schedule(architecture, steps_per_epoch=10, epochs=epochs)
    assert float(schedule(0)) == pytest.approx(start, abs=1e-4)
    assert float(schedule(10 * epochs)) == pytest.approx(end, abs=1e-4)
    assert float(default_schedule(architecture, 10, epochs, 0.01)(0)) == pytest.approx(0.01)
    with pytest.raises(ValueError, match="`architecture` must be one of 'skip-gram', 'cbow'"):
        default_schedule("sg", 10, 1)


def test_a_decay_ends_where_it_is_told():
    assert float(linear_decay(0.1, 10, 2, end=0.5)(5)) == pytest.approx(0.0875)
    assert float(linear_decay(0.1, 10, 2, end=0.5)(20)) == pytest.approx(0.05)
    assert float(linear_decay(0.1, 10, 1, end=0)(10)) == 0
    with pytest.raises(ValueError, match=r"`end` must be from 0 to 1\. Received: end=1\.5"):
        linear_decay(0.1, 10, 1, end=1.5)
