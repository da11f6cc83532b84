"""How much memory there is: on this machine, and in made-up control groups."""

import os

import pytest

from kerasw2v.utils import memory

GIB = 2**30


def test_what_this_machine_tells():
    available = memory.available_memory()
    assert available is None or 2**24 < available < 2**50


def test_what_is_small_is_not_asked_about(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: pytest.fail("asked"))
    memory.check_memory("`x`", 2**20, "it")


@pytest.mark.parametrize("available", [None, 8 * GIB])
def test_what_fits_passes(monkeypatch, available):
    monkeypatch.setattr(memory, "available_memory", lambda: available)
    memory.check_memory("`x`", 8 * GIB, "it")


def test_one_sentence(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 3 * GIB)
    sentence = "^`x` must be smaller: it needs 4,000 GiB of memory, and 3.0 GiB are available.$"
    with pytest.raises(MemoryError, match=sentence):
        memory.check_memory("`x`", 4000 * GIB, "it")


class TestControlGroups:
    """The limits of a group and of those above it."""

    @pytest.fixture
    def groups(self, tmp_path, monkeypatch):
        def path(name):
            return tmp_path / name.lstrip("/")

        for name in ("proc/self", "sys/fs/cgroup/memory/jobs/mine", "sys/fs/cgroup/jobs/mine"):
            (tmp_path / name).mkdir(parents=True)
        monkeypatch.setattr(memory, "Path", path)
        (tmp_path / "proc/meminfo").write_text("MemAvailable: 9437184 kB\nSwapFree: 1048576 kB\n")
        return tmp_path

    def write(self, folder, **files):
        for name, content in files.items():
            (folder / name.replace("_", ".", 1)).write_text(content)

    def test_no_limit(self, groups):
        (groups / "proc/self/cgroup").write_text("0::/jobs/mine\n")
        self.write(groups / "sys/fs/cgroup/jobs/mine", memory_max="max\n")
        assert memory.available_memory() == 10 * GIB

    @pytest.mark.parametrize("group", ["jobs/mine", "jobs", ""])
    def test_version_2(self, groups, group):
        (groups / "proc/self/cgroup").write_text("0::/jobs/mine\n")
        folder = groups / "sys/fs/cgroup" / group
        files = {"memory_max": f"{4 * GIB}\n", "memory_current": f"{3 * GIB}\n"}
        self.write(folder, **files, memory_stat=f"anon 5\ninactive_file {GIB}\nfile 7\n")
        assert memory.available_memory() == 2 * GIB

    def test_version_1(self, groups):
        (groups / "proc/self/cgroup").write_text("9:name=systemd:/\n4:memory:/jobs/mine\n0::/\n")
        folder = groups / "sys/fs/cgroup/memory/jobs/mine"
        (folder / "memory.limit_in_bytes").write_text(f"{5 * GIB}\n")
        (folder / "memory.usage_in_bytes").write_text(f"{GIB}\n")
        (folder / "memory.stat").write_text("cache 1\ntotal_inactive_file 0\n")
        assert memory.available_memory() == 4 * GIB
        (folder / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
        assert memory.available_memory() == 10 * GIB

    def test_where_there_is_no_proc(self, groups, monkeypatch):
        (groups / "proc/meminfo").unlink()
        names = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
        monkeypatch.setattr(os, "sysconf", names.__getitem__)
        assert memory.available_memory() == 4_096_000
        monkeypatch.delattr(os, "sysconf")
        assert memory.available_memory() is None
