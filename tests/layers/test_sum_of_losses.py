"""SumOfLosses: each layer's loss, added up, in both forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.layers import FullSoftmax, NegativeSampling
from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.layers.sum_of_losses import SumOfLosses


def test_losses_masses_and_weights():
    counts = np.array([9, 5, 4, 2, 1])
    layers = [HierarchicalSoftmax(counts), NegativeSampling(counts, 3, seed=1)]
    both = SumOfLosses(layers)
    rng = np.random.default_rng(0)
    hidden = tf.constant(rng.normal(size=(4, 6)), tf.float32)
    targets = tf.constant([0, 2, 4, 1])
    both.build((None, 6), (None,))
    for layer in layers:
        layer.embeddings.assign(rng.normal(size=layer.embeddings.shape))
    twin = NegativeSampling(counts, 3, seed=1)
    twin.build((None, 6), (None,))
    twin.embeddings.assign(layers[1].embeddings)
    expected = layers[0](hidden, targets) + twin(hidden, targets)
    np.testing.assert_allclose(both(hidden, targets), expected, rtol=1e-6)
    mass = layers[0].target_mass(targets) + 4.0
    np.testing.assert_allclose(both.target_mass(targets), mass)
    np.testing.assert_allclose(both.log_probs(hidden), layers[0].log_probs(hidden))
    copied = SumOfLosses.from_config(both.get_config())
    copied.build((None, 6), (None,))
    copied.set_weights(both.get_weights())
    np.testing.assert_allclose(copied.log_probs(hidden), both.log_probs(hidden))


def test_blocks_are_pairs_written_out():
    rng = np.random.default_rng(0)
    counts = np.array([9, 5, 4, 2, 1])
    both = SumOfLosses([FullSoftmax(counts), HierarchicalSoftmax(counts)])
    both.build((None, 6), (None,))
    for layer in both.layers:
        layer.embeddings.assign(rng.normal(size=layer.embeddings.shape))
    hidden = rng.normal(size=(2, 3, 6)).astype(np.float32)
    candidates = rng.integers(0, 5, (2, 4))
    weights = rng.integers(0, 2, (2, 3, 4)).astype(np.float32)
    expected = np.zeros((2, 3))
    for block, row, slot in np.argwhere(weights):
        target = candidates[block, slot][None]
        expected[block, row] += both(hidden[block, row][None], target).numpy()[0]
    np.testing.assert_allclose(both(hidden, candidates, weights), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "error", "sentence"),
    [
        ([], ValueError, "`layers` must all have the same vocabulary. Received: 0 layers"),
        (
            [FullSoftmax(3), FullSoftmax(4)],
            ValueError,
            "2 layers with vocabularies of .3, 4. words",
        ),
        (
            [FullSoftmax(3), "FullSoftmax"],
            TypeError,
            "`layers` must be output layers of kerasw2v",
        ),
        ([keras.layers.Dense(3)], TypeError, "`layers` must be output layers of kerasw2v"),
    ],
)
def test_bad_layers(layers, error, sentence):
    with pytest.raises(error, match=sentence):
        SumOfLosses(layers)
