"""SkipGram and CBOW where people treat them as any Keras model: steps, shapes, export, formats."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, layers
from kerasw2v.optimizers import RowSGD

V, DIM, ROWS, BATCH = 12, 4, 100, 10
MODELS = (SkipGram, CBOW)
each_model = pytest.mark.parametrize("model_class", MODELS)


def make(model_class, steps_per_execution=4, learning_rate=0.1):
    model = model_class(V, DIM, layers.FullSoftmax(V), window=2, seed=1)
    model.output_layer.embeddings.assign(np.random.default_rng(1).normal(size=(V, DIM)))
    model.compile(RowSGD(learning_rate), steps_per_execution=steps_per_execution)
    return model


def arrays(model_class, rows=ROWS):
    rng = np.random.default_rng(0)
    shape = (rows,) if model_class is SkipGram else (rows, 3)
    return rng.integers(0, V, shape).astype(np.int32), rng.integers(0, V, rows).astype(np.int32)


def dataset(model_class, rows=ROWS):
    return tf.data.Dataset.from_tensor_slices(arrays(model_class, rows)).batch(BATCH)


def endless(batches):
    while True:
        yield from batches


# Steps

DATA = {
    "arrays": lambda x, y: {"x": x, "y": y, "batch_size": BATCH},
    "finite": lambda x, y: {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)},
    "endless": lambda x, y: {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH).repeat()},
    "generator": lambda x, y: {"x": endless([(x[:BATCH], y[:BATCH])])},
}


@pytest.fixture(scope="module")
def by_steps():
    """Models by their steps in a call; 0 for Keras' own loop in Python."""
    models = {steps: make(SkipGram, steps) for steps in (1, 4)}
    models[0] = make(SkipGram)
    models[0].compile(RowSGD(0.1), run_eagerly=True)
    start = models[0].get_weights()

    def model_of(steps):
        models[steps].set_weights(start)
        models[steps].optimizer.iterations.assign(0)
        return models[steps]

    return model_of


@pytest.mark.parametrize("kind", DATA)
def test_the_number_of_steps_asked_for_is_the_number_done(kind, by_steps):
    model = by_steps(4)
    data = DATA[kind](*arrays(SkipGram))
    # Keras warns of `shuffle`, its own default, with generators.
    shuffle = {"shuffle": False} if kind == "generator" else {}
    calls = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: calls.append(1))
    model.fit(**data, steps_per_epoch=5, epochs=2, verbose=0, callbacks=[count], **shuffle)
    assert int(model.optimizer.iterations) == 10
    assert len(calls) == 4  # of 4, 1, 4 and 1 steps
    model.evaluate(**DATA[kind](*arrays(SkipGram)), steps=3, verbose=0)
    assert model.pair_mean.sums()[1] == 3 * BATCH
    inputs = DATA[kind](*arrays(SkipGram))
    inputs.pop("y", None)
    vectors = model.predict(**inputs, steps=3, verbose=0)
    first = model.embedding.embeddings.numpy()[arrays(SkipGram)[0][:BATCH]]
    np.testing.assert_array_equal(vectors[:BATCH], first)
    assert vectors.shape == (3 * BATCH, DIM)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("is_length_known", [True, False])
@pytest.mark.parametrize(("steps", "epochs"), [(4, 3), (15, 2), (None, 2)])
def test_the_same_batches_as_in_keras_own_loop(steps, epochs, is_length_known, by_steps):
    results = []
    for steps_per_execution in (0, 1, 4):
        model = by_steps(steps_per_execution)
        batches = dataset(SkipGram, 6 * BATCH)
        if not is_length_known:
            batches = batches.filter(lambda *_: True)
        arguments = {"steps_per_epoch": steps, "epochs": epochs, "verbose": 0}
        losses = model.fit(batches, validation_data=batches, validation_steps=3, **arguments)
        results.append([losses.history["loss"], losses.history["val_loss"]])
        results[-1].append([int(model.optimizer.iterations)])
    for result in results[1:]:
        for ours, keras_own in zip(result, results[0], strict=True):
            np.testing.assert_allclose(ours, keras_own, rtol=1e-5)


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_an_empty_last_batch(steps_per_execution):
    x, y = arrays(SkipGram, 3 * BATCH)
    none = tf.data.Dataset.from_tensors((x[:0], y[:0]))
    model, other = make(SkipGram, steps_per_execution), make(SkipGram, steps_per_execution)
    with_empty = model.fit(dataset(SkipGram, 3 * BATCH).concatenate(none), verbose=0)
    without = other.fit(dataset(SkipGram, 3 * BATCH), verbose=0)
    assert with_empty.history == without.history
    assert model.predict(none.map(lambda x, y: x), verbose=0).shape == (0, DIM)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_no_batch_at_all(method):
    x, y = arrays(SkipGram)
    targets = {} if method == "predict" else {"y": y[:0]}
    sentence = r"^`x` must have at least one batch\. Received: none\.$"
    with pytest.raises(ValueError, match=sentence):
        getattr(make(SkipGram), method)(x[:0], **targets, verbose=0)


# Shapes


@pytest.fixture(scope="module", params=MODELS, ids=lambda each: each.__name__)
def still(request):
    """A model that does not move: what `fit` and `evaluate` report is the loss of the data."""
    model = make(request.param, learning_rate=0.0)
    return model, *arrays(request.param)


def test_columns_are_vectors(still):
    model, x, y = still
    weights = np.linspace(0, 2, ROWS).astype(np.float32)
    flat = model.evaluate(x, y, sample_weight=weights, verbose=0)
    columns = {
        "x": x[:, None] if isinstance(model, SkipGram) else x,
        "y": y[:, None],
        "sample_weight": weights[:, None],
    }
    assert model.evaluate(**columns, verbose=0) == flat
    assert model.fit(**columns, shuffle=False, verbose=0).history["loss"] == [pytest.approx(flat)]
    by_class = model.fit(x, y, class_weight=dict.fromkeys(range(V), 1.0), verbose=0)
    assert by_class.history["loss"] == [pytest.approx(model.evaluate(x, y, verbose=0))]


def test_other_shapes_are_refused_by_name(still):
    model, x, y = still
    with pytest.raises(ValueError, match=r"`targets` must have shape \(n,\) or \(n, 1\)\. Rec"):
        model.evaluate(x, np.stack([y, y], 1), verbose=0)
    with pytest.raises(ValueError, match=r"`sample_weight` must have shape \(n,\) or \(n, 1\)\."):
        model.evaluate(x, y, sample_weight=np.ones((ROWS, 2)), verbose=0)
    name = "centres" if isinstance(model, SkipGram) else "contexts"
    with pytest.raises(ValueError, match=f"`{name}` must have shape "):
        model.evaluate(np.ones((ROWS, 2, 2), np.int32), y, verbose=0)


def test_contexts_of_several_lengths():
    rows = [[1, 2, 3], [4], [5, 6]]
    ragged = tf.ragged.constant(rows, dtype=tf.int32)
    targets = np.array([3, 1, 2])
    padded = np.array([row + [-1] * (3 - len(row)) for row in rows])
    cbow, skip_gram = make(CBOW, learning_rate=0.0), make(SkipGram, learning_rate=0.0)
    expected = cbow.evaluate(padded, targets, verbose=0)
    assert cbow.evaluate(ragged, targets, verbose=0) == pytest.approx(expected)
    assert cbow.fit(ragged, targets, verbose=0).history["loss"] == [pytest.approx(expected)]
    np.testing.assert_allclose(
        cbow.predict(ragged, verbose=0), cbow.predict(padded, verbose=0), rtol=1e-6
    )
    # Of skip-gram contexts are the targets.
    centres, contexts = np.repeat(targets, [3, 1, 2]), np.concatenate(rows)
    for weights in (None, np.array([1.0, 0.5, 2.0], np.float32)):
        of_pairs = None if weights is None else np.repeat(weights, [3, 1, 2])
        of_rows = skip_gram.evaluate(targets, ragged, sample_weight=weights, verbose=0)
        pairs = skip_gram.evaluate(centres, contexts, sample_weight=of_pairs, verbose=0)
        assert of_rows == pytest.approx(pairs)


# Files


@each_model
@pytest.mark.parametrize("method", ["fit", "predict", None])
def test_export(model_class, method, tmp_path):
    model = make(model_class)
    x, y = arrays(model_class)
    if method == "fit":
        model.fit(x, y, verbose=0)
    if method == "predict":
        model.predict(x, verbose=0)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(x[:7]), model.predict(x[:7], verbose=0), rtol=1e-6)


@each_model
@pytest.mark.parametrize("name", ["model.h5", "MODEL.HDF5"])
def test_hdf5_is_refused(model_class, name, tmp_path):
    sentence = f"`filepath` must end in .keras: .* Received: filepath='{tmp_path / name}'."
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        make(model_class).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@each_model
def test_a_clone_and_json(model_class):
    model = make(model_class)
    x, y = arrays(model_class)
    for copy in (
        keras.models.clone_model(model),
        keras.models.model_from_json(model.to_json()),
    ):
        assert type(copy) is model_class
        copied, config = copy.get_config(), model.get_config()
        assert copied.pop("output_layer")["class_name"] == config.pop("output_layer")["class_name"]
        assert copied == config
        copy.set_weights(model.get_weights())
        copy.compile()
        assert copy.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def language_model(layer):
    tokens, targets = keras.Input((3,), dtype="int32"), keras.Input((), dtype="int32")
    hidden = keras.layers.LSTM(DIM)(layers.EmbeddingLookup(V, DIM)(tokens))
    return keras.Model([tokens, targets], layer(hidden, targets))


@pytest.mark.parametrize("form", ["clone", "json", "hdf5"])
def test_copies_of_a_language_model(form, tmp_path):
    model = language_model(layers.ClassSoftmax(np.arange(V, 0, -1)))
    if form == "clone":
        copy = keras.models.clone_model(model)
    elif form == "json":
        copy = keras.models.model_from_json(model.to_json())
    else:  # Keras finds layers by their registered names, unlike models
        model.save(tmp_path / "model.h5")
        copy = keras.saving.load_model(tmp_path / "model.h5")
    copy.set_weights(model.get_weights())
    inputs = [np.arange(9).reshape(3, 3), np.arange(3)]
    np.testing.assert_array_equal(copy(inputs), model(inputs))
