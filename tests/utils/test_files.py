"""Files appear whole or not at all."""

import os
import stat
import subprocess
import sys

import gensim
import numpy as np
import pytest

from kerasw2v.utils.files import (
    check_output_path,
    clear_disk_errors,
    replace_on_success,
    temporary_sibling,
)


@pytest.mark.parametrize(("mode", "content"), [("wb", b"new"), ("w", "n\u00e9w\n"), ("w+b", b"n")])
def test_content_arrives_at_the_end_only(tmp_path, mode, content):
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    with replace_on_success(path, mode) as file:
        file.write(content)
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("there", [True, False])
def test_failure_leaves_all_as_it_was(tmp_path, error, there):
    path = tmp_path / "file.bin"
    if there:
        path.write_bytes(b"old")

    def write_half():
        with replace_on_success(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([b"old"] if there else [])


def test_temporary_sibling_keeps_the_name_and_moves_side_files(tmp_path):
    path = tmp_path / "vectors.npz"
    with temporary_sibling(path) as temporary:
        assert temporary.name == "vectors.npz"
        assert temporary != path
        temporary.write_bytes(b"main")
        (temporary.parent / "vectors.npz.side").write_bytes(b"side")
    assert path.read_bytes() == b"main"
    assert sorted(os.listdir(tmp_path)) == ["vectors.npz", "vectors.npz.side"]


def test_gensim_save_with_large_arrays_in_side_files(tmp_path):
    vectors = gensim.models.KeyedVectors(3)
    vectors.add_vectors(["a", "b"], np.arange(6, dtype=np.float32).reshape(2, 3))
    with temporary_sibling(tmp_path / "vectors.kv") as temporary:
        vectors.save(str(temporary), sep_limit=0)
    assert len(os.listdir(tmp_path)) > 1
    loaded = gensim.models.KeyedVectors.load(str(tmp_path / "vectors.kv"))
    assert loaded["b"].tolist() == [3, 4, 5]


def test_nothing_written_is_an_error(tmp_path):
    expected = pytest.raises(FileNotFoundError, match="Nothing was written")
    with expected, temporary_sibling(tmp_path / "file"):
        pass
    assert os.listdir(tmp_path) == []


def test_permissions_are_the_usual_or_those_of_the_old_file(tmp_path):
    umask = os.umask(0o022)
    try:
        with replace_on_success(tmp_path / "new") as file:
            file.write(b"x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o644
    os.chmod(tmp_path / "new", 0o640)
    with replace_on_success(tmp_path / "new") as file:
        file.write(b"y")
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with replace_on_success(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_device_is_written_not_replaced():
    with replace_on_success("/dev/null") as file:
        file.write(b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_missing_folder(tmp_path):
    message = r"`path` must lie in a folder that exists\. Received: path='.*none/file'\."
    with pytest.raises(FileNotFoundError, match=message):
        check_output_path(tmp_path / "none" / "file")
    with pytest.raises(FileNotFoundError, match=message):
        temporary_sibling(tmp_path / "none" / "file").__enter__()


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="must lie in a folder, not in a file"):
        check_output_path(tmp_path / "file" / "file")


def test_path_that_is_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="must name a file, not a folder"):
        check_output_path(tmp_path)


def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    # The tests may run as root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="must lie in a folder that can be written"):
        check_output_path(tmp_path / "file")


def test_file_that_is_write_protected(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: os.path.isdir(path))
    with pytest.raises(PermissionError, match="must not be a write-protected file"):
        check_output_path(tmp_path / "file")


def test_folder_on_a_read_only_disk(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    expected = pytest.raises(OSError, match=r"can be written \(Read-only file system\)")
    with expected, replace_on_success(tmp_path / "file"):
        pass


@pytest.mark.parametrize("mode", ["r", "rb", "a", "x", "r+b", ""])
def test_mode_that_does_not_write_anew(tmp_path, mode):
    expected = pytest.raises(ValueError, match="`mode` must be one of")
    with expected, replace_on_success(tmp_path / "file", mode):
        pass


def test_errors_of_other_kinds_pass_unchanged():
    with pytest.raises(OSError, match=r"^\[Errno 5\] Input/output error$"), clear_disk_errors("x"):
        raise OSError(5, "Input/output error")


LIMITED = """
import resource, sys, numpy as np
from kerasw2v.utils.files import replace_on_success, temporary_sibling
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    if sys.argv[2] == "bytes":
        with replace_on_success(sys.argv[1]) as file:
            file.write(bytes(100_000))
    else:
        with temporary_sibling(sys.argv[1]) as path, open(path, "wb") as file:
            np.save(file, np.zeros(100_000))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("writer", ["bytes", "numpy"])
def test_a_full_disk(tmp_path, writer):
    path = tmp_path / "file.npy"
    path.write_bytes(b"old")
    run = [sys.executable, "-c", LIMITED, str(path), writer]
    out = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert out.startswith(f"The disk is full: '{path}' could not be written (")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.npy"]
