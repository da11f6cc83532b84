"""The words around each word of a sentence, in NumPy: for scoring, where speed matters little."""

import numpy as np
from numpy.typing import NDArray


def context_ids(ids: NDArray[np.int32], window: int) -> NDArray[np.int32]:
    """Returns the ids around each word of a sentence.

    Args:
        ids: word ids, `(n,)`.
        window: largest distance of a context word.

    Returns:
        Ids, `(n, 2 * window)`: first those before the word; -1 beyond the ends of the sentence.

    Example:

    >>> context_ids(np.array([7, 8, 9], np.int32), window=1).tolist()
    [[-1, 8], [7, 9], [8, -1]]
    """
    if not len(ids):
        return np.zeros((0, 2 * window), np.int32)
    padded = np.pad(ids, window, constant_values=-1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1)
    return np.delete(frames, window, axis=1)
