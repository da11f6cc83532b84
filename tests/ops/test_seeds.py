"""Streams of random numbers: one for each name, and those of evaluating apart."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.ops.seeds import add_draw_state, evaluation_draws, named_seed, next_seed


def make(seed=1, name="noise"):
    layer = keras.layers.Layer()
    return add_draw_state(layer, seed, name)


def seeds_of(state, number=3):
    return [tuple(next_seed(state).numpy().tolist()) for _ in range(number)]


def test_a_name_has_a_stream_of_its_own():
    assert seeds_of(make()) == seeds_of(make())
    streams = [seeds_of(make(seed, name)) for seed in (1, 2) for name in ("noise", "windows")]
    assert len({seed for stream in streams for seed in stream}) == 4 * 3


def test_streams_are_the_same_in_every_process():
    assert named_seed(1, "windows") == 1_195_272_045_753_443_120  # SHA-256 of "1 windows"
    assert all(0 <= named_seed(seed, "noise") < 2**63 for seed in (0, 1, 2**63 - 1))


def test_without_a_seed_python_s_random_chooses_one():
    keras.utils.set_random_seed(3)
    first, second = make(None), make(None)
    keras.utils.set_random_seed(3)
    again = make(None)
    np.testing.assert_array_equal(first, again)
    assert first.numpy()[0] != second.numpy()[0]


def test_evaluating_leaves_the_state_alone():
    state, undisturbed = make(), make()
    seeds_of(state, 1)
    with evaluation_draws(tf.constant([1, 2])):
        seeds_of(state)
    assert seeds_of(state, 2) == seeds_of(undisturbed)[1:]


def test_evaluation_draws_follow_from_the_batch():
    def drawn(batch, state):
        with evaluation_draws(tf.constant(batch)):
            return seeds_of(state)

    state = make()
    streams = [drawn(batch, state) for batch in ([1, 2], [2, 1], [[1, 3]], [1, 2, 0, 1])]
    streams.append(drawn([1, 2], make(name="windows")))
    streams.append(seeds_of(state))  # those of training
    assert len({seed for stream in streams for seed in stream}) == 6 * 3
    assert drawn([1, 2], state) == streams[0]  # whatever was drawn before


def test_a_graph_draws_anew_for_each_batch():
    state = make()

    @tf.function
    def evaluate(batch):
        with evaluation_draws(batch):
            return tf.stack([next_seed(state), next_seed(state)])

    drawn = [evaluate(tf.constant(batch)).numpy() for batch in ([1, 2], [2, 1], [1, 2])]
    assert len(np.unique(np.concatenate(drawn[:2]), axis=0)) == 4
    np.testing.assert_array_equal(drawn[0], drawn[2])
    with evaluation_draws(tf.constant([1, 2])):
        np.testing.assert_array_equal([next_seed(state), next_seed(state)], drawn[0])


def test_the_outer_evaluation_counts():
    state = make()
    with evaluation_draws(tf.constant([1])):
        first = seeds_of(state, 1)
        with evaluation_draws(tf.constant([1])):
            second = seeds_of(state, 1)
        third = seeds_of(state, 1)
    assert len({*first, *second, *third}) == 3


def test_an_error_ends_the_evaluation():
    state, undisturbed = make(), make()
    with pytest.raises(KeyError), evaluation_draws(tf.constant([1])):
        raise KeyError
    assert seeds_of(state) == seeds_of(undisturbed)
