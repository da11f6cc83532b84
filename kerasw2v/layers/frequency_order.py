"""Ids in any order, for layers that work on words in order of frequency."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import tensorflow as tf

_warned: set[str] = set()


def warn_without_counts(layer: Any, counts: Any) -> None:
    """Warns, once for each class, that the order of ids is trusted: only their number was given."""
    name = type(layer).__name__
    if isinstance(counts, Integral) and name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"{name} was given the number of words alone, so it takes ids to be in order of "
            "frequency, most frequent first. Pass `counts` if they are not.",
            stacklevel=3,
        )


class FrequencyOrder:
    """The tables between ids and ranks; rank 0 is the most frequent word.

    There are none where ids are ranks already: nothing is looked up then.

    Args:
        layer: the `OutputLayer` that keeps the tables, in its `build`.
        ids: the ids in order of frequency, `(V,)`, see `ops.noise.ids_by_frequency`.
    """

    def __init__(self, layer: Any, ids: np.ndarray) -> None:
        self._ids = self._ranks = None
        if (np.diff(ids) < 0).any():
            self._ids = layer.add_fixed_table("ids_by_frequency", ids)
            self._ranks = layer.add_fixed_table("ranks_by_id", np.argsort(ids).astype(np.int32))

    def ranks(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the ranks of ids."""
        return ids if self._ranks is None else tf.gather(self._ranks.value, ids)

    def ids(self, ranks: tf.Tensor) -> tf.Tensor:
        """Returns the ids of ranks."""
        return ranks if self._ids is None else tf.gather(self._ids.value, ranks)

    def by_id(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values in order of ids from values in order of ranks: `(n, V)`."""
        return values if self._ranks is None else tf.gather(values, self._ranks.value, axis=1)
