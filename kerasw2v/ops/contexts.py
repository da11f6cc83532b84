"""The words around each word of a sentence, in NumPy: for scoring, where speed matters little."""

import numpy as np
from numpy.typing import NDArray


def context_ids(ids: NDArray[np.int32], window: int) -> NDArray[np.int32]:
    """Returns the ids within `window` around each word of a sentence, `(n,) -> (n, 2 * window)`.

    Those before the word come first; -1 beyond the ends of the sentence.
    """
    if not len(ids):
        return np.zeros((0, 2 * window), np.int32)
    padded = np.pad(ids, window, constant_values=-1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1)
    return np.delete(frames, window, axis=1)
