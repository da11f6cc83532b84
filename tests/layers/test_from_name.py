import numpy as np
import pytest

from kerasw2v import layers
from kerasw2v.layers.from_name import make_output_layer, output_layers

COUNTS = np.arange(40, 0, -1)


def test_every_output_layer_but_the_sum_has_a_name():
    exported = [getattr(layers, name) for name in layers.__all__]
    classes = {each for each in exported if isinstance(each, type)}
    wanted = {each for each in classes if issubclass(each, layers.OutputLayer)}
    assert set(output_layers().values()) == wanted - {layers.OutputLayer, layers.SumOfLosses}


@pytest.mark.parametrize("name", sorted(output_layers()))
def test_is_the_layer_made_by_hand(name):
    layer = make_output_layer(name, COUNTS, seed=3)
    assert type(layer) is getattr(layers, name)
    assert layer.vocabulary_size == 40
    # Layers that draw get the seed; the others take none.
    assert layer.get_config().get("seed") in (3, None)


def test_seed_and_arguments_reach_the_layer():
    config = make_output_layer("NCE", COUNTS, seed=3, num_sampled=7).get_config()
    assert (config["seed"], config["num_sampled"]) == (3, 7)


@pytest.mark.parametrize("name", ["OutputLayer", "SumOfLosses", "Softmax", "outputs_are_losses"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=rf"`output_layer` must be one of .*='{name}'"):
        make_output_layer(name, COUNTS)


def test_refused_arguments():
    with pytest.raises(ValueError, match="`num_sampled` must be at least 1"):
        make_output_layer("NCE", COUNTS, num_sampled=0)
