"""Tables to sentences, compared with a plain loop over the rows."""

import gzip
import importlib.util
import subprocess
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from kerasw2v import Word2Vec, read_corpus, read_table
from kerasw2v.data import table as table_module

pd = pytest.importorskip("pandas", reason="pandas is missing: pip install '.[table]'")

ROWS = [
    ("b2", "007", 3),
    ("b1", "whole milk", 9),
    ("b2", "NA", 1),
    ("b1", "tea", 9),
    ("b3", "tea", 0),
    ("b2", "tea", 2),
]


def plain(rows, order=False):
    groups = defaultdict(list)
    for group, item, key in rows:
        groups[group].append((key, item))
    if order:
        groups = {name: sorted(items, key=lambda pair: pair[0]) for name, items in groups.items()}
    return [[item for _, item in items] for items in groups.values()]


@pytest.fixture
def frame():
    return pd.DataFrame(ROWS, columns=["basket", "item", "day"])


@pytest.fixture
def csv(tmp_path, frame):
    frame.to_csv(tmp_path / "a.csv", index=False)
    return tmp_path / "a.csv"


@pytest.mark.parametrize("order", [None, "day"])
class TestAgainstALoop:
    def test_data_frame(self, frame, order):
        assert read_table(frame, "basket", "item", order) == plain(ROWS, bool(order))

    @pytest.mark.parametrize("chunk", [1, 2, 100])
    def test_csv_in_chunks(self, csv, monkeypatch, order, chunk):
        monkeypatch.setattr(table_module, "_CHUNK_ROWS", chunk)
        assert read_table(csv, "basket", "item", order) == plain(ROWS, bool(order))

    @pytest.mark.parametrize(
        ("name", "delimiter"), [("a.csv", ";"), ("a.csv", "|"), ("a.tsv", "\t"), ("a.csv.gz", ",")]
    )
    def test_forms_of_csv(self, tmp_path, order, name, delimiter):
        lines = ["basket", "item", "day"], *((b, i, str(d)) for b, i, d in ROWS)
        text = "﻿" + "\r\n".join(map(delimiter.join, lines))
        write = gzip.compress if name.endswith("gz") else bytes
        (tmp_path / name).write_bytes(write(text.encode()))
        assert read_table(tmp_path / name, "basket", "item", order) == plain(ROWS, bool(order))

    def test_files_are_one_table(self, tmp_path, frame, order):
        paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
        for path, part in zip(paths, (frame[:2], frame[2:]), strict=True):
            part.to_csv(path, index=False)
        assert read_table(paths, "basket", "item", order) == plain(ROWS, bool(order))

    def test_parquet(self, tmp_path, frame, order):
        pytest.importorskip("pyarrow", reason="pyarrow is missing: pip install '.[table]'")
        frame.to_parquet(tmp_path / "a.parquet")
        assert read_table(tmp_path / "a.parquet", "basket", "item", order) == plain(
            ROWS, bool(order)
        )


def test_many_rows():
    rng = np.random.default_rng(0)
    groups, items, keys = rng.integers(50, size=(3, 2000)).tolist()
    frame = pd.DataFrame({"g": groups, "i": items, "k": keys})
    rows = list(zip(groups, items, keys, strict=True))
    assert read_table(frame, "g", "i", "k") == plain(rows, order=True)


class TestItems:
    @pytest.mark.parametrize(
        ("values", "items"),
        [
            ([3, 703, 3], [3, 703, 3]),
            ([3.5, 1.0, 3.5], [3.5, 1.0, 3.5]),
            (["a", "b", "a"], ["a", "b", "a"]),
            ([("a", 1), 2, "x"], [("a", 1), 2, "x"]),
        ],
    )
    def test_stay_what_they_are(self, values, items):
        (basket,) = read_table(pd.DataFrame({"g": 1, "i": values}), "g", "i")
        assert basket == items
        assert list(map(type, basket)) == list(map(type, items))

    @pytest.mark.parametrize("kind", ["category", "string", "Int64"])
    def test_types_of_pandas(self, kind):
        values = [2, 1, 2] if kind == "Int64" else ["b", "a", "b"]
        frame = pd.DataFrame({"g": pd.Series([1, 1, 0], dtype="category"), "i": values})
        frame["i"] = frame["i"].astype(kind)
        assert read_table(frame, "g", "i") == [values[:2], values[2:]]

    def test_whole_numbers_among_missing_ones_are_integers(self, tmp_path):
        frame = pd.DataFrame({"g": [1, 1, 2, 2], "i": [703, None, 5, 703]})
        with pytest.warns(
            UserWarning, match=r"1 of 4 rows are left out, which have no 'g' or no 'i'"
        ):
            baskets = read_table(frame, "g", "i")
        assert baskets == [[703], [5, 703]]
        assert {type(item) for basket in baskets for item in basket} == {int}
        if importlib.util.find_spec("pyarrow"):
            frame.astype({"i": "Int64"}).to_parquet(tmp_path / "a.parquet")
            with pytest.warns(UserWarning, match="1 of 4"):
                read = read_table(tmp_path / "a.parquet", "g", "i")
            assert (read, type(read[0][0])) == (baskets, int)

    def test_rows_without_a_group_are_left_out_and_counted(self, tmp_path):
        (tmp_path / "a.csv").write_text("g,i\n1,tea\n,cup\n1,\n1,null\n")
        with pytest.warns(UserWarning, match="2 of 4 rows"):
            assert read_table(tmp_path / "a.csv", "g", "i") == [["tea", "null"]]

    def test_integers_are_tokens(self):
        vocabulary, _ = read_corpus(read_table(pd.DataFrame({"g": 1, "i": [3, 7, 3]}), "g", "i"), 1)
        assert vocabulary.words == [3, 7]


class TestOrder:
    @pytest.mark.parametrize(
        "days",
        [
            ["2024-02-01", "2024-01-31 23:59:59", "2023-12-31"],
            pd.to_datetime(["2024-02-01", "2024-01-31", "2023-12-31"]),
            pd.to_datetime(["2024-02-01", "2024-01-31", "2023-12-31"], utc=True),
            [2.5, 2, -1],
        ],
        ids=["text", "dates", "with zone", "floats"],
    )
    def test_dates_and_numbers(self, tmp_path, days):
        frame = pd.DataFrame({"g": 1, "i": ["c", "b", "a"], "day": days})
        assert read_table(frame, "g", "i", "day") == [["a", "b", "c"]]
        frame.to_csv(tmp_path / "a.csv", index=False)
        assert read_table(tmp_path / "a.csv", "g", "i", "day") == [["a", "b", "c"]]

    @pytest.mark.parametrize("days", [["31/12/2023", "01/02/2024"], ["late", "early"]])
    def test_text_that_would_sort_wrongly_is_refused(self, days):
        frame = pd.DataFrame({"g": 1, "i": ["a", "b"], "day": days})
        with pytest.raises(ValueError, match="Column 'day' must hold numbers, or dates"):
            read_table(frame, "g", "i", "day")

    def test_missing(self):
        frame = pd.DataFrame({"g": 1, "i": ["a", "b"], "day": [1, None]})
        with pytest.raises(
            ValueError, match=r"Column 'day' must have a value.*Received: 1 without"
        ):
            read_table(frame, "g", "i", "day")

    def test_a_kind_that_changes_between_chunks(self, tmp_path, monkeypatch):
        monkeypatch.setattr(table_module, "_CHUNK_ROWS", 1)
        (tmp_path / "a.csv").write_text("g,i,day\n1,a,5\n1,b,2024-01-01\n")
        with pytest.raises(ValueError, match="Column 'day' must hold numbers, or dates"):
            read_table(tmp_path / "a.csv", "g", "i", "day")


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ("g", "item"),
                r"`item` must name a column\. Received: item='item'; the columns of.*'g', 'i'",
            ),
            (("i", "i"), "`item` must be another column than `group`"),
            (("g", "i", "when"), "`order` must name a column"),
        ],
    )
    def test_columns(self, tmp_path, arguments, message):
        frame = pd.DataFrame({"g": [1], "i": ["a"]})
        frame.to_csv(tmp_path / "a.csv", index=False)
        for table in (frame, tmp_path / "a.csv"):
            with pytest.raises(ValueError, match=message):
                read_table(table, *arguments)

    def test_a_column_twice(self):
        frame = pd.DataFrame([[1, "a", "b"]], columns=["g", "i", "i"])
        with pytest.raises(ValueError, match="`item` must name a column that is there once"):
            read_table(frame, "g", "i")

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.csv", b"", "`table` must not be empty"),
            ("a.csv", b"g,i\n", "`table` must have a row with a value in 'g' and in 'i'"),
            ("a.csv", b"g,i\n1,k\xe4se\n", "`table` must be UTF-8 text. Received: byte 0xe4"),
            ("a.csv", b'g,i\n1,"tea\n', "`table` must not be damaged"),
            ("a.csv", b"g,i\n1,a\n1,milk, whole\n", "`table` must not be damaged"),
            ("a.csv", b"g,i\n1,milk, whole\n1,a\n", "`table` must not be damaged"),
            ("a.csv.gz", b"no gzip", "`table` must not be damaged"),
            ("a.txt", b"g,i\n1,a\n", r"must be a DataFrame, or name files that end in .csv"),
        ],
    )
    def test_files(self, tmp_path, name, content, message):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_table(tmp_path / name, "g", "i")

    def test_a_damaged_parquet_file(self, tmp_path):
        pytest.importorskip("pyarrow", reason="pyarrow is missing: pip install '.[table]'")
        (tmp_path / "a.parquet").write_bytes(b"no parquet")
        with pytest.raises(ValueError, match="`table` must not be damaged"):
            read_table(tmp_path / "a.parquet", "g", "i")

    def test_what_is_no_table(self, tmp_path):
        with pytest.raises(TypeError, match="`table` must be a path, a list of paths or a DataF"):
            read_table([["a"]], "g", "i")
        with pytest.raises(TypeError, match="`item` must be the name of a column"):
            read_table(pd.DataFrame({"g": [1]}), "g", 3)
        with pytest.raises(FileNotFoundError, match="`table` must name a file that exists"):
            read_table(tmp_path / "none.csv", "g", "i")
        with pytest.raises(IsADirectoryError, match="not folders"):
            read_table(Path(tmp_path / "f.csv").mkdir() or tmp_path / "f.csv", "g", "i")

    @pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
    def test_a_missing_package_is_one_sentence(self, tmp_path, missing):
        (tmp_path / "a.parquet").touch()
        code = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from kerasw2v.data.table import read_table\n"
            f"try: read_table({str(tmp_path / 'a.parquet')!r}, 'g', 'i')\n"
            "except ImportError as error: print(error)"
        )
        root = str(Path(__file__).parents[2])
        printed = subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
        ).stdout
        assert printed.endswith(f" needs {missing}: pip install 'kerasw2v[table]'.\n")


class TestTablesAsText:
    def test_a_csv_is_read_with_a_warning(self, csv):
        with pytest.warns(UserWarning, match="is read as text.*read_table.*--columns GROUP ITEM"):
            vocabulary, _ = read_corpus(csv, min_count=1)
        assert "basket,item,day" in vocabulary

    def test_a_parquet_file_is_refused(self, tmp_path):
        (tmp_path / "a.parquet").write_bytes(b"PAR1")
        with pytest.raises(ValueError, match=r"`corpus` must be text: `kerasw2v\.read_table`"):
            read_corpus(tmp_path / "a.parquet")

    def test_a_data_frame_is_no_corpus(self, frame):
        sentence = r"must be lists of words; `kerasw2v\.read_table` .*a pandas DataFrame\.$"
        with pytest.raises(TypeError, match="`corpus` " + sentence):
            read_corpus(frame)
        with pytest.raises(TypeError, match="`sentences` " + sentence):
            Word2Vec(frame)
        with pytest.raises(TypeError, match="`held_out` " + sentence):
            Word2Vec([["tea"]], min_count=1, held_out=frame)

    def test_other_names_are_not_warned_of(self, tmp_path):
        (tmp_path / "csv.txt").write_text("a b a\n")
        with warnings.catch_warnings(action="error"):
            read_corpus(tmp_path / "csv.txt", min_count=1)
