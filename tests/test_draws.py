"""Random draws of models and layers: none equals another, and evaluating changes none of them."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, layers
from kerasw2v.optimizers import RowSGD

COUNTS = np.arange(20, 0, -1)
V, DIM, WINDOW, LENGTH = len(COUNTS), 4, 2, 8
LAYERS = {
    "example": partial(layers.NegativeSampling, sharing="example"),
    "group": layers.NegativeSampling,
    "NCE": partial(layers.NCE, num_sampled=8),
    "unique": partial(layers.SampledSoftmax, num_sampled=8),
    "margin": partial(layers.EmbeddingPrediction, loss="max_margin", target_dim=8),
}
each_model = pytest.mark.parametrize("model_class", [SkipGram, CBOW])


def make(model_class=SkipGram, layer=layers.NegativeSampling, **compiled):
    keras.utils.set_random_seed(0)
    model = model_class(V, DIM, layer(COUNTS, seed=1), WINDOW, block_length=LENGTH, seed=1)
    for table in model.trainable_variables:
        table.assign(np.random.default_rng(3).normal(0, 0.7, table.shape))
    model.compile(RowSGD(0.05), **compiled)
    return model


def blocks(size=4, seed=0):
    """Batches of blocks; each a sentence of its own."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, V, (4 * size, LENGTH + 2 * WINDOW)).astype(np.int32)
    ids[:, 0] = ~ids[:, 0]
    return tf.data.Dataset.from_tensor_slices(ids).batch(size, drop_remainder=True)


def vectors(model):
    return np.concatenate([table.numpy().ravel() for table in model.trainable_variables])


def draw_states(model):
    return [
        variable.numpy().tolist()
        for variable in model.non_trainable_variables
        if variable.name == "draw_state"
    ]


@each_model
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_evaluating_before_fit_changes_nothing(model_class, layer):
    straight, evaluated = make(model_class, layer), make(model_class, layer)
    first = evaluated.evaluate(blocks(), verbose=0)
    assert first == evaluated.evaluate(blocks(), verbose=0)  # the same draws each time
    for model in (straight, evaluated):
        model.fit(blocks(), epochs=2, verbose=0)
    np.testing.assert_array_equal(vectors(evaluated), vectors(straight))
    assert draw_states(evaluated) == draw_states(straight)


@each_model
@pytest.mark.parametrize("compiled", [{}, {"steps_per_execution": 3}, {"run_eagerly": True}])
def test_validation_data_change_nothing(model_class, compiled):
    straight, validated = make(model_class, **compiled), make(model_class, **compiled)
    straight.fit(blocks(), epochs=3, verbose=0)
    history = validated.fit(blocks(), validation_data=blocks(seed=5), epochs=3, verbose=0)
    np.testing.assert_array_equal(vectors(validated), vectors(straight))
    assert history.history["val_loss"][-1] == validated.evaluate(blocks(seed=5), verbose=0)


def test_evaluation_batches_are_drawn_differently():
    model = make()
    ids = np.zeros((2, 1, LENGTH + 2 * WINDOW), np.int32)
    ids[1, 0, -1] = 1  # a token of the halo: the loss of the block hardly knows it
    losses = [float(model.test_step(tf.constant(block))["loss"]) for block in ids]
    model.shrink_windows = False
    fixed = [float(model.test_step(tf.constant(block))["loss"]) for block in ids]
    assert len({*losses, *fixed}) == 4


def test_evaluation_on_replicas_changes_nothing(strategy):
    with strategy.scope():
        straight, evaluated = make(), make()
    evaluated.evaluate(blocks(), verbose=0)
    for model in (straight, evaluated):
        model.fit(blocks(), verbose=0)
    np.testing.assert_array_equal(vectors(evaluated), vectors(straight))


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_layers_in_other_models_evaluate_without_a_trace(layer):
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    output_layer = layer(COUNTS, seed=1)
    model = keras.Model([hidden, targets], output_layer(hidden, targets))
    rng = np.random.default_rng(0)
    for weight in output_layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    model.compile("sgd", loss=layers.output_layer.outputs_are_losses)
    inputs = [rng.normal(size=(8, DIM)).astype("float32"), rng.integers(0, V, 8)]
    before = draw_states(model)
    losses = [model.evaluate(inputs, inputs[1], verbose=0) for _ in range(2)]
    assert losses[0] == losses[1]
    assert draw_states(model) == before
    untrained = output_layer(*inputs)  # without `training` a layer draws as in training
    assert draw_states(model) != before
    assert (untrained.numpy() != output_layer(*inputs).numpy()).any()


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_model_and_its_layer_of_one_seed_draw_apart(layer):
    states = draw_states(make(layer=layer))
    assert len(states) == 2
    assert states[0] != states[1]
    assert states == draw_states(make(layer=layer))


def test_layers_of_one_class_in_a_sum_draw_apart():
    def total():
        keras.utils.set_random_seed(0)
        parts = [layers.NegativeSampling(COUNTS, seed=1) for _ in range(3)]
        both = layers.SumOfLosses([*parts, layers.NCE(COUNTS, num_sampled=4, seed=1)])
        both.build((None, DIM))
        return both

    states = draw_states(total())
    assert len({tuple(state) for state in states}) == 4
    assert states == draw_states(total())  # however many layers were made before
    single = layers.NegativeSampling(COUNTS, seed=1)
    single.build((None, DIM))
    assert draw_states(single) == states[:1]


def test_layers_of_one_class_in_sums_within_a_sum_draw_apart():
    pairs = [[layers.NegativeSampling(COUNTS, seed=1) for _ in range(2)] for _ in range(2)]
    total = layers.SumOfLosses([*map(layers.SumOfLosses, pairs), layers.NCE(COUNTS, seed=1)])
    total.build((None, DIM))
    assert len({tuple(state) for state in draw_states(total)}) == 5


def test_a_projection_is_not_drawn_like_the_input_vectors():
    layer = layers.EmbeddingPrediction(COUNTS, target_dim=V, seed=1)
    model = SkipGram(V, DIM, layer, WINDOW, seed=1)
    tables = model.embedding.embeddings.numpy(), layer.projection.numpy()
    assert abs(np.corrcoef(*(table.ravel() for table in tables))[0, 1]) < 0.5


@pytest.mark.parametrize(
    "create",
    [
        lambda seed: layers.EmbeddingLookup(V, DIM, seed=seed),
        lambda seed: layers.AdaptiveSoftmax(COUNTS, [5], seed=seed),
        lambda seed: SkipGram(V, DIM, layers.FullSoftmax(COUNTS), seed=seed),
        *(lambda seed, layer=layer: layer(COUNTS, seed=seed) for layer in LAYERS.values()),
    ],
)
def test_seeds_are_checked(create):
    assert create(np.int64(3)).seed == 3
    assert create(2**63 - 1).seed == 2**63 - 1
    for seed in (-1, 2**63):
        with pytest.raises(ValueError, match=rf"^`seed` must be from 0 to .* seed={seed}\.$"):
            create(seed)
    for seed in (1.5, "abc", True):
        with pytest.raises(TypeError, match=r"^`seed` must be an integer.*Received: seed="):
            create(seed)
