"""Baskets, sessions and playlists from tables: a row for each item, which names its group."""

import os
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from lzma import LZMAError
from typing import IO, Any

import numpy as np
import smart_open
from numpy.typing import NDArray

from kerasw2v.utils.checks import shortened
from kerasw2v.utils.paths import check_path

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
"""Endings of the names of files with tables; the first two also before `.gz`, `.bz2` and `.xz`."""

_PACKED = (".gz", ".bz2", ".xz")
_DELIMITERS = ",;\t|"
_CHUNK_ROWS = 1_000_000


def read_table(table: Any, group: str, item: str, order: str | None = None) -> list[list[Any]]:
    r"""Reads a table with a row for each item, and returns the items of each group as a sentence.

    Groups (baskets, sessions, playlists, users) come in the order in which they first appear, their
    items in the order of the rows. The rows of a group need not be neighbours.

    Items of a CSV are text as it stands in the file: `007` stays `"007"`. Those of Parquet and of a
    DataFrame stay what they are; whole numbers that pandas keeps as floats, since others are
    missing, are integers again. Rows without a group or an item are left out, with a warning that
    says how many.

    Args:
        table: path of a `.csv` or `.tsv` file (plain, `.gz`, `.bz2` or `.xz`; in UTF-8, the first
            line names the columns, which a comma, semicolon, tab or bar separates) or of a
            `.parquet` file; a list of such paths, which are one table; or a pandas DataFrame, or
            what has a `to_pandas` method, as tables of pyarrow and Polars.
        group: name of the column that says which basket a row belongs to.
        item: name of the column with the items.
        order: name of a column of numbers or of dates (in text: ISO 8601, as 2025-12-31) that the
            items of a group are sorted by; equal ones stay in the order of the rows. The order of
            the rows when None.

    Returns:
        A list of items for each group: a corpus for `kerasw2v.read_corpus` and
        `kerasw2v.Word2Vec`.

    Raises:
        ImportError: if pandas is missing, or pyarrow for Parquet.
        FileNotFoundError: if a file does not exist.
        TypeError: if `table` is none of these.
        ValueError: if there is no such column, no row, a file is damaged or not UTF-8, or a value
            of `order` is missing or no number or date.

    Cost: about a second for a million rows. A CSV is read in chunks, so that 8 bytes a row (16 with
    `order`) are in memory beside the result; a Parquet file's columns are read whole.

    Example:

    >>> import pandas as pd
    >>> from kerasw2v import read_table
    >>> rows = [(2, "tea", 9), (1, "milk", 9), (2, "cup", 8)]
    >>> table = pd.DataFrame(rows, columns=["basket", "item", "hour"])
    >>> read_table(table, group="basket", item="item")
    [['tea', 'cup'], ['milk']]
    >>> read_table(table, group="basket", item="item", order="hour")
    [['cup', 'tea'], ['milk']]
    """
    columns = _checked_columns(group, item, order)
    groups, items = _Numbers(), _Numbers()
    pieces = [
        (groups.of(group, frame[group]), items.of(item, frame[item]), _keys(frame, order))
        for frame in _frames(table, columns)
    ]
    group_of, item_of = (np.concatenate(part) for part in list(zip(*pieces, strict=True))[:2])
    rows = np.flatnonzero((group_of >= 0) & (item_of >= 0))
    if not len(rows):
        raise ValueError(
            f"`table` must have a row with a value in {group!r} and in {item!r}. "
            f"Received: {len(group_of):,} rows."
        )
    if len(rows) < len(group_of):
        warnings.warn(
            f"{len(group_of) - len(rows):,} of {len(group_of):,} rows are left out, which have no "
            f"{group!r} or no {item!r}.",
            stacklevel=2,
        )
    if order is not None:
        keys = _joined_keys(order, [piece[2] for piece in pieces])
        rows = rows[np.argsort(keys[rows], kind="stable")]
    rows = rows[np.argsort(group_of[rows], kind="stable")]
    return _sentences(group_of[rows], item_of[rows], items.values())


class _Numbers:
    """Numbers of values by their first appearance, over several columns; -1 for a missing one."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def of(self, name: str, column: Any) -> NDArray[np.int32]:
        try:
            codes, values = _pandas().factorize(_whole(column))
        except TypeError:
            raise ValueError(
                f"Column {name!r} must hold text, numbers or other values that can be compared. "
                f"Received: {shortened(column.iloc[0])}."
            ) from None
        numbers = [self._numbers.setdefault(each, len(self._numbers)) for each in values.tolist()]
        by_code: NDArray[np.int32] = np.array([*numbers, -1], np.int32)
        numbers_of_rows: NDArray[np.int32] = by_code[codes]
        return numbers_of_rows

    def values(self) -> list[Any]:
        return list(self._numbers)


def _sentences(
    group_of: NDArray[np.int32], item_of: NDArray[np.int32], values: list[Any]
) -> list[list[Any]]:
    """Returns the items of each group; the rows of a group are neighbours here."""
    starts = np.flatnonzero(np.diff(group_of, prepend=-1))
    appearance = np.argsort(group_of[starts], kind="stable")
    ends = np.append(starts[1:], len(group_of))
    names = np.empty(len(values), object)
    names[:] = values
    items = names[item_of].tolist()
    return [items[starts[i] : ends[i]] for i in appearance]


def _whole(column: Any) -> Any:
    """Returns a column of floats that are whole or missing as integers; another one as it is."""
    if column.dtype.kind == "f":
        known = column.dropna()
        if len(known) and (known == known.round()).all() and known.abs().max() < 2**53:
            return column.astype("Int64")
    return column


def _keys(frame: Any, order: str | None) -> Any:
    """Returns a column that rows are sorted by: text as times."""
    if order is None:
        return None
    pandas, column = _pandas(), frame[order]
    if column.isna().any():
        raise ValueError(
            f"Column {order!r} must have a value in each row, to sort by. "
            f"Received: {int(column.isna().sum()):,} without."
        )
    if column.dtype.kind in "iufbmM":
        return column
    try:
        return pandas.to_datetime(column, format="ISO8601", utc=True).dt.tz_localize(None)
    except (TypeError, ValueError) as error:
        raise _order_error(order, column.iloc[0]) from error


def _joined_keys(order: str, keys: list[Any]) -> NDArray[Any]:
    if len({key.dtype.kind in "mM" for key in keys}) > 1:
        raise _order_error(order, f"{keys[0].iloc[0]} and {keys[-1].iloc[0]}")
    joined: NDArray[Any] = _pandas().concat(keys).to_numpy()
    return joined


def _order_error(order: str, value: object) -> ValueError:
    return ValueError(
        f"Column {order!r} must hold numbers, or dates as 2025-12-31 or 2025-12-31 23:59:59, to "
        f"sort by. Received: {shortened(value)}."
    )


def _checked_columns(group: str, item: str, order: str | None) -> dict[str, str]:
    """Returns the columns by the names of the arguments."""
    columns = {"group": group, "item": item, "order": order}
    if group == item:
        raise ValueError(f"`item` must be another column than `group`. Received: {item!r} twice.")
    for name, column in columns.items():
        if not (isinstance(column, str) or (name == "order" and column is None)):
            raise TypeError(f"`{name}` must be the name of a column. Received: {name}={column!r}.")
    return {name: column for name, column in columns.items() if column is not None}


def check_table_path(path: Any) -> str:
    """Returns which kind of table a file's name promises: one of `TABLE_SUFFIXES`.

    Raises:
        FileNotFoundError, IsADirectoryError: if it is no file.
        ImportError: if pandas is missing, or pyarrow for Parquet.
        ValueError: for another name.
    """
    text = check_path("table", path)
    kind = table_suffix(text)
    if kind is None:
        raise ValueError(
            "`table` must be a DataFrame, or name files that end in .csv, .tsv or .parquet. "
            f"Received: {text!r}."
        )
    if os.path.isdir(text):
        raise IsADirectoryError(f"`table` must name files, not folders. Received: {text!r}.")
    if not os.path.exists(text):
        raise FileNotFoundError(f"`table` must name a file that exists. Received: {text!r}.")
    _pandas()
    if kind == ".parquet":
        _imported("pyarrow", "Parquet")
    return kind


def table_suffix(path: str) -> str | None:
    """Returns the one of `TABLE_SUFFIXES` that a file's name ends in, None if it is another."""
    name = path.lower()
    name = next((name.removesuffix(suffix) for suffix in _PACKED if name.endswith(suffix)), name)
    kind = next((suffix for suffix in TABLE_SUFFIXES if name.endswith(suffix)), None)
    return None if kind == ".parquet" and not path.lower().endswith(kind) else kind


def check_no_table(name: str, corpus: Any) -> None:
    """Raises TypeError for a DataFrame, whose items are the names of its columns, as a corpus."""
    if hasattr(corpus, "to_pandas") or (hasattr(corpus, "columns") and hasattr(corpus, "iloc")):
        raise TypeError(
            f"`{name}` must be lists of words; `kerasw2v.read_table` makes them of a table. "
            f"Received: a {type(corpus).__module__.partition('.')[0]} {type(corpus).__name__}."
        )


def _frames(table: Any, columns: Mapping[str, str]) -> Iterator[Any]:
    """Yields a table in one or more DataFrames with these columns."""
    if isinstance(table, str | os.PathLike):
        table = [table]
    is_list = isinstance(table, list | tuple) and bool(table)
    if is_list and all(isinstance(path, str | os.PathLike) for path in table):
        kinds = [check_table_path(path) for path in table]
        for path, kind in zip(map(os.fsdecode, table), kinds, strict=True):
            yield from _frames_of_file(path, kind, columns)
        return
    if hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if not isinstance(table, _pandas().DataFrame):
        raise TypeError(
            "`table` must be a path, a list of paths or a DataFrame. "
            f"Received: {shortened(table)} of type {type(table).__name__}."
        )
    _check_header(columns, table.columns, "the DataFrame")
    yield table


def _frames_of_file(path: str, kind: str, columns: Mapping[str, str]) -> Iterator[Any]:
    try:
        if kind == ".parquet":
            yield _parquet(path, columns)
        else:
            yield from _csv(path, kind, columns)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`table` must be UTF-8 text. Received: byte 0x{error.object[error.start]:02x} in "
            f"{path!r}."
        ) from None
    except _signs_of_damage() as error:
        # OSErrors of decompressors and of pyarrow have no number, unlike those of the system.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damage_error(error, path) from error


def _signs_of_damage() -> tuple[type[Exception], ...]:
    errors = _pandas().errors
    return EOFError, LZMAError, OSError, zlib.error, errors.ParserError, errors.ParserWarning


def _damage_error(error: Exception, path: str) -> ValueError:
    reason = " ".join(str(error).split()).rstrip(".")
    return ValueError(f"`table` must not be damaged ({reason}). Received: {path!r}.")


def _parquet(path: str, columns: Mapping[str, str]) -> Any:
    try:
        header = _imported("pyarrow.parquet", "Parquet").read_schema(path).names
    except ValueError as error:  # pyarrow's own
        raise _damage_error(error, path) from error
    _check_header(columns, header, repr(path))
    # Integers stay integers where some are missing.
    return _pandas().read_parquet(
        path, columns=list(set(columns.values())), dtype_backend="numpy_nullable"
    )


def _csv(path: str, kind: str, columns: Mapping[str, str]) -> Iterator[Any]:
    with smart_open.open(path, encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        delimiter = "\t" if kind == ".tsv" else max(_DELIMITERS, key=header.count)
        file.seek(0)
        yield from _chunks(file, path, delimiter, columns)


def _chunks(file: IO[str], path: str, delimiter: str, columns: Mapping[str, str]) -> Iterator[Any]:
    pandas = _pandas()
    options = {"sep": delimiter, "skipinitialspace": True, "index_col": False}
    try:
        header = pandas.read_csv(file, nrows=0, **options).columns
    except pandas.errors.EmptyDataError:
        raise ValueError(f"`table` must not be empty. Received: {path!r}.") from None
    _check_header(columns, header, repr(path))
    file.seek(0)
    # "NA" and "null" are names of items; only an empty field is missing. All columns are read: with
    # some alone, pandas would drop what a row has too much, such as half of an item with a comma.
    options |= {"keep_default_na": False, "na_values": [""], "chunksize": _CHUNK_ROWS}
    texts = {name: str for name in header if name != columns.get("order")}
    too_long: type[Warning] = pandas.errors.ParserWarning
    with warnings.catch_warnings(action="error", category=too_long):
        yield from pandas.read_csv(file, dtype=texts, **options)


def _check_header(columns: Mapping[str, str], header: Iterable[Any], where: str) -> None:
    names = list(header)
    for argument, column in columns.items():
        if names.count(column) != 1:
            rule = "a column" if column not in names else "a column that is there once"
            raise ValueError(
                f"`{argument}` must name {rule}. Received: {argument}={column!r}; the columns of "
                f"{where} are {shortened(names, 200)}."
            )


def _pandas() -> Any:
    return _imported("pandas", "A table")


def _imported(module: str, what: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{what} needs {package}: pip install 'kerasw2v[table]'.") from error
