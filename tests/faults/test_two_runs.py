"""Two runs that write the same: the second one says who holds it, and does nothing."""

import os
import re
import subprocess
import sys

import pytest

from kerasw2v.cli import main
from kerasw2v.utils import locks
from kerasw2v.utils.locks import exclusive

HOLDER = """
import sys
from kerasw2v.utils.locks import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Returns a function that lets another process hold a path, and returns the process."""
    processes = []

    def start(path):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["file", "new file", "folder"])
def test_the_second_one_is_refused_until_the_first_one_is_gone(tmp_path, hold, kind):
    path = tmp_path / "path"
    if kind == "file":
        path.write_text("old")
    elif kind == "folder":
        path.mkdir()
    holder = hold(path)
    with pytest.raises(BlockingIOError) as caught, exclusive(path):
        pass
    assert re.fullmatch(
        rf"`path` must not be in use: process {holder.pid} on \S+ holds it since [\d: -]+\. "
        rf"Received: path='{path}'\.",
        str(caught.value),
    )
    holder.kill()
    holder.wait()
    with exclusive(path):
        pass
    left = [name for _, _, names in os.walk(tmp_path) for name in names]
    assert left == (["path"] if kind == "file" else [])


def test_a_link_is_the_file_that_it_names(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    held = exclusive(tmp_path / "file")
    with held, pytest.raises(BlockingIOError), exclusive(tmp_path / "link"):
        pass


def test_it_is_free_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), exclusive(tmp_path / "file"):
            raise KeyError


def test_a_lock_file_that_goes_while_it_is_opened(tmp_path, monkeypatch):
    calls = []

    def removed_at_once(descriptor, lock=locks.try_lock):
        calls.append(descriptor)
        if len(calls) == 1:  # as by the run before, which has just ended
            os.remove(tmp_path / ".file.lock")
        return lock(descriptor)

    monkeypatch.setattr(locks, "try_lock", removed_at_once)
    with exclusive(tmp_path / "file"):
        assert (tmp_path / ".file.lock").exists()
    assert len(calls) == 2


def test_devices_are_shared_and_long_names_are_locked(tmp_path):
    with exclusive("/dev/null"), exclusive("/dev/null"):
        pass
    held = exclusive(tmp_path / ("n" * 255))
    with held, pytest.raises(BlockingIOError), exclusive(tmp_path / ("n" * 255)):
        pass


def test_where_there_are_no_locks_all_may_write(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)  # as on Windows
    with exclusive(tmp_path / "file"), exclusive(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("--output", "v.kv"),
        ("--checkpoint", "state"),
        ("--report", "run.html"),
        ("--plot", "map.png"),
        ("--save-vocab", "words.txt"),
        ("--save-model", "model.keras"),
        ("--projector", "projector"),
    ],
)
def test_the_command_to_train(folder, hold, capsys, option, path):
    if option in ("--checkpoint", "--projector"):
        os.mkdir(path)
    holder = hold(path)
    output = [] if option == "--output" else ["--output", "v.kv"]
    assert main(["train", "corpus.txt", *output, option, path]) == 1
    printed = capsys.readouterr().err
    assert f"process {holder.pid} on " in printed
    assert printed.count("\n") == 1
    assert not os.path.exists("v.kv")


def test_the_command_to_train_a_recipe(folder, hold, capsys):
    holder = hold("v.kv")
    recipe = ["zoo", "train", "skip-gram-negative-sampling", "--smoke", "--output", "v.kv"]
    assert main(recipe) == 1
    assert f"process {holder.pid} on " in capsys.readouterr().err


def test_one_folder_for_checkpoint_and_projector(folder):
    options = "--epochs 1 --size 4 --min-count 1 --quiet --checkpoint both --projector both"
    assert main(["train", "corpus.txt", "--output", "v.kv", *options.split()]) == 0
    assert ".kerasw2v.lock" not in os.listdir("both")
    assert not [name for name in os.listdir() if name.startswith(".")]
