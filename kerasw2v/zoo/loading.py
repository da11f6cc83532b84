"""Makes what a recipe names: corpus, vocabulary, dataset and compiled model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasw2v.data.corpus import Corpus, iter_sentences
from kerasw2v.utils.files import PathLike
from kerasw2v.utils.paths import check_path
from kerasw2v.zoo.data import Part, open_corpus, planted_baskets
from kerasw2v.zoo.recipe import FILE, Recipe, read_recipe, recipe_file
from kerasw2v.zoo.vectors import load_packed

if TYPE_CHECKING:
    from kerasw2v.data.token_stream import TokenStream
    from kerasw2v.data.vocabulary import Vocabulary

# An installed package has the recipes inside; in a checkout they are next to the package.
_INSIDE = Path(__file__).parents[1] / "models"
FOLDER = _INSIDE if _INSIDE.is_dir() else Path(__file__).parents[2] / "models"
"""The folder of the recipes."""
VECTORS = "skip-gram-negative-sampling/vectors.npz"
UNKNOWN = "<unk>"
"""The word of a language model that stands for all words outside its vocabulary."""


@dataclass(frozen=True)
class Loaded:
    """The model, the data and the vocabulary of a recipe.

    Attributes:
        model: the compiled, untrained Keras model.
        dataset: the dataset for `model.fit`.
        vocabulary: the `kerasw2v.Vocabulary` of model and dataset.
        recipe: the `kerasw2v.zoo.recipe.Recipe`.
        corpus_name: name of the corpus.
        corpus: the whole corpus, a path or sentences.
        training: the part of it to train on.
        held_out: the part to measure perplexity on; empty if the recipe holds nothing out.
    """

    model: Any
    dataset: Any
    vocabulary: "Vocabulary"
    recipe: Recipe
    corpus_name: str
    corpus: Corpus
    training: Corpus
    held_out: Corpus


def names() -> list[str]:
    """Returns the names of all recipes.

    Example:

    >>> "skip-gram-negative-sampling" in names()
    True
    """
    return sorted(file.parent.name for file in FOLDER.glob(f"*/{FILE}"))


def find_recipe(name: PathLike, smoke: bool = False) -> Recipe:
    """Returns a recipe of the zoo, or one of your own.

    Args:
        name: one of `names()`, or the path of a TOML file or of its folder.
        smoke: True for the tiny variant.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is no recipe of that name, or it has an error.

    Example:

    >>> find_recipe("cbow-negative-sampling").model["architecture"]
    'cbow'
    """
    return read_recipe(find_file(name), smoke)


def find_file(name: PathLike) -> Path:
    """Returns the file that `find_recipe` reads, without reading it."""
    path = check_path("name", name)
    if path in names():
        return recipe_file(FOLDER / path)
    if os.sep in path or path.endswith(".toml"):
        return recipe_file(path)
    raise ValueError(
        f"`NAME` must be one of {', '.join(names())}, or the path of a recipe. Received: {path!r}."
    )


def load(
    name: PathLike,
    corpus: Corpus | None = None,
    smoke: bool = False,
    seed: int | None = None,
) -> Loaded:
    """Makes the model and the dataset of a recipe, ready for `model.fit(dataset)`.

    Args:
        name: one of `names()`, or the path of a recipe of your own.
        corpus: a path, a list of paths, a re-iterable of token lists, `"text8"` or `"lee"`. When
            None, the recipe's own data if it makes them, else `"lee"`: 60,000 words of news that
            gensim ships.
        smoke: True for the recipe's tiny variant, which trains in seconds on the small corpus.
        seed: seed of all draws; random when None.

    Returns:
        A `Loaded`; train for `recipe.training["epochs"]` epochs: the learning rate falls over them.

    Raises:
        ConnectionError: for text8, if it cannot be downloaded.
        FileNotFoundError, TypeError, ValueError: for a bad recipe or corpus.

    Example:

    >>> from kerasw2v import zoo
    >>> loaded = zoo.load("cbow-negative-sampling", smoke=True, seed=1)
    >>> history = loaded.model.fit(loaded.dataset, epochs=1, verbose=0)
    >>> sorted(history.history)
    ['loss']
    """
    recipe = find_recipe(name, smoke)
    corpus_name, whole = select_corpus(recipe, corpus)
    training: Corpus = whole
    held_out: Corpus = []
    held_out_words, max_words = recipe.data.get("held_out_words", 0), recipe.data.get("max_words")
    if held_out_words or max_words is not None:
        training = Part(whole, held_out_words, max_words)
        held_out = Part(whole, held_out_words, held_out=True)
    from kerasw2v.data.counted_corpus import read_corpus
    from kerasw2v.data.vocabulary import Vocabulary
    from kerasw2v.utils.runtime import require_tensorflow

    require_tensorflow()
    if recipe.model["architecture"] == "lstm":
        vocabulary = with_unknown(Vocabulary.from_corpus(training, **recipe.vocabulary))
        model, dataset = _language_model(recipe, training, vocabulary, seed)
    else:
        vocabulary, stream = read_corpus(training, **recipe.vocabulary)
        model, dataset = _word_vectors(recipe, stream, vocabulary, seed)
    return Loaded(model, dataset, vocabulary, recipe, corpus_name, whole, training, held_out)


def english_vectors() -> Any:
    """Returns the vectors that come with the package, ready to use.

    The recipe `skip-gram-negative-sampling` trained them on the text of English Wikipedia: the most
    frequent words, 100 dimensions, with counts. Wikipedia's text is under CC BY-SA; so are these
    vectors, with attribution to its authors. Numbers are rounded to a byte; the recipe's card shows
    what that costs.

    Returns:
        A `gensim.models.KeyedVectors`.

    Example:

    >>> vectors = english_vectors()
    >>> vectors.similarity("cat", "dog") > vectors.similarity("cat", "parliament")
    np.True_
    """
    return load_packed(FOLDER / VECTORS)


def select_corpus(recipe: Recipe, corpus: Corpus | None) -> tuple[str, Corpus]:
    """Returns the name and the sentences of `corpus`, or of the data that the recipe makes."""
    if recipe.needs_corpus or corpus is not None:
        return open_corpus(corpus)
    arguments = dict(recipe.data)
    return arguments.pop("kind"), planted_baskets(**arguments)


def with_unknown(vocabulary: "Vocabulary") -> "Vocabulary":
    """Returns a vocabulary with one more word, `<unk>`, for all words that it leaves out."""
    from kerasw2v.data.vocabulary import Vocabulary

    unknown = vocabulary.corpus_words - int(vocabulary.counts.sum())
    index = int(np.searchsorted(-vocabulary.counts, -max(unknown, 1), side="right"))
    words = [*vocabulary.words[:index], UNKNOWN, *vocabulary.words[index:]]
    return Vocabulary(words, np.insert(vocabulary.counts, index, max(unknown, 1)))


def _word_vectors(
    recipe: Recipe, stream: "TokenStream", vocabulary: "Vocabulary", seed: int | None
) -> tuple[Any, Any]:
    from kerasw2v.architectures import compile_model, make_model, suitable_batch_size
    from kerasw2v.data.block_dataset import block_dataset, kept_tokens
    from kerasw2v.layers.from_name import make_output_layer
    from kerasw2v.ops.windows import sufficient_halo

    training = recipe.training
    halo = sufficient_halo(recipe.model["window"], stream.longest_sentence())
    layer = make_output_layer(counts=vocabulary.counts, seed=seed, **recipe.output_layer)
    model = make_model(
        output_layer=layer, halo=halo, seed=seed, name=recipe.model["architecture"], **recipe.model
    )
    kept = kept_tokens(vocabulary.counts, training["sample"])
    dataset = block_dataset(
        stream,
        vocabulary,
        window=model.window,
        halo=halo,
        sample=training["sample"],
        batch_size=training["batch_size"] or suitable_batch_size(model, kept, training["epochs"]),
        seed=seed,
    )
    compile_model(
        model,
        len(dataset),
        training["epochs"],
        training["learning_rate"],
        steps_per_execution=training["steps_per_execution"],
    )
    return model, dataset


def _language_model(
    recipe: Recipe, corpus: Corpus, vocabulary: "Vocabulary", seed: int | None
) -> tuple[Any, Any]:
    """Returns a plain Keras model, whose outputs are losses, and sequences to train it on."""
    import keras

    from kerasw2v.layers import outputs_are_losses
    from kerasw2v.layers.from_name import make_output_layer

    length, dim = recipe.model["sequence_length"], recipe.model["embedding_dim"]
    units, training = recipe.model["units"], recipe.training
    initializers = keras.initializers
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    targets = keras.Input((length,), dtype="int32", name="targets")
    rows = keras.layers.Embedding(
        len(vocabulary), dim, initializers.RandomUniform(seed=seed), name="embedding"
    )(tokens)
    hidden = keras.layers.LSTM(
        units,
        return_sequences=True,
        kernel_initializer=initializers.GlorotUniform(seed),
        recurrent_initializer=initializers.Orthogonal(seed=seed),
    )(rows)
    output_layer = make_output_layer(counts=vocabulary.counts, seed=seed, **recipe.output_layer)
    losses = output_layer(keras.ops.reshape(hidden, (-1, units)), keras.ops.reshape(targets, (-1,)))
    model = keras.Model(
        [tokens, targets], keras.ops.reshape(losses, (-1, length)), name="language_model"
    )
    model.compile(
        keras.optimizers.Adam(training["learning_rate"]),
        loss=outputs_are_losses,
        steps_per_execution=training["steps_per_execution"],
    )
    dataset = sequences(corpus, vocabulary, length, training["batch_size"], seed)
    return model, dataset


def sequences(
    corpus: Corpus, vocabulary: "Vocabulary", length: int, batch_size: int, seed: int | None = None
) -> Any:
    """Returns a dataset of `((tokens, targets), targets)`, the targets being the next tokens.

    The corpus is one stream, cut into sequences in a new random order each epoch. An
    incomplete last batch is dropped.
    """
    import tensorflow as tf

    from kerasw2v.utils.runtime import without_autotune

    stream = np.concatenate([vocabulary.lookup(sentence) for sentence in iter_sentences(corpus)])
    stream[stream < 0] = vocabulary.index(UNKNOWN)
    count = (len(stream) - 1) // length
    if count < batch_size:
        raise ValueError(
            f"`corpus` must hold at least {batch_size * length + 1} words for a batch of "
            f"{batch_size} sequences of {length}. Received: {len(stream)} words."
        )
    tokens = stream[: count * length].reshape(count, length)
    targets = stream[1 : count * length + 1].reshape(count, length)
    dataset = tf.data.Dataset.from_tensor_slices(((tokens, targets), targets))
    dataset = dataset.shuffle(count, seed).batch(batch_size, drop_remainder=True)
    return without_autotune(dataset.prefetch(2))
