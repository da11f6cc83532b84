"""Logistic losses of many scores at once, with their gradients in closed form.

Scores are the largest tensors of a training step, and automatic differentiation of `softplus` would
read them several times more than these formulas do.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.polynomial import Chebyshev, Polynomial

from kerasw2v.ops.fused import fused

_TINY = 1e-37
_FOLD = 4


def _series(function: Callable[..., Any], degree: int) -> list[float]:
    """Returns coefficients of a polynomial in `t - 1/2` that approximates `function` in [0, 1]."""
    chebyshev = Chebyshev.interpolate(function, degree, domain=[0, 1])
    shifted = chebyshev.convert(kind=Polynomial)(Polynomial([0.5, 1]))
    return [float(coefficient) for coefficient in shifted.coef]


# Of degree 9, exact to the last bit of float32.
_INVERSE_OF_1_PLUS = _series(lambda t: 1 / (1 + t), 9)
_LOG_OF_1_PLUS = _series(np.log1p, 9)


def _negative_log(sigmoid: tf.Tensor) -> tf.Tensor:
    return -tf.math.log(tf.maximum(sigmoid, _TINY))


def softplus_and_sigmoid(scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `log(1 + exp(s))` and `1 / (1 + exp(-s))` of each score, to 2e-7.

    For fused functions. XLA writes out every result but sums and products that several others
    depend on, so only one of them is an exponential, and the others are polynomials of it.
    """
    u = tf.exp(-tf.abs(scores)) - 0.5
    upper = _horner(_INVERSE_OF_1_PLUS, u)
    sigmoid = tf.where(scores >= 0, upper, 1.0 - upper)
    return tf.maximum(scores, 0.0) + _horner(_LOG_OF_1_PLUS, u), sigmoid


def _horner(coefficients: list[float], x: tf.Tensor) -> tf.Tensor:
    return functools.reduce(lambda value, c: value * x + c, reversed(coefficients))


@fused
def _target_terms(
    scores: tf.Tensor, weights: tf.Tensor, kept_noise: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the loss of `target_loss` and its derivative by each score."""
    sigmoid = tf.sigmoid(scores)
    softplus = scores + _negative_log(sigmoid)
    loss = tf.reduce_sum(weights * (kept_noise * softplus - scores), axis=-1)
    return loss, weights * (kept_noise * sigmoid - 1.0)


@fused
def _noise_terms(scores: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the loss of `noise_loss`, and `1 - sigmoid` of each score."""
    survival = tf.sigmoid(-scores)  # 1 - sigmoid(s), exact where sigmoid(s) rounds to one
    product = survival
    if scores.shape[-1] and scores.shape[-1] % _FOLD == 0:
        rows = tf.shape(scores)[:-1]
        folded = tf.reshape(survival, tf.concat([rows, [scores.shape[-1] // _FOLD, _FOLD]], 0))
        product = tf.reduce_prod(folded, axis=-1)
    loss = weights * tf.reduce_sum(_negative_log(product), axis=-1)
    return loss, survival


@fused
def _noise_slopes(survival: tf.Tensor, weights: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    return (weights * upstream)[..., None] * (1.0 - survival)


@tf.custom_gradient
def target_loss(
    scores: tf.Tensor, weights: tf.Tensor, kept_noise: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
    """Returns what the targets of each row add to its loss, `(..., L)`.

    `sum_c weights[..., c] * (kept_noise[..., c] * softplus(s_c) - s_c)`, which for `kept_noise = 1`
    is `-log sigmoid(s_c)`. A noise word that is the target itself has the target's own score `s_c`:
    `kept_noise = 1 - (number of such terms)` removes these from `noise_loss`. All are float32;
    `scores` and `weights` are `(..., L, C)`, `kept_noise` `(..., 1, C)`; only scores have a
    gradient.
    """
    loss, slope = _target_terms(scores, weights, kept_noise)
    return loss, lambda upstream: (upstream[..., None] * slope, None, None)


@tf.custom_gradient
def noise_loss(
    scores: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
    """Returns `weights * sum_k softplus(s_k)`, what the noise words of each row add to its loss.

    Scores are `(..., R, K)`, weights `(..., R)` and without a gradient. Four probabilities are
    multiplied before the logarithm: a quarter of the logarithms, exact as long as their scores
    average below 21.
    """
    loss, survival = _noise_terms(scores, weights)
    return loss, lambda upstream: (_noise_slopes(survival, weights, upstream), None)
