"""word2vec for Keras: fast training, every way to make a large softmax cheap, gensim's vectors."""

from contextlib import nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kerasw2v.utils.runtime import quiet_start, require_tensorflow

if TYPE_CHECKING:
    from kerasw2v import fasttext as fasttext
    from kerasw2v import layers as layers
    from kerasw2v import metrics as metrics
    from kerasw2v import optimizers as optimizers
    from kerasw2v import presets as presets
    from kerasw2v import word2vec as word2vec
    from kerasw2v import zoo as zoo
    from kerasw2v.cbow import CBOW as CBOW
    from kerasw2v.classifier import Classifier as Classifier
    from kerasw2v.data.block_dataset import block_dataset as block_dataset
    from kerasw2v.data.counted_corpus import read_corpus as read_corpus
    from kerasw2v.data.table import read_table as read_table
    from kerasw2v.data.vocabulary import Vocabulary as Vocabulary
    from kerasw2v.fasttext import FastText as FastText
    from kerasw2v.growth import grow as grow
    from kerasw2v.growth import warm_start as warm_start
    from kerasw2v.keyed_vectors import KeyedVectors as KeyedVectors
    from kerasw2v.keyed_vectors import to_keyed_vectors as to_keyed_vectors
    from kerasw2v.skip_gram import SkipGram as SkipGram
    from kerasw2v.word2vec import Word2Vec as Word2Vec

# Names are imported on first use: `kerasw2v similar` need not wait for TensorFlow.
_MODULES = {
    "CBOW": "cbow",
    "Classifier": "classifier",
    "FastText": "fasttext",
    "KeyedVectors": "keyed_vectors",
    "SkipGram": "skip_gram",
    "Vocabulary": "data.vocabulary",
    "Word2Vec": "word2vec",
    "block_dataset": "data.block_dataset",
    "fasttext": "fasttext",
    "grow": "growth",
    "layers": "layers",
    "metrics": "metrics",
    "optimizers": "optimizers",
    "presets": "presets",
    "read_corpus": "data.counted_corpus",
    "read_table": "data.table",
    "to_keyed_vectors": "keyed_vectors",
    "warm_start": "growth",
    "word2vec": "word2vec",
    "zoo": "zoo",
}

# Scripts that were written for gensim; who writes for Keras may want to see TensorFlow start.
_QUIET = (
    "FastText",
    "KeyedVectors",
    "Word2Vec",
    "fasttext",
    "presets",
    "read_table",
    "word2vec",
)

__all__ = list(_MODULES)
__version__: str  # of the installed distribution, read when it is asked for


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from kerasw2v.utils.versions import version

        return version("kerasw2v")
    if name not in _MODULES:
        raise AttributeError(f"module 'kerasw2v' has no attribute {name!r}")
    with quiet_start() if name in _QUIET else nullcontext():
        require_tensorflow()
        module = import_module(f"kerasw2v.{_MODULES[name]}")
    return module if name == _MODULES[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
