"""Loss and speed of a training over time, in a bounded number of points."""

import json
from dataclasses import dataclass, field
from typing import NamedTuple

from kerasw2v.utils.files import PathLike, replace_on_success
from kerasw2v.utils.paths import check_path

_MAX_POINTS = 1000


class Measurement(NamedTuple):
    """Loss and speed since the previous measurement.

    Attributes:
        epoch: epochs done, with a fraction.
        words: words of the corpus read since the start of training, subsampled ones included.
        seconds: time since the start of training.
        loss: mean loss since the previous measurement.
        words_per_second: mean speed since then; None while TensorFlow compiles the graph.
    """

    epoch: float
    words: float
    seconds: float
    loss: float
    words_per_second: float | None


@dataclass
class History:
    """Loss and speed of a training, which may be resumed, in at most a thousand points.

    When there are more, each two neighbours are merged.

    Attributes:
        begun: number of epochs before the first measurement.
        points: measurements in order of time.
        epochs: one measurement for each epoch.

    Example:

    >>> history = History()
    >>> history.add(Measurement(0.5, 500, 1.0, 2.0, 500.0))
    >>> history.add(Measurement(1.0, 1000, 2.0, 1.5, 500.0))
    >>> history.points[-1].loss
    1.5
    """

    begun: int = 0
    points: list[Measurement] = field(default_factory=list)
    epochs: list[Measurement] = field(default_factory=list)

    def add(self, point: Measurement) -> None:
        """Adds the next point."""
        self.points.append(point)
        if len(self.points) <= _MAX_POINTS:
            return
        before = self.begun * self.points[0].words / self.points[0].epoch
        merged = []
        for first, second in zip(self.points[::2], self.points[1::2], strict=False):
            merged.append(_merge(before, first, second))
            before = second.words
        self.points = merged + self.points[2 * len(merged) :]

    @property
    def seconds(self) -> float:
        """Duration of the training so far."""
        return max((m.seconds for m in (*self.points[-1:], *self.epochs[-1:])), default=0.0)

    @property
    def words_per_second(self) -> float | None:
        """Mean speed of all measured epochs; None if there are none."""
        speeds = [each.words_per_second for each in self.epochs if each.words_per_second]
        return len(speeds) / sum(1 / speed for speed in speeds) if speeds else None

    def save(self, path: PathLike) -> None:
        """Writes everything as JSON."""
        with replace_on_success(path, "w") as file:
            json.dump([self.begun, self.points, self.epochs], file)

    @classmethod
    def load(cls, path: PathLike, epochs: int) -> "History":
        """Reads the history of a training that continues.

        Args:
            path: a file of `save`. If it is missing, damaged or ends before `epochs`, a new history
                begins there: only a picture is lost.
            epochs: number of epochs done; later measurements are dropped.

        Example:

        >>> History.load("no-such-file.json", epochs=3).begun
        3
        """
        check_path("path", path)
        try:
            with open(path, encoding="utf-8") as file:
                begun, points, ends = json.load(file)
            points, ends = ([Measurement(*row) for row in rows] for rows in (points, ends))
            history = cls(
                int(begun),
                [point for point in points if point.epoch <= epochs],
                [end for end in ends if end.epoch <= epochs],
            )
        except (OSError, RecursionError, TypeError, ValueError):
            return cls(epochs)
        reached = history.epochs[-1].epoch if history.epochs else history.begun
        return history if reached == epochs else cls(epochs)


def _merge(words_before: float, first: Measurement, second: Measurement) -> Measurement:
    weights = first.words - words_before, second.words - first.words
    loss = (weights[0] * first.loss + weights[1] * second.loss) / sum(weights)
    speed = second.words_per_second
    if first.words_per_second and speed:
        speed = sum(weights) / (weights[0] / first.words_per_second + weights[1] / speed)
    return second._replace(loss=loss, words_per_second=speed)
