"""NaN and infinity: refused as arguments, and never the silent end of a training."""

import inspect
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasw2v
from kerasw2v import (
    CBOW,
    FastText,
    SkipGram,
    Vocabulary,
    Word2Vec,
    block_dataset,
    layers,
    optimizers,
)
from kerasw2v.callbacks import Checkpoint, StopOnNaN
from kerasw2v.cli import main
from kerasw2v.ops.cutoffs import CostModel
from kerasw2v.optimizers import RowSGD, default_schedule, linear_decay

V = 8
SENTENCES = [["a", "b", "c", "d"], ["c", "a", "b"]] * 9
VOCABULARY = Vocabulary.from_corpus(SENTENCES, min_count=1)
COSTS = {"overhead": 0.0, "flat_scores": 1.0, "per_score": 1.0, "per_product": 1.0}


def word2vec(**arguments):
    return Word2Vec(SENTENCES, min_count=1, vector_size=4, epochs=1, **arguments)


def retrained(**arguments):
    model = Word2Vec(min_count=1, vector_size=4)
    model.build_vocab(SENTENCES)
    model.train(SENTENCES, total_examples=18, epochs=1, **arguments)


def fit(**arguments):
    model = SkipGram(V, 4, layers.NegativeSampling(V))
    model.compile()
    return model.fit(np.zeros(2, int), np.ones(2, int), verbose=0, **arguments)


def prepared(sample):
    model = Word2Vec(min_count=1)
    model.scan_vocab(SENTENCES)
    return model.prepare_vocab(sample=sample)


# All public arguments that are floats: what takes them, and the argument's name.
FLOATS = {
    "RowSGD": (RowSGD, ["learning_rate", "max_step"]),
    "RowAdam": (optimizers.RowAdam, ["learning_rate", "beta_1", "beta_2", "epsilon"]),
    "RowAdagrad": (
        optimizers.RowAdagrad,
        ["learning_rate", "initial_accumulator_value", "epsilon"],
    ),
    "linear_decay": (partial(linear_decay, steps_per_epoch=1, epochs=1), ["learning_rate"]),
    "linear_decay, end": (partial(linear_decay, 0.1, 1, 1), ["end"]),
    "default_schedule": (partial(default_schedule, "cbow", 1, 1), ["learning_rate"]),
    "block_dataset": (partial(block_dataset, SENTENCES, VOCABULARY), ["sample"]),
    "Word2Vec": (word2vec, ["alpha", "min_alpha", "sample", "ns_exponent"]),
    "FastText": (
        partial(FastText, SENTENCES, min_count=1),
        ["alpha", "min_alpha", "sample", "ns_exponent"],
    ),
    "Word2Vec.train": (retrained, ["start_alpha", "end_alpha"]),
    "Word2Vec.prepare_vocab": (prepared, ["sample"]),
    "CostModel": (lambda **kwargs: CostModel(**{**COSTS, **kwargs}), list(COSTS)),
    "AdaptiveSoftmax": (partial(layers.AdaptiveSoftmax, V), ["div_value"]),
    "EmbeddingPrediction": (
        partial(layers.EmbeddingPrediction, V),
        ["norm_penalty", "dot_weight", "margin"],
    ),
    "InBatchSoftmax": (layers.InBatchSoftmax, ["temperature"]),
    "Candidates": (partial(layers.Candidates, V, 4), ["temperature"]),
    "StreamingProbabilities": (partial(layers.StreamingProbabilities, V), ["learning_rate"]),
    "NegativeSampling": (partial(layers.NegativeSampling, V), ["exponent"]),
    "NCE": (partial(layers.NCE, V), ["exponent"]),
    "SampledSoftmax": (partial(layers.SampledSoftmax, V), ["exponent"]),
    "ImportanceSampling": (partial(layers.ImportanceSampling, V), ["exponent"]),
}
ALL = [(name, argument) for name, (_, arguments) in FLOATS.items() for argument in arguments]


@pytest.mark.parametrize(("name", "argument"), ALL)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "x"])
def test_a_float_must_be_finite(name, argument, value):
    # `Word2Vec` turns its learning rates into floats, as gensim does.
    with pytest.raises((TypeError, ValueError), match=rf"^`{argument}` must be|convert string"):
        FLOATS[name][0](**{argument: value})


def test_the_table_has_every_float():
    public = {getattr(kerasw2v, name) for name in kerasw2v.__all__} | {
        getattr(module, name) for module in (layers, optimizers) for name in module.__all__
    }
    wanted = {
        (each.__name__, name)
        for each in filter(callable, public)
        for name, parameter in inspect.signature(each).parameters.items()
        if parameter.annotation in (float, "float", float | None, "float | None")
    }
    assert wanted <= {(name.partition(",")[0], argument) for name, argument in ALL}


@pytest.mark.parametrize("counts", [[np.inf, 1], [np.nan, 1], [1e308, 1e308], [-1, -2], [0, 0]])
def test_counts_must_be_finite_and_so_must_their_sum(counts):
    with pytest.raises(ValueError, match=r"^`counts` must be finite, not negative"):
        layers.NegativeSampling(counts)


@pytest.mark.parametrize("layer", [layers.NegativeSampling, layers.NCE])
@pytest.mark.parametrize("exponent", [1e308, -1e308])
def test_an_exponent_beyond_what_a_float_holds(layer, exponent):
    with pytest.raises(ValueError, match=r"^The exponent of the noise distribution must leave"):
        layer([9, 3], exponent=exponent).build((None, 4))


def test_a_divisor_as_large_as_floats_are():
    layer = layers.AdaptiveSoftmax(V, cutoffs=[2, 4], div_value=1e308, min_projection_dim=1)
    assert np.isfinite(layer(np.ones((1, 4), np.float32), np.array([7]))).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("keys", [["sample_weight"], ["validation_data"]])
def test_weights_of_examples_must_be_finite(keys, wrong):
    weights = np.array([1.0, wrong])
    value = weights if keys == ["sample_weight"] else (np.zeros(2, int), np.zeros(2, int), weights)
    sentence = rf"sample_weight` must be finite\. .*\[1\]={wrong}\.$"
    with pytest.raises(ValueError, match=sentence):
        fit(**{keys[0]: value})


# Both run away from SGD with a learning rate of 1: losses are sums over pairs.
@pytest.mark.parametrize(
    "make",
    [
        lambda: SkipGram(V, 16, layers.NCE(V, num_sampled=64, seed=1), seed=1),
        lambda: CBOW(V, 16, layers.AdaptiveSoftmax(V, [2], min_projection_dim=4, seed=1), seed=1),
    ],
)
def test_a_training_that_diverges_ends_in_a_sentence(make, tmp_path):
    model = make()
    model.compile(keras.optimizers.SGD(1.0))
    checkpoint = Checkpoint(tmp_path / "state.weights.h5")
    rng = np.random.default_rng(0)
    inputs, targets = rng.integers(0, V, (2, 4096))
    inputs = inputs if isinstance(model, SkipGram) else inputs[:, None]
    sentence = r"^Training diverged in epoch \d+: .* Lower the learning rate, now 1\.$"
    with pytest.raises(FloatingPointError, match=sentence) as caught:
        model.fit(inputs, targets, 512, epochs=200, verbose=0, callbacks=[checkpoint])
    epoch = int(str(caught.value).split("epoch ")[1].split(":")[0])
    fresh = make()
    fresh.compile(keras.optimizers.SGD(1.0))
    assert checkpoint.restore(fresh, steps_per_epoch=8) == epoch - 1
    if epoch > 1:
        assert all(np.isfinite(weight).all() for weight in fresh.get_weights())


class Dense(keras.Sequential):
    def __init__(self, rate):
        super().__init__([keras.Input((1,)), keras.layers.Dense(1)])
        self.compile(keras.optimizers.SGD(rate), loss="mse")
        self.data = np.ones((4, 1), np.float32), np.zeros(4, np.float32)


def test_any_keras_model_can_stop_so():
    model = Dense(1e30)
    with pytest.raises(FloatingPointError, match=r"^Training diverged in epoch \d: .* now 1e\+30"):
        model.fit(*model.data, epochs=9, verbose=0, callbacks=[StopOnNaN()])


def test_a_weight_is_seen_before_the_loss_is():
    model = Dense(0.1)
    stop = StopOnNaN()
    stop.set_model(model)
    stop.on_epoch_begin(0)
    stop.on_epoch_end(0, {"loss": 1.0})
    model.weights[1].assign([np.inf])
    with pytest.raises(FloatingPointError, match=r"in epoch 1: `.*bias` is not finite\. Lower"):
        stop.on_epoch_end(0, {"loss": 1.0})


def test_the_loss_is_seen_within_an_epoch(monkeypatch):
    clock = iter([0.0, 0.9, 1.1, 1.2])
    monkeypatch.setattr("kerasw2v.divergence.time.perf_counter", lambda: next(clock))
    stop = StopOnNaN()
    stop.set_model(Dense(0.5))
    stop.on_epoch_begin(2)
    stop.on_train_batch_end(0, {"loss": tf.constant(np.nan)})
    with pytest.raises(FloatingPointError, match=r"in epoch 3: the loss is nan\. .* now 0\.5"):
        stop.on_train_batch_end(1, {"loss": tf.constant(np.nan)})


def test_a_checkpoint_alone_keeps_the_last_good_state(tmp_path):
    model = Dense(0.1)
    checkpoint = Checkpoint(tmp_path / "state.weights.h5")
    checkpoint.set_model(model)
    checkpoint.on_epoch_end(0, {"loss": 1.0})
    before = (tmp_path / "state.weights.h5").read_bytes()
    with pytest.warns(UserWarning, match="the loss of epoch 2 is not finite"):
        checkpoint.on_epoch_end(1, {"loss": np.nan})
    assert (tmp_path / "state.weights.h5").read_bytes() == before


def test_who_terminates_on_nan_is_not_overruled():
    model = SkipGram(V, 4, layers.FullSoftmax(V))
    model.compile(keras.optimizers.SGD(1e38))
    callbacks = [keras.callbacks.TerminateOnNaN()]
    ids = np.arange(4)
    history = model.fit(ids, ids + 1, epochs=9, verbose=0, callbacks=callbacks)
    assert len(history.epoch) < 9


def test_word2vec_keeps_the_vectors_from_before():
    class Breaks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.embedding.embeddings.assign(np.full((4, 4), np.nan))

    model = Word2Vec(min_count=1, vector_size=4)
    model.build_vocab(SENTENCES)
    before = model.wv.vectors.copy()
    arguments = {"total_examples": 18, "epochs": 2}
    sentence = r"^Training diverged in epoch 1: .* Received: alpha=0\.025; `wv` is as before\.$"
    with pytest.raises(FloatingPointError, match=sentence):
        model.train(SENTENCES, **arguments, callbacks=[Breaks()])
    np.testing.assert_array_equal(model.wv.vectors, before)
    model.train(SENTENCES, **arguments)
    assert np.isfinite(model.wv.vectors).all()


def test_the_command_line_names_its_option(folder, capsys, monkeypatch):
    def diverge(self, epoch, logs=None):
        if epoch == 1:
            raise FloatingPointError("Training diverged.")

    monkeypatch.setattr(StopOnNaN, "on_epoch_end", diverge)
    arguments = ["--size", "4", "--epochs", "3", "--checkpoint", "state", "--alpha", "3"]
    assert main(["train", "corpus.txt", "--output", "out.kv", "--quiet", *arguments]) == 1
    assert capsys.readouterr().err == (
        "kerasw2v: Training diverged; `--alpha` must be smaller. "
        "Received: --alpha 3.0. state holds the state after the last good epoch.\n"
    )
    assert not (folder / "out.kv").exists()
    assert (folder / "state" / "kerasw2v.weights.h5").exists()
