"""Runs one small task of one program that uses gensim's `Word2Vec`, with one of the engines.

    python programs.py NAME ENGINE

`run.py` starts it. The last line that it prints is JSON: the result and the seconds of the task,
without the time that imports take, or the error.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable

PROGRAMS = {
    "node2vec": "graph_programs:node2vec",
    "karateclub: DeepWalk": "graph_programs:karateclub_deepwalk",
    "karateclub: Node2Vec": "graph_programs:karateclub_node2vec",
    "karateclub: Walklets": "graph_programs:karateclub_walklets",
    "karateclub: Diff2Vec": "graph_programs:karateclub_diff2vec",
    "karateclub: SINE": "graph_programs:karateclub_sine",
    "fastnode2vec": "graph_programs:fastnode2vec",
    "pecanpy": "graph_programs:pecanpy",
    "henhoe2vec": "graph_programs:henhoe2vec",
    "pyrdf2vec": "graph_programs:pyrdf2vec",
    "pyrdf2vec: FastText": "graph_programs:pyrdf2vec_fasttext",
    "pysqlitekg2vec": "graph_programs:pysqlitekg2vec",
    "gensim's tutorial": "text_programs:gensim_tutorial",
    "wefe": "text_programs:wefe",
    "fse": "text_programs:fse",
    "scikit-embeddings": "text_programs:skembeddings",
    "generic-iterative-stemmer": "text_programs:generic_iterative_stemmer",
    "spec2vec": "text_programs:spec2vec",
    "product2vec": "text_programs:product2vec",
    "mol2vec": "text_programs:mol2vec",
    "cade": "text_programs:cade",
    "biovec": "text_programs:biovec",
    "nodevectors": "graph_programs:nodevectors",
    "deepwalk": "graph_programs:deepwalk",
    "zeugma": "text_programs:zeugma",
}
MODULES = {
    "scikit-embeddings": "skembeddings",
    "generic-iterative-stemmer": "generic_iterative_stemmer",
}


def package_of(program: str) -> str:
    """Returns the name that a program has in the package index."""
    return program.split(":")[0]


def module_of(package: str) -> str:
    """Returns the name by which a package is imported."""
    return MODULES.get(package, package)


def _task(program: str, engine: str) -> Callable[[], str]:
    """Imports what takes long, and returns the task of a program."""
    importlib.import_module("gensim.models")
    if engine == "kerasw2v":
        importlib.import_module("kerasw2v.fasttext")  # and TensorFlow
    if "'" not in program:
        importlib.import_module(module_of(package_of(program)))
    module, function = PROGRAMS[program].split(":")
    task: Callable[[], str] = getattr(importlib.import_module(module), function)
    return task


def main() -> None:
    """Runs one task and prints its outcome."""
    begin = time.perf_counter()
    try:
        task = _task(*sys.argv[1:])
        begin = time.perf_counter()
        outcome = {"result": task()}
    except Exception as error:  # any: it is the result
        outcome = {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    print("\n" + json.dumps({**outcome, "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
