"""gensim's `KeyedVectors`, with advice about words that it does not know."""

from typing import Any

from gensim.models import KeyedVectors

_ADVICE = (
    "words that are rarer than `min_count`, or not in the corpus, have no vector (`word in wv` "
    "tells; `kerasw2v.FastText` makes vectors of unseen words from their parts)"
)


class WordVectors(KeyedVectors):
    """The `wv` of a `Word2Vec`.

    It is pickled, saved and copied as a plain `gensim.models.KeyedVectors`, so that whoever loads
    it needs gensim only.
    """

    def get_index(self, key: Any, default: Any = None) -> Any:
        try:
            return super().get_index(key, default)
        except KeyError as error:
            raise KeyError(f"{error.args[0]}: {_ADVICE}") from None

    def get_mean_vector(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_mean_vector(*args, **kwargs)
        except KeyError as error:
            message = str(error.args[0])
            raise KeyError(message if _ADVICE in message else f"{message}: {_ADVICE}") from None

    def __reduce_ex__(self, protocol: Any) -> Any:
        return KeyedVectors.__new__, (KeyedVectors,), self.__dict__
