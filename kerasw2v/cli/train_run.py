"""What `kerasw2v train` does, from checking its arguments to telling what to do next."""

import argparse
import math
import os
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasw2v.cli.options import RUN_OPTIONS, RunState, batch_size, run_settings, stopped_message
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
from kerasw2v.ops.learning_rates import default_learning_rate
from kerasw2v.plots import check_plot_path, plot_training, save_plot
from kerasw2v.report import check_report_path, write_report
from kerasw2v.utils.files import check_output_path, temporary_sibling
from kerasw2v.utils.runtime import quiet_start
from kerasw2v.word_map import content_words

if TYPE_CHECKING:
    from kerasw2v.data.token_stream import TokenStream
    from kerasw2v.data.vocabulary import Vocabulary

_ARCHITECTURES = {"skip-gram": "Skip-gram", "cbow": "CBOW"}
_DEMO_WORDS = ("palestinian", "taliban", "cricket", "firefighters", "qantas", "interest")


def train(args: argparse.Namespace) -> None:
    """Trains as the arguments of `kerasw2v train` say.

    Args:
        args: what the parser of `kerasw2v.cli` makes of the command line.

    Raises:
        ValueError, TypeError, OSError, ImportError: with one sentence for the user.
        KeyboardInterrupt: with a sentence on what was saved.
    """
    if args.workers:
        args.workers, args.index = _checked_workers(args)
    args.writes = not args.index  # of several workers the chief alone
    args.quiet = args.quiet or not args.writes
    is_demo = not args.corpus
    args.epochs = args.epochs or (50 if is_demo else 5)
    args.alpha = args.alpha or default_learning_rate(args.architecture, args.epochs)
    _check(args)
    corpus = lee_corpus() if is_demo else args.corpus
    if is_demo:
        _say(args, "No corpus given: training on 300 news articles that gensim ships.")
    with quiet_start():
        from kerasw2v.utils.runtime import divide_cores, require_tensorflow

        require_tensorflow()
        divide_cores()
        import tensorflow as tf

        tf.config.list_physical_devices()
    _run(args, corpus, _join(args) if args.workers else None)


def _checked_workers(args: argparse.Namespace) -> tuple[list[str], int]:
    from kerasw2v.multi_worker import check_workers

    if args.index is None:
        raise ValueError("`--index` must be given with `--workers`. Received: no --index.")
    if args.local_steps and args.checkpoint:
        raise ValueError(
            "`--checkpoint` must not be given with `--local-steps`: workers that train alone have "
            f"no common state. Received: --checkpoint {args.checkpoint}."
        )
    return check_workers(args.workers.split(","), args.index)


def _join(args: argparse.Namespace) -> Any:
    from kerasw2v.multi_worker import connect

    others = len(args.workers) - 1
    _say(args, f"Waiting for {others} other worker{'s' if others > 1 else ''}.")
    return connect(args.workers, args.index, args.wait)


def _run(args: argparse.Namespace, corpus: Corpus, strategy: Any) -> None:
    vocabulary, stream = _read(args, corpus)
    model, history = _fit(args, stream, vocabulary, strategy)
    if args.writes:
        _write(args, model, vocabulary, history)


def _write(
    args: argparse.Namespace, model: Any, vocabulary: "Vocabulary", history: History | None
) -> None:
    vectors = to_keyed_vectors(model, vocabulary)
    if not math.isfinite(float(vectors.vectors.sum())):
        raise ValueError(
            f"Training diverged; `--alpha` must be smaller. Received: --alpha {args.alpha}."
        )
    save_vectors(vectors, args.output)
    written = [f"{args.output}: {len(vectors):,} words, {args.size} dimensions"]
    if args.save_vocab:
        written.append(f"{args.save_vocab}: words and counts")
    if args.save_model:
        with temporary_sibling(args.save_model) as temporary:
            model.save(temporary)
        written.append(f"{args.save_model}: the Keras model")
    if args.projector:
        save_projector(vectors, args.projector)
        written.append(f"{args.projector}: for `tensorboard --logdir {args.projector}`")
    if args.plot:
        save_plot(plot_training(vectors, history), args.plot)
        written.append(f"{args.plot}: the words' map and the loss")
    if args.report:
        _say(args, "Testing the vectors for the report.")
        title = f"{_ARCHITECTURES[args.architecture]}, {args.size} dimensions"
        settings = run_settings(args, vocabulary, model.count_params())
        write_report(args.report, vectors, title, settings, history, evaluate(vectors))
        written.append(f"{args.report}: the report; open it in a browser")
    if args.checkpoint:
        RunState(args).remove()
    if not args.quiet:
        print("Written:", *written, sep="\n  ")
        if not args.corpus:
            print("Nearest words:", *_demo_neighbours(vectors), sep="\n  ")
        word = content_words(vectors, 10, among=1000)[-1]
        print("Next:", *_next_steps(args.output, word), sep="\n  ")


def _read(args: argparse.Namespace, corpus: Corpus) -> tuple["Vocabulary", "TokenStream"]:
    from kerasw2v.data.counted_corpus import read_corpus
    from kerasw2v.data.token_stream import TokenStream
    from kerasw2v.data.vocabulary import Vocabulary

    if args.read_vocab:
        vocabulary = Vocabulary.load(args.read_vocab)
        stream = TokenStream.from_corpus(corpus, vocabulary)
    else:
        vocabulary, stream = read_corpus(corpus, args.min_count, args.max_vocab)
    _say(args, f"{len(vocabulary):,} words, {vocabulary.corpus_words:,} in the corpus.")
    if args.save_vocab and args.writes:
        vocabulary.save(args.save_vocab)
    return vocabulary, stream


def _fit(
    args: argparse.Namespace, stream: "TokenStream", vocabulary: "Vocabulary", strategy: Any
) -> tuple[Any, History | None]:
    """Returns the trained model, and loss and speed over time if a picture of them is wanted."""
    from kerasw2v.callbacks import AverageTables, Progress, Record

    seed, shard = args.seed, {}
    if strategy:
        _check_same(args, vocabulary, strategy)
    if args.local_steps and strategy:
        shard = {"shard": (len(args.workers), args.index)}
        seed = None if seed is None else seed + args.index  # else all draw the same
    shared = None if args.local_steps else strategy  # under which the model is made
    make_dataset = partial(
        _dataset,
        shared,
        stream,
        vocabulary,
        window=args.window,
        sample=args.sample,
        batch_size=batch_size(args, vocabulary),
        seed=seed,
        **shard,
    )
    dataset, steps = make_dataset()
    with shared.scope() if shared else nullcontext():
        model = _model(args, vocabulary, steps, seed)
    callbacks: list[Any] = [] if args.quiet else [Progress(vocabulary.corpus_words)]
    if args.local_steps and strategy:
        callbacks.append(AverageTables(strategy, args.local_steps))
    begun, history, state = 0, None, None
    if args.checkpoint:
        state = RunState(args)
        checkpoint = state.open()
        begun = checkpoint.restore(model, steps)
    if args.plot or args.report:
        history = state.load_history(begun) if state else History()
        path = state.history if state else None
        callbacks.append(Record(vocabulary.corpus_words, history, path))
    if args.checkpoint:
        callbacks.append(checkpoint)  # after the record, which may be ahead of it but not behind
    if begun:
        dataset, _ = make_dataset(first_epoch=begun)
        _say(args, f"Going on after epoch {begun} of {args.epochs}, from {args.checkpoint}.")
    try:
        model.fit(
            dataset,
            epochs=args.epochs,
            initial_epoch=begun,
            steps_per_epoch=steps if shared else None,
            verbose=0,
            callbacks=callbacks,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(stopped_message(args)) from None
    return model, history


def _check_same(args: argparse.Namespace, vocabulary: "Vocabulary", strategy: Any) -> None:
    from kerasw2v.multi_worker import check_same

    words = zip(vocabulary.words, vocabulary.counts, strict=True)
    options = [getattr(args, name) for name in RUN_OPTIONS if name != "read_vocab"]
    check_same(strategy, "corpus and options", repr([args.local_steps, options, *words]))


def _model(args: argparse.Namespace, vocabulary: "Vocabulary", steps: int, seed: int | None) -> Any:
    """Returns the compiled model, for epochs of so many steps."""
    from kerasw2v import CBOW, SkipGram, layers, optimizers

    architecture = CBOW if args.architecture == "cbow" else SkipGram
    noise = layers.NegativeSampling(vocabulary.counts, args.negative, seed=seed)
    model = architecture(len(vocabulary), args.size, noise, window=args.window, seed=seed)
    schedule = optimizers.default_schedule(args.architecture, steps, args.epochs, args.alpha)
    model.compile(optimizer=optimizers.RowSGD(schedule))
    return model


def _dataset(strategy: Any, *arguments: Any, **options: Any) -> tuple[Any, int]:
    """Returns the blocks to train on, and how many batches of them are an epoch."""
    from kerasw2v import block_dataset
    from kerasw2v.multi_worker import sharded_blocks

    if strategy:
        return sharded_blocks(strategy, *arguments, **options)
    dataset = block_dataset(*arguments, **options)
    return dataset, len(dataset)


def _check(args: argparse.Namespace) -> None:
    """Checks all that can be known to go wrong before the corpus is read."""
    if not args.writes:
        args.output = args.save_vocab = args.save_model = args.projector = None
        args.plot = args.report = None
    else:
        check_vectors_path(args.output)
    if args.plot:
        check_plot_path(args.plot)
    if args.report:
        check_report_path(args.report)
    if args.save_model and not args.save_model.endswith(".keras"):
        raise ValueError(
            f"`--save-model` must end in .keras. Received: --save-model {args.save_model}."
        )
    files = (args.output, args.save_vocab, args.save_model, args.plot, args.report)
    outputs = [path for path in files if path]
    for path in outputs:
        check_output_path(path)
    _check_distinct(outputs, [*args.corpus, *filter(None, [args.read_vocab])])
    for folder in filter(None, [args.checkpoint, args.projector]):
        _check_folder(folder)
    if args.read_vocab and not os.path.isfile(args.read_vocab):
        raise FileNotFoundError(
            f"`--read-vocab` must name a file that exists. Received: {args.read_vocab!r}."
        )
    for path in args.corpus:
        check_corpus(Path(path))
    if args.checkpoint and args.writes:
        RunState(args).check()


def _check_distinct(outputs: list[str], inputs: list[str]) -> None:
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        real = os.path.realpath(path)
        if real in taken:
            raise ValueError(
                f"`{path}` must not be written: the same command reads or writes it already."
            )
        taken.add(real)


def _check_folder(folder: str) -> None:
    # A file inside an existing folder and a new folder need the same: a parent to write to.
    path = Path(folder)
    check_output_path(path / "file" if path.is_dir() else path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"`FOLDER` must not be a file. Received: {folder!r}.")


def _demo_neighbours(vectors: Any) -> list[str]:
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


def _say(args: argparse.Namespace, text: str) -> None:
    if not args.quiet:
        print(text, file=sys.stderr)
