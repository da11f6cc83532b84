import inspect
import re

import pytest

from kerasw2v import layers
from kerasw2v.layers.from_name import output_layers
from kerasw2v.zoo.recipe import METRICS, layer_arguments, read_recipe

PLAIN = """
[model]
architecture = "cbow"

[output_layer]
name = "NegativeSampling"

[evaluation]
metrics = ["loss"]
"""
# What no recipe can say, since it is no plain value, or not the recipe's to say.
NOT_IN_RECIPES = {"counts", "kwargs", "seed", "target_vectors", "classes", "cost_model", "tree"}


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def with_line(section, line):
    """A plain recipe with one line more in a section."""
    heading = f"[{section}]\n"
    return (
        PLAIN.replace(heading, heading + line + "\n")
        if heading in PLAIN
        else (f"{PLAIN}\n{heading}{line}\n")
    )


class TestReading:
    def test_fills_in_defaults(self, write):
        recipe = read_recipe(write(PLAIN))
        assert recipe.name == "mine"
        assert recipe.data == {"kind": "text", "max_words": None, "held_out_words": 0}
        assert recipe.vocabulary == {"min_count": 5, "max_final_vocab": None}
        assert recipe.model["gradient"] == "word2vec"
        assert recipe.output_layer == {"name": "NegativeSampling"}
        assert recipe.training["optimizer"] == "row-sgd"
        assert recipe.training["learning_rate"] is None
        assert recipe.expected == {}
        assert not recipe.smoke

    def test_smoke_replaces_single_values_and_all_expected(self, write):
        path = write(
            with_line("training", "epochs = 7\nsample = 0.1")
            + "[expected.loss]\nvalue = 3\ntolerance = 1\n[smoke.training]\nepochs = 1\n"
        )
        full, smoke = read_recipe(path), read_recipe(path, smoke=True)
        assert (full.training["epochs"], smoke.training["epochs"]) == (7, 1)
        assert (full.training["sample"], smoke.training["sample"]) == (0.1, 0.1)
        assert full.expected["loss"].value == 3.0
        assert smoke.expected == {}
        assert smoke.smoke

    def test_name_of_a_folder(self, write, tmp_path):
        path = write(PLAIN, "recipe.toml")
        assert read_recipe(path).name == read_recipe(tmp_path).name == tmp_path.name

    def test_tolerance(self, write):
        path = write(with_line("expected", "loss = { value = 2.0, tolerance = 0.5 }"))
        loss = read_recipe(path).expected["loss"]
        assert [loss.holds(value) for value in (1.49, 1.5, 2.5, 2.51)] == [False, True, True, False]
        assert not loss.holds(float("nan"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("section", "line", "sentence"),
        [
            ("training", "epoch = 3", "must not have a key `epoch`; allowed: optimizer, learning"),
            ("hooks", "x = 1", "a recipe must not have a key `hooks`; allowed: title"),
            ("model", "units = 3", "[model] must not have a key `units`; allowed: architecture"),
            ("output_layer", "cutoffs = [1]", "[output_layer] must not have a key `cutoffs`"),
            ("output_layer", "seed = 1", "[output_layer] must not have a key `seed`"),
            ("output_layer", 'num_sampled = "5"', "must be an integer. Received: '5'"),
            ("output_layer", "num_sampled = true", "must be an integer. Received: True"),
            ("training", "epochs = 1.5", "`epochs` in [training] must be an integer"),
            ("training", "epochs = 0", "`epochs` in [training] must be positive. Received: 0"),
            ("training", "sample = nan", "`sample` in [training] must be finite"),
            ("training", 'optimizer = "adam"', "must be row-sgd for cbow. Received: 'adam'"),
            ("training", 'optimizer = "os.system"', "must be one of row-sgd, adam. Received"),
            ("data", 'kind = "http://x"', "must be one of text, planted-baskets. Received"),
            ("data", "groups = 3", "[data] must not have a key `groups`"),
            ("data", 'kind = "planted-baskets"', "[data] must have a key `groups`"),
            ("vocabulary", "min_count = -1", "`min_count` in [vocabulary] must be positive"),
            ("expected", "loss = 3", "[expected.loss] must be a table. Received: 3"),
            ("expected", "loss = { value = 3 }", "[expected.loss] must have a key `tolerance`"),
            ("expected", "loss = { value = 3, tolerance = 0 }", "must be positive. Received: 0"),
            (
                "expected",
                "analogies = { value = 1, tolerance = 1 }",
                "must hold metrics that [evaluation] names only. Received: 'analogies'",
            ),
            ("expected", "speed = { value = 1, tolerance = 1 }", "must not have a key `speed`"),
            ("smoke", "epochs = 3", "[smoke] must not have a key `epochs`; allowed: data"),
            ("smoke.training", "epoch = 3", "[training] must not have a key `epoch`"),
        ],
    )
    def test_what_is_not_known(self, write, section, line, sentence):
        path = write(with_line(section, line))
        with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
            read_recipe(path)
        told = str(refusal.value)
        assert told.startswith(f"{str(path)!r}: ")
        assert "\n" not in told

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            (PLAIN.replace("cbow", "rnn"), "must be one of skip-gram, cbow, lstm. Received: 'rnn'"),
            (PLAIN.replace("NegativeS", "kerasw2v.layers.NegativeS"), "`name` in [output_layer]"),
            (PLAIN.replace("NegativeSampling", "SumOfLosses"), "must be one of AdaptiveSoftmax"),
            (PLAIN.replace('"cbow"', "1"), "must be one of skip-gram, cbow, lstm. Received: 1"),
            (PLAIN.replace('["loss"]', '["speed"]'), "must be among wordsim353, simlex999"),
            (PLAIN.replace('["loss"]', '["same_group"]'), "for cbow and text"),
            (PLAIN.replace('["loss"]', '["perplexity"]'), "`held_out_words` in [data] must be"),
            (PLAIN.replace('["loss"]', "[1]"), "must be a list of str. Received: [1]"),
            (PLAIN.replace("[evaluation]\nmetrics", "[evaluation]\n#"), "key `metrics`"),
            ("title = 3\n" + PLAIN, "`title` must be a string. Received: 3"),
            ("model = 3\n", "[model] must be a table. Received: 3"),
            ("", "[model] must have a key `architecture`"),
            (PLAIN.replace("cbow", "lstm"), "[training] must have a key `learning_rate`"),
        ],
    )
    def test_other_recipes(self, write, text, sentence):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            read_recipe(write(text))

    def test_no_toml(self, write):
        with pytest.raises(ValueError, match="must be a TOML file"):
            read_recipe(write("[model"))

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="`path` must name a recipe that exists"):
            read_recipe(tmp_path / "none.toml")

    def test_no_smoke_variant(self, write):
        with pytest.raises(ValueError, match=r"must have a table \[smoke\]"):
            read_recipe(write(PLAIN), smoke=True)


class TestTables:
    @pytest.mark.parametrize("name", sorted(output_layers()))
    def test_arguments_are_the_layers_own(self, name):
        parameters = set(inspect.signature(getattr(layers, name)).parameters)
        assert set(layer_arguments(name)) == parameters - NOT_IN_RECIPES

    def test_types_of_arguments(self):
        assert layer_arguments("AdaptiveSoftmax") == {
            "cutoffs": list,
            "div_value": float,
            "min_projection_dim": int,
            "batch_size": int,
        }
        assert layer_arguments("EmbeddingPrediction")["use_projection"] is bool
        assert layer_arguments("NegativeSampling")["sharing"] is str
        assert layer_arguments("FullSoftmax") == {}

    def test_metrics_of_each_architecture(self):
        assert all(architectures and kinds for architectures, kinds, _ in METRICS.values())
