import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from importlib import metadata, resources
from pathlib import Path

import pytest

import kerasw2v
from kerasw2v.utils.versions import version

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kerasw2v"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the ground up. A module imports from lower ranks, or from its own file or folder.
RANKS = [
    {"utils"},
    {"ops"},
    {
        "data",
        "divergence",
        "layers",
        "model_traces",
        "metrics",
        "optimizers",
        "presets",
        "evaluation",
        "history",
        "word_map",
    },
    {"block_model", "classifier"},
    {"skip_gram", "cbow"},
    {"architectures", "callbacks", "growth", "multi_worker", "keyed_vectors", "plots", "report"},
    {"word2vec", "zoo"},
    {"fasttext"},
    {"cli"},
    {"__init__", "__main__"},
]
RANK = {unit: rank for rank, units in enumerate(RANKS) for unit in units}
PUBLIC = {
    "CBOW",
    "Classifier",
    "FastText",
    "SkipGram",
    "Vocabulary",
    "Word2Vec",
    "block_dataset",
    "grow",
    "layers",
    "metrics",
    "optimizers",
    "presets",
    "read_corpus",
    "read_table",
    "to_keyed_vectors",
    "warm_start",
    "zoo",
}


def unit_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path):
    """Yields line and dotted name of everything a module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def offences(is_wrong):
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in MODULES
        for line, name in imports(path)
        if is_wrong(unit_of(path), name)
    ]


def reached_from(module):
    """Returns the dotted names that a module imports, and those that these import."""
    seen, waiting = set(), [module]
    while waiting:
        path = PACKAGE.parent / Path(*waiting.pop().split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.exists() or path == PACKAGE / "__init__.py":
            continue
        found = {name for _, name in imports(path)} - seen
        seen |= found
        waiting += [name for full in found for name in (full, full.rpartition(".")[0])]
    return seen


class TestImports:
    def test_every_unit_has_a_rank(self):
        assert {unit_of(path) for path in MODULES} == set(RANK)

    def test_imports_point_down(self):
        def points_up(unit, name):
            names = name.split(".")
            # What the package itself hands on comes from the ranks below its front.
            if names[0] != "kerasw2v" or unit == "__init__":
                return False
            target = names[1]
            if target not in RANK:
                return RANK[unit] <= RANK["cbow"]  # public names are for the top only
            return target != unit and RANK[target] >= RANK[unit]

        assert offences(points_up) == []

    def test_ops_know_no_keras_model(self):
        """Tensors and mathematics only: no Keras, and of the tools only the checks."""

        def sees(unit, name):
            parts = name.split(".")
            of_tools = parts[:2] == ["kerasw2v", "utils"] and parts[2] != "checks"
            return unit == "ops" and (parts[0] == "keras" or of_tools)

        assert offences(sees) == []

    def test_only_the_front_and_fasttext_import_word2vec(self):
        def sees(unit, name):
            is_ours = name.startswith("kerasw2v.word2vec") or name == "kerasw2v.Word2Vec"
            return is_ours and unit not in {"__init__", "fasttext", "word2vec"}

        assert offences(sees) == []

    def test_only_the_command_line_sees_argparse(self):
        assert offences(lambda unit, name: unit != "cli" and name.startswith("argparse")) == []

    def test_the_model_never_sees_a_corpus(self):
        reached = reached_from("kerasw2v.block_model")
        assert "kerasw2v.ops.windows.decode_blocks" in reached
        assert [name for name in reached if name.startswith("kerasw2v.data")] == []

    def test_layers_and_ops_never_see_a_vocabulary(self):
        def sees(unit, name):
            return unit in {"layers", "ops", "optimizers"} and "ocabulary" in name

        assert offences(sees) == []

    def test_only_the_export_sees_gensim_models(self):
        def sees(unit, name):
            return name.startswith("gensim.models") and unit not in {
                "fasttext",
                "keyed_vectors",
                "word2vec",
            }

        # Commands name the type in their annotations, without importing it when they run.
        assert [o for o in offences(sees) if "/cli/" not in o] == []

    def test_nobody_reaches_into_keras_or_gensim_internals(self):
        def reaches(unit, name):
            # Nothing public bounds the wait for a first worker, lost while TensorFlow starts.
            is_allowed = (unit, name) == ("multi_worker", "tensorflow.python.eager.context")
            return name.startswith(("keras.src", "tensorflow.python")) and not is_allowed

        assert offences(reaches) == []


class TestPackage:
    def test_public_names(self):
        assert set(kerasw2v.__all__) >= PUBLIC
        for name in kerasw2v.__all__:
            assert getattr(kerasw2v, name) is not None
        assert set(dir(kerasw2v)) >= PUBLIC

    def test_star_import_brings_the_public_names(self):
        names = {}
        exec("from kerasw2v import *", names)
        assert set(kerasw2v.__all__) <= set(names)

    def test_type_checkers_see_every_public_name(self):
        tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
        (block,) = (node for node in tree.body if isinstance(node, ast.If))
        seen = {alias.asname for node in block.body for alias in node.names}
        assert seen == set(kerasw2v.__all__)

    def test_unknown_name(self):
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = kerasw2v.no_such_name

    def test_every_folder_is_a_package_that_is_found(self):
        folders = {path.parent for path in MODULES}
        assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []

    def test_is_typed(self):
        assert resources.files("kerasw2v").joinpath("py.typed").is_file()

    def test_version_is_stated_once(self):
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        version = setup["metadata"]["version"]
        try:
            assert metadata.version("kerasw2v") == version
        except metadata.PackageNotFoundError:
            pytest.skip("the package is not installed")
        assert [path for path in MODULES if f'"{version}"' in path.read_text("utf-8")] == []

    def test_version_is_an_attribute(self):
        assert kerasw2v.__version__ == version("kerasw2v")

    def test_release_is_dated_the_same_everywhere(self):
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        cited = dict(
            line.split(": ")
            for line in (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
            if line.startswith(("version: ", "date-released: "))
        )
        assert cited["version"] == setup["metadata"]["version"]
        heading = f"## [{cited['version']}] - {cited['date-released']}\n"
        assert heading in (ROOT / "CHANGELOG.md").read_text("utf-8")

    def test_links_of_the_readme_work_on_a_package_index(self):
        """They are absolute; those into the repository lead to files that are there."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        files = setup["metadata"]["url"] + "/blob/main/"
        links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
        assert links
        assert [link for link in links if not link.startswith("https://")] == []
        inside = [link.removeprefix(files) for link in links if link.startswith(files)]
        assert inside
        assert [name for name in inside if not (ROOT / name.split("#")[0]).exists()] == []

    def test_what_is_imported_is_declared(self):
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        declared = {
            line.split(">=")[0] for line in setup["options"]["install_requires"].split() if line
        }
        own = set(sys.stdlib_module_names) | {"kerasw2v"}
        imported = {name.split(".")[0] for path in MODULES for _, name in imports(path)} - own
        assert imported == declared


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


class TestBackend:
    @pytest.mark.parametrize("backend", ["jax", "torch", "numpy", "openvino"])
    def test_another_backend_is_refused_in_one_sentence(self, backend):
        result = run_python("from kerasw2v import SkipGram", KERAS_BACKEND=backend)
        assert result.returncode == 1
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError: Keras must run on TensorFlow for kerasw2v: set the")
        assert "KERAS_BACKEND=tensorflow" in last
        assert f"backend={backend!r}" in last

    def test_a_backend_that_is_installed_but_not_tensorflow(self, monkeypatch):
        import keras

        from kerasw2v.utils.runtime import require_tensorflow

        require_tensorflow()
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
        with pytest.raises(ImportError, match="Received: backend='jax'"):
            require_tensorflow()

    def test_the_package_itself_imports_without_tensorflow(self):
        code = (
            "import sys, kerasw2v, kerasw2v.cli, kerasw2v.keyed_vectors, kerasw2v.evaluation\n"
            "print({'keras', 'tensorflow'} & set(sys.modules))"
        )
        result = run_python(code)
        assert result.stdout.strip() == "set()", result.stderr


# How each kind of installation is built, without pip: it would ask a network for setuptools.
BUILD = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"
LOOK = """
import site, sys
# Neither the checkout nor another installation may answer.
sys.meta_path[:] = [each for each in sys.meta_path if "Editable" not in repr(each)]
for name in [name for name in sys.modules if name.startswith("__editable__")]:
    del sys.modules[name]
sys.path.insert(0, sys.argv[1])
site.addsitedir(sys.argv[1])
sys.meta_path.sort(key=lambda each: "Editable" not in repr(each))
import kerasw2v.zoo
from kerasw2v.cli import main
print(kerasw2v.zoo.FOLDER)
print(*kerasw2v.zoo.names())
main(["similar", "cat", "--topn", "1"])
"""


@pytest.fixture(scope="class")
def sources(tmp_path_factory):
    """The source archive of a copy of the checkout, unpacked: what an installer gets."""
    copy, folder = tmp_path_factory.mktemp("checkout") / "copy", tmp_path_factory.mktemp("archive")
    ignore = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "_build", "build", "dist"
    )
    shutil.copytree(ROOT, copy, ignore=ignore)
    build(copy, folder, "sdist")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (unpacked,) = filter(Path.is_dir, folder.iterdir())
    return unpacked


def build(sources, folder, kind):
    command = [sys.executable, "-W", "ignore", "-c", BUILD.format(kind), os.fspath(folder)]
    subprocess.run(command, cwd=sources, check=True, capture_output=True)


def install(sources, folder, kind):
    """Builds a wheel, plain or editable, and unpacks it; returns what is in it."""
    built = folder / "built"
    built.mkdir()
    build(sources, built, kind)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
        return set(archive.namelist())


class TestInstallation:
    def look(self, folder):
        """Returns where the recipes are, their names, and the first line of what is near a cat."""
        command = [sys.executable, "-c", LOOK, os.fspath(folder / "installed")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        where, names, query, *_ = done.stdout.splitlines()
        assert query == "cat"
        return Path(where), names.split()

    def test_source_archive_holds_all_that_is_tracked(self, sources):
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
        if listed.returncode:
            pytest.skip("this is no checkout")
        tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
        held = {
            path.relative_to(sources).as_posix() for path in sources.rglob("*") if path.is_file()
        }
        assert tracked - held == set()

    def test_wheel_holds_the_package_and_the_zoo(self, sources, tmp_path):
        held = install(sources, tmp_path, "wheel")
        modules = {path.relative_to(ROOT).as_posix() for path in MODULES}
        models = {
            f"kerasw2v/{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / "models").rglob("*")
            if path.is_file()
        }
        assert modules | models | {"kerasw2v/py.typed"} <= held
        (about,) = (tmp_path / "installed").glob("*.dist-info")
        licences = [path.name for path in (about / "licenses").rglob("*") if path.is_file()]
        assert sorted(licences) == ["LICENSE", "NOTICE"]
        stated = (about / "METADATA").read_text("utf-8").split("\n\n")[0].splitlines()
        assert "License-Expression: Apache-2.0 AND CC-BY-SA-4.0" in stated
        where, names = self.look(tmp_path)
        assert where == tmp_path / "installed/kerasw2v/models"
        assert names == kerasw2v.zoo.names()

    def test_editable_installation_finds_the_zoo(self, sources, tmp_path):
        install(sources, tmp_path, "editable")
        where, names = self.look(tmp_path)
        assert where == sources / "models"
        assert names == kerasw2v.zoo.names()
