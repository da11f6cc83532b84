"""Datasets that TensorFlow does not tune."""

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset without the thread that measures and tunes it.

    At the end of an epoch that thread is waited for, and it is often asleep until 0.63, 1.27, 2.55,
    5.11 ... seconds after the start: a fit ends up to twice as late as it could.

    Example:

    >>> dataset = untuned(tf.data.Dataset.range(4).batch(2).prefetch(1))
    >>> [batch.tolist() for batch in dataset.as_numpy_iterator()]
    [[0, 1], [2, 3]]
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
