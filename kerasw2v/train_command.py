"""What `kerasw2v train` does, from checking its arguments to telling what to do next."""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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

if TYPE_CHECKING:
    from kerasw2v.callbacks import Checkpoint
    from kerasw2v.vocabulary import Vocabulary

_DEMO_WORDS = ("palestinian", "taliban", "cricket", "firefighters", "qantas", "interest")

# Chosen on 17 million words of Wikipedia, after 1 and 5 epochs (README, "Figures").
_ALPHAS = {"skip-gram": 0.045, "cbow": 0.06}

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
    is_demo = not args.corpus
    args.epochs = args.epochs or (50 if is_demo else 5)
    args.alpha = args.alpha or _ALPHAS[args.architecture]
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
    _run(args, corpus)


def _run(args: argparse.Namespace, corpus: Corpus) -> None:
    vocabulary = _vocabulary(args, corpus)
    model = _fit(args, corpus, vocabulary)
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
    if args.save_vocab:
        vocabulary.save(args.save_vocab)
    return vocabulary


def _fit(args: argparse.Namespace, corpus: Corpus, vocabulary: "Vocabulary") -> Any:
    from kerasw2v import CBOW, SkipGram, block_dataset, layers, optimizers
    from kerasw2v.callbacks import Progress
    from kerasw2v.data.token_stream import TokenStream

    make_dataset = partial(
        block_dataset,
        TokenStream.from_corpus(corpus, vocabulary),
        vocabulary,
        window=args.window,
        sample=args.sample,
        batch_size=args.batch_size or _batch_size(vocabulary.corpus_words, args.window),
        seed=args.seed,
    )
    dataset = make_dataset()
    architecture = CBOW if args.architecture == "cbow" else SkipGram
    noise = layers.NegativeSampling(vocabulary.counts, args.negative, seed=args.seed)
    model = architecture(len(vocabulary), args.size, noise, window=args.window, seed=args.seed)
    decay = optimizers.linear_decay(args.alpha, len(dataset), args.epochs)
    model.compile(optimizer=optimizers.RowSGD(decay))
    callbacks: list[Any] = [] if args.quiet else [Progress(vocabulary.corpus_words)]
    begun = 0
    if args.checkpoint:
        callbacks.append(_open_checkpoint(args))
        begun = callbacks[-1].restore(model, len(dataset))
    if begun:
        dataset = make_dataset(first_epoch=begun)
        _say(args, f"Going on after epoch {begun} of {args.epochs}, from {args.checkpoint}.")
    try:
        model.fit(dataset, epochs=args.epochs, initial_epoch=begun, verbose=0, callbacks=callbacks)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_what_was_saved(args)) from None
    return model


def _check(args: argparse.Namespace) -> None:
    """Checks all that can be known to go wrong before the corpus is read."""
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
    if args.checkpoint and _state_file(args).exists():
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
    return {"corpus": corpus} | {name: getattr(args, name) for name in _RUN_OPTIONS}


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


def _batch_size(corpus_words: int, window: int) -> int:
    """Returns a power of two from 256 to 4,096 that leaves some 256 steps an epoch."""
    from kerasw2v.ops.windows import default_block_length

    power = int(math.log2(max(1, corpus_words // 256)))
    size: int = min(4096, max(256, 2**power))
    return max(size, default_block_length(window))


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
