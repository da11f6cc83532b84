"""Baskets from tables on the command line: trained, tested, looked up; other vectors as a start."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasw2v import Word2Vec, presets
from kerasw2v.cli import main, train_run
from kerasw2v.keyed_vectors import load_vectors, save_vectors

from .test_options import options_of

pytest.importorskip("pandas", reason="pandas is missing: pip install '.[table]'")

TRAIN = ["train", "baskets.csv", "--columns", "basket", "item", "--output", "items.kv"]
SMALL = ["--size", "8", "--epochs", "2", "--min-count", "1", "--seed", "1"]


@pytest.fixture
def shop(folder):
    """Baskets from two shelves, whose rows are mixed; an item's name may have a blank."""
    rng = np.random.default_rng(0)
    rows = [
        f"{basket},{'ab'[basket % 2]} {item:02},{day}"
        for basket in range(300)
        for day, item in enumerate(rng.choice(10, 6, replace=False))
    ]
    rng.shuffle(rows)
    held_out = [row for row in rows if int(row.split(",")[0]) >= 250]
    for name, part in (("baskets", set(rows) - set(held_out)), ("held_out", held_out)):
        Path(f"{name}.csv").write_text("\n".join(["basket,item,day", *sorted(part)]) + "\n")
    return folder


def test_from_a_table_to_neighbours_and_scores(shop, capsys):
    assert main([*TRAIN, "--preset", "baskets", "--size", "16", "--seed", "1"]) == 0
    printed = capsys.readouterr()
    assert "20 words, 1,500 in the corpus." in printed.err
    test = "evaluate items.kv --next-items HELD_OUT.csv --columns basket item"
    assert f"  kerasw2v {test}\n" in printed.out
    assert "  kerasw2v similar items.kv '" in printed.out
    near = [word for word, _ in load_vectors("items.kv").most_similar("a 03", topn=9)]
    assert {word[0] for word in near} == {"a"}
    assert main(["similar", "items.kv", "a 03", "a 03 - a 01 + b 01", "--topn", "1"]) == 0
    assert capsys.readouterr().out.startswith("a 03\n   ")
    arguments = ["evaluate", "items.kv", "--next-items", "held_out.csv", "--columns", "basket"]
    assert main([*arguments, "item", "--order", "day"]) == 0
    assert "Next item                50 baskets" in capsys.readouterr().out
    assert main([*arguments, "item", "--json", "--query", "last"]) == 0
    # Of the nine other items of its shelf five are in the basket.
    assert json.loads(capsys.readouterr().out)["hit_rates"]["5"] == 1


def test_a_table_without_columns_is_no_test(shop, capsys):
    assert main(["evaluate", "--next-items", "held_out.csv"]) == 1
    assert "`--columns` must be given with a table" in capsys.readouterr().err


def test_the_preset_is_that_of_word2vec(shop, monkeypatch):
    options = options_of(monkeypatch, "corpus.txt", "--preset", "baskets")
    model = Word2Vec(vector_size=8, **presets.BASKETS)
    assert (options.window, options.sample, options.epochs) == (model.window, 0, model.epochs)
    assert (options.full_windows, options.architecture) == (not model.shrink_windows, "skip-gram")
    assert options.noise_exponent == model.ns_exponent
    given = ["--window", "3", "--sample", "0.1", "--epochs", "2", "--noise-exponent", "-0.5"]
    options = options_of(monkeypatch, "corpus.txt", "--preset", "baskets", *given)
    assert (options.window, options.sample, options.epochs) == (3, 0.1, 2)
    assert (options.full_windows, options.noise_exponent) == (True, -0.5)


def test_settings_reach_the_model(shop, monkeypatch):
    models = []

    class Stop(Exception):
        pass

    def record(model, *_):
        models.append(model)
        raise Stop

    monkeypatch.setattr(train_run, "suitable_batch_size", record)
    assert main([*TRAIN, *SMALL, "--full-windows", "--noise-exponent", "-0.5"]) == 1
    assert main([*TRAIN, *SMALL]) == 1
    assert [model.shrink_windows for model in models] == [False, True]
    assert [model.output_layer.exponent for model in models] == [-0.5, 0.75]


def test_another_column_or_start_is_another_run(shop, monkeypatch):
    Path("v.kv").touch()
    runs = [
        options_of(monkeypatch, *arguments).identity()
        for arguments in (
            TRAIN[1:5],
            [*TRAIN[1:4], "day"],
            [*TRAIN[1:5], "--order", "day"],
            [*TRAIN[1:5], "--initial-vectors", "v.kv"],
        )
    ]
    assert all(runs[0] != other for other in runs[1:])


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["train", "--columns", "a", "b"], "`--columns` must be given together with a table"),
            (["train", "baskets.csv", "--order", "day"], "`--order` must be given together with"),
            (["train", "corpus.txt", "--columns", "a", "b"], "name files that end in .csv"),
            (
                ["train", "baskets.csv", "--columns", "a", "item"],
                "`group` must name a column. Received: group='a'",
            ),
            (["train", "none.csv", "--columns", "a", "item"], "must name a file that exists"),
        ],
    )
    def test_columns(self, shop, capsys, arguments, message):
        before = sorted(shop.iterdir())
        assert main([*arguments, "--output", "o.kv"]) == 1
        assert message in capsys.readouterr().err
        assert sorted(shop.iterdir()) == before

    def test_names_that_the_format_cannot_hold_are_found_before_the_training(
        self, shop, capsys, monkeypatch
    ):
        monkeypatch.setattr(train_run, "_fit", lambda *_: pytest.fail("training began"))
        assert main([*TRAIN[:-1], "items.vec", *SMALL]) == 1
        assert "must have words without whitespace" in capsys.readouterr().err

    def test_words_and_items_at_once(self, shop, vectors, capsys):
        save_vectors(vectors, "v.kv")
        arguments = ["evaluate", "v.kv", "--next-items", "held_out.csv", "--analogies", "q.txt"]
        assert main(arguments) == 1
        assert "`--analogies` must not be given with `--next-items`" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_a_table_that_is_read_as_text_gets_a_warning_in_one_line(shop, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt("stopped")

    monkeypatch.setattr(train_run, "_fit", stop)
    assert main(["train", "baskets.csv", "--output", "o.kv", *SMALL, "--quiet"]) == 130
    line, *_ = capsys.readouterr().err.splitlines()
    assert line.startswith("kerasw2v: 'baskets.csv' is read as text")
    assert "--columns GROUP ITEM" in line


def test_vectors_that_know_no_word_of_the_tests(shop, vectors, capsys):
    save_vectors(vectors, "v.kv")
    assert main(["evaluate", "v.kv"]) == 0
    assert capsys.readouterr().out == (
        "Not tested, as too few words are known: analogies, WordSim353, SimLex999.\n"
        "Vectors of items are tested by --next-items; see `kerasw2v evaluate --help`.\n"
    )


class TestInitialVectors:
    def test_known_words_start_from_them(self, folder, capsys):
        Path("old.vec").write_text(
            "3 8\n"
            + "".join(
                f"{word} {' '.join(map(str, row))}\n"
                for word, row in zip(
                    ["cat", "dog", "zebra"], np.arange(24).reshape(3, 8), strict=True
                )
            )
        )
        arguments = ["train", "corpus.txt", "--output", "new.kv", "--initial-vectors", "old.vec"]
        assert main([*arguments, *SMALL, "--alpha", "1e-30"]) == 0
        assert "2 of them start with their vectors in old.vec." in capsys.readouterr().err
        new = load_vectors("new.kv")
        assert len(new) == 12
        np.testing.assert_allclose(new["cat"], np.arange(8), atol=1e-6)
        np.testing.assert_allclose(new["dog"], np.arange(8, 16), atol=1e-6)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--initial-vectors", "none.kv"], "`--initial-vectors` must name a file that exists"),
            (["--initial-vectors", "v.kv"], "`--size` must be 5, the width of the vectors in"),
            (["--initial-vectors", "o.kv"], "`o.kv` must not be written"),
            (["--initial-vectors", "w.kv", "--size", "5"], "must have at least one word of the"),
        ],
    )
    def test_refused(self, folder, vectors, capsys, options, message):
        save_vectors(vectors, "v.kv")
        Path("w.vec").write_text("1 5\nzebra 1 2 3 4 5\n")
        save_vectors(load_vectors("w.vec"), "w.kv")
        assert main(["train", "corpus.txt", "--output", "o.kv", *options]) == 1
        assert message in capsys.readouterr().err
        assert not Path("o.kv").exists()


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        (".venv/bin/kerasw2v", ".venv/bin/kerasw2v"),
        ("/a b/kerasw2v", "'/a b/kerasw2v'"),
        ("/x/kerasw2v/__main__.py", f"{sys.executable} -m kerasw2v"),
        ("/usr/bin/pytest", "kerasw2v"),
    ],
)
def test_what_to_do_next_is_a_command_that_works_here(monkeypatch, called, shown):
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setenv("PATH", "")
    assert train_run._program() == shown


def test_on_the_path_the_name_is_enough(monkeypatch, tmp_path):
    (tmp_path / "kerasw2v").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "kerasw2v")])
    assert train_run._program() == "kerasw2v"
