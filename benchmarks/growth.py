"""What a larger vocabulary costs: `python benchmarks/growth.py`.

Prints JSON lines. First the time of a training step for each of SIZES words, of models that are
built side by side in one process and train the same blocks in turns: all ids are below the smallest
size, so what differs is the size of the tables alone. Then, each in a process of its own, the peak
of resident memory of a small training: model alone, and with vocabulary, export and saving.

Environment: SIZES ("84000 1000000 5000000"), DIM (100), REPEATS (30), STEPS (32 in a repeat).
"""

import json
import os
import resource
import sys
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
from alone import run_alone
from step_time import dataset_of, model_of, time_of, zipf_counts

from kerasw2v import Vocabulary
from kerasw2v.keyed_vectors import save_vectors, to_keyed_vectors

SIZES = [int(size) for size in os.environ.get("SIZES", "84000 1000000 5000000").split()]
DIM = int(os.environ.get("DIM", 100))
STEPS = int(os.environ.get("STEPS", 32))
MODELS = ("skip-gram-ns", "cbow-ns")


def measure_steps(name: str) -> dict[str, Any]:
    models = {size: model_of(name, zipf_counts(size), STEPS, DIM) for size in SIZES}
    dataset = dataset_of(name, models[SIZES[0]], zipf_counts(min(SIZES)), STEPS)
    for model in models.values():
        model.fit(dataset, epochs=2, verbose=0)
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(int(os.environ.get("REPEATS", 30))):
        for size, model in models.items():
            times[size].append(time_of(model, dataset, STEPS))
    first = np.array(times[SIZES[0]])
    return {
        "model": name,
        "best_ms": {size: round(min(each), 3) for size, each in times.items()},
        "median_ms": {size: round(float(np.median(each)), 3) for size, each in times.items()},
        "median_ratio": {
            size: round(float(np.median(np.array(each) / first)), 3) for size, each in times.items()
        },
    }


def measure_memory(name: str) -> dict[str, Any]:
    size = max(SIZES)
    vocabulary = Vocabulary([f"word{i}" for i in range(size)], zipf_counts(size).astype(int))
    with_vocabulary = peak()
    counts = zipf_counts(size)
    model = model_of(name, counts, STEPS, DIM)
    model.fit(dataset_of(name, model, zipf_counts(min(SIZES)), STEPS), verbose=0)
    trained = peak()
    with tempfile.TemporaryDirectory() as folder:
        save_vectors(to_keyed_vectors(model, vocabulary, copy=False), f"{folder}/vectors.kv")
    return {
        "model": name,
        "words": size,
        "tables_gb": round(2 * 4 * size * DIM / 1e9, 2),
        "peak_gb": {"vocabulary": with_vocabulary, "trained": trained, "saved": peak()},
    }


def peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


if __name__ == "__main__":
    if sys.argv[1:]:
        what, name = sys.argv[1:]
        print(json.dumps({"steps": measure_steps, "memory": measure_memory}[what](name)))
    else:
        for what in ("steps", "memory"):
            for name in MODELS:
                load = os.getloadavg()[0]
                print(json.dumps({**run_alone(__file__, what, name), "load_before": load}))
