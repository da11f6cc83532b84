"""CBOW over the sum of a context instead of its mean."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW
from kerasw2v.layers import FullSoftmax
from kerasw2v.optimizers import RowSGD

V, DIM = 12, 5
CONTEXTS = np.array([[1, 2, 3, 4], [5, 6, -1, -1], [7, -1, -1, -1]])
TARGETS = np.array([0, 8, 9])


def model_with(**arguments):
    model = CBOW(V, DIM, FullSoftmax(V), window=2, seed=1, **arguments)
    rng = np.random.default_rng(3)
    for table in model.trainable_variables:
        table.assign(rng.normal(0, 0.5, table.shape))
    return model


def test_the_hidden_vector_is_the_sum():
    model = model_with(combiner="sum")
    table = model.embedding.embeddings.numpy()
    expected = [table[row[row >= 0]].sum(axis=0) for row in CONTEXTS]
    np.testing.assert_allclose(model.predict(CONTEXTS, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize("gradient", ["exact", "word2vec"])
def test_the_step_of_the_context_rows(gradient):
    model = model_with(combiner="sum", gradient=gradient)
    start, output = (tf.constant(table.numpy()) for table in model.trainable_variables)
    present = tf.constant(CONTEXTS >= 0, tf.float32)[..., None]
    with tf.GradientTape() as tape:
        tape.watch(start)
        hidden = tf.reduce_sum(tf.gather(start, np.maximum(CONTEXTS, 0)) * present, axis=1)
        if gradient == "word2vec":  # gensim's: the same hidden vector, an n-th of its error
            sizes = tf.reduce_sum(present, axis=1)
            hidden = hidden / sizes + tf.stop_gradient(hidden - hidden / sizes)
        scores = tf.matmul(hidden, output, transpose_b=True)
        loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(TARGETS, scores))
    step = tf.convert_to_tensor(tape.gradient(loss, start)).numpy()
    model.compile(RowSGD(0.01, max_step=1e9))
    model.fit(CONTEXTS, TARGETS, verbose=0)
    expected = start.numpy() - 0.01 * step
    np.testing.assert_allclose(model.embedding.embeddings.numpy(), expected, atol=1e-6)


def test_the_mass_of_the_context_rows():
    """How far all rows of a window together move its hidden vector: n steps, or one."""
    contexts, targets = np.array([[1, 2, 3, 4]] * 100), np.full(100, 7)
    shares = {}
    for gradient in ("exact", "word2vec"):
        steps = []
        for max_step in (4.0, 1e9):
            model = model_with(combiner="sum", gradient=gradient)
            start = model.embedding.embeddings.numpy()[1]
            model.compile(RowSGD(0.1, max_step=max_step))
            model.fit(contexts, targets, batch_size=100, verbose=0)
            steps.append(np.linalg.norm(model.embedding.embeddings.numpy()[1] - start))
        shares[gradient] = steps[0] / steps[1]
    # A target's mass is 4, so lr * mass is .1 * 400 for one step each, four times that for four.
    assert shares["word2vec"] == pytest.approx(0.1, rel=1e-4)
    assert shares["exact"] == pytest.approx(0.025, rel=1e-4)


def test_it_is_saved(tmp_path):
    model = model_with(combiner="sum")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.combiner == "sum"
    np.testing.assert_array_equal(
        loaded.predict(CONTEXTS, verbose=0), model.predict(CONTEXTS, verbose=0)
    )


def test_an_unknown_combiner():
    with pytest.raises(ValueError, match=r"^`combiner` must be one of 'mean', 'sum'\."):
        CBOW(10, 4, FullSoftmax(10), combiner="max")
