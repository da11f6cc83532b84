"""The Keras side of `Word2Vec`: which model and layers stand for gensim's settings, and one fit."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v import layers as layers_module
from kerasw2v.block_model import BlockModel
from kerasw2v.callbacks import Progress
from kerasw2v.cbow import CBOW
from kerasw2v.data.block_dataset import block_dataset, count_ids, default_batch_size
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.layers.negative_sampling import NegativeSampling
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.layers.sum_of_losses import SumOfLosses
from kerasw2v.ops.huffman import Path, tree_of_paths
from kerasw2v.optimizers import RowSGD
from kerasw2v.skip_gram import SkipGram

# Compiling a model takes about as long as this many small steps run one by one.
_EAGER_STEPS = 32
# Every `train` call draws from a stretch of random numbers of its own.
_DRAWS_PER_TRAINING = 2**32


class Settings(NamedTuple):
    """All that fixes the Keras model of a `Word2Vec`, in gensim's names."""

    vector_size: int
    sg: int
    hs: int
    negative: int
    ns_exponent: float
    cbow_mean: int
    window: int
    shrink_windows: bool
    seed: int | None


class Schedule(NamedTuple):
    """How the learning rate falls in one training.

    Attributes:
        start: learning rate of the first step.
        end: learning rate towards which it falls.
        epochs: over how many epochs.
        share: how much of the corpus, as the caller counts it, an epoch really is.
    """

    start: float
    end: float
    epochs: int
    share: float = 1.0


class Outcome(NamedTuple):
    """What a training did: whole epochs, and the tokens an epoch trains on average."""

    epochs: int
    tokens_per_epoch: float


@keras.saving.register_keras_serializable("kerasw2v")
class LinearAlpha(keras.optimizers.schedules.LearningRateSchedule):
    """gensim's falling learning rate, set anew for each training without tracing a graph anew.

    Args:
        values: what `set` has set, to load a saved optimizer.
    """

    def __init__(self, values: Sequence[float] | None = None) -> None:
        super().__init__()
        self._values = tf.Variable(values or [0.025, 0.025, 1, 1, 1, 0], dtype=tf.float64)

    def set(self, schedule: Schedule, steps_per_epoch: int, first_step: int) -> None:
        """Sets the schedule of the training that begins at optimizer step `first_step`."""
        self._values.assign([*schedule, steps_per_epoch, first_step])

    def __call__(self, step: Any) -> tf.Tensor:
        start, end, epochs, share, steps_per_epoch, first_step = tf.unstack(self._values)
        done = tf.cast(step, tf.float64) - first_step
        epoch = tf.floor(done / steps_per_epoch)
        within = share * (done / steps_per_epoch - epoch)
        alpha = start - (start - end) * (epoch + within) / epochs
        return tf.cast(tf.maximum(alpha, end), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"values": [float(value) for value in self._values.numpy()]}


class Trainer:
    """A Keras model for a gensim vocabulary, with that vocabulary's order of words.

    Layers here want words by descending count. A gensim vocabulary that has grown is not in that
    order, so tables are permuted on their way in and out.

    Args:
        settings: the model.
        words: the words, in gensim's order.
        counts: their counts.
        paths: their paths in a Huffman tree, for hierarchical softmax.
        output_layer: an output layer, or the name of one in `kerasw2v.layers`, instead of that
            which the settings ask for.
        strategy: a `tf.distribute.Strategy`, or None.

    Attributes:
        model: the `SkipGram` or `CBOW`.
        vocabulary: the words in the model's order.
    """

    def __init__(
        self,
        settings: Settings,
        words: Sequence[str],
        counts: NDArray[np.int64],
        paths: Sequence[Path] | None = None,
        output_layer: OutputLayer | str | None = None,
        strategy: Any = None,
    ) -> None:
        self.settings = settings
        self._order = np.argsort(-counts, kind="stable")
        self.vocabulary = Vocabulary([words[i] for i in self._order], counts[self._order])
        with strategy.scope() if strategy else nullcontext():
            layer = _output_layer(settings, self.vocabulary.counts, output_layer)
            self.model = _model(settings, len(words), layer)
            self._alpha = LinearAlpha()
            self._optimizer = RowSGD(self._alpha)
            self._optimizer.build(self.model.trainable_variables)
        self._nodes = self._set_tree(paths) if paths else np.zeros(0, np.int64)
        self._replicas = strategy.num_replicas_in_sync if strategy else 1
        self._is_eager: bool | None = None

    def part(self, kind: type[OutputLayer]) -> Any:
        """Returns the output layer, or that among several, which is of a class; None if none is."""
        layer = self.model.output_layer
        for candidate in layer.layers if isinstance(layer, SumOfLosses) else [layer]:
            if isinstance(candidate, kind):
                return candidate
        return None

    def fits(self, settings: Settings, size: int) -> bool:
        """Whether this is the model for settings and a number of words."""
        return self.settings == settings and self.model.vocabulary_size == size

    def _set_tree(self, paths: Sequence[Path]) -> NDArray[np.int64]:
        """Sets the tree of the hierarchical softmax; returns its row of each node in `paths`."""
        parents, codes, rows = tree_of_paths([paths[i] for i in self._order])
        self.part(HierarchicalSoftmax).set_tree(parents, codes)
        return rows

    def _tables(self) -> dict[str, tuple[Any, NDArray[np.int64], int]]:
        """The tables that gensim has too, under gensim's names.

        Each comes with the row that each row of gensim's array has in it, and with the number of
        rows of that array.
        """
        places = np.argsort(self._order)
        size = len(places)
        tables = {"vectors": (self.model.embedding.embeddings, places, size)}
        if self.settings.hs:
            tables["syn1"] = (self.part(HierarchicalSoftmax).embeddings, self._nodes, size)
        if self.settings.negative:
            tables["syn1neg"] = (self.part(NegativeSampling).embeddings, places, size)
        return tables

    def push(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Sets the model's tables to gensim's arrays.

        Raises:
            ValueError: if an array has not the shape of its table.
        """
        for name, (table, rows, size) in self._tables().items():
            shape = (size, self.settings.vector_size)
            if arrays[name].shape != shape:
                raise ValueError(
                    f"`{name}` must have a row for each word and the width of the vectors, "
                    f"{shape}. Received: shape={arrays[name].shape}."
                )
            values = arrays[name]
            if len(rows) != len(values) or not _is_in_order(rows):
                values = np.zeros(table.shape, np.float32)
                values[rows] = arrays[name][: len(rows)]
            table.assign(values)

    def pull(self) -> dict[str, NDArray[np.float32]]:
        """Returns gensim's arrays, as the model's tables are now."""
        arrays = {}
        for name, (table, rows, size) in self._tables().items():
            values = _numpy(table)
            arrays[name] = np.zeros((size, self.settings.vector_size), np.float32)
            arrays[name][: len(rows)] = values if _is_in_order(rows) else values[rows]
        return arrays

    def log_probs(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the output layer's log-probabilities for one hidden vector, in gensim's order."""
        scores = self.model.output_layer.log_probs(hidden[None]).numpy()[0]
        return np.asarray(scores[np.argsort(self._order)])

    def encode(self, corpus: Any) -> TokenStream:
        """Reads a corpus once; raises ValueError if it has no word of the vocabulary."""
        return TokenStream.from_corpus(corpus, self.vocabulary)

    def fit(
        self,
        stream: TokenStream,
        keep: NDArray[np.float32],
        schedule: Schedule,
        training: int,
        batch_size: int | None = None,
        callbacks: Iterable[keras.callbacks.Callback] = (),
        progress_bar: bool = False,
    ) -> Outcome:
        """Trains the model on a corpus.

        Args:
            stream: what `encode` returned.
            keep: probability of each word's tokens to be kept in an epoch, in gensim's order.
            schedule: the learning rate and the epochs.
            training: the how-manieth training this is; each draws random numbers of its own.
            batch_size: tokens in a step; chosen for the corpus when None.
            callbacks: Keras callbacks.
            progress_bar: True to show one.
        """
        keep = keep[self._order]
        if batch_size is None:
            largest = self.model.largest_batch
            batch_size = default_batch_size(stream.corpus_words, self.settings.window, largest)
        dataset = block_dataset(
            stream,
            self.vocabulary,
            window=self.settings.window,
            keep=keep,
            batch_size=batch_size,
            block_length=self.model.block_length,
            seed=self.settings.seed,
            first_epoch=training * _DRAWS_PER_TRAINING,
        )
        self._restart_draws(training)
        self._alpha.set(schedule, len(dataset), self._steps_done())
        self._compile(is_eager=len(dataset) * schedule.epochs <= _EAGER_STEPS)
        callbacks = list(callbacks)
        if progress_bar:
            callbacks.append(Progress(stream.corpus_words))
        history = self.model.fit(dataset, epochs=schedule.epochs, verbose=0, callbacks=callbacks)
        tokens = float(keep @ count_ids(stream, len(self.vocabulary)))
        return Outcome(len(history.epoch), tokens)

    def alpha(self) -> float:
        """Returns the learning rate that the next step would have."""
        return float(self._alpha(self._steps_done()))

    def _steps_done(self) -> int:
        return int(_numpy(self._optimizer.iterations))

    def _compile(self, is_eager: bool) -> None:
        is_eager = is_eager and self._replicas == 1
        if is_eager != self._is_eager:
            self._is_eager = is_eager
            self.model.compile(self._optimizer, run_eagerly=is_eager)

    def _restart_draws(self, training: int) -> None:
        # So that a model that was saved and loaded draws what it would have drawn undisturbed.
        for variable in self.model.non_trainable_variables:
            if variable.name == "draw_state":
                seed = int(_numpy(variable)[0])
                variable.assign([seed, training * _DRAWS_PER_TRAINING])


def _is_in_order(rows: NDArray[np.int64]) -> bool:
    return bool((rows == np.arange(len(rows))).all())


def _numpy(variable: Any) -> NDArray[Any]:
    """Returns a variable's value, also that of one mirrored on several devices."""
    return np.asarray(tf.convert_to_tensor(variable.value))


def check_output_layer(output_layer: OutputLayer | str | None) -> None:
    """Raises TypeError or ValueError unless it is None, an output layer or the name of one."""
    if output_layer is None or isinstance(output_layer, OutputLayer):
        return
    if not isinstance(output_layer, str):
        raise TypeError(
            "`output_layer` must be the name of one in kerasw2v.layers, or a "
            f"kerasw2v.layers.OutputLayer. Received: output_layer={output_layer!r}."
        )
    names = [name for name in layers_module.__all__ if _is_output_layer(name)]
    if output_layer not in names:
        raise ValueError(
            f"`output_layer` must be one of {', '.join(map(repr, names))}. "
            f"Received: output_layer={output_layer!r}."
        )


def _is_output_layer(name: str) -> bool:
    candidate = getattr(layers_module, name)
    return (
        isinstance(candidate, type)
        and issubclass(candidate, OutputLayer)
        and candidate is not OutputLayer
    )


def _output_layer(
    settings: Settings, counts: NDArray[np.int64], given: OutputLayer | str | None
) -> OutputLayer:
    if isinstance(given, OutputLayer):
        return given
    if given is not None:
        layer_class: Callable[..., OutputLayer] = getattr(layers_module, given)
        has_seed = "seed" in inspect.signature(layer_class).parameters
        return layer_class(counts, **({"seed": settings.seed} if has_seed else {}))
    parts: list[OutputLayer] = []
    if settings.hs:
        parts.append(HierarchicalSoftmax(counts))
    if settings.negative:
        parts.append(
            NegativeSampling(
                counts, settings.negative, exponent=settings.ns_exponent, seed=settings.seed
            )
        )
    return parts[0] if len(parts) == 1 else SumOfLosses(parts)


def _model(settings: Settings, vocabulary_size: int, layer: OutputLayer) -> BlockModel:
    sizes: dict[str, Any] = {
        "window": settings.window,
        "shrink_windows": settings.shrink_windows,
        "seed": settings.seed,
    }
    if settings.sg:
        return SkipGram(vocabulary_size, settings.vector_size, layer, **sizes)
    combiner = "mean" if settings.cbow_mean else "sum"
    return CBOW(vocabulary_size, settings.vector_size, layer, combiner=combiner, **sizes)
