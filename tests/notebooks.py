"""Runs notebooks from the first cell to the last, and tidies what the run leaves in them.

    python tests/notebooks.py tutorials/*.ipynb           # writes the outputs into the notebooks
    python tests/notebooks.py tutorials/*.ipynb --check   # writes nothing

Each runs in a kernel of this Python, in an empty folder, without a network and without the user's
IPython settings. The first cell that fails ends it, with its traceback and exit code 1.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

CELL_TIMEOUT = 300  # seconds, for a machine with other work; a tutorial takes less than 30 alone
# What TensorFlow's C++ code says of the machine while it starts, whatever the log level is.
STARTUP = re.compile(r"(?:WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:).*\n?")
ESCAPES = re.compile(r"\x1b\[[\d;]*m")
NOWHERE = "http://127.0.0.1:9"  # as a proxy: nobody listens, so a download fails at once
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def kernel_environment(folder: str) -> dict[str, str]:
    """Returns the environment variables of a kernel that works in `folder`."""
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}  # inline pictures
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOWHERE)
    local = "localhost,127.0.0.1"
    environment |= proxies | {name.upper(): NOWHERE for name in proxies}
    environment |= {"no_proxy": local, "NO_PROXY": local}
    # The kernels and settings of this environment, not those of the user's home.
    environment |= {"IPYTHONDIR": folder, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return environment


def run(notebook: Any) -> None:
    """Executes all cells; their outputs are then in the notebook."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as settings:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_TIMEOUT,
            record_timing=False,
            coalesce_streams=True,
        )
        client.execute(cwd=folder, env=kernel_environment(settings))


def tidy(notebook: Any) -> None:
    """Removes what would differ from run to run, and from one machine to another."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
            if output.get("name") == "stderr":
                output.text = STARTUP.sub("", output.text)
        if "outputs" in cell:
            cell.outputs = [each for each in cell.outputs if each.get("text", "told").strip()]


def run_file(path: Path, write: bool) -> None:
    """Runs a notebook; with `write`, the file gets the outputs."""
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    run(notebook)
    seconds = time.perf_counter() - started
    if write:
        tidy(notebook)
        nbformat.write(notebook, path)
    print(f"{path.name}: {seconds:.0f} s", flush=True)


def main() -> None:
    """Runs the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    for path in options.notebooks:
        try:
            run_file(path, write=not options.check)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            sys.exit(f"{path.name}\n" + ESCAPES.sub("", str(error)))


if __name__ == "__main__":
    main()
