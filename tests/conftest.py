"""What all tests share: a quiet TensorFlow with two fake CPU devices, and small vectors."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import pytest
import tensorflow as tf
from gensim.models import KeyedVectors

from kerasw2v.ops.shared_traces import forget_traces


def pytest_configure():
    # Two logical devices on one CPU: enough to test `tf.distribute` anywhere.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(1)


@pytest.fixture(autouse=True)
def own_traces():
    """A test may replace what a step calls, and another test must not run by its trace."""
    forget_traces()


@pytest.fixture(scope="session")
def strategy():
    # One for all tests of a process: collective ops of a second one would clash with those of the
    # first, which TensorFlow tells apart by numbers that each strategy counts anew.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def vectors():
    """Six words in five dimensions, with counts; not all of them ASCII."""
    words = ["the", "cat", "käse", "東京", "don't", "x+y"]
    made = KeyedVectors(5)
    made.add_vectors(words, np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32))
    for word, count in zip(words, [60, 50, 50, 9, 2, 1], strict=True):
        made.set_vecattr(word, "count", count)
    return made


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder with a corpus on two topics."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    topics = ["cat dog milk purr bark tail", "tax bank money loan rate credit"]
    lines = [" ".join(rng.choice(topics[i % 2].split(), size=12)) for i in range(200)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


# Files with the longest tests; begun last, they would leave the other worker with nothing to do.
_LONGEST = ["test_tutorials.py", "test_gensim_suite.py", "test_multi_worker.py"]
# gensim's tests that differ from others by where the sentences come from, or train in a way that
# our own tests train in too, marked `slow`.
_SLOW = {
    "test_cbow_hs_fromfile",
    "test_cbow_hs_online",
    "test_sg_hs_fromfile",
    "test_sg_hs_online",
    "test_sg_fixedwindowsize_fromfile",
    "test_cbow_fixedwindowsize_fromfile",
    "test_evaluate_word_pairs_from_file",
    "test_evaluate_word_pairs",
    "test_evaluate_word_analogies",
    "test_cbow_hs",
    "test_cbow_fixedwindowsize",
    "test_cbow_neg_fromfile",
    "test_sg_neg_training",
    "test_cbow_neg_online",
    "test_sg_neg_fromfile",
    "test_online_learning_after_save_from_file",
    "test_sg_hs",
    "test_parallel",
}
# Tests that train each of many layers or recipes: all but these are marked `slow`.
_KEPT_OF_MANY = {
    "test_skip_gram_tells_two_topics_apart": ("NegativeSampling", "HierarchicalSoftmax"),
    "test_trains_in_any_keras_model": (
        "FullSoftmax",
        "SampledSoftmax",
        "HierarchicalSoftmax",
        "EmbeddingPrediction",
    ),
    "test_smoke_variant_learns_what_it_promises": (
        "cbow-class-softmax",
        "skip-gram-negative-sampling",
        "lstm-adaptive-softmax",
    ),
    "test_replicas_learn_and_stay_equal": ("SkipGram-group", "CBOW-group"),
}


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items):
    rank = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    for item in items:
        test, _, case = item.name.rstrip("]").partition("[")
        if item.name in _SLOW or case not in _KEPT_OF_MANY.get(test, (case,)):
            item.add_marker("slow")
