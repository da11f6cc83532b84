"""Training by two and three real processes that talk over loopback."""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context as eager_context

from kerasw2v import block_dataset, multi_worker
from kerasw2v.callbacks import Checkpoint
from kerasw2v.utils.handshake import meet

HERE = Path(__file__).parent
SECONDS = 240  # until a test gives up on its processes; they take some ten on an idle machine

# `importlib` mode keeps this folder off the path.
sys.path.insert(0, str(HERE))
import worker_scenarios as scenarios  # noqa: E402


@pytest.fixture(scope="module")
def warm():
    """Forks from a process that has imported TensorFlow and done nothing with it."""
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent), path or ""])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["worker_scenarios"])
    from multiprocessing import forkserver

    forkserver.ensure_running()
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path
    yield context
    forkserver._forkserver._stop()


class Cluster:
    """Some processes that run a scenario together."""

    def __init__(self, context, folder, number):
        self.context = context
        self.folder = folder
        self.number = number

    def run(self, scenario, *arguments, may_die=False):
        """Runs it, and returns what each process saved, or None for one that died."""
        self.folder.mkdir(exist_ok=True)
        for file in self.folder.iterdir():
            file.unlink()
        addresses = [f"127.0.0.1:{port}" for port in free_ports(self.number)]
        processes = [
            self.context.Process(
                target=scenarios.main,
                args=(index, addresses, scenario, str(self.folder), arguments),
                daemon=True,
            )
            for index in range(self.number)
        ]
        for process in processes:
            process.start()
        end = time.monotonic() + SECONDS
        for process in processes:
            process.join(max(0.1, end - time.monotonic()))
            process.kill()
            process.join()
            if may_die:  # or be stopped, and never end
                end = min(end, time.monotonic() + 5)
        codes = [process.exitcode for process in processes]
        assert may_die or not any(codes), self.output(codes)
        return [self._saved(index) for index in range(self.number)]

    def _saved(self, index):
        file = self.folder / f"{index}.npz"
        if not file.exists():
            return None
        with np.load(file) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def output(self, codes=""):
        texts = [(self.folder / f"{index}.out") for index in range(self.number)]
        return f"{codes}\n" + "\n\n".join(text.read_text()[-3000:] for text in texts)


@pytest.fixture
def cluster(warm, tmp_path):
    return lambda number: Cluster(warm, tmp_path / "cluster", number)


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def two_workers(warm, tmp_path_factory):
    """What two processes learned; one run for several tests."""
    folder = tmp_path_factory.mktemp("two")
    return Cluster(warm, folder / "cluster", 2).run("plain_fit")


@pytest.fixture(scope="module")
def one_process(strategy):
    """What one process learns: on one device, or as two replicas that draw as two workers do."""
    results = scenarios.trained_in_all_ways(strategy.scope)
    with tf.device("CPU:0"):
        results["exact"] = scenarios.fitted(scenarios.exact_model())
    return results


def assert_same(found, name, expected):
    """Compares losses and tables that were summed in another order."""
    np.testing.assert_allclose(found[f"{name}/losses"], expected["losses"], rtol=1e-5)
    for table in ("input", "output"):
        # Some twenty steps, each a float32 sum of some hundred terms in another order.
        np.testing.assert_allclose(found[f"{name}/{table}"], expected[table], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["exact", "skip-gram rows", "cbow dense"])
def test_two_workers_train_as_one_process(name, two_workers, one_process):
    for found in two_workers:
        assert_same(found, name, one_process[name])
    first, second = two_workers
    for table in ("input", "output"):
        np.testing.assert_array_equal(first[f"{name}/{table}"], second[f"{name}/{table}"])
    assert first[f"{name}/losses"][-1] < first[f"{name}/losses"][0]


def test_three_workers_train_as_one_process(cluster, one_process):
    results = cluster(3).run("plain_fit", False)
    for found in results:
        assert_same(found, "exact", one_process["exact"])


def test_workers_train_on_arrays_of_pairs(two_workers):
    alone = scenarios.fit_on_pairs(None)
    for found in two_workers:
        assert_same(found, "pairs", alone)
        assert found["pairs/evaluated"] == pytest.approx(alone["evaluated"], rel=1e-5)


def test_workers_read_sentences_of_their_own(two_workers):
    lengths = [len(sentence) for sentence in scenarios.SENTENCES]
    reach = scenarios.WINDOW
    pairs = sum(min(reach, i) + min(reach, n - 1 - i) for n in lengths for i in range(n))
    for found in two_workers:
        assert found["shards/pairs"] == pairs
    np.testing.assert_array_equal(two_workers[0]["shards/input"], two_workers[1]["shards/input"])


def test_state_comes_from_the_chief(two_workers):
    for found in two_workers:
        assert found["chief/weights"].tolist() == [1.5, 2.5, 3, 4]


def test_workers_with_different_options_are_told(two_workers):
    for found in two_workers:
        assert str(found["same/error"]) == (
            "Every worker must have the same options. Received: different ones."
        )


def test_keras_still_needs_our_workaround(two_workers):
    """If this fails, Keras has learned to train on several workers.

    Then `multi_worker.reducible_logs` and the sentence about Keras in that module can go.
    """
    for found in two_workers:
        assert str(found["keras/error"])


@pytest.mark.parametrize(
    "options",
    # The tutorial on many devices runs the first one.
    [pytest.param(["--sync", "gradients"], marks=pytest.mark.slow), []],
    ids=["gradients", "rows"],
)
def test_command_line(options, cluster, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(" ".join(words) for words in scenarios.SENTENCES))
    arguments = [str(corpus), "--output", str(tmp_path / "vectors.kv"), "--min-count", "1"]
    arguments += ["--size", "8", "--window", "2", "--epochs", "2", "--seed", "1", *options]
    arguments += ["--report", str(tmp_path / "run.html")]
    workers = cluster(2)
    results = workers.run("command", arguments)
    assert [int(found["command/code"]) for found in results] == [0, 0], workers.output()
    from gensim.models import KeyedVectors

    vectors = KeyedVectors.load(str(tmp_path / "vectors.kv"))
    assert sorted(vectors.index_to_key) == sorted(scenarios.VOCABULARY.words)
    assert (workers.folder / "1.out").read_text() == ""  # the chief alone reports
    assert "vectors.kv: 20 words" in (workers.folder / "0.out").read_text()
    assert '"epochs":[[1.0,' in (tmp_path / "run.html").read_text()


@pytest.fixture(scope="module")
def merged(warm, tmp_path_factory):
    """What two workers have that train on their own and merge; one run for several tests."""
    return Cluster(warm, tmp_path_factory.mktemp("merged") / "cluster", 2).run("local_steps")


def merged_in_numpy(before, changes, masses, rate, limit):
    """The rule, from its formula: (V, d), (n, V, d), (n, V)."""
    steps = rate * np.float64(masses)
    scales = np.maximum(1, steps / limit)[..., None]
    scale = np.minimum(1, limit / np.maximum(steps.sum(axis=0), 1e-30))[:, None]
    return before + scale * (scales * changes).sum(axis=0)


def test_merged_tables_follow_the_formula(merged):
    one = scenarios.sparse_model(seed=1)
    tables = [one.embedding.embeddings, one.output_layer.embeddings]
    one.optimizer.build(one.trainable_variables)
    kept = one.optimizer.keep_masses()
    common = [table.numpy() for table in tables]
    shards = [list(scenarios.shard_of(index, 2).take(6)) for index in range(2)]
    for steps in (range(4), range(4, 6)):
        changes, masses = [], []
        for shard in shards:
            for table, of_table, values in zip(tables, kept, common, strict=True):
                table.assign(values)
                of_table.assign(tf.zeros_like(of_table))
            for step in steps:
                one.train_step(shard[step])
            ends = [table.numpy() for table in tables]
            changes.append([end - start for end, start in zip(ends, common, strict=True)])
            masses.append([of_table.numpy() for of_table in kept])
        for i, before in enumerate(common):
            both = np.stack([change[i] for change in changes])
            mass = np.stack([mass[i] for mass in masses])
            common[i] = merged_in_numpy(before, both, mass, scenarios.RATE, scenarios.LIMIT)
    for found in merged:
        # Changes travel in half precision.
        np.testing.assert_allclose(found["end/input"], common[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found["end/output"], common[1], rtol=1e-3, atol=1e-4)


def test_merged_tables_are_equal_on_all_workers(merged):
    first, second = merged
    for name in ("end/input", "end/output", "by hand/table"):
        np.testing.assert_array_equal(first[name], second[name])


def test_what_one_worker_alone_has_moved_stays(merged):
    changes, masses = np.zeros((2, 5, 3)), np.zeros((2, 5))
    for index, rows in enumerate(scenarios.HAND_ROWS):
        changes[index, rows] = scenarios.hand_changes(index)
        masses[index, rows] = scenarios.HAND_MASSES[index]
    found = merged[0]["by hand/table"]
    alone = np.array([0, 4])  # the second far beyond the limit
    np.testing.assert_allclose(found[alone], 1 + changes.sum(axis=0)[alone], rtol=1e-3)
    np.testing.assert_allclose(found[1], 1 + changes[:, 1].sum(axis=0), rtol=1e-3)  # both, a little
    np.testing.assert_array_equal(found[3], np.ones(3))
    expected = merged_in_numpy(np.ones((5, 3)), changes, masses, 0.1, scenarios.LIMIT)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)
    assert not merged[0]["by hand/masses"].any()


@pytest.mark.parametrize(
    "alone", [pytest.param(False, marks=pytest.mark.slow), True], ids=["gradients", "rows"]
)
def test_killed_worker_and_resumption(alone, cluster, tmp_path):
    kill = signal.SIGKILL
    undisturbed = cluster(2).run("resumable", str(tmp_path / "a.weights.h5"), 0, kill, alone)
    path = str(tmp_path / "b.weights.h5")
    shard = {"shard": (2, 0)} if alone else {}
    calls = 1 if alone else len(scenarios.blocks(**shard))  # of an epoch
    left, dead = cluster(2).run("resumable", path, 2 * calls + 1, kill, alone, may_die=True)
    assert dead is None  # killed in its third epoch
    assert str(left["lost/error"]).startswith("Another worker was lost; start all of them again,")
    resumed = cluster(2).run("resumable", path, 0, kill, alone)
    for found, expected in zip(resumed, undisturbed, strict=True):
        assert (expected["end/begun"], found["end/begun"]) == (0, 2)
        for table in ("end/input", "end/output"):
            np.testing.assert_array_equal(found[table], expected[table])


def test_stopped_worker(cluster, tmp_path):
    """It is alive, and its port takes calls: only its silence tells."""
    path = str(tmp_path / "a.weights.h5")
    steps = len(scenarios.blocks())
    begun = time.monotonic()
    left, stopped = cluster(2).run("resumable", path, steps + 2, signal.SIGSTOP, may_die=True)
    assert stopped is None
    assert str(left["lost/error"]).startswith("Another worker was lost; start all of them again,")
    assert time.monotonic() - begun < SECONDS  # it was not killed by this test
    assert Path(path).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "a:1,b:1"], "`--index` must be given with `--workers`."),
        (
            ["--workers", "a:1,b", "--index", "0"],
            "Each of `workers` must be host:port. Received: 'b'",
        ),
        (
            ["--workers=a:1,b:1", "--index=0", "--local-steps=9", "--sync=gradients"],
            "`--local-steps` must not be given with `--sync gradients`",
        ),
    ],
)
def test_wrong_options_are_refused(options, message, capsys):
    assert scenarios.cli.main(["train", "--output", "vectors.kv", *options]) == 1
    assert capsys.readouterr().err.startswith(f"kerasw2v: {message}")


def test_missing_worker_is_told_in_time():
    ours, other = (f"127.0.0.1:{port}" for port in free_ports(2))
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match=rf"Worker 0 \({ours}\) waited 1 s and .* {other}\.$"):
        multi_worker.connect([ours, other], 0, timeout=1)
    assert time.monotonic() - begun < 10


def silent(connection):
    pass


def web_server(connection):
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def endless(connection):
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)


def test_tensorflow_waits_no_longer_for_the_first_worker(monkeypatch):
    context = eager_context.context()
    monkeypatch.setattr(context, "_coordination_service_config", None)
    before = context.configure_coordination_service
    with multi_worker._register_timeout(7.5):
        context.configure_coordination_service("standalone")
    assert context.coordination_service.cluster_register_timeout_in_ms == 7500
    assert context.configure_coordination_service == before


@pytest.mark.parametrize("answer", [silent, web_server, endless])
def test_another_program_behind_an_address_is_no_worker(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        chief = f"127.0.0.1:{listener.getsockname()[1]}"
        connections = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connections.append(listener.accept()[0])
                    threading.Thread(target=answer, args=connections[-1:], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        ours = f"127.0.0.1:{free_ports(1)[0]}"
        expected = rf"Worker 1 \({ours}\) waited 0\.5 s and did not hear from {chief}"
        begun = time.monotonic()
        with pytest.raises(ConnectionError, match=expected):
            multi_worker.connect([chief, ours], 1, timeout=0.5)
        assert time.monotonic() - begun < 10
        listener.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


def test_a_visitor_that_is_no_worker_disturbs_nobody():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    with ThreadPoolExecutor() as pool:
        meetings = [pool.submit(meet, addresses, index, 30) for index in range(2)]
        for greeting in (b"GET / HTTP/1.1\r\n", b"\xff" * 1000, b"", b"kerasw2v x 2\n"):
            host, port = addresses[0].split(":")
            while True:
                with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as c:
                    c.sendall(greeting)
                    break
        assert not any(meeting.done() for meeting in meetings)  # until the last one is there
        meet(addresses, 2, 30)
        for meeting in meetings:
            meeting.result()
    for address in addresses:  # TensorFlow is going to listen there
        socket.create_server(("", int(address.split(":")[1]))).close()


def test_a_worker_of_another_cluster_is_none_of_ours():
    one, two, three = (f"127.0.0.1:{port}" for port in free_ports(3))
    with ThreadPoolExecutor() as pool:
        other = pool.submit(meet, [one, three], 0, 1)
        with pytest.raises(ConnectionError, match=rf"hear from {one} \(another program"):
            meet([one, two], 1, 1)
        with pytest.raises(ConnectionError, match=rf"did not hear from {three}\.$"):
            other.result()


def test_address_in_use_is_told():
    with socket.create_server(("", 0)) as taken:
        ours = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=rf"Worker 0 cannot listen on {ours}: \w+"):
            multi_worker.connect([ours, "127.0.0.1:1"], 0, timeout=1)


@pytest.mark.parametrize(
    ("workers", "index", "message"),
    [
        (["a:1", "a"], 0, "Each of `workers` must be host:port. Received: 'a'."),
        (["a:1", "a:70000"], 0, "Each of `workers` must be host:port. Received: 'a:70000'."),
        (["a:1", "a:1"], 0, "`workers` must be different addresses."),
        ([], 0, "`workers` must be different addresses. Received: []"),
        (["a:1", "a:2"], 2, "`index` must be below the number of workers, 2. Received: index=2."),
        (["a:1", "a:2"], None, "`index` must be given with `workers`. Received: index=None."),
    ],
)
def test_wrong_addresses_are_refused(workers, index, message):
    with pytest.raises(ValueError, match="^" + message.replace("[", r"\[")):
        multi_worker.connect(workers, index)


def test_a_string_of_addresses_is_refused():
    with pytest.raises(TypeError, match="`workers` must be a list of addresses, not a string"):
        multi_worker.connect("a:1,b:1", 0)


@pytest.mark.parametrize("text", ["", "{", '{"cluster": {}}'])
def test_missing_tf_config_is_told(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="`workers` must be given, or the environment variable TF"):
        multi_worker.connect()


def test_tf_config_with_a_chief(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}
    for task, index in ((("chief", 0), 0), (("worker", 1), 2)):
        task = {"type": task[0], "index": task[1]}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
        assert multi_worker.tf_config() == (["a:1", "b:2", "c:3"], index)


def test_torn_checkpoint_is_never_loaded(tmp_path):
    path = tmp_path / "torn.weights.h5"
    model = scenarios.exact_model()
    model.optimizer.build(model.trainable_variables)
    model.save_weights(path)
    path.write_bytes(path.read_bytes()[:-1000])
    before = scenarios.tables(model)["input"].copy()
    with pytest.raises(ValueError, match="`path` must be an undamaged checkpoint"):
        Checkpoint(path).restore(model, 10)
    np.testing.assert_array_equal(scenarios.tables(model)["input"], before)


def test_shards_hold_every_pair_once():
    def pairs(dataset):
        found = []
        for batch in dataset.as_numpy_iterator():
            for block in batch:
                ids = np.where(block < 0, ~block, block)
                sentence = np.cumsum(block < 0)
                for centre in range(scenarios.WINDOW, len(block) - scenarios.WINDOW):
                    for other in range(centre - scenarios.WINDOW, centre + scenarios.WINDOW + 1):
                        if other != centre and sentence[other] == sentence[centre]:
                            found.append((ids[centre], ids[other]))
        return sorted(found)

    def dataset(shard=None):
        return block_dataset(
            scenarios.SENTENCES,
            scenarios.VOCABULARY,
            scenarios.WINDOW,
            0,
            batch_size=96,
            seed=1,
            shard=shard,
        )

    parts = [dataset((3, i)) for i in range(3)]
    assert len({len(part) for part in parts}) == 1
    assert sorted(chain.from_iterable(map(pairs, parts))) == pairs(dataset())
