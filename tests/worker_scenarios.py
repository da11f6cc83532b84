"""What the processes of tests/test_multi_worker.py do, each in a fork of one warm process."""

import json
import os
import signal
import sys
from contextlib import nullcontext

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Vocabulary, block_dataset, cli, layers, multi_worker
from kerasw2v.callbacks import Checkpoint, MergeTables
from kerasw2v.ops.row_merge import RowMerger
from kerasw2v.optimizers import RowSGD

WINDOW = 2
RATE = 0.025


def corpus():
    rng = np.random.default_rng(0)
    topics = [[f"{topic}{i}" for i in range(10)] for topic in "ab"]
    return [rng.choice(topics[i % 2], rng.integers(2, 12)).tolist() for i in range(120)]


SENTENCES = corpus()
VOCABULARY = Vocabulary.from_corpus(SENTENCES, min_count=1)


def exact_model(reduction="auto"):
    """Draws nothing, so that any number of workers sees the same sums of gradients."""
    layer = layers.FullSoftmax(len(VOCABULARY))
    model = SkipGram(len(VOCABULARY), 8, layer, WINDOW, shrink_windows=False, seed=1)
    model.compile(RowSGD(RATE, reduction=reduction))
    return model


def drawing_model(model_class, reduction, seed=1):
    layer = layers.NegativeSampling(VOCABULARY.counts, sharing="group", seed=seed)
    model = model_class(len(VOCABULARY), 8, layer, WINDOW, seed=seed)
    model.compile(RowSGD(RATE, reduction=reduction))
    return model


def blocks(**options):
    return block_dataset(SENTENCES, VOCABULARY, WINDOW, 0, batch_size=192, seed=1, **options)


def fitted(model, epochs=2, **options):
    """Losses, and both tables, after training."""
    losses = model.fit(blocks(), epochs=epochs, verbose=0, **options).history["loss"]
    return {"losses": losses, **tables(model)}


def tables(model):
    return {"input": model.embedding.embeddings.numpy(), "output": output_table(model)}


def output_table(model):
    return model.output_layer.embeddings.numpy()


def trained_in_all_ways(scope, drawing=True):
    """Trains one model of each kind; the names of the results say which."""
    results = {}
    with scope():
        results["exact"] = exact_model()
        if drawing:
            results["skip-gram rows"] = drawing_model(SkipGram, "rows")
            results["cbow dense"] = drawing_model(CBOW, "dense")
    return {name: fitted(model) for name, model in results.items()}


def main(index, addresses, scenario, folder, arguments):
    """Runs a scenario as one of several workers; what it returns is saved as the index's file."""
    output = os.open(f"{folder}/{index}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    results = globals()[scenario](index, addresses, *arguments)
    flat = {f"{name}/{key}": value for name, one in results.items() for key, value in one.items()}
    np.savez(f"{folder}/{index}.npz", **flat)
    sys.stdout.flush()
    os._exit(0)  # else processes wait for each other to end


def plain_fit(index, addresses, drawing=True):
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    strategy = multi_worker.connect(timeout=60)
    results = trained_in_all_ways(strategy.scope, drawing)
    if drawing:
        results["keras"] = {"error": error_of_plain_keras(strategy)}
        results["pairs"] = fit_on_pairs(strategy)
        results["chief"] = {"weights": states_from_chief(strategy, index)}
        results["same"] = {"error": error_of_different_options(strategy, index)}
        results["shards"] = fit_on_shards(strategy)
    return results


def error_of_plain_keras(strategy):
    """What `fit` of any Keras model says between several workers."""
    with strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(loss="mse")
    try:
        model.fit(np.ones((4, 1)), np.ones(4), batch_size=4, verbose=0)
    except Exception as error:
        return str(error)
    return ""


PAIRS = np.random.default_rng(0).integers(0, len(VOCABULARY), (2, 22))


def fit_on_pairs(strategy):
    """Arrays, with a last batch that is smaller than the others."""
    with strategy.scope() if strategy else tf.device("CPU:0"):
        model = exact_model("rows")
    data = tf.data.Dataset.from_tensor_slices(tuple(PAIRS)).batch(8)
    losses = model.fit(data, epochs=2, verbose=0).history["loss"]
    return {"losses": losses, "evaluated": model.evaluate(data, verbose=0), **tables(model)}


def states_from_chief(strategy, index):
    with strategy.scope():
        variables = [keras.Variable([1.5, 2.5]), keras.Variable([3, 4], dtype="int64")]
    for variable in variables:
        variable.assign(variable.value * (index + 1))
    multi_worker.from_chief(strategy, variables)
    return np.concatenate([variable.numpy() for variable in variables])


def error_of_different_options(strategy, index):
    multi_worker.check_same(strategy, "options", "the same")
    try:
        multi_worker.check_same(strategy, "options", f"those of {index}")
    except ValueError as error:
        return str(error)
    return ""


def fit_on_shards(strategy):
    with strategy.scope():
        model = exact_model()
    dataset, steps = multi_worker.sharded_blocks(
        strategy, SENTENCES, VOCABULARY, batch_size=192, window=WINDOW, sample=0, seed=1
    )
    losses = model.fit(dataset, steps_per_epoch=steps, verbose=0).history["loss"]
    pairs = float(strategy.reduce("SUM", model.pair_mean.pairs.value, axis=None))
    return {"losses": losses, "pairs": pairs, **tables(model)}


def shard_of(index, number):
    options = {"window": WINDOW, "sample": 0, "batch_size": 64, "seed": 1}
    return block_dataset(SENTENCES, VOCABULARY, shard=(number, index), **options)


def local_steps(index, addresses):
    """Four steps alone, a merge, and two more of an epoch, a merge; one row is moved by hand."""
    strategy = multi_worker.connect(addresses, index, timeout=60)
    model = sparse_model(seed=1 + index)
    merging = MergeTables(strategy, steps=4, limit=LIMIT)
    model.fit(shard_of(index, len(addresses)).take(6), verbose=0, callbacks=[merging])
    return {"end": tables(model), "by hand": merge_by_hand(strategy, index)}


LIMIT = 4.0
HAND_ROWS, HAND_MASSES = ([0, 1, 2], [1, 2, 4]), ([10.0, 1.0, 500.0], [30.0, 2.0, 700.0])


def merge_by_hand(strategy, index):
    """Rows that one worker has moved, that both have, a little and a lot, and that none has."""
    table, masses = tf.Variable(tf.ones((5, 3))), tf.Variable(tf.zeros(5))
    merger = RowMerger(strategy, [table], [masses], LIMIT)
    rows = tf.constant(HAND_ROWS[index])
    changes = hand_changes(index)
    table.scatter_add(tf.IndexedSlices(changes, rows))
    masses.scatter_add(tf.IndexedSlices(tf.constant(HAND_MASSES[index]), rows))
    merger.merge(learning_rate=0.1)
    return {"table": table.numpy(), "masses": masses.numpy()}


def hand_changes(index):
    return np.random.default_rng(index).normal(size=(3, 3)).astype(np.float32)


def sparse_model(seed):
    """Draws nothing; a batch moves the input rows of its own words only."""
    layer = layers.FullSoftmax(len(VOCABULARY))
    model = SkipGram(len(VOCABULARY), 8, layer, WINDOW, shrink_windows=False, seed=seed)
    model.compile(RowSGD(RATE), steps_per_execution=2)
    return model


def command(index, addresses, arguments):
    """`kerasw2v train` with these arguments, as a worker."""
    workers = ["--workers", ",".join(addresses), "--index", str(index)]
    code = cli.main(["train", *arguments, *workers])
    return {"command": {"code": code}}


def resumable(index, addresses, path, killed_after, by=signal.SIGKILL, alone=False):
    """Trains four epochs from the last checkpoint; the last worker gets a signal in that step."""
    strategy = multi_worker.connect(addresses, index, timeout=60)
    with nullcontext() if alone else strategy.scope():
        model = drawing_model(SkipGram, "auto", seed=1 + index if alone else 1)
    path = path if index == 0 else "/nowhere/else.weights.h5"
    checkpoint = Checkpoint(path, strategy if alone else None)
    shard = {"shard": (len(addresses), index)} if alone else {}
    steps = len(blocks(**shard))
    begun = checkpoint.restore(model, steps)
    callbacks = [MergeTables(strategy, steps=2), checkpoint] if alone else [checkpoint]
    if killed_after and index == len(addresses) - 1:
        callbacks.append(Death(killed_after, by))
    try:
        model.fit(
            blocks(first_epoch=begun, **shard),
            epochs=4,
            initial_epoch=begun,
            verbose=0,
            callbacks=callbacks,
        )
    except ConnectionError as error:
        return {"lost": {"error": str(error)}}
    return {"end": {"begun": begun, **tables(model)}}


class Death(keras.callbacks.Callback):
    """Ends or stops the process, as the system or a power cut would, after some steps."""

    def __init__(self, steps, by):
        super().__init__()
        self.left, self.by = steps, by

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.by)
