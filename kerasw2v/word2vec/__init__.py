"""gensim's `Word2Vec` over this package's engine; nothing else of the package knows it."""

from gensim.models.word2vec import BrownCorpus, LineSentence, PathLineSentences, Text8Corpus

from kerasw2v.word2vec.model import Word2Vec

__all__ = ["BrownCorpus", "LineSentence", "PathLineSentences", "Text8Corpus", "Word2Vec"]
