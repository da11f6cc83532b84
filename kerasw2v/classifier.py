"""A Keras model that ends in an output layer: trained on labels, it predicts the best ids."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops.ids import check_examples, is_array, one_sentence_id_errors
from kerasw2v.utils.paths import check_keras_path


class _Mean(keras.losses.Loss):
    """Keras' mean of losses: over what no mask excludes, with sample weights."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


@keras.saving.register_keras_serializable("kerasw2v")
class Classifier(keras.Model):
    """Predicts one of V ids from anything: a `body` makes hidden vectors, an output layer scores.

    A language model, a tagger, a recommender of the next item. It is trained like a model that ends
    in `Dense(V)` and a sparse cross-entropy: `fit(x, y)` with ids `y`. The loss is that of the
    output layer, averaged as Keras does: over all positions that are neither masked nor the
    layer's `ignore_id`, times sample weights.

    - `fit`, `evaluate` and `validation_data` take `(x, y)` or `(x, y, sample_weight)`.
    - `predict(x)` returns `(ids, log_probs)` of the `k` most probable words, as `top_k` does, and
      `export` writes a model that serves the same.
    - `model(x)` returns hidden vectors: `model.output_layer.log_probs(model(x))` are the
      log-probabilities of all words, and metrics such as `kerasw2v.metrics.Perplexity(layer)` are
      given them in `compile(metrics=...)`. In training, Keras asks metrics after the step's update:
      what they say of a batch is a little better than before it. Validation is exact.

    Args:
        body: a Keras model, functional or any other, from inputs to hidden vectors `(..., d)`.
        output_layer: a `kerasw2v.layers.OutputLayer`.
        k: number of words that `predict` returns, at most V.
        **kwargs: arguments of `keras.Model`.

    Raises:
        TypeError, ValueError: if `body` is no Keras layer with one output, `output_layer` is none,
            or `k` is not from 1 to V; in `compile`, for a `loss`, and for metrics that would take
            hidden vectors for scores; in `fit` and `evaluate`, without `y`, or if ids of `y` are
            out of range or weights not finite.

    Cost: that of the body and of the output layer.

    Example:

    >>> import keras, numpy as np
    >>> from kerasw2v import Classifier, layers
    >>> inputs = keras.Input((3,), dtype="int32")
    >>> hidden = keras.layers.LSTM(8)(keras.layers.Embedding(50, 8)(inputs))
    >>> layer = layers.SampledSoftmax(counts=np.arange(50, 0, -1), num_sampled=10)
    >>> model = Classifier(keras.Model(inputs, hidden), layer, k=2)
    >>> model.compile("adam")
    >>> x, y = np.array([[1, 2, 3], [4, 5, 6]]), np.array([4, 7])
    >>> history = model.fit(x, y, verbose=0)
    >>> ids, log_probs = model.predict(x, verbose=0)
    >>> ids.shape
    (2, 2)
    """

    def __init__(self, body: Any, output_layer: OutputLayer, k: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(body, keras.layers.Layer):
            raise TypeError(f"`body` must be a Keras model. Received: body={body!r}.")
        if not isinstance(output_layer, OutputLayer):
            raise TypeError(
                "`output_layer` must be a kerasw2v.layers.OutputLayer. "
                f"Received: output_layer={output_layer!r}."
            )
        self.body, self.output_layer = body, output_layer
        self.k = output_layer.checked_k(k)
        self._mean = _Mean(name="mean")
        self._leading: tuple[int | None, ...] | None = None  # the shape of labels, once known
        if isinstance(body, keras.Model) and getattr(body, "inputs", None):  # functional
            if not isinstance(body.output, keras.KerasTensor):
                raise ValueError(
                    "`body` must have one output, the hidden vectors. "
                    f"Received: {len(body.outputs)} outputs."
                )
            self._build_output_layer(body.output.shape)
            self.built = True

    def build(self, input_shape: Any) -> None:
        if not self.body.built:
            self.body.build(input_shape)
        self._build_output_layer(self.body.compute_output_shape(input_shape))
        self.built = True

    def _build_output_layer(self, hidden_shape: Any) -> None:
        self._leading = tuple(hidden_shape[:-1])
        if not self.output_layer.built:
            self.output_layer.build(hidden_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.body(inputs, training=training)

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any) -> None:
        """Configures training; the output layer has the loss, so none is given."""
        if loss is not None:
            raise ValueError(
                f"`loss` must not be given: the output layer computes it. Received: loss={loss!r}."
            )
        for metric in keras.tree.flatten([kwargs.get("metrics"), kwargs.get("weighted_metrics")]):
            # Those of a saved model come without their layer.
            if getattr(metric, "lost_layer", None) == self.output_layer.name:
                metric.bind(self.output_layer)
            _check_metric(metric)
            _check_layer_of_metric(metric, self.output_layer)
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as it was compiled when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if y is None:
            raise ValueError(
                "`y` must be given: the id of each example's target. Received: y=None."
            )
        losses = self.output_layer(y_pred, y, training=training)
        loss = self._mean(losses, losses, _weights_of_positions(sample_weight, y_pred))
        if self.losses:  # of regularisers
            loss += super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        weights = _weights_of_positions(sample_weight, y_pred)
        return super().compute_metrics(x, y, y_pred, weights)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does; ids and weights in arrays are checked first."""
        named = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        validation = named.get("validation_data")
        if isinstance(validation, tuple | list):
            _, *rest = keras.utils.unpack_x_y_sample_weight(tuple(validation))
            self._check_arrays("validation_data: {}", *rest)
        with self._checked(y, named.get("sample_weight")):
            return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.evaluate` does; arrays are checked first, as in `fit`."""
        named = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs).arguments
        with self._checked(y, named.get("sample_weight")):
            return super().evaluate(x, y, *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.train_on_batch` does; arrays are checked first, as in `fit`."""
        with self._checked(y, args[0] if args else kwargs.get("sample_weight")):
            return super().train_on_batch(x, y, *args, **kwargs)

    @contextmanager
    def _checked(self, y: Any, sample_weight: Any) -> Iterator[None]:
        """Checks arrays before any work; in the block, errors of ops become one sentence."""
        self._check_arrays("{}", y, sample_weight)
        with one_sentence_id_errors():
            yield

    def _check_arrays(self, name: str, y: Any, sample_weight: Any = None) -> None:
        if is_array(y):
            self._check_shape(name.format("y"), np.shape(y))
        ignored = self.output_layer.ignore_id
        if is_array(y) and ignored is not None:
            ids = np.asarray(y)
            y = np.where(ids == ignored, 0, ids)
        check_examples(name, None, y, sample_weight, self.output_layer.vocabulary_size, 0)

    def _check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Raises ValueError unless there is a label for each hidden vector, if these are known."""
        if self._leading is None:
            return
        allowed = self._leading, (*self._leading, 1)
        if not any(tf.TensorShape(each).is_compatible_with(shape) for each in allowed):
            raise ValueError(
                f"`{name}` must be one id for each hidden vector, of shape {self._leading}; "
                f"one-hot labels are no ids. Received: {name} of shape {shape}."
            )

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the model to a `.keras` file; raises ValueError for a `.h5` or `.hdf5` file."""
        check_keras_path(filepath)
        super().save(filepath, *args, **kwargs)

    def predict_step(self, data: Any) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        best: tuple[tf.Tensor, tf.Tensor] = self.output_layer.top_k(
            self(inputs, training=False), self.k
        )
        return best

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """Exports a model that returns what `predict` does; the body must be functional."""
        best = self.output_layer.top_k(self.body.output, self.k)
        return keras.Model(self.body.input, best).export(filepath, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "body": keras.saving.serialize_keras_object(self.body),
            "output_layer": keras.saving.serialize_keras_object(self.output_layer),
            "k": self.k,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Classifier":
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("body", "output_layer")  # in this order: the layer may share its table
        }
        return cls(**{**config, **parts})


def _weights_of_positions(sample_weight: Any, hidden: Any) -> Any:
    """Returns weights of the shape of the losses: a weight of an example is that of its positions.

    Keras (3.15) would multiply `(batch,)` by `(batch, time)`: along time, if these are equal.
    """
    if sample_weight is None:
        return None
    weights, rank = tf.convert_to_tensor(sample_weight), len(hidden.shape) - 1
    if (weights.shape.rank or 0) > rank:
        return weights  # Keras squeezes (..., 1)
    ones = tf.ones(rank - tf.rank(weights), tf.int32)
    weights = tf.reshape(weights, tf.concat([tf.shape(weights), ones], axis=0))
    return tf.ensure_shape(tf.broadcast_to(weights, tf.shape(hidden)[:-1]), hidden.shape[:-1])


def _check_layer_of_metric(metric: Any, output_layer: OutputLayer) -> None:
    """Raises ValueError for a metric of an output layer that belongs to no model."""
    layer = getattr(metric, "layer", None)
    if isinstance(layer, OutputLayer) and layer is not output_layer and not layer.built:
        raise ValueError(
            f"The metric {metric.name!r} must be given the model's own output layer, "
            f"{output_layer.name!r}. Received: another layer, {layer.name!r}, without weights."
        )


def _check_metric(metric: Any) -> None:
    """Raises ValueError for a metric that would take hidden vectors for the scores of words."""
    if isinstance(metric, str) or type(metric).__module__.split(".")[0] == "keras":
        shown = metric if isinstance(metric, str) else type(metric).__name__
        raise ValueError(
            "`metrics` must be those of kerasw2v.metrics, such as TopKAccuracy(1, layer): what the "
            f"model returns are hidden vectors, not scores. Received: {shown!r}."
        )
    if hasattr(metric, "lost_layer") and metric.layer is None and metric.lost_layer is None:
        raise ValueError(
            f"The metric {metric.name!r} must be given the output layer, such as "
            "kerasw2v.metrics.Perplexity(layer), since the model returns hidden vectors. "
            "Received: none."
        )
