"""Every tutorial runs, and is committed as a run from its first cell to its last left it."""

import base64
import struct
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
RUNNER = Path(__file__).with_name("notebooks.py")

LARGEST_NOTEBOOK = 1_000_000  # bytes
WIDEST_PICTURE = 1_400  # pixels
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

each_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def execute(*arguments):
    # In a process of its own: what nbclient leaves to the garbage collector is no warning of ours.
    command = [sys.executable, RUNNER, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@each_tutorial
def test_runs(path):
    result = execute(path, "--check")
    assert result.returncode == 0, result.stderr


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def pictures(notebook):
    return [
        base64.b64decode(output.data["image/png"])
        for output in outputs(notebook)
        if "image/png" in output.get("data", {})
    ]


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


@each_tutorial
def test_committed_as_run_in_order(notebook):
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run `make tutorials`"


@each_tutorial
def test_committed_without_errors_and_warnings(notebook):
    assert [output for output in outputs(notebook) if output.output_type == "error"] == []
    assert [output.text for output in outputs(notebook) if output.get("name") == "stderr"] == []


@each_tutorial
def test_has_pictures_of_modest_size(path, notebook):
    assert pictures(notebook)
    for picture in pictures(notebook):
        assert picture.startswith(PNG_SIGNATURE)
        width, _ = struct.unpack(">II", picture[16:24])
        assert width <= WIDEST_PICTURE
    assert path.stat().st_size <= LARGEST_NOTEBOOK


@each_tutorial
def test_has_a_title_formulae_and_an_exercise(notebook):
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    assert any("$" in text for text in texts)
    assert any("## Exercise" in text for text in texts)


@each_tutorial
def test_holds_nothing_that_changes_from_run_to_run(notebook):
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert not any("execution" in cell.metadata for cell in notebook.cells)


def test_index_lists_them_all():
    index = (FOLDER / "README.md").read_text("utf-8")
    assert TUTORIALS
    assert [path.name for path in TUTORIALS if f"]({path.name})" not in index] == []


class TestRunner:
    """The runner tells a tutorial that fails from one that runs."""

    @staticmethod
    def write(path, *sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    def test_a_failing_cell_is_named_with_its_traceback(self, tmp_path):
        path = self.write(tmp_path / "broken.ipynb", "number = 1", "number / 0", "print('never')")
        before = path.read_bytes()
        result = execute(path)
        assert result.returncode == 1
        assert "broken.ipynb" in result.stderr
        assert "number / 0" in result.stderr
        assert "ZeroDivisionError" in result.stderr
        assert path.read_bytes() == before

    def test_outputs_are_written_and_files_are_not_left(self, tmp_path):
        path = self.write(
            tmp_path / "fine.ipynb",
            "from pathlib import Path\nPath('left.txt').write_text('here')",
            "import sys\nsys.executable",
        )
        result = execute(path)
        assert result.returncode == 0, result.stderr
        assert list(tmp_path.iterdir()) == [path]
        cells = code_cells(nbformat.read(path, as_version=4))
        assert [cell.execution_count for cell in cells] == [1, 2]
        assert cells[1].outputs[0].data["text/plain"] == repr(sys.executable)

    def test_there_is_no_network(self, tmp_path):
        source = "import urllib.request as r\nr.urlopen('http://example.com', timeout=30)"
        result = execute(self.write(tmp_path / "download.ipynb", source), "--check")
        assert result.returncode == 1
        assert "Connection refused" in result.stderr
