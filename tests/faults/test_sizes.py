"""Sizes that no machine can hold: one sentence, before anything is allocated."""

import resource
from functools import partial

import numpy as np
import pytest

from kerasw2v import CBOW, SkipGram, Vocabulary, Word2Vec, block_dataset, layers
from kerasw2v.cli import main
from kerasw2v.utils import memory

V, DIM, HUGE = 50, 8, 2**31
SENTENCES = [["a", "b", "c"], ["b", "a"]] * 9
VOCABULARY = Vocabulary.from_corpus(SENTENCES, min_count=1)


def built(layer, **arguments):
    layer(V, **arguments).build((None, DIM))


def skip_gram(embedding_dim=DIM, **arguments):
    SkipGram(V, embedding_dim, layers.FullSoftmax(V), **arguments)


def cbow(**arguments):
    CBOW(V, DIM, layers.FullSoftmax(V), **arguments)


def word2vec(**arguments):
    Word2Vec(SENTENCES, min_count=1, **{"vector_size": 4, **arguments})


def dataset(**arguments):
    block_dataset(SENTENCES, VOCABULARY, **arguments)


SIZES = {
    "skip-gram": (skip_gram, {"embedding_dim": HUGE // 2}, "`embedding_dim`"),
    "skip-gram, window": (skip_gram, {"window": HUGE // 2}, "`window` or `block_length`"),
    "skip-gram, block": (skip_gram, {"block_length": HUGE}, "`window` or `block_length`"),
    "CBOW, window": (cbow, {"window": HUGE // 2}, "`window` or `block_length`"),
    "CBOW, block": (cbow, {"block_length": HUGE}, "`window` or `block_length`"),
    "dataset, window": (
        dataset,
        {"window": HUGE, "batch_size": 4 * HUGE},
        "`batch_size`, `block_length` or `window`",
    ),
    "dataset, batch": (
        dataset,
        {"batch_size": 8 * HUGE},
        "`batch_size`, `block_length` or `window`",
    ),
    "negatives": (partial(built, layers.NegativeSampling), {"num_sampled": HUGE}, "`num_sampled`"),
    "shared": (partial(built, layers.NegativeSampling), {"shared_size": HUGE}, "`shared_size`"),
    "NCE": (partial(built, layers.NCE), {"num_sampled": HUGE}, "`num_sampled`"),
    "importance": (
        partial(built, layers.ImportanceSampling),
        {"num_sampled": HUGE},
        "`num_sampled`",
    ),
    "margin": (
        partial(built, layers.EmbeddingPrediction, loss="max_margin"),
        {"num_sampled": HUGE},
        "`num_sampled`",
    ),
    "targets": (partial(built, layers.EmbeddingPrediction), {"target_dim": HUGE}, "`target_dim`"),
    "Word2Vec, size": (word2vec, {"vector_size": HUGE - 1}, "`vector_size`"),
    "Word2Vec, negative": (word2vec, {"negative": HUGE}, "`num_sampled` (`negative`"),
    "Word2Vec, batch": (word2vec, {"batch_size": 8 * HUGE}, "`batch_size`"),
}


@pytest.fixture
def four_gibibytes(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * 2**30)


@pytest.mark.parametrize("name", SIZES)
def test_what_memory_cannot_hold_is_refused(name, four_gibibytes):
    make, arguments, names = SIZES[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MemoryError) as caught:
        make(**arguments)
    sentence = str(caught.value)
    assert names in sentence.partition(" must be smaller: ")[0]
    assert sentence.endswith(" GiB of memory, and 4.0 GiB are available.")
    assert sentence.count("\n") == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB


@pytest.mark.parametrize(
    "make",
    [
        partial(layers.EmbeddingLookup, HUGE, DIM),
        partial(layers.FullSoftmax, HUGE),
        partial(layers.EmbeddingLookup, V, HUGE),
    ],
)
def test_what_an_int32_does_not_number_is_refused(make):
    with pytest.raises(ValueError, match=r"` must be at most 2147483647\. Received: .*=2147483648"):
        make()


def test_a_window_may_be_larger_than_any_sentence():
    # Blocks are as wide as the longest sentence; the draws of windows are int32.
    word2vec(window=HUGE - 2, epochs=1)
    with pytest.raises(ValueError, match=r"^`window` must be at most 2147483646\. Received"):
        skip_gram(window=HUGE - 1)


def test_a_step_that_memory_cannot_hold_is_refused_before_it(monkeypatch):
    model = SkipGram(V, DIM, layers.NegativeSampling(V, num_sampled=40_000, sharing="example"))
    model.compile()
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    ids = np.zeros(1000, int)
    with pytest.raises(MemoryError, match=r"^`num_sampled` .* of 40,000,000 words, 8 numbers each"):
        model.fit(ids, ids, batch_size=1000, verbose=0)


def test_a_large_vocabulary_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**28)
    with pytest.raises(MemoryError, match=r"^`counts` must be smaller: a vocabulary of 1,073,741,"):
        layers.FullSoftmax(HUGE // 2)
    layer = layers.FullSoftmax(100_000)
    with pytest.raises(MemoryError, match=r"a table of 100,000 x 800 numbers needs 0\.3 GiB"):
        layer.build((None, 800))
    layer.build((None, 8))
    with pytest.raises(MemoryError, match=r"^The batch or the vocabulary must be smaller"):
        layer.log_probs(np.zeros((900, 8), np.float32))


def test_a_group_larger_than_a_batch_is_the_batch():
    layer = layers.NegativeSampling(V, group_size=HUGE, seed=1)
    batch = layers.NegativeSampling(V, sharing="batch", shared_size=layer.noise_size(), seed=1)
    inputs = np.ones((3, DIM), np.float32), np.array([1, 2, 3])
    np.testing.assert_array_equal(layer(*inputs), batch(*inputs))


def test_all_words_in_the_top_of_the_tree(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**26)
    with pytest.raises(
        MemoryError, match=r"^`dense_rows` must be smaller: the paths through 5,999"
    ):
        layers.HierarchicalSoftmax(6000, dense_rows=HUGE).build((None, 8))


@pytest.mark.parametrize("option", ["size", "negative"])
def test_the_command_line(folder, capsys, four_gibibytes, option):
    command = ["train", "corpus.txt", "--output", "out.kv", "--quiet", f"--{option}", str(HUGE)]
    assert main(command) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("kerasw2v: `")
    assert option in printed
    assert printed.endswith("4.0 GiB are available.\n")
    assert printed.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["corpus.txt"]


class TestDebug:
    @pytest.mark.parametrize("place", [0, 1, 3])
    def test_errors_are_raised(self, folder, place):
        command = ["similar", "no-such-file.kv", "cat"]
        command.insert(place, "--debug")
        with pytest.raises(FileNotFoundError):
            main(command)

    def test_an_error_that_nobody_foresaw_is_one_line(self, folder, capsys, monkeypatch):
        def fail(_):
            raise RuntimeError("first\nsecond")

        monkeypatch.setattr("kerasw2v.cli.similar._run", fail)
        assert main(["similar", "no-such-file.kv", "cat"]) == 1
        line = "kerasw2v: RuntimeError: first second (`--debug` shows where.)\n"
        assert capsys.readouterr().err == line
