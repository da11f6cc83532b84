"""From a corpus to a `tf.data.Dataset` of blocks of token ids."""

import random
from collections.abc import Iterator
from itertools import count
from math import ceil, log2, sqrt

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.data.corpus import Corpus
from kerasw2v.data.token_stream import TokenStream, taken, word_ids
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.ops.windows import PADDING, default_block_length
from kerasw2v.utils.checks import check_int, check_non_negative
from kerasw2v.utils.runtime import tf_config, without_autotune

_READ_TOKENS = 2**18
_SHUFFLE_TOKENS = 2**20
_PREFETCHED_BATCHES = 32


def block_dataset(
    corpus: Corpus | TokenStream,
    vocabulary: Vocabulary,
    window: int = 5,
    sample: float = 1e-3,
    batch_size: int = 4096,
    seed: int | None = None,
    block_length: int | None = None,
    reshuffle_each_iteration: bool = True,
    first_epoch: int = 0,
    keep: ArrayLike | None = None,
    shard: tuple[int, int] | None = None,
) -> tf.data.Dataset:
    """Returns a dataset of blocks of token ids, what `SkipGram` and `CBOW` train on.

    The corpus is encoded once. Each epoch then drops frequent words anew, keeping a word of
    relative frequency f with probability `(sqrt(f / sample) + 1) * sample / f`, cuts what is left
    into blocks at another offset, and shuffles the blocks (within about a million tokens). Each
    kept token is the centre of exactly one slot of one block, and finds its whole window there:
    every (centre, context) pair of a sentence occurs once an epoch, none across sentences.

    Args:
        corpus: a path (plain, .gz, .bz2, .xz; one sentence a line), a list of paths, any
            re-iterable of token lists, or a `TokenStream` encoded before.
        vocabulary: the words; others are dropped before windows are made.
        window: largest distance of a pair; halo of a block on either side.
        sample: threshold of subsampling, 0 for none.
        batch_size: centres in a batch; rounded down to whole blocks.
        seed: seed of subsampling, offsets and order; drawn from Python's `random` when None. It
            must be given where several workers make all blocks (`TF_CONFIG`, and no `shard`).
        block_length: centres in a block; chosen for the window when None.
        reshuffle_each_iteration: False to make the same draws in every epoch, for evaluation.
        first_epoch: number of the epoch that the first iteration is; training that goes on after
            n epochs sees the draws it would have seen undisturbed with `first_epoch=n`.
        keep: probability of each word to be kept, `(V,)`, instead of that which `sample` gives.
        shard: `(n, i)` to read only the i-th, from 0, of n parts of the corpus, cut between
            sentences; all parts have the same number of batches. Word counts are the corpus'.

    Returns:
        A dataset of int32 tensors `(batch_size // block_length, block_length + 2 * window)`, the
        form of which `kerasw2v.ops.windows` describes. Its `len` is known and the same in every
        epoch: the last batches are padded.

    Raises:
        FileNotFoundError, TypeError, ValueError: for a corpus that cannot be read, or sizes and
            thresholds out of range.

    Cost: one pass over the corpus to encode it, then about 20 ns a word and epoch; memory does
    not grow with the corpus.

    Example:

    >>> from kerasw2v import Vocabulary, block_dataset
    >>> sentences = [["to", "be", "or", "not", "to", "be"]] * 10
    >>> vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    >>> dataset = block_dataset(sentences, vocabulary, window=2, sample=0, batch_size=64, seed=1)
    >>> len(dataset), dataset.element_spec.shape
    (2, TensorShape([2, 36]))
    """
    window = check_int("window", window, minimum=1)
    sample = check_non_negative("sample", sample)
    if block_length is None:
        block_length = default_block_length(window)
    length = check_int("block_length", block_length, minimum=1)
    rows = check_int("batch_size", batch_size, minimum=1) // length
    if not rows:
        raise ValueError(
            f"`batch_size` must hold a block of {length} tokens. Received: batch_size={batch_size}."
        )
    if seed is None and shard is None:
        _check_alone()
    if not isinstance(corpus, TokenStream):
        corpus = TokenStream.from_corpus(corpus, vocabulary)
    parts, part = (1, 0) if shard is None else _checked_shard(shard)
    counts = count_ids(corpus, len(vocabulary))
    keeps = keep_probabilities(counts, sample) if keep is None else _checked_keep(keep, len(counts))
    streams = corpus.shards(parts)
    epochs = _BlockEpochs(streams, part, counts, keeps, window, length, rows, seed)
    numbers = count(check_int("first_epoch", first_epoch, minimum=0))

    def batches() -> Iterator[NDArray[np.int32]]:
        return epochs.batches(next(numbers) if reshuffle_each_iteration else first_epoch)

    shape = (rows, length + 2 * window)
    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec((None, *shape), tf.int32)
    )
    dataset = dataset.flat_map(tf.data.Dataset.from_tensor_slices)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(epochs.steps))
    return _sharded_by_batches(without_autotune(dataset.prefetch(_PREFETCHED_BATCHES)))


def _check_alone() -> None:
    """Refuses draws that several workers, each keeping its share of all batches, do not have."""
    workers, _ = tf_config() or ([], 0)
    if len(workers) > 1:
        raise ValueError(
            "`seed` must be given when several workers train together: each would make other "
            f"blocks. Received: seed=None, {len(workers)} workers in TF_CONFIG."
        )


def _sharded_by_batches(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Lets `tf.distribute` give each worker its share of a batch: there are no files to share."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


class _BlockEpochs:
    """Makes the batches of any epoch of a token stream, each the same number of them."""

    def __init__(
        self,
        streams: list[TokenStream],
        part: int,
        counts: NDArray[np.int64],
        keep: NDArray[np.float32],
        window: int,
        length: int,
        rows: int,
        seed: int | None,
    ) -> None:
        self.stream = streams[part]
        self.window = window
        self.length = length
        self.rows = rows
        self.seed = random.randint(1, 10**9) if seed is None else seed
        self.keep = keep
        # Each part draws for itself, but all of them take the same number of steps.
        self._part = [part] if len(streams) > 1 else []
        of_parts = [counts]
        if len(streams) > 1:
            of_parts = [count_ids(stream, len(counts)) for stream in streams]
        self.steps = max(map(self._steps, of_parts))

    def _steps(self, counts: NDArray[np.int64]) -> int:
        """Returns how many batches hold any epoch: the draws vary, eight sigmas are allowed for."""
        mean = float(counts @ self.keep)
        sigma = sqrt(float(counts @ (self.keep * (1 - self.keep))))
        most = min(mean + 8 * sigma, float(counts.sum())) + self.length  # the offset's padding
        return ceil(most / (self.rows * self.length))

    def batches(self, epoch: int) -> Iterator[NDArray[np.int32]]:
        """Yields stacks of batches, `(n, rows, length + 2 * window)`, shuffled."""
        rng = np.random.default_rng([self.seed, epoch, *self._part])
        done = 0
        waiting: list[NDArray[np.int32]] = []
        for blocks in self._blocks(rng):
            waiting.append(blocks)
            if sum(map(len, waiting)) * self.length >= _SHUFFLE_TOKENS:
                stack, rest = self._stack(rng.permutation(np.concatenate(waiting)))
                waiting = [rest]
                done += len(stack)
                yield stack
        blocks = np.concatenate(waiting) if waiting else self._padding(0)
        missing = (self.steps - done) * self.rows - len(blocks)
        blocks = np.concatenate([rng.permutation(blocks), self._padding(missing)])
        yield self._stack(blocks)[0]

    def _stack(self, blocks: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        whole = len(blocks) // self.rows * self.rows
        return blocks[:whole].reshape(-1, self.rows, blocks.shape[1]), blocks[whole:]

    def _padding(self, rows: int) -> NDArray[np.int32]:
        return np.full((rows, self.length + 2 * self.window), PADDING, np.int32)

    def _blocks(self, rng: np.random.Generator) -> Iterator[NDArray[np.int32]]:
        """Yields the blocks of an epoch in the corpus's order."""
        lead = self.window + int(rng.integers(self.length))
        pending = np.full(lead, PADDING, np.int32)
        for kept in self._kept(rng):
            pending = np.concatenate([pending, kept])
            whole = max(0, (len(pending) - 2 * self.window) // self.length)
            yield self._frame(pending, whole)
            pending = pending[whole * self.length :]
        left = len(pending) - self.window  # centres not yet in a block
        whole = ceil(left / self.length)
        needed = whole * self.length + 2 * self.window - len(pending)
        yield self._frame(np.pad(pending, (0, needed), constant_values=PADDING), whole)

    def _frame(self, tokens: NDArray[np.int32], blocks: int) -> NDArray[np.int32]:
        if not blocks:
            return self._padding(0)
        width = self.length + 2 * self.window
        frames = np.lib.stride_tricks.sliding_window_view(tokens, width)[:: self.length]
        return np.asarray(frames[:blocks])

    def _kept(self, rng: np.random.Generator) -> Iterator[NDArray[np.int32]]:
        """Yields what subsampling keeps; the first kept token of a sentence starts it."""
        start_is_due = False
        for part in self.stream.parts(_READ_TOKENS):
            ids = word_ids(part)
            places = np.flatnonzero(rng.random(len(ids), np.float32) < self.keep[ids])
            kept, start_is_due = taken(ids, places, np.flatnonzero(part < 0), start_is_due)
            yield kept


def count_ids(stream: TokenStream, vocabulary_size: int) -> NDArray[np.int64]:
    """Returns how often each word occurs in a stream; raises ValueError for ids outside."""
    counts = np.zeros(vocabulary_size, np.int64)
    for part in stream.parts():
        found = np.bincount(word_ids(part), minlength=vocabulary_size)
        if len(found) > vocabulary_size:
            raise ValueError(
                "`vocabulary` must be the one that the stream was encoded with. "
                f"Received: {vocabulary_size} words, id {len(found) - 1} in the stream."
            )
        counts += found
    return counts


def default_batch_size(corpus_words: int, window: int, largest: int = 4096) -> int:
    """Returns a power of two from 256 to `largest` tokens that leaves some 256 steps an epoch.

    Large batches are fast, but all their gradients are taken at one point: a small corpus needs
    its updates more than speed.

    Args:
        corpus_words: number of words of the corpus.
        window: the model's window; a batch holds at least one block for it.
        largest: most tokens, see `BlockModel.largest_batch`.
    """
    size = 1 << int(log2(max(1, corpus_words // 256)))
    return max(min(largest, max(256, size)), default_block_length(window))


def _checked_shard(shard: tuple[int, int]) -> tuple[int, int]:
    parts = check_int("shard[0]", shard[0], minimum=1)
    part = check_int("shard[1]", shard[1], minimum=0)
    if part >= parts:
        raise ValueError(f"`shard[1]` must be below `shard[0]`. Received: shard={shard}.")
    return parts, part


def _checked_keep(keep: ArrayLike, vocabulary_size: int) -> NDArray[np.float32]:
    probabilities = np.asarray(keep, np.float32)
    if probabilities.shape != (vocabulary_size,):
        raise ValueError(
            f"`keep` must hold a probability for each of {vocabulary_size} words. "
            f"Received: shape={probabilities.shape}."
        )
    if not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise ValueError(
            "`keep` must hold probabilities from 0 to 1. "
            f"Received: {probabilities.min()} to {probabilities.max()}."
        )
    return probabilities


def keep_probabilities(counts: NDArray[np.int64], sample: float) -> NDArray[np.float32]:
    """Returns the probability that subsampling keeps each word, by word2vec.c's formula.

    Args:
        counts: occurrences of each word.
        sample: threshold on the relative frequency, 0 for no subsampling.
    """
    if not sample or not counts.sum():
        return np.ones(len(counts), np.float32)
    ratio = np.maximum(counts, 1) / counts.sum() / sample
    return np.asarray(np.minimum(1.0, (np.sqrt(ratio) + 1) / ratio), np.float32)
