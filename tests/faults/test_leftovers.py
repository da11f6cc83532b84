"""What a killed run leaves behind: the next one removes it, unless its owner lives."""

import os
import subprocess
import sys

import pytest

from kerasw2v.utils import locks
from kerasw2v.utils.files import replace_on_success

WRITER = """
import sys
from kerasw2v.utils.files import replace_on_success
with replace_on_success(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "a.txt")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"writing\n"
    yield process
    process.kill()
    process.communicate()


def write(path):
    with replace_on_success(path) as file:
        file.write(b"whole")


def hidden(folder):
    return [name for name in os.listdir(folder) if name.startswith(".kerasw2v-")]


def test_the_folder_of_a_killed_process_is_removed(tmp_path, writer):
    writer.kill()
    writer.wait()
    assert len(hidden(tmp_path)) == 1
    write(tmp_path / "b.txt")
    assert os.listdir(tmp_path) == ["b.txt"]


def test_the_folder_of_a_living_process_stays(tmp_path, writer):
    write(tmp_path / "b.txt")
    assert len(hidden(tmp_path)) == 1
    writer.communicate(b"")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"half"


def test_a_folder_of_this_process_stays_too(tmp_path):
    with replace_on_success(tmp_path / "a.txt") as file:
        file.write(b"first")
        write(tmp_path / "b.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"first"


def test_other_things_of_such_a_name_stay(tmp_path):
    (tmp_path / ".kerasw2v-notes").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".kerasw2v-link").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "b.txt")
    assert len(hidden(tmp_path)) == 2
    assert (tmp_path / "elsewhere").is_dir()


def test_a_new_folder_that_another_run_takes_for_a_leftover(tmp_path, monkeypatch):
    made = []

    def removed_at_once(descriptor, lock=locks.try_lock):
        made.append(hidden(tmp_path))
        if len(made) == 1:
            os.rmdir(tmp_path / made[0][0])
        return lock(descriptor)

    monkeypatch.setattr("kerasw2v.utils.files.try_lock", removed_at_once)
    write(tmp_path / "a.txt")
    assert len(made) == 2
    assert os.listdir(tmp_path) == ["a.txt"]


def test_where_there_are_no_locks_nothing_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)  # as on Windows
    (tmp_path / ".kerasw2v-0123").mkdir()
    write(tmp_path / "a.txt")
    assert sorted(os.listdir(tmp_path)) == [".kerasw2v-0123", "a.txt"]
