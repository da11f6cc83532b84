"""The Keras side of `Word2Vec`: the model and layers of gensim's settings, and one `fit`."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.architectures import ARCHITECTURES, suitable_batch_size
from kerasw2v.block_model import BlockModel
from kerasw2v.callbacks import Progress
from kerasw2v.data.block_dataset import block_dataset, count_ids
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.layers.embedding_lookup import EmbeddingLookup
from kerasw2v.layers.from_name import make_output_layer, output_layers
from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.layers.negative_sampling import NegativeSampling
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.layers.sum_of_losses import SumOfLosses
from kerasw2v.ops import seeds
from kerasw2v.ops.huffman import Path, tree_of_paths
from kerasw2v.ops.shared_traces import Place
from kerasw2v.ops.windows import sufficient_halo
from kerasw2v.optimizers import RowSGD
from kerasw2v.utils.checks import check_choice
from kerasw2v.utils.runtime import (
    MAX_CHAINS,
    divide_cores_of_own_program,
    find_devices_quietly,
)

# Tokens of a training up to which compiling its kernels takes longer than they save.
_SHORT_TRAINING = 200_000
# Each `train` call has so many random numbers of its own.
_DRAWS_PER_TRAINING = 2**32


class Settings(NamedTuple):
    """The arguments of a `Word2Vec` that its Keras model depends on."""

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
    """How the learning rate falls in one `train` call."""

    start: float
    end: float
    epochs: int
    share: float  # size of the corpus, divided by the size that the caller states
    batch_words: int  # it falls each time that so many words were read


class Outcome(NamedTuple):
    """The epochs of a `train` call, and the expected number of tokens an epoch trains on."""

    epochs: int
    tokens_per_epoch: float


@keras.saving.register_keras_serializable("kerasw2v")
class LinearAlpha(keras.optimizers.schedules.LearningRateSchedule):
    """gensim's falling learning rate; each `train` call sets it without tracing a new graph.

    gensim hands its workers batches of 10,000 words, each with the rate that is right for its first
    word. An epoch of fewer words has one rate, and its mean is twice that of a steady fall: for a
    small corpus this decides whether anything is learnt.
    """

    def __init__(self, values: Sequence[float] | None = None) -> None:
        super().__init__()
        self._values = tf.Variable(values or [0.025, 0.025, 1, 1, 1, 1, 0], dtype=tf.float64)

    def set(
        self, schedule: Schedule, corpus_words: int, steps_per_epoch: int, first_step: int
    ) -> None:
        """Sets the schedule of the training that starts at optimizer step `first_step`."""
        *values, batch_words = schedule
        falls = corpus_words / batch_words
        self._values.assign([*values, falls, steps_per_epoch, first_step])

    def __call__(self, step: Any) -> tf.Tensor:
        start, end, epochs, share, falls, steps_per_epoch, first_step = tf.unstack(self._values)
        done = (tf.cast(step, tf.float64) - first_step) / steps_per_epoch
        epoch = tf.floor(done)
        fallen = tf.floor(falls * (done - epoch) + 1e-9)  # rounding must not delay a fall
        within = share * fallen / falls
        alpha = start - (start - end) * (epoch + within) / epochs
        return tf.cast(tf.maximum(alpha, end), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"values": [float(value) for value in self._values.numpy()]}

    def places(self) -> list[Place]:
        """Returns where its variable is held (see `model_traces`)."""
        return [Place(self, "_values")]


class Trainer:
    """A Keras model for a gensim vocabulary.

    Layers need words by descending count. A gensim vocabulary that has grown is in another order:
    then tables are permuted when they are copied.

    Args:
        settings: the model.
        words: the words, in gensim's order.
        counts: their counts.
        paths: their paths in a Huffman tree, for hierarchical softmax.
        output_layer: an output layer, or the name of one, instead of that of the settings.
        strategy: a `tf.distribute.Strategy`, or None.
    """

    def __init__(
        self,
        settings: Settings,
        words: Sequence[Any],
        counts: NDArray[np.int64],
        paths: Sequence[Path] | None = None,
        output_layer: OutputLayer | str | None = None,
        strategy: Any = None,
    ) -> None:
        divide_cores_of_own_program(MAX_CHAINS)
        find_devices_quietly()
        self.settings = settings
        self._order = np.argsort(-counts, kind="stable")
        self._rows = np.argsort(self._order)  # the model's row of each word
        self.vocabulary = Vocabulary([words[i] for i in self._order], counts[self._order])
        with strategy.scope() if strategy else nullcontext():
            layer = _output_layer_of(settings, self.vocabulary.counts, output_layer)
            self.model = _model_of(settings, len(words), layer, self._embedding())
            self._alpha = LinearAlpha()
            self._optimizer = RowSGD(self._alpha)
            self._optimizer.build(self.model.trainable_variables)
        self._node_rows = np.zeros(0, np.int64)
        if paths:
            parents, codes, self._node_rows = tree_of_paths([paths[i] for i in self._order])
            self.part(HierarchicalSoftmax).set_tree(parents, codes)
        self.model.compile(self._optimizer)

    def _embedding(self) -> EmbeddingLookup | None:
        """Returns the layer of the input vectors, in the model's order; None for the usual one."""
        return None

    def part(self, kind: type[OutputLayer]) -> Any:
        """Returns the output layer, or the one in a sum, of a class; None if there is none."""
        layer = self.model.output_layer
        for candidate in layer.layers if isinstance(layer, SumOfLosses) else [layer]:
            if isinstance(candidate, kind):
                return candidate
        return None

    def fits(self, settings: Settings, size: int) -> bool:
        """Whether this is the model for settings and a number of words."""
        return self.settings == settings and self.model.vocabulary_size == size

    def _tables(self) -> dict[str, tuple[Any, NDArray[np.int64]]]:
        """Returns the tables that gensim has too, and their row for each row of gensim's array."""
        tables = {"vectors": (self.model.embedding.table, self._rows)}
        if self.settings.hs:
            tables["syn1"] = (self.part(HierarchicalSoftmax).embeddings, self._node_rows)
        if self.settings.negative:
            tables["syn1neg"] = (self.part(NegativeSampling).embeddings, self._rows)
        return tables

    def in_order(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns values of the words in the model's order; they are given in gensim's."""
        return values[self._order]

    def push(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Sets the model's tables to gensim's arrays; ValueError for an array of another shape."""
        shape = (len(self._rows), self.settings.vector_size)
        for name, (table, rows) in self._tables().items():
            if arrays[name].shape != shape:
                raise ValueError(
                    f"`{name}` must have a row for each word and the width of the vectors, "
                    f"{shape}. Received: shape={arrays[name].shape}."
                )
            values = arrays[name][: len(rows)]  # `syn1` has a row more than there are nodes
            if table.shape != values.shape or not _is_ascending(rows):
                values = np.zeros(table.shape, np.float32)
                values[rows] = arrays[name][: len(rows)]
            table.assign(values)

    def pull(self) -> dict[str, NDArray[np.float32]]:
        """Returns gensim's arrays, as the model's tables are now."""
        arrays = {}
        for name, (table, rows) in self._tables().items():
            values = _numpy(table)
            if len(values) != len(rows) or not _is_ascending(rows):
                values = values[rows]
            missing = len(self._rows) - len(rows)
            arrays[name] = np.pad(values, ((0, missing), (0, 0))) if missing else values
        return arrays

    def log_probs(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the output layer's log-probabilities for one hidden vector, in gensim's order."""
        scores = self.model.output_layer.log_probs(hidden[None]).numpy()[0]
        return np.asarray(scores[self._rows])

    def fit(
        self,
        stream: TokenStream,
        keep: NDArray[np.float32],
        schedule: Schedule,
        training: int,
        batch_size: int | None = None,
        callbacks: Iterable[keras.callbacks.Callback] | keras.callbacks.CallbackList = (),
        progress_bar: bool = False,
        epochs: range | None = None,
    ) -> Outcome:
        """Trains the model on a corpus that is encoded with `vocabulary`.

        `keep` is the probability of each word's tokens to be kept in an epoch, in gensim's order;
        `training` is the number of this `train` call, from 0: each draws other random numbers;
        `epochs` are those of the schedule to train now, after `restart_draws`; all when None.
        """
        keep = self.in_order(keep)
        kept = keep * count_ids(stream, len(self.vocabulary))
        window = self.settings.window
        self.model.halo = sufficient_halo(window, stream.longest_sentence())
        if epochs is None:
            epochs = range(schedule.epochs)
            self.restart_draws(training)
        dataset = block_dataset(
            stream,
            self.vocabulary,
            window=window,
            halo=self.model.halo,
            keep=keep,
            batch_size=batch_size or suitable_batch_size(self.model, kept, schedule.epochs),
            block_length=self.model.block_length,
            seed=self.settings.seed,
            first_epoch=training * _DRAWS_PER_TRAINING + epochs.start,
        )
        steps_before = epochs.start * len(dataset)
        self._alpha.set(
            schedule, stream.corpus_words, len(dataset), self._steps_done() - steps_before
        )
        self.model.is_short = float(kept.sum()) * schedule.epochs <= _SHORT_TRAINING
        if progress_bar:
            callbacks = [*callbacks, Progress(stream.corpus_words)]
        history = self.model.fit(
            dataset,
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            verbose=0,
            callbacks=callbacks,
        )
        return Outcome(len(history.epoch), float(kept.sum()))

    def evaluate(self, stream: TokenStream, keep: NDArray[np.float32]) -> float:
        """Returns the mean loss of a pair of a stream, with the same draws at each call.

        The sums of losses that the model keeps stay as they are, so it may be called in an epoch.
        `stream` and `keep` are as in `fit`, which must have begun.
        """
        model = self.model
        dataset = block_dataset(
            stream,
            self.vocabulary,
            window=self.settings.window,
            halo=model.halo,
            keep=self.in_order(keep),
            batch_size=model.largest_batch,
            block_length=model.block_length,
            seed=self.settings.seed,
            reshuffle_each_iteration=False,
        )
        sums = [_numpy(each) for each in model.pair_mean.variables]
        loss = model.evaluate(dataset, verbose=0)
        for variable, value in zip(model.pair_mean.variables, sums, strict=True):
            variable.assign(value)
        return float(loss)

    def restart_draws(self, training: int) -> None:
        """Makes the random draws those of a `train` call."""
        seeds.restart(self.model, training * _DRAWS_PER_TRAINING)

    def alpha(self) -> float:
        """Returns the learning rate of the next step."""
        return float(self._alpha(self._steps_done()))

    def _steps_done(self) -> int:
        return int(_numpy(self._optimizer.iterations))


def _is_ascending(rows: NDArray[np.int64]) -> bool:
    return bool((np.diff(rows) > 0).all())


def _numpy(variable: Any) -> NDArray[Any]:
    """Returns a variable's value, also that of one mirrored on several devices."""
    return np.asarray(tf.convert_to_tensor(variable.value))


def check_output_layer(output_layer: OutputLayer | str | None) -> None:
    """Raises TypeError or ValueError unless it is None, an output layer or the name of one."""
    if isinstance(output_layer, str):
        check_choice("output_layer", output_layer, tuple(output_layers()))
    elif output_layer is not None and not isinstance(output_layer, OutputLayer):
        raise TypeError(
            "`output_layer` must be the name of one in kerasw2v.layers, or a "
            f"kerasw2v.layers.OutputLayer. Received: output_layer={output_layer!r}."
        )


def _output_layer_of(
    settings: Settings, counts: NDArray[np.int64], output_layer: OutputLayer | str | None
) -> OutputLayer:
    if isinstance(output_layer, OutputLayer):
        return output_layer
    seed = settings.seed
    if output_layer is not None:
        return make_output_layer(output_layer, counts, seed)
    layers: list[OutputLayer] = []
    if settings.hs:
        layers.append(HierarchicalSoftmax(counts))
    if settings.negative:
        exponent = settings.ns_exponent
        layers.append(
            NegativeSampling(
                counts, settings.negative, exponent=exponent, seed=seed, evaluation="sampled"
            )
        )
    return layers[0] if len(layers) == 1 else SumOfLosses(layers)


def _model_of(
    settings: Settings,
    vocabulary_size: int,
    output_layer: OutputLayer,
    embedding: EmbeddingLookup | None,
) -> BlockModel:
    arguments: dict[str, Any] = {
        "window": settings.window,
        "halo": sufficient_halo(settings.window, 1),  # until the sentences are known
        "shrink_windows": settings.shrink_windows,
        "seed": settings.seed,
        "embedding": embedding,
    }
    if not settings.sg:
        arguments["combiner"] = "mean" if settings.cbow_mean else "sum"
    model_class = ARCHITECTURES["skip-gram" if settings.sg else "cbow"]
    return model_class(vocabulary_size, settings.vector_size, output_layer, **arguments)
