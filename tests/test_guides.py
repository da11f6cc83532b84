"""The guides are run, and the layer that one of them adds does what every output layer must."""

import functools
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from .conformance import test_output_layers as conformance
from .conformance.descriptors import Row

GUIDE = Path(__file__).parents[1] / "docs" / "adding_an_output_layer.md"


@functools.cache
def run_guide():
    """Runs the guide's Python blocks in their order, and returns the names that they define."""
    text = GUIDE.read_text("utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    assert len(blocks) == 2
    namespace = {"__name__": "guide"}
    for block in blocks:
        # Empty lines in front make the line numbers of an error those of the guide.
        lines_before = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines_before + block[1], str(GUIDE), "exec"), namespace)
    return namespace


@pytest.fixture
def row():
    return Row(run_guide()["OneVersusAll"], growth=1.0)


def for_the_guide(function):
    """Returns a test of the conformance suite that gets the guide's row instead of the table's."""

    @functools.wraps(function)
    def test(*arguments, **named):
        function(*arguments, **named)

    test.pytestmark = [mark for mark in function.pytestmark if mark.args[0] != "row"]
    return test


globals().update(
    {
        name: for_the_guide(function)
        for name, function in vars(conformance).items()
        if name.startswith("test_") and "row" in inspect.signature(function).parameters
    }
)


def test_the_loss_is_what_the_guide_says(row):
    layer = conformance.make(row)
    hidden, targets = conformance.pairs()
    scores = np.float64(hidden) @ layer.embeddings.numpy().T
    right = np.take_along_axis(scores, targets[:, None], axis=1)[:, 0]
    expected = np.logaddexp(0, scores).sum(axis=1) - right
    np.testing.assert_allclose(layer(hidden, targets), expected, rtol=1e-5)
