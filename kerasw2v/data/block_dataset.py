"""From a corpus to a `tf.data.Dataset` of blocks of token ids."""

import random
from collections.abc import Iterator
from itertools import count
from math import ceil, log2, sqrt

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from kerasw2v.data.corpus import Corpus
from kerasw2v.data.token_stream import TokenStream, select_tokens, word_ids
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.ops.windows import PADDING, check_halo, default_block_length
from kerasw2v.utils.checks import check_instance, check_int, check_non_negative, check_seed
from kerasw2v.utils.memory import check_memory
from kerasw2v.utils.runtime import tf_config, without_autotune

_READ_TOKENS = 2**18
_SHUFFLE_TOKENS = 2**20
# Ids of blocks, halos included, that are made at once, and pairs of a step that are scored at once.
_MADE_IDS = 2**22
_SCORED_PAIRS = 2**24
_PREFETCHED_BATCHES = 32
_MIN_STEPS = 400  # of a whole training


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
    halo: int | None = None,
) -> tf.data.Dataset:
    """Returns a dataset of blocks of token ids, for `SkipGram` and `CBOW` to train on.

    Each epoch drops tokens of frequent words anew: a token of a word of relative frequency f stays
    with probability `(sqrt(f / sample) + 1) * sample / f`. The remaining tokens are cut into blocks
    at a new offset, and the blocks are shuffled (within about a million tokens). Each remaining
    token is the centre of exactly one position of one block, which holds its whole window: every
    (centre, context) pair of a sentence occurs once per epoch, and none across sentences.

    Args:
        corpus: the tokens that `read_corpus` returned; or a path (plain, .gz, .bz2, .xz; one
            sentence per line), a list of paths or any re-iterable of token lists, encoded now.
        vocabulary: the words; others are dropped before windows are made.
        window: largest distance of a context word.
        sample: threshold of subsampling, 0 for none.
        batch_size: centres in a batch; rounded down to whole blocks.
        seed: seed of subsampling, offsets and order, from 0 to 2**63 - 1; drawn from Python's
            `random` when None. It is required where several workers make all blocks (`TF_CONFIG`
            without `shard`).
        block_length: centres in a block; chosen for the halo when None.
        reshuffle_each_iteration: False to make the same draws in every epoch, for evaluation.
        first_epoch: number of the epoch that the first iteration is: training that is resumed
            after n epochs draws what it would have drawn without the break if `first_epoch=n`.
        keep: probability of each word's tokens to stay, `(V,)`, instead of that of `sample`.
        shard: `(n, i)` to read only the i-th, from 0, of n shards of the corpus, cut between
            sentences; all shards have the same number of batches. Word counts are those of the
            whole corpus.
        halo: tokens at each end of a block that are context only; `window` when None. Where
            `window` means "the whole sentence", a halo of the longest sentence's words less one is
            enough, and memory follows the data (`TokenStream.longest_sentence`). The model needs
            the same halo.

    Returns:
        A dataset of int32 tensors `(batch_size // block_length, block_length + 2 * halo)`;
        `kerasw2v.ops.windows` describes the blocks. Its `len` is known and the same in every
        epoch: the last batches are padded.

    Raises:
        FileNotFoundError, TypeError, ValueError: for a corpus that cannot be read, or sizes,
            thresholds and seeds out of range.

    Cost: about 20 ns per word and epoch, and one pass over the text if the corpus is not encoded
    yet; memory does not grow with the corpus.

    Example:

    >>> from kerasw2v import block_dataset, read_corpus
    >>> sentences = [["to", "be", "or", "not", "to", "be"]] * 10
    >>> vocabulary, tokens = read_corpus(sentences, min_count=1)
    >>> dataset = block_dataset(tokens, vocabulary, window=2, sample=0, batch_size=64, seed=1)
    >>> len(dataset), dataset.element_spec.shape
    (2, TensorShape([2, 36]))
    """
    check_instance("vocabulary", vocabulary, Vocabulary)
    window = check_int("window", window, minimum=1)
    sample = check_non_negative("sample", sample)
    seed = check_seed("seed", seed)
    halo = window if halo is None else check_halo(halo, window)
    if block_length is None:
        block_length = default_block_length(halo)
    length = check_int("block_length", block_length, minimum=1)
    rows = check_int("batch_size", batch_size, minimum=1) // length
    if not rows:
        raise ValueError(
            f"`batch_size` must hold a block of {length} tokens. Received: batch_size={batch_size}."
        )
    if seed is None and shard is None:
        _check_single_worker()
    num_shards, index = (1, 0) if shard is None else _checked_shard(shard)
    epochs = count(check_int("first_epoch", first_epoch, minimum=0))
    if not isinstance(corpus, TokenStream):
        corpus = TokenStream.from_corpus(corpus, vocabulary)
    if halo < window:
        _check_sentences(corpus, halo, window)
    counts = count_ids(corpus, len(vocabulary))
    if keep is None:
        keep = keep_probabilities(counts, sample * int(counts.sum()))
    maker = _BlockMaker(
        corpus.shards(num_shards),
        index,
        counts,
        _checked_keep(keep, len(counts)),
        halo,
        length,
        rows,
        random.randint(1, 10**9) if seed is None else seed,
    )

    shape = (rows, length + 2 * halo)
    check_memory(
        "`batch_size`, `block_length` or `window`",
        4 * rows * shape[1] * (min(maker.steps, _PREFETCHED_BATCHES) + 2),  # and the one at work
        f"a dataset of {maker.steps:,} batches of {rows:,} x {shape[1]:,} ids",
    )

    def batches() -> Iterator[NDArray[np.int32]]:
        return maker.batches(next(epochs) if reshuffle_each_iteration else first_epoch)

    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec((None, *shape), tf.int32)
    )
    dataset = dataset.flat_map(tf.data.Dataset.from_tensor_slices)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(maker.steps))
    dataset = without_autotune(dataset.prefetch(_PREFETCHED_BATCHES))
    # `tf.distribute` divides batches among workers, since there are no files to divide.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def _check_sentences(stream: TokenStream, halo: int, window: int) -> None:
    longest = stream.longest_sentence()
    if longest > halo + 1:
        raise ValueError(
            f"`halo` must be at least {min(window, longest - 1)}: the longest sentence has "
            f"{longest} words, window={window}. Received: halo={halo}."
        )


def _check_single_worker() -> None:
    workers, _ = tf_config() or ([], 0)
    if len(workers) > 1:
        raise ValueError(
            "`seed` must be given when several workers train together: each would make other "
            f"blocks. Received: seed=None, {len(workers)} workers in TF_CONFIG."
        )


class _BlockMaker:
    """Makes the batches of any epoch of a token stream, the same number in each."""

    def __init__(
        self,
        shards: list[TokenStream],
        index: int,
        counts: NDArray[np.int64],
        keep: NDArray[np.float32],
        halo: int,
        length: int,
        rows: int,
        seed: int,
    ) -> None:
        self._stream, self._keep = shards[index], keep
        self._halo, self._length, self._rows = halo, length, rows
        self._width = length + 2 * halo
        made = _MADE_IDS * length // self._width  # a wide halo is copied for every few tokens
        self._read_tokens = max(1, min(_READ_TOKENS, made // 4))
        self._shuffle_tokens = min(_SHUFFLE_TOKENS, made)
        self._seed, self._shard = seed, [index] if len(shards) > 1 else []
        # Each shard draws for itself, but all of them take the same number of steps.
        shard_counts = [counts]
        if len(shards) > 1:
            shard_counts = [count_ids(shard, len(counts)) for shard in shards]
        self.steps = max(map(self._steps, shard_counts))

    def _steps(self, counts: NDArray[np.int64]) -> int:
        """Returns how many batches hold any epoch, eight standard deviations above the mean."""
        mean = float(counts @ self._keep)
        sigma = sqrt(float(counts @ (self._keep * (1 - self._keep))))
        most = min(mean + 8 * sigma, float(counts.sum())) + self._length  # padding of the offset
        return ceil(most / (self._rows * self._length))

    def batches(self, epoch: int) -> Iterator[NDArray[np.int32]]:
        """Yields stacks of batches, `(n, rows, length + 2 * halo)`, shuffled."""
        rng = np.random.default_rng([self._seed, epoch, *self._shard])
        done = 0
        waiting: list[NDArray[np.int32]] = []
        for blocks in self._blocks(rng):
            waiting.append(blocks)
            if sum(map(len, waiting)) * self._length >= self._shuffle_tokens:
                stack, rest = self._stack(rng.permutation(np.concatenate(waiting)))
                waiting = [rest]
                done += len(stack)
                yield stack
        blocks = np.concatenate(waiting) if waiting else self._padding(0)
        missing = (self.steps - done) * self._rows - len(blocks)
        blocks = np.concatenate([rng.permutation(blocks), self._padding(missing)])
        yield self._stack(blocks)[0]

    def _stack(self, blocks: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        whole = len(blocks) // self._rows * self._rows
        return blocks[:whole].reshape(-1, self._rows, blocks.shape[1]), blocks[whole:]

    def _padding(self, rows: int) -> NDArray[np.int32]:
        return np.full((rows, self._width), PADDING, np.int32)

    def _blocks(self, rng: np.random.Generator) -> Iterator[NDArray[np.int32]]:
        """Yields the blocks of an epoch in the corpus' order."""
        lead = self._halo + int(rng.integers(self._length))
        pending = np.full(lead, PADDING, np.int32)
        for tokens in self._subsampled(rng):
            pending = np.concatenate([pending, tokens])
            whole = max(0, (len(pending) - 2 * self._halo) // self._length)
            yield self._frame(pending, whole)
            pending = pending[whole * self._length :]
        left = len(pending) - self._halo  # centres not yet in a block
        whole = ceil(left / self._length)
        needed = whole * self._length + 2 * self._halo - len(pending)
        yield self._frame(np.pad(pending, (0, needed), constant_values=PADDING), whole)

    def _frame(self, tokens: NDArray[np.int32], blocks: int) -> NDArray[np.int32]:
        if not blocks:
            return self._padding(0)
        frames = np.lib.stride_tricks.sliding_window_view(tokens, self._width)[:: self._length]
        return np.asarray(frames[:blocks])

    def _subsampled(self, rng: np.random.Generator) -> Iterator[NDArray[np.int32]]:
        in_unstarted_sentence = False
        for chunk in self._stream.chunks(self._read_tokens):
            ids = word_ids(chunk)
            positions = np.flatnonzero(rng.random(len(ids), np.float32) < self._keep[ids])
            tokens, in_unstarted_sentence = select_tokens(
                ids, positions, np.flatnonzero(chunk < 0), in_unstarted_sentence
            )
            yield tokens


def count_ids(stream: TokenStream, vocabulary_size: int) -> NDArray[np.int64]:
    """Returns how often each word occurs in a stream; raises ValueError for an id beyond them."""
    counts = np.zeros(vocabulary_size, np.int64)
    for chunk in stream.chunks():
        chunk_counts = np.bincount(word_ids(chunk), minlength=vocabulary_size)
        if len(chunk_counts) > vocabulary_size:
            raise ValueError(
                "`vocabulary` must be the one that the stream was encoded with. "
                f"Received: {vocabulary_size} words, id {len(chunk_counts) - 1} in the stream."
            )
        counts += chunk_counts
    return counts


def kept_tokens(counts: ArrayLike, sample: float) -> NDArray[np.float64]:
    """Returns how many tokens of each word an epoch is expected to keep, `(V,)`."""
    counts = np.asarray(counts, np.int64)
    return counts * keep_probabilities(counts, sample * int(counts.sum()))


def default_batch_size(kept: ArrayLike, epochs: int, halo: int, largest: int = 4096) -> int:
    """Returns the number of tokens in a step, a power of two up to `largest`.

    Large batches are fast, but all their gradients are computed at one point. Two things make that
    harmless: many steps in the whole training, or so many words that a batch hardly repeats one.
    So a batch is the larger of

    - the tokens of the whole training, divided by 400 steps;
    - a quarter of the tokens among which, on average, a word comes again.

    It holds at least one block, and its pairs must fit into memory where windows are wide.

    Args:
        kept: expected number of tokens of each word in an epoch, from `kept_tokens`.
        epochs: passes over the corpus.
        halo: largest distance of a context word within a block.
        largest: the limit, in tokens.
    """
    kept = np.asarray(kept, np.float64)
    tokens = float(kept.sum())
    recurrence = tokens**2 / max(float(kept @ kept), 1e-30)  # V where all words are as frequent
    size = max(epochs * tokens / _MIN_STEPS, recurrence / 4, 1)
    length = default_block_length(halo)
    size = min(size, largest, _SCORED_PAIRS // (length + 2 * halo))
    return max(1 << int(log2(max(1, size))), length)


def _checked_shard(shard: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(shard, tuple | list) or len(shard) != 2:
        raise TypeError(f"`shard` must be a pair of integers. Received: shard={shard!r}.")
    num_shards = check_int("shard[0]", shard[0], minimum=1)
    index = check_int("shard[1]", shard[1], minimum=0)
    if index >= num_shards:
        raise ValueError(f"`shard[1]` must be below `shard[0]`. Received: shard={shard}.")
    return num_shards, index


def _checked_keep(keep: ArrayLike, vocabulary_size: int) -> NDArray[np.float32]:
    try:
        probabilities = np.asarray(keep, np.float32)
    except (TypeError, ValueError):
        raise TypeError(f"`keep` must be numbers. Received: keep={keep!r}.") from None
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


def keep_probabilities(counts: NDArray[np.int64], threshold: float) -> NDArray[np.float64]:
    """Returns the probability with which subsampling keeps a token of each word.

    That of a word of count n is `min(1, (sqrt(n / threshold) + 1) * threshold / n)`, as in
    word2vec.c; the threshold is `sample` times the number of tokens, 0 for no subsampling.
    """
    if not threshold:
        return np.ones(len(counts))
    counts = np.maximum(counts, 1)
    return np.minimum(1.0, (np.sqrt(counts / threshold) + 1) * (threshold / counts))
