"""`gensim` with our `Word2Vec` in it, for programs that say `import gensim`."""

from types import SimpleNamespace

import gensim as original

import kerasw2v

_models = {**vars(original.models), "Word2Vec": kerasw2v.Word2Vec, "word2vec": kerasw2v.word2vec}
gensim = SimpleNamespace(**{**vars(original), "models": SimpleNamespace(**_models)})
