"""What `kerasw2v train` does, from checking its arguments to telling what to do next."""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gensim.test.utils import datapath
from gensim.utils import simple_preprocess

from kerasw2v.corpus import Corpus, check_corpus
from kerasw2v.keyed_vectors import (
    check_vectors_path,
    save_projector,
    save_vectors,
    to_keyed_vectors,
)
from kerasw2v.ops.files import check_output_path, replace_on_success, temporary_sibling
from kerasw2v.ops.learning_rates import default_learning_rate

if TYPE_CHECKING:
    from kerasw2v.callbacks import Checkpoint
    from kerasw2v.vocabulary import Vocabulary

_DEMO_WORDS = ("palestinian", "taliban", "cricket", "firefighters", "qantas", "interest")

# What must be the same for a checkpoint to be taken up again, beside the corpus.
_RUN_OPTIONS = (
    "read_vocab",
    "architecture",
    "size",
    "window",
    "negative",
    "min_count",
    "max_vocab",
    "epochs",
    "alpha",
    "sample",
    "batch_size",
    "seed",
)


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
    corpus = _demo_corpus() if is_demo else args.corpus
    if is_demo:
        _say(args, "No corpus given: training on 300 news articles that gensim ships.")
    with _quiet_start():
        from kerasw2v._backend import divide_cores, require_tensorflow

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

    _say(args, f"Waiting for the other {len(args.workers) - 1} workers.")
    return connect(args.workers, args.index, args.wait)


def _run(args: argparse.Namespace, corpus: Corpus, strategy: Any) -> None:
    vocabulary = _vocabulary(args, corpus)
    model = _fit(args, corpus, vocabulary, strategy)
    if args.writes:
        _write(args, model, vocabulary)


def _write(args: argparse.Namespace, model: Any, vocabulary: "Vocabulary") -> None:
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
    if args.checkpoint:
        _state_file(args).unlink(missing_ok=True)
        _settings_file(args).unlink(missing_ok=True)
    if not args.quiet:
        print("Written:", *written, sep="\n  ")
        if not args.corpus:
            print("Nearest words:", *_demo_neighbours(vectors), sep="\n  ")
        word = vectors.index_to_key[len(vectors) // 10]  # neither a filler nor a rarity
        print("Next:", *_next_steps(args.output, word), sep="\n  ")


def _vocabulary(args: argparse.Namespace, corpus: Corpus) -> "Vocabulary":
    from kerasw2v.vocabulary import Vocabulary

    if args.read_vocab:
        vocabulary = Vocabulary.load(args.read_vocab)
    else:
        vocabulary = Vocabulary.from_corpus(corpus, args.min_count, args.max_vocab)
    _say(args, f"{len(vocabulary):,} words, {vocabulary.corpus_words:,} in the corpus.")
    if args.save_vocab and args.writes:
        vocabulary.save(args.save_vocab)
    return vocabulary


def _fit(args: argparse.Namespace, corpus: Corpus, vocabulary: "Vocabulary", strategy: Any) -> Any:
    from kerasw2v import CBOW, SkipGram, layers, optimizers
    from kerasw2v.callbacks import AverageTables, Progress
    from kerasw2v.data.block_dataset import default_batch_size
    from kerasw2v.data.token_stream import TokenStream
    from kerasw2v.multi_worker import check_same

    seed, shard = args.seed, {}
    if strategy:
        words = zip(vocabulary.words, vocabulary.counts, strict=True)
        options = [getattr(args, name) for name in _RUN_OPTIONS if name != "read_vocab"]
        check_same(strategy, "corpus and options", repr([args.local_steps, options, *words]))
    if args.local_steps and strategy:
        shard = {"shard": (len(args.workers), args.index)}
        seed = None if seed is None else seed + args.index  # else all draw the same
    shared = None if args.local_steps else strategy  # under which the model is made
    make_dataset = partial(
        _dataset,
        shared,
        TokenStream.from_corpus(corpus, vocabulary),
        vocabulary,
        window=args.window,
        sample=args.sample,
        batch_size=args.batch_size or default_batch_size(vocabulary.corpus_words, args.window),
        seed=seed,
        **shard,
    )
    dataset, steps = make_dataset()
    architecture = CBOW if args.architecture == "cbow" else SkipGram
    with shared.scope() if shared else nullcontext():
        noise = layers.NegativeSampling(vocabulary.counts, args.negative, seed=seed)
        model = architecture(len(vocabulary), args.size, noise, window=args.window, seed=seed)
        decay = optimizers.linear_decay(args.alpha, steps, args.epochs)
        model.compile(optimizer=optimizers.RowSGD(decay))
    callbacks: list[Any] = [] if args.quiet else [Progress(vocabulary.corpus_words)]
    begun = 0
    if args.local_steps and strategy:
        callbacks.append(AverageTables(strategy, args.local_steps))
    if args.checkpoint:
        callbacks.append(_open_checkpoint(args))
        begun = callbacks[-1].restore(model, steps)
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
        raise KeyboardInterrupt(_what_was_saved(args)) from None
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
    else:
        check_vectors_path(args.output)
    if args.save_model and not args.save_model.endswith(".keras"):
        raise ValueError(
            f"`--save-model` must end in .keras. Received: --save-model {args.save_model}."
        )
    outputs = [path for path in (args.output, args.save_vocab, args.save_model) if path]
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
    if args.checkpoint and args.writes and _state_file(args).exists():
        _check_same_run(args)


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


def _state_file(args: argparse.Namespace) -> Path:
    return Path(args.checkpoint) / "kerasw2v.weights.h5"


def _settings_file(args: argparse.Namespace) -> Path:
    return Path(args.checkpoint) / "kerasw2v.json"


def _run_options(args: argparse.Namespace) -> dict[str, Any]:
    corpus = [[os.path.realpath(path), os.path.getsize(path)] for path in args.corpus]
    workers = len(args.workers or [""])  # which they are may change
    options = {name: getattr(args, name) for name in _RUN_OPTIONS}
    return {"corpus": corpus, "workers": workers} | options


def _check_same_run(args: argparse.Namespace) -> None:
    """Refuses to go on from the state of a run with other options."""
    file = _settings_file(args)
    options = _run_options(args)
    try:
        before = json.loads(file.read_text("utf-8"))
        differing = [name for name in options if before[name] != options[name]]
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"{str(file)!r} is missing or damaged; remove {str(_state_file(args))!r} to start anew."
        ) from error
    if differing:
        told = ", ".join(name.replace("_", "-") for name in differing)
        raise ValueError(
            "`--checkpoint` must not name a folder with the state of a run with other options "
            f"({told}). Received: --checkpoint {args.checkpoint}."
        )


def _open_checkpoint(args: argparse.Namespace) -> "Checkpoint":
    from kerasw2v.callbacks import Checkpoint

    file = _settings_file(args)
    if args.writes:
        file.parent.mkdir(exist_ok=True)
        with replace_on_success(file, "w") as text:
            json.dump(_run_options(args), text)
    return Checkpoint(_state_file(args))


def _what_was_saved(args: argparse.Namespace) -> str:
    if args.checkpoint and _state_file(args).exists():
        return (
            f"Stopped; {args.checkpoint} holds the state after the last whole epoch, and the same "
            "command goes on from there."
        )
    if args.checkpoint:
        return "Stopped in the first epoch; nothing was saved yet."
    return "Stopped; no vectors were saved. With `--checkpoint FOLDER` training can be taken up."


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keeps what TensorFlow's C++ code says while it starts away from the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _demo_corpus() -> list[list[str]]:
    with open(datapath("lee_background.cor"), encoding="utf-8") as file:
        return [simple_preprocess(line) for line in file]


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
