"""What more cores gain: `python benchmarks/cores.py [CORPUS] [--models ...] [--cores 1 2 4 8 16]`.

Without CORPUS: measures every op of a training step alone, on one thread, and prints for each
number of cores the work of the step, its longest chain, and the speed that so many cores would
reach. That comes from a simulation: the measured ops are scheduled over the cores in the order in
which they become ready, as TensorFlow does, each with the time that TensorFlow takes to start an
op. Beside it stands the measured speed, for as many cores as there are.

With CORPUS, a plain text file, one sentence a line: the speeds of gensim and of this package on one
core and on two (`taskset`), interleaved, in thousand words/s after compiling.
"""

import argparse
import glob
import heapq
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

STEPS, REPEATS = 32, 8


@dataclass
class Op:
    """An op of the step: the ops that it waits for, and how long it takes, in us."""

    inputs: list[str]
    time: float = 0.0


def ops_of(graph: Any, times: dict[str, list[float]]) -> dict[str, Op]:
    """The ops of a graph, with the lower quartiles of their measured times."""
    ops = {}
    for node in graph.node:
        inputs = [name.removeprefix("^").split(":")[0] for name in node.input]
        measured = sorted(times.get(node.name, [0.0]))
        ops[node.name] = Op(inputs, measured[len(measured) // 4])
    return ops


def profiled(run: Any) -> dict[str, list[float]]:
    """The times in us of all ops that run inside `run()`, by name."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3, python_tracer_level=0)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options=options):
            run()
        (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        space = xplane_pb2.XSpace()
        with open(path, "rb") as file:
            space.ParseFromString(file.read())
    plane = next(plane for plane in space.planes if plane.name == "/host:CPU")
    times: dict[str, list[float]] = defaultdict(list)
    for line in plane.lines:
        for event in line.events:
            name = plane.event_metadata[event.metadata_id].name
            if name == "ExecutorState::ProcessAsync::Start":  # a compiled kernel
                stats = {plane.stat_metadata[each.metadata_id].name: each for each in event.stats}
                stat = stats["name"]
                name = stat.str_value or plane.stat_metadata[stat.ref_value].name
            times[name.split(":")[0]].append(event.duration_ps / 1e6)
    return times


def longest_chain(ops: dict[str, Op], start: float) -> float:
    """The time of the longest chain of ops, each of which takes `start` to begin."""
    ends: dict[str, float] = {}

    def end(name: str) -> float:
        if name not in ends:
            op = ops[name]
            ends[name] = op.time + start + max(map(end, op.inputs), default=0.0)
        return ends[name]

    sys.setrecursionlimit(10 * len(ops) + 1000)
    return max(map(end, ops))


def scheduled(ops: dict[str, Op], cores: int, start: float) -> float:
    """The time of all ops on so many cores: whichever became ready first is begun first."""
    waits = {name: len(op.inputs) for name, op in ops.items()}
    followers: dict[str, list[str]] = defaultdict(list)
    for name, op in ops.items():
        for each in op.inputs:
            followers[each].append(name)
    ready = [(0.0, number, name) for number, name in enumerate(ops) if not waits[name]]
    heapq.heapify(ready)
    free = [0.0] * cores
    number, last = len(ops), 0.0
    running: list[tuple[float, int, str]] = []
    while ready or running:
        if running and (not ready or running[0][0] <= max(ready[0][0], free[0])):
            now, _, name = heapq.heappop(running)
            for each in followers[name]:
                waits[each] -= 1
                if not waits[each]:
                    number += 1
                    heapq.heappush(ready, (now, number, each))
            continue
        since, order, name = heapq.heappop(ready)
        done = max(since, heapq.heappop(free)) + ops[name].time + start
        heapq.heappush(free, done)
        heapq.heappush(running, (done, order, name))
        last = max(last, done)
    return last


def measure_step(name: str, cores: int) -> dict[str, Any]:
    """Measures and simulates the step that is traced for so many cores; on one thread."""
    import step_time
    import tensorflow as tf
    from tensorflow.python.eager import context

    from kerasw2v import block_model

    block_model.chains_side_by_side = lambda: min(8, cores)  # what the step is cut for
    counts = step_time.zipf_counts(84_000)
    model = step_time.model_of(name, counts, STEPS)
    dataset = step_time.dataset_of(name, model, counts, STEPS)
    model.fit(dataset, epochs=2, verbose=0)
    step = tf.function(model.train_step, autograph=False)
    batches = list(dataset)
    context.enable_run_metadata()
    step(batches[0])
    graphs = context.export_run_metadata().function_graphs
    context.disable_run_metadata()
    graph = max((each.post_optimization_graph for each in graphs), key=lambda g: len(g.node))
    times: dict[str, list[float]] = defaultdict(list)
    walls = []
    for _ in range(REPEATS):
        walls.append(1000 * step_time.time_of(model, dataset, STEPS))
        for key, values in profiled(lambda: [step(batch) for batch in batches]).items():
            times[key] += values
    ops = ops_of(graph, times)
    work = sum(op.time for op in ops.values())
    busy = sum(op.time > 0 for op in ops.values())
    start = max(0.0, min(walls) - work) / busy
    for op in ops.values():
        op.time += start if op.time else 0.0
    return {
        "cores": cores,
        "ops": busy,
        "start_us": start,
        "work_us": sum(op.time for op in ops.values()),
        "chain_us": longest_chain(ops, 0.0),
        "simulated_us": scheduled(ops, cores, 0.0),
        "one_thread_us": min(walls),
    }


def alone(*arguments: str, **environment: str) -> Any:
    """Runs this file with arguments in a process of its own; returns the JSON of its last line."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **environment}, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def simulate(name: str, cores: list[int]) -> None:
    """Prints the simulated and measured speed of a step on several numbers of cores."""
    rows = [
        alone("--one", name, "--cores", str(number), TF_NUM_INTEROP_THREADS="1", INTER="1")
        for number in cores
    ]
    one = rows[0]["simulated_us"]
    print(f"\n{name}: a step of 4,096 tokens, us")
    print("cores   ops  start of an op   work  longest chain  simulated  times one core  measured")
    for row in rows:
        number = row["cores"]
        measured = "-"
        if number <= (os.cpu_count() or 1):
            best = alone("--time", name, "--cores", str(number), INTER=str(number))
            measured = f"{best:.0f}"
        print(
            f"{number:5} {row['ops']:5} {row['start_us']:15.1f} {row['work_us']:6.0f} "
            f"{row['chain_us']:14.0f} {row['simulated_us']:10.0f} "
            f"{one / row['simulated_us']:15.2f} {measured:>9}",
            flush=True,
        )


def best_time(name: str) -> float:
    """The best time of a step, in us, on as many threads as INTER says."""
    import step_time

    repeat = step_time.repeat_of(name)
    return min(1000 * repeat() for _ in range(5 * REPEATS))


def compare(corpus: str, models: list[str], repetitions: int) -> None:
    """Prints the speeds of gensim and of this package on one core and on two."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "throughput.py")
    speeds: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for _ in range(repetitions):
        for model in models:
            for number in (1, 2):
                for library in ("gensim", "kerasw2v"):
                    command = ["taskset", "-c", "0" if number == 1 else "0,1", sys.executable]
                    command += [script, corpus, "--library", library, "--model", model]
                    command += ["--alpha", "0.05", "--seed", "1", "--epochs", "1"]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    speed = json.loads(done.stdout.splitlines()[-1])["steady_words_per_s"]
                    speeds[library, model, number].append(speed / 1000)
    print(f"load average {os.getloadavg()[0]:.2f}; thousand words/s, best (median)")
    for model in models:
        for library in ("gensim", "kerasw2v"):
            one, two = (speeds[library, model, number] for number in (1, 2))
            cells = [f"{max(each):.0f} ({statistics.median(each):.0f})" for each in (one, two)]
            gains = sorted(b / a for a, b in zip(one, two, strict=True))
            print(
                f"{library:9} {model:10} one core {cells[0]:>13}, two {cells[1]:>13}, gain "
                f"{max(two) / max(one):.2f} ({statistics.median(gains):.2f})"
            )
        ratios = [
            b / a
            for a, b in zip(speeds["gensim", model, 2], speeds["kerasw2v", model, 2], strict=True)
        ]
        print(
            f"{model}: kerasw2v by gensim on two cores, median {statistics.median(ratios):.2f}, "
            f"{min(ratios):.2f} to {max(ratios):.2f}"
        )


def main() -> None:
    """Parses the command line and runs what it asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus", nargs="?", help="a plain text file, one sentence a line")
    parser.add_argument("--models", nargs="+", default=["skip-gram", "cbow"])
    parser.add_argument("--cores", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--time", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure_step(options.one, options.cores[0])))
    elif options.time:
        print(json.dumps(best_time(options.time)))
    elif options.corpus:
        compare(options.corpus, options.models, options.repetitions)
    else:
        for model in options.models:
            simulate(f"{model}-ns", options.cores)


if __name__ == "__main__":
    main()
