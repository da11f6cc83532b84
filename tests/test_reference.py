"""The reference builds without a warning, and every public name is in it."""

import importlib
import os
import re
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import kerasw2v

pytest.importorskip("furo", reason="the theme is missing: pip install '.[docs]'")
pytest.importorskip("myst_nb", reason="MyST-NB is missing: pip install '.[docs]'")

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


@pytest.mark.parametrize(
    "name", ["index", "softmax_approximations", "tutorials/03_choosing_an_output_layer"]
)
def test_needs_no_network(reference, name):
    """Styles, scripts and pictures come from the pages' own folder; formulae need no script."""
    page = (reference / f"{name}.html").read_text("utf-8")
    loaded = re.findall(r"<(?:script|link|img)\b[^>]*(?:src|href)=\"([^\"]+)\"", page)
    assert loaded
    assert [address for address in loaded if "//" in address] == []
    assert ("<math" in page) == (name != "index")


class _Links(HTMLParser):
    """Collects the anchors of a page, and where its links lead."""

    def __init__(self, page):
        super().__init__()
        self.anchors, self.targets = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag in ("a", "img"):
            self.targets += [found[key] for key in ("href", "src") if found.get(key)]


def test_links_lead_somewhere(reference):
    pages = {path.resolve(): _Links(path.read_text("utf-8")) for path in reference.rglob("*.html")}
    assert len(pages) > 30
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            address, _, anchor = unquote(target).partition("#")
            if re.match(r"[a-z]+:", target):
                continue  # elsewhere
            file = (path.parent / address).resolve() if address else path
            is_there = file.exists() and (not anchor or anchor in pages[file].anchors)
            broken += [] if is_there else [f"{path.name}: {target}"]
    assert broken == []


def test_every_class_leads_to_a_concept_and_a_tutorial(reference):
    for path in (reference / "reference").glob("*.html"):
        page = path.read_text("utf-8")
        assert page.count('<div class="admonition seealso">') == page.count('<dl class="py class">')
    page = (reference / "reference" / "layers.html").read_text("utf-8")
    described = page.split('id="kerasw2v.layers.HierarchicalSoftmax"')[1].split("seealso")[1]
    assert described.index("softmax_approximations.html#hierarchical-softmax") < 500
    assert described.index("tutorials/03_choosing_an_output_layer.html") < 800


def test_tutorials_are_pages_with_their_outputs(reference):
    for tutorial in (ROOT / "tutorials").glob("*.ipynb"):
        page = (reference / "tutorials" / f"{tutorial.stem}.html").read_text("utf-8")
        assert "<math" in page
        assert '<div class="cell_output' in page
        assert "_images/" in page


def test_figures_are_those_of_the_benchmarks(reference):
    """The table of the site's page is that of the file, cell by cell."""
    section = (ROOT / "benchmarks" / "README.md").read_text("utf-8").split("\n## Output layers")[1]
    (row,) = re.findall(r"^\| HierarchicalSoftmax \|(.*)\|$", section.split("\n\n|")[1], re.M)
    step, faster, *_ = (cell.strip() for cell in row.split("|"))
    page = (reference / "which_layer.html").read_text("utf-8")
    cells = re.sub(r"<[^>]+>", " ", page)
    assert re.search(rf"HierarchicalSoftmax\s+{re.escape(step)}\s+{re.escape(faster)}\s", cells)


def test_the_example_on_the_first_page():
    text = (ROOT / "docs" / "index.rst").read_text("utf-8")
    (block,) = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", text)
    names = {"__name__": "__main__"}
    exec(compile(textwrap.dedent(block), "index.rst", "exec"), names)
    assert "government" in names["vectors"]
