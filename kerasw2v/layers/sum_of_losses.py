"""Several output layers over one hidden vector, their losses summed."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.layers.config_arrays import arrays_left_out
from kerasw2v.layers.kept_rows import KeptRows
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops.table_scores import TableScores


@keras.saving.register_keras_serializable("kerasw2v")
class SumOfLosses(OutputLayer):
    """Trains several output layers at once: `loss = sum_i layers[i](hidden, target)`.

    word2vec.c and gensim do so if hierarchical softmax and negative sampling are both on. Each
    layer has its own tables; the hidden vector gets the gradients of all. Only the first layer
    predicts.

    Args:
        layers: two or more layers, each an `OutputLayer`, for the same vocabulary.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden, targets, weights: see `OutputLayer`.

    Raises:
        TypeError: if one of `layers` is not an `OutputLayer`.
        ValueError: if there are none, or their vocabularies differ in size.

    Cost: that of all layers together; parameters likewise.

    Example:

    >>> import numpy as np
    >>> from kerasw2v.layers import FullSoftmax, NegativeSampling
    >>> both = SumOfLosses([FullSoftmax([5, 3, 2]), NegativeSampling([5, 3, 2], seed=1)])
    >>> both(np.ones((2, 4), "float32"), np.array([0, 2])).shape
    TensorShape([2])
    """

    has_output_vectors = False

    def __init__(self, layers: Sequence[OutputLayer], **kwargs: Any) -> None:
        if not isinstance(layers, Iterable):
            raise TypeError(f"`layers` must be a list of layers. Received: layers={layers!r}.")
        layers = list(layers)
        for layer in layers:
            if not isinstance(layer, OutputLayer):
                raise TypeError(f"`layers` must be output layers of kerasw2v. Received: {layer!r}.")
        sizes = sorted({layer.vocabulary_size for layer in layers})
        if len(sizes) != 1:
            raise ValueError(
                "`layers` must all have the same vocabulary. "
                f"Received: {len(layers)} layers with vocabularies of {sizes} words."
            )
        super().__init__(sizes[0], **kwargs)
        self.layers = layers

    def build(
        self, hidden_shape: Any, targets_shape: Any = None, weights_shape: Any = None
    ) -> None:
        names: list[str] = []
        for layer in self._summands():
            if not layer.built:
                names.append(layer.draw_name)
                if (number := names.count(layer.draw_name)) > 1:  # two of a class draw apart
                    layer.draw_name += f" {number}"
        for layer in self.layers:
            if not layer.built:
                layer.build(hidden_shape, targets_shape)
        self.built = True

    def _summands(self) -> Iterator[OutputLayer]:
        """Yields the layers, those of sums within this one too."""
        for layer in self.layers:
            if isinstance(layer, SumOfLosses):
                yield from layer._summands()
            else:
                yield layer

    def pair_loss(
        self, hidden: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> tf.Tensor:
        return tf.add_n([layer(hidden, targets, weights) for layer in self.layers])

    def block_loss(self, hidden: tf.Tensor, candidates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return tf.add_n(
            [layer(hidden, candidates=candidates, weights=weights) for layer in self.layers]
        )

    def target_mass(self, targets: tf.Tensor) -> tf.Tensor | float:
        return sum(layer.target_mass(targets) for layer in self.layers)

    def grown(self, counts: NDArray[np.integer], ids: NDArray[np.integer]) -> "SumOfLosses":
        config = self.get_config()
        config["layers"] = [layer.grown(counts, ids) for layer in self.layers]
        return type(self)(**config)

    def kept_rows(self, grown: Any, ids: NDArray[np.integer]) -> list[KeptRows]:
        layers = zip(self.layers, grown.layers, strict=True)
        return [rows for old, new in layers for rows in old.kept_rows(new, ids)]

    @property
    def table_scores(self) -> TableScores | None:
        scores: TableScores | None = self.layers[0].table_scores
        return scores

    def log_probs(self, hidden: tf.Tensor) -> tf.Tensor:
        return self.layers[0].log_probs(hidden)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["counts"]
        return {**config, "layers": [keras.saving.serialize_keras_object(x) for x in self.layers]}

    def trace_config(self) -> dict[str, Any]:
        with arrays_left_out():  # they are in the layers
            return {**super().trace_config(), "layers": None}  # which tell for themselves

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SumOfLosses":
        config = dict(config)
        config["layers"] = [keras.saving.deserialize_keras_object(x) for x in config["layers"]]
        return cls(**config)
