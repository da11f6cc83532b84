"""Training on several machines: joining the cluster, sharding the corpus, sharing a state.

Keras 3.15 calls `fit` under `tf.distribute.MultiWorkerMirroredStrategy` unsupported. It fails in
two places: building a model from its first batch, which the models of this package do not need, and
reducing the logs of a step, for which `reducible_logs` is the workaround, all of it.
"""

import os
import socket
import time
import zlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasw2v.data.block_dataset import block_dataset
from kerasw2v.data.corpus import Corpus
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.ops.strategies import (
    from_chief as from_chief,
)
from kerasw2v.ops.strategies import (
    is_chief as is_chief,
)
from kerasw2v.ops.strategies import (
    is_multi_worker as is_multi_worker,
)
from kerasw2v.ops.strategies import (
    lost_workers_are_errors as lost_workers_are_errors,
)
from kerasw2v.ops.strategies import (
    reducible_logs as reducible_logs,
)
from kerasw2v.ops.strategies import (
    repeated_for_workers as repeated_for_workers,
)
from kerasw2v.utils.checks import check_workers
from kerasw2v.utils.runtime import tf_config

_POLL_SECONDS = 0.2


def connect(
    workers: Sequence[str] | None = None, index: int | None = None, timeout: float = 60.0
) -> Any:
    """Joins a cluster of processes that train one model together.

    Every process calls it, before anything else with TensorFlow, and gets the strategy under whose
    `scope` the model is made. It is `tf.distribute.MultiWorkerMirroredStrategy`, which waits for
    ever for a process that is not there; this waits as long as it is told.

    Args:
        workers: `"host:port"` of every process, in the same order everywhere. The first is the
            chief, which alone writes. Taken from the environment variable `TF_CONFIG` when None.
        index: which of them this process is, from 0; from `TF_CONFIG` when None.
        timeout: seconds to wait until the others listen on their addresses.

    Returns:
        The `tf.distribute.MultiWorkerMirroredStrategy`.

    Raises:
        ConnectionError: if not all of them are there in time.
        RuntimeError: if TensorFlow is in use already (TensorFlow says so).
        TypeError, ValueError: if `workers` are not different addresses or `index` is none of them,
            or if `TF_CONFIG` does not say them.
    """
    if workers is None:
        workers, from_config = _from_tf_config()
        index = from_config if index is None else index
    workers, index = check_workers(workers, index)
    if not timeout > 0:
        raise ValueError(f"`timeout` must be positive. Received: timeout={timeout}.")
    _meet(workers, index, timeout)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": workers}),
        task_type="worker",
        task_id=index,
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def _meet(workers: list[str], index: int, timeout: float) -> None:
    """Waits until every other worker listens on its address, as this one does on its own.

    TensorFlow does so too, but the chief would wait for ever.
    """
    end = time.monotonic() + timeout
    missing = [address for other, address in enumerate(workers) if other != index]
    port = int(workers[index].rpartition(":")[2])
    try:
        listener = socket.create_server(("", port), backlog=len(workers))
    except OSError as error:
        raise ConnectionError(
            f"Worker {index} cannot listen on {workers[index]}: {error.strerror}."
        ) from error
    with listener:
        while True:
            missing = [address for address in missing if not _listens(address)]
            if not missing:
                return
            if time.monotonic() > end:
                raise ConnectionError(
                    f"Worker {index} ({workers[index]}) waited {timeout:g} s in vain for "
                    f"{', '.join(missing)}."
                )
            time.sleep(_POLL_SECONDS)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _from_tf_config() -> tuple[list[str], int]:
    found = tf_config()
    if found is None:
        text = os.environ.get("TF_CONFIG", "")
        raise ValueError(
            "`workers` must be given, or the environment variable TF_CONFIG must name the cluster "
            f"and the task of this process. Received: TF_CONFIG={text!r}."
        )
    return found


def sharded_blocks(
    strategy: Any,
    corpus: Corpus | TokenStream,
    vocabulary: Vocabulary,
    batch_size: int = 4096,
    **options: Any,
) -> tuple[Any, int]:
    """Returns what `block_dataset` does, each worker reading sentences of its own.

    The sentences are cut into as many runs of about the same number of tokens as there are
    workers. A plain `block_dataset` trains on several workers too, but each makes all blocks then,
    to keep its share of them.

    Args:
        strategy: the `tf.distribute.Strategy`.
        corpus: see `block_dataset`; the same for each worker, or a `TokenStream` of it.
        vocabulary: the words.
        batch_size: centres in a batch of all workers together; divided among the replicas.
        **options: other arguments of `block_dataset`.

    Returns:
        `(dataset, steps)`: a distributed dataset without an end, and how many steps an epoch has:
        `model.fit(dataset, steps_per_epoch=steps, epochs=5)`.

    Raises:
        FileNotFoundError, TypeError, ValueError: as `block_dataset` does.
    """
    if not isinstance(corpus, TokenStream):
        corpus = TokenStream.from_corpus(corpus, vocabulary)

    lengths = []

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = block_dataset(
            corpus,
            vocabulary,
            batch_size=batch_size // context.num_replicas_in_sync,
            shard=(context.num_input_pipelines, context.input_pipeline_id),
            **options,
        )
        lengths.append(len(dataset))
        return dataset.repeat()

    return strategy.distribute_datasets_from_function(of_worker), lengths[0]


def check_same(strategy: Any, what: str, value: str) -> None:
    """Raises ValueError in every worker unless all of them call it with the same text.

    Args:
        strategy: the `tf.distribute.Strategy`; nothing happens unless it spans processes.
        what: what the text tells, for the message.
        value: the text, of any length.
    """
    if not is_multi_worker(strategy):
        return
    number = tf.constant([zlib.crc32(value.encode())], tf.int64)

    @tf.function
    def all_numbers() -> Any:
        return strategy.run(lambda: tf.distribute.get_replica_context().all_gather(number, axis=0))

    gathered = strategy.experimental_local_results(all_numbers())[0].numpy()
    if (gathered != gathered[0]).any():
        raise ValueError(f"Every worker must have the same {what}. Received: different ones.")
