"""The two models by name: made from options, with the batch size and schedule that suit them."""

from typing import Any

from kerasw2v.block_model import BlockModel
from kerasw2v.cbow import CBOW
from kerasw2v.data.block_dataset import default_batch_size
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.optimizers import RowSGD, default_schedule
from kerasw2v.skip_gram import SkipGram
from kerasw2v.utils.checks import check_choice

ARCHITECTURES: dict[str, type[BlockModel]] = {"skip-gram": SkipGram, "cbow": CBOW}


def make_model(
    architecture: str, embedding_dim: int, output_layer: OutputLayer, **arguments: Any
) -> BlockModel:
    """Makes a model, not compiled yet, for the vocabulary of its output layer.

    Args:
        architecture: `"skip-gram"` or `"cbow"`.
        embedding_dim: width of a vector.
        output_layer: the output layer.
        **arguments: other arguments of the model, such as `window` and `seed`.

    Raises:
        TypeError, ValueError: if there is no such architecture, or the model refuses an argument.

    Example:

    >>> from kerasw2v import layers
    >>> model = make_model("cbow", 8, layers.NegativeSampling(100), window=2)
    >>> type(model).__name__, model.vocabulary_size, model.window
    ('CBOW', 100, 2)
    """
    model_class = ARCHITECTURES[check_choice("architecture", architecture, tuple(ARCHITECTURES))]
    return model_class(output_layer.vocabulary_size, embedding_dim, output_layer, **arguments)


def suitable_batch_size(model: BlockModel, corpus_words: int) -> int:
    """Returns the number of tokens a step that suits a model and the size of its corpus.

    Args:
        model: the model; its window and output layer matter.
        corpus_words: number of words of the corpus, subsampled ones included.

    Example:

    >>> from kerasw2v import SkipGram, layers
    >>> model = SkipGram(100, 8, layers.NegativeSampling(100))
    >>> suitable_batch_size(model, corpus_words=100_000)
    256
    """
    return default_batch_size(corpus_words, model.window, model.largest_batch)


def compile_model(
    model: BlockModel,
    steps_per_epoch: int,
    epochs: int,
    learning_rate: float | None = None,
    **arguments: Any,
) -> None:
    """Compiles a model with `RowSGD` and the falling learning rate that suits it.

    Args:
        model: a model of `make_model`.
        steps_per_epoch: `len(dataset)`.
        epochs: how many epochs the training has.
        learning_rate: where to start; the library's default for the model when None.
        **arguments: other arguments of `BlockModel.compile`.

    Raises:
        TypeError, ValueError: if a number is not positive.

    Example:

    >>> from kerasw2v import SkipGram, layers
    >>> model = SkipGram(100, 8, layers.NegativeSampling(100))
    >>> compile_model(model, steps_per_epoch=10, epochs=5, learning_rate=0.05)
    >>> type(model.optimizer).__name__
    'RowSGD'
    """
    architecture = "cbow" if isinstance(model, CBOW) else "skip-gram"
    schedule = default_schedule(architecture, steps_per_epoch, epochs, learning_rate)
    model.compile(RowSGD(schedule), **arguments)
