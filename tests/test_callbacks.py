"""Progress and records of data that do not say how long they are."""

import io
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v.callbacks import Progress, Record


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


@pytest.fixture
def dataset():
    """Four batches, which only whoever reads them can count."""
    row = tf.TensorSpec((2, 1), tf.float32)
    return tf.data.Dataset.from_generator(
        lambda: ((np.ones((2, 1)), np.ones((2, 1))) for _ in range(4)), output_signature=(row, row)
    )


@pytest.fixture
def clock(monkeypatch):
    seconds = iter(range(100))
    monkeypatch.setattr("kerasw2v.callbacks.time.perf_counter", lambda: next(seconds))


def call(callback, epochs, steps):
    callback.set_params({"epochs": epochs, "steps": None})
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for batch in range(steps):
            callback.on_train_batch_end(batch, {"loss": 2.0})
        # Keras 3.15 takes the end of such data for one step more, without a loss.
        callback.on_epoch_end(epoch, {"loss": 2.0 * steps / (steps + 1)})


class TestProgress:
    def test_one_line_an_epoch(self, model, dataset):
        stream = io.StringIO()
        model.fit(dataset, epochs=2, verbose=0, callbacks=[Progress(1000, stream)])
        lines = stream.getvalue().splitlines()
        assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
        assert all(re.search(r": [\d,]+ words/s, loss \d\.\d{4}$", line) for line in lines)

    def test_speed_is_that_of_known_length(self, clock):
        stream = io.StringIO()
        call(Progress(1000, stream), epochs=1, steps=4)
        # As in the CLI's test of known length: 750 words in the four seconds after the first step.
        assert stream.getvalue() == "epoch 1/1: 188 words/s, loss 2.0000\n"

    def test_counts_batches_on_a_terminal_until_the_length_is_known(
        self, model, dataset, monkeypatch
    ):
        stream = io.StringIO()
        stream.isatty = lambda: True
        monkeypatch.setattr("kerasw2v.callbacks._SECONDS_BETWEEN_DRAWINGS", 0)
        model.fit(dataset, epochs=2, verbose=0, callbacks=[Progress(1000, stream)])
        drawn = stream.getvalue().split("\r")[1:]
        first = [re.sub(r"loss \d\.\d{4}", "loss", line) for line in drawn[:4]]
        assert first == [f"epoch 1/2  batch {i}  loss\x1b[K" for i in (1, 2, 3, 4)]
        assert "epoch 1/2 [####################] 100%" in drawn[4]
        assert "epoch 2/2 [#####---------------]  25%" in drawn[5]
        assert drawn[-1].endswith("0:00:00 left\x1b[K\n")


class TestRecord:
    def test_epochs_and_points(self, model, dataset, monkeypatch):
        monkeypatch.setattr("kerasw2v.callbacks._SECONDS_BETWEEN_DRAWINGS", 0)
        record = Record(words_per_epoch=1000)
        losses = {}
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: losses.setdefault(batch, []).append(logs["loss"])
        )
        model.fit(dataset, epochs=2, verbose=0, callbacks=[record, watch])
        history = record.history
        assert [epoch.words for epoch in history.epochs] == [1000, 2000]
        assert [epoch.loss for epoch in history.epochs] == pytest.approx(losses[3])
        # From the second epoch on its length is known.
        assert [point.words for point in history.points] == [1000, 1250, 1500, 1750, 2000]

    def test_speed_is_that_of_known_length(self, clock):
        record = Record(words_per_epoch=1000)
        call(record, epochs=1, steps=4)
        (epoch,) = record.history.epochs
        (point,) = record.history.points
        # Second 2 is the end of the first call, a quarter of the epoch; second 6 is its end.
        assert (epoch.words_per_second, point.words_per_second) == (750 / 4, 750 / 4)
        assert (epoch.epoch, epoch.words, epoch.seconds, epoch.loss) == (1, 1000, 6, 2.0)

    def test_an_epoch_of_one_call_has_no_speed(self, clock):
        record = Record(words_per_epoch=1000)
        call(record, epochs=1, steps=1)
        (epoch,) = record.history.epochs
        assert (epoch.words, epoch.words_per_second) == (1000, None)
