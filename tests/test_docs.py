"""What the documentation shows is run: examples in docstrings, README and docs, and commands."""

import doctest
import importlib
import importlib.util
import re
import shlex
import textwrap
from pathlib import Path

import pytest
from gensim.test.utils import datapath

from kerasw2v.cli import main

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "kerasw2v").rglob("*.py"))
    if path.name != "__main__.py"
]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(name), optionflags=options)
    assert result.failed == 0


# Pages with examples; `tests/test_guides.py` runs the guide to output layers.
PAGES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if path.name != "adding_an_output_layer.md" and "```python" in path.read_text("utf-8")
]


def blocks(path, language):
    return re.finditer(
        rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_python_blocks(path, tmp_path, monkeypatch):
    """Runs all blocks of a page in their order, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in blocks(path, "python"):
        # Empty lines in front make the line numbers of an error those of the page.
        lines_before = block.string[: block.start(1)].count("\n")
        exec(compile("\n" * lines_before + block[1], path.name, "exec"), namespace)


def test_readme_is_among_the_pages():
    assert ROOT / "README.md" in PAGES


def test_commands_of_the_readme(tmp_path, monkeypatch, capsys):
    """Runs its `kerasw2v` commands; the vectors of the package have the neighbours it shows."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_bytes(Path(datapath("lee_background.cor")).read_bytes())
    commands = [
        line
        for block in blocks(ROOT / "README.md", "sh")
        for line in block[1].splitlines()
        if line.startswith("kerasw2v ")
    ]
    assert {command.split()[1] for command in commands} == {"train", "similar", "evaluate"}
    printed = []
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0
        printed.append(capsys.readouterr().out)
    shown = [block[1] for block in blocks(ROOT / "README.md", "text")]
    assert printed[0] == shown[0]
    page = textwrap.dedent((ROOT / "docs" / "reference" / "command_line.rst").read_text("utf-8"))
    assert textwrap.indent(shown[0], "   ") in page


def test_length_of_the_readme():
    assert len((ROOT / "README.md").read_text("utf-8").split()) < 900


def test_architecture_lists_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    listed, folder = set(), ""
    for line in text.split("```text\n")[1].split("```")[0].splitlines():
        if match := re.match(r"  (?:(\w+)/|\S)", line):
            folder = f"{match[1]}/" if match[1] else ""
        listed |= {f"{folder}{name}" for name in re.findall(r"\w+\.py\b", line)}
    package = ROOT / "kerasw2v"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    inits = {name for name in modules if name.endswith("/__init__.py")}
    assert listed == modules - inits


def load(name):
    """Imports a module of `docs/`, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_see_also_names_pages_that_are_there():
    see_also = load("extensions/see_also")
    assert doctest.testmod(see_also).failed == 0
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
    for label, number in see_also.SEE_ALSO.values():
        assert f"({label})=" in pages
        assert len(list((ROOT / "tutorials").glob(f"{number:02}_*.ipynb"))) == 1


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The pictures of the concept page, drawn anew."""
    pytest.importorskip("matplotlib", reason="matplotlib is missing: pip install '.[plot]'")
    folder = tmp_path_factory.mktemp("drawn")
    load("draw_concepts").draw(folder)
    return {path.name: path.read_text("utf-8") for path in folder.iterdir()}


def texts(svg):
    return sorted(re.findall(r"<(?:text|tspan)\b[^>]*>([^<]+)<", svg))


def test_pictures_are_up_to_date(drawn):
    assert drawn
    for name, svg in drawn.items():
        kept = (ROOT / "docs" / "images" / name).read_text("utf-8")
        assert texts(kept) == texts(svg), "run `python docs/draw_concepts.py`"


def test_no_code_of_the_tree_begins_another(drawn):
    codes = [text for text in texts(drawn["huffman_tree.svg"]) if re.fullmatch("[01]{2,}", text)]
    assert len(codes) == 8
    assert not any(b.startswith(a) for a in codes for b in codes if a is not b)
    assert sum(2.0 ** -len(code) for code in codes) == 1


BENCHMARKS = """# All

## Speed (2026-01-01)

| a | b |
|---|--:|
| x | **1** |

and

| `a` | c |
|---|--:|
| `y` | 2 |
| z | 3 |

## More

| a | c |
|---|---|
| y | 4 |
"""


class TestBenchmarkFigures:
    @pytest.fixture
    def figures(self, tmp_path, monkeypatch):
        module = load("extensions/benchmark_figures")
        monkeypatch.setattr(module, "FILE", tmp_path / "README.md")
        module.FILE.write_text(BENCHMARKS)
        return module

    def test_one_number(self, figures):
        assert figures.figure("Speed", "x", "b") == "1"
        assert figures.figure("Speed", "y", "c") == "2"
        assert figures.figure("More", "y", "c") == "4"

    def test_columns_and_rows_in_the_order_that_was_asked_for(self, figures):
        table = figures.select("Speed", ["c", "a"], ["z", "y"])
        assert table.columns == ["c", "`a`"]
        assert table.rows == [["3", "z"], ["2", "`y`"]]
        assert figures.select("Speed", [], []).rows == [["x", "**1**"]]

    @pytest.mark.parametrize(
        ("heading", "row", "column"),
        [("Sped", "x", "b"), ("Speed", "y", "b"), ("Speed", "x", "d")],
    )
    def test_what_is_not_there_is_an_error(self, figures, heading, row, column):
        with pytest.raises(LookupError, match=r"benchmarks/README\.md has no table"):
            figures.figure(heading, row, column)
