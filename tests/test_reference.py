"""The reference builds without a warning, and every public name is in it."""

import importlib
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import kerasw2v

pytest.importorskip("furo", reason="the theme is missing: pip install '.[docs]'")
pytest.importorskip("myst_parser", reason="MyST is missing: pip install '.[docs]'")

from sphinx.util.inventory import InventoryFile

ROOT = Path(__file__).parents[1]
EXPORTING = (
    "kerasw2v",
    "kerasw2v.layers",
    "kerasw2v.metrics",
    "kerasw2v.optimizers",
    "kerasw2v.zoo",
)
# All public functions and classes that these modules define are for users.
MODULES = (
    "kerasw2v.callbacks",
    "kerasw2v.evaluation",
    "kerasw2v.history",
    "kerasw2v.keyed_vectors",
    "kerasw2v.multi_worker",
    "kerasw2v.plots",
    "kerasw2v.report",
    "kerasw2v.word_map",
    "kerasw2v.zoo.recipe",
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Builds the pages in a folder of its own: every warning is an error, unknown names too."""
    folder = tmp_path_factory.mktemp("reference")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-n", "-W", "--keep-going", "-q"]
    command += ["-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert told.returncode == 0, told.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def names(reference):
    """Returns the Python names that the pages explain."""
    data = InventoryFile.loads((reference / "objects.inv").read_bytes(), uri="").data
    return {name for kind, entries in data.items() if kind.startswith("py:") for name in entries}


@pytest.mark.parametrize("module", EXPORTING)
def test_exported_names(names, module):
    exported = importlib.import_module(module).__all__
    assert {f"{module}.{name}" for name in exported} - names == set()


@pytest.mark.parametrize("module", MODULES)
def test_names_of_modules_for_users(names, module):
    found = importlib.import_module(module)
    own = {
        f"{module}.{name}"
        for name, value in vars(found).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module
        and getattr(value, "__doc__", None)
    }
    assert own
    at_the_top = {f"{module}.{name}" for name in kerasw2v.__all__}  # explained under shorter names
    assert own - at_the_top - names == set()


def test_methods_and_guides(reference, names):
    assert {"kerasw2v.layers.OutputLayer.top_k", "kerasw2v.Word2Vec.train"} <= names
    assert (reference / "adding_an_output_layer.html").exists()


def test_layers_show_their_arguments(reference):
    page = (reference / "reference" / "layers.html").read_text("utf-8")
    assert page.count('class="sig sig-object py"') > 30
    assert '<span class="pre">counts' in page
    assert '<span class="pre">*args' not in page


def test_commands_show_their_options(reference):
    page = (reference / "reference" / "command_line.html").read_text("utf-8")
    assert "--report FILE.html" in page
    assert "--restrict-vocab" in page


def test_needs_no_network(reference):
    """Styles and scripts come from the pages' own folder."""
    page = (reference / "index.html").read_text("utf-8")
    loaded = re.findall(r"<(?:script|link)\b[^>]*(?:src|href)=\"([^\"]+)\"", page)
    assert loaded
    assert [address for address in loaded if "//" in address] == []


def test_the_example_on_the_first_page():
    text = (ROOT / "docs" / "index.rst").read_text("utf-8")
    (block,) = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", text)
    names = {"__name__": "__main__"}
    exec(compile(textwrap.dedent(block), "index.rst", "exec"), names)
    assert "government" in names["vectors"]
