"""Maintains the model zoo in `models/`: its results, what recipes promise, its pages and vectors.

    python benchmarks/zoo/maintain.py results NAME... | --all [--corpus PATH] [--seeds N]
    python benchmarks/zoo/maintain.py calibrate NAME... | --all [--smoke] [--seeds N]
    python benchmarks/zoo/maintain.py cards [FOLDER]
    python benchmarks/zoo/maintain.py pack NAME [--corpus PATH] [--words N] [--seed N]

`results` trains recipes with several seeds and writes `results.json`; `calibrate` writes what to
expect into recipes, from `results.json` or, with `--smoke`, from tiny runs; `cards` writes the
pages anew, as the others do too; `pack` trains a recipe and writes its most frequent words' vectors
as bytes. NAME is a recipe's name or the path of a .toml file.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from cards import PACKED, write_pages
from packing import save_packed
from reference import equivalent, gensim_words_per_s
from results import calibrated, collect, write_expected

from kerasw2v import zoo
from kerasw2v.callbacks import Progress
from kerasw2v.cli.arguments import positive_int
from kerasw2v.data.corpus import Corpus
from kerasw2v.evaluation import evaluate
from kerasw2v.keyed_vectors import to_keyed_vectors, with_counts
from kerasw2v.utils.files import check_output_path, replace_on_success
from kerasw2v.utils.runtime import start_tensorflow
from kerasw2v.zoo.data import digest
from kerasw2v.zoo.recipe import Recipe
from kerasw2v.zoo.run import read_results, run
from kerasw2v.zoo.vectors import load_packed


def collect_results(args: argparse.Namespace) -> None:
    """Trains recipes with several seeds."""
    recipes = chosen_recipes(args)
    speeds: dict[str, float | None] = {}

    def reference(recipe: Recipe, corpus: Corpus) -> float | None:
        arguments = equivalent(recipe)
        # Baskets are another corpus than the text of all other recipes.
        key = json.dumps([recipe.data["kind"], arguments])
        if key not in speeds:
            print(f"gensim: {arguments or 'no equivalent'} ...", flush=True)
            speeds[key] = gensim_words_per_s(arguments, corpus) if arguments else None
        return speeds[key]

    needing = [recipe.name for recipe in recipes if recipe.needs_corpus]
    if needing and not args.corpus:
        raise ValueError(f"`--corpus` must be given for {needing[0]}. Received: none.")
    for recipe in recipes:
        collect(recipe, args.corpus, args.seeds, reference, lambda text: print(text, flush=True))
        write_and_list_pages(recipe.path.parent.parent)


def calibrate(args: argparse.Namespace) -> None:
    """Writes the results to expect into recipes."""
    for recipe in chosen_recipes(args):
        if args.smoke:
            recipe = zoo.find_recipe(recipe.path, smoke=True)
            measured = [smoke_metrics(recipe, seed) for seed in range(1, args.seeds + 1)]
        else:
            results = read_results(recipe)
            if results is None:
                raise FileNotFoundError(
                    f"{recipe.name} must have results to be calibrated: maintain.py results."
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
        write_and_list_pages(recipe.path.parent.parent)


def smoke_metrics(recipe: Recipe, seed: int) -> Any:
    """Returns the metrics of one tiny training."""
    keras.backend.clear_session()
    return run(zoo.load(recipe.path, smoke=True, seed=seed)).metrics


def pack(args: argparse.Namespace) -> None:
    """Trains a recipe; writes its most frequent words' vectors, and how good they are."""
    recipe = zoo.find_recipe(args.name)
    output = recipe.path.with_name("vectors.npz")
    check_output_path(output)
    loaded = zoo.load(args.name, args.corpus, seed=args.seed)
    run(loaded, [Progress(loaded.vocabulary.corpus_words)])
    vectors = to_keyed_vectors(loaded.model, loaded.vocabulary)
    save_packed(vectors, output, args.words)
    packed = load_packed(output)
    count = len(packed)
    exact = with_counts(
        vectors.index_to_key[:count], vectors.vectors[:count], loaded.vocabulary.counts[:count]
    )
    rows = {
        f"all {len(vectors):,} words, float32": vectors,
        f"{count:,} words, float32": exact,
        f"{count:,} words, as packed": packed,
    }
    corpus = f" --corpus {Path(args.corpus).name}" if args.corpus else ""
    options = f"{corpus} --words {args.words} --seed {args.seed}"
    summary = {
        "words": count,
        "dimensions": packed.vector_size,
        "bytes": os.path.getsize(output),
        "seed": args.seed,
        "corpus": {"name": loaded.corpus_name, "sha256": digest(loaded.corpus)},
        "quality": [{"vectors": name, "metrics": quality(each)} for name, each in rows.items()],
        "command": f"python benchmarks/zoo/maintain.py pack {recipe.name}{options}",
    }
    with replace_on_success(recipe.path.with_name(PACKED), "w") as file:
        file.write(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))
    write_and_list_pages(recipe.path.parent.parent)


def quality(vectors: Any) -> dict[str, float | None]:
    """Returns how good word vectors are."""
    evaluation = evaluate(vectors)
    return {
        "wordsim353": evaluation.word_pairs[0].spearman,
        "simlex999": evaluation.word_pairs[1].spearman,
        "analogies": evaluation.total.accuracy,
    }


def chosen_recipes(args: argparse.Namespace) -> list[Recipe]:
    """Returns the recipes that the command line names."""
    if bool(args.names) == args.all:
        raise ValueError("Either `NAME` or `--all` must be given, not both.")
    return [zoo.find_recipe(name) for name in (zoo.names() if args.all else args.names)]


def write_and_list_pages(folder: str | os.PathLike[str]) -> None:
    """Writes the pages that are not up to date, and says which."""
    for path in write_pages(folder):
        print(f"Written: {path}", flush=True)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    commands = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = commands.add_subparsers(required=True)
    results, calibration, cards, packing = (
        actions.add_parser(name) for name in ("results", "calibrate", "cards", "pack")
    )
    results.set_defaults(run=collect_results)
    calibration.set_defaults(run=calibrate)
    cards.set_defaults(run=lambda args: write_and_list_pages(args.folder))
    packing.set_defaults(run=pack)
    for action in (results, calibration):
        action.add_argument("names", nargs="*", metavar="NAME")
        action.add_argument("--all", action="store_true", help="all recipes")
        action.add_argument("--seeds", type=positive_int, default=3, metavar="N")
    packing.add_argument("name", metavar="NAME")
    for action in (results, packing):
        action.add_argument("--corpus", metavar="PATH", help="a text file, text8 or lee")
    calibration.add_argument("--smoke", action="store_true", help="calibrate the tiny variants")
    cards.add_argument("folder", nargs="?", default=zoo.FOLDER, metavar="FOLDER")
    packing.add_argument("--words", type=positive_int, default=15_000, metavar="N")
    packing.add_argument("--seed", type=int, default=1, metavar="N")
    return commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    args = parser().parse_args(arguments)
    start_tensorflow()
    try:
        args.run(args)
    except (OSError, ValueError) as error:
        print(f"maintain.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
