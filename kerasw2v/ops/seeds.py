"""Seeds for the random ops of a step."""

import random
from typing import Any

import tensorflow as tf

_NAME = "draw_state"


def add_draw_state(layer: Any, seed: int | None) -> Any:
    """Gives a layer or model the state that its random draws go on from.

    Unlike that of a `keras.random.SeedGenerator` it is saved with the weights, so training that is
    taken up again draws what it would have drawn undisturbed.

    Args:
        layer: Keras layer or model.
        seed: the seed; drawn from Python's `random` (`keras.utils.set_random_seed`) when None.

    Returns:
        int64 weight, `(2,)`: the seed, and how many seeds were drawn from it.
    """
    first = [random.randint(1, 10**9) if seed is None else seed, 0]
    return layer.add_weight(
        shape=(2,),
        initializer=lambda shape, dtype: tf.constant(first, tf.int64),
        dtype="int64",
        trainable=False,
        autocast=False,
        name=_NAME,
    )


def restart(model: Any, number: int) -> None:
    """Sets all random draws of a model to what follows after so many seeds drawn.

    Args:
        model: Keras model, with layers that called `add_draw_state`.
        number: how many seeds count as drawn.
    """
    for variable in model.non_trainable_variables:
        if variable.name == _NAME:
            variable.assign(tf.stack([tf.convert_to_tensor(variable.value)[0], number]))


def next_seed(draw_state: Any) -> tf.Tensor:
    """Draws the next seed, another one on each replica.

    Args:
        draw_state: from `add_draw_state`.

    Returns:
        int64, `(2,)`, for TensorFlow's stateless random ops.
    """
    seed = tf.identity(draw_state.value)
    draw_state.assign(seed + tf.constant([0, 1], tf.int64))
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return seed
    return tf.random.fold_in(seed, context.replica_id_in_sync_group)
