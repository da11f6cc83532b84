"""What `kerasw2v zoo ...` does, an action a function."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kerasw2v.zoo as zoo  # not `from kerasw2v`, which would start TensorFlow
from kerasw2v.data.corpus import Corpus
from kerasw2v.evaluation import evaluate
from kerasw2v.keyed_vectors import check_vectors_path, save_vectors, to_keyed_vectors
from kerasw2v.utils.files import check_output_path, replace_on_success, temporary_sibling
from kerasw2v.utils.runtime import quiet_start
from kerasw2v.zoo.cards import PACKED, card, write_pages
from kerasw2v.zoo.data import digest
from kerasw2v.zoo.recipe import Recipe
from kerasw2v.zoo.reference import equivalent, gensim_words_per_s
from kerasw2v.zoo.results import calibrated, collect, read_results, write_expected
from kerasw2v.zoo.vectors import load_packed, save_packed


def run_zoo(args: argparse.Namespace) -> None:
    """Does what the arguments of `kerasw2v zoo` say.

    Args:
        args: what the parser of `kerasw2v.cli` makes of the command line.

    Raises:
        ValueError, TypeError, OSError, ImportError: with one sentence for the user.
    """
    _ACTIONS[args.action](args)


def _list(args: argparse.Namespace) -> None:
    recipes = [zoo.find_recipe(name) for name in zoo.names()]
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        print(f"{recipe.name:{width}}  {recipe.texts['title']}")


def _show(args: argparse.Namespace) -> None:
    recipe = zoo.find_recipe(args.name)
    print(card(recipe, read_results(recipe)), end="")


def _train(args: argparse.Namespace) -> None:
    recipe = zoo.find_recipe(args.name, args.smoke)
    if args.output:
        _check_output(recipe, args.output)
    loaded, done = _run(args)
    if args.json:
        told = {
            "seed": args.seed,
            "metrics": done.metrics,
            "losses": done.losses,
            "words": done.words,
            "vocabulary": len(loaded.vocabulary),
            "seconds": round(done.seconds, 2),
            "words_per_s": round(done.words_per_s),
        }
        print(json.dumps(told))
    else:
        _print_metrics(recipe, done.metrics)
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
        with temporary_sibling(output) as temporary:
            loaded.model.save(temporary)
    else:
        save_vectors(to_keyed_vectors(loaded.model, loaded.vocabulary), output)


def _verify(args: argparse.Namespace) -> None:
    recipe = zoo.find_recipe(args.name, args.smoke)
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
    from kerasw2v.zoo.run import misses

    misses(recipe, {})  # a recipe that promises nothing is refused before it is trained
    loaded, done = _run(args)
    _print_metrics(recipe, done.metrics)
    missed = misses(recipe, done.metrics)
    if missed:
        raise ValueError(
            f"{recipe.name}: {', '.join(missed)} not within the tolerance"
            + _other_corpus(recipe, loaded)
            + "."
        )


def _other_corpus(recipe: Recipe, loaded: zoo.Loaded) -> str:
    results = None if recipe.smoke else read_results(recipe)
    if results and results["corpus"]["sha256"] != digest(loaded.corpus):
        return f"; it is that of another corpus, {results['corpus']['name']}"
    return ""


def _results(args: argparse.Namespace) -> None:
    recipes = _recipes(args)
    speeds: dict[str, float | None] = {}

    def reference(recipe: Recipe, corpus: Corpus) -> float | None:
        arguments = equivalent(recipe)
        # Baskets are another corpus than the text of all other recipes.
        key = json.dumps([recipe.data["kind"], arguments])
        if key not in speeds:
            print(f"gensim: {arguments or 'no equivalent'} ...", flush=True)
            speeds[key] = gensim_words_per_s(arguments, corpus) if arguments else None
        return speeds[key]

    needed = [recipe.name for recipe in recipes if recipe.needs_corpus]
    if needed and not args.corpus:
        raise ValueError(f"`--corpus` must be given for {needed[0]}. Received: none.")
    for recipe in recipes:
        collect(recipe, args.corpus, args.seeds, reference, lambda text: print(text, flush=True))
        _write_pages(recipe.path.parent.parent)


def _calibrate(args: argparse.Namespace) -> None:
    for recipe in _recipes(args):
        if args.smoke:
            recipe = zoo.find_recipe(recipe.path, smoke=True)
            measured = _smoke_metrics(recipe, args.seeds)
        else:
            results = read_results(recipe)
            if results is None:
                raise FileNotFoundError(
                    f"{recipe.name} must have results to be calibrated: kerasw2v zoo results."
                )
            measured = [run["metrics"] for run in results["runs"]]
        known = {
            name: [metrics[name] for metrics in measured]
            for name in measured[0]
            if all(metrics[name] is not None for metrics in measured)
        }
        if not args.smoke and len(known) > 1:
            known.pop("loss", None)  # a perplexity or a test set says more
        expected = calibrated(known)
        write_expected(recipe, expected, len(measured))
        for name, each in expected.items():
            print(f"{recipe.name}: {name} {each.value} ± {each.tolerance}", flush=True)
        _write_pages(recipe.path.parent.parent)


def _smoke_metrics(recipe: Recipe, seeds: int) -> list[Any]:
    _start()
    import keras

    from kerasw2v.zoo.run import run

    measured = []
    for seed in range(1, seeds + 1):
        keras.backend.clear_session()
        measured.append(run(zoo.load(recipe.path, smoke=True, seed=seed)).metrics)
    return measured


def _cards(args: argparse.Namespace) -> None:
    _write_pages(args.folder or zoo.FOLDER)


def _pack(args: argparse.Namespace) -> None:
    recipe = zoo.find_recipe(args.name)
    output = recipe.path.parent / "vectors.npz"
    check_output_path(output)
    loaded, _ = _run(args)
    vectors = to_keyed_vectors(loaded.model, loaded.vocabulary)
    save_packed(vectors, output, args.words)
    packed = load_packed(output)
    count = len(packed)
    cut = type(vectors)(vectors.vector_size)
    cut.add_vectors(vectors.index_to_key[:count], vectors.vectors[:count])
    rows = {
        f"all {len(vectors):,} words, float32": vectors,
        f"{count:,} words, float32": cut,
        f"{count:,} words, as packed": packed,
    }
    corpus = ["--corpus", Path(args.corpus).name] if args.corpus else []
    words = ["--words", str(args.words), "--seed", str(args.seed)]
    told = {
        "words": count,
        "dimensions": packed.vector_size,
        "bytes": os.path.getsize(output),
        "seed": args.seed,
        "corpus": {"name": loaded.corpus_name, "sha256": digest(loaded.corpus)},
        "quality": [{"vectors": name, "metrics": _quality(each)} for name, each in rows.items()],
        "command": " ".join(["kerasw2v zoo pack", recipe.name, *corpus, *words]),
    }
    with replace_on_success(recipe.path.parent / PACKED, "w") as file:
        file.write(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
    _write_pages(recipe.path.parent.parent)


def _quality(vectors: Any) -> dict[str, float | None]:
    found = evaluate(vectors)
    return {
        "wordsim353": found.word_pairs[0].spearman,
        "simlex999": found.word_pairs[1].spearman,
        "analogies": found.total.accuracy,
    }


def _recipes(args: argparse.Namespace) -> list[Recipe]:
    if bool(args.names) == args.all:
        raise ValueError("Either `NAME` or `--all` must be given, not both.")
    return [zoo.find_recipe(name) for name in (zoo.names() if args.all else args.names)]


def _run(args: argparse.Namespace) -> tuple[zoo.Loaded, Any]:
    """Loads and trains a recipe, and tells how far it is on stderr."""
    _start()
    from kerasw2v.callbacks import Progress
    from kerasw2v.zoo.run import run

    smoke = getattr(args, "smoke", False)
    loaded = zoo.load(args.name, args.corpus, smoke=smoke, seed=args.seed)
    return loaded, run(loaded, [Progress(loaded.vocabulary.corpus_words)])


def _start() -> None:
    with quiet_start():
        from kerasw2v.utils.runtime import divide_cores, require_tensorflow

        require_tensorflow()
        divide_cores()
        import tensorflow as tf

        tf.config.list_physical_devices()


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


def _write_pages(folder: str | os.PathLike[str]) -> None:
    for path in write_pages(folder):
        print(f"Written: {path}", flush=True)


_ACTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "list": _list,
    "show": _show,
    "train": _train,
    "verify": _verify,
    "results": _results,
    "calibrate": _calibrate,
    "cards": _cards,
    "pack": _pack,
}
