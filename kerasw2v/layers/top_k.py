"""The two results of `top_k` as one tensor, and back.

In a functional model all calls of a layer must have as many outputs as its first (Keras 3.15). An
output layer's first call returns losses, one tensor, so a call for `top_k` returns one tensor too.
"""

from typing import Any

import keras
import tensorflow as tf


def pack(ids: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Returns ids and the bits of scores in one tensor: int32, `(..., 2 k)`."""
    return tf.concat([ids, tf.bitcast(scores, tf.int32)], axis=-1)


@keras.saving.register_keras_serializable("kerasw2v")
class UnpackTopK(keras.layers.Layer):
    """Returns what `pack` has packed, `(ids, scores)`: int32 and float32, `(..., k)`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, packed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ids, scores = tf.split(packed, 2, axis=-1)
        return ids, tf.bitcast(scores, tf.float32)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> tuple[Any, Any]:
        return previous_mask, previous_mask

    def compute_output_spec(self, packed: Any) -> tuple[Any, Any]:
        shape = (*packed.shape[:-1], packed.shape[-1] // 2)
        return keras.KerasTensor(shape, "int32"), keras.KerasTensor(shape, "float32")
