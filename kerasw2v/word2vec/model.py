"""gensim's `Word2Vec`, its arguments, methods and attributes, over this package's engine."""

import logging
import os
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Self

import numpy as np
from gensim.models import KeyedVectors
from gensim.models.keyedvectors import pseudorandom_weak_vector
from gensim.models.word2vec import LineSentence
from gensim.utils import SaveLoad, call_on_class_only
from numpy.typing import NDArray

from kerasw2v.block_model import BlockModel
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.data.vocabulary import Vocabulary, effective_min_count
from kerasw2v.growth import grow_output_layer
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops.noise import count_powers
from kerasw2v.utils.checks import (
    MAX_INT32,
    check_convertible,
    check_finite,
    check_int,
    check_non_negative,
    check_seed,
)
from kerasw2v.utils.memory import check_memory
from kerasw2v.utils.runtime import check_not_forked
from kerasw2v.word2vec import hooks, state
from kerasw2v.word2vec.callbacks import Callbacks, as_keras, gensim_callbacks
from kerasw2v.word2vec.epochs import EpochTraining
from kerasw2v.word2vec.saved_state import Kind
from kerasw2v.word2vec.scoring import predict, score_sentences
from kerasw2v.word2vec.sentences import (
    ScanCache,
    Sentences,
    TrimRule,
    as_corpus,
    check_corpus_arguments,
    check_sentences,
    is_read_once,
)
from kerasw2v.word2vec.trainer import Schedule, Settings, Trainer, check_output_layer
from kerasw2v.word2vec.values import check_plain
from kerasw2v.word2vec.word_vectors import WordVectors
from kerasw2v.word2vec.words import (
    add_null_word,
    counts_of,
    grow_words,
    keep_of,
    paths_of,
    select,
    set_paths,
    start_words,
    whole_counts,
    words_by_frequency,
)

logger = logging.getLogger(__name__)

SentenceCorpus = Iterable[Sequence[Hashable]]


class Word2Vec(hooks.TrainingHooks):
    """gensim 4.4's `Word2Vec`, trained by Keras: change the import line, keep the script.

    Arguments, methods, attributes, exceptions and warnings are gensim's, and `wv` is a gensim
    `KeyedVectors`. The differences:

    - The same `seed` gives the same vectors for any `workers` and PYTHONHASHSEED.
    - Sentences of any length are trained on whole; gensim cuts them at 10,000 words.
    - Files, and lists of lists, are read once for any number of `epochs`. Other corpora are begun
      as often as gensim begins them: once to count, once in each epoch.
    - `get_latest_training_loss()` is exact beyond 2**27, and `epoch_losses` has the mean loss of a
      pair in each epoch.
    - `callbacks` takes Keras callbacks too: early stopping, TensorBoard, checkpoints.
    - `output_layer` and `strategy` have no counterpart in gensim.

    A subclass may override the methods that gensim calls while it trains, where they have a meaning
    here: `_do_train_job`, `_job_producer`, `_worker_loop`, `_raw_word_count`, `_train_epoch`,
    `_train_epoch_corpusfile`, `_scan_vocab` and those that check and log. Overriding others is
    refused.

    Args:
        sentences: re-iterable of token lists to train on now; None to train later. Tokens are
            strings, numbers, tuples or anything else that is hashable.
        corpus_file: path of a file with one sentence per line, instead of `sentences`.
        vector_size: width of a vector.
        alpha: learning rate of the first step, for one pair.
        window: largest distance of a context word.
        min_count: words that occur less often are left out.
        max_vocab_size: rare words are forgotten while counting if more different ones are known;
            None or 0 for no limit.
        sample: words of a higher relative frequency (or count, from 1 on) are downsampled; 0 for
            none.
        seed: seed of all random draws, from 0 to 2**32 - 1.
        workers: accepted and not used: TensorFlow uses all cores. In a program that has not loaded
            TensorFlow itself, each of its ops gets one thread, which is fastest for these steps
            (TF_NUM_INTRAOP_THREADS in the environment is obeyed).
        min_alpha: learning rate at the end.
        sg: 1 for skip-gram, 0 for CBOW.
        hs: 1 for hierarchical softmax.
        negative: number of noise words per pair in negative sampling; 0 for no negative sampling.
        ns_exponent: power of the counts in the distribution of noise words; may be negative.
        cbow_mean: 1 for the mean of the context vectors, 0 for their sum, with gensim's gradients.
        hashfxn: accepted and not used for training, as in gensim 4.
        epochs: passes over the corpus.
        null_word: 1 to add gensim's padding word, which never occurs.
        trim_rule: gensim's rule `(word, count, min_count)` of which words to keep.
        sorted_vocab: 1 to order words by descending count.
        batch_words: the learning rate falls each time that so many words were read, as in gensim;
            for the size of a step see `batch_size`.
        compute_loss: True to sum the loss for `get_latest_training_loss`.
        callbacks: gensim's `CallbackAny2Vec` and `keras.callbacks.Callback`, in any mixture.
        comment: saved with the model: None, a number, string, bytes, or a tuple, list, set or dict
            of these.
        max_final_vocab: if given, `min_count` is raised until at most so many words are left.
        shrink_windows: True to draw each word's window from 1 to `window`.
        output_layer: an output layer, or the name of one in `kerasw2v.layers`, instead of `hs` and
            `negative`.
        strategy: a `tf.distribute.Strategy` to train on several devices.
        batch_size: tokens in a step; chosen for the words and epochs to train on when None, 32 to
            4,096 (8,192 for skip-gram with hierarchical softmax).
        progress_bar: True to show progress on standard error.
        cache_corpus: True to read any corpus once and train on what was read in all epochs.
        held_out: sentences that are not trained on, as `sentences` are given. Keras callbacks get
            their mean loss of a pair after each epoch as `val_loss`, so
            `keras.callbacks.EarlyStopping("val_loss", patience=1)` stops when it rises. Windows and
            noise words are drawn once, so the losses can be compared. They are read at each `train`
            call, and not saved.

    Attributes:
        wv: `gensim.models.KeyedVectors` of the words; training starts from its vectors and writes
            to them.
        syn1neg: output vectors of negative sampling, one row per word.
        syn1: vectors of the inner nodes of hierarchical softmax.
        epoch_losses: mean loss of a pair in each epoch of the last `train` call.
        held_out_losses: the same of `held_out`, after each epoch.
        corpus_count, corpus_total_words: sentences and words of the corpus that was counted.

    Raises:
        TypeError: if the corpus is not one, or can be read only once, or if `comment` could not be
            saved.
        ValueError: if there is nothing to train, or an argument is out of range.
        FloatingPointError: if training diverges; `wv` then keeps the vectors from before, or of the
            last epoch that a gensim callback saw.
        RuntimeError: if no word is left.

    Example:

    >>> from kerasw2v import Word2Vec
    >>> sentences = [["a", "rose", "is", "a", "rose"], ["is", "a", "rose"]] * 20
    >>> model = Word2Vec(sentences, vector_size=8, window=2, min_count=1, seed=1)
    >>> model.wv.index_to_key
    ['rose', 'a', 'is']
    >>> model.wv["rose"].shape
    (8,)
    """

    syn1: NDArray[np.float32]
    syn1neg: NDArray[np.float32]

    _kind: Kind = state.WORD2VEC

    def __init__(
        self,
        sentences: SentenceCorpus | None = None,
        corpus_file: str | None = None,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int = 5,
        max_vocab_size: int | None = None,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int = 3,
        min_alpha: float = 0.0001,
        sg: int = 0,
        hs: int = 0,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        hashfxn: Any = hash,
        epochs: int = 5,
        null_word: int = 0,
        trim_rule: TrimRule | None = None,
        sorted_vocab: int = 1,
        batch_words: int = 10_000,
        compute_loss: bool = False,
        callbacks: Callbacks = (),
        comment: Any = None,
        max_final_vocab: int | None = None,
        shrink_windows: bool = True,
        output_layer: OutputLayer | str | None = None,
        strategy: Any = None,
        batch_size: int | None = None,
        progress_bar: bool = False,
        cache_corpus: bool = False,
        held_out: SentenceCorpus | None = None,
    ) -> None:
        check_output_layer(output_layer)
        if held_out is not None:
            check_sentences("held_out", held_out)
        if output_layer is not None and hs:
            raise ValueError(
                f"`hs` must be 0 where `output_layer` is given. Received: hs={hs}, "
                f"output_layer={output_layer!r}."
            )
        check_convertible(float, alpha=alpha, min_alpha=min_alpha)
        check_convertible(int, sg=sg, hs=hs, cbow_mean=cbow_mean)
        self.vector_size = check_int("vector_size", whole("vector_size", vector_size), 1, MAX_INT32)
        if not hasattr(self, "layer1_size"):  # a subclass may have set it, as in gensim
            self.layer1_size = self.vector_size
        self.window = check_int("window", whole("window", window), minimum=1)
        self.alpha = self.min_alpha_yet_reached = check_non_negative("alpha", float(alpha))
        self.min_alpha = check_non_negative("min_alpha", float(min_alpha))
        self.min_count = min_count
        self.max_vocab_size = max_vocab_size
        self.max_final_vocab = max_final_vocab
        self.sample = check_non_negative("sample", sample or 0)
        self.seed = check_seed("seed", seed, limit=2**32)
        self.workers = whole("workers", workers)
        self.sg = int(sg)
        self.hs = int(hs)
        self.negative = 0 if output_layer is not None else whole("negative", negative)
        self.ns_exponent = check_finite("ns_exponent", ns_exponent)
        self.cbow_mean = int(cbow_mean)
        self.hashfxn = hashfxn
        self.epochs = epochs
        self.null_word = null_word
        self.sorted_vocab = sorted_vocab
        self.batch_words = batch_words
        self.compute_loss = bool(compute_loss)
        self.comment = check_plain("comment", comment)
        self.shrink_windows = bool(shrink_windows)
        self.output_layer = output_layer
        self.strategy = strategy
        self.batch_size = batch_size
        self.progress_bar = progress_bar
        self.cache_corpus = bool(cache_corpus)
        self._start_state()
        self._held_out: SentenceCorpus | None = held_out
        if sentences is not None or corpus_file is not None:
            check_not_forked()
            self._check_corpus_sanity(
                corpus_iterable=sentences, corpus_file=corpus_file, passes=epochs + 1
            )
            if self._is_read_once(as_corpus(sentences, corpus_file)):
                self._scan_cache = ScanCache(reusable=sentences)
            self.build_vocab(
                corpus_iterable=sentences, corpus_file=corpus_file, trim_rule=trim_rule
            )
            self.train(
                corpus_iterable=sentences,
                corpus_file=corpus_file,
                total_examples=self.corpus_count,
                total_words=self.corpus_total_words,
                epochs=epochs,
                start_alpha=self.alpha,
                end_alpha=self.min_alpha,
                compute_loss=self.compute_loss,
                callbacks=callbacks,
            )
        else:
            if trim_rule is not None:
                logger.warning("`trim_rule` is ignored without a corpus: give it to `build_vocab`.")
            if callbacks:
                logger.warning("`callbacks` are ignored without a corpus: give them to `train`.")
        self.add_lifecycle_event("created", params=str(self))

    add_lifecycle_event = SaveLoad.add_lifecycle_event

    def _start_state(self) -> None:
        """Sets the attributes that building the vocabulary and training change."""
        if not hasattr(self, "wv"):
            self.wv = self._new_vectors()
        self.wv.vectors_lockf = np.ones(1, np.float32)
        self.cum_table: NDArray[np.uint32] | None = None
        self.raw_vocab: Mapping[Any, int] | None = None
        self.corpus_count = 0
        self.corpus_total_words = 0
        self.train_count = 0
        self.total_train_time = 0.0
        self.running_training_loss = 0.0
        self.epoch_losses: list[float] = []
        self.held_out_losses: list[float] = []
        self.random = np.random.RandomState(self.seed)
        vars(self)["load"] = call_on_class_only
        self._start_transients()

    def _new_vectors(self) -> Any:
        """Returns vectors of no words, with an array for each of gensim's locks."""
        vectors = WordVectors(self.vector_size)
        vectors.vectors_lockf = np.ones(1, np.float32)
        return vectors

    def _restore_vectors(self) -> None:
        """Makes what `wv` holds beside the arrays of a file."""

    def _start_transients(self) -> None:
        """Sets the attributes that copies and pickles leave out."""
        self._scan_cache = ScanCache()
        self._trainer: Trainer | None = None
        self._training: EpochTraining | None = None
        self._held_out = None

    def __getstate__(self) -> dict[str, Any]:
        # What the Keras side has learnt is in the arrays, or in the output layer.
        left_out = ("_scan_cache", "_trainer", "_training", "_held_out")
        attributes = {name: value for name, value in vars(self).items() if name not in left_out}
        return {**attributes, "output_layer": self.trained_output_layer()}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        if type(self.wv) is KeyedVectors:
            self.wv.__class__ = WordVectors
        self._start_transients()

    # Vocabulary

    def build_vocab(
        self,
        corpus_iterable: SentenceCorpus | None = None,
        corpus_file: str | None = None,
        update: bool = False,
        progress_per: int = 10_000,
        keep_raw_vocab: bool = False,
        trim_rule: TrimRule | None = None,
        **kwargs: Any,
    ) -> None:
        """Counts a corpus, chooses the words and makes their initial vectors.

        The arguments are gensim's: sentences, which may come from a generator, or a `corpus_file`;
        `update` to add new words and keep all that was learnt; `keep_raw_vocab` to keep all counts
        in `raw_vocab`; `kwargs` for `min_count`, `sample` and `dry_run` of `prepare_vocab`.

        Raises:
            TypeError: if not exactly one corpus is given, or it is not one.
            RuntimeError: if there is no vocabulary to update.
        """
        self._check_corpus_sanity(
            corpus_iterable=corpus_iterable, corpus_file=corpus_file, passes=1
        )
        self._check_update(update)
        self.corpus_total_words, self.corpus_count = self.scan_vocab(
            corpus_iterable=corpus_iterable,
            corpus_file=corpus_file,
            progress_per=progress_per,
            trim_rule=trim_rule,
        )
        self._prepare(update, keep_raw_vocab, trim_rule, **kwargs)
        self.add_lifecycle_event("build_vocab", update=update, trim_rule=str(trim_rule))

    def build_vocab_from_freq(
        self,
        word_freq: Mapping[Any, int],
        keep_raw_vocab: bool = False,
        corpus_count: int | None = None,
        trim_rule: TrimRule | None = None,
        update: bool = False,
    ) -> None:
        """Makes the vocabulary from the count of each word; otherwise as `build_vocab`.

        Raises:
            RuntimeError: if there is no vocabulary to update.
            TypeError, ValueError: if a count is not a whole number, or negative.
        """
        self._check_update(update)
        counts = whole_counts(word_freq)
        self.corpus_count = corpus_count or 0
        self.raw_vocab = counts
        self._prepare(update, keep_raw_vocab, trim_rule)

    def scan_vocab(
        self,
        corpus_iterable: SentenceCorpus | None = None,
        corpus_file: str | None = None,
        progress_per: int = 10_000,
        workers: int | None = None,
        trim_rule: TrimRule | None = None,
    ) -> tuple[int, int]:
        """Counts a corpus into `raw_vocab`; returns its numbers of words and of sentences."""
        if hooks.overridden(self, ["_scan_vocab"]):
            sentences: Any = corpus_iterable if corpus_file is None else LineSentence(corpus_file)
            num_words, num_sentences = self._scan_vocab(sentences, progress_per, trim_rule)
        else:
            corpus = as_corpus(corpus_iterable, corpus_file)
            num_words, num_sentences = self._scan(corpus, progress_per, trim_rule)
        logger.info(
            "%i different words among %i in %i sentences",
            len(self.raw_vocab or ()),
            num_words,
            num_sentences,
        )
        return num_words, num_sentences

    def _scan_vocab(
        self, sentences: SentenceCorpus, progress_per: int, trim_rule: TrimRule | None
    ) -> tuple[int, int]:
        """Counts sentences as `scan_vocab` does; for subclasses."""
        return self._scan(Sentences(sentences), progress_per, trim_rule)

    def _scan(
        self, corpus: Sentences | str, progress_per: int, trim_rule: TrimRule | None
    ) -> tuple[int, int]:
        scanned = self._scan_cache.scan(corpus, self.max_vocab_size, trim_rule, progress_per)
        self.raw_vocab = scanned.counts
        return scanned.num_words, scanned.num_sentences

    def prepare_vocab(
        self,
        update: bool = False,
        keep_raw_vocab: bool = False,
        trim_rule: TrimRule | None = None,
        min_count: int | None = None,
        sample: float | None = None,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Chooses the words from `raw_vocab` and prepares downsampling and the output tables.

        `min_count` and `sample` replace the model's; `dry_run` only reports.

        Returns:
            Figures: `drop_unique`, `retain_total`, `downsample_unique`, `downsample_total` and
            `num_retained_words`.
        """
        counts = self.raw_vocab if self.raw_vocab is not None else {}
        min_count = min_count or self.min_count
        sample = check_non_negative("sample", sample or self.sample or 0)
        self.effective_min_count = effective_min_count(counts, min_count, self.max_final_vocab)
        selection = select(counts, self.effective_min_count, trim_rule, sample)
        report = selection.report()
        logger.info("effective_min_count=%i: %s", self.effective_min_count, report)
        if dry_run:
            return report
        layer, self._trainer = self.trained_output_layer(), None
        if update:
            old_words = words_by_frequency(self.wv)
            new = grow_words(self.wv, selection, counts)
            if isinstance(layer, OutputLayer):
                self.output_layer = self._grown_output_layer(layer, old_words)
            logger.info("%i new words, %i in all", len(new), len(self.wv))
        else:
            self.min_count, self.sample = min_count, sample
            start_words(self.wv, selection)
        if not keep_raw_vocab:
            self.raw_vocab = Counter()
        if self.null_word:
            self.add_null_word()
        if self.sorted_vocab and not update:
            self._clear_vectors()  # not to be sorted
            self.wv.sort_by_descending_frequency()
        if self.hs:
            self.create_binary_tree()
        if self.negative:
            self.make_cum_table()
        return report

    def _prepare(
        self, update: bool, keep_raw_vocab: bool, trim_rule: TrimRule | None, **kwargs: Any
    ) -> None:
        report = self.prepare_vocab(
            update=update, keep_raw_vocab=keep_raw_vocab, trim_rule=trim_rule, **kwargs
        )
        self.estimate_memory(vocab_size=report["num_retained_words"])
        self.prepare_weights(update=update)
        if self.wv.key_to_index and self._is_trainable():
            self._synchronised_trainer()

    def _check_update(self, update: bool) -> None:
        if update and not len(self.wv.vectors):
            raise RuntimeError(
                "`update` must be False for a model without a vocabulary: build one from a corpus "
                "before adding words to it."
            )

    def _grown_output_layer(self, layer: OutputLayer, old_words: list[Any]) -> OutputLayer:
        """Returns an output layer for the words of `wv`, with what it has learnt of old ones."""
        words = words_by_frequency(self.wv)
        counts = np.sort(counts_of(self.wv))[::-1]
        ids = Vocabulary(old_words, np.ones(len(old_words), int)).lookup(words)
        with self.strategy.scope() if self.strategy else nullcontext():
            return grow_output_layer(layer, self.vector_size, counts, ids)[0]

    def add_null_word(self) -> None:
        """Adds gensim's padding word: a NUL character, which never occurs, with count 1."""
        add_null_word(self.wv)

    def create_binary_tree(self) -> None:
        """Gives each word its `code` and `point`: its path in the Huffman tree of the counts."""
        self._trainer = None
        set_paths(self.wv)

    def make_cum_table(self, domain: int = 2**31 - 1) -> None:
        """Makes gensim's `cum_table` for drawing noise words: shares of counts, summed up."""
        running = np.cumsum(count_powers(counts_of(self.wv), float(self.ns_exponent)))
        self.cum_table = np.round(running / running[-1:] * domain).astype(np.uint32)

    # Weights

    def prepare_weights(self, update: bool = False) -> None:
        """Makes the weights of all words, or those of new words with `update`."""
        if update:
            self.update_weights()
        else:
            self.init_weights()

    def init_weights(self) -> None:
        """Sets all weights to an untrained state and keeps the vocabulary."""
        self._check_memory()
        self._clear_vectors()
        self._resize_vectors()
        for name in self._output_tables():
            setattr(self, name, np.zeros((len(self.wv), self.layer1_size), np.float32))
        self._trainer = None

    def update_weights(self) -> None:
        """Keeps all weights, adds untrained ones for new words; RuntimeError if there are none."""
        self._check_update(True)
        self._check_memory()
        gained = len(self.wv) - len(self.wv.vectors)
        self._resize_vectors()
        for name in self._output_tables():
            added = np.zeros((gained, self.layer1_size), np.float32)
            setattr(self, name, np.concatenate([getattr(self, name), added]))
        self._trainer = None

    def _clear_vectors(self) -> None:
        """Forgets all vectors in `wv`, not its words."""
        self.wv.vectors = np.zeros((0, self.vector_size), np.float32)

    def _resize_vectors(self) -> None:
        """Makes untrained vectors in `wv` for the words that have none."""
        self.wv.resize_vectors(seed=self.seed)

    def _check_memory(self) -> None:
        tables = 1 + len(self._output_tables())
        size = f"{tables} tables of {len(self.wv):,} words, vector_size={self.vector_size:,},"
        # Each is there twice: here, and in the Keras model.
        check_memory("`vector_size`", 8 * tables * len(self.wv) * self.vector_size, size)

    def _output_tables(self) -> list[str]:
        return ["syn1"] * bool(self.hs) + ["syn1neg"] * bool(self.negative)

    def reset_from(self, other_model: Any) -> None:
        """Adopts another model's vocabulary, this package's or gensim's, with untrained weights."""
        self.wv = self._new_vectors()
        self.wv.index_to_key = other_model.wv.index_to_key
        self.wv.key_to_index = other_model.wv.key_to_index
        self.wv.expandos = other_model.wv.expandos
        self.cum_table = other_model.cum_table
        self.corpus_count = other_model.corpus_count
        self.init_weights()

    def estimate_memory(
        self, vocab_size: int | None = None, report: dict[str, int] | None = None
    ) -> dict[str, int]:
        """Estimates the size of a model in bytes, as gensim does.

        Args:
            vocab_size: number of words; that of the vocabulary when None.
            report: figures to add those of `vocab`, `vectors`, `syn1`, `syn1neg` and `total` to.
        """
        size = vocab_size or len(self.wv)
        matrix = size * self.layer1_size * np.dtype(np.float32).itemsize
        report = report or {}
        report["vocab"] = size * (700 if self.hs else 500)
        report["vectors"] = matrix
        report.update(dict.fromkeys(self._output_tables(), matrix))
        report["total"] = sum(report.values())
        logger.info("%i words of %i dimensions: %i bytes", size, self.vector_size, report["total"])
        return report

    # Training

    def train(
        self,
        corpus_iterable: SentenceCorpus | None = None,
        corpus_file: str | None = None,
        total_examples: int | None = None,
        total_words: int | None = None,
        epochs: int | None = None,
        start_alpha: float | None = None,
        end_alpha: float | None = None,
        word_count: int = 0,
        queue_factor: int = 2,
        report_delay: float = 1.0,
        compute_loss: bool = False,
        callbacks: Callbacks = (),
    ) -> tuple[int, int]:
        """Trains on a corpus, starting from the current weights.

        Args:
            corpus_iterable: re-iterable of token lists.
            corpus_file: path of a file with one sentence per line, instead.
            total_examples: number of sentences; this or `total_words` says how far the learning
                rate falls in an epoch.
            total_words: number of words.
            epochs: passes over the corpus.
            start_alpha: learning rate at the start; the model's `alpha` when None.
            end_alpha: learning rate at the end; the model's `min_alpha` when None.
            word_count: accepted and not used, as are the next two.
            queue_factor: not used: there is no queue.
            report_delay: not used.
            compute_loss: True to sum the loss for `get_latest_training_loss`.
            callbacks: callbacks of gensim and of Keras.

        Returns:
            `(words, raw words)`: the number of words that were trained on, and of all words. The
            first is what downsampling keeps on average of the words in the vocabulary.

        Raises:
            ValueError: if `epochs` or both totals are missing, there is neither `hs` nor
                `negative` nor an output layer, or no word of the corpus is in the vocabulary.
            RuntimeError: if there is no vocabulary, or in a process that was forked while
                TensorFlow ran, where training would hang: use multiprocessing's `spawn`.
            TypeError: if not exactly one corpus is given, or it can be read only once.
        """
        check_not_forked()
        alpha = check_non_negative("start_alpha", start_alpha or self.alpha)
        min_alpha = check_non_negative("end_alpha", end_alpha or self.min_alpha)
        self._check_training_sanity(
            epochs=epochs, total_examples=total_examples, total_words=total_words
        )
        epochs = check_int("epochs", epochs, minimum=1)
        self._check_corpus_sanity(
            corpus_iterable=corpus_iterable, corpus_file=corpus_file, passes=epochs
        )
        if corpus_file is not None and not total_words:
            raise ValueError("`total_words` must be given with `corpus_file`.")
        hooks.check_training_hooks(self, reads_file=corpus_file is not None)
        if alpha > self.min_alpha_yet_reached:
            logger.warning("Effective 'alpha' higher than previous training cycles")
        self.alpha, self.min_alpha, self.epochs = float(alpha), float(min_alpha), epochs
        self.compute_loss = bool(compute_loss)
        self.running_training_loss = 0.0
        self.epoch_losses, self.held_out_losses = [], []
        self.add_lifecycle_event("train", msg=f"{epochs} epochs on {len(self.wv)} words")
        callbacks = list(callbacks)
        held_out = self._encoded_held_out()
        for callback in gensim_callbacks(callbacks):
            callback.on_train_begin(self)
        corpus = as_corpus(corpus_iterable, corpus_file)
        begin = time.perf_counter()
        trainer = self._synchronised_trainer()
        evaluate = None
        if held_out is not None:
            evaluate = partial(trainer.evaluate, held_out, keep_of(self.wv))
        keras_callbacks = as_keras(callbacks, self, lambda: self._pull(trainer), evaluate)
        diverged = False
        try:
            if self._is_read_once(corpus):
                sums = self._fit(trainer, corpus, total_examples, total_words, keras_callbacks)
            else:
                sums = self._fit_each_epoch(
                    trainer,
                    corpus,
                    total_examples,
                    total_words,
                    keras_callbacks,
                    queue_factor=queue_factor,
                    report_delay=report_delay,
                    callbacks=callbacks,
                )
        except FloatingPointError as error:
            diverged, self._trainer = True, None
            raise FloatingPointError(
                f"{error} Received: alpha={self.alpha}; `wv` is as before."
            ) from None
        finally:
            if not diverged:
                self._pull(trainer)  # also after an interruption
            self.min_alpha_yet_reached = trainer.alpha()
            elapsed = time.perf_counter() - begin
            self.total_train_time += elapsed
        words, raw_words, jobs = sums
        self._log_train_end(raw_words, words, elapsed, jobs)
        self.train_count += 1
        self._clear_post_train()
        for callback in gensim_callbacks(callbacks):
            callback.on_train_end(self)
        return words, raw_words

    def _encoded_held_out(self) -> TokenStream | None:
        if self._held_out is None:
            return None
        vocabulary = self._synchronised_trainer().vocabulary
        try:
            stream, _ = ScanCache().encode(Sentences(self._held_out), vocabulary)
        except ValueError as error:
            raise ValueError(f"`held_out`: {error}") from None
        if stream is None or stream.longest_sentence() < 2:
            raise ValueError(
                "`held_out` must have a sentence of two known words or more, which make a pair. "
                "Received: none."
            )
        return stream

    def _is_read_once(self, corpus: Sentences | str) -> bool:
        """Whether all epochs train on what one pass reads."""
        names: tuple[str, ...] = hooks.FILE_HOOKS
        if isinstance(corpus, Sentences):
            names = (*hooks.EPOCH_HOOKS, *hooks.JOB_HOOKS)
        return not hooks.overridden(self, names) and (self.cache_corpus or is_read_once(corpus))

    def _fit(
        self,
        trainer: Trainer,
        corpus: Sentences | str,
        total_examples: int | None,
        total_words: int | None,
        callbacks: list[Any],
    ) -> tuple[int, int, int]:
        """Reads the corpus once, and trains on it; returns words, raw words and epochs."""
        stream, sentences = self._scan_cache.encode(corpus, trainer.vocabulary)
        if stream is None:
            logger.warning("The corpus is empty: nothing was trained.")
            return 0, 0, 0
        if isinstance(corpus, Sentences):
            _warn_of_another_size("sentences", total_examples, sentences)
            _warn_of_another_size("words", total_words, stream.corpus_words)
        else:
            sentences = None  # gensim reads files in parts, by their words
        share = _share(sentences, stream.corpus_words, total_examples, total_words)
        outcome = trainer.fit(
            stream,
            keep_of(self.wv),
            self._schedule(share),
            self.train_count,
            self.batch_size,
            callbacks,
            self.progress_bar,
        )
        words = round(outcome.epochs * outcome.tokens_per_epoch)
        return words, stream.corpus_words * outcome.epochs, outcome.epochs

    def _schedule(self, share: float) -> Schedule:
        return Schedule(
            self.alpha, self.min_alpha, self.epochs, share, max(1, int(self.batch_words))
        )

    def _fit_each_epoch(
        self,
        trainer: Trainer,
        corpus: Sentences | str,
        total_examples: int | None,
        total_words: int | None,
        keras_callbacks: list[Any],
        **options: Any,
    ) -> tuple[int, int, int]:
        """Trains by `_train_epoch` in each epoch; returns words, raw words and jobs."""
        self._training = EpochTraining(
            trainer,
            keep_of(self.wv),
            self._schedule(share=1.0),
            self.train_count,
            self.batch_size,
            keras_callbacks,
            (total_words or self.corpus_total_words) if self.progress_bar else None,
        )
        totals: Any = {"total_examples": total_examples, "total_words": total_words}

        def train_epoch(epoch: int) -> tuple[int, int, int]:
            if isinstance(corpus, Sentences):
                sums = self._train_epoch(corpus.source, cur_epoch=epoch, **totals, **options)
            else:
                sums = self._train_epoch_corpusfile(
                    corpus, cur_epoch=epoch, callbacks=options["callbacks"], **totals
                )
            self._push_changes(trainer)
            return sums

        try:
            return self._training.run(train_epoch)
        finally:
            self._training = None

    def _train_epoch(
        self,
        data_iterable: Iterable[Any],
        cur_epoch: int = 0,
        total_examples: int | None = None,
        total_words: int | None = None,
        queue_factor: int = 2,
        report_delay: float = 1.0,
        callbacks: Any = (),
    ) -> tuple[int, int, int]:
        """Trains one epoch of a `train` call on what one pass over a corpus yields; for subclasses.

        Returns:
            The numbers of words that were trained on, of all words, and of jobs.
        """
        begin, training = time.perf_counter(), self._current_training()
        if hooks.overridden(self, hooks.JOB_HOOKS):
            report = hooks.run_jobs(
                self, data_iterable, cur_epoch, total_examples, total_words, queue_factor
            )
            stream = training.collected()
        else:
            stream, sentences = self._scan_cache.encode(
                Sentences(data_iterable), training.vocabulary
            )
            report = hooks.JobReport(sentences or 0, 0, stream.corpus_words if stream else 0, 1)
        if not report.examples:
            logger.warning("The corpus is empty: nothing was trained.")
        words = report.words
        if stream is not None:
            share = _share(report.examples, report.raw_words, total_examples, total_words)
            words = self._fit_epoch(training, stream, cur_epoch, share)
        self._log_epoch_end(
            cur_epoch,
            report.examples,
            total_examples,
            report.raw_words,
            total_words,
            words,
            time.perf_counter() - begin,
            False,
        )
        return words, report.raw_words, report.jobs

    def _train_epoch_corpusfile(
        self,
        corpus_file: str,
        cur_epoch: int = 0,
        total_examples: int | None = None,
        total_words: int | None = None,
        callbacks: Any = (),
    ) -> tuple[int, int, int]:
        """Trains one epoch of a `train` call on a file; for subclasses, as `_train_epoch`."""
        begin, training = time.perf_counter(), self._current_training()
        stream, _ = self._scan_cache.encode(os.fspath(corpus_file), training.vocabulary)
        if stream is None:
            return 0, 0, 0
        share = _share(None, stream.corpus_words, total_examples, total_words)
        words = self._fit_epoch(training, stream, cur_epoch, share)
        elapsed = time.perf_counter() - begin
        totals = (total_examples, stream.corpus_words, total_words)
        self._log_epoch_end(cur_epoch, stream.num_sentences, *totals, words, elapsed, True)
        return words, stream.corpus_words, 1

    def _fit_epoch(
        self, training: EpochTraining, stream: TokenStream, epoch: int, share: float
    ) -> int:
        """Trains one epoch; returns the number of words that subsampling leaves."""
        is_pushed = self._push_changes(training.trainer)
        words = training.fit(stream, epoch, share)
        if is_pushed:
            self._pull(training.trainer)
        return words

    def _push_changes(self, trainer: Trainer) -> bool:
        """Copies the arrays to the Keras side if a subclass may have changed them in an epoch."""
        may_have = bool(hooks.overridden(self, hooks.ALL_HOOKS))
        if may_have:
            trainer.push(self._tables())
        return may_have

    def _current_training(self) -> EpochTraining:
        if self._training is None:
            raise RuntimeError("An epoch must be trained by `train`, which says at which rate.")
        return self._training

    def _clear_post_train(self) -> None:
        """Forgets what training has made wrong: the vectors' lengths."""
        self.wv.norms = None

    def _log_epoch_end(
        self,
        cur_epoch: int,
        example_count: int,
        total_examples: int | None,
        raw_word_count: int,
        total_words: int | None,
        trained_word_count: int,
        elapsed: float,
        is_corpus_file_mode: bool,
    ) -> None:
        """Logs the end of an epoch that was read for itself."""
        logger.info(
            "epoch %i: %i raw words (%i effective words) took %.1fs",
            cur_epoch,
            raw_word_count,
            trained_word_count,
            elapsed,
        )
        if not is_corpus_file_mode:
            _warn_of_another_size("sentences", total_examples, example_count)
            _warn_of_another_size("words", total_words, raw_word_count)

    def _log_train_end(
        self, raw_word_count: int, trained_word_count: int, total_elapsed: float, job_tally: int
    ) -> None:
        """Logs the end of a training."""
        speed = trained_word_count / max(total_elapsed, 1e-9)
        message = (
            f"{raw_word_count} raw words ({trained_word_count} effective words) took "
            f"{total_elapsed:.1f}s, {speed:.0f} effective words/s"
        )
        logger.info(message)
        self.add_lifecycle_event("train", log_level=logging.DEBUG, msg=message)

    def _is_trainable(self) -> bool:
        return bool(self.hs or self.negative or self.output_layer is not None)

    def _check_corpus_sanity(
        self, corpus_iterable: Any = None, corpus_file: Any = None, passes: int = 1
    ) -> None:
        """Raises TypeError unless exactly one corpus is given, and can be read `passes` times."""
        check_corpus_arguments(corpus_iterable, corpus_file, passes)

    def _check_training_sanity(
        self,
        epochs: int | None = 0,
        total_examples: int | None = None,
        total_words: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Raises what `train` raises, unless this model can be trained."""
        if not self._is_trainable():
            raise ValueError(
                "`hs` or `negative` must be positive, or `output_layer` given, for there to be "
                f"something to train. Received: hs={self.hs}, negative={self.negative}."
            )
        if self.hs and self.negative:
            logger.warning(
                "Both hierarchical softmax and negative sampling are activated. "
                "Both are trained, at the cost of both; set `hs=0` or `negative=0` for one."
            )
        if not self.wv.key_to_index:
            raise RuntimeError(
                "There must be a vocabulary before training: no word is known. Words that occur "
                f"fewer than `min_count` times are left out. Received: min_count={self.min_count}."
            )
        if total_examples is None and total_words is None:
            raise ValueError(
                "`total_examples` or `total_words` must be given, since the learning rate depends "
                "on it; after `build_vocab` on the same corpus, total_examples=model.corpus_count."
            )
        if epochs is None or epochs <= 0:
            raise ValueError(
                "`epochs` must be given and positive; usually epochs=model.epochs. "
                f"Received: epochs={epochs}."
            )
        if not all(hasattr(self, name) for name in self._output_tables()):
            raise RuntimeError("There must be weights before training: see `init_weights`.")
        for name in self._kind.locks:
            if not np.all(getattr(self.wv, name, 1.0) == 1.0):
                raise ValueError(
                    f"`wv.{name}` must be all ones: locking single words is not supported."
                )

    def _settings(self) -> Settings:
        return Settings(*(getattr(self, name) for name in Settings._fields))

    def _synchronised_trainer(self) -> Trainer:
        """Returns the Keras side, with this model's weights."""
        trainer = self._trainer
        if trainer is None or not trainer.fits(self._settings(), len(self.wv)):
            trainer = self._make_trainer(
                self._settings(),
                self.wv.index_to_key,
                counts_of(self.wv),
                paths_of(self.wv) if self.hs else None,
                self.trained_output_layer(),
                self.strategy,
            )
        trainer.push(self._tables())
        self._trainer = trainer
        return trainer

    def _make_trainer(self, *arguments: Any) -> Trainer:
        return Trainer(*arguments)

    def _tables(self) -> dict[str, NDArray[np.float32]]:
        """Returns the arrays that are trained, by name."""
        outputs = {name: getattr(self, name) for name in self._output_tables()}
        return {"vectors": self.wv.vectors, **outputs}

    def _pull(self, trainer: Trainer) -> None:
        """Copies what was trained to `wv`, `syn1` and `syn1neg`."""
        arrays = trainer.pull()
        for name in self._output_tables():
            setattr(self, name, replaced(getattr(self, name), arrays[name]))
        self._pull_vectors(trainer, arrays)
        self.wv.norms = None

    def _pull_vectors(self, trainer: Any, arrays: dict[str, NDArray[np.float32]]) -> None:
        self.wv.vectors = replaced(self.wv.vectors, arrays["vectors"])

    def trained_output_layer(self) -> OutputLayer | str | None:
        """Returns the argument `output_layer`, or the trained layer if there is one."""
        if self._trainer is None or self.output_layer is None:
            return self.output_layer
        return self._trainer.model.output_layer

    @property
    def keras_model(self) -> BlockModel:
        """The `SkipGram` or `CBOW` of this model, with its current weights."""
        return self._synchronised_trainer().model

    def get_latest_training_loss(self) -> float:
        """Returns the loss of the last `train` call with `compute_loss`, summed over pairs."""
        return self.running_training_loss

    # Queries

    def score(
        self,
        sentences: SentenceCorpus,
        total_sentences: int = 1_000_000,
        chunksize: int = 100,
        queue_factor: int = 2,
        report_delay: float = 1,
    ) -> NDArray[np.float32]:
        """Returns the log-probability of each sentence, summed over the pairs of whole windows.

        At most `total_sentences` are scored, with a warning if there are more, `chunksize` at once.

        Raises:
            RuntimeError: if there is no vocabulary, or no hierarchical softmax.
        """
        check_not_forked()
        if not self.wv.key_to_index:
            raise RuntimeError("There must be a vocabulary before scoring: no word is known.")
        if not self.hs:
            raise RuntimeError(
                "`score` needs the normalised probabilities of hierarchical softmax: train with "
                "hs=1, negative=0."
            )
        trainer = self._synchronised_trainer()
        return score_sentences(trainer, Sentences(sentences), total_sentences, chunksize)

    def predict_output_word(
        self, context_words_list: Sequence[str | int], topn: int = 10
    ) -> list[tuple[str, float]] | None:
        """Returns the words that are most probable between context words.

        Args:
            context_words_list: words or their indices in `wv`; unknown ones are left out.
            topn: number of words to return.

        Returns:
            Words with their probabilities, a softmax over all words, best first; None if no context
            word is known.

        Raises:
            RuntimeError: for hierarchical softmax alone, or if the weights are missing.
        """
        vectors = self._context_vectors(context_words_list)
        if not self.negative and self.output_layer is None:
            raise RuntimeError(
                "`predict_output_word` needs the output vectors of negative sampling: train with "
                "negative > 0."
            )
        if self.negative and not hasattr(self, "syn1neg"):
            raise RuntimeError("The weights needed to predict words are missing: `syn1neg`.")
        if not len(vectors):
            logger.warning("None of the context words is in the vocabulary.")
            return None
        hidden = vectors.sum(axis=0)
        if self.cbow_mean:
            hidden /= len(vectors)
        if self.negative:
            scores = self.syn1neg @ hidden
        else:
            scores = self._synchronised_trainer().log_probs(hidden)
        return [(self.wv.index_to_key[i], p) for i, p in predict(scores, topn)]

    def _context_vectors(self, words: Sequence[str | int]) -> NDArray[np.float32]:
        """Returns the vectors of the words, or their indices, that have one."""
        return np.asarray(self.wv.vectors[[self.wv.get_index(w) for w in words if w in self.wv]])

    def seeded_vector(self, seed_string: str, vector_size: int) -> NDArray[np.float32]:
        """Returns gensim's random vector for a string; deprecated there."""
        return np.asarray(
            pseudorandom_weak_vector(vector_size, seed_string=seed_string, hashfxn=self.hashfxn)
        )

    def init_sims(self, replace: bool = False) -> None:
        """Normalises all vectors with `replace`, as gensim's deprecated method does."""
        self.wv.init_sims(replace=replace)

    def __str__(self) -> str:
        return (
            f"{type(self).__name__}<vocab={len(self.wv)}, vector_size={self.vector_size}, "
            f"alpha={self.alpha}>"
        )

    # Files and gensim

    def save(
        self,
        fname_or_handle: state.File,
        separately: Any = None,
        sep_limit: int = 0,
        ignore: Iterable[str] = (),
        pickle_protocol: int = 0,
    ) -> None:
        """Saves the model in one file; a loaded model can be trained further.

        The file, a ZIP archive of NumPy arrays with nothing pickled, appears whole or not at all.
        Attributes that you have set on the model or on `wv` are saved with it.

        Args:
            fname_or_handle: a path, or a file that is open for bytes.
            separately: accepted and not used, as are `sep_limit` and `pickle_protocol`.
            sep_limit: not used: there is one file.
            ignore: names of attributes to leave out; those of the model are None when it is loaded.
            pickle_protocol: not used: nothing is pickled.

        Raises:
            TypeError: if an attribute or a word is of a kind that the file cannot hold; the message
                names it.
            OSError: if the file cannot be written.
        """
        state.save_model(self, fname_or_handle, ignore)

    @classmethod
    def load(cls, fname: state.File, mmap: str | None = None, rethrow: bool = False) -> Self:
        """Loads a model that `save` wrote, as an object of the class that it is called on.

        A constructor that a subclass has written is not called: all attributes are in the file.
        `mmap="r"` maps the arrays into memory.

        Raises:
            AttributeError: if it is another kind of file, such as one of gensim's; see
                `from_gensim`.
            FileNotFoundError: if there is no such file.
            ValueError: if it is damaged.
        """
        model: Self = state.load_model(cls, fname, mmap)
        model.add_lifecycle_event("loaded", fname=str(fname))
        return model

    @classmethod
    def from_gensim(cls, model: Any) -> Self:
        """Makes a copy of a `gensim.models.Word2Vec`, with all that it has learnt.

        The copy can be trained further, scored and saved.

        Raises:
            TypeError: if it is not a gensim `Word2Vec`, or a subclass with other vectors.
        """
        ours: Self = state.from_gensim(cls, model)
        return ours

    def to_gensim(self) -> Any:
        """Returns a copy as a `gensim.models.Word2Vec`, with all that this model has learnt.

        Raises:
            ValueError: if the model has an `output_layer`, which gensim does not support.
        """
        return state.to_gensim(self)


def whole(name: str, value: Any) -> int:
    """Returns a number as an int, also "5" and 5.0, as gensim does; ValueError for 5.5."""
    try:
        number = int(value)
        is_whole = float(value) == number
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise ValueError(f"`{name}` must be a whole number. Received: {name}={value!r}.")
    return number


def _share(
    sentences: int | None, words: int, total_examples: int | None, total_words: int | None
) -> float:
    """Returns the size of a corpus as a share of what the caller says it is."""
    if total_examples:
        return sentences / total_examples if sentences is not None else 1.0
    return words / total_words if total_words else 1.0


def _warn_of_another_size(unit: str, stated: int | None, size: int | None) -> None:
    if stated and size is not None and stated != size:
        logger.warning("The corpus has %i %s, not %i as given.", size, unit, stated)


def replaced(array: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Writes values into an array, for those who hold it; copies them if that is impossible."""
    if array.shape != values.shape or not array.flags.writeable:
        return values.copy()
    array[:] = values
    return array
