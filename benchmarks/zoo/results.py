"""The results of a recipe over several seeds: measured, saved in `results.json`, and continued."""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from math import floor, log10
from pathlib import Path
from typing import Any

from kerasw2v.data.corpus import Corpus
from kerasw2v.utils.files import replace_on_success
from kerasw2v.utils.versions import versions
from kerasw2v.zoo.data import digest
from kerasw2v.zoo.loading import select_corpus
from kerasw2v.zoo.recipe import Expected, Recipe
from kerasw2v.zoo.run import RESULTS, read_results

# The least tolerance: for metrics from 0 to 1 as such, for the others as a share of the value.
_LEAST = {"wordsim353": 0.03, "simlex999": 0.03, "analogies": 0.02, "same_group": 0.02}
_LEAST_SHARE = 0.02
_DEVIATIONS = 4.0
_ENOUGH_SEEDS = 5


def collect(
    recipe: Recipe,
    corpus: str | None,
    seeds: int,
    reference: Callable[[Recipe, Corpus], float | None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Trains a recipe with seeds 1, 2, ..., each in a process of its own; writes `results.json`.

    The file is written after each run. Runs of the same settings, corpus and versions that it
    holds already are not repeated.

    Args:
        recipe: a recipe, not its tiny variant.
        corpus: path or name of the corpus; not used by recipes that make their data themselves.
        seeds: how many seeds.
        reference: returns the words a second of gensim's nearest equivalent, None for none.
        say: prints a line of progress.

    Raises:
        ChildProcessError: if a training fails.
        FileNotFoundError, ValueError: if the corpus is missing or of a wrong kind.
    """
    if not recipe.needs_corpus:
        corpus = None
    name, whole = select_corpus(recipe, corpus)
    same = {
        "recipe": recipe.name,
        "settings": recipe.settings(),
        "corpus": {"name": name, "sha256": digest(whole)},
        "versions": versions(),
        "machine": {"cores": os.cpu_count(), "processor": processor()},
    }
    before = read_results(recipe) or {}
    # A round trip makes tuples lists, so that equal things are equal.
    is_same = all(before.get(key) == json.loads(json.dumps(same[key])) for key in same)
    runs = list(before["runs"]) if is_same else []
    missing = [seed for seed in range(1, seeds + 1) if seed not in [run["seed"] for run in runs]]
    if not missing:
        say(f"{recipe.name}: the runs are in {RESULTS} already.")
        return before
    speed = reference(recipe, whole)
    command = ["python", "benchmarks/zoo/maintain.py", "results", recipe.name]
    command += ["--corpus", Path(corpus).name] if corpus else []
    for seed in missing:
        say(f"{recipe.name}: seed {seed} of {seeds} ...")
        run = _spawn(recipe, corpus, seed)
        if speed is not None:
            run["gensim_words_per_s"] = round(speed)
        runs.append(run)
        results = {
            **same,
            "command": " ".join([*command, "--seeds", str(len(runs))]),
            "date": datetime.date.today().isoformat(),
            "mean": _means(runs),
            "runs": runs,
        }
        with replace_on_success(recipe.path.parent / RESULTS, "w") as file:
            file.write(json.dumps(results, indent=2) + "\n")
        metrics = ", ".join(f"{key} {value:.4g}" for key, value in run["metrics"].items())
        say(f"  {metrics}; {run['words_per_s']:,.0f} words/s, {run['seconds']:.0f} s")
    return results


def _spawn(recipe: Recipe, corpus: str | None, seed: int) -> dict[str, Any]:
    """Trains in a new process: what TensorFlow retains of one run would slow the next."""
    command = [sys.executable, "-m", "kerasw2v", "zoo", "train", os.fspath(recipe.path)]
    command += ["--json", "--seed", str(seed), *(["--corpus", corpus] if corpus else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ChildProcessError(f"{recipe.name}, seed {seed}: {last.removeprefix('kerasw2v: ')}")
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return run


def _means(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.mean(known) if known else None

    ratios = [
        run["words_per_s"] / run["gensim_words_per_s"]
        for run in runs
        if "gensim_words_per_s" in run
    ]
    return {
        "metrics": {
            name: mean(run["metrics"][name] for run in runs) for name in runs[0]["metrics"]
        },
        "words_per_s": mean(run["words_per_s"] for run in runs),
        "ratio_to_gensim": mean(ratios),
        "seconds": mean(run["seconds"] for run in runs),
    }


def processor() -> str:
    """Returns the name of the processor as Linux reports it, else its kind."""
    try:
        name = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        name = None
    return name[1] if name else platform.machine()


def calibrated(measured: Mapping[str, list[float]]) -> dict[str, Expected]:
    """Returns what to expect of each metric: the mean, plus or minus four standard deviations.

    Fewer than five seeds estimate a deviation poorly: they get at least a fixed tolerance, .02 or
    .03 for metrics from 0 to 1 and 2 % for the others.

    Args:
        measured: values of several seeds, by metric.

    Example:

    >>> calibrated({"loss": [2.0, 2.0], "analogies": [0.2, 0.3]})
    {'loss': Expected(value=2.0, tolerance=0.04), 'analogies': Expected(value=0.25, tolerance=0.28)}
    """
    expected = {}
    for name, values in measured.items():
        value = statistics.mean(values)
        spread = _DEVIATIONS * statistics.stdev(values) if len(values) > 1 else 0.0
        if len(values) < _ENOUGH_SEEDS or not spread:
            spread = max(spread, _LEAST.get(name, abs(value) * _LEAST_SHARE), 1e-6)
        # Rounded to the tolerance's second digit: more digits would mean nothing.
        digits = max(0, 1 - floor(log10(spread)))
        expected[name] = Expected(round(value, digits), round(spread, digits))
    return expected


def write_expected(recipe: Recipe, expected: Mapping[str, Expected], seeds: int) -> None:
    """Replaces the lines of `[expected]`, or `[smoke.expected]`, in a recipe's file.

    Args:
        recipe: the recipe, or its tiny variant.
        expected: from `calibrated`.
        seeds: how many seeds it comes from.

    Raises:
        ValueError: if the file has no line with that heading.
    """
    heading = "[smoke.expected]" if recipe.smoke else "[expected]"
    text = recipe.path.read_text("utf-8")
    pattern = re.compile(rf"^{re.escape(heading)}\n(?:(?!\[).*\n)*", re.MULTILINE)
    if not pattern.search(text):
        raise ValueError(f"{str(recipe.path)!r} must have a line {heading}.")
    lines = [
        heading,
        f"# Mean of {seeds} seed{'s' * (seeds > 1)}, plus or minus 4 deviations or more: "
        "python benchmarks/zoo/maintain.py calibrate",
        *(
            f"{name} = {{ value = {each.value}, tolerance = {each.tolerance} }}"
            for name, each in expected.items()
        ),
    ]
    block = "\n".join(lines) + "\n"
    changed = pattern.sub(lambda match: block + ("\n" if match.end() < len(text) else ""), text)
    with replace_on_success(recipe.path, "w") as file:
        file.write(changed)
