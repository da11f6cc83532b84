"""Processes that are killed: what they leave is whole, and the same command goes on from there."""

import os
import subprocess
import sys
import time
from functools import partial

from cases import (
    TRAIN,
    command,
    in_fork,
    leftovers,
    vectors_of,
    write_corpus,
)
from test_full_disk import WRITERS, vectors_of_words

RUN = f"{TRAIN} --epochs 3 --checkpoint state --save-vocab words.txt --projector map".split()
_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def at_write_event(number, function, notes=None):
    """Runs a function that is killed just before it changes the disk for the nth time, from 1.

    Files that are opened to write count, as do moves, removals and new folders, in the working
    folder. Writes how many there were to `notes`, if the function ends.
    """
    here = os.getcwd() + os.sep
    seen = 0

    def is_change(event, arguments):
        if event == "open":
            mode, flags = arguments[1], arguments[2] or 0
            if not (set(mode or "") & set("wax+") or flags & _WRITES):
                return False
        elif event not in _EVENTS:
            return False
        path = arguments[0]
        if isinstance(path, int) or path is None:
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(here)

    def count(event, arguments):
        nonlocal seen
        if is_change(event, arguments):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), 9)

    sys.addaudithook(count)
    result = function()
    if notes:
        notes.write_text(str(seen))
    return result


def undisturbed(plan, notes=None):
    """What a run that nobody disturbs gives."""
    folder = plan.new_folder()
    write_corpus(folder)
    ended = in_fork(lambda: at_write_event(0, partial(command, *RUN), notes), folder)
    assert ended.code == 0, ended.output
    return contents(folder)


def contents(folder):
    return vectors_of(folder), (folder / "words.txt").read_text(), sorted(os.listdir(folder))


def check_after_kill(folder, expected):
    """What is there is whole; the same command finishes the work and clears up."""
    found = vectors_of(folder)
    assert found is None or found == expected[0], "other vectors are there"
    ended = in_fork(partial(command, *RUN), folder)
    assert ended.code == 0, f"it did not go on: {ended.output[-300:]}"
    vectors, words, names = contents(folder)
    assert vectors == expected[0], "the vectors differ from those of a run without a kill"
    assert (words, names) == expected[1:], f"other files: {names} instead of {expected[2]}"
    for place in (folder, folder / "state", folder / "map"):
        assert not leftovers(place), leftovers(place)


def runs_at_write_events(plan):
    notes = plan.folder / "events"
    expected = undisturbed(plan, notes)
    events = int(notes.read_text())

    def killed(number):
        folder = plan.new_folder()
        write_corpus(folder)
        ended = in_fork(lambda: at_write_event(number, partial(command, *RUN)), folder)
        assert ended.code == -9, f"it ended by itself, with code {ended.code}: {ended.output}"
        check_after_kill(folder, expected)

    step = max(1, events // plan.number(8, events))
    for number in range(1, events + 1, step):
        yield f"before event {number} of {events}", partial(killed, number)


def runs_at_random_times(plan):
    """From the start of the process on, imports included."""
    expected = undisturbed(plan)
    rng = plan.random()

    def start(folder):
        write_corpus(folder)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(
            [sys.executable, "-m", "kerasw2v", *RUN],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    begun = time.monotonic()
    assert start(plan.new_folder()).wait(300) == 0
    duration = time.monotonic() - begun

    def killed(seconds):
        folder = plan.new_folder()
        process = start(folder)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        check_after_kill(folder, expected)

    for _ in range(plan.number(4, 200)):
        seconds = rng.uniform(0, 1.1 * duration)
        yield f"after {seconds:.2f} s of {duration:.1f}", partial(killed, seconds)


def saving(plan):
    """Each function that writes a file, killed before each of its write events."""
    vectors = vectors_of_words()

    def save(name, folder, number=0, notes=None):
        def write():
            WRITERS[name](vectors, folder / name)

        return in_fork(lambda: at_write_event(number, write, notes), folder)

    def killed(name, number, size):
        folder = plan.new_folder()
        (folder / name).write_bytes(b"old")
        assert save(name, folder, number).code == -9
        content = (folder / name).read_bytes()
        assert content == b"old" or len(content) == size, f"{len(content)} of {size} bytes"
        ended = save(name, folder)
        assert ended.code == 0, ended.output
        assert os.listdir(folder) == [name], os.listdir(folder)

    for name in WRITERS:
        folder, notes = plan.new_folder(), plan.folder / "events"
        ended = save(name, folder, notes=notes)
        assert ended.code == 0, ended.output
        size = (folder / name).stat().st_size
        for number in range(1, int(notes.read_text()) + 1):
            yield f"{name}: before event {number}", partial(killed, name, number, size)
