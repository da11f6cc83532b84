"""Import lines of gensim, and what they become."""

import re

_OURS = ("FastText", "Word2Vec", "word2vec")  # taken from kerasw2v
_FROM = re.compile(
    r"^( *)from gensim\.models(?:\.(?:fasttext|word2vec))? import ([\w ,]+)$", re.MULTILINE
)
_WHOLE = re.compile(r"^import gensim$", re.MULTILINE)


def with_kerasw2v(text: str) -> str:
    """Returns the text of a module with our import lines, and nothing else changed."""
    return _WHOLE.sub("from engine import gensim", _FROM.sub(_split, text))


def _split(line: re.Match[str]) -> str:
    """Returns an import line as one of ours, and one of gensim's for the other names."""
    names = [name.strip() for name in line[2].split(",")]
    ours = [name for name in names if name.split(" as ")[0] in _OURS]
    others = [name for name in names if name not in ours]
    if not ours:
        return line[0]
    lines = [f"{line[1]}from kerasw2v import {', '.join(ours)}"]
    if others:
        lines.append(line[0].replace(line[2], ", ".join(others)))
    return "\n".join(lines)
