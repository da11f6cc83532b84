"""Settings of `kerasw2v.Word2Vec` that suit other data than text, each under one name.

Example:

>>> from kerasw2v import Word2Vec
>>> from kerasw2v.presets import BASKETS
>>> baskets = [["tea", "cup"], ["tea", "milk", "cup"]] * 50
>>> model = Word2Vec(baskets, vector_size=8, seed=1, **BASKETS | {"epochs": 10})
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

BASKETS: Mapping[str, Any] = MappingProxyType(
    {"sg": 1, "window": 1_000_000, "shrink_windows": False, "sample": 0, "epochs": 20}
)
"""Baskets, playlists and sessions: skip-gram on all pairs of a basket.

A basket has no order, so the window is wider than any basket, and whole. Frequent items are not
dropped: among few items each is frequent. Baskets are fewer than sentences of text, so there are
20 epochs. `kerasw2v train --preset baskets` takes the same settings.

Where to go from there depends on the data: try the exponent of the noise (`ns_exponent`, from -1 to
1), then `sample`, `epochs` and, for playlists and sessions, a smaller `window`, and compare by
`kerasw2v.evaluation.evaluate_next_items`.

Source: Barkan and Koenigstein, "Item2vec: neural item embedding for collaborative filtering", 2016;
Caselles-Dupré et al., "Word2vec applied to recommendation: hyperparameters matter", 2018.
"""

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType({"baskets": BASKETS})
"""All presets by the names that the command line has for them."""
