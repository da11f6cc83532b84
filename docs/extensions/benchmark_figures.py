"""Figures of `benchmarks/README.md` in other pages, read when the pages are built.

A table, with some of its columns and rows (all, if they are not named):

    ```{benchmark-table} Output layers
    :columns: layer; step, ms; peak memory, MB
    :rows: FullSoftmax; NCE
    ```

The first line is how the heading of the section begins. A number alone is

    {benchmark}`Output layers; NCE; step, ms`

A section, row or column that is not there is an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective, SphinxRole

FILE = Path(__file__).parents[2] / "benchmarks" / "README.md"


class Table(NamedTuple):
    """Column names, the row below them that aligns columns, and the rows, all as Markdown."""

    columns: list[str]
    alignment: list[str]
    rows: list[list[str]]


def tables(text: str, heading: str) -> Iterator[Table]:
    """Yields the tables of the sections whose heading begins so."""
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE):
        if section.startswith(heading):
            for block in re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE):
                columns, alignment, *rows = map(_cells, block.splitlines())
                yield Table(columns, alignment, rows)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _plain(cell: str) -> str:
    return re.sub(r"[`*]", "", cell).strip()


def select(heading: str, columns: list[str], rows: list[str]) -> Table:
    """Returns these columns and rows of the first table that has them all.

    Raises:
        LookupError: if no table below such a heading has them.
    """
    for table in tables(FILE.read_text("utf-8"), heading):
        names = [_plain(name) for name in table.columns]
        by_name: dict[str, list[str]] = {}
        for row in table.rows:
            by_name.setdefault(_plain(row[0]), row)
        if set(columns) <= set(names) and set(rows) <= set(by_name):
            places = [names.index(name) for name in columns] or range(len(names))
            chosen = [by_name[name] for name in rows] or table.rows
            return Table(
                [table.columns[i] for i in places],
                [table.alignment[i] for i in places],
                [[row[i] for i in places] for row in chosen],
            )
    raise LookupError(
        f"benchmarks/README.md has no table with the columns {columns} and the rows {rows} "
        f"below a heading that begins with {heading!r}."
    )


def figure(heading: str, row: str, column: str) -> str:
    """Returns one cell, without its markup.

    Raises:
        LookupError: if there is no such cell.
    """
    return _plain(select(heading, [column], [row]).rows[0][0])


def _names(argument: str) -> list[str]:
    return [_plain(name) for name in argument.split(";")]


class _BenchmarkTable(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"columns": directives.unchanged, "rows": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        columns, rows = (
            _names(self.options[each]) if each in self.options else [] for each in self.option_spec
        )
        try:
            table = select(self.arguments[0], columns, rows)
        except LookupError as error:
            raise self.error(str(error)) from error
        lines = [table.columns, table.alignment, *table.rows]
        text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        self.env.note_dependency(str(FILE))
        return self.parse_text_to_nodes(text)


class _Benchmark(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            text = figure(*_names(self.text))
        except (LookupError, TypeError) as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [], [message]
        self.env.note_dependency(str(FILE))
        return [nodes.Text(text)], []


def setup(app: Any) -> dict[str, bool]:
    """Is called by Sphinx."""
    app.add_directive("benchmark-table", _BenchmarkTable)
    app.add_role("benchmark", _Benchmark())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
