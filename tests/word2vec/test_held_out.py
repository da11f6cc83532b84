"""The loss of held-out sentences, early stopping, callbacks at each call; unknown words."""

import copy
import pickle

import keras
import numpy as np
import pytest
from gensim.models import KeyedVectors

from kerasw2v import Word2Vec

RNG = np.random.default_rng(0)
WORDS = [f"w{i}" for i in range(12)]
SENTENCES = [list(RNG.choice(WORDS, 8)) for _ in range(40)]
HELD_OUT = [list(RNG.choice([*WORDS, "unknown"], 6)) for _ in range(10)]
SMALL = {"vector_size": 6, "window": 2, "min_count": 1, "seed": 1}


class Walks:
    """A corpus that is read again in each epoch."""

    def __iter__(self):
        return iter(SENTENCES)


@pytest.mark.parametrize("corpus", [SENTENCES, Walks()], ids=["read once", "read in each epoch"])
def test_the_loss_of_held_out_sentences_is_that_of_a_full_softmax(corpus):
    model = Word2Vec(
        corpus,
        **SMALL,
        sg=1,
        sample=0,
        shrink_windows=False,
        epochs=2,
        output_layer="FullSoftmax",
        held_out=HELD_OUT,
    )
    layer, order = model.trained_output_layer(), np.argsort(-model.wv.expandos["count"])
    row = {model.wv.index_to_key[word]: number for number, word in enumerate(order)}
    losses = []
    for sentence in HELD_OUT:
        known = [word for word in sentence if word in row]
        for i, centre in enumerate(known):
            scores = layer.embeddings.numpy() @ model.wv[centre]
            log_normaliser = np.log(np.exp(scores).sum())
            for j in range(max(0, i - 2), min(len(known), i + 3)):
                if i != j:
                    losses.append(log_normaliser - scores[row[known[j]]])
    assert len(model.held_out_losses) == 2
    np.testing.assert_allclose(model.held_out_losses[-1], np.mean(losses), rtol=1e-5)


@pytest.mark.parametrize("corpus", [SENTENCES, Walks()], ids=["read once", "read in each epoch"])
def test_held_out_sentences_change_nothing_but_the_logs(corpus):
    plain = Word2Vec(corpus, **SMALL, epochs=3, compute_loss=True)
    model = Word2Vec(corpus, **SMALL, epochs=3, compute_loss=True, held_out=HELD_OUT)
    np.testing.assert_array_equal(plain.wv.vectors, model.wv.vectors)
    assert plain.epoch_losses == model.epoch_losses
    assert plain.get_latest_training_loss() == model.get_latest_training_loss()
    assert plain.held_out_losses == []
    assert len(model.held_out_losses) == 3


def test_draws_are_the_same_in_each_epoch():
    model = Word2Vec(SENTENCES, **SMALL, epochs=2, alpha=1e-12, min_alpha=1e-12, held_out=HELD_OUT)
    first, second = model.held_out_losses
    assert first == pytest.approx(second, rel=1e-6)


def test_early_stopping():
    class Stops(keras.callbacks.Callback):
        calls, losses = 0, []

        def on_train_batch_end(self, batch, logs=None):
            Stops.calls += 1

        def on_epoch_end(self, epoch, logs=None):
            Stops.losses.append(logs["val_loss"])

    stopping = keras.callbacks.EarlyStopping("val_loss", min_delta=1000, patience=2)
    model = Word2Vec(SENTENCES, **SMALL, epochs=9, held_out=HELD_OUT, callbacks=[stopping, Stops()])
    assert len(model.epoch_losses) == 3
    assert Stops.losses == model.held_out_losses
    assert Stops.calls >= 3


def test_bad_held_out_sentences():
    with pytest.raises(TypeError, match="`held_out` must be an iterable of token lists"):
        Word2Vec(SENTENCES, **SMALL, held_out="file.txt")
    with pytest.raises(ValueError, match=r"`held_out`: .* at least one word of the vocabulary"):
        Word2Vec(SENTENCES, **SMALL, held_out=[["unknown"]])
    for held_out in ([], [["w1"], ["w2", "unknown"]]):
        with pytest.raises(ValueError, match="`held_out` must have a sentence of two known words"):
            Word2Vec(SENTENCES, **SMALL, held_out=held_out)


def test_they_are_not_saved_with_the_model(tmp_path):
    model = Word2Vec(SENTENCES, **SMALL, epochs=1, held_out=(each for each in HELD_OUT))
    model.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    assert loaded.held_out_losses == model.held_out_losses
    loaded.train(SENTENCES, total_examples=len(SENTENCES), epochs=1)
    assert loaded.held_out_losses == []


def test_an_unknown_word_gets_advice(tmp_path):
    model = Word2Vec(SENTENCES, **SMALL, epochs=1)
    model.save(tmp_path / "model")
    models = [model, copy.deepcopy(model), Word2Vec.load(tmp_path / "model")]
    for each in models:
        for ask in (each.wv.__getitem__, each.wv.most_similar):
            with pytest.raises(KeyError, match=r"'unseen' not present.*min_count.*FastText"):
                ask("unseen")
        assert each.wv.get_index("unseen", -1) == -1
    model.wv.save(str(tmp_path / "vectors"))
    for vectors in (
        pickle.loads(pickle.dumps(model.wv)),
        copy.deepcopy(model.wv),
        KeyedVectors.load(str(tmp_path / "vectors")),
    ):
        assert type(vectors) is KeyedVectors
        np.testing.assert_array_equal(vectors["w1"], model.wv["w1"])
