"""The methods that gensim calls while it trains, for subclasses that override them.

gensim reads a corpus in jobs of about `batch_words` words: `_job_producer` puts them into a queue,
`_worker_loop` takes them out and gives each to `_do_train_job`, which trains on it. Here the last
one collects the sentences of a pass, which are then trained on in blocks. So a subclass may count
words in another way, make other jobs, or train on other sentences than it was given, such as walks
that start at the nodes in the corpus.

A model whose class overrides none of these methods is trained without them.
"""

import threading
from collections.abc import Iterable
from queue import Queue
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

JOB_HOOKS = (
    "_do_train_job",
    "_get_thread_working_mem",
    "_job_producer",
    "_raw_word_count",
    "_worker_loop",
)
"""Methods that see the jobs of a pass over sentences."""
EPOCH_HOOKS = ("_log_epoch_end", "_train_epoch")
"""Methods that see the passes over sentences."""
FILE_HOOKS = ("_log_epoch_end", "_train_epoch_corpusfile")
"""Methods that see the passes over a `corpus_file`."""
ALL_HOOKS = (*JOB_HOOKS, *EPOCH_HOOKS, *FILE_HOOKS)

_REFUSED = {
    "_get_next_alpha": "the learning rate falls from `alpha` to `min_alpha`; call `train` for each "
    "epoch with another `start_alpha` and `end_alpha`",
    "_log_epoch_progress": "`callbacks` and `progress_bar` show the progress",
    "_log_progress": "`callbacks` and `progress_bar` show the progress",
}
_REFUSED_FOR_FILES = dict.fromkeys(
    ("_do_train_epoch", "_worker_loop_corpusfile"),
    "a `corpus_file` is read in one piece; give LineSentence(path) as `sentences` and override "
    "`_do_train_job`",
)
_REFUSED_IN_FILES = dict.fromkeys(
    ("_adapt_by_suffix", "_load_specials", "_save_specials", "_smart_save"),
    "files are not pickles; override `save` and `load`",
)


class JobReport(NamedTuple):
    """What the jobs of a pass report: items of the corpus, words trained on, all words, jobs."""

    examples: int
    words: int
    raw_words: int
    jobs: int


class TrainingHooks:
    """gensim's methods around jobs, for a class with the attribute `_training` while it trains.

    `_training` has `next_alpha(progress, epoch)`, `collect(sentences)` and `knows_alpha(alpha)`;
    see `kerasw2v.word2vec.epochs`.
    """

    batch_words: int
    layer1_size: int
    workers: int
    _training: Any

    def _raw_word_count(self, job: Iterable[Any]) -> int:
        """Returns the number of words in the sentences of a job."""
        return sum(map(len, job))

    def _get_thread_working_mem(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns gensim's working memory of a thread, which is not used here."""
        return np.zeros(self.layer1_size, np.float32), np.zeros(self.layer1_size, np.float32)

    def _get_next_alpha(self, epoch_progress: float, cur_epoch: int) -> float:
        """Returns the learning rate after a share of an epoch."""
        alpha: float = self._training.next_alpha(epoch_progress, cur_epoch)
        return alpha

    def _job_producer(
        self,
        data_iterator: Iterable[Any],
        job_queue: Any,
        cur_epoch: int = 0,
        total_examples: int | None = None,
        total_words: int | None = None,
    ) -> None:
        """Puts `(items, alpha)` for the items of a corpus into a queue; at the end, None."""
        job: list[Any] = []
        words = examples_before = words_before = 0
        alpha = self._get_next_alpha(0.0, cur_epoch)
        for item in data_iterator:
            size = self._raw_word_count([item])
            if job and words + size > self.batch_words:
                job_queue.put((job, alpha))
                examples_before += len(job)
                words_before += words
                done, total = examples_before, total_examples
                if not total:
                    done, total = words_before, total_words
                alpha = self._get_next_alpha(done / total if total else 0.0, cur_epoch)
                job, words = [], 0
            job.append(item)
            words += size
        if job:
            job_queue.put((job, alpha))
        for _ in range(self.workers):
            job_queue.put(None)

    def _worker_loop(self, job_queue: Any, progress_queue: Any) -> None:
        """Trains on the jobs in a queue, and reports each to another; None ends both."""
        memory = self._get_thread_working_mem()
        while (job := job_queue.get()) is not None:
            items, alpha = job
            words, raw_words = self._do_train_job(items, alpha, memory)
            progress_queue.put((len(items), words, raw_words))
        progress_queue.put(None)

    def _do_train_job(self, sentences: Iterable[Any], alpha: float, inits: Any) -> tuple[int, int]:
        """Adds sentences to those that the epoch trains on.

        Returns:
            The number of words that are trained on, on average over subsampling, and of all.

        Raises:
            ValueError: if the learning rate is not that of the job.
        """
        if not self._training.knows_alpha(alpha):
            raise ValueError(
                "`alpha` must be the learning rate that the job was given: it falls from the "
                f"model's `alpha` to its `min_alpha`. Received: alpha={alpha!r}."
            )
        sentences = list(sentences)
        return self._training.collect(sentences), self._raw_word_count(sentences)


def overridden(model: Any, names: Iterable[str]) -> list[str]:
    """Returns those methods of a model that come from outside this package."""
    methods = ((name, getattr(model, name, None)) for name in names)
    return [
        name
        for name, method in methods
        if method is not None
        and str(getattr(method, "__module__", None)).partition(".")[0] != "kerasw2v"
    ]


def refused_names() -> set[str]:
    """Returns the methods of gensim that must not be overridden."""
    return {*_REFUSED, *_REFUSED_FOR_FILES, *_REFUSED_IN_FILES}


def check_training_hooks(model: Any, reads_file: bool) -> None:
    """Raises TypeError if a method is overridden that gensim would call to train, and we do not."""
    _refuse(model, _REFUSED | _REFUSED_FOR_FILES if reads_file else _REFUSED)


def check_file_hooks(model: Any) -> None:
    """Raises TypeError if a method is overridden that gensim would call to save or load."""
    _refuse(model, _REFUSED_IN_FILES)


def _refuse(model: Any, names: dict[str, str]) -> None:
    for name in overridden(model, names):
        owner = model if isinstance(model, type) else type(model)
        raise TypeError(
            f"`{name}` must not be overridden, since it is never called here: {names[name]}. "
            f"Received: the class {owner.__qualname__}."
        )


def run_jobs(
    model: Any,
    data_iterable: Iterable[Any],
    cur_epoch: int,
    total_examples: int | None,
    total_words: int | None,
    queue_factor: int,
) -> JobReport:
    """Lets a model make the jobs of a pass and train on them, as gensim does with one worker.

    The corpus is read in a thread of its own; the jobs are done in this one, in their order.
    """
    jobs: Queue[Any] = Queue(max(1, queue_factor) * max(1, model.workers))
    reports: Queue[Any] = Queue()
    failures: list[BaseException] = []
    is_over = threading.Event()

    def produce() -> None:
        try:
            model._job_producer(
                _until(is_over, data_iterable),
                jobs,
                cur_epoch=cur_epoch,
                total_examples=total_examples,
                total_words=total_words,
            )
        except BaseException as error:
            failures.append(error)
        finally:
            jobs.put(None)

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    try:
        model._worker_loop(jobs, reports)
    finally:
        is_over.set()
        while producer.is_alive():  # it may wait for room in the queue
            while not jobs.empty():
                jobs.get_nowait()
            producer.join(0.01)
    if failures:
        raise failures[0]
    done = [report for report in _waiting(reports) if report is not None]
    examples, words, raw_words = (sum(report[i] for report in done) for i in range(3))
    return JobReport(int(examples), int(words), int(raw_words), len(done))


def _until(is_over: threading.Event, items: Iterable[Any]) -> Iterable[Any]:
    for item in items:
        if is_over.is_set():
            return
        yield item


def _waiting(queue: Any) -> Iterable[Any]:
    """Yields what is in a queue now."""
    while not queue.empty():
        yield queue.get_nowait()
