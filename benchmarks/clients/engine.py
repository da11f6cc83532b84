"""`gensim` with our classes in it, for programs that say `import gensim`."""

from types import SimpleNamespace

import gensim as original

import kerasw2v

_OURS = {name: getattr(kerasw2v, name) for name in ("FastText", "Word2Vec", "word2vec")}
_models = {**vars(original.models), **_OURS}
gensim = SimpleNamespace(**{**vars(original), "models": SimpleNamespace(**_models)})
