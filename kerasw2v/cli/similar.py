"""`kerasw2v similar`: prints the nearest words of words, and of sums of words."""

import argparse
import difflib
import os
import re
from typing import TYPE_CHECKING, Any

from kerasw2v.cli.arguments import add_command, open_vectors, positive_int

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

_EXAMPLES = """\
examples:
  kerasw2v similar cat "king - man + woman"
  kerasw2v similar vectors.kv cat dog
  kerasw2v similar vectors.kv "king - man + woman" --topn 3
"""

_PACKAGED = "the package's vectors"


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    command = add_command(
        commands,
        "similar",
        help="print the nearest words of words",
        usage="kerasw2v similar [--help] [--topn N] [VECTORS] WORD [WORD ...]",
        description="Prints the words whose vectors have the largest cosine with each given word.",
        epilog=_EXAMPLES,
    )
    command.set_defaults(run=_run)
    command.add_argument(
        "vectors",
        metavar="VECTORS",
        help="a .kv, .vec, .txt or .bin file; without it, the vectors of the package: the most "
        "frequent words of English Wikipedia",
    )
    command.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="a word; or words joined by + and - between blanks, in quotes",
    )
    command.add_argument(
        "--topn",
        type=positive_int,
        default=10,
        metavar="N",
        help="number of similar words (%(default)s)",
    )


def _run(args: argparse.Namespace) -> None:
    from kerasw2v.keyed_vectors import SUFFIXES

    path, words = args.vectors, args.words
    if not path.lower().endswith(SUFFIXES):
        path, words = None, [path, *words]
    elif not words:
        raise ValueError(f"`WORD` must be given. Received: only the file {path!r}.")
    vectors = open_vectors(path)
    name = repr(path) if path else _PACKAGED
    queries = [(query, *_parse_query(query, vectors, name)) for query in words]
    for query, positive, negative in queries:
        print(query)
        for word, cosine in vectors.most_similar(positive, negative, topn=args.topn):
            print(f"  {cosine:6.3f}  {word}")


def _parse_query(query: str, vectors: "KeyedVectors", name: str) -> tuple[list[str], list[str]]:
    """Splits `king - man + woman` into words to add and words to subtract."""
    if query in vectors:
        return [query], []
    terms: dict[str, list[str]] = {"+": [], "-": []}
    sign, is_open = "+", False  # is_open: a sign waits for its word
    for term in map(str.strip, re.split(r"(?:^|(?<=\s))([+-])(?=\s|$)", query)):
        if term in terms:
            sign, is_open = term, True
            continue
        # A word may have blanks in it, as names of items do; otherwise there are several.
        for word in [term] if term in vectors else term.split():
            if word not in vectors:
                raise ValueError(_unknown_word(word, vectors, name))
            terms[sign].append(word)
            sign, is_open = "+", False
    if not terms["+"] and not terms["-"]:
        raise ValueError(f"`WORD` must hold a word. Received: {query!r}.")
    if is_open:
        raise ValueError(f"`WORD` must have a word after {sign!r}. Received: {query!r}.")
    return terms["+"], terms["-"]


def _unknown_word(word: str, vectors: "KeyedVectors", name: str) -> str:
    # The frequent words of about the same length: difflib is slow on a million.
    candidates = [
        known
        for known in vectors.index_to_key[:100_000]
        if isinstance(known, str) and abs(len(known) - len(word)) <= 2
    ]
    close = difflib.get_close_matches(word, candidates, n=3, cutoff=0.7)
    if word.lower() in vectors:
        close = [word.lower()]
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    if name == _PACKAGED and os.path.isfile(word):
        hint = " Names of files with vectors end in .kv, .vec, .txt or .bin."
    return f"{word!r} is not among the {len(vectors):,} words of {name}.{hint}"
