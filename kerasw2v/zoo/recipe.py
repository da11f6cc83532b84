"""Recipes: a training described in a TOML file, by names that the library registers.

Nothing in a recipe is run or imported. Its keys are looked up in the tables below and in the
signatures of the output layers, and a key that is not there is refused by name.
"""

import inspect
import math
import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasw2v.utils.files import PathLike
from kerasw2v.utils.paths import check_path

Section = dict[str, Any]
Keys = dict[str, tuple[type, Any]]  # of a section: type and default of each

FILE = "recipe.toml"

_TEXTS = ("title", "summary", "use", "limits")
_SECTIONS = ("data", "vocabulary", "model", "output_layer", "training", "evaluation", "expected")

# In place of a default: the key must be there; the key stays out.
_REQUIRED, _ABSENT = object(), object()
_DATA: dict[str, Keys] = {
    "text": {"max_words": (int, None), "held_out_words": (int, 0)},
    "planted-baskets": {
        "groups": (int, _REQUIRED),
        "items_per_group": (int, _REQUIRED),
        "baskets": (int, _REQUIRED),
        "basket_size": (int, _REQUIRED),
        "noise": (float, _REQUIRED),
    },
}
_VOCABULARY: Keys = {"min_count": (int, 5), "max_final_vocab": (int, None)}
_WINDOWED: Keys = {"embedding_dim": (int, 100), "window": (int, 5), "shrink_windows": (bool, True)}
_ARCHITECTURES: dict[str, Keys] = {
    "skip-gram": _WINDOWED,
    "cbow": _WINDOWED | {"gradient": (str, "word2vec"), "combiner": (str, "mean")},
    "lstm": {"embedding_dim": (int, 128), "units": (int, 128), "sequence_length": (int, 32)},
}
# Types of an output layer's arguments that a recipe can hold, and what they are in TOML.
_KINDS: dict[Any, type] = {int: int, float: float, bool: bool, str: str, Sequence[int]: list}
_KINDS |= {kind | None: plain for kind, plain in _KINDS.items()}
_TRAINING: dict[str, Keys] = {
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
_EVALUATION: Keys = {"metrics": (list, _REQUIRED)}
_EXPECTED: Keys = {"value": (float, _REQUIRED), "tolerance": (float, _REQUIRED)}
# Numbers that need not be positive; an output layer checks its own arguments.
_ANY_SIGN = ("held_out_words", "noise", "sample", "value")


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
    try:
        return _read(file, smoke)
    except ValueError as error:
        raise ValueError(f"{str(file)!r}: {error}") from error


def recipe_file(path: PathLike) -> Path:
    """Returns the file of a recipe: the path itself, or the `recipe.toml` in that folder.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    file = Path(check_path("path", path))
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
    """
    from kerasw2v.layers.from_name import output_layers  # only here: it starts TensorFlow

    parameters = inspect.signature(output_layers()[name]).parameters.values()
    return {
        each.name: _KINDS[each.annotation]
        for each in parameters
        if each.annotation in _KINDS and each.name != "seed"
    }


def _read(file: Path, smoke: bool) -> Recipe:
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"a recipe must be a TOML file ({error}).") from error
    except RecursionError:
        raise ValueError("a recipe must be a TOML file without deeply nested values.") from None
    _check_keys("", tables, (*_TEXTS, *_SECTIONS, "smoke"))
    changes = _section("smoke", tables)
    _check_keys("smoke", changes, _SECTIONS)
    if smoke and not changes:
        raise ValueError("a recipe must have a table [smoke] for its tiny variant.")
    # Both variants are checked, whichever is returned.
    full = _variant(file, tables, {}, False)
    tiny = _variant(file, tables, changes, True) if changes else None
    return tiny if smoke and tiny else full


def _variant(file: Path, tables: dict[str, Any], changes: dict[str, Any], smoke: bool) -> Recipe:
    from kerasw2v.layers.from_name import output_layers

    values = {name: _section(name, tables) for name in _SECTIONS}
    if smoke:
        values["expected"] = {}
    for name in changes:
        values[name] = values[name] | _section(name, changes, "smoke.")
    layer_keys: dict[str, Keys] = {
        name: {key: (kind, _ABSENT) for key, kind in layer_arguments(name).items()}
        for name in output_layers()
    }
    model = _section_of_kind("model", values["model"], "architecture", _ARCHITECTURES)
    recipe = Recipe(
        name=file.parent.name if file.name == FILE else file.stem,
        path=file,
        texts={name: _typed("", name, tables.get(name, ""), str).strip() for name in _TEXTS},
        data=_section_of_kind("data", {"kind": "text"} | values["data"], "kind", _DATA),
        vocabulary=_with_defaults("vocabulary", values["vocabulary"], _VOCABULARY),
        model=model,
        output_layer=_section_of_kind("output_layer", values["output_layer"], "name", layer_keys),
        training=_training(values["training"], model["architecture"]),
        evaluation=_with_defaults("evaluation", values["evaluation"], _EVALUATION),
        expected=_expected(values["expected"]),
        smoke=smoke,
    )
    _check_metrics(recipe)
    return recipe


def _section(name: str, tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    section = tables.get(name, {})
    if not isinstance(section, dict):
        raise _error(f"[{prefix}{name}] must be a table", section)
    return section


def _section_of_kind(
    section: str, values: dict[str, Any], key: str, tables: Mapping[str, Keys]
) -> Section:
    """Returns a section whose other keys depend on the value of `key`."""
    if key not in values:
        raise ValueError(f"[{section}] must have a key `{key}`.")
    kind = values[key]
    if not isinstance(kind, str) or kind not in tables:
        raise _error(f"`{key}` in [{section}] must be one of {', '.join(tables)}", kind)
    return _with_defaults(section, values, {key: (str, _REQUIRED)} | tables[kind])


def _with_defaults(section: str, values: dict[str, Any], keys: Keys) -> Section:
    _check_keys(section, values, keys)
    filled = {}
    for key, (kind, default) in keys.items():
        if key in values:
            filled[key] = _typed(section, key, values[key], kind)
        elif default is _REQUIRED:
            raise ValueError(f"[{section}] must have a key `{key}`.")
        elif default is not _ABSENT:
            filled[key] = default
    return filled


def _training(values: dict[str, Any], architecture: str) -> Section:
    # word2vec's tables need a step for each row; the weights of an LSTM are dense.
    optimizer = "adam" if architecture == "lstm" else "row-sgd"
    values = {"optimizer": optimizer} | values
    if values["optimizer"] != optimizer and values["optimizer"] in tuple(_TRAINING):
        rule = f"`optimizer` in [training] must be {optimizer} for {architecture}"
        raise _error(rule, values["optimizer"])
    return _section_of_kind("training", values, "optimizer", _TRAINING)


def _expected(values: dict[str, Any]) -> dict[str, Expected]:
    _check_keys("expected", values, METRICS)
    return {
        metric: Expected(
            **_with_defaults(f"expected.{metric}", _section(metric, values, "expected."), _EXPECTED)
        )
        for metric in values
    }


def _check_metrics(recipe: Recipe) -> None:
    metrics = recipe.evaluation["metrics"]
    architecture, kind = recipe.model["architecture"], recipe.data["kind"]
    allowed = [
        metric
        for metric, (architectures, kinds, _) in METRICS.items()
        if architecture in architectures and kind in kinds
    ]
    for metric in metrics:
        if metric not in allowed:
            raise _error(
                f"`metrics` in [evaluation] must be among {', '.join(allowed)} for "
                f"{architecture} and {kind}",
                metric,
            )
    if "perplexity" in metrics and not recipe.data["held_out_words"] > 0:
        raise _error(
            "`held_out_words` in [data] must be positive for the metric perplexity",
            recipe.data["held_out_words"],
        )
    for metric in recipe.expected:
        if metric not in metrics:
            raise _error("[expected] must hold metrics that [evaluation] names only", metric)


def _check_keys(section: str, values: dict[str, Any], keys: Collection[str]) -> None:
    for key in values:
        if key not in keys:
            where = f"[{section}]" if section else "a recipe"
            allowed = ", ".join(keys) or "none"
            raise ValueError(f"{where} must not have a key `{key}`; allowed: {allowed}.")


def _typed(section: str, key: str, received: Any, kind: type[Any]) -> Any:
    """Returns a value of the type `kind`; a whole number may stand for a float."""
    where = f"`{key}` in [{section}]" if section else f"`{key}`"
    value: Any = float(received) if kind is float and type(received) is int else received
    if type(value) is not kind:
        kinds = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
        raise _error(f"{where} must be {kinds.get(kind, 'a list')}", value)
    if kind is float and not math.isfinite(value):
        raise _error(f"{where} must be finite", value)
    if kind in (int, float) and key not in _ANY_SIGN and section != "output_layer" and value <= 0:
        raise _error(f"{where} must be positive", received)
    if kind is list:
        inner = str if key == "metrics" else int
        if not all(type(item) is inner for item in value):
            raise _error(f"{where} must be a list of {inner.__name__}", value)
    return value


def _error(rule: str, received: object) -> ValueError:
    return ValueError(f"{rule}. Received: {received!r}.")
