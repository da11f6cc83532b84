"""Binary codes of word ids, plain or error-correcting, and the loss of predicting their bits.

Every code is linear: bit `j` of a word's code is the parity of `id & masks[j]`. So codes are
computed when they are needed, and no table grows with the vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasw2v.ops.fused import fused

GENERATORS = {  # for each memory, the bits that each output reads, newest first
    0: (0o1,),
    2: (0o5, 0o7),
    3: (0o15, 0o17),
    4: (0o23, 0o35),
    5: (0o53, 0o75),
    6: (0o171, 0o133),
}


class Code(NamedTuple):
    """A convolutional code for the ids `0 .. num_words - 1`; `memory` is a key of `GENERATORS`.

    The bits of an id, lowest first, run through a shift register that remembers the last `memory`
    of them; `memory` zeros follow, which empty it. At each step every generator outputs the parity
    of some of the register's bits. With memory 0 the code is the id's own bits.

    Example:

    >>> code = Code(num_words=64, memory=2)
    >>> code.id_bits, code.num_bits
    (6, 16)
    """

    num_words: int
    memory: int = 0

    @property
    def id_bits(self) -> int:
        """Bits of an id, B."""
        return max(1, (self.num_words - 1).bit_length())

    @property
    def steps(self) -> int:
        """Steps of the shift register, B + memory."""
        return self.id_bits + self.memory

    @property
    def outputs(self) -> int:
        """Bits of the code at a step."""
        return len(GENERATORS[self.memory])

    @property
    def num_bits(self) -> int:
        """Bits of a word's code."""
        return self.outputs * self.steps

    def masks(self) -> np.ndarray:
        """Returns, for each bit of a code, the id's bits whose parity it is: int32, `(num_bits,)`.

        A generator's lowest bit reads the bit of `memory` steps ago.
        """
        whole = (1 << self.id_bits) - 1
        masks = [
            ((generator << step) >> self.memory) & whole
            for step in range(self.steps)
            for generator in GENERATORS[self.memory]
        ]
        return np.array(masks, np.int32)

    def oldest(self, step: int) -> int:
        """Returns which bit of the id is the oldest one remembered before `step`."""
        return max(0, step - self.memory)

    def states(self, step: int) -> int:
        """Returns how many states the register can be in before `step`."""
        return 1 << (min(step, self.id_bits) - self.oldest(step))

    def symbols(self, step: int) -> np.ndarray:
        """Returns the outputs of a step, output `o` as bit `o`, for each content of the register.

        A content is the number formed by the remembered bits and the one read at this step, oldest
        bit lowest: `id >> oldest(step)` without the bits that are not read yet.
        """
        newest = min(step + 1, self.id_bits)
        ids = np.arange(1 << (newest - self.oldest(step))) << self.oldest(step)
        first = self.outputs * step
        masks = self.masks()[first : first + self.outputs]
        parities = np.bitwise_count(ids[:, None] & masks) % 2
        return np.asarray(parities @ (1 << np.arange(self.outputs)))


def encode(ids: tf.Tensor, code: Code) -> tf.Tensor:
    """Returns the bits of the codes of int32 ids: float32, `ids.shape + (num_bits,)`, each 0 or 1.

    Example:

    >>> bits = encode(tf.constant([0b101010]), Code(64, memory=2))
    >>> "".join(str(int(bit)) for bit in bits[0])
    '0011010001000111'
    """
    masked = tf.bitwise.bitwise_and(ids[..., None], tf.constant(code.masks()))
    ones = tf.cast(tf.raw_ops.PopulationCount(x=masked), tf.int32)
    return tf.cast(tf.bitwise.bitwise_and(ones, 1), tf.float32)


@fused
def _squared_terms(
    logits: tf.Tensor, zeros: tf.Tensor, ones: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    one, zero = tf.sigmoid(logits), tf.sigmoid(-logits)
    loss = tf.reduce_sum(zeros * one**2 + ones * zero**2, axis=-1)
    return loss, 2.0 * one * zero * (zeros * one - ones * zero)


@fused
def _cross_entropy_terms(
    logits: tf.Tensor, zeros: tf.Tensor, ones: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    terms = zeros * tf.nn.softplus(logits) + ones * tf.nn.softplus(-logits)
    return tf.reduce_sum(terms, axis=-1), zeros * tf.sigmoid(logits) - ones * tf.sigmoid(-logits)


BIT_LOSSES = {"squared": _squared_terms, "cross_entropy": _cross_entropy_terms}


def bit_loss(logits: tf.Tensor, zeros: tf.Tensor, ones: tf.Tensor, kind: str) -> tf.Tensor:
    """Returns the loss of predicting bits, each for many targets at once: float32, `(rows,)`.

    With `q = sigmoid(logits)`, the sum over bits of `zeros * q**2 + ones * (1 - q)**2` (squared) or
    of `-zeros * log(1 - q) - ones * log(q)` (cross-entropy). `zeros` and `ones`, the weights of the
    targets whose bit is 0 and 1, have no gradient; they and `logits` are float32, `(rows,
    num_bits)`.
    """

    @tf.custom_gradient
    def loss(logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        value, slope = BIT_LOSSES[kind](logits, zeros, ones)
        return value, lambda upstream: upstream[:, None] * slope

    return loss(logits)
