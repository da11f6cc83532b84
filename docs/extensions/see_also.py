"""Below the description of each public class: the concept behind it, and a tutorial at work.

A new class gets the entry of its module. For an entry of its own, add a line to `SEE_ALSO`.
"""

import inspect
from pathlib import Path
from typing import Any

TUTORIALS = Path(__file__).parents[2] / "tutorials"

# The longest beginning of a dotted name decides. A label of a page, and the number of a tutorial.
SEE_ALSO = {
    "kerasw2v": ("why-it-is-fast", 1),
    "kerasw2v.CBOW": ("negative-sampling", 1),
    "kerasw2v.SkipGram": ("negative-sampling", 1),
    "kerasw2v.Word2Vec": ("why-it-is-fast", 4),
    "kerasw2v.word2vec": ("why-it-is-fast", 4),
    "kerasw2v.block_model": ("why-it-is-fast", 2),
    "kerasw2v.callbacks.MergeTables": ("over-examples", 5),
    "kerasw2v.data": ("blocks-instead-of-pairs", 2),
    "kerasw2v.layers": ("softmax-approximations", 3),
    "kerasw2v.layers.AdaptiveSoftmax": ("adaptive-softmax", 3),
    "kerasw2v.layers.BinaryCode": ("binary-codes", 3),
    "kerasw2v.layers.ClassSoftmax": ("class-softmax", 3),
    "kerasw2v.layers.EmbeddingLookup": ("over-tables", 5),
    "kerasw2v.layers.EmbeddingPrediction": ("predicting-vectors", 3),
    "kerasw2v.layers.FullSoftmax": ("full-softmax", 3),
    "kerasw2v.layers.HierarchicalSoftmax": ("hierarchical-softmax", 3),
    "kerasw2v.layers.ImportanceSampling": ("importance-sampling", 3),
    "kerasw2v.layers.NCE": ("noise-contrastive-estimation", 3),
    "kerasw2v.layers.NegativeSampling": ("negative-sampling", 2),
    "kerasw2v.layers.OutputLayer": ("softmax-approximations", 8),
    "kerasw2v.layers.SampledSoftmax": ("sampled-softmax", 3),
    "kerasw2v.ops": ("why-it-is-fast", 2),
    "kerasw2v.ops.codes": ("binary-codes", 3),
    "kerasw2v.ops.cutoffs": ("adaptive-softmax", 3),
    "kerasw2v.ops.replica_sum": ("over-examples", 5),
    "kerasw2v.ops.sharded_table": ("over-tables", 5),
    "kerasw2v.optimizers": ("large-batches-that-stay-stable", 2),
    "kerasw2v.zoo": ("which-layer", 3),
}


def entry(name: str) -> tuple[str, int]:
    """Returns the label and the tutorial for a dotted name.

    Example:

    >>> entry("kerasw2v.layers.SumOfLosses")
    ('softmax-approximations', 3)
    """
    while name not in SEE_ALSO:
        name = name.rpartition(".")[0]
    return SEE_ALSO[name]


def _add_links(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what != "class" or not inspect.isclass(obj):
        return
    label, number = entry(name)
    (tutorial,) = TUTORIALS.glob(f"{number:02}_*.ipynb")
    lines += ["", f".. seealso:: :ref:`{label}`, :doc:`/tutorials/{tutorial.stem}`", ""]


def setup(app: Any) -> dict[str, bool]:
    """Is called by Sphinx."""
    app.connect("autodoc-process-docstring", _add_links, priority=900)  # after napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
