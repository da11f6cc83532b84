"""The options of `kerasw2v train`: refused, resolved, and the identity of a run."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
import tensorflow as tf

from kerasw2v import Vocabulary
from kerasw2v.callbacks import Progress, Record
from kerasw2v.cli import main, train_run
from kerasw2v.keyed_vectors import load_vectors

from ..test_report import data_of

SMALL = ["--size", "8", "--epochs", "2", "--min-count", "1", "--seed", "1"]


def options_of(monkeypatch, *arguments):
    """Returns what the parser makes of `kerasw2v train --output o.kv` with these arguments."""
    received = []
    monkeypatch.setattr(train_run, "train", received.append)
    assert main(["train", "--output", "o.kv", *arguments]) == 0
    return received[0]


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "name"),
        [
            (["--index", "1"], "index"),
            (["--index", "0"], "index"),
            (["--local-steps", "4"], "local-steps"),
            (["--wait", "60"], "wait"),
            (["--local-steps", "4", "--index", "1"], "index"),
        ],
    )
    def test_options_of_workers_need_workers(self, folder, capsys, options, name):
        assert main(["train", "corpus.txt", "--output", "o.kv", *options]) == 1
        assert capsys.readouterr().err == (
            f"kerasw2v: `--{name}` must be given together with `--workers`. "
            f"Received: --{name} without --workers.\n"
        )
        assert os.listdir(folder) == ["corpus.txt"]

    @pytest.mark.parametrize("seed", ["-1", str(2**63), "1.5", "abc", ""])
    def test_seed(self, folder, capsys, monkeypatch, seed):
        monkeypatch.setattr(train_run, "train", lambda _: pytest.fail("work began"))
        with pytest.raises(SystemExit) as stop:
            main(["train", "corpus.txt", "--output", "o.kv", "--seed", seed])
        assert stop.value.code == 2
        assert capsys.readouterr().err == (
            "kerasw2v train: argument --seed: must be an integer from 0 to 2**63 - 1, "
            f"not {seed!r}. See `kerasw2v train --help`.\n"
        )

    @pytest.mark.parametrize("seed", [0, 2**63 - 1])
    def test_the_outermost_seeds_work_everywhere(self, folder, seed):
        arguments = ["train", "corpus.txt", "--output", "o.kv", *SMALL, "--seed", str(seed)]
        assert main(arguments) == 0
        assert len(load_vectors("o.kv")) == 12

    @pytest.mark.parametrize(
        "option",
        ["read-vocab", "save-vocab", "save-model", "checkpoint", "projector", "plot", "workers"],
    )
    def test_an_empty_text_is_not_a_missing_option(self, folder, capsys, option):
        # As in `--checkpoint "$STATE"` where STATE is not set.
        with pytest.raises(SystemExit) as stop:
            main(["train", "corpus.txt", "--output", "o.kv", *SMALL, f"--{option}", ""])
        assert stop.value.code == 2
        assert f"argument --{option}: must not be empty" in capsys.readouterr().err

    @pytest.mark.parametrize("option", ["--checkpoint", "--projector"])
    def test_a_folder_is_not_a_file_too(self, folder, capsys, option):
        assert main(["train", "corpus.txt", "--output", "o.kv", *SMALL, option, "o.kv"]) == 1
        assert "`o.kv` must not be written" in capsys.readouterr().err
        assert os.listdir(folder) == ["corpus.txt"]


class TestResolved:
    @pytest.mark.parametrize(
        ("arguments", "epochs", "alpha"),
        [
            ([], 50, 0.05 * 50**-0.05),
            (["corpus.txt"], 5, 0.05 * 5**-0.05),
            (["corpus.txt", "--cbow"], 5, 0.09 * 5**-0.2),
            (["corpus.txt", "--cbow", "--epochs", "1"], 1, 0.09),
            (["corpus.txt", "--alpha", "0.5"], 5, 0.5),
        ],
    )
    def test_epochs_and_alpha(self, folder, monkeypatch, arguments, epochs, alpha):
        options = options_of(monkeypatch, *arguments)
        assert (options.epochs, options.alpha) == (epochs, pytest.approx(alpha))

    @pytest.mark.parametrize("index", [0, 1])
    def test_the_chief_alone_writes(self, folder, monkeypatch, index):
        files = ["--save-vocab", "v", "--save-model", "m.keras", "--projector", "p"]
        files += ["--plot", "p.png", "--report", "r.html"]
        workers = ["--workers", "a:1,b:2", "--index", str(index)]
        options = options_of(monkeypatch, *files, *workers, "--checkpoint", "state")
        assert (options.workers, options.index, options.wait) == (("a:1", "b:2"), index, 60)
        written = [options.output, options.save_vocab, options.save_model, options.projector]
        written += [options.plot, options.report]
        assert written == ([None] * 6 if index else ["o.kv", *files[1::2]])
        assert options.quiet == (index == 1)
        assert options.checkpoint == "state"  # each of them resumes

    @pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
    def test_workers_on_their_own_draw_differently(self, folder, monkeypatch, seed):
        alone = ["--workers", "a:1,b:1", "--seed", str(seed)]
        shared = [*alone, "--sync", "gradients"]
        seeds = [
            [options_of(monkeypatch, *arguments, "--index", index).worker_seed for index in "01"]
            for arguments in (shared, alone)
        ]
        assert seeds[0] == [seed, seed]
        assert seeds[1][0] == seed != seeds[1][1]
        assert 0 <= seeds[1][1] < 2**63

    def test_nothing_changes_them(self, folder, monkeypatch):
        options = options_of(monkeypatch)
        with pytest.raises(dataclasses.FrozenInstanceError):
            options.epochs = 7


class TestIdentity:
    def test_the_file_of_a_run(self, folder, monkeypatch):
        """What every version has written, so that a run of an older one goes on."""
        arguments = ["corpus.txt", "--checkpoint", "state", *SMALL, "--cbow", "--sample", "0.01"]
        assert options_of(monkeypatch, *arguments).identity() == {
            "corpus": [[str(folder / "corpus.txt"), Path("corpus.txt").stat().st_size]],
            "columns": None,
            "workers": 1,
            "read_vocab": None,
            "initial_vectors": [],
            "architecture": "cbow",
            "size": 8,
            "window": 5,
            "full_windows": False,
            "negative": 5,
            "noise_exponent": 0.75,
            "min_count": 1,
            "max_vocab": None,
            "epochs": 2,
            "alpha": pytest.approx(0.09 * 2**-0.2),
            "sample": 0.01,
            "batch_size": None,
            "seed": 1,
        }

    def test_is_what_a_checkpoint_stores(self, folder, monkeypatch):
        def interrupt(*_, **__):
            raise KeyboardInterrupt

        arguments = ["corpus.txt", "--checkpoint", "state", *SMALL]
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "on_epoch_end", interrupt)
            assert main(["train", "--output", "o.kv", *arguments]) == 130
        stored = json.loads(Path("state/kerasw2v.json").read_text())
        assert stored == options_of(monkeypatch, *arguments).identity()

    def test_workers_may_be_others_but_not_more(self, folder, monkeypatch):
        first, moved, third = (
            options_of(monkeypatch, "corpus.txt", "--workers", workers, "--index", index)
            for workers, index in (("a:1,b:1", "0"), ("c:1,d:1", "1"), ("a:1,b:1,c:1", "0"))
        )
        assert first.identity() == moved.identity()
        assert first.identity() != third.identity()


class TestReadVocabulary:
    def test_the_size_of_the_corpus_is_that_of_the_corpus(self, folder, capsys, monkeypatch):
        Path("v.txt").write_text("dog 5000000\ncat 5\n")
        speeds = []
        for callback in (Progress, Record):
            plain = callback.on_train_begin

            def on_train_begin(self, logs=None, plain=plain):
                speeds.append((type(self), self.words_per_epoch))
                plain(self, logs)

            monkeypatch.setattr(callback, "on_train_begin", on_train_begin)
        options = ["--read-vocab", "v.txt", "--report", "run.html", *SMALL]
        assert main(["train", "corpus.txt", "--output", "o.kv", *options]) == 0
        assert speeds == [(Progress, 2400), (Record, 2400)]
        assert "2 words, 2,400 in the corpus." in capsys.readouterr().err
        groups = {group: dict(rows) for group, rows in data_of(folder / "run.html")["settings"]}
        assert groups["Corpus"]["words in it"] == "2,400"
        assert groups["Training"]["batch size"] == "32"


class TestTensorFlowErrors:
    """A failure inside TensorFlow is one line, as any other."""

    @staticmethod
    def eager():
        tf.constant([1, 2]) + tf.constant([1, 2, 3])

    @staticmethod
    def graph():
        @tf.function(autograph=False)
        def check(number):
            tf.debugging.assert_positive(number, "number is too small")

        check(tf.constant(-1))

    @staticmethod
    def generator():
        def numbers():
            raise ValueError("no number")
            yield 1

        next(iter(tf.data.Dataset.from_generator(numbers, output_types=tf.int32)))

    @pytest.mark.parametrize(
        ("cause", "sentence"),
        [
            ("eager", "Incompatible shapes: [2] vs. [3]"),
            ("graph", "assertion failed: [number is too small"),
            ("generator", "ValueError: no number"),
        ],
    )
    def test_one_line(self, folder, capsys, monkeypatch, cause, sentence):
        monkeypatch.setattr(Vocabulary, "load", lambda _: getattr(self, cause)())
        Path("v.txt").write_text("dog 7\n")
        options = ["--output", "o.kv", "--read-vocab", "v.txt", "--quiet"]
        assert main(["train", "corpus.txt", *options]) == 1
        printed = capsys.readouterr().err
        assert printed.startswith("kerasw2v: ")
        assert sentence in printed
        assert "Traceback" not in printed
        assert (printed.count("\n"), len(printed) < 200) == (1, True)
