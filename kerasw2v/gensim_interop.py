"""From gensim's `Word2Vec` to ours and back, with everything learnt."""

import copy
from typing import Any

import numpy as np
from gensim.models import KeyedVectors
from gensim.models import Word2Vec as GensimWord2Vec

from kerasw2v.word2vec_file import ARGUMENTS, STATE, TABLES


def from_gensim(cls: Any, model: Any) -> Any:
    """Makes a model of class `cls` of a gensim model, with copies of all arrays.

    Args:
        cls: `Word2Vec` or a subclass with the same constructor.
        model: the gensim model.

    Raises:
        TypeError: if it is no gensim `Word2Vec`, or one of another kind, as `FastText` is.
    """
    if not isinstance(model, GensimWord2Vec) or type(model.wv) is not KeyedVectors:
        raise TypeError(
            "`model` must be a gensim.models.Word2Vec. "
            f"Received: {type(model).__module__}.{type(model).__qualname__}."
        )
    ours = cls(**{name: getattr(model, name) for name in ARGUMENTS}, hashfxn=model.hashfxn)
    _copy(model, ours)
    return ours


def to_gensim(model: Any) -> GensimWord2Vec:
    """Makes a gensim model of ours, with copies of all arrays.

    Args:
        model: a `kerasw2v.Word2Vec`.

    Raises:
        ValueError: if it has an `output_layer`, which gensim has not.
    """
    if model.output_layer is not None:
        raise ValueError(
            "`output_layer` must be None for gensim, which has `hs` and `negative` alone; "
            "`wv` is gensim's in any case. "
            f"Received: output_layer={model.output_layer!r}."
        )
    theirs = GensimWord2Vec(
        **{name: getattr(model, name) for name in ARGUMENTS}, hashfxn=model.hashfxn
    )
    _copy(model, theirs)
    return theirs


def _copy(source: Any, target: Any) -> None:
    for name in ("wv", "raw_vocab", "cum_table", "random", *TABLES):
        if hasattr(source, name):
            setattr(target, name, copy.deepcopy(getattr(source, name)))
    for name in STATE:
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))
    if not hasattr(target.wv, "vectors_lockf"):
        target.wv.vectors_lockf = np.ones(1, np.float32)
