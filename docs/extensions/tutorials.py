"""The tutorials as pages of the site, with their committed outputs.

Sphinx reads only what is in its own folder, so they are copied to `docs/tutorials/`. Links in pages
that lead to files of the repository lead to the site's pages, where there is one.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/kerasw2v/kerasw2v/blob/main"
LINKS = [
    (re.compile(r"\]\((?:\.\./)+tutorials/README\.md"), "](/tutorials/index.md"),
    (re.compile(r"\]\((?:\.\./)+tutorials/(\w+\.ipynb)"), r"](/tutorials/\1"),
    (re.compile(r"\]\((?:\.\./)*benchmarks/README\.md"), "](/benchmarks.md"),
    (re.compile(r"\]\((?:\.\./)*models/README\.md"), "](/model_zoo.md"),
    (re.compile(r"\]\(([\w-]+/MODEL_CARD\.md)"), rf"]({REPOSITORY}/models/\1"),
    (re.compile(r"\]\((?:\.\./)*CONTRIBUTING\.md"), "](/contributing.md"),
    (re.compile(r"\]\((?:\.\./)*docs/(\w+\.md)"), r"](/\1"),
]
CONTENTS = """
```{toctree}
:hidden:
:glob:

*
```
"""


def write_pages(folder: Path, pages: Mapping[str, bytes]) -> None:
    """Writes what has changed, so that only that is built again, and removes what has gone."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in pages and path.is_file():
            path.unlink()
    for name, content in pages.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def _copy(app: Any) -> None:
    folder = ROOT / "tutorials"
    pages = {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}
    pages["index.md"] = ((folder / "README.md").read_text("utf-8") + CONTENTS).encode()
    write_pages(Path(app.srcdir) / "tutorials", pages)


def _link(app: Any, name: str, content: list[str]) -> None:
    for pattern, replacement in LINKS:
        content[0] = pattern.sub(replacement, content[0])


def _link_included(app: Any, path: Path, parent: str, content: list[str]) -> None:
    _link(app, parent, content)


def setup(app: Any) -> dict[str, bool]:
    """Is called by Sphinx."""
    app.connect("builder-inited", _copy)
    app.connect("source-read", _link)
    app.connect("include-read", _link_included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
