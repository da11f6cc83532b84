import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from gensim.models import KeyedVectors

from kerasw2v import Vocabulary
from kerasw2v.callbacks import Checkpoint, Progress
from kerasw2v.cli import main, train_run
from kerasw2v.keyed_vectors import load_vectors, save_vectors

ROOT = Path(__file__).parents[2]
SMALL = ["--size", "8", "--epochs", "2", "--batch-size", "256", "--min-count", "1"]


@pytest.fixture
def saved(folder, vectors):
    save_vectors(vectors, "vectors.kv")
    return vectors


def run(*arguments):
    """Runs the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "kerasw2v", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


class TestHelp:
    @pytest.mark.parametrize("command", [[], ["train"], ["evaluate"], ["similar"], ["zoo"]])
    def test_help_explains_itself(self, command, capsys):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        assert f"usage: kerasw2v{' ' if command else ''}{''.join(command)}" in printed
        assert max(map(len, printed.splitlines())) <= 100

    def test_every_option_of_train_is_explained_with_its_default(self, capsys):
        with pytest.raises(SystemExit):
            main(["train", "--help"])
        printed = " ".join(capsys.readouterr().out.split())
        for default in (
            "dimensions (100)",
            "away (5)",
            "(skip-gram: 0.05 for 1 epoch",
            "(0.001)",
            "(5; 50 without",
        ):
            assert default in printed

    def test_version(self, capsys):
        with pytest.raises(SystemExit) as stop:
            main(["--version"])
        assert stop.value.code == 0
        assert re.fullmatch(r"kerasw2v (\d+\.\d+\.\d+|not installed)\n", capsys.readouterr().out)

    def test_help_imports_nothing_slow(self):
        code = "import sys, kerasw2v.cli; print({'gensim', 'keras', 'numpy'} & set(sys.modules))"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
        assert printed.stdout.decode().strip() == "set()"


class TestTrain:
    @pytest.mark.parametrize("architecture", ["--sg", "--cbow"])
    @pytest.mark.parametrize("output", ["out.kv", "out.vec", "out.bin"])
    def test_writes_vectors(self, folder, capsys, architecture, output):
        assert main(["train", "corpus.txt", "--output", output, architecture, *SMALL]) == 0
        vectors = load_vectors(output)
        assert len(vectors) == 12
        assert vectors.vector_size == 8
        printed = capsys.readouterr()
        assert f"{output}: 12 words, 8 dimensions" in printed.out
        assert f"kerasw2v similar {output} " in printed.out
        assert "12 words, 2,400 in the corpus." in printed.err
        assert re.search(r"epoch 2/2: [\d,]+ words/s, loss \d\.\d{4}\n", printed.err)

    def test_the_line_for_gensim_works(self, folder, capsys):
        for output in ("out.kv", "out.vec", "out.bin.gz"):
            main(["train", "corpus.txt", "--output", output, *SMALL])
            line = next(
                line for line in capsys.readouterr().out.splitlines() if "import Keyed" in line
            )
            names = {}
            exec(line.strip(), names)
            assert isinstance(names["vectors"], KeyedVectors)

    def test_learns_the_topics(self, folder):
        # 0 failures in 12 seeds; with 20 epochs one.
        options = ["--size", "16", "--epochs", "40", "--min-count", "1", "--seed", "1"]
        assert main(["train", "corpus.txt", "--output", "out.kv", "--sample", "0", *options]) == 0
        near = [word for word, _ in load_vectors("out.kv").most_similar("cat", topn=5)]
        assert sorted(near) == ["bark", "dog", "milk", "purr", "tail"]

    def test_all_files(self, folder):
        options = ["--save-vocab", "v.txt", "--save-model", "m.keras", "--projector", "p"]
        assert main(["train", "corpus.txt", "--output", "out.kv", *options, *SMALL]) == 0
        vectors = load_vectors("out.kv")
        vocabulary = Vocabulary.load("v.txt")
        assert vocabulary.words == vectors.index_to_key
        np.testing.assert_array_equal(vocabulary.counts, vectors.expandos["count"])
        model = keras.saving.load_model("m.keras")
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(model.embedding.embeddings), vectors.vectors
        )
        assert len(os.listdir("p")) == 3
        expected = ["corpus.txt", "m.keras", "out.kv", "p", "v.txt"]
        assert sorted(os.listdir(folder)) == expected

    def test_reads_a_vocabulary(self, folder):
        Path("v.txt").write_text("dog 7\ncat 5\nzebra 2\n")
        assert (
            main(["train", "corpus.txt", "--output", "o.kv", "--read-vocab", "v.txt", *SMALL]) == 0
        )
        assert load_vectors("o.kv").index_to_key == ["dog", "cat", "zebra"]

    def test_several_files_and_limits(self, folder):
        Path("more.txt").write_text("zebra zebra\n" * 500)
        options = ["--max-vocab", "1", *SMALL]
        assert main(["train", "corpus.txt", "more.txt", "--output", "o.kv", *options]) == 0
        assert load_vectors("o.kv").index_to_key == ["zebra"]

    def test_same_seed_same_vectors(self, folder):
        for name, seed in (("a.kv", "1"), ("b.kv", "1"), ("c.kv", "2")):
            assert main(["train", "corpus.txt", "--output", name, "--seed", seed, *SMALL]) == 0
        first, same, other = (load_vectors(name).vectors for name in ("a.kv", "b.kv", "c.kv"))
        np.testing.assert_array_equal(first, same)
        assert not np.array_equal(first, other)

    def test_quiet(self, folder, capfd):
        assert main(["train", "corpus.txt", "--output", "out.kv", "--quiet", *SMALL]) == 0
        printed = capfd.readouterr()
        assert (printed.out, printed.err) == ("", "")

    def test_without_a_corpus(self, folder, capsys):
        assert main(["train", "--output", "demo.kv", "--size", "8", "--epochs", "1"]) == 0
        printed = capsys.readouterr()
        assert "No corpus given: training on 300 news articles that gensim ships." in printed.err
        assert "Nearest words:" in printed.out
        assert "cricket" in load_vectors("demo.kv")

    def test_diverged(self, folder, capsys, monkeypatch, vectors):
        vectors.vectors[2, 1] = np.nan
        monkeypatch.setattr(train_run, "to_keyed_vectors", lambda *_, **__: vectors)
        assert main(["train", "corpus.txt", "--output", "out.kv", *SMALL]) == 1
        assert "Training diverged; `--alpha` must be smaller." in capsys.readouterr().err
        assert os.listdir(folder) == ["corpus.txt"]


class TestUsageErrors:
    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["fly"],
            ["train"],
            ["train", "--output", "o.kv", "--size", "0"],
            ["train", "--output", "o.kv", "--window", "-1"],
            ["train", "--output", "o.kv", "--epochs", "many"],
            ["train", "--output", "o.kv", "--alpha", "0"],
            ["train", "--output", "o.kv", "--alpha", "nan"],
            ["train", "--output", "o.kv", "--sample", "-1"],
            ["train", "--output", "o.kv", "--batch-size", "0"],
            ["train", "--output", "o.kv", "--sg", "--cbow"],
            ["train", "--output", "o.kv", "--no-such-option"],
            ["similar", "o.kv", "cat", "--topn", "0"],
        ],
    )
    def test_exit_code_2(self, folder, capsys, arguments):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        printed = capsys.readouterr().err
        assert printed.startswith("kerasw2v")
        assert printed.endswith(" --help`.\n")
        assert printed.count("\n") == 1
        assert os.listdir(folder) == ["corpus.txt"]


class TestBadData:
    """One sentence on stderr, exit code 1, nothing written."""

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["none.txt", "--output", "o.kv"], "`corpus` must name a file that exists"),
            (["none", "--output", "o.kv"], "`corpus` must name a file that exists"),
            (["corpus.txt", "--output", "o.pdf"], "`path` must end in .kv"),
            (["corpus.txt", "--output", "no/o.kv"], "`path` must lie in a folder that exists"),
            (["corpus.txt", "--output", "o.kv", "--save-vocab", "no/v"], "folder that exists"),
            (["corpus.txt", "--output", "o.kv", "--save-model", "m.h5"], "must end in .keras"),
            (["corpus.txt", "--output", "o.kv", "--save-model", "no/m.keras"], "that exists"),
            (["corpus.txt", "--output", "o.kv", "--projector", "no/p"], "folder that exists"),
            (["corpus.txt", "--output", "o.kv", "--checkpoint", "no/c"], "folder that exists"),
            (["corpus.txt", "--output", "o.kv", "--projector", "corpus.txt"], "must not be a file"),
            (["corpus.txt", "--output", "o.kv", "--read-vocab", "none"], "a file that exists"),
            (["corpus.txt", "--output", "corpus.txt"], "must not be written"),
            (["corpus.txt", "--output", "o.kv", "--save-vocab", "o.kv"], "must not be written"),
            (["corpus.txt", "--output", "o.kv", "--min-count", "9999"], "`min_count` must not"),
            (["corpus.txt", "--output", "o.kv", "--batch-size", "3"], "`batch_size` must"),
            (["empty.txt", "--output", "o.kv"], "`corpus` must not be empty"),
            (["latin.txt", "--output", "o.kv"], "`corpus` must be UTF-8 text"),
            (["corpus.txt", "--output", "o.kv", "--read-vocab", "latin.txt"], "vocabulary"),
        ],
    )
    def test_train(self, folder, capsys, arguments, sentence):
        Path("empty.txt").touch()
        Path("latin.txt").write_bytes(b"k\xe4se\n")
        before = Path("corpus.txt").read_bytes()
        assert main(["train", *arguments]) == 1
        printed = capsys.readouterr()
        last = printed.err.splitlines()[-1]
        assert last.startswith("kerasw2v: ")
        assert sentence in last
        assert "Traceback" not in printed.err
        assert printed.out == ""
        assert sorted(os.listdir(folder)) == ["corpus.txt", "empty.txt", "latin.txt"]
        assert Path("corpus.txt").read_bytes() == before

    def test_what_is_cheap_is_checked_first(self, folder, capsys, monkeypatch):
        monkeypatch.setattr(
            Vocabulary, "from_corpus", lambda *_: pytest.fail("the corpus was read")
        )
        assert main(["train", "corpus.txt", "--output", "no/o.kv"]) == 1

    @pytest.mark.parametrize("command", [["evaluate", "v.kv"], ["similar", "v.kv", "cat"]])
    def test_vectors(self, folder, capsys, command):
        assert main(command) == 1
        assert "`path` must name a file that exists" in capsys.readouterr().err
        Path("v.kv").write_text("junk")
        assert main(command) == 1
        printed = capsys.readouterr().err
        assert printed.startswith(
            "kerasw2v: `path` must be an undamaged file of gensim KeyedVectors"
        )
        assert printed.count("\n") == 1


class TestCheckpoint:
    ARGUMENTS = ("train", "corpus.txt", "--output", "o.kv", "--checkpoint", "state", "--seed", "1")

    def interrupt_after(self, monkeypatch, epoch):
        """Presses Ctrl-C when so many epochs have been saved and another one ends."""
        plain = Progress.on_epoch_end

        def on_epoch_end(self, current, logs=None):
            plain(self, current, logs)
            if current == epoch:
                raise KeyboardInterrupt

        monkeypatch.setattr(Progress, "on_epoch_end", on_epoch_end)

    def test_resumes_after_ctrl_c(self, folder, capsys, monkeypatch):
        with monkeypatch.context() as patch:
            self.interrupt_after(patch, epoch=2)
            assert main([*self.ARGUMENTS, *SMALL, "--epochs", "4"]) == 130
        assert "state holds the state after the last whole epoch" in capsys.readouterr().err
        assert not Path("o.kv").exists()
        assert main([*self.ARGUMENTS, *SMALL, "--epochs", "4"]) == 0
        printed = capsys.readouterr().err
        assert "Going on after epoch 2 of 4, from state." in printed
        assert re.findall(r"epoch (\d)/4", printed) == ["3", "4"]
        assert os.listdir("state") == []
        assert Path("o.kv").exists()

    def test_a_resumed_run_ends_as_an_undisturbed_one(self, folder, capsys, monkeypatch):
        options = [*SMALL, "--epochs", "4", "--seed", "7"]
        assert main(["train", "corpus.txt", "--output", "whole.kv", *options]) == 0
        with monkeypatch.context() as patch:
            self.interrupt_after(patch, epoch=2)
            assert main([*self.ARGUMENTS, *options]) == 130
        assert main([*self.ARGUMENTS, *options]) == 0
        whole, resumed = KeyedVectors.load("whole.kv"), KeyedVectors.load("o.kv")
        np.testing.assert_array_equal(resumed.vectors, whole.vectors)

    def test_ctrl_c_in_the_first_epoch(self, folder, capsys, monkeypatch):
        with monkeypatch.context() as patch:
            self.interrupt_after(patch, epoch=0)
            assert main([*self.ARGUMENTS, *SMALL]) == 130
        assert "Stopped in the first epoch; nothing was saved yet." in capsys.readouterr().err
        # Nothing was saved, so other options are welcome.
        assert main([*self.ARGUMENTS, *SMALL, "--size", "4"]) == 0

    def test_ctrl_c_without_a_checkpoint(self, folder, capsys, monkeypatch):
        self.interrupt_after(monkeypatch, epoch=1)
        assert main(["train", "corpus.txt", "--output", "o.kv", *SMALL]) == 130
        printed = capsys.readouterr().err
        assert "\nkerasw2v: Stopped; no vectors were saved. With `--checkpoint FOLDER`" in printed
        assert os.listdir(folder) == ["corpus.txt"]

    def test_a_real_ctrl_c(self, folder):
        arguments = [*self.ARGUMENTS, *SMALL, "--epochs", "100000"]
        process = subprocess.Popen(
            [sys.executable, "-m", "kerasw2v", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
            # Tests that run as a shell's background job would hand on that Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        with process:
            for line in process.stderr:
                if line.startswith("epoch 3/"):
                    break
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
        assert process.returncode == 130, rest
        assert "Traceback" not in rest
        assert "kerasw2v: Stopped; state holds the state after the last whole epoch" in rest
        assert sorted(os.listdir("state")) == ["kerasw2v.json", "kerasw2v.weights.h5"]
        assert sorted(os.listdir(folder)) == ["corpus.txt", "state"]

    def test_other_options_are_refused(self, folder, capsys, monkeypatch):
        with monkeypatch.context() as patch:
            self.interrupt_after(patch, epoch=1)
            assert main([*self.ARGUMENTS, *SMALL]) == 130
        capsys.readouterr()
        assert main([*self.ARGUMENTS, *SMALL, "--size", "9", "--cbow"]) == 1
        assert "a run with other options (architecture, size, alpha)" in capsys.readouterr().err
        with open("corpus.txt", "a") as file:
            file.write("more\n")
        assert main([*self.ARGUMENTS, *SMALL]) == 1
        assert "a run with other options (corpus)" in capsys.readouterr().err
        Path("state/kerasw2v.json").write_text("{")
        assert main([*self.ARGUMENTS, *SMALL]) == 1
        assert "is missing or damaged" in capsys.readouterr().err

    def test_a_damaged_checkpoint(self, folder, capsys, monkeypatch):
        with monkeypatch.context() as patch:
            self.interrupt_after(patch, epoch=1)
            assert main([*self.ARGUMENTS, *SMALL]) == 130
        state = Path("state/kerasw2v.weights.h5")
        state.write_bytes(state.read_bytes()[:2000])
        assert main([*self.ARGUMENTS, *SMALL]) == 1
        assert "`path` must be an undamaged checkpoint" in capsys.readouterr().err

    def test_survives_a_failure_to_save_the_vectors(self, folder, capsys, monkeypatch):
        def fail(*_):
            raise OSError(28, "No space left on device", "o.kv")

        with monkeypatch.context() as patch:
            patch.setattr(train_run, "save_vectors", fail)
            assert main([*self.ARGUMENTS, *SMALL]) == 1
        assert capsys.readouterr().err.endswith("kerasw2v: 'o.kv': No space left on device.\n")
        assert main([*self.ARGUMENTS, *SMALL]) == 0
        assert "Going on after epoch 2 of 2" in capsys.readouterr().err

    def test_nothing_is_left_of_a_run_that_never_began(self, folder):
        assert main([*self.ARGUMENTS, "--min-count", "9999"]) == 1
        assert os.listdir(folder) == ["corpus.txt"]

    def test_other_files_in_the_folder_stay(self, folder):
        Path("state").mkdir()
        Path("state/diary.txt").write_text("dear diary")
        assert main([*self.ARGUMENTS, *SMALL]) == 0
        assert os.listdir("state") == ["diary.txt"]

    def test_name_of_the_file(self):
        with pytest.raises(ValueError, match=r"`path` must end in \.weights\.h5"):
            Checkpoint("state.h5")


class TestSimilar:
    def test_nearest_words(self, saved, capsys):
        assert main(["similar", "vectors.kv", "cat", "東京", "--topn", "2"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [lines[0], lines[3]] == ["cat", "東京"]
        expected = [
            f"  {cosine:6.3f}  {word}" for word, cosine in saved.most_similar("cat", topn=2)
        ]
        assert lines[1:3] == expected

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
    def test_a_console_that_cannot_show_all_words(self, saved, monkeypatch, encoding):
        printed = io.BytesIO()
        stdout = io.TextIOWrapper(printed, encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["similar", "vectors.kv", "cat", "--topn", "5"]) == 0
        assert stdout.errors == "strict"
        shown = printed.getvalue().decode(encoding)
        for word in ("käse", "東京"):
            assert word.encode(encoding, "backslashreplace").decode(encoding) in shown
        assert len(shown.splitlines()) == 6

    def test_words_that_are_no_strings(self, folder, capsys):
        numbers = KeyedVectors(2)
        numbers.add_vectors([7, "seven"], np.ones((2, 2)))
        save_vectors(numbers, "numbers.kv")
        assert main(["similar", "numbers.kv", "seven"]) == 0
        assert capsys.readouterr().out.endswith("  7\n")
        assert main(["similar", "numbers.kv", "sevn"]) == 1
        assert "Did you mean 'seven'?" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("query", "positive", "negative"),
        [
            ("cat - the + käse", ["cat", "käse"], ["the"]),
            ("- the", [], ["the"]),
            ("x+y", ["x+y"], []),
            ("cat the", ["cat", "the"], []),
        ],
    )
    def test_sums_and_differences(self, saved, capsys, query, positive, negative):
        assert main(["similar", "vectors.kv", query, "--topn", "1"]) == 0
        word = saved.most_similar(positive, negative, topn=1)[0][0]
        assert capsys.readouterr().out.splitlines()[1].endswith(f"  {word}")

    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ("cta", "'cta' is not among the 6 words of 'vectors.kv'."),
            ("don", 'Did you mean "don\'t"?'),
            ("CAT", "Did you mean 'cat'?"),
            ("cat - dog", "'dog' is not among"),
            ("+", "`WORD` must hold a word. Received: '+'."),
            ("cat - ", "`WORD` must have a word after '-'. Received: 'cat - '."),
        ],
    )
    def test_unknown_word(self, saved, capsys, query, sentence):
        assert main(["similar", "vectors.kv", "cat", query]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("kerasw2v: ")
        assert sentence in printed.err
        assert printed.err.count("\n") == 1

    def test_a_file_without_a_suffix_of_vectors_is_a_word(self, folder, capsys):
        Path("paris").touch()
        assert main(["similar", "paris", "london", "--topn", "1"]) == 0
        assert capsys.readouterr().out.splitlines()[::2] == ["paris", "london"]
        assert main(["similar", "corpus.txt"]) == 1
        assert "`WORD` must be given." in capsys.readouterr().err

    def test_a_file_of_another_kind(self, folder, capsys):
        Path("vectors.model").touch()
        assert main(["similar", "vectors.model", "london"]) == 1
        printed = capsys.readouterr().err
        assert printed.startswith("kerasw2v: 'vectors.model' is not among the ")
        assert printed.endswith(" Names of files with vectors end in .kv, .vec, .txt or .bin.\n")

    def test_a_reader_that_leaves(self, saved):
        process = subprocess.Popen(
            [sys.executable, "-m", "kerasw2v", "similar", "vectors.kv", "cat"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(60) == 1

    def test_as_a_process(self, saved):
        begin = time.perf_counter()
        printed = run("similar", "vectors.kv", "cat")
        assert (printed.returncode, printed.stderr) == (0, "")
        assert printed.stdout.startswith("cat\n")
        assert time.perf_counter() - begin < 30


class TestEvaluate:
    def test_table(self, saved, capsys):
        Path("questions").write_text(": one\nthe cat käse 東京\n: two\na b c d\n")
        Path("pairs").write_text("the\tcat\t3\ncat\tkäse\t2\nthe\t東京\t1\n")
        arguments = ["evaluate", "vectors.kv", "--analogies", "questions", "--pairs", "pairs"]
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        assert re.search(r"^one +\d", printed, re.M)
        assert re.search(r"^pairs +-?[.1]", printed, re.M)
        assert printed.endswith("\n\nNot tested, as too few words are known: two.\n")

    def test_json_of_own_files(self, saved, capsys):
        Path("questions").write_text(": one\nthe cat käse 東京\n")
        Path("pairs").write_text("the\tcat\t3\ncat\tkäse\t2\nthe\t東京\t1\n")
        options = ["--analogies", "questions", "--pairs", "pairs", "--pairs", "pairs"]
        assert main(["evaluate", "vectors.kv", "--json", "--restrict-vocab", "4", *options]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["analogies"]["total"]["total"] == 1
        assert [pairs["name"] for pairs in printed["word_pairs"]] == ["pairs"]


class TestProgress:
    def fit(self, stream, epochs=2):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(loss="mse")
        progress = Progress(words_per_epoch=1000, stream=stream)
        data = np.ones((8, 1))
        model.fit(data, data, batch_size=2, epochs=epochs, verbose=0, callbacks=[progress])

    def test_one_line_an_epoch_in_a_file(self):
        stream = io.StringIO()
        self.fit(stream)
        lines = stream.getvalue().splitlines()
        assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]

    def test_one_line_on_a_terminal(self, monkeypatch):
        stream = io.StringIO()
        stream.isatty = lambda: True
        monkeypatch.setattr("kerasw2v.callbacks._SECONDS_BETWEEN_DRAWINGS", 0)
        self.fit(stream)
        assert stream.getvalue().count("\n") == 1
        drawn = stream.getvalue().split("\r")
        assert "epoch 1/2 [#####---------------]  25%" in drawn[1]
        assert re.fullmatch(
            r"epoch 2/2 \[#{20}\] 100%  [\d,]+ words/s  loss \d\.\d{4}  0:00:00 left\x1b\[K\n",
            drawn[-1],
        )

    def test_counts_corpus_words(self, monkeypatch):
        clock = iter(range(100))
        monkeypatch.setattr("kerasw2v.callbacks.time.perf_counter", lambda: next(clock))
        stream = io.StringIO()
        progress = Progress(words_per_epoch=1000, stream=stream)
        progress.set_params({"epochs": 1, "steps": 4})
        progress.on_train_begin()  # second 0
        progress.on_epoch_begin(0)
        for batch in range(4):  # seconds 1 to 4
            progress.on_train_batch_end(batch, {"loss": 2.0})
        progress.on_epoch_end(0, {"loss": 1.5})  # second 5
        # 750 words in the four seconds after the first step.
        assert stream.getvalue() == "epoch 1/1: 188 words/s, loss 1.5000\n"
