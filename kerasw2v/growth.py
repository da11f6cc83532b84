"""Models for more words: the vocabulary grows, or other vectors are the start."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasw2v.block_model import BlockModel
from kerasw2v.data.vocabulary import Vocabulary
from kerasw2v.layers.kept_rows import KeptRows
from kerasw2v.layers.output_layer import OutputLayer
from kerasw2v.ops.seeds import grown_seed
from kerasw2v.ops.sharded_table import ShardedTable
from kerasw2v.utils.checks import check_choice, check_instance, check_vectors, shortened


def grow(model: Any, vocabulary: Vocabulary, new_vocabulary: Vocabulary) -> Any:
    """Returns a model for a larger vocabulary, in which words keep what was learnt of them.

    Words are matched by name. They keep their input vectors and, of an output layer with rows for
    words, these rows; new words start as in a new model. What depends on the counts is kept as far
    as it can be:

    - noise distributions are those of the new counts;
    - `HierarchicalSoftmax` keeps its tree, with all vectors, as one leaf of the Huffman tree of the
      new words, so the paths of old words get a few edges longer;
    - `ClassSoftmax` keeps its classes; a new word joins the class of the next more frequent word;
    - `AdaptiveSoftmax` keeps its cutoffs; words that change their cluster start anew in it;
    - `BinaryCode` keeps the vectors of its frequent words; its bits start anew, with all codes.

    The last two warn if something is lost. A compiled model returns compiled, with an optimizer
    that has taken as many steps, so a learning rate schedule goes on where it was; of its slots
    (Adagrad's sums, Adam's moments) the same rows are kept as of the tables. For a schedule that
    starts again, compile the new model. The old model is not changed.

    Args:
        model: a `kerasw2v.SkipGram` or `kerasw2v.CBOW`. Where it was made in the scope of a
            strategy, call this in that scope.
        vocabulary: the `kerasw2v.Vocabulary` of the model.
        new_vocabulary: a vocabulary with all of these words and others, such as
            `vocabulary.merge(Vocabulary.from_corpus(new_corpus))`.

    Returns:
        A model of the same class and settings. With a seed, its own seed follows from that and the
        number of words: new words must not start where old words did.

    Raises:
        TypeError: if an argument is of another class.
        ValueError: if `vocabulary` is not the model's, `new_vocabulary` lacks a word of it, or the
            output layer shares the table of an embedding, or the model was given an `embedding`.

    Cost: a copy of each table; both models are in memory.

    Example:

    >>> from kerasw2v import SkipGram, Vocabulary, grow, layers
    >>> vocabulary = Vocabulary(["tea", "cup"], [3, 2])
    >>> model = SkipGram(2, 8, layers.NegativeSampling(vocabulary.counts))
    >>> merged = vocabulary.merge(Vocabulary(["milk", "tea"], [6, 1]))
    >>> grow(model, vocabulary, merged).vocabulary_size
    3
    """
    check_instance("model", model, BlockModel)
    check_instance("vocabulary", vocabulary, Vocabulary)
    check_instance("new_vocabulary", new_vocabulary, Vocabulary)
    _check_size(model, vocabulary)
    _check_rows_of_words(model)
    for word in vocabulary:
        if word not in new_vocabulary:
            raise ValueError(
                "`new_vocabulary` must have all words of `vocabulary`, as "
                f"`vocabulary.merge(new_vocabulary)` has. Received: none that is {shortened(word)}."
            )
    ids = vocabulary.lookup(new_vocabulary.words)
    layer, kept = grow_output_layer(
        model.output_layer, model.embedding_dim, new_vocabulary.counts, ids
    )
    config = model.get_config() | {
        "vocabulary_size": len(ids),
        "output_layer": layer,
        "seed": grown_seed(model.seed, len(ids)),
    }
    grown = type(model)(**config)
    vectors = KeptRows(model.embedding.table, grown.embedding.table, ids)
    _keep(_parts(vectors.old), _parts(vectors.new), vectors.source)
    kept.append(vectors)
    if model.compiled:
        grown.compile_from_config(model.get_compile_config())
        _keep_optimizer(model, grown, kept)
    return grown


def grow_output_layer(
    layer: OutputLayer,
    embedding_dim: int,
    counts: NDArray[np.integer],
    ids: NDArray[np.integer],
) -> tuple[OutputLayer, list[KeptRows]]:
    """Returns a layer for a larger vocabulary that has what is kept of this one, and what that is.

    Args:
        layer: the output layer, built.
        embedding_dim: width of the hidden vectors, d.
        counts: frequencies of the new vocabulary, `(V',)`.
        ids: the old id of each of its words, `(V',)`, -1 for a new word.
    """
    grown = layer.grown(counts, ids)
    grown.build((None, embedding_dim), (None,))
    kept = layer.kept_rows(grown, ids)
    for rows in kept:
        _keep(_parts(rows.old), _parts(rows.new), rows.source)
    return grown, kept


def warm_start(model: Any, vocabulary: Vocabulary, vectors: Any, table: str = "input") -> int:
    """Sets the vectors of a model's words to those of the same words elsewhere, before training.

    Words are matched by name; those that `vectors` do not have keep the vectors they have. The
    counterpart of `kerasw2v.to_keyed_vectors`.

    Args:
        model: a `kerasw2v.SkipGram` or `kerasw2v.CBOW`; it is changed.
        vocabulary: the `kerasw2v.Vocabulary` of the model.
        vectors: any `gensim.models.KeyedVectors` of the model's width.
        table: `"input"` for the input vectors; `"output"` for the output vectors, which only
            sampling layers and the full softmax have.

    Returns:
        The number of words that were found.

    Raises:
        TypeError: if an argument is of another class.
        ValueError: if `vocabulary` is not the model's, the vectors are of another width, no word is
            among them, or the output layer has no vector for each word.

    Cost: a copy of the table.

    Example:

    >>> from kerasw2v import SkipGram, Vocabulary, layers, to_keyed_vectors, warm_start
    >>> old_words, words = Vocabulary(["tea", "cup"], [3, 2]), Vocabulary(["milk", "tea"], [6, 4])
    >>> old = SkipGram(2, 8, layers.NegativeSampling(old_words.counts))
    >>> model = SkipGram(2, 8, layers.NegativeSampling(words.counts))
    >>> warm_start(model, words, to_keyed_vectors(old, old_words))
    1
    """
    check_instance("model", model, BlockModel)
    check_instance("vocabulary", vocabulary, Vocabulary)
    check_vectors("vectors", vectors)
    check_choice("table", table, ("input", "output"))
    _check_size(model, vocabulary)
    if table == "input":
        _check_rows_of_words(model)
    target = model.embedding.table
    if table == "output":
        target = getattr(model.output_layer, "embeddings", None)
        if target is None or target.shape[0] != len(vocabulary):
            raise ValueError(
                "`table` must be 'input' for a model whose output layer has no vector for each "
                f"word. Received: table='output', output_layer={type(model.output_layer).__name__}."
            )
    width = vectors.vectors.shape[1]
    if width != target.shape[1]:
        raise ValueError(
            f"`vectors` must have the width of the model's, {target.shape[1]}. "
            f"Received: vectors of width {width}."
        )
    source = np.array([vectors.key_to_index.get(word, -1) for word in vocabulary.words])
    if not (source >= 0).any():
        raise ValueError(
            "`vectors` must have at least one word of the vocabulary. Received: "
            f"{len(vectors.index_to_key):,} words, such as {shortened(vectors.index_to_key[:3])}; "
            f"vocabulary of {shortened(vocabulary.words[:3])} and others."
        )
    _set_rows(_parts(target), vectors.vectors, source)
    return int((source >= 0).sum())


def _check_rows_of_words(model: BlockModel) -> None:
    if "embedding" in model.get_config():
        raise ValueError(
            "`model` must have an embedding of its own, with one row for each word. "
            f"Received: a model with the embedding {type(model.embedding).__name__}."
        )


def _check_size(model: BlockModel, vocabulary: Vocabulary) -> None:
    if len(vocabulary) != model.vocabulary_size:
        raise ValueError(
            "`vocabulary` must be the one the model was made for. "
            f"Received: {len(vocabulary):,} words for {model.vocabulary_size:,} vectors."
        )


def _parts(table: Any) -> list[Any]:
    return table.parts if isinstance(table, ShardedTable) else [table]


def _values(parts: list[Any]) -> NDArray[Any]:
    """Returns a table whose row i is row `i // n` of part `i % n`."""
    arrays = [np.asarray(tf.convert_to_tensor(part.value)) for part in parts]
    values = np.empty((sum(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for part, array in enumerate(arrays):
        values[part :: len(arrays)] = array
    return values


def _set_rows(parts: list[Any], values: NDArray[Any], source: NDArray[np.integer]) -> None:
    """Sets each row of a table that has a source to that row of the values."""
    table = _values(parts)
    has_source = source >= 0
    table[has_source] = values[source[has_source]]
    for part, variable in enumerate(parts):
        variable.assign(table[part :: len(parts)])


def _keep(old: list[Any], new: list[Any], source: NDArray[np.integer]) -> None:
    _set_rows(new, _values(old), source)


def _keep_optimizer(model: BlockModel, grown: BlockModel, kept: list[KeptRows]) -> None:
    """Gives an optimizer the steps of the old one, and its slots of the rows that are kept."""
    if not model.optimizer.built:
        return
    grown.optimizer.iterations.assign(model.optimizer.iterations)
    old, new = _slots(model), _slots(grown)
    for rows in kept:
        pairs = zip(
            zip(*(old[part.path] for part in _parts(rows.old)), strict=True),
            zip(*(new[part.path] for part in _parts(rows.new)), strict=True),
            strict=True,
        )
        for old_slots, new_slots in pairs:
            _keep(list(old_slots), list(new_slots), rows.source)


def _slots(model: BlockModel) -> dict[str, list[Any]]:
    """Returns an optimizer's variables of the shape of each variable of the model, by its path."""
    slots: dict[str, list[Any]] = {each.path: [] for each in model.weights}
    # Keras names a slot by the variable's path and what it is: the longest path that fits is it.
    prefixes = sorted(
        ((path.replace("/", "_") + "_", path) for path in slots), key=lambda x: -len(x[0])
    )
    for variable in model.optimizer.variables:
        for prefix, path in prefixes:
            if variable.name.startswith(prefix):
                slots[path].append(variable)
                break
    return slots
