"""SIGTERM is Ctrl-C: the state of the last whole epoch stays, and the exit code is 143."""

import os
import signal
import subprocess
import sys
import time

from kerasw2v.cli import main


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


def test_afterwards_the_signal_does_what_it_did(folder, capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert main(["similar", "none.kv", "cat"]) == 1
    assert signal.getsignal(signal.SIGTERM) is before
