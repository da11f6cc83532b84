"""Words in classes, and rows of a batch sorted by class into tiles of equal shape."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray


def frequency_classes(counts: NDArray[np.float64], num_classes: int) -> NDArray[np.int32]:
    """Cuts the words in order of frequency into classes of equal mass: int32, `(V,)`.

    A word's mass here is the square root of its count: frequent words get small classes, so the
    class of an average token is far smaller than `V / num_classes`. No class is empty.

    Args:
        counts: frequencies of the words by id, `(V,)`, in any order.
        num_classes: from 1 to V.

    Source: Grave et al., "Efficient softmax approximation for GPUs", 2017.
    """
    ids = np.argsort(-counts, kind="stable")
    mass = np.sqrt(counts[ids])
    numbers = np.arange(1, num_classes)
    centres = np.cumsum(mass) - mass / 2  # a word belongs to the class with most of its mass
    ends = np.searchsorted(centres, mass.sum() * numbers / num_classes)
    ends = np.maximum.accumulate(ends - numbers) + numbers  # a word for each class
    ends = np.clip(ends, numbers, len(counts) - num_classes + numbers)  # and for later ones
    starts = np.zeros(len(counts), np.int32)
    starts[ends] = 1
    classes = np.empty(len(counts), np.int32)
    classes[ids] = np.cumsum(starts)
    return classes


def check_classes(
    classes: ArrayLike, vocabulary_size: int, num_classes: int | None
) -> NDArray[np.int32]:
    """Returns the class of each word as int32.

    Args:
        classes: integers from 0 to C - 1, `(V,)`, each of them at least once.
        vocabulary_size: V.
        num_classes: C; that of `classes` when None.

    Raises:
        TypeError: if `classes` are not integers.
        ValueError: if there is not one for each word, one is out of range, or a class has no word.
    """
    array = np.asarray(classes)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"`classes` must be integers. Received: dtype={array.dtype}.")
    if array.shape != (vocabulary_size,):
        raise ValueError(
            f"`classes` must name a class for each of the {vocabulary_size} words. "
            f"Received: shape={array.shape}."
        )
    size = int(array.max()) + 1 if num_classes is None else num_classes
    outside = array[(array < 0) | (array >= size)]
    if outside.size:
        raise ValueError(
            f"`classes` must be in [0, {size}). Received: a word in class {int(outside[0])}."
        )
    present = np.unique(array)
    if len(present) < size:
        missing = np.argmax(np.append(present, -1) != np.arange(len(present) + 1))
        raise ValueError(
            f"`classes` must have a word in each of the {size} classes. "
            f"Received: none in class {missing}."
        )
    return array.astype(np.int32)


def grown_classes(
    classes: NDArray[np.int32], ids: NDArray[np.integer], order: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Returns the classes of a vocabulary that has grown: words keep theirs.

    A new word gets the class of the next more frequent word that has one, or of the most frequent
    of those if there is none.

    Args:
        classes: the class of each word, `(V,)`.
        ids: the old id of each word of the new vocabulary, `(V',)`, -1 for a new one.
        order: the new ids, most frequent first, `(V',)`.

    Example:

    >>> grown_classes(np.array([0, 1]), np.array([-1, 0, -1, 1]), np.arange(4)).tolist()
    [0, 0, 0, 1]
    """
    old_ids = ids[order]
    places = np.flatnonzero(old_ids >= 0)  # of words that have a class
    nearest = np.searchsorted(places, np.arange(len(order)), side="right") - 1
    grown = np.empty(len(order), np.int32)
    grown[order] = classes[old_ids[places[np.maximum(nearest, 0)]]]
    return grown


class Tiles(NamedTuple):
    """Tiles of one shape that together hold the scores of rows with all words of their classes.

    Rows that share a class are cut into bands of `height`, a class's words into chunks of `width`.
    A tile is a band with one chunk of its class's words:

    ```
                        words of class 0     words of class 1
                        chunk 0   chunk 1    chunk 0
    rows of class 0     tile 0    tile 1                        band 0
    more of them        tile 2    tile 3                        band 1
    rows of class 1                          tile 4             band 2
    ```

    Bands and chunks that are not full repeat their last row or word.

    Attributes:
        rows: the rows of each band, `(bands, height)`.
        positions: where each row is in `rows`, flattened, `(rows,)`.
        bands: the band of each tile, ascending, `(tiles,)`.
        words: the words of each tile, `(tiles, width)`.
        is_word: 1 for words, 0 for repetitions, float32, `(tiles, width)`.
        targets: tile, row and column of the score of each row's target, `(rows, 3)`.
    """

    rows: tf.Tensor
    positions: tf.Tensor
    bands: tf.Tensor
    words: tf.Tensor
    is_word: tf.Tensor
    targets: tf.Tensor


def tile_rows(
    classes: tf.Tensor,
    ranks: tf.Tensor,
    members: tf.Variable,
    starts: tf.Tensor,
    height: int,
    width: int,
) -> Tiles:
    """Sorts rows by class and cuts them, and the words of their classes, into tiles.

    Args:
        classes: int32, the class of each row's target, `(rows,)`.
        ranks: int32, the index of each row's target in `members`, `(rows,)`.
        members: int32 variable, words class by class, `(V,)`.
        starts: int32, where each class starts in `members`, and V, `(C + 1,)`.
        height: rows in a band.
        width: words in a chunk.
    """
    order = tf.argsort(classes, stable=True)
    bounds = tf.searchsorted(tf.gather(classes, order), tf.range(starts.shape[0]))
    bands_per_class = -(-(bounds[1:] - bounds[:-1]) // height)
    chunks_per_class = -(-(starts[1:] - starts[:-1]) // width)

    band_classes, band_numbers = _repeat(bands_per_class)
    indices = (tf.gather(bounds, band_classes) + band_numbers * height)[:, None] + tf.range(height)
    last = tf.gather(bounds, band_classes + 1)[:, None] - 1
    rows = tf.gather(order, tf.minimum(indices, last))

    tiles_per_band = tf.gather(chunks_per_class, band_classes)
    bands, chunk_numbers = _repeat(tiles_per_band)
    tile_classes = tf.gather(band_classes, bands)
    indices = (tf.gather(starts, tile_classes) + chunk_numbers * width)[:, None] + tf.range(width)
    last = tf.gather(starts, tile_classes + 1)[:, None] - 1
    words = tf.gather(members, tf.minimum(indices, last))
    is_word = tf.cast(indices <= last, tf.float32)

    row_numbers = tf.math.invert_permutation(order) - tf.gather(bounds, classes)
    first_bands = tf.cumsum(bands_per_class, exclusive=True)
    row_bands = tf.gather(first_bands, classes) + row_numbers // height
    word_numbers = ranks - tf.gather(starts, classes)
    first_tiles = tf.cumsum(tiles_per_band, exclusive=True)
    target_tiles = tf.gather(first_tiles, row_bands) + word_numbers // width
    targets = tf.stack([target_tiles, row_numbers % height, word_numbers % width], axis=1)
    positions = row_bands * height + row_numbers % height
    return Tiles(rows, positions, bands, words, is_word, targets)


def _repeat(repeats: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Repeats the index of each number that often; also numbers the repetitions of each from 0."""
    indices = tf.repeat(tf.range(tf.size(repeats)), repeats)
    first = tf.cumsum(repeats, exclusive=True)
    return indices, tf.range(tf.size(indices)) - tf.gather(first, indices)
