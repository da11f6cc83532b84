"""gensim's `FastText`: a `Word2Vec` whose words are made of character n-grams."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from gensim.models import FastText as GensimFastText
from gensim.models.fasttext import FastTextKeyedVectors
from numpy.typing import NDArray

from kerasw2v.fasttext.trainer import NGRAMS, FastTextTrainer
from kerasw2v.fasttext.vectors import (
    clear_vectors,
    compose_vectors,
    find_ngrams,
    new_vectors,
    resize_vectors,
)
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.utils.checks import MAX_INT32, check_int
from kerasw2v.utils.memory import check_memory
from kerasw2v.word2vec.callbacks import Callbacks
from kerasw2v.word2vec.model import SentenceCorpus, Word2Vec, replaced, whole
from kerasw2v.word2vec.saved_state import ARGUMENTS, Kind, whole_number
from kerasw2v.word2vec.sentences import TrimRule

logger = logging.getLogger(__name__)

_KIND = Kind(
    "kerasw2v.FastText",
    GensimFastText,
    FastTextKeyedVectors,
    arguments=ARGUMENTS
    | {
        "min_n": whole_number(0, MAX_INT32),
        "max_n": whole_number(0, MAX_INT32),
        "bucket": whole_number(0, MAX_INT32),
        "word_ngrams": whole_number(1, 1),
    },
    word_table="vectors_vocab",
    other_table=(NGRAMS, "bucket"),
    locks=("vectors_lockf", "vectors_vocab_lockf", "vectors_ngrams_lockf"),
)


class FastText(Word2Vec):
    """gensim 4.4's `FastText`, trained by Keras: word vectors that are made of subwords.

    The vector of a word is the mean of a vector of its own and those of its character n-grams,
    which are hashed into buckets. Words of one stem share n-grams, so rare words learn from
    frequent ones, and `wv["unseen"]` is the mean over the n-grams of a word that was never seen.

    Everything that `Word2Vec` says about arguments, corpora, files and subclasses holds here.
    `wv` is a gensim `FastTextKeyedVectors`. Differences from gensim's `FastText`:

    - While it trains, too, the vector of a word is exactly that mean. gensim's skip-gram divides by
      one row less, and its CBOW takes the mean over all rows of a window, not of its words, so that
      there a long word counts more than a short one.
    - Each row gets the whole error of its words' vectors, as in gensim, but for a whole step at
      once: it is bounded as the rows of frequent words are in `Word2Vec`.

    Args:
        sentences: as in `Word2Vec`, as are all arguments that are not listed here.
        corpus_file: see there.
        sg: 1 for skip-gram, 0 for CBOW.
        hs: 1 for hierarchical softmax.
        vector_size: width of a vector.
        alpha: learning rate of the first step, for one pair.
        window: largest distance of a context word.
        min_count: words that occur less often are left out.
        max_vocab_size: see `Word2Vec`.
        word_ngrams: 1: n-grams of words are not supported, as in gensim.
        sample: see `Word2Vec`.
        seed: seed of all random draws, from 0 to 2**32 - 1.
        workers: accepted and not used.
        min_alpha: learning rate at the end.
        negative: number of noise words per pair in negative sampling; 0 for no negative sampling.
        ns_exponent: see `Word2Vec`.
        cbow_mean: 1 for the mean of the context words' vectors, 0 for their sum.
        hashfxn: accepted and not used.
        epochs: passes over the corpus.
        null_word: see `Word2Vec`.
        min_n: the fewest characters of an n-gram; `<` and `>`, put around each word, count too.
        max_n: the most; less than `min_n` for no n-grams.
        sorted_vocab: see `Word2Vec`.
        bucket: number of buckets that n-grams are hashed into, each with a vector.
        trim_rule: see `Word2Vec`.
        batch_words: see `Word2Vec`.
        callbacks: see `Word2Vec`.
        max_final_vocab: see `Word2Vec`.
        shrink_windows: True to draw each word's window from 1 to `window`.
        compute_loss: see `Word2Vec`.
        comment: see `Word2Vec`.
        output_layer: see `Word2Vec`.
        strategy: see `Word2Vec`.
        batch_size: see `Word2Vec`.
        progress_bar: see `Word2Vec`.
        cache_corpus: see `Word2Vec`.
        held_out: see `Word2Vec`.

    Attributes:
        wv: `gensim.models.fasttext.FastTextKeyedVectors`: `vectors_vocab` and `vectors_ngrams` are
            trained, and `vectors` are the means.
        syn1neg, syn1, epoch_losses, corpus_count, corpus_total_words: see `Word2Vec`.

    Raises:
        NotImplementedError: if `word_ngrams` is not 1.
        TypeError, ValueError, FloatingPointError, RuntimeError: as `Word2Vec`.

    Cost: a step gathers and updates the rows of the n-grams of its distinct words once. Memory:
    `(V + bucket) * d` floats in `wv`, and V + the number of n-grams that occur for the training.

    Example:

    >>> from kerasw2v import FastText
    >>> sentences = [["red", "roses", "bloom"], ["a", "red", "rose", "blooms"]] * 20
    >>> model = FastText(sentences, vector_size=8, min_count=1, bucket=1000, seed=1)
    >>> model.wv["rosebloom"].shape  # it was never seen
    (8,)

    Source: Bojanowski et al., "Enriching word vectors with subword information", 2017.
    """

    _kind = _KIND

    def __init__(
        self,
        sentences: SentenceCorpus | None = None,
        corpus_file: str | None = None,
        sg: int = 0,
        hs: int = 0,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int = 5,
        max_vocab_size: int | None = None,
        word_ngrams: int = 1,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int = 3,
        min_alpha: float = 0.0001,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        hashfxn: Any = hash,
        epochs: int = 5,
        null_word: int = 0,
        min_n: int = 3,
        max_n: int = 6,
        sorted_vocab: int = 1,
        bucket: int = 2_000_000,
        trim_rule: TrimRule | None = None,
        batch_words: int = 10_000,
        callbacks: Callbacks = (),
        max_final_vocab: int | None = None,
        shrink_windows: bool = True,
        compute_loss: bool = False,
        comment: Any = None,
        output_layer: OutputLayer | str | None = None,
        strategy: Any = None,
        batch_size: int | None = None,
        progress_bar: bool = False,
        cache_corpus: bool = False,
        held_out: SentenceCorpus | None = None,
    ) -> None:
        if word_ngrams != 1:
            raise NotImplementedError(
                "`word_ngrams` must be 1: n-grams of words are not supported. "
                f"Received: word_ngrams={word_ngrams!r}."
            )
        self.word_ngrams = 1
        self.min_n = check_int("min_n", whole("min_n", min_n), 0, MAX_INT32)
        self.max_n = check_int("max_n", whole("max_n", max_n), 0, MAX_INT32)
        self.bucket = check_int("bucket", whole("bucket", bucket), 0, MAX_INT32)
        if self.max_n < max(1, self.min_n):
            self.bucket = 0
        super().__init__(
            sentences,
            corpus_file,
            vector_size=vector_size,
            alpha=alpha,
            window=window,
            min_count=min_count,
            max_vocab_size=max_vocab_size,
            sample=sample,
            seed=seed,
            workers=workers,
            min_alpha=min_alpha,
            sg=sg,
            hs=hs,
            negative=negative,
            ns_exponent=ns_exponent,
            cbow_mean=cbow_mean,
            hashfxn=hashfxn,
            epochs=epochs,
            null_word=null_word,
            trim_rule=trim_rule,
            sorted_vocab=sorted_vocab,
            batch_words=batch_words,
            compute_loss=compute_loss,
            callbacks=callbacks,
            comment=comment,
            max_final_vocab=max_final_vocab,
            shrink_windows=shrink_windows,
            output_layer=output_layer,
            strategy=strategy,
            batch_size=batch_size,
            progress_bar=progress_bar,
            cache_corpus=cache_corpus,
            held_out=held_out,
        )

    # What differs from `Word2Vec`: the arrays in `wv`

    def _new_vectors(self) -> Any:
        return new_vectors(self.vector_size, self.min_n, self.max_n, self.bucket)

    def _clear_vectors(self) -> None:
        clear_vectors(self.wv)

    def _resize_vectors(self) -> None:
        resize_vectors(self.wv, self.seed)

    def _restore_vectors(self) -> None:
        if len(self.wv.vectors_vocab):
            find_ngrams(self.wv)
            compose_vectors(self.wv)

    def _tables(self) -> dict[str, NDArray[np.float32]]:
        vectors = {"vectors": self.wv.vectors_vocab, NGRAMS: self.wv.vectors_ngrams}
        return {**super()._tables(), **vectors}

    def _make_trainer(self, *arguments: Any) -> FastTextTrainer:
        return FastTextTrainer(*arguments, ngrams=self.wv.buckets_word)

    def _pull_vectors(self, trainer: Any, arrays: dict[str, NDArray[np.float32]]) -> None:
        self.wv.vectors_vocab = replaced(self.wv.vectors_vocab, arrays["vectors"])
        if NGRAMS in arrays:
            if not self.wv.vectors_ngrams.flags.writeable:
                self.wv.vectors_ngrams = np.array(self.wv.vectors_ngrams)
            self.wv.vectors_ngrams[trainer.used_ngrams] = arrays[NGRAMS]
        compose_vectors(self.wv)

    def _check_memory(self) -> None:
        super()._check_memory()
        size = f"bucket={self.bucket:,} vectors, vector_size={self.vector_size:,},"
        check_memory("`bucket` or `vector_size`", 4 * self.bucket * self.vector_size, size)

    def _context_vectors(self, words: Sequence[str | int]) -> NDArray[np.float32]:
        vectors = [
            self.wv.vectors[word] if isinstance(word, int | np.integer) else self.wv[word]
            for word in words
            if word in self.wv
        ]
        return np.array(vectors, np.float32).reshape(-1, self.vector_size)

    def estimate_memory(
        self, vocab_size: int | None = None, report: dict[str, int] | None = None
    ) -> dict[str, int]:
        """Estimates the size of a model in bytes, as gensim does.

        Args:
            vocab_size: number of words; that of the vocabulary when None.
            report: figures to add those of `vocab`, `syn0_vocab`, `syn0_ngrams`, `buckets_word`,
                `syn1`, `syn1neg` and `total` to.
        """
        size, row = vocab_size or len(self.wv), 4 * self.vector_size
        report = report or {}
        report["vocab"] = len(self.wv) * (700 if self.hs else 500)
        report["syn0_vocab"] = len(self.wv) * row
        report.update(dict.fromkeys(self._output_tables(), len(self.wv) * 4 * self.layer1_size))
        if self.bucket:
            find_ngrams(self.wv)
            numbers = sum(map(len, self.wv.buckets_word))
            report["syn0_ngrams"] = self.bucket * row
            report["buckets_word"] = 64 + 100 * len(self.wv) + 4 * numbers
        report["total"] = sum(report.values())
        logger.info("%i words, %i buckets: %i bytes", size, self.bucket, report["total"])
        return report
