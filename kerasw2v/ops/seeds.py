"""Seeds for the random ops of a step."""

from typing import Any

import tensorflow as tf


def next_seed(generator: Any) -> tf.Tensor:
    """Draws the next seed of a `keras.random.SeedGenerator`, another one on each replica.

    Returns:
        int32, `(2,)`, for TensorFlow's stateless random ops.
    """
    seed = tf.cast(generator.next(), tf.int32)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return seed
    return tf.random.fold_in(seed, context.replica_id_in_sync_group)
