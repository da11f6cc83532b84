"""The work of `kerasw2v train`: check, read, fit, write."""

import math
import os
import platform
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasw2v.cli.options import RunState, TrainOptions
from kerasw2v.data.corpus import Corpus, check_corpus
from kerasw2v.data.demo_corpus import lee_corpus
from kerasw2v.evaluation import evaluate
from kerasw2v.history import History
from kerasw2v.keyed_vectors import (
    check_vectors_path,
    save_projector,
    save_vectors,
    to_keyed_vectors,
)
from kerasw2v.plots import check_plot_path, plot_training, save_plot
from kerasw2v.report import check_report_path, write_report
from kerasw2v.utils.files import check_output_path, temporary_sibling
from kerasw2v.utils.runtime import start_tensorflow
from kerasw2v.utils.versions import versions
from kerasw2v.word_map import content_words

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

    from kerasw2v.data.token_stream import TokenStream
    from kerasw2v.data.vocabulary import Vocabulary

_TITLES = {"skip-gram": "Skip-gram", "cbow": "CBOW"}
_DEMO_WORDS = ("palestinian", "taliban", "cricket", "firefighters", "qantas", "interest")


def train(options: TrainOptions) -> None:
    """Trains, and writes the files that the options name.

    Args:
        options: from the parser of `kerasw2v train`.

    Raises:
        ValueError, OSError, ImportError: with one sentence for the user.
        KeyboardInterrupt: with a sentence on what was saved.
    """
    _check_paths(options)
    state = RunState(options.checkpoint, options.identity()) if options.checkpoint else None
    if state and options.output:
        state.check()
    corpus: Corpus = list(options.corpus)
    if not options.corpus:
        corpus = lee_corpus()
        _print_status(options, "No corpus given: training on 300 news articles that gensim ships.")
    start_tensorflow()
    strategy = _join(options) if options.workers else None
    vocabulary, stream = _read(options, corpus)
    if strategy:
        _check_same(options, vocabulary, strategy)
    model, history = _fit(options, vocabulary, stream, strategy, state)
    if not options.output:
        return
    vectors = to_keyed_vectors(model, vocabulary)
    if not math.isfinite(float(vectors.vectors.sum())):
        raise ValueError(
            f"Training diverged; `--alpha` must be smaller. Received: --alpha {options.alpha}."
        )
    settings = _settings(options, vocabulary, stream, model)
    written = _write(options, options.output, model, vectors, settings, history)
    if state:
        state.remove()
    if not options.quiet:
        _print_summary(options, options.output, written, vectors)


def _check_paths(options: TrainOptions) -> None:
    """Checks all paths before any work is done."""
    if options.output:
        check_vectors_path(options.output)
    if options.plot:
        check_plot_path(options.plot)
    if options.report:
        check_report_path(options.report)
    if options.save_model and not options.save_model.endswith(".keras"):
        raise ValueError(
            f"`--save-model` must end in .keras. Received: --save-model {options.save_model}."
        )
    files = options.outputs("file")
    for path in files:
        check_output_path(path)
    folders = [*options.outputs("folder"), *filter(None, [options.checkpoint])]
    _check_distinct(files, [*options.corpus, *filter(None, [options.read_vocab]), *folders])
    for folder in folders:
        _check_folder(folder)
    if options.read_vocab and not os.path.isfile(options.read_vocab):
        raise FileNotFoundError(
            f"`--read-vocab` must name a file that exists. Received: {options.read_vocab!r}."
        )
    for path in options.corpus:
        check_corpus(Path(path))


def _check_distinct(outputs: list[str], others: list[str]) -> None:
    used = {os.path.realpath(path) for path in others}
    for path in outputs:
        real = os.path.realpath(path)
        if real in used:
            raise ValueError(
                f"`{path}` must not be written: the same command reads or writes it already."
            )
        used.add(real)


def _check_folder(folder: str) -> None:
    # A file inside an existing folder and a new folder need the same: a parent to write to.
    path = Path(folder)
    check_output_path(path / "file" if path.is_dir() else path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"`FOLDER` must not be a file. Received: {folder!r}.")


def _join(options: TrainOptions) -> Any:
    from kerasw2v.multi_worker import connect

    others = len(options.workers) - 1
    if others:
        _print_status(options, f"Waiting for {others} other worker{'s' if others > 1 else ''}.")
    return connect(options.workers, options.index, options.wait)


def _read(options: TrainOptions, corpus: Corpus) -> tuple["Vocabulary", "TokenStream"]:
    from kerasw2v.data.counted_corpus import read_corpus
    from kerasw2v.data.token_stream import TokenStream
    from kerasw2v.data.vocabulary import Vocabulary

    if options.read_vocab:
        vocabulary = Vocabulary.load(options.read_vocab)
        stream = TokenStream.from_corpus(corpus, vocabulary)
    else:
        vocabulary, stream = read_corpus(corpus, options.min_count, options.max_vocab)
    _print_status(options, f"{len(vocabulary):,} words, {stream.corpus_words:,} in the corpus.")
    if options.save_vocab:
        vocabulary.save(options.save_vocab)
    return vocabulary, stream


def _check_same(options: TrainOptions, vocabulary: "Vocabulary", strategy: Any) -> None:
    from kerasw2v.multi_worker import check_same

    words = zip(vocabulary.words, vocabulary.counts, strict=True)
    values = [options.local_steps, options.hyperparameters(), *words]
    check_same(strategy, "corpus and options", repr(values))


def _fit(
    options: TrainOptions,
    vocabulary: "Vocabulary",
    stream: "TokenStream",
    strategy: Any,
    state: RunState | None,
) -> tuple[Any, History | None]:
    """Returns the trained model, and loss and speed over time if a plot or report shows them."""
    shared = None if options.local_steps else strategy  # what the model's variables live under
    make_dataset = partial(_dataset, options, vocabulary, stream, shared)
    dataset, steps = make_dataset()
    with shared.scope() if shared else nullcontext():
        model = _model(options, vocabulary, steps)
    epochs_done, checkpoints = _resume(options, state, model, steps)
    history = None
    if options.plot or options.report:
        history = History.load(state.history, epochs_done) if state else History()
    if epochs_done:
        dataset, _ = make_dataset(first_epoch=epochs_done)
    callbacks = _callbacks(options, stream.corpus_words, strategy, history, state)
    try:
        model.fit(
            dataset,
            epochs=options.epochs,
            initial_epoch=epochs_done,
            steps_per_epoch=steps if shared else None,
            verbose=0,
            # Checkpoints last: the record may be ahead of them but not behind.
            callbacks=[*callbacks, *checkpoints],
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped_message(state)) from None
    return model, history


def _dataset(
    options: TrainOptions,
    vocabulary: "Vocabulary",
    stream: "TokenStream",
    shared: Any,
    first_epoch: int = 0,
) -> tuple[Any, int]:
    """Returns the blocks to train on, and the number of batches in an epoch."""
    from kerasw2v import block_dataset
    from kerasw2v.multi_worker import sharded_blocks

    arguments: dict[str, Any] = {
        "window": options.window,
        "sample": options.sample,
        "batch_size": _batch_size(options, stream),
        "seed": options.worker_seed,
        "first_epoch": first_epoch,
    }
    if shared:
        return sharded_blocks(shared, stream, vocabulary, **arguments)
    if options.local_steps:
        arguments["shard"] = (len(options.workers), options.index)
    dataset = block_dataset(stream, vocabulary, **arguments)
    return dataset, len(dataset)


def _batch_size(options: TrainOptions, stream: "TokenStream") -> int:
    from kerasw2v.data.block_dataset import default_batch_size

    return options.batch_size or default_batch_size(stream.corpus_words, options.window)


def _model(options: TrainOptions, vocabulary: "Vocabulary", steps: int) -> Any:
    """Returns the compiled model; its learning rate falls over epochs of so many steps."""
    from kerasw2v import CBOW, SkipGram, layers, optimizers

    architecture = CBOW if options.architecture == "cbow" else SkipGram
    seed = options.worker_seed
    noise = layers.NegativeSampling(vocabulary.counts, options.negative, seed=seed)
    model = architecture(len(vocabulary), options.size, noise, window=options.window, seed=seed)
    schedule = optimizers.default_schedule(
        options.architecture, steps, options.epochs, options.alpha
    )
    model.compile(optimizer=optimizers.RowSGD(schedule))
    return model


def _resume(
    options: TrainOptions, state: RunState | None, model: Any, steps: int
) -> tuple[int, list[Any]]:
    """Returns how many epochs are done already, and the callbacks that save the state."""
    if not state:
        return 0, []
    from kerasw2v.callbacks import Checkpoint

    if options.output:
        state.begin()
    checkpoint = Checkpoint(state.weights)
    epochs_done = checkpoint.restore(model, steps)
    if epochs_done:
        _print_status(
            options,
            f"Going on after epoch {epochs_done} of {options.epochs}, from {options.checkpoint}.",
        )
    return epochs_done, [checkpoint]


def _callbacks(
    options: TrainOptions,
    corpus_words: int,
    strategy: Any,
    history: History | None,
    state: RunState | None,
) -> list[Any]:
    from kerasw2v.callbacks import AverageTables, Progress, Record

    callbacks: list[Any] = [] if options.quiet else [Progress(corpus_words)]
    if options.local_steps:
        callbacks.append(AverageTables(strategy, options.local_steps))
    if history is not None:
        callbacks.append(Record(corpus_words, history, state.history if state else None))
    return callbacks


def _stopped_message(state: RunState | None) -> str:
    if not state:
        return (
            "Stopped; no vectors were saved. With `--checkpoint FOLDER` training can be taken up."
        )
    if not state.weights.exists():
        return "Stopped in the first epoch; nothing was saved yet."
    return (
        f"Stopped; {state.folder} holds the state after the last whole epoch, and the same command "
        "goes on from there."
    )


def _settings(
    options: TrainOptions, vocabulary: "Vocabulary", stream: "TokenStream", model: Any
) -> dict[str, dict[str, Any]]:
    """Returns all that decided how the vectors came out, in groups, for the report."""
    settings = options.for_report()
    settings["Model"]["parameters"] = model.count_params()
    settings["Training"]["batch size"] = _batch_size(options, stream)
    corpus = {
        "files": ", ".join(options.corpus) or "300 news articles that gensim ships",
        "words in it": stream.corpus_words,
        "words known": len(vocabulary),
    }
    machine = {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count()}
    return {"Corpus": corpus, **settings, "Versions": {**versions(), **machine}}


def _write(
    options: TrainOptions,
    output: str,
    model: Any,
    vectors: "KeyedVectors",
    settings: dict[str, dict[str, Any]],
    history: History | None,
) -> list[str]:
    """Writes all files, and returns a line on each."""
    save_vectors(vectors, output)
    written = [f"{output}: {len(vectors):,} words, {options.size} dimensions"]
    if options.save_vocab:
        written.append(f"{options.save_vocab}: words and counts")
    if options.save_model:
        with temporary_sibling(options.save_model) as temporary:
            model.save(temporary)
        written.append(f"{options.save_model}: the Keras model")
    if options.projector:
        save_projector(vectors, options.projector)
        written.append(f"{options.projector}: for `tensorboard --logdir {options.projector}`")
    if options.plot:
        save_plot(plot_training(vectors, history), options.plot)
        written.append(f"{options.plot}: the words' map and the loss")
    if options.report:
        _print_status(options, "Testing the vectors for the report.")
        title = f"{_TITLES[options.architecture]}, {options.size} dimensions"
        write_report(options.report, vectors, title, settings, history, evaluate(vectors))
        written.append(f"{options.report}: the report; open it in a browser")
    return written


def _print_summary(
    options: TrainOptions, output: str, written: list[str], vectors: "KeyedVectors"
) -> None:
    print("Written:", *written, sep="\n  ")
    if not options.corpus:
        print("Nearest words:", *_demo_neighbours(vectors), sep="\n  ")
    word = content_words(vectors, 10, among=1000)[-1]
    print("Next:", *_next_steps(output, word), sep="\n  ")


def _demo_neighbours(vectors: "KeyedVectors") -> list[str]:
    width = max(map(len, _DEMO_WORDS))
    return [
        f"{word:{width}}  " + ", ".join(near for near, _ in vectors.most_similar(word, topn=6))
        for word in _DEMO_WORDS
        if word in vectors
    ]


def _next_steps(output: str, word: str) -> list[str]:
    load = f"KeyedVectors.load({output!r})"
    if not output.lower().endswith(".kv"):
        binary = ", binary=True" if ".bin" in output.lower()[-7:] else ""
        load = f"KeyedVectors.load_word2vec_format({output!r}{binary})"
    return [
        f"kerasw2v similar {output} {word}",
        f"kerasw2v evaluate {output}",
        f"from gensim.models import KeyedVectors; vectors = {load}",
    ]


def _print_status(options: TrainOptions, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr)
