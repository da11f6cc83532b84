"""gensim's own tests of its FastText, from the installed gensim, run against ours."""

import gensim.models
import pytest
from gensim.test import test_fasttext as suite

from kerasw2v import FastText

EXCLUDED = {
    "test_load_fasttext_format": "tests gensim's reader of Facebook's files alone",
    "test_load_fasttext_new_format": "tests gensim's reader of Facebook's files alone",
    "test_load_model_supervised": "tests gensim's reader of Facebook's files alone",
    "test_load_model_with_non_ascii_vocab": "tests gensim's reader of Facebook's files alone",
    "test_load_model_non_utf8_encoding": "tests gensim's reader of Facebook's files alone",
    "test_online_learning_through_ft_format_saves": "gives ours to gensim's writer of such files",
}
# Tests of the queries of a model that gensim has loaded: no line of ours runs in them.
QUERIES = (
    *("test_oov_similarity", "test_n_similarity", "test_similarity", "test_most_similar"),
    *("test_most_similar_cosmul", "test_lookup", "test_contains", "test_wm_distance"),
    *("test_vectors_for_all_with_inference", "test_vectors_for_all_without_inference"),
)


@pytest.fixture(autouse=True)
def our_class(monkeypatch):
    monkeypatch.setattr(suite, "FT_gensim", FastText)


class Base(suite.TestFastTextModel):
    def setUp(self):
        self.test_model = gensim.models.FastText(vector_size=2)  # not asked by the tests below


hidden = dict.fromkeys((*EXCLUDED, *QUERIES))
TestFastTextModel = type("TestFastTextModel", (Base,), {"__module__": __name__, **hidden})
del Base


@pytest.mark.slow
@pytest.mark.parametrize("shrink_windows", [True, False])
@pytest.mark.parametrize("name", ["test_cbow_hs_training", "test_sg_hs_training"])
def test_hierarchical_softmax(name, shrink_windows):
    getattr(suite, name)(shrink_windows)


# Those that are like a test that stays; each compiles a model of its own.
for name in (
    *("test_cbow_neg_online", "test_sg_neg_online", "test_online_learning_after_save_fromfile"),
    *("test_cbow_neg_training", "test_cbow_neg_training_fromfile", "test_sg_neg_training_fromfile"),
    *("test_online_learning_fromfile", "test_persistence_fromfile", "test_training_fromfile"),
    "test_negative_ns_exp",
):
    setattr(TestFastTextModel, name, pytest.mark.slow(getattr(TestFastTextModel, name)))


def test_the_table_names_tests_that_gensim_has():
    for name in (*EXCLUDED, *QUERIES):
        assert hasattr(suite.TestFastTextModel, name), name
