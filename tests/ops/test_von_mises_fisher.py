"""The normaliser against exact Bessel functions in float64."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import gammaln, ive

from kerasw2v.ops.von_mises_fisher import negative_log_normalizer

DIMS = (2, 3, 5, 10, 30, 100, 300, 1000)
KAPPAS = np.concatenate([[1e-6], np.logspace(-3, 4, 141)])


def continued_fraction(dim, kappas):
    """Returns `I_{m/2} / I_{m/2-1}` by its continued fraction, far longer than it needs to be."""
    tail = np.zeros_like(kappas)
    for level in reversed(range(1, 20_000)):
        tail = kappas**2 / (dim + 2 * level + tail)
    return kappas / (dim + tail)


@pytest.fixture(scope="module")
def ratios():
    return {dim: continued_fraction(dim, KAPPAS) for dim in DIMS}


def value_and_ratio(kappas, dim, dtype=np.float32):
    kappas = tf.constant(kappas.astype(dtype))
    with tf.GradientTape() as tape:
        tape.watch(kappas)
        value = negative_log_normalizer(kappas**2, dim)
    return value.numpy(), tape.gradient(value, kappas).numpy()


def by_scipy(kappas, dim):
    """Returns `-log C_m`, the ratio, and where SciPy's Bessel functions neither underflow."""
    bessel, next_bessel = ive(dim / 2 - 1, kappas), ive(dim / 2, kappas)
    fine = (bessel > 1e-290) & (next_bessel > 1e-290)
    kappas, bessel, next_bessel = kappas[fine], bessel[fine], next_bessel[fine]
    log_c = (dim / 2 - 1) * np.log(kappas) - dim / 2 * np.log(2 * np.pi) - np.log(bessel) - kappas
    return -log_c, next_bessel / bessel, fine


@pytest.mark.parametrize("dim", DIMS)
def test_the_continued_fraction_is_scipys_ratio(ratios, dim):
    _, ratio, fine = by_scipy(KAPPAS, dim)
    assert fine.sum() > 15  # for m = 1000, kappa from some hundreds on
    np.testing.assert_allclose(ratios[dim][fine], ratio, rtol=1e-9)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_is_the_bessel_ratio(ratios, dim, dtype):
    _, ratio = value_and_ratio(KAPPAS, dim, dtype)
    error = np.abs(ratio / ratios[dim] - 1).max()
    assert error < (2e-4 if dim < 10 else 5e-5 if dim < 100 else 2e-6)


@pytest.mark.parametrize("dim", DIMS)
def test_value_is_the_normaliser(dim):
    value, _ = value_and_ratio(KAPPAS, dim, np.float64)
    exact, _, fine = by_scipy(KAPPAS, dim)
    # What Stirling's formula lacks four orders up, and 1e-6 for the rounding of values of 1e4.
    np.testing.assert_allclose(value[fine], exact, rtol=0, atol=1 / (12 * (dim / 2 + 4)) + 1e-6)


@pytest.mark.parametrize("dim", DIMS)
def test_gradient_is_the_slope_of_the_value(dim):
    kappas, step = KAPPAS[1:], 1e-3
    rise = value_and_ratio(kappas * (1 + step), dim, np.float64)[0]
    fall = value_and_ratio(kappas * (1 - step), dim, np.float64)[0]
    slope = (rise - fall) / (2 * step * kappas)
    _, ratio = value_and_ratio(kappas, dim, np.float64)
    # 2e-13 for the rounding of values up to 2,000 over steps of 1e-6 in the last place.
    np.testing.assert_allclose(slope, ratio, rtol=6e-4, atol=5e-7)


@pytest.mark.parametrize("dim", DIMS)
def test_float32_loses_nothing_but_its_last_bits(dim):
    surface = float(negative_log_normalizer(tf.constant(0.0, tf.float64), dim))
    for kappa in (1e-6, 1e-2, 1.0, 30.0, 1e3, 1e4):
        narrow = value_and_ratio(np.array([kappa]), dim)
        wide = value_and_ratio(np.array([kappa]), dim, np.float64)
        np.testing.assert_allclose(narrow[1], wide[1], rtol=1e-6)
        np.testing.assert_allclose(narrow[0], wide[0], rtol=3e-7, atol=3e-7 * abs(surface))


@pytest.mark.parametrize("dim", DIMS)
def test_at_zero_the_value_is_the_surface_and_the_gradient_of_a_vector_is_zero(dim):
    vectors = tf.zeros((2, dim))
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        value = negative_log_normalizer(tf.reduce_sum(vectors**2, axis=-1), dim)
    surface = np.log(2) + dim / 2 * np.log(np.pi) - gammaln(dim / 2)
    np.testing.assert_allclose(value, [surface, surface], rtol=1e-6)
    assert (tape.gradient(value, vectors).numpy() == 0).all()


def test_second_derivative():
    kappa = tf.constant([0.5, 2.0, 8.0, 40.0], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(kappa)
        with tf.GradientTape() as inner:
            inner.watch(kappa)
            value = negative_log_normalizer(kappa**2, 5)
        ratio = inner.gradient(value, kappa)
    exact = continued_fraction(5, kappa.numpy())
    expected = 1 - exact**2 - 4 * exact / kappa  # an identity of Bessel functions
    np.testing.assert_allclose(outer.gradient(ratio, kappa), expected, rtol=1e-2)


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}, {"input_signature": "unknown"}])
def test_in_a_graph(options):
    if options.get("input_signature"):
        options = {"input_signature": [tf.TensorSpec((None,), tf.float32)]}

    @tf.function(**options)
    def run(squared):
        with tf.GradientTape() as tape:
            tape.watch(squared)
            value = negative_log_normalizer(squared, 100)
        return value, tape.gradient(value, squared)

    squared = tf.constant([0.0, 1e-12, 1.0, 1e4, 1e8])
    for result, expected in zip(run(squared), run.python_function(squared), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-6)
