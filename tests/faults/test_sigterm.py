"""SIGTERM is Ctrl-C: the state of the last whole epoch stays, and the exit code is 143."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kerasw2v import cli
from kerasw2v.cli import main
from kerasw2v.utils.files import save_keras_weights


def test_a_run_that_is_terminated_goes_on_where_it_was(folder, capsys):
    options = "train corpus.txt --output v.kv --min-count 1 --size 8 --checkpoint state --seed 1"
    process = subprocess.Popen(
        [sys.executable, "-m", "kerasw2v", *options.split(), "--epochs", "100000"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not os.path.exists("state/kerasw2v.weights.h5") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    printed = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert "kerasw2v: Stopped; state holds the state after the last whole epoch" in printed
    assert sorted(os.listdir("state")) == ["kerasw2v.json", "kerasw2v.weights.h5"]
    assert not os.path.exists("v.kv")


@pytest.mark.parametrize("code", [130, 143, 0, 1])
def test_a_stopped_program_leaves_no_interpreter_to_threads(monkeypatch, code):
    ended = []
    monkeypatch.setattr(cli, "main", lambda: code)
    monkeypatch.setattr(os, "_exit", ended.append)
    with pytest.raises(SystemExit) as stop:  # here also after what ends the process
        cli.program()
    assert stop.value.code == code
    assert ended == [code] * (code > 128)


def test_afterwards_the_signal_does_what_it_did(folder, capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert main(["similar", "none.kv", "cat"]) == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_while_weights_are_written_waits(tmp_path):
    # HDF5 calls back into Python, and would meet the exception there.
    written = []

    class Model:
        def save_weights(self, file):
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
                written.append(file.write(b"half"))

    path = tmp_path / "state.weights.h5"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        save_keras_weights(Model(), path)
    assert written == [4, 4]
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
