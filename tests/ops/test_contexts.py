import numpy as np
import pytest

from kerasw2v.ops.contexts import context_ids


@pytest.mark.parametrize("length", [0, 1, 2, 7])
@pytest.mark.parametrize("window", [1, 3])
def test_against_a_loop(length, window):
    ids = np.random.default_rng(0).integers(0, 99, length).astype(np.int32)
    offsets = [offset for offset in range(-window, window + 1) if offset]
    expected = [
        [ids[i + offset] if 0 <= i + offset < length else -1 for offset in offsets]
        for i in range(length)
    ]
    contexts = context_ids(ids, window)
    assert contexts.dtype == np.int32
    assert contexts.shape == (length, 2 * window)
    assert contexts.tolist() == expected
