"""The normaliser of the von Mises-Fisher distribution, by elementary functions."""

from collections.abc import Callable
from math import lgamma, log, pi

import tensorflow as tf

from kerasw2v.ops.fused import fused

_LEVELS = 4


@fused
def _growth_and_slope(squared_kappa: tf.Tensor, half_dim: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `log C_m(0) - log C_m(kappa)`, and its derivative by `kappa ** 2`."""
    order = half_dim + _LEVELS
    root = tf.sqrt(order * order + squared_kappa)
    excess = squared_kappa / (root + order)  # root - order, without cancellation
    growth = excess - (order - 1) * tf.math.log1p(excess / (2 * order))
    growth -= 0.5 * tf.math.log1p(excess / order)
    ratio = squared_kappa / root * ((root + 1) / (root + order) - 0.5 / root)  # times kappa
    product, slope = tf.zeros_like(ratio), tf.zeros_like(ratio)  # a product of 1 + ..., minus one
    for level in reversed(range(_LEVELS)):
        twice = 2 * (half_dim + level)
        product += (1 + product) * ratio / twice
        slope = 0.5 / (twice + ratio)
        ratio = 2 * squared_kappa * slope
    return growth + tf.math.log1p(product), slope


@tf.custom_gradient
def _growth(
    squared_kappa: tf.Tensor, half_dim: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    growth, slope = _growth_and_slope(squared_kappa, half_dim)
    return growth, lambda upstream: (upstream * slope, None)


def negative_log_normalizer(squared_kappa: tf.Tensor, dim: int) -> tf.Tensor:
    """Returns `-log C_m(kappa)`, for the density `C_m(kappa) exp(kappa mu . x)` on a unit sphere.

    `C_m(kappa) = kappa^(v-1) / ((2 pi)^v I_{v-1}(kappa))`, with `v = m / 2`. The derivative of
    `-log C_m` by kappa is the ratio `A_v = I_v / I_{v-1}` of modified Bessel functions, which
    themselves overflow and underflow. Two steps approximate it:

    Four orders up, at `n = v + 4`, with `s = sqrt(n^2 + kappa^2)`,

        -log C_2n(kappa) = s - (n - 1) log(n + s) - log(s) / 2 + constant

    a uniform expansion of second order like Debye's, centred such that its derivative has the right
    limits: `kappa / 2n` near zero, `1 - (n - 1/2) / kappa` for large kappa. Then back to v,
    exactly, by the recurrence of Bessel functions: `A_u = kappa / (2u + kappa A_{u+1})`, and
    `-log C_2u = -log C_{2u+2} + log(2u + kappa A_{u+1}) + constant`.

    The gradient is the last ratio of the recurrence. Its relative error is at most 1.9e-4 (m = 2;
    4e-5 for m = 10, 1e-6 for m = 100) for all kappa, that of the slope of the value 6e-4. At
    kappa = 0 the value is exact, the logarithm of the sphere's surface; elsewhere its error is at
    most `1 / 12n`, that is .017 for m = 2 and .0016 for m = 100.

    Args:
        squared_kappa: kappa ** 2, of any shape, up to 1e16. The square, since kappa is the length
            of a vector: no root, no corner at zero.
        dim: m, the dimension of the space around the sphere, at least 2.

    Returns:
        Of the shape and dtype of `squared_kappa`.

    Example:

    >>> negative_log_normalizer(tf.constant([0.0, 100.0]), dim=3).numpy().round(2)
    array([2.53, 9.54], dtype=float32)

    Source: the loss: Kumar & Tsvetkov, "Von Mises-Fisher loss for training sequence
    to sequence models with continuous outputs", 2019; the expansion's kin: Ruiz-Antolin & Segura,
    "A new type of sharp bounds for ratios of modified Bessel functions", 2016.
    """
    surface = log(2) + dim / 2 * log(pi) - lgamma(dim / 2)
    return surface + _growth(squared_kappa, tf.constant(dim / 2, squared_kappa.dtype))
