"""Programs that use gensim's `Word2Vec`, run with gensim's and with ours.

    python benchmarks/clients/run.py [--folder FOLDER] [--programs NAME ...]

Makes a virtual environment in FOLDER (a temporary one by default), which also sees the packages of
the Python that runs this; installs the programs from the package index; and copies them with
another import line for ours, and nothing else changed. Prints a table in Markdown.

Seconds are those of the task in a process of its own, without importing TensorFlow and the
program, but with tracing and compiling. Results of graphs are the accuracies of logistic
regression, and of the nearest directions, at telling four planted groups of nodes.
"""

import argparse
import json
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = {
    "node2vec": "0.5.0",
    "karateclub": "1.3.3",
    "pecanpy": "2.0.9",
    "fastnode2vec": "0.0.7",
    "pyrdf2vec": "0.2.3",
    "wefe": "1.0.1",
    "mol2vec": "0.2.2",
    "cade": "1.2.0",
}
# Some ask for versions of years ago, so all is installed without what it asks for, and this is it.
NEEDED = [
    "networkx",
    "joblib",
    "tqdm",
    "scikit-learn",
    "threadpoolctl",
    "cloudpickle",
    "narwhals",
    "numba",
    "llvmlite",
    "numba-progress",
    "python-louvain",
    "pygsp",
    "decorator",
    "levenshtein",
    "rapidfuzz",
    "attrs",
    "cachetools",
    "rdflib",
    "pyparsing",
    "isodate",
    "nest-asyncio",
    "tomlkit",
    "rdkit",
    "aiohttp",
    "six",
    "semantic-version",
    "jsonpath-rw",
    "plotly",
    "seaborn",
    "matplotlib",
    "contourpy",
    "cycler",
    "fonttools",
    "kiwisolver",
    "pillow",
    "aiosignal",
    "frozenlist",
    "multidict",
    "nptyping",
    "yarl",
    "propcache",
    "idna",
    "aiohappyeyeballs",
    "requests",
    "urllib3",
    "certifi",
    "charset-normalizer",
    "python-dateutil",
    "toml",
    "colorama",
    "importlib-metadata",
    "zipp",
    "packaging",
]
# Import lines, and what they become.
IMPORTS = [
    (r"^from gensim\.models(\.word2vec)? import Word2Vec\b", "from kerasw2v import Word2Vec"),
    (r"^from gensim\.models import word2vec$", "from kerasw2v import word2vec"),
    (r"^import gensim$", "from engine import gensim"),
]


def prepare(folder: Path) -> Path:
    """Makes the environment, and the copies with our import lines; returns its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        packages = packages_of(folder)
        (packages / "parent.pth").write_text("\n".join(site.getsitepackages()))
        pinned = [f"{name}=={version}" for name, version in PACKAGES.items()]
        missing = [name for name in NEEDED if not is_installed(name)]
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, *pinned, *missing], check=True)
    changed = folder / "with-kerasw2v"
    shutil.rmtree(changed, ignore_errors=True)
    for name in PACKAGES:
        shutil.copytree(packages_of(folder) / name, changed / name)
        for path in (changed / name).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for line, ours in IMPORTS:
                text = re.sub(line, ours, text, flags=re.MULTILINE)
            path.write_text(text, encoding="utf-8")
    for engine, module in (("gensim", "gensim.models"), ("kerasw2v", "kerasw2v")):
        target = folder / f"with-{engine}" / "client_import.py"
        target.parent.mkdir(exist_ok=True)
        target.write_text(f"from {module} import Word2Vec\n")
    shutil.copy(HERE / "engine.py", changed)
    return python


def packages_of(folder: Path) -> Path:
    """Returns where an environment keeps its packages."""
    return next((folder / "lib").glob("python*/site-packages"))


def is_installed(name: str) -> bool:
    """Whether the Python that runs this has a package already."""
    return any(each.metadata["Name"].lower() == name.lower() for each in distributions())


def run(python: Path, folder: Path, program: str, engine: str) -> dict[str, Any]:
    """Runs one program with one engine, in a process of its own."""
    paths = [folder / f"with-{engine}", HERE.parents[1]]
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
    name = program.split(":")[0]
    cells = [f"{program} {PACKAGES[name]}" if name in PACKAGES else program]
    cells += [each.get("result") or each["error"] for each in outcomes]
    cells += [f"{each['seconds']:.1f}" if "result" in each else "" for each in outcomes]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Parses the command line, runs all programs and prints the table."""
    from programs import PROGRAMS

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep the environment here")
    parser.add_argument("--programs", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        python = prepare(folder.resolve())
        print("| program | gensim | kerasw2v | gensim: seconds | kerasw2v: seconds |")
        print("|---|---|---|--:|--:|", flush=True)
        for program in options.programs:
            engines = ("gensim", "kerasw2v")
            outcomes = [run(python, folder.resolve(), program, engine) for engine in engines]
            print(row(program, outcomes), flush=True)


if __name__ == "__main__":
    sys.exit(main())
