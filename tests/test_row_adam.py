"""RowAdam and RowAdagrad: a batch moves its rows as the dense rule does, and no others."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import SkipGram, layers
from kerasw2v.ops.row_gradients import RowGradient, RowMass, RowProducts, RowSlices
from kerasw2v.optimizers import RowAdagrad, RowAdam

V, DIM, STEPS = 9, 3, 4
OPTIMIZERS = (RowAdam, RowAdagrad)
each_optimizer = pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
DENSE = {RowAdam: keras.optimizers.Adam, RowAdagrad: keras.optimizers.Adagrad}
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(V, DIM)).astype(np.float32)


def batches(rows, seed=1):
    """Row ids that repeat, and a gradient for each."""
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        ids = np.concatenate([rows, rng.choice(rows, 5)]).astype(np.int32)
        yield ids, rng.normal(size=(len(ids), DIM)).astype(np.float32)


def summed(ids, values):
    dense = np.zeros((V, DIM), np.float32)
    np.add.at(dense, ids, values)
    return dense


def sliced(ids, values):
    return tf.IndexedSlices(tf.constant(values), tf.constant(ids), tf.constant([V, DIM]))


def run(optimizer, gradients, graph=False):
    table = keras.Variable(TABLE)
    optimizer.build([table])

    def apply(gradient):
        optimizer.apply([gradient], [table])

    step = tf.function(apply) if graph else apply
    for gradient in gradients:
        step(gradient)
    return table.numpy()


@each_optimizer
@pytest.mark.parametrize("graph", [False, True])
def test_rows_that_every_batch_names_move_as_with_the_dense_rule(optimizer_class, graph):
    steps = list(batches(np.arange(V)))
    sparse = run(optimizer_class(0.1), [sliced(*step) for step in steps], graph)
    dense = run(DENSE[optimizer_class](0.1), [tf.constant(summed(*step)) for step in steps])
    np.testing.assert_allclose(sparse, dense, atol=2e-6)


@each_optimizer
def test_the_gradient_of_a_whole_table_is_the_dense_rule(optimizer_class):
    gradients = [tf.constant(summed(*step)) for step in batches(np.arange(V))]
    dense = run(DENSE[optimizer_class](0.1), gradients)
    for graph in (False, True):
        np.testing.assert_allclose(run(optimizer_class(0.1), gradients, graph), dense, atol=1e-6)
    mass = RowMass(None, tf.ones(V))
    as_rows = [RowGradient([RowSlices(None, each)], mass, (V, DIM)) for each in gradients]
    np.testing.assert_allclose(run(optimizer_class(0.1), as_rows), dense, atol=1e-6)


def by_numpy(optimizer_class, steps, rate=0.1):
    """The rule of the docstring, row by row, in float64."""
    table, mean, square = np.float64(TABLE), np.zeros((V, DIM)), np.zeros((V, DIM))
    total = np.full((V, DIM), 0.1)
    for number, (ids, values) in enumerate(steps, 1):
        gradient = np.zeros((V, DIM))
        np.add.at(gradient, ids, values)
        for row in np.unique(ids):
            g = gradient[row]
            if optimizer_class is RowAdagrad:
                total[row] += g**2
                table[row] -= rate * g / np.sqrt(total[row] + 1e-7)
                continue
            mean[row] = 0.9 * mean[row] + 0.1 * g
            square[row] = 0.999 * square[row] + 0.001 * g**2
            scale = np.sqrt(1 - 0.999**number) / (1 - 0.9**number)
            table[row] -= rate * scale * mean[row] / (np.sqrt(square[row]) + 1e-7)
    return table


@each_optimizer
@pytest.mark.parametrize("graph", [False, True])
def test_rows_that_no_batch_names_stay(optimizer_class, graph):
    # Not row 0, which stands where ids are padded.
    steps = [
        (ids, values)
        for rows, seed in (([3, 4, 8], 1), ([4, 7], 2))
        for ids, values in batches(np.array(rows), seed)
    ]
    optimizer = optimizer_class(0.1)
    table = run(optimizer, [sliced(*step) for step in steps], graph)
    expected = by_numpy(optimizer_class, steps)
    np.testing.assert_allclose(table, expected, rtol=1e-5, atol=1e-5)
    others = np.setdiff1d(np.arange(V), [3, 4, 7, 8])
    assert (table[others] == TABLE[others]).all()
    assert np.abs(table - TABLE)[[3, 4, 7, 8]].min() > 1e-3
    start = 0.1 if optimizer_class is RowAdagrad else 0
    for slot in optimizer.variables[2:]:
        np.testing.assert_array_equal(slot.numpy()[others], np.float32(start))


@each_optimizer
def test_gradients_of_several_lookups(optimizer_class):
    rng = np.random.default_rng(4)
    ids = np.int32([[4, 8, 4], [1, 4, 3]])
    left, right = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 5, DIM))
    other_ids, others = np.int32([4, 5]), rng.normal(size=(2, DIM))
    tensors = [tf.constant(each, tf.float32) for each in (left, right, others)]
    slices = [
        RowProducts(tf.constant(ids.ravel()), *tensors[:2]),
        RowSlices(tf.constant(other_ids), tensors[2], tf.constant([2.0, -1.0])),
    ]
    gradient = RowGradient(slices, RowMass(None, tf.ones(V)), (V, DIM))
    products = (left @ right).reshape(-1, DIM)
    values = np.concatenate([products, others * [[2.0], [-1.0]]])
    step = np.concatenate([ids.ravel(), other_ids]), values
    table = run(optimizer_class(0.1), [gradient] * 2)
    np.testing.assert_allclose(table, by_numpy(optimizer_class, [step] * 2), atol=1e-5)


def test_a_vector_has_rows_of_one_number():
    biases = keras.Variable(TABLE[:, 0])
    RowAdam(0.1).apply([tf.IndexedSlices([1.0, 2.0, -4.0], [3, 3, 5])], [biases])
    expected = TABLE[:, 0].copy()
    expected[[3, 5]] += [-0.1, 0.1]  # a first step is as long as the learning rate
    np.testing.assert_allclose(biases.numpy(), expected, atol=1e-6)


def test_schedules():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.1, 0.0])
    steps = list(batches(np.arange(V)))
    once = run(RowAdam(0.1), [sliced(*steps[0])])
    often = run(RowAdam(schedule), [sliced(*step) for step in steps])
    np.testing.assert_array_equal(once, often)


@pytest.fixture(scope="module")
def trained():
    """A model that was trained by RowAdam for an epoch, and its data."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 40, 600).astype(np.int32)
    pairs = centres, (centres + rng.integers(0, 2, 600)) % 40
    model = SkipGram(40, 8, layers.NegativeSampling(40, 3, seed=1), seed=1)
    model.compile(RowAdam(0.01))
    losses = model.fit(*pairs, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    return model, pairs


def test_training_goes_on_after_save_and_load(trained, tmp_path):
    model, pairs = trained
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, RowAdam)
    losses = [each.fit(*pairs, shuffle=False, verbose=0).history for each in (model, loaded)]
    assert losses[0] == losses[1]
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@each_optimizer
def test_no_step_makes_a_table_of_its_gradient(optimizer_class):
    size, dim = 1009, 24
    model = SkipGram(size, dim, layers.NegativeSampling(size, 5, seed=1), window=2, seed=1)
    model.compile(optimizer_class(0.05))
    model.optimizer.build(model.trainable_variables)
    spec = tf.TensorSpec((8, model.block_length + 4), tf.int32)
    graph = (
        tf.function(lambda blocks: model.train_step((blocks,))).get_concrete_function(spec).graph
    )
    functions = graph.as_graph_def().library.function
    shapes = [output.shape.as_list() for op in graph.get_operations() for output in op.outputs]
    assert any(shape[-1:] == [dim] for shape in shapes)
    assert [size, dim] not in shapes
    assert any(node.op == "ResourceScatterNdAdd" for each in functions for node in each.node_def)


def test_under_loss_scaling():
    steps = list(batches(np.array([2, 4])))
    plain = run(RowAdam(0.1), [sliced(*step) for step in steps])
    optimizer = keras.optimizers.LossScaleOptimizer(RowAdam(0.1), initial_scale=64.0)
    scaled = [sliced(ids, 64 * values) for ids, values in steps]
    np.testing.assert_allclose(run(optimizer, scaled, graph=True), plain, atol=1e-6)


@each_optimizer
def test_config_round_trip(optimizer_class):
    numbers = {"epsilon": 1e-5, "reduction": "rows", "name": "mine"}
    extra = {"beta_1": 0.8} if optimizer_class is RowAdam else {"initial_accumulator_value": 0.5}
    optimizer = optimizer_class(0.025, **numbers, **extra)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(copy, optimizer_class)
    assert copy.get_config() == optimizer.get_config()
    assert {name: getattr(copy, name) for name in (*numbers, *extra)} == {**numbers, **extra}


@pytest.mark.parametrize(
    ("optimizer_class", "arguments", "error", "sentence"),
    [
        (RowAdam, {"beta_1": 1.0}, ValueError, "`beta_1` must be from 0 to below 1. Received"),
        (RowAdam, {"beta_2": -0.1}, ValueError, "`beta_2` must be from 0 to below 1. Received"),
        (RowAdam, {"beta_2": "x"}, TypeError, "`beta_2` must be a number. Received"),
        (RowAdam, {"epsilon": 0}, ValueError, "`epsilon` must be positive. Received: epsilon=0."),
        (RowAdam, {"clipnorm": 1.0}, ValueError, "`clipnorm` must not be set"),
        (RowAdam, {"reduction": "all"}, ValueError, "`reduction` must be one of"),
        (RowAdagrad, {"epsilon": -1.0}, ValueError, "`epsilon` must be positive. Received"),
        (
            RowAdagrad,
            {"initial_accumulator_value": -1.0},
            ValueError,
            "`initial_accumulator_value` must not be negative.",
        ),
    ],
)
def test_bad_arguments(optimizer_class, arguments, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}"):
        optimizer_class(**arguments)
