"""Reading rows of a table, and counting equal ids, without touching the rest of the table."""

from typing import Any

import tensorflow as tf

from kerasw2v.ops.fused import fused


def as_ids(ids: Any) -> tf.Tensor:
    """Returns `ids` as an int32 tensor (Keras hands symbolic builds floats)."""
    return tf.cast(ids, tf.int32)


def gather_rows(table: Any, ids: tf.Tensor, dtype: Any) -> tf.Tensor:
    """Gathers rows of a Keras weight, cast to `dtype`.

    It reads the `tf.Variable` itself: `keras.ops.take` would read, and after the first sparse
    update copy, the whole table.

    Args:
        table: Keras weight, `(V, d)`.
        ids: integer tensor.
        dtype: dtype of the result.

    Returns:
        `ids.shape + (d,)`; its gradient is a `tf.IndexedSlices`.
    """
    return tf.cast(tf.gather(table.value, ids), dtype)


@fused
def count_equal(ids: tf.Tensor, pool: tf.Tensor) -> tf.Tensor:
    """Counts, for each id, how often it is in its group's pool.

    Args:
        ids: int32, `(groups, n)`.
        pool: int32, `(groups, k)`.

    Returns:
        float32, `(groups, n)`.
    """
    return tf.reduce_sum(tf.cast(ids[:, :, None] == pool[:, None, :], tf.float32), axis=-1)
