"""Steps in lanes against the same steps in one."""

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, block_model, layers
from kerasw2v.ops.lanes import draw_for_lanes, in_lanes, number_of_lanes
from kerasw2v.optimizers import RowSGD
from kerasw2v.utils.runtime import chains_side_by_side, usable_cores

RNG = np.random.default_rng(0)
WORDS, DIM, WINDOW, LENGTH, BLOCKS = 300, 12, 2, 32, 64
COUNTS = 1000 // np.arange(1, WORDS + 1) + 1
IDS = RNG.choice(WORDS, (2 * BLOCKS, LENGTH + 2 * WINDOW), p=COUNTS / COUNTS.sum())
DATA = np.where(RNG.random(IDS.shape) < 0.1, ~IDS, IDS).astype(np.int32)


def trained(model_class, number, monkeypatch, **arguments):
    """The loss and tables after four steps with so many threads, and the number of lanes."""
    monkeypatch.setattr(block_model, "chains_side_by_side", lambda: number)
    layer = layers.NegativeSampling(COUNTS, seed=3, **arguments)
    model = model_class(WORDS, DIM, layer, window=WINDOW, seed=3)
    sizes, loss_of_blocks = set(), model.loss_of_blocks
    model.loss_of_blocks = lambda *args: sizes.add(args[0].shape[0]) or loss_of_blocks(*args)
    model.compile(RowSGD(0.5))
    dataset = tf.data.Dataset.from_tensor_slices(DATA).batch(BLOCKS, drop_remainder=True)
    loss = model.fit(dataset, epochs=2, verbose=0).history["loss"]
    return loss, [each.numpy() for each in model.trainable_variables], BLOCKS // sizes.pop()


@pytest.mark.parametrize(
    ("model_class", "sharing"), [(SkipGram, "group"), (CBOW, "group"), (CBOW, "example")]
)
def test_the_number_of_lanes_changes_no_bit(model_class, sharing, monkeypatch):
    loss, tables, number = trained(model_class, 1, monkeypatch, sharing=sharing)
    threads = 5 * model_class.chains_in_lane
    lane_loss, lane_tables, lanes = trained(model_class, threads, monkeypatch, sharing=sharing)
    assert (number, lanes) == (1, 4)
    assert loss == lane_loss
    for table, lane_table in zip(tables, lane_tables, strict=True):
        assert np.abs(table).max() > 0.1
        np.testing.assert_array_equal(table, lane_table)


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ({"sharing": "example"}, 1),  # how many pairs draw depends on the windows
        ({"sharing": "batch"}, 1),  # all share their noise words
        ({"group_size": 96}, 1),  # groups of three blocks, the last one padded
        ({"group_size": 1024}, 2),  # groups of 32 of the 64 blocks
    ],
)
def test_groups_are_not_parted(arguments, number, monkeypatch):
    assert trained(SkipGram, 8, monkeypatch, **arguments)[2] == number


@pytest.mark.parametrize(
    ("limit", "blocks", "together", "number"),
    [
        (1, 64, 1, 1),
        (3, 64, 1, 2),
        (8, 1024, 1, 8),
        (8, 64, 32, 2),
        (8, 15, 1, 1),
        (8, 32, 1, 2),  # of 512 tokens or more
        (8, None, 1, 1),
    ],
)
def test_number_of_lanes(limit, blocks, together, number):
    spec = tf.TensorSpec([blocks, 36], tf.int32)

    @tf.function(input_signature=[spec])
    def traced(batch):
        assert number_of_lanes(batch, together, limit) == number
        return batch

    traced.get_concrete_function()


def test_as_many_lanes_as_tensorflow_has_threads(monkeypatch):
    for threads, number in ((3, 3), (64, 8)):
        monkeypatch.setattr(
            tf.config.threading, "get_inter_op_parallelism_threads", lambda n=threads: n
        )
        assert chains_side_by_side() == number
    monkeypatch.setattr(tf.config.threading, "get_inter_op_parallelism_threads", lambda: 0)
    assert chains_side_by_side() == min(8, usable_cores())


def test_lanes_get_parts_of_one_draw():
    def draw(shape):
        shapes.append(shape)
        return tf.reshape(tf.range(int(np.prod(shape))), shape)

    def function(rows, nothing):
        assert nothing is None
        first, second = (draw_for_lanes(draw, (rows.shape[0], width)) for width in (3, 1))
        return rows + first[:, 0], second

    shapes = []
    rows = 10 * tf.range(6)
    parts = in_lanes(function, 3, rows, None)
    assert shapes == [(6, 3), (6, 1)]
    for part, whole in zip(parts, in_lanes(function, 1, rows, None), strict=True):
        np.testing.assert_array_equal(part, whole)
