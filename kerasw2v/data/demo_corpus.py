"""The small corpus that is there without a download."""

from gensim.test.utils import datapath
from gensim.utils import simple_preprocess


def lee_corpus() -> list[list[str]]:
    """Returns the 60,000 words of news that gensim ships, an article a list.

    Example:

    >>> len(lee_corpus())
    300
    """
    with open(datapath("lee_background.cor"), encoding="utf-8") as file:
        return [simple_preprocess(line) for line in file]
