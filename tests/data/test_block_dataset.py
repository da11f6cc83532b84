"""Block datasets: their pairs against a naive double loop over the sentences."""

import json
import random
import re
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import Vocabulary, block_dataset
from kerasw2v.data import block_dataset as module
from kerasw2v.data.block_dataset import default_batch_size, keep_probabilities, kept_tokens
from kerasw2v.data.counted_corpus import read_corpus
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.ops.windows import PADDING, decode_blocks, window_weights


def random_sentences(seed, number=40, longest=30, words=12):
    rng = random.Random(seed)
    lengths = (rng.choice([0, 1, 2, 3, rng.randrange(longest)]) for _ in range(number))
    return [
        [f"w{min(rng.randrange(words), rng.randrange(words))}" for _ in range(n)] for n in lengths
    ]


def naive_pairs(sentences, window):
    """The textbook: each word with each other one at most `window` places away in its sentence."""
    pairs = Counter()
    for sentence in sentences:
        for i, centre in enumerate(sentence):
            for j in range(max(0, i - window), min(len(sentence), i + window + 1)):
                if i != j:
                    pairs[centre, sentence[j]] += 1
    return pairs


def block_pairs(dataset, vocabulary, window, reach=None):
    """The pairs that one epoch of blocks trains."""
    pairs = Counter()
    for blocks in dataset:
        ids, sentences = decode_blocks(blocks)
        weights = window_weights(sentences, reach, window).numpy()
        words = np.array(vocabulary.words)[ids.numpy()]
        for row, i, j in np.argwhere(weights):
            pairs[str(words[row, i + window]), str(words[row, j])] += int(weights[row, i, j])
    return pairs


def tokens_of(dataset, window):
    """The centres of an epoch, padding included; a word that starts a sentence is `~id`."""
    return np.concatenate([blocks.numpy()[:, window:-window].ravel() for blocks in dataset])


@pytest.mark.parametrize("window", [1, 2, 5, 7])
@pytest.mark.parametrize(("block_length", "batch_size"), [(None, 64), (1, 1), (3, 10), (8, 8)])
def test_pairs_of_an_epoch_are_those_of_a_double_loop(window, block_length, batch_size):
    seed = window * batch_size
    sentences = random_sentences(seed)
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    dataset = block_dataset(
        sentences, vocabulary, window, 0, batch_size, seed, block_length=block_length
    )
    expected = naive_pairs(sentences, window)
    for _ in range(2):
        assert block_pairs(dataset, vocabulary, window) == expected


@pytest.mark.parametrize("read", [1, 2, 7, 50])
@pytest.mark.parametrize("shuffle", [1, 30, 1000])
def test_chunks_of_reading_and_shuffling_leave_no_seams(monkeypatch, read, shuffle):
    monkeypatch.setattr(module, "_READ_TOKENS", read)
    monkeypatch.setattr(module, "_SHUFFLE_TOKENS", shuffle)
    sentences = [*random_sentences(3, number=8), [f"w{i % 12}" for i in range(90)], ["w1"]]
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    dataset = block_dataset(sentences, vocabulary, 3, 0, batch_size=12, seed=5, block_length=4)
    assert block_pairs(dataset, vocabulary, 3) == naive_pairs(sentences, 3)


@pytest.mark.parametrize("window", [1, 4])
def test_shrunken_windows_are_cut_to_the_reach_of_their_centre(window):
    # One sentence without repeats, so a pair says which centre and which distance it is. Id 0 is
    # not in it: its sentence start looks like padding.
    sentence = [f"w{i:02}" for i in range(60)]
    vocabulary = Vocabulary(["unused", *sentence], [2] + [1] * 60)
    dataset = block_dataset(
        [sentence], vocabulary, window, 0, batch_size=24, seed=2, block_length=6
    )
    rng = np.random.default_rng(0)
    pairs, expected = Counter(), Counter()
    for blocks in dataset:
        ids, sentences = decode_blocks(blocks)
        reach = rng.integers(1, window + 1, (len(blocks), 6)).astype(np.int32)
        weights = window_weights(sentences, tf.constant(reach), window).numpy()
        words = np.array(vocabulary.words)[ids.numpy()]
        for row, i, j in np.argwhere(weights):
            pairs[str(words[row, i + window]), str(words[row, j])] += 1
        for row, i in np.argwhere(blocks.numpy()[:, window:-window] != PADDING):
            centre = sentence.index(words[row, i + window])
            near = range(max(0, centre - reach[row, i]), min(60, centre + reach[row, i] + 1))
            expected.update((sentence[centre], sentence[j]) for j in near if j != centre)
    assert pairs == expected
    assert set(pairs.values()) == {1}
    assert window == 1 or len(pairs) < naive_pairs([sentence], window).total()


def test_any_form_of_corpus_gives_the_same_batches(tmp_path):
    sentences = [sentence for sentence in random_sentences(4) if sentence]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(map(" ".join, sentences)))
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    batches = [
        [batch.numpy().tolist() for batch in block_dataset(corpus, vocabulary, 2, 0, 64, seed=1)]
        for corpus in (
            sentences,
            str(path),
            path,
            [path],
            TokenStream.from_corpus(path, vocabulary),
            TokenStream.from_corpus(path, vocabulary, in_memory_limit=0),
            read_corpus(path, min_count=1)[1],
        )
    ]
    assert all(other == batches[0] for other in batches)
    assert batches[0]


def test_words_outside_the_vocabulary_are_dropped_before_windows():
    sentences = [["a", "x", "b"], ["x", "a"], ["b", "a", "x", "x", "b"]] * 3
    vocabulary = Vocabulary(["a", "b"], [9, 9])
    dataset = block_dataset(sentences, vocabulary, 1, 0, 32, seed=1)
    without = [[word for word in sentence if word != "x"] for sentence in sentences]
    assert block_pairs(dataset, vocabulary, 1) == naive_pairs(without, 1)


def zipf_stream(size=200_000, sentence=10, vocabulary_size=200):
    """A token stream with random words and a sentence start at each tenth."""
    rng = np.random.default_rng(0)
    probabilities = 1 / np.arange(1, vocabulary_size + 1)
    ids = rng.choice(vocabulary_size, size, p=probabilities / probabilities.sum()).astype(np.int32)
    ids[:vocabulary_size] = np.arange(vocabulary_size)
    counts = np.bincount(ids)
    order = np.argsort(-counts, kind="stable")
    ids = np.argsort(order)[ids].astype(np.int32)
    vocabulary = Vocabulary([f"w{i}" for i in range(vocabulary_size)], counts[order])
    ids[::sentence] = ~ids[::sentence]
    return TokenStream(ids), vocabulary


def test_keep_probabilities_are_those_of_word2vec():
    counts, sample = np.array([50_000, 3_000, 100, 1]), 1e-3
    train_words = counts.sum()
    expected = [
        min(1.0, ((cn / (sample * train_words)) ** 0.5 + 1) * (sample * train_words) / cn)
        for cn in counts
    ]
    np.testing.assert_allclose(
        keep_probabilities(counts, sample * counts.sum()), expected, rtol=1e-6
    )
    assert (keep_probabilities(counts, 0) == 1).all()


def test_subsampling_keeps_by_word2vecs_formula():
    stream, vocabulary = zipf_stream()
    sample = 1e-3
    dataset = block_dataset(stream, vocabulary, 2, sample, 8192, seed=3)
    kept = np.zeros(len(vocabulary))
    for _ in range(3):
        for blocks in dataset:
            centres = blocks.numpy()[:, 2:-2].ravel()
            centres = centres[centres != PADDING]  # and word 0 where it starts a sentence
            kept += np.bincount(np.where(centres < 0, ~centres, centres), minlength=len(kept))
    counts = np.float64(vocabulary.counts)
    frequency = counts / counts.sum()
    keep = np.minimum(1, (np.sqrt(frequency / sample) + 1) * sample / frequency)
    expected, sigma = 3 * counts * keep, np.sqrt(3 * counts * keep * (1 - keep))
    # 199 binomials: a right one is beyond 4.5 sigma once in 1,500 seeds. Word 0 is left out.
    assert (np.abs(kept - expected) <= 4.5 * sigma + 1e-6)[1:].all()
    assert (keep[1:] < 0.2).sum() >= 3  # frequent words are hit hard
    assert (kept[keep == 1] == 3 * counts[keep == 1]).all()


@pytest.mark.parametrize("read", [1, 3, 2**18])
def test_windows_are_made_after_dropping_and_stay_in_their_sentence(monkeypatch, read):
    monkeypatch.setattr(module, "_READ_TOKENS", read)
    # A sentence is its own ten words in order, starting with the word that is dropped most.
    corpus = [["the", *(f"w{s:02}.{i}" for i in range(9))] for s in range(30)]
    vocabulary = Vocabulary.from_corpus(corpus, min_count=1)
    dataset = block_dataset(corpus, vocabulary, 2, 5e-3, 64, seed=1)
    # frequency .1 for "the", sample 5e-3: kept with probability .27; the others are all kept.
    for _ in range(4):
        expected, found = Counter(), block_pairs(dataset, vocabulary, 2)
        for sentence in corpus:
            kept_the = found["the", sentence[1]]
            assert kept_the in (0, 1)
            expected += naive_pairs([sentence[not kept_the :]], 2)
        assert found == expected
        dropped = sum(not found["the", sentence[1]] for sentence in corpus)
        assert 10 < dropped < 30  # mean 22, sigma 2.4


def test_windows_reach_over_dropped_words():
    corpus = [["a", "the", "b"]] * 300
    vocabulary = Vocabulary.from_corpus(corpus, min_count=1)
    dataset = block_dataset(corpus, vocabulary, 1, 0.04, 512, seed=1)
    pairs = block_pairs(dataset, vocabulary, 1)
    assert pairs["a", "b"] == pairs["b", "a"] > 0
    assert pairs["a", "the"] > 0


def test_another_draw_and_another_offset_in_each_epoch():
    stream, vocabulary = zipf_stream(2000)
    dataset = block_dataset(stream, vocabulary, 2, 1e-2, 256, seed=1)
    kept = {tuple(sorted(tokens_of(dataset, 2))) for _ in range(4)}
    assert len(kept) == 4
    sentence = [f"w{i:03}" for i in range(200)]
    vocabulary = Vocabulary.from_corpus([sentence], min_count=1)
    dataset = block_dataset([sentence], vocabulary, 2, 0, 256, seed=1)
    offsets = set()
    for _ in range(12):
        rows = [row.tolist() for batch in dataset for row in batch.numpy()]
        place = next(row.index(100) - 2 for row in rows if 100 in row[2:-2])
        offsets.add(place)
    # 12 of 16 places drawn: fewer than 4 different ones come up in 1 of 10**6 seeds.
    assert len(offsets) >= 4


@pytest.mark.parametrize("shuffle", [1000, 2**20])
def test_blocks_are_shuffled(monkeypatch, shuffle):
    monkeypatch.setattr(module, "_SHUFFLE_TOKENS", shuffle)
    monkeypatch.setattr(module, "_READ_TOKENS", 500)
    sentence = [f"w{i:04}" for i in range(4000)]
    vocabulary = Vocabulary.from_corpus([sentence], min_count=1)
    dataset = block_dataset([sentence], vocabulary, 2, 0, 256, seed=1, block_length=16)
    firsts = np.concatenate([batch.numpy()[:, 2] for batch in dataset])
    # In order each block starts 16 words after the last one; shuffled, one in about 60 does.
    assert (np.diff(firsts[firsts > 0]) == 16).mean() < 0.1


def epochs_of(dataset, number=2):
    return [[batch.numpy().tolist() for batch in dataset] for _ in range(number)]


def test_same_seed_same_batches():
    stream, vocabulary = zipf_stream(3000)
    first, again, other = (
        epochs_of(block_dataset(stream, vocabulary, 2, 1e-2, 512, seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first[0] != other[0]
    assert first[0] != first[1]


def test_a_seed_of_numpy_is_the_same_seed():
    stream = TokenStream.from_corpus([["a", "b"] * 50], Vocabulary(["a", "b"], [50, 50]))
    ours, theirs = (
        epochs_of(block_dataset(stream, Vocabulary(["a", "b"], [50, 50]), 2, 1e-2, 512, seed))
        for seed in (3, np.int64(3))
    )
    assert ours == theirs


def test_without_a_seed_pythons_random_decides():
    stream, vocabulary = zipf_stream(3000)
    runs = []
    for seed in (1, 1, 2):
        random.seed(seed)
        runs.append(epochs_of(block_dataset(stream, vocabulary, 2, 1e-2, 512), 1))
    assert runs[0] == runs[1] != runs[2]


def test_the_same_epoch_again_for_evaluation():
    stream, vocabulary = zipf_stream(3000)
    dataset = block_dataset(
        stream, vocabulary, 2, 1e-2, 512, seed=1, reshuffle_each_iteration=False
    )
    first, second = epochs_of(dataset)
    assert first == second


@pytest.mark.parametrize("sample", [0, 1e-4, 1e-2])
@pytest.mark.parametrize(
    ("batch_size", "block_length"), [(64, None), (1, 1), (1000, 30), (10**5, 16)]
)
def test_the_length_is_right_in_every_epoch(sample, batch_size, block_length):
    stream, vocabulary = zipf_stream(700)
    dataset = block_dataset(
        stream, vocabulary, 3, sample, batch_size, seed=1, block_length=block_length
    )
    length = block_length or (dataset.element_spec.shape[1] - 6)
    shape = (batch_size // length, length + 6)
    for _ in range(5):
        batches = list(dataset)
        assert len(batches) == len(dataset)
        assert {tuple(batch.shape) for batch in batches} == {shape}
        assert batches[0].dtype == tf.int32
    assert dataset.element_spec.shape == shape


def test_a_corpus_of_one_word():
    vocabulary = Vocabulary(["a"], [1])
    batches = list(block_dataset([["a"]], vocabulary, 2, 0, 32, seed=1))
    assert sum(int((batch.numpy() == PADDING).all()) for batch in batches) == len(batches)
    pairs = block_pairs(block_dataset([["a", "a"]], vocabulary, 2, 0, 32, seed=1), vocabulary, 2)
    assert pairs == {("a", "a"): 2}


def test_replicas_share_the_pairs(strategy):
    sentences = random_sentences(6, number=60)
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    dataset = block_dataset(sentences, vocabulary, 2, 0, batch_size=96, seed=1, block_length=16)
    pairs, shares = Counter(), [0, 0]
    for element in strategy.experimental_distribute_dataset(dataset):
        for replica, blocks in enumerate(strategy.experimental_local_results(element)):
            found = block_pairs([blocks], vocabulary, 2)
            shares[replica] += found.total()
            pairs += found
    assert pairs == naive_pairs(sentences, 2)
    assert min(shares) > 0.3 * sum(shares)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"window": 0}, ValueError, "`window` must be at least 1. Received: window=0."),
        ({"window": -3}, ValueError, "`window` must be at least 1. Received: window=-3."),
        ({"window": 2.5}, TypeError, "`window` must be an integer. Received: window=2.5."),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1. Received: batch_size=0."),
        ({"batch_size": -1}, ValueError, "`batch_size` must be at least 1."),
        ({"batch_size": 7}, ValueError, "`batch_size` must hold a block of"),
        ({"block_length": 0}, ValueError, "`block_length` must be at least 1."),
        ({"block_length": -1}, ValueError, "`block_length` must be at least 1."),
        ({"sample": -1e-3}, ValueError, "`sample` must not be negative. Received: sample=-0.001."),
        ({"sample": "x"}, TypeError, "`sample` must be a number. Received: sample='x'."),
        ({"corpus": "/no/such/file"}, FileNotFoundError, "/no/such/file"),
        ({"corpus": iter([["a"]])}, TypeError, "`corpus` must"),
        ({"corpus": ["a b", "a"]}, (TypeError, FileNotFoundError), "Received"),
        ({"corpus": [["x"]]}, ValueError, "at least one word of the vocabulary"),
        (
            {"seed": -1},
            ValueError,
            "`seed` must be from 0 to 9223372036854775807. Received: seed=-1.",
        ),
        (
            {"seed": 2**63},
            ValueError,
            "`seed` must be from 0 to 9223372036854775807. Received: seed=",
        ),
        ({"seed": 1.5}, TypeError, "`seed` must be an integer or None. Received: seed=1.5."),
        ({"seed": "abc"}, TypeError, "`seed` must be an integer or None. Received: seed='abc'."),
        ({"seed": -1, "corpus": "no such file"}, ValueError, "`seed` must be from 0"),
    ],
)
def test_bad_input(arguments, error, sentence):
    vocabulary = Vocabulary(["a", "b"], [2, 1])
    arguments = {"corpus": [["a", "b"], ["a"]], **arguments}
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        block_dataset(arguments.pop("corpus"), vocabulary, **arguments)
    assert "\n" not in str(caught.value)


def test_a_stream_of_another_vocabulary_is_refused():
    stream = TokenStream.from_corpus([["a", "b", "c"]], Vocabulary(["a", "b", "c"], [1, 1, 1]))
    with pytest.raises(ValueError, match="vocabulary"):
        block_dataset(stream, Vocabulary(["a", "b"], [2, 1]))


def test_given_probabilities_decide_what_is_kept():
    sentences = [["a", "b", "c", "a"]] * 200
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    keep = {"a": 1.0, "b": 0.0, "c": 0.5}
    dataset = block_dataset(
        sentences,
        vocabulary,
        window=2,
        sample=1e-9,
        batch_size=64,
        seed=1,
        keep=[keep[word] for word in vocabulary.words],
    )
    centres = np.concatenate([blocks.numpy()[:, 2:-2].ravel() for blocks in dataset])
    ids = np.where(centres < 0, ~centres, centres)
    padding = centres == ~0  # indistinguishable from a sentence of the first word alone
    found = {word: int(((ids == vocabulary.index(word)) & ~padding).sum()) for word in "abc"}
    starts = 200  # every sentence starts with 'a', which looks like padding here
    assert found["a"] == 400 - starts
    assert found["b"] == 0
    assert 70 < found["c"] < 130  # 200 tosses: 100, and four standard deviations of 7


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ([1.0, 0.5], "`keep` must hold a probability for each of 3 words. Received: shape=(2,)."),
        ([1.0, 0.5, 1.5], "`keep` must hold probabilities from 0 to 1. Received: 0.5 to 1.5."),
        ([1.0, 0.5, -1], "`keep` must hold probabilities from 0 to 1. Received: -1.0 to 1.0."),
        ([1.0, 0.5, np.nan], "`keep` must hold probabilities from 0 to 1. Received: nan to nan."),
    ],
)
def test_probabilities_that_are_none(keep, sentence):
    sentences = [["a", "b", "c"]]
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        block_dataset(sentences, vocabulary, keep=keep)


@pytest.mark.parametrize(
    ("tokens", "epochs", "halo", "size"),
    [
        (1, 1, 5, 32),
        (60_000, 1, 5, 128),
        (60_000, 10, 5, 1024),
        (1_640_000, 1, 5, 4096),  # a text of three million words
        (10**9, 1, 5, 4096),
        (1, 1, 300, 256),  # a block
        (10**9, 1, 300, 4096),
        (10**9, 1, 20_000, 256),  # of 40,256 words around each block
    ],
)
def test_the_batch_size_follows_from_the_training(tokens, epochs, halo, size):
    frequent = np.full(40, tokens / 40)
    assert default_batch_size(frequent, epochs, halo) == size
    twice = default_batch_size(frequent, epochs, halo, largest=8192)
    assert twice == (8192 if tokens == 10**9 and halo <= 300 else size)


def test_a_batch_may_be_larger_where_words_seldom_recur():
    assert default_batch_size(np.full(8000, 5), 1, 5) == 1024  # half of a quarter of the words
    assert default_batch_size([40_000 - 7999] + [1] * 7999, 1, 5) == 64


def test_kept_tokens_are_what_an_epoch_keeps():
    sentences = [["a"] * 6 + ["b"] * 2 + ["c"]] * 300
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    blocks = block_dataset(sentences, vocabulary, window=1, sample=1e-2, batch_size=64, seed=1)
    ids = np.concatenate([batch.numpy()[:, 1:-1].ravel() for batch in blocks])
    found = np.bincount(np.where(ids < 0, ~ids, ids)[ids != PADDING], minlength=3)
    expected = kept_tokens(vocabulary.counts, 1e-2)
    assert (abs(found - expected)[1:] < 4 * np.sqrt(expected[1:])).all()  # "a" looks like padding


def test_a_halo_below_the_window_must_hold_all_sentences():
    sentences = [["a", "b", "a"], ["b"], ["a", "b", "b", "a", "a"], ["b", "a"]] * 5
    vocabulary, stream = read_corpus(sentences, min_count=1)
    assert stream.longest_sentence() == 5
    arguments = {"window": 9, "sample": 0, "batch_size": 64, "seed": 1}
    dataset = block_dataset(stream, vocabulary, halo=4, **arguments)
    assert dataset.element_spec.shape == (2, 40)
    sentence = "`halo` must be at least 4: the longest sentence has 5 words, window=9. "
    with pytest.raises(ValueError, match=re.escape(sentence + "Received: halo=3.")):
        block_dataset(stream, vocabulary, halo=3, **arguments)
    with pytest.raises(ValueError, match=re.escape("`halo` must be at most `window`, 9.")):
        block_dataset(stream, vocabulary, halo=10, **arguments)


def test_several_workers_must_draw_the_same(monkeypatch):
    vocabulary = Vocabulary(["a", "b"], [2, 1])
    cluster, task = {"chief": ["a:1"], "worker": ["b:1"]}, {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    with pytest.raises(ValueError, match=r"`seed` must be given .* 2 workers in TF_CONFIG"):
        block_dataset("no such file, which is looked for later", vocabulary)
    block_dataset([["a", "b", "a"]], vocabulary, seed=1)
    block_dataset([["a", "b", "a"]] * 2, vocabulary, shard=(2, 0))
    one = json.dumps({"cluster": {"worker": ["a:1"]}, "task": task})
    for alone in ("no JSON", "[]", one):
        monkeypatch.setenv("TF_CONFIG", alone)
        block_dataset([["a", "b", "a"]], vocabulary)
