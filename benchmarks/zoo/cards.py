"""The pages of the model zoo, made from recipes and their results; nothing is typed by hand."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasw2v.ops.learning_rates import default_learning_rate
from kerasw2v.utils.files import replace_on_success
from kerasw2v.zoo.recipe import FILE, METRICS, Recipe, read_recipe
from kerasw2v.zoo.run import read_results

CARD = "MODEL_CARD.md"
TABLE = "README.md"
PACKED = "vectors.json"
# Between these lines the README above the folder of the zoo has the table too.
FRONT = (
    "<!-- The zoo's table, by `python benchmarks/zoo/maintain.py cards`. -->\n",
    "<!-- The end of it. -->\n",
)

_TABLE_HEAD = """\
# Model zoo

Trainings that are known to work, each in a folder: `recipe.toml` says what to do, `results.json`
what came out, where and with which versions, and `MODEL_CARD.md` shows both to people. The cards
and this page are written by `python benchmarks/zoo/maintain.py cards`; the tests check that they
are up to date.

```sh
kerasw2v zoo list
kerasw2v zoo show cbow-class-softmax
kerasw2v zoo train cbow-class-softmax --corpus corpus.txt --output vectors.kv
kerasw2v zoo train cbow-class-softmax --corpus text8 --output vectors.kv    # downloaded once
kerasw2v zoo train ./my_recipe.toml --corpus corpus.txt --output vectors.kv
kerasw2v zoo verify cbow-nce --smoke    # the tiny variant; exit code 1 outside the tolerance
```

```python
from kerasw2v import zoo

loaded = zoo.load("cbow-negative-sampling", smoke=True)  # or corpus="corpus.txt"
loaded.model.fit(loaded.dataset, epochs=loaded.recipe.training["epochs"], verbose=0)

vectors = zoo.english_vectors()  # those that come with the package; a gensim KeyedVectors
```

"""

_TABLE_TAIL = """
Means over seeds; a dash where a metric does not apply, or there is no result yet. Perplexities are
among each recipe's own vocabulary: recipes with different ones do not compare. "x gensim" is words
a second as a ratio to gensim's nearest equivalent in the same run: the same architecture and sizes,
a worker a core, hierarchical softmax where the recipe has it, negative sampling otherwise.

A recipe can only name what the library registers: no code runs from it, and unknown keys are
refused by name. `python benchmarks/zoo/maintain.py results --all --corpus CORPUS --seeds 3` repeats
the full runs, and skips what it has done already.
"""


def card(recipe: Recipe, results: Mapping[str, Any] | None) -> str:
    """Returns the card of a recipe, as Markdown.

    Args:
        recipe: the recipe, not its tiny variant.
        results: from `read_results`.

    Example:

    >>> from kerasw2v import zoo
    >>> print(card(zoo.find_recipe("cbow-nce"), None).splitlines()[0])
    # CBOW with noise-contrastive estimation
    """
    texts = recipe.texts
    parts = [f"# {texts['title'] or recipe.name}", texts["summary"]]
    for title, key in (("Use it for", "use"), ("Limits", "limits")):
        if texts[key]:
            parts += [f"## {title}", texts[key]]
    parts += ["## How to", _how_to(recipe)]
    parts += ["## Settings", _settings(recipe)]
    parts += ["## Results", _results(recipe, results)]
    packed = _packed(recipe)
    if packed:
        parts += ["## Vectors that come with the package", packed]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(recipes: list[Recipe]) -> str:
    """Returns the page of the zoo, as Markdown.

    Args:
        recipes: the recipes; each has its results in the same folder.

    Example:

    >>> table([]).splitlines()[0]
    '# Model zoo'
    """
    return _TABLE_HEAD + _lines(recipes, "") + "\n" + _TABLE_TAIL


def _lines(recipes: list[Recipe], folder: str) -> str:
    """Returns the table of recipes whose folders are in a folder."""
    shown = ("wordsim353", "simlex999", "analogies", "perplexity", "same_group")
    labels = ("WordSim353", "SimLex999", "analogies", "perplexity", "same group")
    head = ["recipe", "corpus", "words", "vocabulary", "epochs", *labels, "minutes", "x gensim"]
    lines = ["| " + " | ".join(head) + " |", "|---|---" + "|--:" * (len(head) - 2) + "|"]
    for recipe in recipes:
        results = read_results(recipe)
        mean = results["mean"] if results else {"metrics": {}}
        runs = results["runs"] if results else [{}]
        cells = [
            f"[{recipe.name}]({folder}{recipe.name}/{CARD})",
            results["corpus"]["name"] if results else "-",
            _count(runs[0].get("words")),
            _count(runs[0].get("vocabulary")),
            str(recipe.training["epochs"]),
            *(_number(name, mean["metrics"].get(name)) for name in shown),
            "-" if "seconds" not in mean else f"{mean['seconds'] / 60:.1f}",
            _ratio(mean.get("ratio_to_gensim")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def pages(folder: str | os.PathLike[str]) -> dict[Path, str]:
    """Returns the path and the text of each page of a zoo.

    Args:
        folder: a folder of folders with recipes.

    Example:

    >>> from kerasw2v import zoo
    >>> sorted(path.name for path in pages(zoo.FOLDER))[-1]
    'README.md'
    """
    folder = Path(folder)
    recipes = [read_recipe(file) for file in sorted(folder.glob(f"*/{FILE}"))]
    cards = {recipe.path.parent / CARD: card(recipe, read_results(recipe)) for recipe in recipes}
    front = folder.absolute().parent / TABLE
    texts = {front: _front(front.read_text("utf-8"), recipes)} if front.is_file() else {}
    return {**cards, **texts, folder / TABLE: table(recipes)}


def _front(text: str, recipes: list[Recipe]) -> str:
    """Returns a page with the table of a folder below it brought up to date, if it has one."""
    if not all(mark in text for mark in FRONT):
        return text
    before, rest = text.split(FRONT[0], 1)
    after = rest.split(FRONT[1], 1)[1]
    lines = _lines(recipes, "models/")
    return f"{before}{FRONT[0]}\n{lines}\n\n{FRONT[1]}{after}"


def write_pages(folder: str | os.PathLike[str]) -> list[Path]:
    """Writes the pages of a zoo that are not up to date; returns their paths.

    Args:
        folder: a folder of folders with recipes.

    Raises:
        OSError: if the folder cannot be written.
        ValueError: if a recipe or its results are damaged.
    """
    changed = [
        (path, text)
        for path, text in pages(folder).items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    for path, text in changed:
        with replace_on_success(path, "w") as file:
            file.write(text)
    return [path for path, _ in changed]


def _how_to(recipe: Recipe) -> str:
    output = "model.keras" if recipe.model["architecture"] == "lstm" else "vectors.kv"
    corpus = " --corpus corpus.txt" if recipe.needs_corpus else ""
    argument = ', corpus="corpus.txt"' if recipe.needs_corpus else ""
    return f"""\
```sh
kerasw2v zoo train {recipe.name}{corpus} --output {output}
kerasw2v zoo verify {recipe.name} --smoke
```

```
from kerasw2v import zoo

loaded = zoo.load("{recipe.name}"{argument})
loaded.model.fit(loaded.dataset, epochs=loaded.recipe.training["epochs"])
```"""


def _settings(recipe: Recipe) -> str:
    lines = ["| | |", "|---|---|"]
    for section, settings in recipe.settings().items():
        for key, value in settings.items():
            if section != "evaluation" and value is not None:
                lines.append(f"| {section.replace('_', ' ')}: {key} | {_plain(value)} |")
    if recipe.training["learning_rate"] is None:
        rate = default_learning_rate(recipe.model["architecture"], recipe.training["epochs"])
        lines.append(f"| training: learning_rate | {rate:.3g}, the library's default |")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _results(recipe: Recipe, results: Mapping[str, Any] | None) -> str:
    if not results:
        corpus = " --corpus CORPUS" if recipe.needs_corpus else ""
        command = f"python benchmarks/zoo/maintain.py results {recipe.name}{corpus} --seeds 3"
        return f"None yet: `{command}` measures them."
    runs, mean = results["runs"], results["mean"]
    head = ["metric", "mean", *(f"seed {run['seed']}" for run in runs), "expected"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for name in recipe.evaluation["metrics"]:
        expected = recipe.expected.get(name)
        promise = "-"
        if expected:
            promise = f"{_number(name, expected.value)} ± {_number(name, expected.tolerance)}"
        values = [mean["metrics"][name], *(run["metrics"][name] for run in runs)]
        lines.append(
            "| "
            + " | ".join([METRICS[name][2], *(_number(name, v) for v in values), promise])
            + " |"
        )
    speed = f"{mean['words_per_s']:,.0f} words a second, {mean['seconds']:.0f} seconds of `fit`"
    if mean["ratio_to_gensim"] is not None:
        theirs = sum(run["gensim_words_per_s"] for run in runs) / len(runs)
        speed += (
            f"; gensim's nearest equivalent in the same run {theirs:,.0f} words a second, "
            f"so {_ratio(mean['ratio_to_gensim'])} times gensim's speed"
        )
    corpus, versions, machine = results["corpus"], results["versions"], results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join(
        [
            *lines,
            "",
            f"- Speed: {speed}.",
            f"- Corpus: {corpus['name']}, {runs[0]['words']:,} words trained on, "
            f"{runs[0]['vocabulary']:,} in the vocabulary; SHA-256 `{corpus['sha256']}`.",
            f"- Versions: {packages}.",
            f"- Machine: {machine['cores']} cores, {machine['processor']}; {results['date']}.",
            f"- Repeated by `{results['command']}`.",
        ]
    )


def _packed(recipe: Recipe) -> str | None:
    file = recipe.path.parent / PACKED
    if not file.is_file():
        return None
    packed = json.loads(file.read_text("utf-8"))
    names = list(packed["quality"][0]["metrics"])
    head = ["vectors", *(METRICS[name][2] for name in names)]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * len(names) + "|"]
    for row in packed["quality"]:
        values = [_number(name, row["metrics"][name]) for name in names]
        lines.append("| " + " | ".join([row["vectors"], *values]) + " |")
    return "\n".join(
        [
            f"`vectors.npz` holds the {packed['words']:,} most frequent words of one such training "
            f"(seed {packed['seed']}, corpus {packed['corpus']['name']}), a byte a number: "
            f"{packed['bytes'] / 1e6:.1f} MB.",
            "`kerasw2v similar WORD` uses them, and `kerasw2v.zoo.english_vectors()` returns them.",
            "",
            *lines,
            "",
            "The first row has more words, so it answers more questions, and harder ones. Licence "
            "and attribution: [NOTICE](NOTICE).",
            "",
            f"Made by `{packed['command']}`.",
        ]
    )


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    if metric == "perplexity":
        return f"{value:,.0f}"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
