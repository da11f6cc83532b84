"""Formulae as MathML, which browsers draw themselves: no script and no network."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import SphinxError

# LaTeX that docutils does not know, in LaTeX that it knows.
SYNONYMS = [
    (re.compile(r"\\([bB]ig)\s*([(\[])"), r"\\\1l\2"),
    (re.compile(r"\\([bB]ig)\s*([)\]])"), r"\\\1r\2"),
    (re.compile(r"\\(log|exp|cos|min|max)\s+(?=[A-Za-z\\])(?!\\[bB]ig)"), r"\\\1\\,"),  # log x
    (re.compile(r"(?<=[\w}])\s+\\log\b"), r"\\,\\log"),  # E log
    (re.compile(r"\\dots\b"), r"\\ldots"),
    (re.compile(r"\\([td]?frac)(\d)(\d)"), r"\\\1{\2}{\3}"),
]


def _markup(node: nodes.Node, as_block: bool) -> str:
    text = node.astext()
    for pattern, synonym in SYNONYMS:
        text = pattern.sub(synonym, text)
    try:
        return str(tex2mathml(text, as_block=as_block))
    except MathError as error:
        raise SphinxError(f"A formula cannot be drawn: {error}: {text}") from error


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(_markup(node, as_block=False))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{_markup(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Is called by Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
