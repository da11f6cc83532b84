"""Training on several machines: joining the cluster, sharding the corpus, comparing workers.

Keras 3.15 does not support `fit` under `tf.distribute.MultiWorkerMirroredStrategy`. It fails in two
places: building a model from its first batch, which the models of this package do not need, and
reducing the logs of a step, which `reducible_logs` works around.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context

from kerasw2v.data.block_dataset import block_dataset
from kerasw2v.data.corpus import Corpus
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.ops.strategies import (
    LOST,
    from_chief,
    is_chief,
    is_multi_worker,
    lost_workers_are_errors,
    reducible_logs,
    repeated_for_workers,
)
from kerasw2v.utils.checks import check_int, check_workers
from kerasw2v.utils.handshake import meet
from kerasw2v.utils.runtime import tf_config

__all__ = [
    "check_same",
    "check_workers",
    "connect",
    "from_chief",
    "is_chief",
    "is_multi_worker",
    "lost_workers_are_errors",
    "reducible_logs",
    "repeated_for_workers",
    "sharded_blocks",
]


def connect(
    workers: Sequence[str] | None = None, index: int | None = None, timeout: float = 60.0
) -> Any:
    """Joins a cluster of processes that train one model together.

    Every process calls it before it uses TensorFlow, and makes the model in the `scope` of the
    returned strategy. Unlike `tf.distribute.MultiWorkerMirroredStrategy`, which waits forever for a
    missing process, or for another program that answers in its place, it has a timeout. In training
    the others raise a ConnectionError: at once when a worker dies, after some ten seconds when one
    is stopped or out of reach.

    Args:
        workers: `"host:port"` of every process, in the same order everywhere. The first is the
            chief, the only one that writes. From the environment variable `TF_CONFIG` when None.
        index: index of this process among them; from `TF_CONFIG` when None.
        timeout: seconds to wait until all workers have met.

    Raises:
        ConnectionError: if a worker is missing after the timeout, or something else is behind its
            address, or this process cannot listen on its own.
        RuntimeError: if TensorFlow is in use already (raised by TensorFlow).
        TypeError, ValueError: if `workers` are not different addresses, `index` is out of range,
            or `TF_CONFIG` is needed and incomplete.
    """
    if workers is None:
        cluster = tf_config()
        if cluster is None:
            text = os.environ.get("TF_CONFIG", "")
            raise ValueError(
                "`workers` must be given, or the environment variable TF_CONFIG must name the "
                f"cluster and the task of this process. Received: TF_CONFIG={text!r}."
            )
        workers, index = cluster[0], cluster[1] if index is None else index
    workers, index = check_workers(workers, index)
    if not timeout > 0:
        raise ValueError(f"`timeout` must be positive. Received: timeout={timeout}.")
    meet(workers, index, timeout)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": workers}),
        task_type="worker",
        task_id=index,
        rpc_layer="grpc",
    )
    try:
        with _register_timeout(timeout):
            return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except LOST as error:
        raise ConnectionError(
            f"Worker {index} ({workers[index]}) lost another worker while TensorFlow started."
        ) from error


@contextmanager
def _register_timeout(seconds: float) -> Iterator[None]:
    """Has TensorFlow wait so long for the chief in the block, instead of an hour."""
    configured = context.context()
    original = configured.configure_coordination_service
    configured.configure_coordination_service = partial(
        original, cluster_register_timeout_in_ms=max(1, round(1000 * min(seconds, 3600.0)))
    )
    try:
        yield
    finally:
        configured.configure_coordination_service = original


def sharded_blocks(
    strategy: Any,
    corpus: Corpus | TokenStream,
    vocabulary: Vocabulary,
    batch_size: int = 4096,
    **options: Any,
) -> tuple[Any, int]:
    """Returns a `block_dataset` for several workers, each of which reads its own sentences.

    The sentences are divided into one run for each worker, of about equal numbers of tokens. With a
    plain `block_dataset` each worker would make all blocks and drop most of them.

    Args:
        strategy: the `tf.distribute.Strategy`.
        corpus: see `block_dataset`; the same for each worker, or a `TokenStream` of it.
        vocabulary: the words.
        batch_size: centres in a batch of all workers together; divided among the replicas.
        **options: other arguments of `block_dataset`, whose errors these are, too.

    Returns:
        `(dataset, steps)`: an infinite distributed dataset, and the number of steps in an epoch:
        `model.fit(dataset, steps_per_epoch=steps, epochs=5)`.
    """
    check_int("batch_size", batch_size, minimum=1)
    if not isinstance(corpus, TokenStream):
        corpus = TokenStream.from_corpus(corpus, vocabulary)

    lengths = []

    def worker_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = block_dataset(
            corpus,
            vocabulary,
            batch_size=batch_size // context.num_replicas_in_sync,
            shard=(context.num_input_pipelines, context.input_pipeline_id),
            **options,
        )
        lengths.append(len(dataset))
        return dataset.repeat()

    return strategy.distribute_datasets_from_function(worker_dataset), lengths[0]


def check_same(strategy: Any, what: str, value: str) -> None:
    """Raises ValueError in every worker unless all of them call it with the same `value`.

    Args:
        strategy: the `tf.distribute.Strategy`; nothing happens unless it spans processes.
        what: describes the value, for the message.
        value: a text of any length.
    """
    if not is_multi_worker(strategy):
        return
    number = tf.constant([zlib.crc32(value.encode())], tf.int64)

    @tf.function
    def all_numbers() -> Any:
        return strategy.run(lambda: tf.distribute.get_replica_context().all_gather(number, axis=0))

    with lost_workers_are_errors(strategy):
        gathered = strategy.experimental_local_results(all_numbers())[0].numpy()
    if (gathered != gathered[0]).any():
        raise ValueError(f"Every worker must have the same {what}. Received: different ones.")
