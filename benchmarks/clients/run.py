"""Programs that use gensim's `Word2Vec`, run with gensim's and with ours.

    python benchmarks/clients/run.py [--folder FOLDER] [--programs NAME ...]

Makes a virtual environment in FOLDER (a temporary one by default), which also sees the packages of
the Python that runs this; installs the programs from the package index; and copies them with
another import line for ours, and nothing else changed. Prints a table in Markdown.

Seconds are those of the task in a process of its own, without importing TensorFlow and the
program, but with tracing and compiling. Most results are two accuracies, of logistic regression and
of the nearest directions, at telling four planted groups of nodes or texts.
"""

import argparse
import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import tempfile
import venv
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from imports import with_kerasw2v
from programs import PROGRAMS, module_of, package_of

HERE = Path(__file__).parent
PACKAGES = {
    "node2vec": "0.5.0",
    "karateclub": "1.3.3",
    "fastnode2vec": "0.0.7",
    "pecanpy": "2.0.9",
    "henhoe2vec": "1.0.4",
    "pyrdf2vec": "0.2.3",
    "pysqlitekg2vec": "1.0.0",
    "wefe": "1.0.1",
    "fse": "1.0.0",
    "scikit-embeddings": "0.3.1",
    "generic-iterative-stemmer": "1.2.0",
    "spec2vec": "0.9.1",
    "product2vec": "0.1.0",
    "mol2vec": "0.2.2",
    "cade": "1.2.0",
    "biovec": "0.2.7",
    "nodevectors": "0.1.23",
    "deepwalk": "1.0.3",
    "zeugma": "0.49",
}
# Packages of years ago that only one program asks for.
OLD_PACKAGES = {
    "henhoe2vec": ["pandas==2.3.3", "pytz"],
    "pecanpy": ["numpy==1.26.4"],
    "pyrdf2vec": ["cachetools==4.2.4"],
    "spec2vec": ["matchms==0.31.0"],
}
# C code that was made for an older Python, made anew from this source.
CYTHON = {"fse": "fse/models/average_inner.pyx"}
# Some ask for versions of years ago, so all is installed without what it asks for, and this is it.
NEEDED = (HERE / "needed.txt").read_text().split()


def prepare(folder: Path) -> Path:
    """Makes the environment, and the copies with our import lines; returns its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        (packages_of(folder) / "parent.pth").write_text("\n".join(site.getsitepackages()))
        install(python, [name for name in NEEDED if not is_installed(name)])
        for name, version in PACKAGES.items():
            install_program(python, name, version)
        for name, packages in OLD_PACKAGES.items():
            install(python, packages, "--target", str(old_packages(folder, name)))
    changed = folder / "with-kerasw2v"
    shutil.rmtree(changed, ignore_errors=True)
    for name in map(module_of, PACKAGES):
        if (packages_of(folder) / name).exists():
            shutil.copytree(packages_of(folder) / name, changed / name)
    for path in changed.rglob("*.py"):
        path.write_text(with_kerasw2v(path.read_text(encoding="utf-8")), encoding="utf-8")
    for engine, module in (("gensim", "gensim.models"), ("kerasw2v", "kerasw2v")):
        target = folder / f"with-{engine}" / "client_import.py"
        target.parent.mkdir(exist_ok=True)
        target.write_text(f"from {module} import Word2Vec\n")
    shutil.copy(HERE / "engine.py", changed)
    return python


def install(python: Path, packages: list[str], *options: str, must: bool = True) -> None:
    """Installs packages without what they ask for; says so if that fails and need not work."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *options]
    if subprocess.run([*pip, *packages], check=must).returncode:
        print(f"Cannot be installed: {', '.join(packages)}.", file=sys.stderr)


def install_program(python: Path, name: str, version: str) -> None:
    """Installs a program as it is, but for C code that another Cython made."""
    if name not in CYTHON:
        install(python, [f"{name}=={version}"], must=False)
        return
    with tempfile.TemporaryDirectory() as temporary:
        download = ["download", "--quiet", "--no-deps", "--no-binary", name, "--no-build-isolation"]
        call = [str(python), "-m", "pip", *download, "--dest", temporary, f"{name}=={version}"]
        subprocess.run(call, check=True)
        with tarfile.open(next(Path(temporary).glob("*.tar.gz"))) as archive:
            archive.extractall(temporary, filter="data")
        source = Path(temporary) / f"{name}-{version}"
        subprocess.run([str(python), "-m", "cython", str(source / CYTHON[name])], check=True)
        install(python, [str(source)], "--no-build-isolation", must=False)


def packages_of(folder: Path) -> Path:
    """Returns where an environment keeps its packages."""
    return next((folder / "lib").glob("python*/site-packages"))


def old_packages(folder: Path, package: str) -> Path:
    """Returns where the old packages are that one program needs."""
    return folder / "old" / package


def is_installed(name: str) -> bool:
    """Whether the Python that runs this has a package already."""
    name = name.split("==")[0].replace("-", "_").lower()
    names = (each.metadata["Name"].replace("-", "_").lower() for each in distributions())
    return name in names


def run(python: Path, folder: Path, program: str, engine: str) -> dict[str, Any]:
    """Runs one program with one engine, in a process of its own."""
    paths = [folder / f"with-{engine}", old_packages(folder, package_of(program)), HERE.parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONHASHSEED": "0"}
    command = [str(python), str(HERE / "programs.py"), program, engine]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1], "seconds": 0.0}
    outcome: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return outcome


def row(program: str, outcomes: list[dict[str, Any]]) -> str:
    """Returns a row of the table."""
    name = package_of(program)
    titled = program.replace(name, f"{name} {PACKAGES[name]}") if name in PACKAGES else program
    cells = [titled, *(each.get("result") or each["error"].split(" (")[0] for each in outcomes)]
    cells += [f"{each['seconds']:.1f}" if "result" in each else "" for each in outcomes]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Parses the command line, runs all programs and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep the environment here")
    parser.add_argument("--programs", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        python = prepare(folder)
        print("| program | gensim | kerasw2v | gensim: seconds | kerasw2v: seconds |")
        print("|---|---|---|--:|--:|", flush=True)
        for program in options.programs:
            outcomes = [run(python, folder, program, engine) for engine in ("gensim", "kerasw2v")]
            print(row(program, outcomes), flush=True)


if __name__ == "__main__":
    sys.exit(main())
