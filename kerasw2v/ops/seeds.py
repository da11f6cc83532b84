"""Seeds for the random ops of a step."""

import hashlib
import itertools
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

_active = threading.local()
_NAME = "draw_state"


def named_seed(seed: int | None, name: str) -> int:
    """Returns a seed for each name: what is drawn under two names from one seed differs.

    From no seed it is drawn by Python's `random` (`keras.utils.set_random_seed`).
    """
    seed = random.randint(1, 10**9) if seed is None else seed
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def grown_seed(seed: int | None, vocabulary_size: int) -> int | None:
    """Returns the seed of what has grown to so many words: new words must not start as old ones."""
    return None if seed is None else named_seed(seed, f"grown to {vocabulary_size} words")


def add_draw_state(layer: Any, seed: int | None, name: str) -> Any:
    """Gives a layer or model the state that its random draws go on from.

    Unlike that of a `keras.random.SeedGenerator` it is saved with the weights, so training that is
    resumed draws what it would have drawn undisturbed.

    Returns:
        int64 weight, `(2,)`: the stream's seed, from `named_seed`, and how many seeds were drawn.
    """
    first = [named_seed(seed, name), 0]
    return layer.add_weight(
        shape=(2,),
        initializer=lambda shape, dtype: tf.constant(first, tf.int64),
        dtype="int64",
        trainable=False,
        autocast=False,
        name=_NAME,
    )


def restart(model: Any, number: int) -> None:
    """Sets all random draws of a model to what follows after so many seeds drawn."""
    for variable in model.non_trainable_variables:
        if variable.name == _NAME:
            variable.assign(tf.stack([tf.convert_to_tensor(variable.value)[0], number]))


@contextmanager
def own_draws(model: Any) -> Iterator[None]:
    """Keeps the seeds of a model's draws while its weights are set in the block, not their number.

    For a worker that trains on its own and takes over the state of another.
    """
    states = [each for each in model.non_trainable_variables if each.name == _NAME]
    seeds = [tf.convert_to_tensor(each.value)[0] for each in states]
    yield
    for state, seed in zip(states, seeds, strict=True):
        state.assign(tf.stack([seed, tf.convert_to_tensor(state.value)[1]]))


def next_seed(draw_state: Any) -> tf.Tensor:
    """Draws the next seed, another one on each replica: int64, `(2,)`, for stateless random ops.

    The `draw_state`, from `add_draw_state`, stays as it is inside `evaluation_draws`.
    """
    seed = tf.identity(draw_state.value)
    evaluation = getattr(_active, "evaluation", None)
    if evaluation is None:
        draw_state.assign(seed + tf.constant([0, 1], tf.int64))
    else:
        batch, draws = evaluation
        # Negative, which the numbers of training draws are not.
        seed = tf.random.fold_in(tf.stack([seed[0], -next(draws)]), batch)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return seed
    return tf.random.fold_in(seed, context.replica_id_in_sync_group)


def is_evaluating() -> bool:
    """Returns whether the code runs inside `evaluation_draws`."""
    return getattr(_active, "evaluation", None) is not None


@contextmanager
def evaluation_draws(batch: tf.Tensor) -> Iterator[None]:
    """Makes `next_seed` draw from a stream apart, so that evaluating does not change training.

    The seeds follow from the batch of ids: other batches get other ones, the same batch the same.
    """
    outer = getattr(_active, "evaluation", None)
    if outer is None:
        ids = tf.cast(tf.reshape(batch, [-1]), tf.int64)
        factors = tf.random.stateless_uniform(tf.shape(ids), [0, 0], None, None, tf.int64)
        # A random hash of the batch; the counter tells draws apart that see the same batch.
        _active.evaluation = tf.reduce_sum(ids * factors), itertools.count(1)
    try:
        yield
    finally:
        _active.evaluation = outer
