"""Which rows of a layer's tables are kept when the vocabulary grows."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class KeptRows(NamedTuple):
    """A table of a layer, the one in its place in the grown layer, and what goes where.

    Attributes:
        old: the table, a Keras weight or an `ops.sharded_table.ShardedTable`.
        new: the table of the grown layer.
        source: for each row of `new` the row of `old` that it gets, or -1 to stay as it is made.
    """

    old: Any
    new: Any
    source: NDArray[np.integer]


def kept_whole(old: Any, new: Any) -> KeptRows:
    """Keeps a table that has no rows of words: all of it."""
    return KeptRows(old, new, np.arange(new.shape[0]))


def kept_range(old: Any, new: Any, source: NDArray[np.integer], first: int, size: int) -> KeptRows:
    """Keeps rows of a table that holds `size` rows from row `first` on of what `source` counts."""
    is_inside = (source >= first) & (source < first + size)
    return KeptRows(old, new, np.where(is_inside, source - first, -1))


def source_ranks(
    ids: NDArray[np.integer], old_order: NDArray[np.integer], order: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Returns for each rank of a grown vocabulary the word's old rank, -1 for a new word.

    Args:
        ids: the old id of each word, `(V',)`, -1 for a new one.
        old_order: the old ids by frequency, `(V,)`, most frequent first.
        order: the new ids by frequency, `(V',)`.
    """
    ranks = np.argsort(old_order)
    old_ids = ids[order]
    return np.where(old_ids >= 0, ranks[old_ids], -1)
