import numpy as np
import pytest

from kerasw2v import CBOW, SkipGram, layers
from kerasw2v.architectures import compile_model, make_model, suitable_batch_size
from kerasw2v.optimizers import RowSGD, default_schedule


@pytest.mark.parametrize(("architecture", "model_class"), [("skip-gram", SkipGram), ("cbow", CBOW)])
def test_makes_the_named_model(architecture, model_class):
    model = make_model(architecture, 8, layers.NegativeSampling(50), window=3, name="mine")
    assert type(model) is model_class
    assert (model.vocabulary_size, model.embedding_dim, model.window) == (50, 8, 3)
    assert model.name == "mine"


def test_unknown_architecture():
    with pytest.raises(ValueError, match="`architecture` must be one of 'skip-gram', 'cbow'"):
        make_model("glove", 8, layers.NegativeSampling(50))


@pytest.mark.parametrize(
    ("architecture", "layer", "size"),
    [
        ("skip-gram", layers.NegativeSampling, 4096),
        # Costly targets want twice as many tokens, where they are skip-gram's.
        ("skip-gram", layers.HierarchicalSoftmax, 8192),
        ("cbow", layers.HierarchicalSoftmax, 4096),
    ],
)
def test_largest_batch(architecture, layer, size):
    model = make_model(architecture, 8, layer(50))
    assert suitable_batch_size(model, np.full(50, 200_000)) == size
    assert suitable_batch_size(model, np.full(50, 20_000)) == 2048
    assert suitable_batch_size(model, np.full(50, 2000), epochs=10) == 2048
    assert suitable_batch_size(model, np.full(50, 20)) == 32


def test_a_batch_holds_a_block():
    model = make_model("cbow", 8, layers.NegativeSampling(50), window=300)
    assert suitable_batch_size(model, np.full(50, 20)) == model.block_length == 256


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize("learning_rate", [None, 0.03])
def test_schedule_is_that_of_the_architecture(architecture, learning_rate):
    model = make_model(architecture, 8, layers.NegativeSampling(50))
    compile_model(model, 100, 5, learning_rate, steps_per_execution=3)
    assert isinstance(model.optimizer, RowSGD)
    expected = default_schedule(architecture, 100, 5, learning_rate)
    schedule = model.optimizer._learning_rate
    assert [float(schedule(i)) for i in (0, 250, 500)] == [
        float(expected(i)) for i in (0, 250, 500)
    ]
    assert model.steps_per_execution == 3
