import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasw2v import Vocabulary, zoo
from kerasw2v.cli import main
from kerasw2v.keyed_vectors import load_vectors
from kerasw2v.layers.from_name import output_layers
from kerasw2v.zoo import loading
from kerasw2v.zoo.data import Part, digest, open_corpus, planted_baskets
from kerasw2v.zoo.recipe import read_recipe
from kerasw2v.zoo.run import measure, misses, read_results, run
from kerasw2v.zoo.vectors import load_packed

# The tools that maintain the zoo are scripts of the repository.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "zoo"))
import maintain
import results as zoo_results
from cards import pages, write_pages
from packing import save_packed
from results import calibrated, collect, write_expected

NAMES = zoo.names()

# Tiny enough to be trained often; learns two topics.
MINE = """
title = "Mine"

[vocabulary]
min_count = 1

[model]
architecture = "skip-gram"
embedding_dim = 4

[output_layer]
name = "NegativeSampling"

[training]
epochs = 2
batch_size = 64
sample = 0

[evaluation]
metrics = ["loss"]

[expected]
loss = { value = 3.0, tolerance = 2.0 }
"""


@pytest.fixture
def mine(folder):
    """A zoo of one recipe of one's own, and a corpus, in the working folder."""
    (folder / "zoo" / "mine").mkdir(parents=True)
    path = folder / "zoo" / "mine" / "recipe.toml"
    path.write_text(MINE)
    return path


class TestRecipes:
    def test_every_output_layer_has_one(self):
        recipes = [zoo.find_recipe(name) for name in NAMES]
        assert {recipe.output_layer["name"] for recipe in recipes} == set(output_layers())

    @pytest.mark.parametrize("name", NAMES)
    def test_is_complete(self, name):
        recipe, smoke = zoo.find_recipe(name), zoo.find_recipe(name, smoke=True)
        assert all(recipe.texts.values())
        assert not re.search(r"\d", name.replace("item2vec", ""))
        assert smoke.expected
        results = read_results(recipe)
        if results:  # else it has not been run yet
            assert results["settings"] == json.loads(json.dumps(recipe.settings()))
            assert set(recipe.expected) <= set(results["mean"]["metrics"])
            for each in results["runs"]:
                assert misses(recipe, each["metrics"]) == []

    @pytest.mark.parametrize("name", NAMES)
    def test_smoke_variant_learns_what_it_promises(self, name):
        keras.backend.clear_session()
        loaded = zoo.load(name, smoke=True, seed=1)
        # A test that no model fails would say nothing: an untrained one must.
        untrained = loaded.model.evaluate(loaded.dataset.take(4), verbose=0)
        assert misses(loaded.recipe, measure(loaded, [untrained])) != []
        done = run(loaded)
        # Four standard deviations over the seeds of `maintain.py calibrate --smoke`.
        assert misses(loaded.recipe, done.metrics) == []
        assert done.words_per_s > 0

    def test_pages_are_what_the_generator_makes(self):
        for path, text in pages(zoo.FOLDER).items():
            assert path.read_text("utf-8") == text, (
                f"{path}: run `python benchmarks/zoo/maintain.py cards`"
            )

    def test_the_example_on_the_page_runs(self):
        page = (zoo.FOLDER / "README.md").read_text("utf-8")
        (block,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        names = {}
        exec(block, names)
        assert len(names["vectors"]) >= 10_000

    def test_only_recipes_have_folders(self):
        folders = {path.name for path in Path(zoo.FOLDER).iterdir() if path.is_dir()}
        assert folders - {"__pycache__"} == set(NAMES)


class TestLoad:
    def test_is_ready_for_keras(self, mine):
        loaded = zoo.load(mine, "corpus.txt", seed=1)
        history = loaded.model.fit(loaded.dataset, epochs=2, verbose=0)
        assert history.history["loss"][1] < history.history["loss"][0]
        assert len(loaded.vocabulary) == 12
        assert loaded.recipe.name == "mine"
        assert loaded.corpus_name == "corpus"

    def test_seed(self, mine):
        def losses(seed):
            return run(zoo.load(mine, "corpus.txt", seed=seed)).losses

        assert losses(1) == losses(1) != losses(2)

    @pytest.mark.parametrize(("largest", "size"), [(4096, 1024), (512, 512)])
    def test_batch_size_is_that_of_model_and_corpus(self, mine, monkeypatch, largest, size):
        mine.write_text(MINE.replace("batch_size = 64\n", ""))
        monkeypatch.setattr("kerasw2v.SkipGram.largest_batch", largest)
        loaded = zoo.load(mine, [list("abcdefgh")] * 40_000, seed=1)
        blocks, _ = loaded.dataset.element_spec.shape
        assert blocks * loaded.model.block_length == size

    def test_trains_on_the_small_corpus_by_default(self, mine):
        loaded = zoo.load(mine, seed=1)
        assert (loaded.corpus_name, len(loaded.corpus)) == ("lee", 300)

    def test_unknown_name(self):
        with pytest.raises(ValueError, match=r"`NAME` must be one of cbow-.*Received: 'word3vec'"):
            zoo.load("word3vec")

    def test_a_corpus_that_is_none(self, mine):
        with pytest.raises(FileNotFoundError, match="`corpus` must name a file that exists"):
            zoo.load(mine, "none.txt")

    def test_the_language_model_can_be_saved(self, tmp_path):
        loaded = zoo.load("lstm-adaptive-softmax", smoke=True, seed=1)
        loaded.model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        (batch,) = loaded.dataset.take(1)
        np.testing.assert_allclose(again(batch[0]), loaded.model(batch[0]), rtol=1e-5)

    def test_unknown_words_are_a_word(self):
        vocabulary = loading.with_unknown(Vocabulary(["a", "b"], [5, 2], corpus_words=10))
        assert vocabulary.words == ["a", loading.UNKNOWN, "b"]
        assert vocabulary.counts.tolist() == [5, 3, 2]
        dataset = loading.sequences([["a", "x", "b"], ["a", "y"]], vocabulary, 2, 2)
        ((tokens, targets), same) = next(iter(dataset))
        assert sorted(tokens.numpy().tolist()) == [[0, 1], [2, 0]]
        assert sorted(targets.numpy().tolist()) == [[0, 1], [1, 2]]
        np.testing.assert_array_equal(targets, same)

    def test_too_few_words_for_sequences(self):
        with pytest.raises(ValueError, match="must hold at least 129 words for a batch of 4"):
            loading.sequences([["a"]], Vocabulary([loading.UNKNOWN], [1]), 32, 4)


class TestData:
    def test_parts_of_a_corpus(self):
        corpus = [[str(i), "word"] for i in range(500)]
        held_out = list(Part(corpus, held_out_words=5, held_out=True))
        assert held_out == [["0", "word"], ["100", "word"], ["200", "word"]]
        training = list(Part(corpus, held_out_words=5))
        assert sorted(training + held_out) == sorted(corpus)
        assert len(list(Part(corpus, held_out_words=5, max_words=11))) == 6
        part = Part(corpus, 5)
        assert list(part) == list(part)

    def test_baskets_hold_the_planted_groups(self):
        baskets = planted_baskets(4, 5, 2000, 6, noise=0.2)
        assert baskets == planted_baskets(4, 5, 2000, 6, noise=0.2)
        groups = [[item.split("-")[0] for item in basket] for basket in baskets]
        own = np.mean([max(map(basket.count, basket)) / 6 for basket in groups])
        # 80 % and a quarter of the noise, and a little more for taking the largest.
        assert own == pytest.approx(0.85, abs=0.02)
        with pytest.raises(ValueError, match=r"`noise` must be from 0 to 1. Received: noise=2"):
            planted_baskets(4, 5, 2, 6, noise=2.0)

    def test_item2vec_finds_the_planted_groups(self):
        loaded = zoo.load("item2vec-negative-sampling", smoke=True, seed=3)
        chance = measure(loaded, [0.0])["same_group"]
        # 9 other groups of 20: 19 of the 199 other items are right.
        assert chance == pytest.approx(19 / 199, abs=0.05)
        assert run(loaded).metrics["same_group"] > 0.7

    def test_text8_without_a_network(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        from gensim import downloader

        def fail(*_, **__):
            raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")

        monkeypatch.setattr(downloader, "load", fail)
        with pytest.raises(ConnectionError, match=r"text8 must be downloaded.*name resolution"):
            open_corpus("text8")
        Path("text8").write_text("a file of that name comes first")
        assert open_corpus("text8") == ("text8", "text8")

    def test_digest_of_a_file_and_of_sentences(self, tmp_path):
        path = tmp_path / "corpus.txt"
        path.write_bytes(b"a b\nc\n")
        assert digest(path) == digest([["a", "b"], ["c"]]) != digest([["a", "b", "c"]])


class TestResults:
    def collect(self, seeds):
        told = []
        recipe = read_recipe("zoo/mine")
        results = collect(recipe, "corpus.txt", seeds, lambda *_: 1000.0, told.append)
        return results, [line for line in told if "seed" in line]

    def test_goes_on_where_it_stopped(self, mine, monkeypatch):
        def spawn(recipe, corpus, seed):  # `TestCommand` has a real one
            metrics = {"loss": float(seed)}
            return {"seed": seed, "metrics": metrics, "seconds": 1.0, "words_per_s": 500 * seed}

        monkeypatch.setattr(zoo_results, "_spawn", spawn)
        results, told = self.collect(seeds=1)
        assert told == ["mine: seed 1 of 1 ..."]
        assert results["runs"][0]["gensim_words_per_s"] == 1000
        assert results["corpus"]["sha256"] == digest("corpus.txt")
        results, told = self.collect(seeds=3)
        assert told == ["mine: seed 2 of 3 ...", "mine: seed 3 of 3 ..."]
        assert [each["seed"] for each in results["runs"]] == [1, 2, 3]
        assert results["mean"]["metrics"]["loss"] == 2.0
        assert results["mean"]["ratio_to_gensim"] == 1.0
        command = "python benchmarks/zoo/maintain.py results mine --corpus corpus.txt --seeds 3"
        assert results["command"] == command
        assert self.collect(seeds=3) == (results, [])
        assert json.loads(Path("zoo/mine/results.json").read_text()) == results
        # Results of other settings, or another corpus, are not those of this recipe.
        mine.write_text(MINE.replace("epochs = 2", "epochs = 1"))
        assert self.collect(seeds=1)[1] == ["mine: seed 1 of 1 ..."]
        Path("corpus.txt").write_text("another one\n")
        assert self.collect(seeds=1)[1] == ["mine: seed 1 of 1 ..."]

    def test_a_training_that_fails(self, mine):
        recipe = read_recipe(mine)
        mine.write_text("[model]\n")
        with pytest.raises(ChildProcessError, match=r"mine, seed 1: .* must have a key `architect"):
            collect(recipe, "corpus.txt", 1, lambda *_: None, print)
        assert not Path("zoo/mine/results.json").exists()

    def test_calibration(self, mine):
        expected = calibrated({"loss": [2.0, 2.1, 1.9, 2.0, 2.0, 2.0]})
        assert expected["loss"].value == 2.0
        assert expected["loss"].tolerance == pytest.approx(
            4 * np.std([1, 1.1, 0.9, 1, 1, 1]) * 1.1, abs=0.01
        )
        write_expected(read_recipe(mine), expected, seeds=6)
        assert read_recipe(mine).expected == expected
        assert mine.read_text().startswith(MINE[: MINE.index("[expected]")])
        mine.write_text(MINE[: MINE.index("[expected]")])
        with pytest.raises(ValueError, match=r"must have a line \[expected\]"):
            write_expected(read_recipe(mine), expected, seeds=6)

    def test_damaged_results(self, mine):
        mine.with_name("results.json").write_text("{")
        with pytest.raises(ValueError, match="must be JSON"):
            read_results(read_recipe(mine))

    def test_pages(self, mine):
        written = {path.name for path in write_pages("zoo")}
        assert written == {"MODEL_CARD.md", "README.md"}
        assert write_pages("zoo") == []
        assert "# Mine" in mine.with_name("MODEL_CARD.md").read_text()
        assert "| [mine](mine/MODEL_CARD.md) | - |" in Path("zoo/README.md").read_text()


class TestCommand:
    def test_list_and_show(self, capsys):
        assert main(["zoo", "list"]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == NAMES
        assert main(["zoo", "show", "cbow-nce"]) == 0
        assert capsys.readouterr().out == (zoo.FOLDER / "cbow-nce/MODEL_CARD.md").read_text("utf-8")

    def test_list_shows_the_titles(self, capsys):
        assert main(["zoo", "list"]) == 0
        lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
        assert lines == {name: zoo.find_recipe(name).texts["title"] for name in NAMES}

    def test_show_of_a_recipe_without_a_card(self, mine, capsys):
        assert main(["zoo", "show", "zoo/mine"]) == 0
        assert capsys.readouterr().out == MINE

    def test_list_and_show_do_not_start_tensorflow(self):
        code = (
            "import sys; from kerasw2v.cli import main\n"
            "main(['zoo', 'list']); main(['zoo', 'show', 'cbow-nce'])\n"
            "sys.exit('tensorflow' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0

    @pytest.mark.parametrize("output", ["out.kv", "out.keras"])
    def test_train(self, mine, capsys, output):
        arguments = ["zoo", "train", "./zoo/mine/recipe.toml", "--corpus", "corpus.txt"]
        assert main([*arguments, "--seed", "1", "--output", output]) == 0
        told = capsys.readouterr()
        assert f"Written: {output}" in told.out
        assert "epoch 2/2" in told.err
        if output == "out.kv":
            assert len(load_vectors(output)) == 12
        else:
            assert keras.saving.load_model(output).vocabulary_size == 12

    def test_verify(self, mine, capsys):
        arguments = ["zoo", "verify", "zoo/mine/recipe.toml", "--corpus", "corpus.txt"]
        assert main(arguments) == 0
        assert "3 ± 2" in capsys.readouterr().out
        mine.write_text(MINE.replace("value = 3.0", "value = 9.0"))
        assert main(arguments) == 1
        told = capsys.readouterr()
        assert "MISSED" in told.out
        assert told.err.splitlines()[-1] == "kerasw2v: mine: loss not within the tolerance."

    def test_verify_smoke_by_name(self, capsys):
        assert main(["zoo", "verify", "cbow-negative-sampling", "--smoke"]) == 0

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["show", "none"], "`NAME` must be one of cbow-"),
            (["train", "none.toml"], "`path` must name a recipe that exists"),
            (["train", "cbow-nce", "--output", "no/out.kv"], "folder that exists"),
            (["train", "cbow-nce", "--output", "out.pdf"], "`path` must end in .kv"),
            (["train", "lstm-adaptive-softmax", "--output", "o.kv"], "must end in .keras"),
            (["train", "cbow-nce", "--corpus", "none.txt"], "must name a file that exists"),
            (["train", "zoo/mine/recipe.toml", "--smoke"], "must have a table [smoke]"),
            (["verify", "cbow-nce"], "`--corpus` must be given, or `--smoke`"),
            (["verify", "item2vec-negative-sampling", "--corpus", "c"], "must not be given"),
        ],
    )
    def test_refusals(self, mine, capsys, arguments, sentence):
        assert main(["zoo", *arguments]) == 1
        told = capsys.readouterr()
        assert sentence in told.err.splitlines()[-1]
        assert "Traceback" not in told.err
        assert sorted(path.name for path in Path().iterdir()) == ["corpus.txt", "zoo"]

    def test_no_expected_results(self, mine, capsys):
        mine.write_text(MINE[: MINE.index("[expected]")])
        assert main(["zoo", "verify", str(mine), "--corpus", "corpus.txt"]) == 1
        assert "must have results in [expected] to be verified" in capsys.readouterr().err


class TestMaintain:
    def test_results_calibrate_and_cards(self, mine, capsys):
        path = "zoo/mine/recipe.toml"
        assert maintain.main(["results", path, "--corpus", "corpus.txt", "--seeds", "1"]) == 0
        results = json.loads(Path("zoo/mine/results.json").read_text())
        assert results["mean"]["ratio_to_gensim"] > 0
        assert "SHA-256" in mine.with_name("MODEL_CARD.md").read_text()
        assert maintain.main(["calibrate", path]) == 0
        loss = read_recipe(mine).expected["loss"]
        assert loss.value == pytest.approx(results["mean"]["metrics"]["loss"], rel=0.01)
        capsys.readouterr()
        assert maintain.main(["cards", "zoo"]) == 0
        assert capsys.readouterr().out == ""  # all are up to date

    def test_pack(self, mine, capsys):
        arguments = ["pack", "zoo/mine/recipe.toml", "--corpus", "corpus.txt"]
        assert maintain.main([*arguments, "--words", "5"]) == 0
        assert len(load_packed("zoo/mine/vectors.npz")) == 5
        assert json.loads(Path("zoo/mine/vectors.json").read_text())["words"] == 5
        assert "## Vectors that come" in mine.with_name("MODEL_CARD.md").read_text()

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["results"], "Either `NAME` or `--all` must be given"),
            (["results", "cbow-nce", "--all"], "Either `NAME` or `--all`"),
            (["results", "cbow-nce"], "`--corpus` must be given for cbow-nce"),
            (["calibrate", "zoo/mine/recipe.toml"], "must have results to be calibrated"),
        ],
    )
    def test_refusals(self, mine, capsys, arguments, sentence):
        assert maintain.main(arguments) == 1
        told = capsys.readouterr()
        assert sentence in told.err.splitlines()[-1]
        assert "Traceback" not in told.err
        assert sorted(path.name for path in Path().iterdir()) == ["corpus.txt", "zoo"]


class TestVectors:
    def test_ships_english(self):
        vectors = zoo.english_vectors()
        assert vectors.vectors.shape[1] == 100
        assert 10_000 <= len(vectors) <= 15_000
        counts = vectors.expandos["count"]
        assert (np.diff(counts) <= 0).all()
        assert (zoo.FOLDER / loading.VECTORS).stat().st_size < 3e6
        assert "CC BY-SA" in (zoo.FOLDER / loading.VECTORS).with_name("NOTICE").read_text()
        found = vectors.most_similar(["king", "woman"], ["man"], topn=3)
        assert "queen" in [word for word, _ in found]

    def test_error_of_packing(self, vectors, tmp_path):
        path = tmp_path / "vectors.npz"
        save_packed(vectors, path)
        packed = load_packed(path)
        assert packed.index_to_key == vectors.index_to_key
        np.testing.assert_array_equal(packed.expandos["count"], vectors.expandos["count"])
        bound = np.abs(vectors.vectors).max(axis=1, keepdims=True) / 127 / 2 * 1.001
        assert (np.abs(packed.vectors - vectors.vectors) <= bound).all()

    def test_damage(self, tmp_path):
        path = tmp_path / "vectors.npz"
        with pytest.raises(FileNotFoundError, match="`path` must name a file that exists"):
            load_packed(path)
        path.write_bytes(b"PK junk")
        with pytest.raises(ValueError, match="an undamaged file of packed vectors"):
            load_packed(path)
        shutil.copy(zoo.FOLDER / loading.VECTORS, path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(ValueError, match="an undamaged file of packed vectors"):
            load_packed(path)

    def test_similar_and_evaluate_without_a_file(self, capsys):
        assert main(["similar", "cat", "king - man + woman", "--topn", "3"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [lines[0], lines[4]] == ["cat", "king - man + woman"]
        assert any(line.endswith("queen") for line in lines[5:])
        assert main(["similar", "catt"]) == 1
        told = capsys.readouterr().err
        assert "'catt' is not among the" in told
        assert "of the package's vectors" in told
        assert main(["evaluate", "--json", "--restrict-vocab", "2000"]) == 0
        pairs = json.loads(capsys.readouterr().out)["word_pairs"]
        assert pairs[0]["spearman"] > 0.5

    def test_a_file_without_a_word(self, vectors, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert main(["similar", "vectors.kv"]) == 1
        assert "`WORD` must be given. Received: only the file" in capsys.readouterr().err
