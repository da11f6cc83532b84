"""What a small job waits for: `python benchmarks/small_jobs.py [CORPUS] [--pairs 5]`.

Prints, each from processes of their own, the best of `--pairs`:

- the import of TensorFlow, of gensim, and of `kerasw2v.Word2Vec`, which needs both;
- a first and a second `Word2Vec` of one shape, on 1,000 walks of 10 over 100 nodes, and gensim's;
- the memory of the process after 4 and after 200 such models;
- with CORPUS, a plain text file, one sentence a line: `train` alone over its first `--words`, one
  epoch, gensim's and ours in turn, for skip-gram and CBOW.

Seconds are by the clock, and of all processors together ("CPU"), which other programs disturb less.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

IMPORTS = {
    "TensorFlow": "import tensorflow",
    "gensim": "import gensim.models",
    "TensorFlow and gensim": "import tensorflow, gensim.models",
    "kerasw2v.Word2Vec": "import kerasw2v; kerasw2v.Word2Vec",
}
CLOCKS = (time.perf_counter, time.process_time)
TIMED = """
import time
start = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""


def word2vec(library: str) -> Any:
    """A library's class."""
    if library == "gensim":
        from gensim.models import Word2Vec
    else:
        from kerasw2v import Word2Vec
    return Word2Vec


def seconds_of(work: Any) -> list[float]:
    """Runs a function; returns its seconds, and those of all processors."""
    starts = [clock() for clock in CLOCKS]
    work()
    return [clock() - start for clock, start in zip(CLOCKS, starts, strict=True)]


def walks() -> list[list[str]]:
    rng = np.random.default_rng(0)
    steps = rng.integers(-1, 2, (1000, 10)).cumsum(axis=1)
    return [
        [str(node % 100) for node in walk] for walk in rng.integers(100, size=(1000, 1)) + steps
    ]


def first_and_second(library: str) -> dict[str, Any]:
    model, sentences = word2vec(library), walks()
    first, second = (seconds_of(lambda: model(sentences, sg=1, workers=2)) for _ in range(2))
    return {"first": first, "second": second}


def memory() -> dict[str, Any]:
    """Resident MB after 4 and after 200 models."""
    import gc

    model, sentences, megabytes = word2vec("kerasw2v"), walks()[:200], []
    for number in range(1, 201):
        model(sentences, sg=1, epochs=1, seed=number)
        if number in (4, 200):
            gc.collect()
            with open("/proc/self/statm") as file:
                megabytes.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    return {"MB after 4": megabytes[0], "MB after 200": megabytes[1]}


def training(library: str, corpus: str, words: int, sg: int) -> dict[str, Any]:
    """Seconds of `train` alone, one epoch."""
    sentences: list[list[str]] = []
    with open(corpus) as file:
        number = 0
        for line in file:
            sentences.append(line.split())
            number += len(sentences[-1])
            if number >= words:
                break
    model = word2vec(library)(sg=sg, workers=os.cpu_count(), epochs=1)
    model.build_vocab(sentences)
    seconds = seconds_of(
        lambda: model.train(sentences, total_words=model.corpus_total_words, epochs=1)
    )
    return {"train": seconds}


def alone(*arguments: str) -> dict[str, Any]:
    """Runs a part of this script in a process of its own."""
    run = [sys.executable, __file__, *arguments]
    result: dict[str, Any] = json.loads(subprocess.check_output(run, text=True).splitlines()[-1])
    return result


def best(rows: list[list[float]]) -> str:
    clock, processors = np.min(rows, axis=0)
    return f"{clock:.2f} s ({processors:.2f} s CPU)"


def report(options: argparse.Namespace) -> None:
    print(f"load before: {os.getloadavg()[0]:.1f}")
    imports: dict[str, list[list[float]]] = {name: [] for name in IMPORTS}
    jobs: dict[str, list[dict[str, Any]]] = {"gensim": [], "kerasw2v": []}
    for _ in range(options.pairs):
        for name, code in IMPORTS.items():
            run = [sys.executable, "-c", TIMED.format(code=code)]
            output = subprocess.check_output(run, text=True, stderr=subprocess.DEVNULL)
            imports[name].append([float(number) for number in output.split()])
        for library, rows in jobs.items():
            rows.append(alone("--part", "jobs", "--library", library))
    for name, times in imports.items():
        print(f"import, {name}: {best(times)}")
    for (library, rows), which in itertools.product(jobs.items(), ("first", "second")):
        print(f"{which} model, {library}: {best([row[which] for row in rows])}")
    print(json.dumps(alone("--part", "memory")))
    for sg in (1, 0) if options.corpus else ():
        times = {"gensim": [], "kerasw2v": []}
        for _, library in itertools.product(range(options.pairs), times):
            part = ["--part", "training", "--library", library, "--sg", str(sg)]
            times[library].append(
                alone(options.corpus, "--words", str(options.words), *part)["train"]
            )
        name = "skip-gram" if sg else "CBOW"
        ratios = np.divide(*(np.array(rows)[:, 0] for rows in times.values()))
        for library, rows in times.items():
            print(f"{name}, {options.words:,} words, {library}: {best(rows)}")
        print(f"{name}: times faster, by the clock, in pairs: {np.sort(ratios).round(2).tolist()}")


def main() -> None:
    """Parses the command line and runs the comparison, or a part of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("corpus", nargs="?", help="a plain text file, one sentence a line")
    parser.add_argument("--words", type=int, default=3_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    for internal in ("--part", "--library", "--sg"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "jobs":
        print(json.dumps(first_and_second(options.library)))
    elif options.part == "memory":
        print(json.dumps(memory()))
    elif options.part == "training":
        sg = int(options.sg)
        print(json.dumps(training(options.library, options.corpus, options.words, sg)))
    else:
        report(options)


if __name__ == "__main__":
    main()
