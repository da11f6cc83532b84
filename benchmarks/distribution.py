"""What training on several replicas costs here, and what it would give on real networks.

    python benchmarks/distribution.py [--plot scaling.png]

Measures, on this machine: a step of one global batch on 1, 2 and 4 logical devices
(`MirroredStrategy`); steps of 2 and 3 processes over loopback, each with a batch of its own, with
gradients sent as rows and as tables, and with steps alone and a merge now and then; and how long a
message of some size takes between processes. From that it predicts words/s for 1 to 64 workers.

The scaling model, for n workers with a batch of B words each:

    step(n) = compute(B) + latency * messages + bytes(n) * (8 / bandwidth + handling)
    words/s = n * B / step(n)

* compute(B): a step of one process with a machine of its own, measured.
* bytes(n): what a worker receives in a step, by the formulae of `kerasw2v.ops.replica_sum`. The
  rows that a batch names are counted on Zipf-distributed words, merged as they are sent.
* latency and handling: time of a small sum over two processes on loopback, and slope of the time
  over the bytes: what the software takes for a message and a byte, whatever the network.
* With merges, a step is compute(B) and its share of a merge, once in K steps:
  rows(n) * row + latency * messages + bytes(n) * (8 / bandwidth + handling). rows(n) is how many
  rows the words of n workers name in K steps; K is `architectures.suitable_merge_steps`; `row`, the
  work on a row before and after it is sent, is measured with two processes.
* Sending and computing do not overlap, which is how the code is; switches do not slow down with n;
  the input pipeline keeps up; a batch that is n times as large learns as well for each word (the
  README says how far that holds).

The check against processes on this machine divides the cores among them: compute(B) is then taken
as n times as long, less the cores that one process leaves idle.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from statistics import median

WINDOW, LENGTH, NEGATIVE = 5, 16, 5
GROUP, SHARED = 64, 32
NETWORKS = {"1 Gbit/s": 1e9, "10 Gbit/s": 1e10, "100 Gbit/s": 1e11}
WORKERS = (1, 2, 4, 8, 16, 32, 64)
WAYS = ("rows", "dense", "merged")
SIZES = (100_000, 1_000_000, 10_000_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=100, help="dimensions of what is measured")
    parser.add_argument("--batch", type=int, default=4096, help="words a step")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--plot", metavar="FILE.png")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--index", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args)))
        return
    print(
        f"V={args.vocabulary:,}, d={args.size}, {args.batch} words a step, {os.cpu_count()} cores"
    )
    one = in_processes(args, "one:1", 1)
    replicas = on_replicas(args, one)
    loopback = on_loopback(args, one)
    compute = in_processes(args, "one:1", 1, size=300)
    predictions = scale(args, compute, loopback)
    if args.plot:
        plot(predictions, args.plot)
    print(json.dumps({"replicas": replicas, "loopback": loopback, "compute300": compute}))


# What is measured, in processes of its own.


def in_processes(args, what, number, size=None):
    """Runs a measurement in some processes, and returns what the first of them found."""
    ports = []
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    for each in sockets:
        ports.append(each.getsockname()[1])
        each.close()
    workers = ",".join(f"127.0.0.1:{port}" for port in ports)
    command = [sys.executable, __file__, "--measure", f"{what}:{workers}"]
    command += ["--vocabulary", str(args.vocabulary), "--size", str(size or args.size)]
    command += ["--batch", str(args.batch), "--steps", str(args.steps)]
    processes = [
        subprocess.Popen(
            [*command, "--index", str(index)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(number)
    ]
    outputs = []
    try:
        for process in processes:
            outputs.append(process.communicate(timeout=600))
    finally:
        for process in processes:
            process.kill()
    if any(process.returncode for process in processes):
        raise SystemExit("\n".join(error[-2000:] for _, error in outputs))
    return json.loads(outputs[0][0].splitlines()[-1])


def measure(args):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from kerasw2v import multi_worker
    from kerasw2v.utils.runtime import divide_cores

    divide_cores()
    kind, detail, workers = args.measure.split(":", 2)
    if kind == "one":
        return train(args, None, "auto")
    if kind == "mirrored":
        number, reduction = detail.split(",")
        devices = [tf.config.LogicalDeviceConfiguration()] * int(number)
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, devices)
        names = [f"CPU:{i}" for i in range(int(number))]
        return train(args, tf.distribute.MirroredStrategy(names), reduction)
    strategy = multi_worker.connect(workers.split(","), args.index)
    if kind == "messages":
        return time_messages(strategy)
    if kind == "local":
        return train(args, strategy, "auto", local=True)
    return train(args, strategy, detail)


def words(args, number):
    """Words of a Zipf distribution, as a corpus of V words has them."""
    import numpy as np

    weights = 1 / (np.arange(args.vocabulary) + 2.7)
    edges = np.cumsum(weights / weights.sum())
    return np.searchsorted(edges, np.random.default_rng(args.index).random(number))


def train(args, strategy, reduction, local=False):
    """Returns the median time of a step. A batch is for one worker, shared by its replicas."""
    from contextlib import nullcontext

    import keras
    import numpy as np
    import tensorflow as tf

    from kerasw2v import SkipGram
    from kerasw2v.callbacks import MergeTables
    from kerasw2v.layers import NegativeSampling
    from kerasw2v.multi_worker import is_multi_worker
    from kerasw2v.optimizers import RowSGD

    width = LENGTH + 2 * WINDOW
    rows = args.batch // LENGTH
    blocks = words(args, 8 * rows * width).reshape(8, rows, width).astype(np.int32)
    with strategy.scope() if strategy and not local else nullcontext():
        counts = 1e9 / (np.arange(args.vocabulary) + 2.7)
        layer = NegativeSampling(counts, NEGATIVE, seed=1)
        model = SkipGram(args.vocabulary, args.size, layer, WINDOW, block_length=LENGTH, seed=1)
        model.compile(RowSGD(0.025, reduction=reduction))
    dataset = tf.data.Dataset.from_tensor_slices(blocks).repeat()
    if is_multi_worker(strategy) and not local:
        endless = dataset
        dataset = strategy.distribute_datasets_from_function(lambda context: endless)

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.times = []

        def on_train_batch_begin(self, batch, logs=None):
            self.begun = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter() - self.begun)

    class TimedMerges(MergeTables):
        """Notes how long merges take, and how many rows they have."""

        def on_train_begin(self, logs=None):
            super().on_train_begin(logs)
            self.times = []

        def _merge(self):
            begun = time.perf_counter()
            super()._merge()
            self.times.append(time.perf_counter() - begun)

    clock, merges = Clock(), None
    callbacks = [clock]
    steps = model.steps_per_execution
    if local:
        merges = TimedMerges(strategy, merge_steps(args.vocabulary, args.batch))
        callbacks = [clock, merges]
        steps = merges.steps
    calls = max(8, args.steps // steps)
    model.fit(dataset, steps_per_epoch=calls * steps, epochs=1, verbose=0, callbacks=callbacks)
    found = {"step": median(clock.times[2:]) / model.steps_per_execution}
    return found | ({"merge": median(merges.times[2:])} if local else {})


def merge_steps(vocabulary, batch):
    """Steps between two merges: `architectures.suitable_merge_steps`, in whole calls of 32."""
    return 32 * max(1, -(-4 * 2 * vocabulary // (32 * batch)))


def time_messages(strategy):
    """Returns what a sum over the workers takes: seconds, and seconds for each byte received."""
    import numpy as np
    import tensorflow as tf

    times = {}
    for length in (1_000, 300_000, 3_000_000):
        vector = tf.ones([length])

        @tf.function
        def total(vector=vector):
            return strategy.run(
                lambda: tf.distribute.get_replica_context().all_reduce(
                    tf.distribute.ReduceOp.SUM, tf.identity(vector)
                )
            )

        found = []
        for _ in range(12):
            begun = time.perf_counter()
            strategy.experimental_local_results(total())[0].numpy()
            found.append(time.perf_counter() - begun)
        times[length] = median(found[2:])
    number = strategy.num_replicas_in_sync
    received = np.array([4 * 2 * (number - 1) / number * length for length in times])
    slope, intercept = np.polyfit(received, list(times.values()), 1)
    return {"latency": times[1_000], "byte": float(slope), "intercept": float(intercept)}


# Tables of what was measured, and of what follows.


def on_replicas(args, one):
    print("\nOne global batch over logical devices of this machine (no more cores, so no gain):")
    print("  replicas  gradients   ms a step   overhead")
    found = {}
    print(f"  {1:8}  {'-':9}  {1000 * one['step']:10.1f}   {1:8.2f}")
    for number in (2, 4):
        for reduction in ("rows", "dense"):
            step = in_processes(args, f"mirrored:{number},{reduction}", 1)["step"]
            found[f"{number} {reduction}"] = step
            print(f"  {number:8}  {reduction:9}  {1000 * step:10.1f}   {step / one['step']:8.2f}")
    return found


def on_loopback(args, one):
    messages = in_processes(args, "messages:-", 2)
    print(
        f"\nA sum over two processes takes {1000 * messages['latency']:.2f} ms, and "
        f"{1e9 * messages['byte']:.2f} ns for each byte received."
    )
    print("Processes over loopback, a batch each:")
    print("  workers  gradients   MB a step   ms a step   predicted ms")
    found = {"messages": messages}
    for number in (2, 3):
        for reduction in ("rows", "dense"):
            moved = bytes_a_step(args.vocabulary, args.size, args.batch, number, reduction)
            step = in_processes(args, f"workers:{reduction}", number)["step"]
            share = number / max(1, os.cpu_count() // 2)
            guess = share * one["step"] + overhead(messages, moved)
            found[f"{number} {reduction}"] = [step, guess, moved]
            print(
                f"  {number:7}  {reduction:9}  {moved / 1e6:10.2f}  {1000 * step:10.1f}   "
                f"{1000 * guess:12.1f}"
            )
        local = in_processes(args, "local:-", number)
        steps = merge_steps(args.vocabulary, args.batch)
        rows, moved = of_merge(args.vocabulary, args.size, args.batch, number, steps)
        found[f"{number} local"] = [local, moved]
        step, merge = 1000 * (local["step"] + local["merge"] / steps), 1000 * local["merge"]
        print(
            f"  {number:7}  {'merged':9}  {moved / steps / 1e6:10.2f}  {step:10.1f}   in {steps} "
            f"steps a merge of {rows:,.0f} rows, {moved / 1e6:.1f} MB and {merge:.0f} ms"
        )
        if number == 2:
            sending = 3 * messages["latency"] + moved * messages["byte"]
            messages["row"] = max(0.0, local["merge"] - sending) / rows
            print(f"  The work on a row of a merge takes {1e9 * messages['row']:,.0f} ns.")
    return found


def of_merge(vocabulary, size, batch, workers, steps):
    """Returns how many rows a merge has, and how many bytes each worker receives."""
    rows = distinct_rows(vocabulary, batch * steps * workers)
    share = 2 * (workers - 1) / workers
    return rows, share * rows * (2 * size + 4) + workers * 2 * vocabulary / 8


def overhead(messages, moved, bandwidth=float("inf")):
    # Lengths, ids and rows of two tables, and the two numbers of the log.
    return 8 * messages["latency"] + moved * (messages["byte"] + 8 / bandwidth)


def distinct_rows(vocabulary, batch):
    """How many rows of both tables a batch of Zipf-distributed words names."""
    import numpy as np

    weights = 1 / (np.arange(vocabulary) + 2.7)
    chances = weights / weights.sum()
    noise = weights**0.75 / (weights**0.75).sum()

    def distinct(draws, chances):
        return -np.expm1(draws * np.log1p(-chances))

    candidates = batch * (LENGTH + 2 * WINDOW) / LENGTH
    met = 1 - distinct(candidates, chances)
    met *= 1 - distinct(batch / GROUP * SHARED, noise)
    return float(distinct(batch, chances).sum() + (1 - met).sum())


def bytes_a_step(vocabulary, size, batch, workers, reduction):
    from kerasw2v.ops.replica_sum import bytes_as_rows, bytes_as_table

    as_rows = bytes_as_rows(distinct_rows(vocabulary, batch), size, workers)
    as_tables = 2 * bytes_as_table(vocabulary, size, workers)
    if reduction == "auto":
        return min(as_rows, as_tables)
    return as_rows if reduction == "rows" else as_tables


def scale(args, compute, loopback):
    print(f"\nPredicted thousand words/s, d=300, {args.batch} words a worker and step:")
    header = "".join(f"{number:>9}" for number in WORKERS)
    print(f"  {'V':>10}  {'network':10}  {'way':12}{header}")
    predictions = {}
    for vocabulary in SIZES:
        for network, bandwidth in NETWORKS.items():
            for way in WAYS:
                rates = [
                    rate(args, vocabulary, bandwidth, way, number, compute, loopback["messages"])
                    for number in WORKERS
                ]
                predictions[vocabulary, network, way] = rates
                line = "".join(f"{value / 1000:9,.0f}" for value in rates)
                print(f"  {vocabulary:10,}  {network:10}  {way:12}{line}")
    return predictions


def rate(args, vocabulary, bandwidth, way, workers, compute, messages):
    """Words a second, by the model above."""
    step = compute["step"]
    if workers > 1 and way == "merged":
        steps = merge_steps(vocabulary, args.batch)
        rows, moved = of_merge(vocabulary, 300, args.batch, workers, steps)
        merge = 3 * messages["latency"] + moved * (messages["byte"] + 8 / bandwidth)
        # A row of 300 numbers is that much more work than one of those measured.
        step += (merge + rows * messages["row"] * 300 / args.size) / steps
    elif workers > 1:
        moved = bytes_a_step(vocabulary, 300, args.batch, workers, way)
        step += overhead(messages, moved, bandwidth)
    return workers * args.batch / step


def plot(predictions, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(SIZES), figsize=(13, 4), sharey=True)
    styles = dict(zip(NETWORKS, (":", "--", "-"), strict=True))
    colours = {"rows": "tab:blue", "dense": "tab:orange", "merged": "tab:green"}
    for axis, vocabulary in zip(axes, SIZES, strict=True):
        for (size, network, way), rates in predictions.items():
            if size == vocabulary:
                axis.loglog(
                    WORKERS,
                    rates,
                    styles[network],
                    color=colours[way],
                    label=f"{way}, {network}",
                )
        axis.set(title=f"V = {vocabulary:,}", xlabel="workers", xticks=WORKERS)
        axis.set_xticklabels(WORKERS)
    axes[0].set_ylabel("words/s (predicted)")
    axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
