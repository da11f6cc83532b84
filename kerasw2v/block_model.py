"""What SkipGram and CBOW share: windows, the training step, the reported loss."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import lcm
from typing import Any

import keras
import tensorflow as tf

from kerasw2v.divergence import with_stop
from kerasw2v.layers.config_arrays import arrays_left_out
from kerasw2v.layers.embedding_lookup import EmbeddingLookup
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.layers.tables import check_room, check_table
from kerasw2v.model_traces import shared_trace
from kerasw2v.ops.examples import as_vector
from kerasw2v.ops.ids import as_ids, check_examples, check_ids, is_array, one_sentence_id_errors
from kerasw2v.ops.lanes import in_lanes, number_of_lanes
from kerasw2v.ops.row_gradients import as_slices, record_rows
from kerasw2v.ops.seeds import add_draw_state, evaluation_draws, is_evaluating, next_seed
from kerasw2v.ops.step_loop import NO_BATCH, StepLoop
from kerasw2v.ops.strategies import (
    divides_on_host,
    is_multi_worker,
    local_replicas,
    lost_workers_are_errors,
    reducible_logs,
    repeated_for_workers,
)
from kerasw2v.ops.windows import check_halo, decode_blocks, default_block_length
from kerasw2v.optimizers import RowSGD
from kerasw2v.optimizers.row_optimizer import RowOptimizer
from kerasw2v.utils.checks import MAX_INT32, check_int, check_seed
from kerasw2v.utils.paths import check_keras_path
from kerasw2v.utils.runtime import chains_side_by_side, check_not_forked, trace_without_gc


class PairMean(keras.metrics.Metric):
    """Mean loss per pair, exact over any number of pairs: both sums are kept in float64."""

    def __init__(self, name: str = "loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable((), "zeros", dtype="float64", name="total")
        self.pairs = self.add_variable((), "zeros", dtype="float64", name="pairs")

    def update_state(self, losses: tf.Tensor, pairs: tf.Tensor) -> None:
        """Adds losses, each a sum over `pairs` pairs."""
        self.total.assign_add(tf.cast(tf.reduce_sum(losses), tf.float64))
        self.pairs.assign_add(tf.cast(tf.reduce_sum(pairs), tf.float64))

    def sums(self) -> tuple[float, float]:
        """Returns the summed loss and the number of pairs so far."""
        return float(tf.convert_to_tensor(self.total)), float(tf.convert_to_tensor(self.pairs))

    def result(self) -> tf.Tensor:
        return tf.cast(tf.math.divide_no_nan(self.total.value, self.pairs.value), tf.float32)


class BlockModel(keras.Model):
    """Base class of the word2vec models, trained on blocks of token ids or on plain pairs.

    `fit`, `evaluate` and `predict` behave as in any Keras model. Training data are either blocks
    from `kerasw2v.block_dataset` (no targets), or arrays `(x, targets)` as the subclass says, with
    optional sample weights. The loss is the output layer's; it is summed over pairs for the
    gradient, so that a learning rate is the step of one pair, and reported as the mean per pair.
    `evaluate` draws windows and noise words from a stream of its own: the same for the same data,
    and without an effect on later training.

    A subclass implements `call` (plain inputs to hidden vectors), `loss_of_blocks` and
    `loss_of_examples`.

    Args:
        vocabulary_size: number of words, V.
        embedding_dim: width of a vector, d.
        output_layer: a `kerasw2v.layers.OutputLayer` for the same vocabulary.
        window: largest distance between a centre and a context word.
        shrink_windows: True to draw each centre's window from 1 to `window`, as word2vec does.
        block_length: centres in a block; that of `block_dataset` for this halo when None.
        seed: seed of the initial vectors and of the windows.
        shards: number of shards of the table of input vectors, see `EmbeddingLookup`; the output
            layer has a number of its own.
        halo: tokens at each end of a block that are context only, as in `block_dataset`; `window`
            when None.
        embedding: the layer of the input vectors, such as a `SubwordLookup`; an `EmbeddingLookup`
            with `seed` and `shards` when None.
        **kwargs: arguments of `keras.Model`.
    """

    # Cores that one lane of a step keeps busy (see `ops.lanes`).
    chains_in_lane = 1

    # The smallest id among plain inputs; None if all negative ones are padding.
    lowest_input: int | None = 0

    steps_per_execution: int
    predict_function: Any

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        output_layer: OutputLayer,
        window: int = 5,
        shrink_windows: bool = True,
        block_length: int | None = None,
        seed: int | None = None,
        shards: int = 1,
        halo: int | None = None,
        embedding: EmbeddingLookup | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window = check_int("window", window, minimum=1, maximum=MAX_INT32 - 1)
        self.shrink_windows = bool(shrink_windows)
        self._block_length = block_length
        if block_length is not None:
            self._block_length = check_int("block_length", block_length, minimum=1)
        self._halo = self.window if halo is None else check_halo(halo, self.window)
        self.seed = check_seed("seed", seed)
        self._has_own_embedding = embedding is None
        if embedding is None:
            embedding = EmbeddingLookup(
                vocabulary_size,
                embedding_dim,
                seed=self.seed,
                shards=shards,
                dtype=self.dtype_policy,
                name="embedding",
            )
        self.embedding = _checked_embedding(embedding, vocabulary_size, embedding_dim, shards)
        _check_output_layer(output_layer, vocabulary_size)
        tables = 1 if output_layer.built or not output_layer.has_output_vectors else 2
        check_table(vocabulary_size, embedding_dim, tables)
        self._check_block()
        self.output_layer = output_layer
        self._draw_state = add_draw_state(self, self.seed, "windows")
        if not self.embedding.built:
            self.embedding.build()
        if not self.output_layer.built:
            self.output_layer.build((None, embedding_dim), (None,))
        self.pair_mean = PairMean()
        self.is_short = False
        self._epoch_iterator: Any = None  # Keras', while it iterates
        self.built = True

    @property
    def vocabulary_size(self) -> int:
        """Number of words, V."""
        return self.embedding.vocabulary_size

    @property
    def embedding_dim(self) -> int:
        """Width of a vector, d."""
        return self.embedding.embedding_dim

    @property
    def halo(self) -> int:
        """Tokens at each end of a block that are context only; it may be set between trainings."""
        return self._halo

    @halo.setter
    def halo(self, halo: int) -> None:
        self._halo = check_halo(halo, self.window)
        self._check_block()

    @property
    def block_length(self) -> int:
        """Centres in a block."""
        return self._block_length or default_block_length(self.halo)

    @property
    def largest_batch(self) -> int:
        """Tokens of a step from which on a larger one is not worth its fewer updates."""
        return 8192 if self.embedding.words_are_costly else 4096

    def _numbers_of_block(self) -> int:
        """Returns how many floats a step has for each block, at least."""
        return (self.block_length + 2 * self.halo) * self.embedding_dim

    def _check_block(self) -> None:
        sizes = f"window={self.window:,}, halo={self.halo:,}, block_length={self.block_length:,}"
        check_room(
            "`window` or `block_length`", self._numbers_of_block(), f"a single block, {sizes},"
        )

    def loss_of_blocks(
        self, ids: tf.Tensor, sentences: tf.Tensor, reach: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns summed losses, and the number of pairs in each.

        Args:
            ids: int32, `(batch, length + 2 * halo)`.
            sentences: of the same shape, see `ops.windows.decode_blocks`.
            reach: int32, `(batch, length)`, the window of each centre; None for full windows.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `loss_of_blocks`.")

    def loss_of_examples(
        self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns weighted losses of plain examples, and the number of pairs in each."""
        raise NotImplementedError(f"{type(self).__name__} must implement `loss_of_examples`.")

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        *,
        steps_per_execution: int = 32,
        run_eagerly: bool = False,
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: any Keras optimizer; `RowSGD()` when None. Others than those of
                `kerasw2v.optimizers` may update whole tables at every step. Of a
                `LossScaleOptimizer` the one inside is used, and `auto_scale_loss` has no effect:
                losses are sums in float32, whose slopes float16 can hold.
            loss: None: the output layer computes it.
            steps_per_execution: steps in one call into the graph; callbacks see every such call.
                Small steps are cheaper by the dozen, so the default is 32. Always 1 where workers
                in several processes make each step together.
            run_eagerly: True to debug step by step in Python.
            **kwargs: other arguments of `keras.Model.compile`.

        Raises:
            ValueError: for a loss, metrics, or `jit_compile=True`.
        """
        for argument in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            value = loss if argument == "loss" else kwargs.pop(argument, None)
            if value is not None:
                raise ValueError(
                    f"`{argument}` must not be given: the output layer computes the loss. "
                    f"Received: {argument}={value!r}."
                )
        if kwargs.pop("jit_compile", False) is True:
            raise ValueError(
                "`jit_compile` must not be True: compiled as a whole, a step would make the "
                "row-sparse gradients dense; the parts that gain from XLA use it by themselves. "
                "Received: jit_compile=True."
            )
        optimizer = RowSGD() if optimizer is None else keras.optimizers.get(optimizer)
        while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer
        is_shared = is_multi_worker(self.distribute_strategy)
        super().compile(
            optimizer=optimizer,
            steps_per_execution=1 if run_eagerly or is_shared else steps_per_execution,
            run_eagerly=run_eagerly,
            jit_compile=False,
            **{**kwargs, "auto_scale_loss": False},
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as it was compiled when it was saved."""
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**config)
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does, on a block dataset or on arrays of pairs.

        Arrays are checked before training begins, in one pass. A `kerasw2v.callbacks.StopOnNaN` is
        added to `callbacks`.

        Raises:
            FloatingPointError: if the loss or a weight becomes NaN or infinite.
            TypeError, ValueError: if ids in arrays are not whole numbers or out of range, or
                weights are not finite; for a dataset, in the step that meets such an id (on a CPU).
        """
        check_not_forked()
        named = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        if isinstance(x, tf.data.Dataset | tf.distribute.DistributedDataset):
            named.setdefault("shuffle", False)  # else Keras warns at every fit on a dataset
        if named.get("steps_per_epoch") is None:
            named["x"], named["steps_per_epoch"] = repeated_for_workers(x, self.distribute_strategy)
        validation = named.get("validation_data")
        if isinstance(validation, tuple | list):
            parts = keras.utils.unpack_x_y_sample_weight(tuple(validation))
            self._check_arrays("validation_data: {}", *parts)
        named["callbacks"] = with_stop(named.get("callbacks"))
        with self._checked(x, y, named.get("sample_weight")), self._iterating():
            return super().fit(**named)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.evaluate` does; arrays are checked first, as in `fit`."""
        check_not_forked()
        named = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs).arguments
        with self._checked(x, y, named.get("sample_weight")), self._iterating():
            return super().evaluate(x, y, *args, **kwargs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: Any = None,
        callbacks: Any = None,
    ) -> Any:
        """Predicts as `keras.Model.predict` does; arrays are checked first, as in `fit`."""
        check_not_forked()
        if is_array(x):
            check_ids("x", x, self.vocabulary_size, self.lowest_input)
        exact = nullcontext() if steps is None else self._one_step_an_execution()
        try:
            with one_sentence_id_errors(), exact:
                return super().predict(x, batch_size, verbose, steps, callbacks)
        except UnboundLocalError:  # Keras', for it has no output to look at
            raise ValueError(NO_BATCH) from None

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.train_on_batch` does; arrays are checked first, as in `fit`."""
        with self._checked(x, y, args[0] if args else kwargs.get("sample_weight")):
            return super().train_on_batch(x, y, *args, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.test_on_batch` does; arrays are checked first, as in `fit`."""
        with self._checked(x, y, args[0] if args else kwargs.get("sample_weight")):
            return super().test_on_batch(x, y, *args, **kwargs)

    @contextmanager
    def _checked(self, x: Any, y: Any, weights: Any) -> Iterator[None]:
        """Checks arrays before any work; in the block, errors of ops become one sentence."""
        self._check_arrays("{}", x, y, weights)
        with lost_workers_are_errors(self.distribute_strategy), one_sentence_id_errors():
            yield

    def _check_arrays(self, name: str, x: Any, y: Any, weights: Any) -> None:
        check_examples(name, x, y, weights, self.vocabulary_size, self.lowest_input)

    @contextmanager
    def _iterating(self) -> Iterator[None]:
        """Forgets at its end which data Keras iterates over, for it may validate inside `fit`."""
        outer = self._epoch_iterator
        try:
            yield
        finally:
            self._epoch_iterator = outer

    @contextmanager
    def _one_step_an_execution(self) -> Iterator[None]:
        """Makes Keras take batches one by one: it would take as many as an execution has."""
        steps, self.steps_per_execution = self.steps_per_execution, 1
        function, self.predict_function = self.predict_function, None
        try:
            yield
        finally:
            self.steps_per_execution, self.predict_function = steps, function

    def make_train_function(self, force: bool = False) -> None:
        """Makes the function that `fit` calls; its first call traces the graph."""
        before: Any = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            function = self._step_loop(self.train_step, self.train_function)
            self.train_function: Any = trace_without_gc(function)

    def make_test_function(self, force: bool = False) -> None:
        """Makes the function that `evaluate` calls."""
        before: Any = self.test_function
        super().make_test_function(force)
        if self.test_function is not before:
            self.test_function: Any = self._step_loop(self.test_step, self.test_function)

    def _step_loop(self, step: Any, function: Any) -> Any:
        """Returns the loop of steps that `fit` or `evaluate` calls, given Keras' own."""
        if self.run_eagerly or is_multi_worker(self.distribute_strategy):
            return function
        return StepLoop(
            step,
            function,
            self.steps_per_execution,
            lambda: self._epoch_iterator,
            self.distribute_strategy,
            lambda: self.is_short,
            lambda: shared_trace(self, step.__name__),
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The reported metrics: the mean loss per pair."""
        return [self.pair_mean]

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        variables = self.trainable_variables
        with tf.GradientTape() as tape, record_rows(tape) as record:
            losses, pairs = self._batch_losses(data)
            loss = self.optimizer.scale_loss(tf.reduce_sum(losses))
        gradients = record.gradients(loss, variables)
        if not isinstance(self.optimizer, RowOptimizer):
            gradients = [as_slices(gradient) for gradient in gradients]
        self.optimizer.apply(gradients, variables)
        return self._report(losses, pairs)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        with evaluation_draws(inputs):
            return self._report(*self._batch_losses(data))

    def _report(self, losses: tf.Tensor, pairs: tf.Tensor) -> dict[str, tf.Tensor]:
        self.pair_mean.update_state(losses, pairs)
        return reducible_logs({"loss": self.pair_mean.result()}, self.distribute_strategy)

    def _batch_losses(self, data: Any) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if targets is None:
            return self._losses_of_blocks(inputs)
        inputs = as_ids("x", inputs, self.vocabulary_size, self.lowest_input)
        targets = as_ids("y", targets, self.vocabulary_size)
        inputs, targets, weights = self._examples(inputs, targets, weights)
        if weights is None:
            weights = tf.ones_like(targets, tf.float32)
        return self.loss_of_examples(inputs, targets, tf.cast(weights, tf.float32))

    def _examples(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, Any, Any]:
        """Returns inputs as `loss_of_examples` takes them, and targets and weights `(n,)`."""
        weights = None if weights is None else as_vector("sample_weight", weights)
        return inputs, as_vector("targets", targets), weights

    def _losses_of_blocks(self, blocks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what `loss_of_blocks` does, of undecoded blocks, in as many lanes as pay."""
        blocks = self._checked_blocks(blocks)
        return in_lanes(
            lambda blocks, reach: self.loss_of_blocks(*decode_blocks(blocks), reach),
            self._lanes(blocks),
            blocks,
            self._drawn_reach(blocks),
        )

    def _lanes(self, blocks: tf.Tensor) -> int:
        length, candidates = self._loss_shape
        # A word in two lanes is looked up twice, which is slower where that is the larger part.
        if blocks.shape[0] is None or is_evaluating() or self.embedding.words_are_costly:
            return 1
        rows = blocks.shape[0] * self.block_length
        together = self.output_layer.rows_together(rows, length, candidates)
        together = lcm(together, self.block_length) // self.block_length
        replicas = local_replicas(self.distribute_strategy)
        limit = chains_side_by_side() // (replicas * self.chains_in_lane)
        return number_of_lanes(blocks, together, limit)

    @property
    def _loss_shape(self) -> tuple[int, int]:
        """Hidden vectors and candidates of a block, as the output layer gets them from blocks."""
        return self.block_length, self.block_length + 2 * self.halo

    def _checked_blocks(self, blocks: tf.Tensor) -> tf.Tensor:
        width = self.block_length + 2 * self.halo
        if blocks.shape.rank != 2 or blocks.shape[1] != width:
            raise ValueError(
                f"Blocks must have shape (batch, {width}): block_length={self.block_length} and "
                f"twice halo={self.halo}, the same in the dataset as in the model (the halo is "
                "the window, unless it is given). "
                f"Received: shape={tuple(blocks.shape)}."
            )
        return as_ids("x", blocks, self.vocabulary_size, lowest=-self.vocabulary_size)

    def _drawn_reach(self, blocks: tf.Tensor) -> tf.Tensor | None:
        """Returns the windows of the centres of blocks, drawn anew; None for full ones."""
        if not self.shrink_windows:
            return None
        shape = (tf.shape(blocks)[0], self.block_length)
        reach = tf.random.stateless_uniform(
            shape, next_seed(self._draw_state), 1, self.window + 1, tf.int32
        )
        reach = tf.ensure_shape(reach, (blocks.shape[0], self.block_length))
        return reach if self.halo == self.window else tf.minimum(reach, self.halo)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Builds nothing: the model is built from the start, so no batch is spent on building."""
        if not self.run_eagerly and divides_on_host(self.distribute_strategy):
            # Keras' would divide each batch in threads that share the cores with the step.
            iterator._distributed_dataset = iterator.data_adapter.get_tf_dataset()
        self._epoch_iterator = iterator

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the model to a `.keras` file, as `keras.Model.save` does.

        Raises:
            ValueError: for a `.h5` or `.hdf5` file.
        """
        check_keras_path(filepath)
        super().save(filepath, *args, **kwargs)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the hidden vectors of plain inputs for serving, as `keras.Model.export` does.

        Args:
            filepath: folder to write.
            format: one of Keras' formats.
            verbose: whether Keras says what it has written.
            input_signature: `keras.InputSpec` of the inputs; int32 of any number of examples when
                None.
            **kwargs: other arguments of `keras.Model.export`.
        """
        if input_signature is None:
            input_signature = [self._serving_spec]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    @property
    def _serving_spec(self) -> keras.InputSpec:
        """What `call` takes."""
        return keras.InputSpec(shape=(None,), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {"shards": self.embedding.shards}
        if not self._has_own_embedding:
            own = {"embedding": keras.saving.serialize_keras_object(self.embedding)}
        return {
            **super().get_config(),
            **own,
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "output_layer": keras.saving.serialize_keras_object(self.output_layer),
            "window": self.window,
            "shrink_windows": self.shrink_windows,
            "block_length": self._block_length,
            "halo": self.halo,
            "seed": self.seed,
        }

    def trace_config(self) -> dict[str, Any]:
        """Returns what a traced step depends on, beside layers and variables (`model_traces`)."""
        with arrays_left_out():  # they are in tables, or the layers tell
            return {**self.get_config(), "output_layer": None, "lanes": chains_side_by_side()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "BlockModel":
        config = dict(config)
        for name in {"output_layer", "embedding"} & set(config):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)


def _checked_embedding(
    embedding: Any, vocabulary_size: int, embedding_dim: int, shards: int
) -> EmbeddingLookup:
    if not isinstance(embedding, EmbeddingLookup):
        raise TypeError(
            "`embedding` must be a kerasw2v.layers.EmbeddingLookup or SubwordLookup. "
            f"Received: embedding={embedding!r}."
        )
    sizes = embedding.vocabulary_size, embedding.embedding_dim
    if sizes != (vocabulary_size, embedding_dim):
        raise ValueError(
            "`embedding` must have the model's sizes. Received: "
            f"vocabulary_size={vocabulary_size}, embedding_dim={embedding_dim}, but "
            f"embedding.vocabulary_size={sizes[0]}, embedding.embedding_dim={sizes[1]}."
        )
    if embedding.combiner is not None:
        raise ValueError(
            "`embedding` must have no combiner: the model has a vector for each word. "
            f"Received: embedding.combiner={embedding.combiner!r}."
        )
    if shards not in (1, embedding.shards):
        raise ValueError(
            "`shards` must not be given with `embedding`, which has its own. "
            f"Received: shards={shards}, embedding.shards={embedding.shards}."
        )
    return embedding


def _check_output_layer(output_layer: Any, vocabulary_size: int) -> None:
    if not isinstance(output_layer, OutputLayer):
        raise TypeError(
            "`output_layer` must be a kerasw2v.layers.OutputLayer. "
            f"Received: output_layer={output_layer!r}."
        )
    if output_layer.vocabulary_size != vocabulary_size:
        raise ValueError(
            "`output_layer` must have the model's vocabulary. Received: vocabulary_size="
            f"{vocabulary_size}, output_layer.vocabulary_size={output_layer.vocabulary_size}."
        )
    if output_layer.ignore_id is not None:
        raise ValueError(
            "`output_layer` must have no `ignore_id`: leave words out of the vocabulary, or give "
            f"their examples the weight 0. Received: ignore_id={output_layer.ignore_id}."
        )
