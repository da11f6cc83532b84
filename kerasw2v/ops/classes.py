"""Words in classes, and rows of a batch sorted by class into tiles of equal shape."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray


def frequency_classes(counts: NDArray[np.float64], num_classes: int) -> NDArray[np.int32]:
    """Cuts the words, most frequent first, into classes of equal mass.

    A word's mass is the square root of its count: frequent words get small classes, so an average
    word's class is far smaller than `V / num_classes`. No class is empty.

    Args:
        counts: frequencies of the words, most frequent first, `(V,)`.
        num_classes: from 1 to V.

    Returns:
        The class of each word, rising, `(V,)`.

    Example:

    >>> frequency_classes(np.array([100, 25, 16, 9, 9, 4, 4, 1, 1, 1]), 3).tolist()
    [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]

    Source: Grave et al., "Efficient softmax approximation for GPUs", 2017.
    """
    mass = np.sqrt(counts)
    numbers = np.arange(1, num_classes)
    centres = np.cumsum(mass) - mass / 2  # a word goes where most of it lies
    ends = np.searchsorted(centres, mass.sum() * numbers / num_classes)
    ends = np.maximum.accumulate(ends - numbers) + numbers  # each takes a word at least
    ends = np.clip(ends, numbers, len(counts) - num_classes + numbers)  # and leaves one a class
    starts = np.zeros(len(counts), np.int32)
    starts[ends] = 1
    return np.cumsum(starts, dtype=np.int32)


def check_classes(
    classes: ArrayLike, vocabulary_size: int, num_classes: int | None
) -> NDArray[np.int32]:
    """Returns the given class of each word.

    Args:
        classes: integers from 0 to C - 1, `(V,)`, none of them left out.
        vocabulary_size: V.
        num_classes: C, or None to find it.

    Raises:
        TypeError: if `classes` are not integers.
        ValueError: if they are not one for each word, out of range, or a class has no word.
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


class Tiles(NamedTuple):
    """Equal tiles that together hold all scores of rows with the words of their classes.

    Rows that share a class stand together, `height` to a tile; a class's words are cut into pieces
    of `width`. Item `k` is tile `tile_of[k]` of rows against one piece of its class. Tiles and
    pieces that are not full repeat their last row or word.

    Attributes:
        rows: the row in each slot of each tile, `(tiles, height)`.
        slots: the slot of each row, `tile * height + place`, `(rows,)`.
        tile_of: the tile of each item, rising, `(items,)`.
        words: each item's words, `(items, width)`.
        is_word: 1 for those, 0 for repetitions, float32, `(items, width)`.
        targets: where each row's target is: item, place, column, `(rows, 3)`.
    """

    rows: tf.Tensor
    slots: tf.Tensor
    tile_of: tf.Tensor
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
        ranks: int32, each row's target as a place in `members`, `(rows,)`.
        members: int32 variable, words class by class, `(V,)`.
        starts: int32, where each class starts in `members`, and V, `(C + 1,)`.
        height: rows in a tile.
        width: words in a piece.

    Cost: a sort of the rows, and integers for each row, tile, item and word.
    """
    order = tf.argsort(classes, stable=True)
    bounds = tf.searchsorted(tf.gather(classes, order), tf.range(starts.shape[0]))
    tiles_of_class = -(-(bounds[1:] - bounds[:-1]) // height)
    pieces_of_class = -(-(starts[1:] - starts[:-1]) // width)
    tile_bounds = tf.cumsum(tiles_of_class, exclusive=True)

    class_of, nth_tile = _repeated(tiles_of_class)
    slots = (tf.gather(bounds, class_of) + nth_tile * height)[:, None] + tf.range(height)
    last = tf.gather(bounds, class_of + 1)[:, None] - 1
    rows = tf.gather(order, tf.minimum(slots, last))

    pieces = tf.gather(pieces_of_class, class_of)
    tile_of, nth_piece = _repeated(pieces)
    item_class = tf.gather(class_of, tile_of)
    places = (tf.gather(starts, item_class) + nth_piece * width)[:, None] + tf.range(width)
    last = tf.gather(starts, item_class + 1)[:, None] - 1
    words = tf.gather(members, tf.minimum(places, last))

    nth_row = tf.math.invert_permutation(order) - tf.gather(bounds, classes)
    tile = tf.gather(tile_bounds, classes) + nth_row // height
    nth_word = ranks - tf.gather(starts, classes)
    item = tf.gather(tf.cumsum(pieces, exclusive=True), tile) + nth_word // width
    targets = tf.stack([item, nth_row % height, nth_word % width], axis=1)
    return Tiles(
        rows,
        tile * height + nth_row % height,
        tile_of,
        words,
        tf.cast(places <= last, tf.float32),
        targets,
    )


def _repeated(repeats: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each index as often as it is told, and the how-manieth time it is."""
    index = tf.repeat(tf.range(tf.size(repeats)), repeats)
    first = tf.cumsum(repeats, exclusive=True)
    return index, tf.range(tf.size(index)) - tf.gather(first, index)
