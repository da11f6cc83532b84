"""Recipes: a training described in a TOML file, by names that the library registers.

Nothing in a recipe is run or imported. Its keys are looked up in the tables below and in the
signatures of the output layers, and a key that is not there is refused by name.
"""

import inspect
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasw2v.utils.files import PathLike

Section = dict[str, Any]

FILE = "recipe.toml"

_TEXTS = ("title", "summary", "use", "limits")
_SECTIONS = ("data", "vocabulary", "model", "output_layer", "training", "evaluation", "expected")

# In place of a default: the key must be there; the key stays out.
_REQUIRED, _ABSENT = object(), object()
# The keys of each kind of data: their types and defaults.
_DATA: dict[str, dict[str, tuple[type, Any]]] = {
    "text": {"max_words": (int, None), "held_out_words": (int, 0)},
    "planted-baskets": {
        "groups": (int, _REQUIRED),
        "items_per_group": (int, _REQUIRED),
        "baskets": (int, _REQUIRED),
        "basket_size": (int, _REQUIRED),
        "noise": (float, _REQUIRED),
    },
}
_VOCABULARY = {"min_count": (int, 5), "max_final_vocab": (int, None)}
_WINDOWED = {"embedding_dim": (int, 100), "window": (int, 5), "shrink_windows": (bool, True)}
_ARCHITECTURES: dict[str, dict[str, tuple[type, Any]]] = {
    "skip-gram": _WINDOWED,
    "cbow": _WINDOWED | {"gradient": (str, "word2vec"), "combiner": (str, "mean")},
    "lstm": {"embedding_dim": (int, 128), "units": (int, 128), "sequence_length": (int, 32)},
}
# Types of an output layer's arguments that a recipe can hold, and what they are in TOML.
_KINDS: dict[Any, type] = {int: int, float: float, bool: bool, str: str, Sequence[int]: list}
_KINDS |= {kind | None: plain for kind, plain in _KINDS.items()}
_TRAINING: dict[str, dict[str, tuple[type, Any]]] = {
    "row-sgd": {
        "learning_rate": (float, None),
        "epochs": (int, 5),
        "batch_size": (int, None),
        "sample": (float, 1e-3),
        "steps_per_execution": (int, 32),
    },
    "adam": {
        "learning_rate": (float, _REQUIRED),
        "epochs": (int, 1),
        "batch_size": (int, 64),
        "steps_per_execution": (int, 8),
    },
}
# Metric -> (architectures, kinds of data, label), in the order of columns.
METRICS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "wordsim353": (("skip-gram", "cbow"), ("text",), "WordSim353, Spearman"),
    "simlex999": (("skip-gram", "cbow"), ("text",), "SimLex999, Spearman"),
    "analogies": (("skip-gram", "cbow"), ("text",), "analogies, accuracy"),
    "perplexity": (("cbow", "lstm"), ("text",), "held-out perplexity"),
    "same_group": (
        ("skip-gram", "cbow"),
        ("planted-baskets",),
        "nearest neighbours of the same group, share",
    ),
    "loss": (tuple(_ARCHITECTURES), tuple(_DATA), "training loss of the last epoch"),
}
_POSITIVE = {
    "data": ("max_words", "groups", "items_per_group", "baskets", "basket_size"),
    "vocabulary": ("min_count", "max_final_vocab"),
    "model": ("embedding_dim", "window", "units", "sequence_length"),
    "training": ("learning_rate", "epochs", "batch_size", "steps_per_execution"),
}
_EVALUATION = {"metrics": (list, _REQUIRED)}


@dataclass(frozen=True)
class Expected:
    """A result that a recipe promises: `value`, plus or minus `tolerance`."""

    value: float
    tolerance: float

    def holds(self, measured: float) -> bool:
        """Returns whether a measured result lies within the tolerance."""
        return abs(measured - self.value) <= self.tolerance


@dataclass(frozen=True)
class Recipe:
    """A training, with defaults for everything that its file leaves out.

    Attributes:
        name: name of the recipe's folder, or of its file if that is not `recipe.toml`.
        path: the file.
        texts: `title`, `summary`, `use` and `limits`, for the card.
        data: `kind`, and the arguments of that kind.
        vocabulary: arguments of `Vocabulary.from_corpus`.
        model: `architecture`, and its arguments.
        output_layer: `name`, and arguments of that layer.
        training: `optimizer`, learning rate (None for the library's default), epochs, batch size
            (None for one that suits the corpus), subsampling, steps in each call into the graph.
        evaluation: `metrics`, a list of names from `METRICS`.
        expected: an `Expected` for each metric whose result is known.
        smoke: whether this is the tiny variant.
    """

    name: str
    path: Path
    texts: Mapping[str, str]
    data: Section
    vocabulary: Section
    model: Section
    output_layer: Section
    training: Section
    evaluation: Section
    expected: Mapping[str, Expected] = field(default_factory=dict)
    smoke: bool = False

    @property
    def needs_corpus(self) -> bool:
        """Whether the data are a text, which the user provides; a recipe makes other data."""
        return bool(self.data["kind"] == "text")

    def settings(self) -> dict[str, Section]:
        """Returns everything that decides what is trained and measured, ready for JSON."""
        names = ("data", "vocabulary", "model", "output_layer", "training", "evaluation")
        return {name: dict(getattr(self, name)) for name in names}


def read_recipe(path: PathLike, smoke: bool = False) -> Recipe:
    r"""Reads a recipe.

    Args:
        path: a TOML file, or a folder with a `recipe.toml`.
        smoke: True for the tiny variant, for which `[smoke.data]`, `[smoke.training]` and so on
            replace single values; `[smoke.expected]` replaces all expected results.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not TOML, has an unknown key or name or a value of the wrong type, or
            has no tiny variant although `smoke` is True.

    Example:

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/mine.toml"
    >>> with open(path, "w") as file:
    ...     _ = file.write('[model]\narchitecture = "cbow"\n'
    ...                    '[output_layer]\nname = "NCE"\n[evaluation]\nmetrics = ["loss"]\n')
    >>> recipe = read_recipe(path)
    >>> recipe.name, recipe.model["window"], recipe.training["epochs"]
    ('mine', 5, 5)
    """
    file = recipe_file(path)
    return _Reader(file, _parse(file)).recipe(smoke)


def recipe_file(path: PathLike) -> Path:
    """Returns the file of a recipe: the path itself, or the `recipe.toml` in that folder.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    file = Path(path)
    if file.is_dir():
        file = file / FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"`path` must name a recipe that exists. Received: path={os.fspath(path)!r}."
        )
    return file


def layer_arguments(name: str) -> dict[str, type]:
    """Returns the arguments of an output layer that a recipe can set, and their types in TOML.

    The seed is not among them: it is an argument of the run.

    Example:

    >>> layer_arguments("ClassSoftmax")
    {'num_classes': <class 'int'>}
    """
    from kerasw2v.layers.from_name import output_layers  # only here: it starts TensorFlow

    parameters = inspect.signature(output_layers()[name]).parameters.values()
    return {
        each.name: _KINDS[each.annotation]
        for each in parameters
        if each.annotation in _KINDS and each.name != "seed"
    }


def _layer_keys() -> dict[str, dict[str, tuple[type, Any]]]:
    from kerasw2v.layers.from_name import output_layers

    return {
        name: {key: (kind, _ABSENT) for key, kind in layer_arguments(name).items()}
        for name in output_layers()
    }


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(file)!r} must be a TOML file ({error}).") from error


class _Reader:
    """Checks what a recipe file holds, table by table."""

    def __init__(self, file: Path, tables: dict[str, Any]) -> None:
        self.file = file
        self.tables = tables

    def recipe(self, smoke: bool) -> Recipe:
        self._check_keys("", self.tables, (*_TEXTS, *_SECTIONS, "smoke"))
        for name in _TEXTS:
            self._check_type("", name, self.tables.get(name, ""), str)
        changes = self._section("smoke", self.tables)
        self._check_keys("smoke", changes, _SECTIONS)
        if smoke and not changes:
            raise ValueError(f"{str(self.file)!r} must have a table [smoke] for its tiny variant.")
        # Both variants are checked, whichever is returned.
        variants = {False: self._recipe({}, False)}
        if changes:
            variants[True] = self._recipe(changes, True)
        return variants[smoke]

    def _recipe(self, changes: dict[str, Any], smoke: bool) -> Recipe:
        values = {name: self._section(name, self.tables) for name in _SECTIONS}
        for name in changes:
            changed = self._section(name, changes, "smoke.")
            values[name] = changed if name == "expected" else values[name] | changed
        if smoke and "expected" not in changes:
            values["expected"] = {}
        data = self._variant_section("data", values["data"], "kind", _DATA, "text")
        model = self._variant_section("model", values["model"], "architecture", _ARCHITECTURES)
        recipe = Recipe(
            name=self.file.parent.name if self.file.name == FILE else self.file.stem,
            path=self.file,
            texts={name: self.tables.get(name, "").strip() for name in _TEXTS},
            data=data,
            vocabulary=self._with_defaults("vocabulary", values["vocabulary"], _VOCABULARY),
            model=model,
            output_layer=self._variant_section(
                "output_layer", values["output_layer"], "name", _layer_keys()
            ),
            training=self._training(values["training"], model["architecture"]),
            evaluation=self._with_defaults("evaluation", values["evaluation"], _EVALUATION),
            expected=self._expected(values["expected"]),
            smoke=smoke,
        )
        self._check_sizes(recipe)
        self._check_metrics(recipe)
        return recipe

    def _section(self, name: str, tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        section = tables.get(name, {})
        if not isinstance(section, dict):
            raise self._error(f"[{prefix}{name}] must be a table", section)
        return section

    def _variant_section(
        self,
        section: str,
        values: dict[str, Any],
        key: str,
        tables: Mapping[str, dict[str, tuple[type, Any]]],
        default: str | None = None,
    ) -> Section:
        """Returns a section whose allowed keys depend on the value of one of them."""
        name = self._name(section, values, key, tables, default)
        others = {other: value for other, value in values.items() if other != key}
        return {key: name, **self._with_defaults(section, others, tables[name], (key,))}

    def _name(
        self,
        section: str,
        values: dict[str, Any],
        key: str,
        names: Any,
        default: str | None = None,
    ) -> str:
        name = values.get(key, default)
        if name is None:
            raise ValueError(f"{str(self.file)!r}: [{section}] must have a key `{key}`.")
        if not isinstance(name, str) or name not in names:
            raise self._error(f"`{key}` in [{section}] must be one of {', '.join(names)}", name)
        return name

    def _with_defaults(
        self,
        section: str,
        values: dict[str, Any],
        keys: Mapping[str, tuple[type, Any]],
        more: tuple[str, ...] = (),
    ) -> Section:
        self._check_keys(section, values, (*more, *keys))
        filled = {}
        for key, (kind, default) in keys.items():
            if key in values:
                filled[key] = self._check_type(section, key, values[key], kind)
            elif default is _REQUIRED:
                raise ValueError(f"{str(self.file)!r}: [{section}] must have a key `{key}`.")
            elif default is not _ABSENT:
                filled[key] = default
        return filled

    def _expected(self, values: dict[str, Any]) -> dict[str, Expected]:
        self._check_keys("expected", values, tuple(METRICS))
        expected = {}
        for metric in values:
            section = f"expected.{metric}"
            pair = self._section(metric, values, "expected.")
            keys = {"value": (float, _REQUIRED), "tolerance": (float, _REQUIRED)}
            expected[metric] = Expected(**self._with_defaults(section, pair, keys))
            if expected[metric].tolerance <= 0:
                raise self._error(f"`tolerance` in [{section}] must be positive", pair["tolerance"])
        return expected

    def _training(self, values: dict[str, Any], architecture: str) -> Section:
        # word2vec's tables need a step for each row; the weights of an LSTM are dense.
        optimizer = "adam" if architecture == "lstm" else "row-sgd"
        values = {"optimizer": optimizer} | values
        if self._name("training", values, "optimizer", _TRAINING) != optimizer:
            raise self._error(
                f"`optimizer` in [training] must be {optimizer} for {architecture}",
                values["optimizer"],
            )
        return self._variant_section("training", values, "optimizer", _TRAINING)

    def _check_sizes(self, recipe: Recipe) -> None:
        for section, keys in _POSITIVE.items():
            for key in keys:
                value = getattr(recipe, section).get(key)
                if value is not None and value <= 0:
                    raise self._error(f"`{key}` in [{section}] must be positive", value)

    def _check_metrics(self, recipe: Recipe) -> None:
        metrics = recipe.evaluation["metrics"]
        architecture, kind = recipe.model["architecture"], recipe.data["kind"]
        allowed = [
            metric
            for metric, (architectures, kinds, _) in METRICS.items()
            if architecture in architectures and kind in kinds
        ]
        for metric in metrics:
            if metric not in allowed:
                raise self._error(
                    f"`metrics` in [evaluation] must be among {', '.join(allowed)} for "
                    f"{architecture} and {kind}",
                    metric,
                )
        if "perplexity" in metrics and not recipe.data["held_out_words"] > 0:
            raise self._error(
                "`held_out_words` in [data] must be positive for the metric perplexity",
                recipe.data["held_out_words"],
            )
        for metric in recipe.expected:
            if metric not in metrics:
                raise self._error(
                    "[expected] must hold metrics that [evaluation] names only", metric
                )

    def _check_keys(self, section: str, values: dict[str, Any], keys: tuple[str, ...]) -> None:
        for key in values:
            if key not in keys:
                where = f"[{section}]" if section else "a recipe"
                raise ValueError(
                    f"{str(self.file)!r}: {where} must not have a key `{key}`; "
                    f"allowed: {', '.join(keys) or 'none'}."
                )

    def _check_type(self, section: str, key: str, value: Any, kind: type[Any]) -> Any:
        where = f"`{key}` in [{section}]" if section else f"`{key}`"
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            kinds = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
            raise self._error(f"{where} must be {kinds.get(kind, 'a list')}", value)
        if kind is float and not math.isfinite(value):
            raise self._error(f"{where} must be finite", value)
        if kind is list:
            inner = str if key == "metrics" else int
            if not all(type(item) is inner for item in value):
                raise self._error(f"{where} must be a list of {inner.__name__}", value)
        return value

    def _error(self, rule: str, received: object) -> ValueError:
        return ValueError(f"{str(self.file)!r}: {rule}. Received: {received!r}.")
