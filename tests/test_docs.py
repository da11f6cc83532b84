"""What the documentation shows is run: examples in docstrings, README and docs, and commands."""

import doctest
import importlib
import re
import shlex
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
