"""word2vec for Keras: fast training, every way to make a large softmax cheap, gensim's vectors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kerasw2v.utils.runtime import require_tensorflow

if TYPE_CHECKING:
    from kerasw2v import layers, optimizers, zoo
    from kerasw2v.cbow import CBOW
    from kerasw2v.data.block_dataset import block_dataset
    from kerasw2v.data.vocabulary import Vocabulary
    from kerasw2v.keyed_vectors import to_keyed_vectors
    from kerasw2v.skip_gram import SkipGram
    from kerasw2v.word2vec import Word2Vec

# Names are imported on first use: `kerasw2v similar` need not wait for TensorFlow.
_MODULES = {
    "CBOW": "kerasw2v.cbow",
    "SkipGram": "kerasw2v.skip_gram",
    "Vocabulary": "kerasw2v.data.vocabulary",
    "Word2Vec": "kerasw2v.word2vec",
    "block_dataset": "kerasw2v.data.block_dataset",
    "to_keyed_vectors": "kerasw2v.keyed_vectors",
}

__all__ = [
    "CBOW",
    "SkipGram",
    "Vocabulary",
    "Word2Vec",
    "block_dataset",
    "layers",
    "optimizers",
    "to_keyed_vectors",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        require_tensorflow()
        if name not in _MODULES:
            return import_module(f"kerasw2v.{name}")
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'kerasw2v' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
