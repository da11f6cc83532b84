"""How Sphinx builds the site: `make docs`, then open docs/_build/index.html."""

import contextlib
import io
import logging
import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from docutils import nodes
from docutils.parsers.rst import Directive, roles
from numpy.typing import ArrayLike
from sphinx.roles import XRefRole
from sphinx.util.inspect import signature, stringify_signature
from sphinx.util.typing import stringify_annotation

from kerasw2v.cli import main

project = "kerasw2v"
version = release = metadata.version("kerasw2v")
language = "en"

logging.getLogger("gensim").setLevel(logging.WARNING)
sys.path.insert(0, str(Path(__file__).with_name("extensions")))
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    # ours
    "benchmark_figures",
    "mathml",
    "see_also",
    "tutorials",
]
exclude_patterns = ["_build", "extensions"]
nb_execution_mode = "off"  # the tests run the tutorials; here are the outputs they are kept with
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme = "furo"
html_title = f"kerasw2v {version}"
html_copy_source = False
html_show_copyright = False
html_theme_options = {"light_css_variables": {"code-font-size": "12.5px"}}

autodoc_inherit_docstrings = False  # Keras' own texts are not ours to show
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autosummary_generate = False  # the tables link into the pages
maximum_signature_line_length = 160
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Call arguments", "params_style")]
python_use_unqualified_type_names = True

# Names of other libraries lead nowhere: a build must not need the network. Our own must be there,
# but for type variables.
nitpick_ignore_regex = [("py:.*", r"(?!kerasw2v\.).*|.*\.(T|Model)")]

_ARRAY_LIKE = stringify_annotation(ArrayLike, "smart")
_NDARRAY = re.compile(
    r"~?numpy\.ndarray\[(?:~?typing\.)?tuple\[[^\]]*\], ~?numpy\.dtype\[([^\[\]]*)\]\]"
)
_OURS = re.compile(r"kerasw2v(\.\w+)+(\(\))?")


def _name_or_code(
    name: str, raw: str, text: str, line: int, inliner: Any, options: Any = None, content: Any = ()
) -> Any:
    """Makes `kerasw2v.layers.NCE` in a docstring a link, and all else in backticks code."""
    if _OURS.fullmatch(text):
        text = text.removesuffix("()")
        return XRefRole()("py:obj", raw, text, line, inliner, options or {}, list(content))
    return [nodes.literal(raw, text)], []


class _CommandHelp(Directive):
    """What a command says of itself: `.. command-help:: train`."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        told = io.StringIO()
        os.environ["COLUMNS"] = "88"
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            main([*self.arguments[0].split(), "--help"])
        block = nodes.literal_block(told.getvalue(), told.getvalue(), language="text")
        return [block]


def _own_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, arguments: str, returns: str
) -> tuple[str | None, str | None]:
    """Shows the arguments of `__init__`, which Keras hides behind a `__new__`, and short types."""
    if getattr(obj, "_is_protocol", False):
        return "", ""
    if what == "class" and arguments == "(*args, **kwargs)":
        own = signature(obj.__init__, bound_method=True)
        arguments = stringify_signature(
            own, show_return_annotation=False, unqualified_typehints=True
        )
    return _short(arguments), _short(returns)


def _short(types: str | None) -> str | None:
    """Writes NumPy's aliases as they stand in the code."""
    if types is None:
        return None
    return _NDARRAY.sub(r"NDArray[\1]", types.replace(_ARRAY_LIKE, "ArrayLike"))


def _skip_fields(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out the fields of named tuples: `Attributes:` explains them."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field") else None


def _as_rest(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Makes formulas that are indented or fenced literal blocks, and keeps `Returns:` whole."""
    marked: list[str] = []
    text = ""  # the last line that is not empty
    is_fenced = False
    for line in lines:
        if line.strip() == "```":
            is_fenced = not is_fenced
            marked += ["::", ""] if is_fenced else [""]
            continue
        follows_text = marked and not marked[-1] and text[:1].strip() not in ("", "-", "*")
        if line.startswith("    ") and follows_text and not is_fenced:
            marked += ["::", ""]
        if text in ("Returns:", "Yields:") and line.strip() and line.startswith(" "):
            line = f"    : {line.strip()}"  # else napoleon takes what stands before a colon as type
        marked.append(f"    {line}" if is_fenced else line)
        text = line if line.strip() else text
    lines[:] = marked


def setup(app: Any) -> None:
    """Is called by Sphinx."""
    app.connect("autodoc-process-signature", _own_signature)
    app.connect("autodoc-process-docstring", _as_rest, priority=400)  # before napoleon's
    app.connect("autodoc-skip-member", _skip_fields)
    app.add_directive("command-help", _CommandHelp)
    roles.register_local_role("name-or-code", _name_or_code)


default_role = "name-or-code"
