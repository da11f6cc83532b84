"""gensim's own tests of its Word2Vec, from the installed gensim, run against ours.

The module under test is told that `word2vec` is a namespace with our class and gensim's readers.
"""

from types import SimpleNamespace

import pytest
from gensim.models import word2vec as gensim_word2vec
from gensim.test import test_word2vec as suite

from kerasw2v import Word2Vec

EXCLUDED = {
    "test_persistence_backwards_compatible": "unpickles a model of gensim 3.8",
    "test_load_old_model": "unpickles a model of an old gensim",
    "test_load_old_model_separates": "unpickles a model of an old gensim",
    "test_load_old_models_1_x": "unpickles models of gensim 1",
    "test_load_old_models_2_x": "unpickles models of gensim 2",
    "test_load_old_models_3_x": "unpickles models of gensim 3",
    "test_locking": "locks single words by `vectors_lockf`; ours refuses with a sentence",
    "test_method_in_bulk": "repeats a test as often as an environment variable says",
    "test_cython_line_sentence_works_with_filename": "tests a reader inside gensim alone",
}


@pytest.fixture(autouse=True)
def our_class(monkeypatch):
    readers = ("LineSentence", "PathLineSentences", "Text8Corpus", "BrownCorpus")
    shim = SimpleNamespace(
        Word2Vec=Word2Vec, **{name: getattr(gensim_word2vec, name) for name in readers}
    )
    monkeypatch.setattr(suite, "word2vec", shim)


def without_excluded(test_case):
    """Returns gensim's tests as a class of ours, without those of the table."""
    hidden = {name: None for name in EXCLUDED if hasattr(test_case, name)}
    return type(test_case.__name__, (test_case,), {"__module__": __name__, **hidden})


TestWord2VecModel = without_excluded(suite.TestWord2VecModel)
TestWMD = without_excluded(suite.TestWMD)
TestWord2VecSentenceIterators = without_excluded(suite.TestWord2VecSentenceIterators)


def test_the_table_names_tests_that_gensim_has():
    classes = (TestWord2VecModel, TestWMD, TestWord2VecSentenceIterators)
    for name in EXCLUDED:
        assert any(hasattr(test_case, name) for test_case in classes), name
