"""gensim's speed at the nearest equivalent of a recipe, on the same cores."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gensim.models import Word2Vec

from kerasw2v.data.corpus import Corpus, iter_sentences
from kerasw2v.zoo.recipe import Recipe


def equivalent(recipe: Recipe) -> dict[str, Any] | None:
    """Returns the arguments of gensim's `Word2Vec` that come nearest to a recipe, if any do.

    gensim has hierarchical softmax and negative sampling only; the latter stands for all other
    output layers.

    Example:

    >>> from kerasw2v import zoo
    >>> equivalent(zoo.find_recipe("cbow-hierarchical-softmax"))["hs"]
    1
    >>> equivalent(zoo.find_recipe("lstm-adaptive-softmax")) is None
    True
    """
    if recipe.model["architecture"] == "lstm":
        return None
    hierarchical = recipe.output_layer["name"] == "HierarchicalSoftmax"
    return {
        "sg": int(recipe.model["architecture"] == "skip-gram"),
        "hs": int(hierarchical),
        "negative": 0 if hierarchical else 5,
        "vector_size": recipe.model["embedding_dim"],
        "window": recipe.model["window"],
        "sample": recipe.training["sample"],
        "min_count": recipe.vocabulary["min_count"],
    }


def gensim_words_per_s(arguments: dict[str, Any], corpus: Corpus) -> float:
    """Trains gensim's `Word2Vec` for one epoch, a worker a core; returns words a second.

    Only `train` is timed, not the counting of words before it.

    Args:
        arguments: from `equivalent`.
        corpus: any corpus; gensim reads it from a plain file, its fastest way.

    Example:

    >>> from gensim.test.utils import common_texts
    >>> gensim_words_per_s({"min_count": 1, "vector_size": 8}, common_texts) > 0
    True
    """
    with _plain_file(corpus) as path:
        model = Word2Vec(workers=os.cpu_count(), seed=1, **arguments)
        model.build_vocab(corpus_file=path)
        started = time.perf_counter()
        model.train(
            corpus_file=path,
            total_examples=model.corpus_count,
            total_words=model.corpus_total_words,
            epochs=1,
        )
        return float(model.corpus_total_words / (time.perf_counter() - started))


@contextmanager
def _plain_file(corpus: Any) -> Iterator[str]:
    if isinstance(corpus, str | os.PathLike) and not os.fspath(corpus).endswith(
        (".gz", ".bz2", ".xz")
    ):
        yield os.fspath(corpus)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "corpus.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(" ".join(sentence) + "\n" for sentence in iter_sentences(corpus))
        yield path
