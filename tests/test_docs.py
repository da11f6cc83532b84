"""What the documentation shows is run: examples in docstrings, and the README's Python blocks."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

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


def test_readme(tmp_path, monkeypatch):
    """Runs all blocks in their order, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    assert blocks
    namespace = {"__name__": "__main__"}
    for block in blocks:
        # Empty lines in front make the line numbers of an error those of the README.
        lines_before = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines_before + block[1], "README.md", "exec"), namespace)
