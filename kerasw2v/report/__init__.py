"""One HTML page of a training: settings, loss and speed, a map and search of the words, tests.

The page contains everything that it needs, and computes in the browser: it uses no network. Its
markup, style and script are the other files of this folder.
"""

import base64
import json
import math
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasw2v.evaluation import Evaluation
from kerasw2v.history import History
from kerasw2v.utils.checks import check_int, check_vectors
from kerasw2v.utils.files import PathLike, check_output_path, check_suffix, replace_on_success
from kerasw2v.word_map import content_words, example_word, word_map

_SUFFIXES = (".html", ".htm")
_WORDS = 5_000
_FITTED = 1_000  # words whose principal components are the axes
_MIN_ANSWERS = 30  # fewer questions or pairs give a result by chance


def check_report_path(path: PathLike) -> None:
    """Checks, before any work is done, that `write_report` can write to `path`.

    Args:
        path: where the page will be saved.

    Raises:
        ValueError: if the name does not end in .html or .htm.
        OSError: if the folder does not exist, or it or the file cannot be written.

    Example:

    >>> check_report_path("run.pdf")
    Traceback (most recent call last):
    ...
    ValueError: `path` must end in .html or .htm. Received: path='run.pdf'.
    """
    check_suffix(path, _SUFFIXES)
    check_output_path(path)


def write_report(
    path: PathLike,
    vectors: Any,
    title: str = "Word vectors",
    settings: Mapping[str, Mapping[str, object]] | None = None,
    history: History | None = None,
    evaluation: Evaluation | None = None,
    max_words: int = _WORDS,
) -> None:
    """Writes a page on a training for any browser; it needs no network.

    The page contains the vectors of the most frequent words, rounded to one byte per number:
    cosines differ from the exact ones by less than .01. With 5,000 words of 100 dimensions it has
    1 MB.

    Args:
        path: where to save; an existing file is replaced.
        vectors: a `gensim.models.KeyedVectors`, most frequent word first.
        title: the heading.
        settings: groups of names and values, for tables.
        history: loss and speed, of `kerasw2v.callbacks.Record`; None for a page without them.
        evaluation: results of `kerasw2v.evaluation.evaluate`; None for a page without them.
        max_words: number of words in the page.

    Raises:
        TypeError: if `max_words` is not an integer.
        ValueError: if it is not positive, or the name does not end in .html or .htm.
        OSError: if the folder does not exist, cannot be written, or the disk fills.

    Example:

    >>> import os, tempfile
    >>> from gensim.models import KeyedVectors
    >>> vectors = KeyedVectors(2)
    >>> vectors.add_vectors(["cat", "milk"], np.eye(2))
    >>> path = tempfile.mkdtemp() + "/run.html"
    >>> write_report(path, vectors, settings={"Corpus": {"words": 2}})
    >>> open(path).read().startswith("<!doctype html>")
    True
    """
    check_report_path(path)
    check_vectors("vectors", vectors)
    check_int("max_words", max_words, minimum=1)
    data: dict[str, Any] = {
        "title": title,
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "summary": _summary(vectors, history),
        "settings": [
            [group, [[name, _text(value)] for name, value in rows.items()]]
            for group, rows in (settings or {}).items()
        ],
        "history": _history(history),
        "evaluation": _evaluation(evaluation),
        **_words(vectors, max_words),
    }
    page = _page(data)
    with replace_on_success(path, "w") as file:
        file.write(page.encode("utf-8", "replace").decode())  # lone surrogates are no text


def _page(data: Mapping[str, Any]) -> str:
    folder = resources.files("kerasw2v.report")
    markup, style, script = (
        (folder / f"page.{suffix}").read_text("utf-8") for suffix in ("html", "css", "js")
    )
    # The data are inserted last: a word may look like a placeholder.
    page = markup.replace("{{ style }}", style).replace("{{ script }}", script)
    before, _, after = page.partition("{{ data }}")
    return before + _safe_json(data) + after


def _safe_json(data: Mapping[str, Any]) -> str:
    """Returns JSON that cannot end a script element: a corpus may contain `</script>`."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return f"{float(value):.4g}" if isinstance(value, Real) else str(value)


def _summary(vectors: Any, history: History | None) -> list[list[str]]:
    tiles = [["words", f"{len(vectors):,}"], ["dimensions", f"{vectors.vector_size:,}"]]
    if history is None or not history.epochs:
        return tiles
    last, speed = history.epochs[-1], history.words_per_second
    tiles.append(["epochs", f"{last.epoch:,.0f}"])
    tiles.append(["loss of the last epoch", f"{last.loss:.4f}"])
    tiles.append(["words per second", "-" if speed is None else f"{speed:,.0f}"])
    return tiles


def _history(history: History | None) -> dict[str, Any] | None:
    if history is None or not history.points:
        return None
    note = "The speed leaves out the first steps, while TensorFlow compiles them."
    if history.begun:
        note += f" Epochs 1 to {history.begun} were not recorded."
    points, epochs = (
        [
            [m.epoch, m.seconds, m.loss if math.isfinite(m.loss) else None, m.words_per_second]
            for m in measurements
        ]
        for measurements in (history.points, history.epochs)
    )
    return {"note": note, "points": points, "epochs": epochs}


def _evaluation(evaluation: Evaluation | None) -> list[list[Any]] | None:
    if evaluation is None:
        return None
    rows: list[tuple[str, str, float | None, int, str]] = []
    for pairs in evaluation.word_pairs:
        known = round(pairs.pairs * (1 - pairs.out_of_vocabulary))
        rows.append(
            (pairs.name, "rank correlation", pairs.spearman, known, f"{known} of {pairs.pairs}")
        )
    for score in filter(None, (evaluation.semantic, evaluation.syntactic, evaluation.total)):
        name = "Analogies" if score.name == "total" else f"Analogies, {score.name}"
        rows.append(
            (name, "share answered correctly", score.accuracy, score.total, f"{score.total:,}")
        )
    too_few = f"too few are known ({_MIN_ANSWERS} needed)"
    return [
        [name, measure, None, too_few, asked]
        if value is None or known < _MIN_ANSWERS
        else [name, measure, value, f"{value:.3f}", asked]
        for name, measure, value, known, asked in rows
    ]


def _words(vectors: Any, number: int) -> dict[str, Any]:
    words = content_words(vectors, number, among=number)
    shown = word_map(vectors, words, fit=_FITTED)
    counts = vectors.expandos.get("count")
    rows = np.array([vectors.get_vector(word) for word in words], np.float64)
    places = (_within_frame(shown.places) * 32767).round().astype("<i2")
    return {
        "words": [str(word) for word in words],
        "counts": None if counts is None else [int(vectors.get_vecattr(w, "count")) for w in words],
        "dimensions": int(vectors.vector_size),
        "vectors": base64.b64encode(quantize_rows(rows)[0].tobytes()).decode("ascii"),
        "places": base64.b64encode(places.tobytes()).decode("ascii"),
        "shares": shown.shares,
        "query": str(example_word(vectors, number)),
    }


def quantize_rows(rows: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[Any]]:
    """Returns vectors, `(n, d)`, as int8, and a scale for each: `vector = scale * int8`, rounded.

    The scale is a 127th of the vector's largest number. A cosine needs the int8 alone.

    Example:

    >>> bytes_, scales = quantize_rows(np.array([[1.27, -0.64]]))
    >>> bytes_.tolist(), scales.round(4).tolist()
    ([[127, -64]], [0.01])
    """
    scales = np.maximum(np.abs(rows).max(axis=1), 1e-30) / 127
    return np.rint(rows / scales[:, None]).astype(np.int8), scales


def _within_frame(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales each axis to -1 to 1; clips a fiftieth at both ends of the third, the colours."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    low[2], high[2] = np.quantile(coordinates[:, 2], [0.02, 0.98])
    middle, reach = (low + high) / 2, np.maximum((high - low) / 2, 1e-12)
    within: NDArray[np.float64] = np.clip((coordinates - middle) / reach, -1, 1)
    return within
