"""Half and double precision: every layer, both models, any optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Word2Vec, layers
from kerasw2v.optimizers import RowAdam, RowSGD

from .conformance.descriptors import OUTPUT_LAYERS

V, DIM = 11, 4
COUNTS = np.array([90, 50, 40, 30, 20, 10, 8, 5, 3, 2, 1])
MIXED = ("mixed_float16", "mixed_bfloat16")
PURE = ("float64", "float16", "bfloat16")
each_layer = pytest.mark.parametrize("row", OUTPUT_LAYERS.values(), ids=OUTPUT_LAYERS.keys())


def make(model_class, layer, policy, optimizer=None, **kwargs):
    model = model_class(V, DIM, layer, dtype=policy, seed=1, **kwargs)
    model.compile(RowSGD(0.05) if optimizer is None else optimizer)
    return model


def steps(model, number):
    """The losses of a few steps on the same pairs, taken in Python."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, V, 64).astype(np.int32)
    inputs = centres if isinstance(model, SkipGram) else centres[:, None]
    losses = []
    for _ in range(number):
        model.pair_mean.reset_state()
        losses.append(
            model.train_step(tuple(map(tf.constant, (inputs, (centres + 1) % V))))["loss"]
        )
    return losses


@each_layer
def test_every_layer_trains_in_mixed_precision(row):
    for policy, model_class in zip(MIXED, (SkipGram, CBOW), strict=True):
        model = make(model_class, row.create(COUNTS, dtype=policy), policy)
        losses = steps(model, 2)
        assert {loss.dtype for loss in losses} == {tf.float32}
        assert np.isfinite(losses).all()
        for weight in model.trainable_variables:
            assert weight.dtype == "float32"
            assert np.isfinite(weight.numpy()).all()
            assert np.abs(weight.numpy()).max() < 20  # steps are bounded


@pytest.mark.parametrize("name", ["NegativeSampling, group", "SampledSoftmax", "AdaptiveSoftmax"])
@pytest.mark.parametrize("policy", PURE)
def test_layers_in_one_precision(policy, name):
    model = make(SkipGram, OUTPUT_LAYERS[name].create(COUNTS, dtype=policy), policy)
    losses = steps(model, 3)
    assert {loss.dtype for loss in losses} == {tf.float32}
    assert losses[-1] < losses[0]
    assert {weight.dtype for weight in model.trainable_variables} == {policy}


@pytest.mark.parametrize("optimizer", [RowSGD(0.05), RowAdam(0.05), keras.optimizers.Adam(0.05)])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_an_optimizer_inside_of_loss_scaling_is_used(optimizer, is_wrapped, monkeypatch):
    if is_wrapped:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    layer = layers.NegativeSampling(COUNTS, seed=1, dtype="mixed_float16")
    model = make(SkipGram, layer, "mixed_float16", optimizer)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    assert model.optimizer is inner
    seen = []
    monkeypatch.setattr(inner, "apply", lambda gradients, variables: seen.extend(gradients))
    steps(model, 1)
    names = {type(gradient).__name__ for gradient in seen}
    assert names == ({"IndexedSlices"} if type(inner).__name__ == "Adam" else {"RowGradient"})


@pytest.fixture
def mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("mixed_float16")
def test_word2vec_in_mixed_precision():
    rng = np.random.default_rng(0)
    # Words of two topics; many pairs a step, which would be too much for an unbounded one.
    sentences = [[f"{'ab'[i % 2]}{j}" for j in rng.integers(0, 8, 20)] for i in range(200)]
    model = Word2Vec(sentences, vector_size=8, min_count=1, epochs=5, alpha=0.1, seed=1, workers=1)
    assert np.isfinite(model.wv.vectors).all()
    near = [word for word, _ in model.wv.most_similar("a0", topn=7)]
    assert {word[0] for word in near} == {"a"}
