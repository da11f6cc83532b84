"""A disk that is full, memory or descriptors that are short, files that belong to others."""

import os
import resource
import subprocess
from functools import partial

import kills
from cases import command, in_fork, vectors_of, write_corpus
from test_full_disk import WRITERS, limited_files, vectors_of_words

NOBODY = 65534


def _old_or_none(folder, expected):
    found = vectors_of(folder)
    assert found is None or found == expected[0], "other vectors are there"


# Disk


def disk(plan):
    vectors = vectors_of_words()
    rng = plan.random()

    def full(name, limit):
        folder = plan.new_folder()
        (folder / name).write_bytes(b"old")

        def save():
            try:
                with limited_files(limit):
                    WRITERS[name](vectors, folder / name)
            except OSError as error:
                return 3 if str(error).startswith("The disk is full: ") else 4
            return 0

        ended = in_fork(save, folder)
        left = (folder / name).read_bytes()
        assert ended.code == 3 or (ended.code == 0 and len(left) <= limit), ended.output
        assert ended.code == 0 or left == b"old", "the file before it is gone"
        assert os.listdir(folder) == [name], os.listdir(folder)

    for name in WRITERS:
        for limit in [0, 1, *(rng.randrange(20_000) for _ in range(plan.number(2, 20)))]:
            yield f"{name}: full after {limit} bytes", partial(full, name, limit)
    yield from _small_disks(plan)


def _small_disks(plan):
    """Real ones, where this process may mount them."""
    expected = kills.undisturbed(plan)

    def mount(folder, *options):
        run = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(run, capture_output=True).returncode == 0

    probe = plan.new_folder()
    if not mount(probe, "size=100k"):
        return
    subprocess.run(["umount", str(probe)], check=True)

    def small(size):
        folder = plan.new_folder()
        assert mount(folder, f"size={size}k", "mode=755")
        try:
            write_corpus(folder)
            ended = in_fork(partial(command, *kills.RUN), folder)
            if ended.code:
                assert "disk is full" in ended.sentence() or "No space" in ended.sentence()
            _old_or_none(folder, expected)
            assert mount(folder, "remount", "size=50m", "mode=755")
            kills.check_after_kill(folder, expected)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)

    for size in (24, 32, 48, 64, 96, 128)[:: plan.number(2, 1)]:
        yield f"a disk of {size} KiB", partial(small, size)


# Memory and descriptors


def memory(plan):
    yield from _limited(plan, "MiB more", resource.RLIMIT_AS, _address_space, plan.number(3, 12))


def descriptors(plan):
    yield from _limited(plan, "files more", resource.RLIMIT_NOFILE, _open_files, plan.number(3, 24))


def _address_space(step):
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    return pages * resource.getpagesize() + step * 100 * 2**20


def _open_files(step):
    return len(os.listdir("/proc/self/fd")) + 2 * step


def _limited(plan, unit, limit, value_of, number):
    """A run within a limit ends with an error or is equal; without the limit it goes on.

    TensorFlow ends the process by itself where its C++ code gets no memory or thread: then there
    is no sentence of ours.
    """
    expected = kills.undisturbed(plan)

    def limited(step):
        folder = plan.new_folder()
        write_corpus(folder)

        def run():
            value = value_of(step)
            resource.setrlimit(limit, (value, value))
            return command(*kills.RUN)

        ended = in_fork(run, folder)
        assert ended.code != 1 or ended.sentence()
        assert ended.code or vectors_of(folder), "it says that all is well, without vectors"
        _old_or_none(folder, expected)
        kills.check_after_kill(folder, expected)

    for step in range(number):
        amount = step * (100 if limit == resource.RLIMIT_AS else 2)
        yield f"{amount} {unit}", partial(limited, step)


# Permissions


def permissions(plan):
    """As a user who may not do everything: as nobody, if this process is root."""

    def refused(arguments, protected, mode):
        folder = plan.new_folder()
        write_corpus(folder)
        for name in ("out", "state", "map"):
            (folder / name).mkdir()
        (folder / "words.txt").write_text("cat 2\ndog 1\n")
        (folder / "old.kv").write_bytes(b"old")
        (folder / "out" / "old.kv").write_bytes(b"old")
        for place, _, names in os.walk(folder):
            for path in (place, *(os.path.join(place, name) for name in names)):
                os.chmod(path, 0o755)
                if not os.getuid():
                    os.chown(path, NOBODY, NOBODY)
        os.chmod(folder / protected, mode)
        before = _files(folder)

        def run():
            if not os.getuid():
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            return command(*arguments.split())

        ended = in_fork(run, folder)
        os.chmod(folder / protected, 0o755)
        ended.sentence()
        after = _files(folder)
        assert after == before, f"changed: {sorted(set(after) ^ set(before))}"

    train = "train corpus.txt --min-count 1 --size 8 --epochs 1 --quiet"
    for name, arguments, protected, mode in [
        ("corpus", f"{train} --output v.kv", "corpus.txt", 0),
        ("folder of the output", f"{train} --output out/v.kv", "out", 0o555),
        ("folder of the output, hidden", f"{train} --output out/v.kv", "out", 0),
        ("old output", f"{train} --output old.kv", "old.kv", 0o444),
        ("checkpoint", f"{train} --output v.kv --checkpoint state", "state", 0o555),
        ("parent of the checkpoint", f"{train} --output v.kv --checkpoint out/s", "out", 0o555),
        ("projector", f"{train} --output v.kv --projector map", "map", 0o555),
        ("report", f"{train} --output v.kv --report out/r.html", "out", 0o555),
        ("plot", f"{train} --output v.kv --plot out/p.png", "out", 0o555),
        ("model", f"{train} --output v.kv --save-model out/m.keras", "out", 0o555),
        ("vocabulary", f"{train} --output v.kv --save-vocab out/w.txt", "out", 0o555),
        ("vocabulary to read", f"{train} --output v.kv --read-vocab words.txt", "words.txt", 0),
        ("vectors", "similar old.kv cat", "old.kv", 0),
        ("vectors to evaluate", "evaluate old.kv", "old.kv", 0),
        ("folder of vectors", "similar out/old.kv cat", "out", 0),
    ]:
        yield name, partial(refused, arguments, protected, mode)


def _files(folder):
    return {
        os.path.join(place, name): os.path.getsize(os.path.join(place, name))
        for place, _, names in os.walk(folder)
        for name in names
    }
