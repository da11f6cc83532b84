"""What `kerasw2v train` leaves beside the vectors: pictures, reports, what to do next."""

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasw2v import Vocabulary, plots
from kerasw2v.callbacks import Progress, Record
from kerasw2v.cli import main, train_run
from kerasw2v.history import History, Measurement
from kerasw2v.keyed_vectors import load_vectors
from kerasw2v.ops.learning_rates import default_learning_rate
from kerasw2v.plots import plot_training, save_plot
from kerasw2v.word_map import content_words, example_word, word_map

from ..test_report import data_of, make_vectors

SMALL = ["--size", "8", "--epochs", "3", "--batch-size", "256", "--min-count", "1", "--seed", "1"]


def train(*options):
    return main(["train", "corpus.txt", "--output", "out.kv", *SMALL, *options])


class TestNext:
    def test_three_lines_with_the_files_name(self, folder, capsys):
        assert train() == 0
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        following = lines[lines.index("Next:") + 1 :]
        assert len(following) == 3
        assert following[0].startswith("kerasw2v similar out.kv ")
        assert following[0].split()[-1] in load_vectors("out.kv")
        assert following[1] == "kerasw2v evaluate out.kv"
        assert "KeyedVectors.load('out.kv')" in following[2]


class TestReport:
    def test_tells_all_options(self, folder, capsys):
        assert train("--report", "run.html") == 0
        assert "run.html: the report; open it in a browser" in capsys.readouterr().out
        data = data_of(folder / "run.html")
        assert data["title"] == "Skip-gram, 8 dimensions"
        groups = {group: dict(rows) for group, rows in data["settings"]}
        assert groups["Corpus"] == {
            "files": "corpus.txt",
            "words in it": "2,400",
            "words known": "12",
        }
        assert groups["Model"]["window"] == "5"
        assert groups["Training"]["alpha"] == f"{default_learning_rate('skip-gram', 3):.4g}"
        assert groups["Versions"]["keras"] == keras.__version__
        with pytest.raises(SystemExit):
            main(["train", "--help"])
        options = set(re.findall(r"^  --([a-z-]+)", capsys.readouterr().out, re.MULTILINE))
        shown = {name.replace(" ", "-") for rows in groups.values() for name in rows}
        of_workers = {"workers", "index", "sync", "local-steps", "wait"}
        of_tables = {"columns", "order"}
        told_otherwise = {"sg", "cbow", "preset", "quiet", "debug"}
        assert options - shown - of_workers - of_tables == told_otherwise
        assert {"architecture"} | (options & shown) <= shown

    def test_tells_nobody_where_files_are(self, folder):
        assert (
            train("--report", str(folder / "run.html"), "--save-vocab", f"{folder}/words.txt") == 0
        )
        assert str(folder) not in (folder / "run.html").read_text("utf-8")
        groups = {g: dict(rows) for g, rows in data_of(folder / "run.html")["settings"]}
        assert groups["Files"]["report"] == "run.html"
        assert groups["Files"]["save vocab"] == "words.txt"

    def test_records_every_epoch(self, folder):
        assert train("--report", "run.html", "--quiet") == 0
        history = data_of(folder / "run.html")["history"]
        assert [epoch for epoch, *_ in history["epochs"]] == [1, 2, 3]
        assert history["points"][-1][0] == 3
        assert "not recorded" not in history["note"]

    def test_says_that_a_test_knows_too_few_words(self, folder):
        assert train("--report", "run.html") == 0
        rows = data_of(folder / "run.html")["evaluation"]
        assert [row[3] for row in rows] == ["too few are known (30 needed)"] * 5

    def test_a_corpus_that_is_hostile(self, folder):
        word = "</script><script>alert(1)</script>"
        Path("corpus.txt").write_text(f"{word} <b>&amp; {{{{data}}}}\n" * 50)
        assert train("--report", "run.html") == 0
        assert word in data_of(folder / "run.html")["words"]


class TestCheckpoint:
    def interrupt(self, monkeypatch, *options):
        plain = Progress.on_epoch_end

        def on_epoch_end(self, epoch, logs=None):
            plain(self, epoch, logs)
            if epoch == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Progress, "on_epoch_end", on_epoch_end)
            assert train("--checkpoint", "state", *options) == 130

    def test_a_resumed_run_reports_all_epochs(self, folder, monkeypatch):
        self.interrupt(monkeypatch, "--report", "run.html")
        assert not Path("run.html").exists()
        assert train("--checkpoint", "state", "--report", "run.html") == 0
        history = data_of(folder / "run.html")["history"]
        assert [epoch for epoch, *_ in history["epochs"]] == [1, 2, 3]
        seconds = [seconds for _, seconds, *_ in history["points"]]
        assert seconds == sorted(seconds)
        assert os.listdir("state") == []

    def test_what_was_not_recorded_is_said(self, folder, monkeypatch):
        self.interrupt(monkeypatch)
        assert train("--checkpoint", "state", "--report", "run.html") == 0
        history = data_of(folder / "run.html")["history"]
        assert [epoch for epoch, *_ in history["epochs"]] == [3]
        assert "Epochs 1 to 2 were not recorded." in history["note"]

    def test_a_damaged_record_costs_no_training(self, folder, monkeypatch):
        self.interrupt(monkeypatch, "--plot", "run.svg")
        Path("state/kerasw2v.history.json").write_text('[0, [[1, "x"]], []]')
        assert train("--checkpoint", "state", "--plot", "run.svg") == 0


class TestPlot:
    @pytest.mark.parametrize(
        ("name", "begin"), [("run.png", b"\x89PNG"), ("run.pdf", b"%PDF"), ("run.svg", b"<?xml")]
    )
    def test_writes_a_picture(self, folder, capsys, name, begin):
        assert train("--plot", name) == 0
        assert Path(name).read_bytes().startswith(begin)
        assert f"{name}: the words' map and the loss" in capsys.readouterr().out
        assert sorted(os.listdir()) == sorted(["corpus.txt", "out.kv", name])

    def test_labels_do_not_overlap(self):
        vectors = make_vectors([f"label{i:03}" for i in range(300)])
        figure = plot_training(vectors)
        renderer = figure.canvas.get_renderer()
        boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
        assert 50 < len(boxes) <= 250
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:i])
            assert figure.axes[0].get_window_extent().contains(*box.min)

    def test_any_word_can_be_drawn(self, tmp_path):
        words = ["$x_", "$\\frac{1}$", "東京", "\u0d15\u0d4d", "<b>", "a\tb", "#", "%"]
        save_plot(plot_training(make_vectors(words)), tmp_path / "run.svg")
        drawn = ElementTree.parse(tmp_path / "run.svg").getroot()
        assert drawn.tag.endswith("svg")

    def test_one_word(self):
        assert len(plot_training(make_vectors(["alone"], size=2)).axes[0].texts) == 1

    def test_the_loss_is_drawn_where_there_is_one(self):
        history = History(points=[Measurement(e, e, e, 3 - e, None) for e in (1, 2)])
        vectors = make_vectors(["cat", "dog"])
        lower = plot_training(vectors, history).axes[1]
        np.testing.assert_array_equal(lower.lines[0].get_xydata(), [[1, 2], [2, 1]])
        assert lower.get_title(loc="left") == "Loss"
        titles = [axes.get_title(loc="left") for axes in plot_training(vectors).axes]
        assert "Loss" not in titles

    def test_an_older_picture_survives_a_failure(self, tmp_path, monkeypatch):
        (tmp_path / "run.png").write_text("old")
        figure = Figure()
        monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_plot(figure, tmp_path / "run.png")
        assert (tmp_path / "run.png").read_text() == "old"
        assert os.listdir(tmp_path) == ["run.png"]


class TestBadNames:
    """One sentence before any work starts, and nothing written."""

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (["--plot", "run.doc"], "`path` must end in .png, .pdf or .svg"),
            (["--plot", "run"], "`path` must end in .png, .pdf or .svg"),
            (["--plot", "no/run.png"], "`path` must lie in a folder that exists"),
            (["--report", "run.pdf"], "`path` must end in .html or .htm"),
            (["--report", "no/run.html"], "`path` must lie in a folder that exists"),
            (["--save-vocab", "run.html", "--report", "run.html"], "must not be written"),
        ],
    )
    def test_is_refused(self, folder, capsys, monkeypatch, options, sentence):
        monkeypatch.setattr(Vocabulary, "from_corpus", lambda *_: pytest.fail("work began"))
        assert train(*options) == 1
        printed = capsys.readouterr().err
        assert printed.startswith("kerasw2v: ")
        assert sentence in printed
        assert printed.count("\n") == 1
        assert os.listdir(folder) == ["corpus.txt"]

    def test_no_matplotlib(self, folder, capsys, monkeypatch):
        def missing(name):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(plots, "import_module", missing)
        monkeypatch.setattr(Vocabulary, "from_corpus", lambda *_: pytest.fail("work began"))
        assert train("--plot", "run.png") == 1
        assert capsys.readouterr().err == (
            "kerasw2v: A picture needs matplotlib: pip install 'kerasw2v[plot]'.\n"
        )

    def test_a_report_needs_no_matplotlib(self, folder, monkeypatch):
        monkeypatch.setattr(plots, "import_module", lambda name: pytest.fail(name))
        assert train("--report", "run.html") == 0

    def test_a_diverged_run_is_not_reported(self, folder, monkeypatch, vectors):
        vectors.vectors[2, 1] = np.nan
        monkeypatch.setattr(train_run, "to_keyed_vectors", lambda *_, **__: vectors)
        assert train("--report", "run.html", "--plot", "run.png") == 1
        assert os.listdir(folder) == ["corpus.txt"]


class TestRecord:
    def record(self, monkeypatch, times, steps=4, epochs=1, means=None):
        """Returns what is recorded of epochs whose calls end at such times, in seconds."""
        clock = iter(times)
        monkeypatch.setattr("kerasw2v.callbacks.time.perf_counter", lambda: next(clock))
        record = Record(words_per_epoch=1000)
        record.set_params({"epochs": epochs, "steps": steps})
        record.on_train_begin()
        means = iter(means or [2.0] * 100)
        for epoch in range(epochs):
            record.on_epoch_begin(epoch)
            for batch in range(steps):
                record.on_train_batch_end(batch, {"loss": next(means)})
            record.on_epoch_end(epoch, {"loss": next(means)})
        return record.history

    def test_loss_and_speed_since_the_point_before(self, monkeypatch):
        # Losses of the quarters are 4, 2, 2, 1: running means 4, 3, 8/3, 9/4.
        history = self.record(monkeypatch, range(100), means=[4, 3, 8 / 3, 9 / 4, 9 / 4])
        assert [point.loss for point in history.points] == pytest.approx([4, 2, 2, 1])
        assert [point.words for point in history.points] == [250, 500, 750, 1000]
        # Second 0 is the begin of training, 1 that of the epoch; the first call is not timed.
        assert [point.seconds for point in history.points] == [2, 3, 4, 5]
        assert [p.words_per_second for p in history.points] == [None, 250, 250, 250]
        (epoch,) = history.epochs
        assert (epoch.epoch, epoch.loss, epoch.seconds) == (1, 9 / 4, 6)
        assert epoch.words_per_second == 750 / 4  # with what comes after the last batch
        assert history.words_per_second == 750 / 4

    def test_calls_that_are_quick_are_put_together(self, monkeypatch):
        times = [0, 0, *np.arange(1, 9) / 10, 0.8, 0.9]
        history = self.record(monkeypatch, times, steps=8)
        # More than a fifth of a second apart, and at the end.
        assert [point.epoch for point in history.points] == [1 / 8, 4 / 8, 7 / 8, 1]

    def test_a_call_that_is_told_as_longer_than_it_was(self):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(loss="mse", steps_per_execution=4)
        record, data = Record(words_per_epoch=1000), np.ones((10, 1))
        model.fit(data, data, batch_size=1, epochs=2, verbose=0, callbacks=[record])
        assert max(point.epoch for point in record.history.points) == 2.0
        assert [epoch.words for epoch in record.history.epochs] == [1000, 2000]

    def test_a_file_to_go_on_from(self, tmp_path):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(loss="mse")
        path, data = tmp_path / "history.json", np.ones((4, 1))
        first = Record(1000, path=path)
        model.fit(data, data, epochs=2, verbose=0, callbacks=[first])
        loaded = History.load(path, epochs=2)
        assert loaded == first.history
        second = Record(1000, loaded, path)
        model.fit(data, data, epochs=3, initial_epoch=2, verbose=0, callbacks=[second])
        assert [epoch.epoch for epoch in second.history.epochs] == [1, 2, 3]
        seconds = [epoch.seconds for epoch in second.history.epochs]
        assert seconds == sorted(seconds)


class TestHistory:
    def test_keeps_a_bounded_number_of_points(self):
        history = History()
        for i in range(1, 10_001):
            history.add(Measurement(i / 100, 10.0 * i, i, 5.0 if i <= 5000 else 1.0, 10.0))
        assert 500 <= len(history.points) <= 1000
        words = np.diff([0, *(point.words for point in history.points)])
        losses = np.array([point.loss for point in history.points])
        assert words.sum() == 100_000
        assert words @ losses / words.sum() == pytest.approx(3.0)
        assert {round(p.words_per_second, 6) for p in history.points} == {10.0}

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "[0, [], [[1]]]", '[0, [], [[3, 1, 1, "x", 1]]]', "[0, 1, 2]"]
    )
    def test_a_damaged_file_is_a_new_beginning(self, tmp_path, text):
        (tmp_path / "h.json").write_text(text)
        assert History.load(tmp_path / "h.json", epochs=2) == History(begun=2)

    def test_what_was_measured_after_the_checkpoint_is_dropped(self, tmp_path):
        ends = [Measurement(e, e, e, e, None) for e in (1.0, 2.0, 3.0)]
        History(points=list(ends), epochs=ends).save(tmp_path / "h.json")
        loaded = History.load(tmp_path / "h.json", epochs=2)
        assert [end.epoch for end in loaded.epochs] == [1, 2]
        assert [point.epoch for point in loaded.points] == [1, 2]

    def test_a_file_that_does_not_reach_so_far(self, tmp_path):
        History(epochs=[Measurement(1, 1, 1, 1, None)]).save(tmp_path / "h.json")
        assert History.load(tmp_path / "h.json", epochs=2) == History(begun=2)
        assert json.loads((tmp_path / "h.json").read_text())[0] == 0


class TestWordMap:
    def test_axes_are_principal(self):
        vectors = make_vectors([f"w{i}" for i in range(60)], size=10)
        shown = word_map(vectors, vectors.index_to_key)
        rows = vectors.get_normed_vectors().astype(np.float64)
        values = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
        np.testing.assert_allclose(shown.shares, (values / values.sum())[:3], rtol=1e-5)
        np.testing.assert_allclose(shown.places.var(axis=0, ddof=1), values[:3], rtol=1e-5)
        farthest = shown.places[np.abs(shown.places).argmax(axis=0), range(3)]
        assert (farthest > 0).all()

    def test_axes_of_the_first_words(self):
        vectors = make_vectors([f"w{i}" for i in range(60)], size=10)
        words = vectors.index_to_key
        some, all_ = word_map(vectors, words[:20]), word_map(vectors, words, fit=20)
        np.testing.assert_allclose(all_.places[:20], some.places, atol=1e-9)
        assert all_.shares == some.shares

    def test_fillers_come_last(self):
        words = ["the", "und", "cat", "1999", "x", "!", "東", *(f"dog{i}" for i in range(20))]
        vectors = make_vectors(words)
        vectors.expandos["count"][:] = [9000, 8000, *[7] * 25]
        assert content_words(vectors, 3) == ["cat", "東", "dog0"]
        fillers = ["the", "und", "1999", "x", "!"]
        assert content_words(vectors, 99) == ["cat", "東", *words[7:], *fillers]
        assert content_words(vectors, 99, among=3) == ["cat", "the", "und"]

    def test_example_is_a_content_word_with_close_neighbours(self):
        words = ["the", "a1", "ox", *(f"dog{chr(97 + i)}" for i in range(20))]
        vectors = make_vectors(words, size=16)
        rng = np.random.default_rng(0)
        vectors.vectors[:] = rng.normal(size=(23, 16))
        # Closest of all, but a filler, an item number and a word of two letters.
        vectors.vectors[:3] = vectors.vectors[3] + 1e-3 * rng.normal(size=(3, 16))
        vectors.vectors[10:16] = vectors.vectors[10] + 0.1 * rng.normal(size=(6, 16))
        assert example_word(vectors) in words[10:16]
        assert example_word(make_vectors(["7", "8", "9"])) in ("7", "8", "9")
        assert example_word(make_vectors(["cat"])) == "cat"

    def test_number(self):
        with pytest.raises(ValueError, match="`number` must be at least 1"):
            content_words(make_vectors(["cat"]), 0)
