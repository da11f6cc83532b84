"""Training in a child that was forked while TensorFlow ran would hang: it says so at once."""

import os
import traceback

import pytest

from kerasw2v import Word2Vec

SENTENCES = [["a", "b", "c", "d"]] * 9


@pytest.fixture(scope="module")
def model():
    made = Word2Vec(vector_size=4, min_count=1, hs=1, negative=0, epochs=1)
    made.build_vocab(SENTENCES)  # makes the Keras model, and so starts TensorFlow
    return made


def in_a_fork(function):
    """Returns what a function raises in a forked child, which must not wait for anything."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            function()
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.parametrize(
    "call",
    [
        lambda model: Word2Vec(SENTENCES, min_count=1),
        lambda model: model.train(SENTENCES, total_examples=9, epochs=1),
        lambda model: model.score(SENTENCES),
        lambda model: model.keras_model.fit([0], [1], verbose=0),
        lambda model: model.keras_model.evaluate([0], [1], verbose=0),
        lambda model: model.keras_model.predict([0], verbose=0),
    ],
    ids=["Word2Vec", "train", "score", "fit", "evaluate", "predict"],
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of it, too
def test_it_is_refused_at_once(model, call):
    raised = in_a_fork(lambda: call(model))
    last = raised.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: TensorFlow would hang in a process that was forked")
    assert "multiprocessing.get_context('spawn')" in last


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_queries_need_no_tensorflow(model):
    assert in_a_fork(lambda: model.wv.most_similar("a")) == ""
