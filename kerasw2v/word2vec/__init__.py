"""gensim's module `word2vec` over this package's engine; nothing else of the package knows it.

Public names of `gensim.models.word2vec` are here: `Word2Vec` is this package's, readers and
constants are gensim's. A name that belongs to gensim's own engine raises an `AttributeError` that
says what to use instead.
"""

from typing import Any

from kerasw2v.utils.runtime import quiet_start

with quiet_start():
    from gensim.models import KeyedVectors
    from gensim.models import word2vec as _gensim
    from gensim.models.word2vec import (
        CORPUSFILE_VERSION,
        FAST_VERSION,
        MAX_WORDS_IN_BATCH,
        BrownCorpus,
        LineSentence,
        PathLineSentences,
        Text8Corpus,
    )

    from kerasw2v.word2vec.model import Word2Vec
    from kerasw2v.word2vec.replaced_names import check_not_replaced

__all__ = [
    "CORPUSFILE_VERSION",
    "FAST_VERSION",
    "MAX_WORDS_IN_BATCH",
    "BrownCorpus",
    "KeyedVectors",
    "LineSentence",
    "PathLineSentences",
    "Text8Corpus",
    "Word2Vec",
]

_TRAIN = "`Word2Vec.train`, or `_do_train_job` in a subclass"
_OLD_FILES = "`Word2Vec.from_gensim(gensim.models.Word2Vec.load(path))`, which reads old files"
_REPLACEMENTS = {
    "Heapitem": "`Word2Vec.create_binary_tree`",
    "Vocab": "`wv.get_vecattr(word, 'count')`",
    "Word2VecTrainables": _OLD_FILES,
    "Word2VecVocab": _OLD_FILES,
    "score_sentence_cbow": "`Word2Vec.score`",
    "score_sentence_sg": "`Word2Vec.score`",
    "train_batch_cbow": _TRAIN,
    "train_batch_sg": _TRAIN,
    "train_epoch_cbow": _TRAIN,
    "train_epoch_sg": _TRAIN,
    # Those of gensim before 4.0
    "LoopSentences": "a list, or an object whose `__iter__` starts anew",
    "score_cbow_pair": "`Word2Vec.score`",
    "score_sg_pair": "`Word2Vec.score`",
    "train_cbow_pair": _TRAIN,
    "train_sg_pair": _TRAIN,
}


def __getattr__(name: str) -> Any:
    check_not_replaced(__name__, name, _REPLACEMENTS)
    if name.startswith("_") or not hasattr(_gensim, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_gensim, name)  # what gensim imports there: its `utils`, NumPy, `logger` ...
