"""gensim's module `fasttext` over this package's engine.

`FastText` is this package's. `FastTextKeyedVectors`, the class of `wv`, is gensim's, and so is what
reads and writes the files of Facebook's fastText.
"""

import os
from typing import Any

from kerasw2v.utils.runtime import quiet_start

with quiet_start():
    from gensim.models import fasttext as _gensim
    from gensim.models.fasttext import FastTextKeyedVectors, load_facebook_vectors

    from kerasw2v.fasttext.model import FastText
    from kerasw2v.word2vec.replaced_names import check_not_replaced

__all__ = [
    "FastText",
    "FastTextKeyedVectors",
    "load_facebook_model",
    "load_facebook_vectors",
    "save_facebook_model",
]


def load_facebook_model(path: str | os.PathLike[str], encoding: str = "utf-8") -> FastText:
    """Loads a `.bin` file of Facebook's fastText, to train it further; read by gensim.

    Args:
        path: the file.
        encoding: of its words.
    """
    return FastText.from_gensim(_gensim.load_facebook_model(os.fspath(path), encoding))


def save_facebook_model(
    model: FastText, path: str | os.PathLike[str], encoding: str = "utf-8", **kwargs: Any
) -> None:
    """Writes a `.bin` file of Facebook's fastText, by gensim.

    Args:
        model: a trained model.
        path: the file.
        encoding: of its words.
        **kwargs: `lr_update_rate` and `word_ngrams`, numbers that fastText keeps in the file.
    """
    _gensim.save_facebook_model(model.to_gensim(), os.fspath(path), encoding, **kwargs)


_TRAIN = "`FastText.train`, or `_do_train_job` in a subclass"
_REPLACEMENTS = {
    "FastTextTrainables": "`FastText.from_gensim(gensim.models.FastText.load(path))`",
    "FastTextVocab": "`wv.get_vecattr(word, 'count')`",
    "train_batch_any": _TRAIN,
    "train_epoch_cbow": _TRAIN,
    "train_epoch_sg": _TRAIN,
}


def __getattr__(name: str) -> Any:
    check_not_replaced(__name__, name, _REPLACEMENTS)
    if name.startswith("_") or name == "Word2Vec" or not hasattr(_gensim, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_gensim, name)  # what gensim has there besides: hashes of n-grams, NumPy ...
