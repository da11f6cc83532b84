"""The work of `kerasw2v train`: read, fit, write. TensorFlow is started by whoever imports it."""

import math
import os
import platform
import shlex
import shutil
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from kerasw2v import Vocabulary, block_dataset, layers
from kerasw2v.architectures import (
    compile_model,
    make_model,
    suitable_batch_size,
    suitable_merge_steps,
)
from kerasw2v.block_model import BlockModel
from kerasw2v.callbacks import Checkpoint, MergeTables, Progress, Record
from kerasw2v.cli.arguments import open_vectors, read_items
from kerasw2v.cli.options import RunState, TrainOptions
from kerasw2v.data.block_dataset import count_ids, kept_tokens
from kerasw2v.data.corpus import Corpus
from kerasw2v.data.counted_corpus import read_corpus
from kerasw2v.data.demo_corpus import lee_corpus
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.evaluation import evaluate
from kerasw2v.growth import warm_start
from kerasw2v.history import History
from kerasw2v.keyed_vectors import (
    check_words_for,
    save_projector,
    save_vectors,
    to_keyed_vectors,
)
from kerasw2v.multi_worker import check_same, connect, sharded_blocks
from kerasw2v.ops.windows import sufficient_halo
from kerasw2v.plots import plot_training, save_plot
from kerasw2v.report import write_report
from kerasw2v.utils.files import save_keras_model
from kerasw2v.utils.memory import check_memory
from kerasw2v.utils.versions import versions
from kerasw2v.word_map import example_word

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

_TITLES = {"skip-gram": "Skip-gram", "cbow": "CBOW"}
_DEMO_WORDS = ("palestinian", "taliban", "cricket", "firefighters", "qantas", "interest")


def train(options: TrainOptions) -> None:
    """Trains, and writes the files that the options name; errors are one sentence for the user."""
    state = options.run_state()
    strategy = _join(options) if options.workers else None
    initial = _initial_vectors(options)
    vocabulary, stream = _read(options)
    if options.output:
        check_words_for(options.output, vocabulary.words)
    if strategy:
        words = zip(vocabulary.words, vocabulary.counts, strict=True)
        settings = [options.sync, options.local_steps, options.hyperparameters(), *words]
        check_same(strategy, "corpus and options", repr(settings))
    model, history = _fit(options, vocabulary, stream, strategy, state, initial)
    if not options.output:
        return
    vectors = to_keyed_vectors(model, vocabulary, copy=False)
    if not math.isfinite(float(vectors.vectors.sum())):
        raise _divergence(options, state)
    save_vectors(vectors, options.output)
    written = [f"{options.output}: {len(vectors):,} words, {options.size} dimensions"]
    written += _write_others(options, vectors, model, stream, history)
    if state:
        state.remove()
    if not options.quiet:
        print("Written:", *written, sep="\n  ")
        if not options.corpus:
            print("Nearest words:", *_demo_neighbours(vectors), sep="\n  ")
        print("Next:", *_next_steps(options, example_word(vectors)), sep="\n  ")


def _join(options: TrainOptions) -> Any:
    others = len(options.workers) - 1
    if others:
        _print_status(options, f"Waiting for {others} other worker{'s' if others > 1 else ''}.")
    return connect(options.workers, options.index, options.wait)


def _initial_vectors(options: TrainOptions) -> "KeyedVectors | None":
    if not options.initial_vectors:
        return None
    vectors = open_vectors(options.initial_vectors)
    if vectors.vector_size != options.size:
        raise ValueError(
            f"`--size` must be {vectors.vector_size}, the width of the vectors in "
            f"{options.initial_vectors!r}. Received: --size {options.size}."
        )
    return vectors


def _read(options: TrainOptions) -> tuple[Vocabulary, TokenStream]:
    corpus: Corpus = list(options.corpus)
    if options.columns:
        corpus = read_items(corpus, options.columns, options.order)
    elif not corpus:
        _print_status(options, "No corpus given: training on 300 news articles that gensim ships.")
        corpus = lee_corpus()
    if options.read_vocab:
        vocabulary = Vocabulary.load(options.read_vocab)
        stream = TokenStream.from_corpus(corpus, vocabulary)
    else:
        vocabulary, stream = read_corpus(corpus, options.min_count, options.max_vocab)
    _print_status(options, f"{len(vocabulary):,} words, {stream.corpus_words:,} in the corpus.")
    if options.save_vocab:
        vocabulary.save(options.save_vocab)
    return vocabulary, stream


def _fit(
    options: TrainOptions,
    vocabulary: Vocabulary,
    stream: TokenStream,
    strategy: Any,
    state: RunState | None,
    initial: "KeyedVectors | None",
) -> tuple[Any, History | None]:
    """Returns the trained model, and loss and speed over time if a plot or report shows them."""
    shared = strategy if options.shares_steps else None  # alone, workers share no variables
    with shared.scope() if shared else nullcontext():
        halo = sufficient_halo(options.window, stream.longest_sentence())
        model = _model(options, vocabulary, halo)
        if initial is not None:
            found = warm_start(model, vocabulary, initial)
            start = f"{found:,} of them start with their vectors in {options.initial_vectors}."
            _print_status(options, start)
        batch_size = _batch_size(options, model, stream)
        dataset, steps = _dataset(options, vocabulary, stream, batch_size, shared, halo)
        compile_model(model, steps, options.epochs, options.alpha)
    checkpoint, epochs_done = _resume(options, state, model, steps, None if shared else strategy)
    if epochs_done:
        dataset, _ = _dataset(options, vocabulary, stream, batch_size, shared, halo, epochs_done)
    record = _record(options, state, stream, epochs_done)
    callbacks = [
        None if options.quiet else Progress(stream.corpus_words),
        None if shared or not strategy else _merging(options, model, strategy, batch_size),
        record,
        checkpoint,  # after the record, which may be ahead of it but not behind
    ]
    try:
        model.fit(
            dataset,
            epochs=options.epochs,
            initial_epoch=epochs_done,
            steps_per_epoch=steps if shared else None,
            verbose=0,
            callbacks=[callback for callback in callbacks if callback],
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped_message(state)) from None
    except FloatingPointError as error:
        raise _divergence(options, state) from error
    return model, record and record.history


def _dataset(
    options: TrainOptions,
    vocabulary: Vocabulary,
    stream: TokenStream,
    batch_size: int,
    shared: Any,
    halo: int,
    first_epoch: int = 0,
) -> tuple[Any, int]:
    """Returns the blocks to train on, and the number of batches in an epoch."""
    arguments: dict[str, Any] = {
        "window": options.window,
        "halo": halo,
        "sample": options.sample,
        "batch_size": batch_size,
        "seed": options.worker_seed,
        "first_epoch": first_epoch,
    }
    if shared:
        return sharded_blocks(shared, stream, vocabulary, **arguments)
    if options.workers:
        arguments["shard"] = len(options.workers), options.index
    dataset = block_dataset(stream, vocabulary, **arguments)
    return dataset, len(dataset)


def _merging(
    options: TrainOptions, model: BlockModel, strategy: Any, batch_size: int
) -> MergeTables:
    """Returns the callback that merges what workers have learned alone."""
    steps = options.local_steps or suitable_merge_steps(model, batch_size)
    return MergeTables(strategy, steps)


def _batch_size(options: TrainOptions, model: BlockModel, stream: TokenStream) -> int:
    if options.batch_size:
        return options.batch_size
    counts = count_ids(stream, model.vocabulary_size)
    kept = kept_tokens(counts, options.sample)
    if options.workers and not options.shares_steps:  # each has its share of the corpus
        return suitable_batch_size(model, kept / len(options.workers), options.epochs)
    size = suitable_batch_size(model, kept, options.epochs)
    # Workers that take every step together share a batch: a block each, at least.
    return max(size, len(options.workers) * model.block_length)


def _model(options: TrainOptions, vocabulary: Vocabulary, halo: int) -> BlockModel:
    size = f"2 tables of {len(vocabulary):,} words, --size {options.size:,},"
    check_memory("`--size`", 8 * len(vocabulary) * options.size, size)
    seed, window = options.worker_seed, options.window
    noise = layers.NegativeSampling(
        vocabulary.counts, options.negative, exponent=options.noise_exponent, seed=seed
    )
    return make_model(
        options.architecture,
        options.size,
        noise,
        window=window,
        shrink_windows=not options.full_windows,
        halo=halo,
        seed=seed,
    )


def _resume(
    options: TrainOptions, state: RunState | None, model: Any, steps: int, merging: Any
) -> tuple[Checkpoint | None, int]:
    """Returns the callback that saves the state, and how many epochs are done already."""
    if not state:
        return None, 0
    if options.output:
        state.begin()
    checkpoint = Checkpoint(state.weights, merging)
    done = checkpoint.restore(model, steps)
    if done:
        _print_status(
            options, f"Going on after epoch {done} of {options.epochs}, from {options.checkpoint}."
        )
    return checkpoint, done


def _record(
    options: TrainOptions, state: RunState | None, stream: TokenStream, epochs_done: int
) -> Record | None:
    """Returns the callback that records loss and speed, if a plot or report shows them."""
    if not (options.plot or options.report):
        return None
    if not state:
        return Record(stream.corpus_words)
    history = History.load(state.history, epochs_done)
    return Record(stream.corpus_words, history, state.history)


def _divergence(options: TrainOptions, state: RunState | None) -> ValueError:
    kept = ""
    if state and state.weights.exists():
        kept = f" {state.folder} holds the state after the last good epoch."
    return ValueError(
        f"Training diverged; `--alpha` must be smaller. Received: --alpha {options.alpha}.{kept}"
    )


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


def _write_others(
    options: TrainOptions,
    vectors: "KeyedVectors",
    model: Any,
    stream: TokenStream,
    history: History | None,
) -> list[str]:
    """Writes what is wanted besides the vectors, and returns a line on each file."""
    written = []
    if options.save_vocab:
        written.append(f"{options.save_vocab}: words and counts")
    if options.save_model:
        save_keras_model(model, options.save_model)
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
        settings = _settings(options, model, stream)
        write_report(options.report, vectors, title, settings, history, evaluate(vectors))
        written.append(f"{options.report}: the report; open it in a browser")
    return written


def _settings(options: TrainOptions, model: Any, stream: TokenStream) -> dict[str, dict[str, Any]]:
    """Returns all that decided how the vectors came out, in groups, for the report."""
    groups = options.for_report()
    groups["Model"]["parameters"] = model.count_params()
    groups["Training"]["batch size"] = _batch_size(options, model, stream)
    corpus = {
        "files": ", ".join(map(os.path.basename, options.corpus))
        or "300 news articles that come with gensim",
        **({"columns": " and ".join(options.columns)} if options.columns else {}),
        **({"sorted by": options.order} if options.order else {}),
        "words in it": stream.corpus_words,
        "words known": model.vocabulary_size,
    }
    machine = {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count()}
    return {"Corpus": corpus, **groups, "Versions": {**versions(), **machine}}


def _demo_neighbours(vectors: "KeyedVectors") -> list[str]:
    width = max(map(len, _DEMO_WORDS))
    return [
        f"{word:{width}}  " + ", ".join(near for near, _ in vectors.most_similar(word, topn=6))
        for word in _DEMO_WORDS
        if word in vectors
    ]


def _next_steps(options: TrainOptions, word: str) -> list[str]:
    output, program = str(options.output), _program()
    load = f"KeyedVectors.load({output!r})"
    if not output.lower().endswith(".kv"):
        binary = ", binary=True" if ".bin" in output.lower()[-7:] else ""
        load = f"KeyedVectors.load_word2vec_format({output!r}{binary})"
    test = ["evaluate", output]
    if options.columns:
        test += ["--next-items", "HELD_OUT.csv", "--columns", *options.columns]
    return [
        f"{program} {shlex.join(['similar', output, word])}",
        f"{program} {shlex.join(test)}",
        f"from gensim.models import KeyedVectors; vectors = {load}",
    ]


def _program() -> str:
    """Returns what this command line is called by, where it was called."""
    called = sys.argv[0]
    if called.endswith(os.path.join("kerasw2v", "__main__.py")):
        is_on_path = shutil.which("python") == sys.executable
        return f"{'python' if is_on_path else shlex.quote(sys.executable)} -m kerasw2v"
    is_ours = os.path.basename(called) == "kerasw2v"
    found = shutil.which("kerasw2v")
    if not is_ours or (found and os.path.realpath(found) == os.path.realpath(called)):
        return "kerasw2v"
    return shlex.quote(called)


def _print_status(options: TrainOptions, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr)
