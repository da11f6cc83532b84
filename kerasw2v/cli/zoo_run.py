"""What `kerasw2v zoo ...` does, an action a function."""

import argparse
import json
from contextlib import nullcontext
from typing import Any

import kerasw2v.zoo as zoo  # not `from kerasw2v`, which would start TensorFlow
from kerasw2v.keyed_vectors import check_vectors_path, save_vectors, to_keyed_vectors
from kerasw2v.utils.files import check_output_path, save_keras_model
from kerasw2v.utils.locks import exclusive
from kerasw2v.utils.runtime import start_tensorflow
from kerasw2v.zoo.data import digest
from kerasw2v.zoo.recipe import Recipe
from kerasw2v.zoo.run import Run, misses, read_results, run

_CARD = "MODEL_CARD.md"


def run_zoo(args: argparse.Namespace) -> None:
    """Does what the arguments of `kerasw2v zoo` say; errors are one sentence for the user."""
    actions = {"list": _list, "show": _show, "train": _train, "verify": _verify}
    actions[args.action](args)


def _list(args: argparse.Namespace) -> None:
    width = max(map(len, zoo.names()))
    for name in zoo.names():
        title, _, _ = (zoo.FOLDER / name / _CARD).read_text("utf-8").partition("\n")
        print(f"{name:{width}}  {title.removeprefix('# ')}")


def _show(args: argparse.Namespace) -> None:
    file = zoo.find_file(args.name)
    card = file.with_name(_CARD)  # a recipe of one's own need not have one
    print((card if card.is_file() else file).read_text("utf-8"), end="")


def _train(args: argparse.Namespace) -> None:
    recipe = _read(args)
    if args.output:
        _check_output(recipe, args.output)
    with exclusive(args.output) if args.output else nullcontext():
        _train_and_save(recipe, args)


def _train_and_save(recipe: Recipe, args: argparse.Namespace) -> None:
    loaded, result = _run(args)
    if args.json:
        summary = {
            "seed": args.seed,
            "metrics": result.metrics,
            "losses": result.losses,
            "words": result.words,
            "vocabulary": len(loaded.vocabulary),
            "seconds": round(result.seconds, 2),
            "words_per_s": round(result.words_per_s),
        }
        print(json.dumps(summary))
    else:
        _print_metrics(recipe, result.metrics)
    if args.output:
        _save(loaded, args.output)
        if not args.json:
            print(f"Written: {args.output}")


def _check_output(recipe: Recipe, output: str) -> None:
    if output.endswith(".keras"):
        check_output_path(output)
    elif recipe.model["architecture"] == "lstm":
        raise ValueError(
            f"`--output` must end in .keras for a language model. Received: --output {output}."
        )
    else:
        check_vectors_path(output)


def _save(loaded: zoo.Loaded, output: str) -> None:
    if output.endswith(".keras"):
        save_keras_model(loaded.model, output)
    else:
        save_vectors(to_keyed_vectors(loaded.model, loaded.vocabulary, copy=False), output)


def _verify(args: argparse.Namespace) -> None:
    recipe = _read(args)
    if recipe.needs_corpus and not args.corpus and not args.smoke:
        raise ValueError(
            "`--corpus` must be given, or `--smoke`: the expected results are those of a large "
            "corpus. Received: neither."
        )
    if args.corpus and not recipe.needs_corpus:
        raise ValueError(
            f"`--corpus` must not be given: {recipe.name} is verified on data that it makes "
            f"itself. Received: --corpus {args.corpus}."
        )
    misses(recipe, {})  # a recipe that promises nothing is refused before it is trained
    loaded, result = _run(args)
    _print_metrics(recipe, result.metrics)
    missed = misses(recipe, result.metrics)
    if missed:
        message = f"{recipe.name}: {', '.join(missed)} not within the tolerance"
        results = None if recipe.smoke else read_results(recipe)
        if results and results["corpus"]["sha256"] != digest(loaded.corpus):
            message += f"; it is that of another corpus, {results['corpus']['name']}"
        raise ValueError(f"{message}.")


def _read(args: argparse.Namespace) -> Recipe:
    """Reads the recipe of a training; TensorFlow starts once it is known that there is one."""
    file = zoo.find_file(args.name)
    start_tensorflow()
    return zoo.find_recipe(file, args.smoke)


def _run(args: argparse.Namespace) -> tuple[zoo.Loaded, Run]:
    """Loads and trains a recipe; shows the progress on stderr."""
    from kerasw2v.callbacks import Progress

    loaded = zoo.load(args.name, args.corpus, smoke=args.smoke, seed=args.seed)
    return loaded, run(loaded, [Progress(loaded.vocabulary.corpus_words)])


def _print_metrics(recipe: Recipe, metrics: Any) -> None:
    print(f"{'metric':12}{'measured':>12}{'expected':>20}")
    for name, value in metrics.items():
        expected = recipe.expected.get(name)
        promise = "-"
        if expected:
            promise = f"{expected.value:.4g} ± {expected.tolerance:.2g}"
            if value is None or not expected.holds(value):
                promise += "  MISSED"
        shown = "-" if value is None else f"{value:.4g}"
        print(f"{name:12}{shown:>12}{promise:>20}")
