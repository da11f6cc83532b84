"""What every output layer must do, once for each row of the table."""

import gc
import inspect
import json
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasw2v import CBOW, SkipGram, Vocabulary, block_dataset, layers
from kerasw2v.ops.row_gradients import record_rows
from kerasw2v.optimizers import RowSGD, linear_decay

from .descriptors import OUTPUT_LAYERS
from .work import counted_work

COUNTS = np.array([90, 50, 40, 30, 20, 10, 8, 5, 3, 2, 1])
V, DIM = len(COUNTS), 4

each_layer = pytest.mark.parametrize("row", OUTPUT_LAYERS.values(), ids=OUTPUT_LAYERS.keys())

first_rows = {name.split(",")[0]: row for name, row in reversed(OUTPUT_LAYERS.items())}
each_class = pytest.mark.parametrize("row", first_rows.values(), ids=first_rows.keys())
# For what the base classes do: further rows of a class are twins of its first one.
each_twin_slow = pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=() if row in first_rows.values() else pytest.mark.slow)
        for row in OUTPUT_LAYERS.values()
    ],
    ids=OUTPUT_LAYERS.keys(),
)


def make(row, counts=COUNTS, **kwargs):
    """Builds the layer, with weights that are not zero."""
    layer = row.create(counts, **kwargs)
    layer.build((None, DIM), (None,))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    return layer


def blocks(batch=4, length=3, width=5, seed=1):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(batch, length, DIM)).astype(np.float32)
    candidates = rng.integers(0, V, (batch, width)).astype(np.int32)
    weights = rng.choice([-1.0, 0.0, 1.0, 2.0], (batch, length, width)).astype(np.float32)
    weights[0, 1] = 0  # a hidden vector without targets
    return hidden, candidates, weights


def pairs(seed=1):
    hidden = np.random.default_rng(seed).normal(size=(V, DIM)).astype(np.float32)
    return hidden, np.arange(V, dtype=np.int32)


def written_out(hidden, candidates, weights):
    """The pairs of blocks one by one, and the place of each in the loss."""
    b, i, c = np.nonzero(weights)
    return (hidden[b, i], candidates[b, c], weights[b, i, c]), (b, i)


class FixedDraws:
    """Calls a layer again and again with the same random state."""

    def __init__(self, layer):
        self.layer = layer
        self.state = [variable.numpy() for variable in layer.non_trainable_variables]

    def restored(self):
        for variable, value in zip(self.layer.non_trainable_variables, self.state, strict=True):
            variable.assign(value)
        return self.layer

    def __call__(self, *inputs):
        return self.restored()(*inputs)


def test_every_output_layer_has_a_row():
    exported = {
        value
        for value in vars(layers).values()
        if inspect.isclass(value) and issubclass(value, layers.OutputLayer)
    } - {layers.OutputLayer}
    assert {type(row.create(COUNTS)) for row in OUTPUT_LAYERS.values()} == exported


@each_twin_slow
def test_shapes_and_types(row):
    layer = make(row)
    losses = layer(*pairs())
    assert (losses.shape, losses.dtype) == ((V,), tf.float32)
    losses = layer(*blocks())
    assert (losses.shape, losses.dtype) == ((4, 3), tf.float32)
    assert losses[0, 1] == 0
    assert np.isfinite(losses).all()
    assert layer.vocabulary_size == V
    hidden, targets = pairs()
    wide = layer(hidden, targets.astype(np.int64))  # what NumPy and pandas hand over
    assert wide.shape == (V,)
    mass = np.broadcast_to(layer.target_mass(tf.constant(targets)), V)
    assert (mass > 0).all()


@each_twin_slow
def test_what_is_no_id_is_refused(row):
    layer = make(row)
    hidden = tf.ones((2, DIM))
    for wrong in (V, -1, 2**32 + 3, 1.7, float("nan")):
        with pytest.raises(ValueError, match=r"^`targets` must be .*: targets\[1\]=[^ ]*\.$"):
            layer(hidden, np.array([0, wrong]))
    call = tf.function(lambda hidden, targets: layer(hidden, targets))
    for wrong in (V, -1, 2**32 + 3):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"to {V - 1}|\[0, {V}\)"):
            call(hidden, tf.constant([0, wrong], tf.int64))
    with pytest.raises(ValueError, match=r"^`weights` must be finite\. .*weights\[1\]=nan\.$"):
        layer(hidden, tf.constant([0, 1]), tf.constant([1.0, float("nan")]))


@each_layer
def test_shapes_that_do_not_fit_are_one_sentence(row):
    layer = make(row)
    targets = np.array([0, 1])
    hidden, wide = np.ones((2, DIM), np.float32), np.ones((2, DIM + 1), np.float32)
    width = rf"^`hidden` must be vectors of width {DIM}, that of the layer\. .*, {DIM + 1}\)\.$"
    for ask in (
        lambda: layer(wide, targets),
        lambda: layer.log_probs(wide),
        lambda: layer.top_k(wide, 1),
        lambda: layer.target_log_probs(wide, targets),
        lambda: layer(keras.Input((DIM + 1,)), keras.Input((), dtype="int32")),
    ):
        with pytest.raises(ValueError, match=width):
            ask()
    with pytest.raises(ValueError, match=rf"^`targets` must have the shape .*{DIM}\)\.$"):
        layer(hidden, np.array([0, 1, 2]))


@each_layer
def test_weights_scale_pairs(row):
    call = FixedDraws(make(row))
    hidden, targets = pairs()
    weights = np.linspace(-1, 3, V).astype(np.float32)
    np.testing.assert_allclose(
        call(hidden, targets, weights), weights * call(hidden, targets), rtol=1e-5, atol=1e-6
    )


@each_layer
def test_masses_are_those_of_the_weights_sizes(row):
    call = FixedDraws(make(row))

    def masses_of(hidden, targets, weights):
        with tf.GradientTape() as tape, record_rows(tape) as record:
            call(hidden, targets, weights)
        return [mass for table in call.layer.trainable_weights for _, mass in record.masses(table)]

    for mass in masses_of(*blocks()):
        assert (mass.numpy() >= 0).all()  # no negative one would bound a step
    hidden, targets = pairs()
    weights = np.where(np.arange(V) % 3, 1.5, -0.5).astype(np.float32)
    signed, unsigned = (masses_of(hidden, targets, w) for w in (weights, np.abs(weights)))
    for mass, expected in zip(signed, unsigned, strict=True):
        np.testing.assert_allclose(mass, expected, rtol=1e-5)
        assert (mass.numpy() >= 0).all()
    assert tf.concat(signed, 0).numpy().max() > 0


@each_layer
def test_weights_that_cancel(row):
    # One target gets a gradient, another the opposite one, though together they weigh nothing.
    call = FixedDraws(make(row))
    hidden, candidates, _ = blocks(width=2)
    weights = np.broadcast_to(np.float32([1, -1]), (*hidden.shape[:2], 2))
    if row.sampled:
        return
    states = tf.Variable(hidden)
    with tf.GradientTape() as tape:
        losses = call(states, candidates, weights)
    gradient = tape.gradient(losses, states)
    expected = np.zeros_like(hidden)
    for sign, column in ((1, 0), (-1, 1)):
        rows = tf.Variable(hidden.reshape(-1, DIM))
        with tf.GradientTape() as tape:
            loss = call(rows, np.repeat(candidates[:, column], hidden.shape[1]))
        expected += sign * tape.gradient(loss, rows).numpy().reshape(hidden.shape)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


@each_layer
def test_shared_loss_is_that_of_blocks(row):
    call = FixedDraws(make(row))
    _, candidates, weights = blocks()
    hidden = np.random.default_rng(2).normal(size=(6, DIM)).astype(np.float32)
    places = np.random.default_rng(3).integers(0, 6, (4, 3)).astype(np.int32)
    losses = call(hidden[places], candidates, weights)
    inputs = map(tf.constant, (hidden, places, candidates, weights))
    shared = call.restored().shared_loss(*inputs)
    assert shared.shape == ()
    np.testing.assert_allclose(shared, tf.reduce_sum(losses), rtol=1e-5)


@each_twin_slow
def test_any_leading_shape(row):
    call = FixedDraws(make(row))
    rng = np.random.default_rng(4)
    hidden, targets = rng.normal(size=(12, DIM)).astype(np.float32), rng.integers(0, V, 12)
    losses = call(hidden, targets)
    log_probs, (ids, scores) = call.layer.log_probs(hidden), call.layer.top_k(hidden, 3)
    for shape in ((3, 4), (2, 3, 2), (12,)):
        places = hidden.reshape(*shape, DIM)
        for labels in (targets.reshape(shape), targets.reshape(*shape, 1)):
            np.testing.assert_array_equal(call(places, labels), np.reshape(losses, shape))
        np.testing.assert_array_equal(
            call.layer.log_probs(places), np.reshape(log_probs, (*shape, V))
        )
        found, found_scores = call.layer.top_k(places, 3)
        np.testing.assert_array_equal(found, np.reshape(ids, (*shape, 3)))
        np.testing.assert_allclose(found_scores, np.reshape(scores, (*shape, 3)), rtol=1e-6)


@each_twin_slow
def test_masked_positions_and_ignored_ids_add_nothing(row):
    rng = np.random.default_rng(4)
    hidden = rng.normal(size=(3, 4, DIM)).astype(np.float32)
    targets = rng.integers(0, V, (3, 4)).astype(np.int32)
    mask, is_word = rng.random((2, 3, 4)) < 0.7
    plain, ignoring = (FixedDraws(make(row, ignore_id=ignored)) for ignored in (None, -1))

    def losses_and_gradient(call, *inputs, **named):
        states = tf.Variable(hidden)
        with tf.GradientTape() as tape:
            losses = call.restored()(states, *inputs, **named)
        return losses, tape.gradient(losses, states).numpy()

    losses, gradient = losses_and_gradient(
        ignoring, np.where(is_word, targets, -1), mask=tf.constant(mask)
    )
    expected, expected_gradient = losses_and_gradient(plain, targets)
    counted = mask & is_word
    assert 0 < counted.sum() < 12
    np.testing.assert_allclose(losses, np.where(counted, expected, 0), rtol=1e-5)
    np.testing.assert_allclose(
        gradient, np.where(counted[..., None], expected_gradient, 0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(losses._keras_mask, counted)


@each_twin_slow
def test_functional_models_share_the_layer(row, tmp_path):
    layer = row.create(COUNTS)
    hidden, targets = keras.Input((None, DIM)), keras.Input((None,), dtype="int32")
    outputs = [layer(hidden, targets), *layer.top_k(hidden, 2), layer.log_probs(hidden)]
    assert [output.dtype for output in outputs] == ["float32", "int32", "float32", "float32"]
    model = keras.Model([hidden, targets], outputs)
    assert model.weights == layer.weights
    for weight in layer.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.7, weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    states, words = (array[None, :6] for array in pairs())
    for each in (model, loaded, clone):
        assert len(each.weights) == len(layer.weights)
        _, ids, scores, log_probs = each([states, words])
        np.testing.assert_allclose(log_probs, layer.log_probs(states), rtol=1e-5)
        np.testing.assert_array_equal(ids, layer.top_k(states, 2)[0])
        np.testing.assert_allclose(scores, layer.top_k(states, 2)[1], rtol=1e-5)


@each_twin_slow
def test_prediction_builds_the_layer(row):
    hidden = np.random.default_rng(0).normal(size=(2, 3, DIM)).astype(np.float32)
    assert row.create(COUNTS).log_probs(hidden).shape == (2, 3, V)
    assert row.create(COUNTS).top_k(hidden, 2)[0].shape == (2, 3, 2)


@each_class
def test_built_in_a_traced_step_freed_and_built_again(row):
    # What is compiled once in a process must not keep the variables of the first layer.
    hidden, targets = map(tf.constant, pairs())

    def losses():
        layer = row.create(COUNTS)

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                losses = layer(hidden, targets)
            tape.gradient(losses, layer.trainable_variables)
            return losses

        return step().numpy(), weakref.ref(layer.trainable_variables[0].value)

    (first, variable), (second, _) = losses(), (gc.collect(), losses())[1]
    assert variable() is None
    if not row.sampled:
        np.testing.assert_allclose(first, second, rtol=1e-5)


@each_layer
def test_config_round_trip(row):
    layer = make(row, name="mine")
    config = layer.get_config()
    copy = type(layer).from_config(config)
    assert copy.get_config() == config
    assert copy.name == "mine"
    assert len(str(make(row, np.arange(50_000, 0, -1)).get_config())) < 2000  # tables are weights


SHUFFLED = np.random.default_rng(5).permutation(COUNTS)


@each_layer
def test_counts_in_any_order(row):
    # The layer on shuffled counts is the layer on sorted ones with other names for the words.
    ids = np.argsort(-SHUFFLED, kind="stable").astype(np.int32)
    rank = np.argsort(ids)
    ranked, shuffled = (FixedDraws(make(row, counts)) for counts in (SHUFFLED[ids], SHUFFLED))
    if getattr(shuffled.layer, "classes", None) is not None:
        return  # its classes are given by id
    tables = (each.layer.trainable_weights for each in (ranked, shuffled))
    takes_any_order = not isinstance(shuffled.layer, layers.AdaptiveSoftmax | layers.BinaryCode)
    for table, renamed in zip(*tables, strict=True):
        if takes_any_order and table.shape[0] == V:  # a row a word
            renamed.assign(table.numpy()[rank])
    fixed = [w for w in shuffled.layer.weights if w.name == "target_vectors"]
    for renamed in fixed:  # drawn by id
        renamed.assign(renamed.numpy()[rank])
    hidden, targets = pairs()
    log_probs = ranked.layer.log_probs(hidden).numpy()[:, rank]
    np.testing.assert_allclose(shuffled.layer.log_probs(hidden), log_probs, rtol=1e-4, atol=1e-5)
    best, _ = ranked.layer.top_k(hidden, 3)
    np.testing.assert_array_equal(shuffled.layer.top_k(hidden, 3)[0], ids[best])
    np.testing.assert_allclose(
        np.broadcast_to(shuffled.layer.target_mass(tf.constant(ids)), V),
        np.broadcast_to(ranked.layer.target_mass(tf.constant(targets)), V),
    )
    if not row.sampled:
        shuffled, ranked = FixedDraws(shuffled.layer), FixedDraws(ranked.layer)
        np.testing.assert_allclose(
            shuffled(hidden, ids), ranked(hidden, targets), rtol=1e-4, atol=1e-5
        )


@each_layer
@pytest.mark.parametrize("size", [V, 300])
def test_a_config_is_the_whole_layer(row, size):
    # All that is not trained, noise, classes, trees and codes, comes back without the weights.
    counts = np.random.default_rng(6).integers(0, 1000, size)
    layer = make(row, counts)
    config = json.loads(json.dumps(layer.get_config()))
    assert size == V or len(str(config)) < 3000
    copy = type(layer).from_config(config)
    copy.build((None, DIM))
    for variable, other in zip(
        layer.non_trainable_variables, copy.non_trainable_variables, strict=True
    ):
        if variable.name != "draw_state":
            np.testing.assert_array_equal(variable, other)
    for table, other in zip(layer.trainable_variables, copy.trainable_variables, strict=True):
        other.assign(table)
    hidden = pairs()[0]
    np.testing.assert_array_equal(copy.log_probs(hidden), layer.log_probs(hidden))
    if not row.sampled:
        np.testing.assert_array_equal(copy(*pairs()), layer(*pairs()))


@each_layer
@pytest.mark.parametrize("form", [pairs, blocks])
def test_shards_learn_what_one_table_learns(row, form):
    if not row.create(COUNTS).has_output_vectors:
        with pytest.raises(ValueError, match=r"`shards` must be 1 for \w+, which has no table"):
            row.create(COUNTS, shards=3)
        return
    tables = []
    for shards in (1, 3):
        layer = make(row, shards=shards)
        values = np.random.default_rng(2).normal(0, 0.7, layer.embeddings.shape)
        for shard, part in enumerate(layer.embeddings.parts if shards > 1 else [layer.embeddings]):
            part.assign(values[shard::shards])
        optimizer = RowSGD(0.5)
        optimizer.build(layer.trainable_variables)
        with tf.GradientTape() as tape, record_rows(tape) as record:
            losses = layer(*form())
        gradients = record.gradients(losses, layer.trainable_weights)
        optimizer.apply(gradients, layer.trainable_weights)
        hidden = np.ones((2, DIM), np.float32)
        tables.append([losses, layer.embeddings.numpy(), layer.log_probs(hidden)])
        assert np.abs(tables[-1][1] - values).max() > 0.1
    for one, several in zip(*tables, strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-4, atol=1e-5)


@each_layer
def test_saved_and_loaded(row, tmp_path):
    hidden, targets = keras.Input((DIM,)), keras.Input((), dtype="int32")
    layer = row.create(COUNTS)
    model = keras.Model([hidden, targets], layer(hidden, targets))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = list(pairs())
    # The random state is saved too, so the next draws are the same.
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    np.testing.assert_array_equal(
        loaded.layers[-1].log_probs(inputs[0]), layer.log_probs(inputs[0])
    )


@each_class
def test_trains_in_any_keras_model(row):
    # A language model: an LSTM over three words, the fourth is their successor.
    tokens, targets = keras.Input((3,), dtype="int32"), keras.Input((), dtype="int32")
    hidden = keras.layers.LSTM(8)(keras.layers.Embedding(V, 8)(tokens))
    model = keras.Model([tokens, targets], row.create(COUNTS)(hidden, targets))
    model.compile(keras.optimizers.Adam(0.03), loss=lambda _, losses: losses)
    words = (np.arange(4) + np.arange(V)[:, None]) % V
    inputs = [words[:, :3], words[:, 3]]
    losses = model.fit(inputs, words[:, 3], batch_size=4, epochs=15, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


@each_layer
@pytest.mark.parametrize("form", ["pairs", "blocks"])
def test_gradients_are_finite_differences(row, form):
    layer = make(row)
    call = FixedDraws(layer)
    hidden, *others = pairs() if form == "pairs" else blocks(batch=2)
    hidden = tf.Variable(hidden)
    variables = [hidden, *(weight.value for weight in layer.trainable_weights)]
    factors = np.random.default_rng(2).normal(size=hidden.shape[:-1]).astype(np.float32)

    @tf.function
    def losses():
        return call.layer(hidden, *map(tf.constant, others))

    def total():
        for variable, value in zip(layer.non_trainable_variables, call.state, strict=True):
            variable.assign(value)
        return float((np.float64(losses()) * factors).sum())

    with tf.GradientTape() as tape:
        summed = tf.reduce_sum(call(hidden, *others) * factors)
    gradients = tape.gradient(summed, variables)
    step = 0.02
    for variable, gradient in zip(variables, gradients, strict=True):
        dense = tf.convert_to_tensor(gradient).numpy()
        start, differences = variable.numpy(), np.zeros(variable.shape)
        for index in np.ndindex(*variable.shape):
            change = np.zeros_like(start)
            change[index] = step
            variable.assign(start + change)
            rise = total()
            variable.assign(start - change)
            differences[index] = (rise - total()) / (2 * step)
        variable.assign(start)
        # float32 losses of size 10 leave 1e-6 / .04 = 2.5e-5 a term, the cubic term of the
        # difference about .02 ** 2 / 6 of a third derivative of size 1 to 10.
        np.testing.assert_allclose(dense, differences, atol=3e-3)
        assert np.abs(dense).max() > 0.1


@each_layer
def test_block_form_is_the_pairs_written_out(row):
    layer = make(row)
    arrays = blocks()
    (_, targets, weights), place = written_out(*arrays)
    table = layer.trainable_weights[0].value

    @tf.function
    def block_form():
        states = tf.constant(arrays[0])
        with tf.GradientTape() as tape:
            tape.watch(states)
            losses = layer(states, *map(tf.constant, arrays[1:]))
        return losses, *map(tf.convert_to_tensor, tape.gradient(losses, [states, table]))

    @tf.function
    def pair_form():
        states = tf.constant(arrays[0])
        with tf.GradientTape() as tape:
            tape.watch(states)
            rows = tf.gather_nd(states, tf.constant(np.stack(place, 1)))
            losses = layer(rows, tf.constant(targets), tf.constant(weights))
            losses = tf.scatter_nd(np.stack(place, 1), losses, states.shape[:2])
        return losses, *map(tf.convert_to_tensor, tape.gradient(losses, [states, table]))

    if not row.sampled:
        for block, pair in zip(block_form(), pair_form(), strict=True):
            np.testing.assert_allclose(block, pair, rtol=1e-4, atol=1e-5)
        return
    runs = 400
    for block, pair in zip(
        zip(*(block_form() for _ in range(runs)), strict=True),
        zip(*(pair_form() for _ in range(runs)), strict=True),
        strict=True,
    ):
        block, pair = np.float64(block), np.float64(pair)
        error = np.sqrt((block.var(0) + pair.var(0)) / runs)
        # About 100 means are compared, each in standard errors: 5 of them are passed once in
        # 15,000 seeds, while twice the noise would be 10 to 100 of them.
        assert (np.abs(block.mean(0) - pair.mean(0)) <= 5 * error + 1e-5).all()
        assert error.max() < 0.05 * np.abs(pair.mean(0)).max()


@each_layer
def test_log_probs_sum_to_one_and_top_k_agrees(row):
    layer = make(row)
    hidden, _ = pairs()
    log_probs = layer.log_probs(hidden).numpy()
    assert log_probs.shape == (V, V)
    np.testing.assert_allclose(np.exp(np.float64(log_probs)).sum(-1), 1, atol=1e-5)
    ids, scores = layer.top_k(hidden, 3)
    assert ids.shape == scores.shape == (V, 3)
    np.testing.assert_array_equal(np.sort(-log_probs)[:, :3], -scores.numpy())
    np.testing.assert_array_equal(np.take_along_axis(log_probs, ids.numpy(), -1), scores)


@each_twin_slow
def test_top_k_gives_at_least_one_word_and_at_most_all(row):
    layer = make(row)
    assert sorted(layer.top_k(pairs()[0], V)[0].numpy()[0]) == list(range(V))
    for wrong, message in ((0, "`k` must be at least 1"), (V + 1, f"`k` must be at most V = {V}")):
        with pytest.raises(ValueError, match=message):
            layer.top_k(pairs()[0], wrong)


@each_layer
def test_log_probs_are_learned_from_the_loss(row):
    # Context c is followed by word c three times in four, by word c ^ 1 otherwise: ids that differ
    # in one bit, so that a code of independent bits can say it too.
    layer = make(row, counts=V)
    hidden = np.repeat(np.eye(DIM, dtype=np.float32) * 3, 4, axis=0)
    targets = np.array([[c, c, c, c ^ 1] for c in range(DIM)]).ravel().astype(np.int32)
    optimizer = keras.optimizers.SGD(0.02)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(tf.constant(hidden), tf.constant(targets)))
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)

    for _ in range(600):
        step()
    ids, _ = layer.top_k(hidden[::4], 2)
    assert ids.numpy().tolist() == [[c, c ^ 1] for c in range(DIM)]


@each_layer
def test_work_grows_with_the_vocabulary_as_promised(row):
    def work_of_a_step(size):
        counts = 1e7 / np.arange(1, size + 1)
        layer = make(row, counts)
        rng = np.random.default_rng(0)
        hidden = tf.constant(rng.normal(size=(row.batch_size, DIM)), tf.float32)
        words = rng.choice(size, row.batch_size, p=counts / counts.sum())
        targets = tf.constant(words, tf.int32)
        tables = [weight.value for weight in layer.trainable_weights]
        with counted_work() as work, tf.GradientTape() as tape:
            tape.watch(hidden)
            tape.gradient(tf.reduce_sum(layer(hidden, targets)), [hidden, *tables])
        return sum(work)

    growth = np.log(work_of_a_step(16 * 1024) / work_of_a_step(1024)) / np.log(16)
    assert growth == pytest.approx(row.growth, abs=0.15)


@each_layer
def test_half_precision_is_near_full(row):
    full, half = FixedDraws(make(row)), FixedDraws(make(row, dtype="mixed_bfloat16"))
    assert {weight.dtype for weight in half.layer.trainable_weights} == {"float32"}
    for inputs in (pairs(), blocks()):
        states = tf.Variable(tf.cast(inputs[0], tf.bfloat16))
        with tf.GradientTape() as tape:
            losses = half(states, *inputs[1:])
        assert losses.dtype == tf.float32
        # bfloat16 has 8 bits: scores of size 2 are off by .01, sums of 30 losses by about .3 %.
        np.testing.assert_allclose(losses, full(*inputs), rtol=0.03, atol=0.05)
        of_states = tape.gradient(losses, states)
        assert np.isfinite(tf.cast(of_states, tf.float32)).all()


def assert_topics_are_told_apart(model_class, row):
    """Trains on sentences of two topics; each word's nearest ones must be those of its topic."""
    rng = np.random.default_rng(0)
    topics = [[f"{topic}{i}" for i in range(8)] for topic in "ab"]
    sentences = [rng.choice(topics[i % 2], 8).tolist() for i in range(400)]
    vocabulary = Vocabulary.from_corpus(sentences, min_count=1)
    model = model_class(len(vocabulary), 8, row.create(vocabulary.counts), window=3, seed=1)
    dataset = block_dataset(sentences, vocabulary, 3, 0, batch_size=64, seed=1)
    schedule = linear_decay(0.025, len(dataset), epochs=8)  # sampled gradients stay noisy otherwise
    model.compile(RowSGD(schedule), steps_per_execution=8)
    losses = model.fit(dataset, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    vectors = model.embedding.embeddings.numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    topic = np.array([word[0] for word in vocabulary.words])
    near = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1:8]  # the seven others of its topic
    assert (topic[near] == topic[:, None]).all()


@each_class
def test_skip_gram_tells_two_topics_apart(row):
    assert_topics_are_told_apart(SkipGram, row)


@pytest.mark.parametrize("name", ["NegativeSampling, group", "HierarchicalSoftmax"])
def test_cbow_tells_two_topics_apart(name):
    assert_topics_are_told_apart(CBOW, OUTPUT_LAYERS[name])
