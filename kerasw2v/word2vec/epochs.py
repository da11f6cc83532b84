"""A training that reads its corpus again in each epoch, with one `fit` of Keras an epoch."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kerasw2v.callbacks import Progress
from kerasw2v.data.corpus import batches_of_sentences
from kerasw2v.data.token_stream import TokenSpool, TokenStream
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.word2vec.sentences import Sentences
from kerasw2v.word2vec.trainer import Schedule, Trainer


class _EpochCallbacks(keras.callbacks.CallbackList):
    """Callbacks of a training that several `fit` calls share: these begin and end only batches."""

    def __init__(self, callbacks: list[Any], model: Any, epochs: int) -> None:
        super().__init__(
            callbacks, add_history=True, model=model, epochs=epochs, steps=None, verbose=0
        )
        self.is_in_fit = False
        self.logs: Any = {}

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.is_in_fit:
            super().on_train_begin(logs)

    def on_train_end(self, logs: Any = None) -> None:
        if not self.is_in_fit:
            super().on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self.is_in_fit:
            super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.is_in_fit:
            self.logs = logs
        else:
            super().on_epoch_end(epoch, logs)


class EpochTraining:
    """One `train` call that reads its corpus in each epoch.

    Args:
        trainer: the Keras side, with the model's weights.
        keep: the probability of each word's tokens to be kept, in gensim's order.
        schedule: the learning rates; the `share` of each epoch replaces its own.
        number: number of this `train` call, from 0.
        batch_size: tokens in a step, or None.
        callbacks: Keras callbacks.
        progress_words: number of words of an epoch for a progress bar; None for no bar.

    Attributes:
        trainer: as above.
        vocabulary: its vocabulary.
    """

    def __init__(
        self,
        trainer: Trainer,
        keep: NDArray[np.float32],
        schedule: Schedule,
        number: int,
        batch_size: int | None,
        callbacks: Iterable[Any],
        progress_words: int | None = None,
    ) -> None:
        self.trainer, self._keep, self._schedule = trainer, keep, schedule
        self._number, self._batch_size = number, batch_size
        bar = [] if progress_words is None else [Progress(progress_words)]
        self._callbacks = _EpochCallbacks([*callbacks, *bar], trainer.model, schedule.epochs)
        self._spool: TokenSpool | None = None
        self._alphas: set[float] = set()

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that are trained."""
        return self.trainer.vocabulary

    def run(self, train_epoch: Callable[[int], tuple[int, int, int]]) -> tuple[int, int, int]:
        """Trains all epochs, as `fit` would, unless a callback stops it.

        `train_epoch` trains the epoch of a number; it returns words, raw words and jobs. Returns
        their sums.
        """
        callbacks, model = self._callbacks, self.trainer.model
        totals = np.zeros(3, np.int64)
        self.trainer.restart_draws(self._number)
        model.stop_training = False
        callbacks.on_train_begin()
        # Where Keras' BackupAndRestore takes a training up; `fit` is told for each epoch anyway.
        first, model._initial_epoch = model._initial_epoch or 0, None
        for epoch in range(first, self._schedule.epochs):
            model.reset_metrics()
            callbacks.logs = {}
            callbacks.on_epoch_begin(epoch)
            is_last = model.stop_training
            totals += train_epoch(epoch)
            callbacks.on_epoch_end(epoch, callbacks.logs)
            if is_last or model.stop_training:
                break
        callbacks.on_train_end()
        words, raw_words, jobs = totals.tolist()
        return words, raw_words, jobs

    def fit(self, stream: TokenStream, epoch: int, share: float) -> int:
        """Trains one epoch on a stream; returns the number of words that subsampling leaves."""
        self._callbacks.is_in_fit = True
        try:
            outcome = self.trainer.fit(
                stream,
                self._keep,
                self._schedule._replace(share=share),
                self._number,
                self._batch_size,
                self._callbacks,
                epochs=range(epoch, epoch + 1),
            )
        finally:
            self._callbacks.is_in_fit = False
        return round(outcome.tokens_per_epoch)

    # Sentences that `_do_train_job` is given

    def next_alpha(self, progress: float, epoch: int) -> float:
        """Returns the learning rate after a share of an epoch, and knows it from then on."""
        start, end, epochs, *_ = self._schedule
        alpha = max(end, start - (start - end) * (epoch + progress) / epochs)
        self._alphas.add(alpha)
        return alpha

    def knows_alpha(self, alpha: float) -> bool:
        """Whether a learning rate is one that `next_alpha` has returned."""
        return alpha in self._alphas

    def collect(self, sentences: list[Any]) -> int:
        """Encodes sentences for the current epoch; returns how many of their words will be kept."""
        if self._spool is None:
            self._spool = TokenSpool()
        vocabulary, keep, words = self.vocabulary, self.trainer.in_order(self._keep), 0.0
        for batch in batches_of_sentences(Sentences(sentences)):
            ids = vocabulary.lookup(batch.words())
            self._spool.add(ids, batch.sentence_starts())
            words += float(keep[ids[ids >= 0]].sum())
        return round(words)

    def collected(self) -> TokenStream | None:
        """Returns the sentences that were collected, and forgets them; None for no known word."""
        spool, self._spool = self._spool, None
        if spool is None:
            return None
        tokens = spool.tokens()
        return TokenStream(tokens, spool.num_words) if tokens.size else None
