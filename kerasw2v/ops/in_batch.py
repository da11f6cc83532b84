"""The softmax of each query over the candidates of its batch, in closed form."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_NOT_THERE = -1e30  # finite, so that a row with nothing else has no gradient that is no number


def in_batch_loss(
    queries: tf.Tensor,
    candidates: tf.Tensor,
    offsets: tf.Tensor,
    own_offsets: tf.Tensor,
    hits: tf.Tensor | None,
) -> tf.Tensor:
    """Returns `log(1 + sum_j exp(t_ij - u_i))`, the softmax loss of query i with candidate i.

    `t_ij = queries[i] . candidates[j] - offsets[j]` for the other candidates `j` that are no hits,
    and `u_i = queries[i] . candidates[i] - own_offsets[i]`. The scores are the largest tensor of a
    step: the slopes are computed from them in the forward pass, so that the backward pass is two
    matrix products.

    Args:
        queries: `(n, d)`.
        candidates: `(m, d)` of the same dtype, m >= n.
        offsets: float32, `(m,)`, without a gradient; so are the others.
        own_offsets: float32, `(n,)`.
        hits: bool, `(n, m)`: pairs to leave out; None for none.

    Returns:
        `(n,)`, float32.
    """

    @tf.custom_gradient
    def loss(queries: tf.Tensor, candidates: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        products = tf.cast(tf.matmul(queries, candidates, transpose_b=True), tf.float32)
        own = tf.linalg.diag_part(products) - own_offsets
        others = products - offsets
        if hits is not None:
            others = tf.where(hits, _NOT_THERE, others)
        others = tf.linalg.set_diag(others, tf.fill(tf.shape(own), _NOT_THERE))
        softmax = tf.nn.softmax(others)
        # exp(largest score - normaliser) is the largest probability: no second exponential.
        largest = tf.reduce_max(others, axis=1)
        lead = largest - tf.math.log(tf.reduce_max(softmax, axis=1)) - own
        share = tf.sigmoid(lead)  # of all candidates but the query's own
        slopes = tf.linalg.set_diag(share[:, None] * softmax, -share)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scaled = tf.cast(upstream[:, None] * slopes, queries.dtype)
            return tf.matmul(scaled, candidates), tf.matmul(scaled, queries, transpose_a=True)

        return tf.nn.softplus(lead), gradient

    return loss(queries, candidates)
