"""Two towers: recall@10 and step time of in-batch softmaxes, ours and others.

    python benchmarks/retrieval.py [--items 10000] [--batch-size 512] [--steps 4000]
    python benchmarks/retrieval.py --losses-only [--batch-size 512] [--steps 200]

Users and items have planted vectors; item frequencies fall as `rank ** -0.8`. A user's items are
drawn from `p(item | user) ~ frequency * exp(sharpness * user . item)`, so both taste and popularity
matter. Two towers, each an embedding and a dense layer of 32 units, are trained on pairs with Adam
and the loss named. Recall@10 is the share of held-out pairs whose item is among the user's ten best
of all items. Each run is a process of its own; the step time is the median over the second half of
the steps. All models see the same batches in the same order.

* `plain`: softmax cross-entropy over the batch with the identity as labels, summed, as
  `tensorflow_recommenders.tasks.Retrieval` writes it; `plain, corrected`: with its options
  `candidate_sampling_probability` and `remove_accidental_hits`.
* `keras-rs`: the same from the layers of keras-rs (`pip install keras-rs`), if it is installed.
* `InBatchSoftmax`: ours, without a correction, with counts, and with a streaming estimate.
* `FullSoftmax`, `SampledSoftmax`: ours, tied to the item embedding, which is the whole item tower.

With `--losses-only` no towers are trained: loss and gradients of the vectors of a batch are timed,
all losses in turn in one process, so that the machine's swings meet all of them.

`tensorflow_recommenders` itself does not import with Keras 3.
"""

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from alone import run_alone

DIM, LATENT, USERS, PAIRS_A_USER, HELD_OUT, SHARPNESS = 32, 8, 5000, 100, 2, 5.0
LOSSES = (
    "plain",
    "plain, corrected",
    "keras-rs, corrected",
    "InBatchSoftmax",
    "InBatchSoftmax, counts",
    "InBatchSoftmax, streaming",
    "SampledSoftmax, tied",
    "FullSoftmax, tied",
)


class Task(NamedTuple):
    """Pairs `(n, 2)` of users and items to train on and held out; how often items occur."""

    trained: np.ndarray
    held_out: np.ndarray
    counts: np.ndarray


def make_task(items: int, seed: int = 0) -> Task:
    """Draws pairs from the planted distribution."""
    rng = np.random.default_rng(seed)
    tastes, kinds = (rng.normal(size=(n, LATENT)) / LATENT**0.5 for n in (USERS, items))
    popularity = rng.permutation(np.arange(1, items + 1) ** -0.8)
    drawn = np.empty((USERS, PAIRS_A_USER + HELD_OUT), np.int32)
    for user in range(USERS):
        logits = np.log(popularity) + SHARPNESS * kinds @ tastes[user]
        cumulative = np.cumsum(np.exp(logits - logits.max()))
        points = rng.random(PAIRS_A_USER + HELD_OUT) * cumulative[-1]
        drawn[user] = np.searchsorted(cumulative, points)
    order = np.argsort(-np.bincount(drawn[:, :PAIRS_A_USER].ravel(), minlength=items))
    drawn = np.argsort(order)[drawn].astype(np.int32)  # ids by falling frequency
    users = np.broadcast_to(np.arange(USERS, dtype=np.int32)[:, None], drawn.shape)
    pairs = np.stack([users, drawn], axis=-1)
    trained = rng.permutation(pairs[:, :PAIRS_A_USER].reshape(-1, 2))
    counts = np.bincount(trained[:, 1], minlength=items)
    return Task(trained, pairs[:, PAIRS_A_USER:].reshape(-1, 2), counts)


def make_loss(name: str, task: Task, item_table: Any) -> tuple[Callable[..., Any], Any]:
    """Returns a function of queries, candidates and item ids, to the mean loss of a batch.

    And the layer that ranks all items, or None where the item tower's vectors do.
    """
    import keras
    import tensorflow as tf

    from kerasw2v import layers

    shares = tf.constant(task.counts / task.counts.sum(), tf.float32)
    size = len(task.counts)

    def plain(queries: Any, candidates: Any, ids: Any, corrected: bool) -> Any:
        scores = tf.matmul(queries, candidates, transpose_b=True)
        labels = tf.eye(tf.shape(scores)[0])
        if corrected:
            probabilities = tf.clip_by_value(tf.gather(shares, ids), 1e-6, 1.0)
            scores -= tf.math.log(probabilities)
            own = tf.gather(ids, tf.argmax(labels, axis=1))
            duplicate = tf.cast(tf.equal(own[:, None], ids[None, :]), tf.float32) - labels
            scores += duplicate * (np.finfo(np.float32).min / 100.0)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, reduction="sum")
        return loss(labels, scores) / tf.cast(tf.shape(ids)[0], tf.float32)

    def of_keras_rs() -> Callable[..., Any]:
        import keras_rs

        correct = keras_rs.layers.SamplingProbabilityCorrection()
        remove = keras_rs.layers.RemoveAccidentalHits()

        def loss(queries: Any, candidates: Any, ids: Any) -> Any:
            scores = tf.matmul(queries, candidates, transpose_b=True)
            labels = tf.eye(tf.shape(scores)[0])
            scores = remove(correct(scores, tf.gather(shares, ids)), labels, ids)
            return tf.reduce_mean(
                keras.losses.categorical_crossentropy(labels, scores, from_logits=True)
            )

        return loss

    if name.startswith("plain"):
        return lambda q, c, ids: plain(q, c, ids, corrected="corrected" in name), None
    if name.startswith("keras-rs"):
        return of_keras_rs(), None
    if "tied" in name:
        head: Any = layers.FullSoftmax(size, embeddings=item_table)
        if name.startswith("Sampled"):
            head = layers.SampledSoftmax(task.counts, embeddings=item_table)
        return lambda q, c, ids: tf.reduce_mean(head(q, ids)), head
    sampling = None
    if name.endswith("counts"):
        sampling = task.counts
    elif name.endswith("streaming"):
        sampling = layers.StreamingProbabilities(num_buckets=2**16)
    layer = layers.InBatchSoftmax(sampling=sampling)
    return lambda q, c, ids: tf.reduce_mean(layer(q, c, ids, training=True)), None


def run(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Trains two towers with a loss; returns milliseconds a step and recall@10."""
    import keras
    import tensorflow as tf

    from kerasw2v import layers, metrics

    task = make_task(options.items)
    keras.utils.set_random_seed(1)
    users = keras.layers.Embedding(USERS, DIM)
    items = keras.layers.Embedding(options.items, DIM)
    query_tower = keras.Sequential([users, keras.layers.Dense(DIM)])
    item_tower = keras.Sequential([items, *([] if "tied" in name else [keras.layers.Dense(DIM)])])
    for tower in (query_tower, item_tower):
        tower.build((None,))
    loss_of, head = make_loss(name, task, items)
    optimizer = keras.optimizers.Adam(options.learning_rate)
    loss_of(query_tower(np.arange(4)), item_tower(np.arange(4)), tf.range(4))  # builds layers
    variables = query_tower.trainable_variables + item_tower.trainable_variables
    known = {id(variable) for variable in variables}
    variables += [v for v in getattr(head, "trainable_variables", []) if id(v) not in known]
    optimizer.build(variables)

    @tf.function
    def step(pairs: Any) -> Any:
        with tf.GradientTape() as tape:
            candidates = item_tower(pairs[:, 1])
            loss = loss_of(query_tower(pairs[:, 0]), candidates, pairs[:, 1])
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    times, size = [], options.batch_size
    batches = len(task.trained) // size
    for number in range(options.steps):
        begin = number % batches * size
        pairs = tf.constant(task.trained[begin : begin + size])
        started = time.perf_counter()
        step(pairs).numpy()
        times.append(time.perf_counter() - started)
    if head is None:
        head = layers.Candidates(options.items, DIM)
        head.assign(item_tower(np.arange(options.items)))
    recall = metrics.RecallAtK(10, head)
    recall.update_state(task.held_out[:, 1], query_tower(task.held_out[:, 0]))
    milliseconds = 1e3 * statistics.median(times[len(times) // 2 :])
    return {"milliseconds": milliseconds, "recall": float(recall.result())}


def time_losses(options: argparse.Namespace) -> None:
    """Prints the median milliseconds of the in-batch losses alone, with their gradients."""
    import tensorflow as tf

    task = make_task(options.items)
    names = [name for name in LOSSES if "tied" not in name]
    if importlib.util.find_spec("keras_rs") is None:
        names = [name for name in names if not name.startswith("keras-rs")]

    def make_step(name: str) -> Callable[..., Any]:
        loss_of, _ = make_loss(name, task, None)
        loss_of(tf.ones([4, DIM]), tf.ones([4, DIM]), tf.range(4))  # builds layers

        @tf.function
        def step(queries: Any, candidates: Any, ids: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([queries, candidates])
                loss = loss_of(queries, candidates, ids)
            return tape.gradient(loss, [queries, candidates])

        return step

    steps = {name: make_step(name) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    rng = np.random.default_rng(0)
    for number in range(options.steps):
        ids = tf.constant(task.trained[rng.integers(0, len(task.trained), options.batch_size), 1])
        vectors = [tf.random.normal([options.batch_size, DIM]) for _ in range(2)]
        for name in rng.permutation(names):
            started = time.perf_counter()
            steps[name](*vectors, ids)[0].numpy()
            if number >= options.steps // 5:
                times[name].append(time.perf_counter() - started)
    print(f"batches of {options.batch_size}, {DIM} dimensions, loss and gradients, ms")
    for name in names:
        quarters = 1e3 * np.quantile(times[name], [0.25, 0.5, 0.75])
        print("{:28} {:8.2f}  ({:.2f} to {:.2f})".format(name, *quarters[[1, 0, 2]]), flush=True)


def compare(options: argparse.Namespace) -> None:
    """Runs all losses, each alone, and prints a table."""
    task = make_task(options.items)
    best = np.argsort(-task.counts)[:10]
    popular = np.isin(task.held_out[:, 1], best).mean()
    print(f"{options.items:,} items, batches of {options.batch_size}, {options.steps:,} steps")
    print(f"{'':28} recall@10    ms a step")
    print(f"{'the ten most popular items':28} {popular:9.3f}", flush=True)
    for name in LOSSES:
        if name.startswith("keras-rs") and importlib.util.find_spec("keras_rs") is None:
            print(f"{name:28} not installed")
            continue
        arguments = [f"--items={options.items}", f"--batch-size={options.batch_size}"]
        arguments += [f"--steps={options.steps}", f"--learning-rate={options.learning_rate}"]
        result = run_alone(__file__, "--job", name, *arguments)
        print(f"{name:28} {result['recall']:9.3f} {result['milliseconds']:12.2f}", flush=True)


def main() -> None:
    """Reads the command line, and compares or runs one job."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--job", choices=LOSSES, help=argparse.SUPPRESS)
    parser.add_argument("--losses-only", action="store_true", help="time the losses alone")
    options = parser.parse_args()
    if options.losses_only:
        time_losses(options)
    elif options.job is None:
        compare(options)
    else:
        print(json.dumps(run(options.job, options)))


if __name__ == "__main__":
    main()
