"""The two models by name: made from options, with the batch size and schedule that suit them."""

from typing import Any

from numpy.typing import ArrayLike

from kerasw2v.block_model import BlockModel
from kerasw2v.cbow import CBOW
from kerasw2v.data.block_dataset import default_batch_size
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.optimizers import RowSGD, default_schedule
from kerasw2v.skip_gram import SkipGram
from kerasw2v.utils.checks import check_choice

_LEAST_MERGE_STEPS = 32
_WORDS_PER_ROW = 4
ARCHITECTURES: dict[str, type[BlockModel]] = {"skip-gram": SkipGram, "cbow": CBOW}


def make_model(
    architecture: str, embedding_dim: int, output_layer: OutputLayer, **arguments: Any
) -> BlockModel:
    """Makes a model, not compiled yet, for the vocabulary of its output layer.

    `**arguments` are other arguments of the model, such as `window` and `seed`. Raises ValueError
    if there is no such architecture.
    """
    model_class = ARCHITECTURES[check_choice("architecture", architecture, tuple(ARCHITECTURES))]
    return model_class(output_layer.vocabulary_size, embedding_dim, output_layer, **arguments)


def suitable_batch_size(model: BlockModel, kept: ArrayLike, epochs: int = 1) -> int:
    """Returns the number of tokens per step that suits a model, its corpus and its training.

    Args:
        model: the model.
        kept: how many tokens of each word an epoch is expected to keep, `(V,)`: the counts, or
            those that subsampling leaves, from `kerasw2v.data.block_dataset.kept_tokens`.
        epochs: passes over the corpus.

    Example:

    >>> from kerasw2v import SkipGram, layers
    >>> from kerasw2v.architectures import suitable_batch_size
    >>> model = SkipGram(3, 8, layers.NegativeSampling(3))
    >>> [suitable_batch_size(model, [size, size, size]) for size in (100, 100_000, 10_000_000)]
    [32, 512, 4096]
    """
    return default_batch_size(kept, epochs, model.halo, model.largest_batch)


def suitable_merge_steps(model: BlockModel, batch_size: int) -> int:
    """Returns after how many steps workers should merge their tables (`callbacks.MergeTables`).

    A merge costs what some words cost for each row that has changed, and rows drift apart between
    merges: a worker trains on four words for each row of the tables, and for 32 steps at least.

    Args:
        model: the model.
        batch_size: tokens in a step of one worker.

    Example:

    >>> from kerasw2v import SkipGram, layers
    >>> from kerasw2v.architectures import suitable_merge_steps
    >>> sizes = (1_000, 84_000, 1_000_000)
    >>> [suitable_merge_steps(SkipGram(v, 2, layers.NegativeSampling(v)), 4096) for v in sizes]
    [32, 165, 1954]
    """
    rows = sum(int(weight.shape[0]) for weight in model.trainable_variables if len(weight.shape))
    return max(_LEAST_MERGE_STEPS, -(-_WORDS_PER_ROW * rows // batch_size))


def compile_model(
    model: BlockModel,
    steps_per_epoch: int,
    epochs: int,
    learning_rate: float | None = None,
    **arguments: Any,
) -> None:
    """Compiles a model with `RowSGD` and the `default_schedule` that suits it.

    `**arguments` are other arguments of `BlockModel.compile`.
    """
    architecture = "cbow" if isinstance(model, CBOW) else "skip-gram"
    schedule = default_schedule(architecture, steps_per_epoch, epochs, learning_rate)
    model.compile(RowSGD(schedule), **arguments)
