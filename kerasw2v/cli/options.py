"""The options of `kerasw2v train`, and the folder that keeps an interrupted run."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kerasw2v.utils.files import check_output_path, replace_on_success
from kerasw2v.utils.locks import exclusive


def _option(group: str, writes: str | None = None) -> Any:
    return field(metadata={"group": group, "writes": writes})


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """All options of `kerasw2v train`, checked, with every default filled in.

    The parser makes it once. The training, the identity of a run and the report read it. The group
    of a field is its table in the report; `writes` says whether it names a "file" or a "folder"
    that the command writes. Workers other than the chief write nothing: these are None there.
    """

    corpus: tuple[str, ...]
    columns: tuple[str, str] | None
    order: str | None
    quiet: bool
    architecture: str = _option("Model")
    size: int = _option("Model")
    window: int = _option("Model")
    full_windows: bool = _option("Model")
    negative: int = _option("Model")
    noise_exponent: float = _option("Model")
    min_count: int = _option("Model")
    max_vocab: int | None = _option("Model")
    epochs: int = _option("Training")
    alpha: float = _option("Training")
    sample: float = _option("Training")
    seed: int | None = _option("Training")
    batch_size: int | None = _option("Training")
    workers: tuple[str, ...] = _option("Several machines")
    index: int = _option("Several machines")
    sync: str = _option("Several machines")
    local_steps: int | None = _option("Several machines")
    wait: float = _option("Several machines")
    output: str | None = _option("Files", writes="file")
    save_vocab: str | None = _option("Files", writes="file")
    read_vocab: str | None = _option("Files")
    initial_vectors: str | None = _option("Files")
    save_model: str | None = _option("Files", writes="file")
    checkpoint: str | None = _option("Files")
    projector: str | None = _option("Files", writes="folder")
    plot: str | None = _option("Files", writes="file")
    report: str | None = _option("Files", writes="file")

    def group(self, name: str) -> dict[str, Any]:
        """Returns the names and values of a group of options."""
        return {option: getattr(self, option) for option in _names("group", name)}

    def outputs(self, kind: str) -> list[str]:
        """Returns the paths of all files, or folders, that the command writes."""
        paths = [getattr(self, option) for option in _names("writes", kind)]
        return [path for path in paths if path]

    def without_outputs(self) -> "TrainOptions":
        """Returns the options of a worker that writes nothing, not even to the terminal."""
        names = _names("writes", "file") + _names("writes", "folder")
        changes: dict[str, Any] = {"quiet": True, **dict.fromkeys(names)}
        return replace(self, **changes)

    def hyperparameters(self) -> dict[str, Any]:
        """Returns the options that decide, with the corpus, how the vectors come out."""
        return self.group("Model") | self.group("Training")

    def identity(self) -> dict[str, Any]:
        """Returns what must be equal for a checkpoint to be resumed, as JSON stores it."""
        initial = [self.initial_vectors] if self.initial_vectors else []
        inputs = {
            "corpus": [_file_identity(path) for path in self.corpus],
            "columns": [*self.columns, self.order] if self.columns else None,
            "workers": max(1, len(self.workers)),  # their addresses may change
            "read_vocab": self.read_vocab,
            "initial_vectors": [_file_identity(path) for path in initial],
        }
        if self.workers:
            inputs |= {"sync": self.sync, "local_steps": self.local_steps}
        return inputs | self.hyperparameters()

    @property
    def shares_steps(self) -> bool:
        """Whether several workers make every step together."""
        return bool(self.workers) and self.sync == "gradients"

    def for_report(self) -> dict[str, dict[str, Any]]:
        """Returns the groups of options that a report shows, names in words.

        A report is passed on: of files and folders it shows the names, not where they are.
        """
        groups = ["Model", "Training", *(["Several machines"] if self.workers else []), "Files"]
        shown = {group: self.group(group) for group in groups}
        shown["Files"] = {
            name: path and os.path.basename(os.path.normpath(path))
            for name, path in shown["Files"].items()
        }
        return {
            group: {name.replace("_", " "): value for name, value in values.items()}
            for group, values in shown.items()
        }

    def run_state(self) -> "RunState | None":
        """Returns the folder of `--checkpoint`, if there is one."""
        return RunState(self.checkpoint, self.identity()) if self.checkpoint else None

    @property
    def worker_seed(self) -> int | None:
        """The seed of this process: workers that train on their own must not draw alike."""
        if self.seed is None or not self.workers or self.shares_steps:
            return self.seed
        return (self.seed + self.index) % 2**63


def _file_identity(path: str) -> list[str | int]:
    return [os.path.realpath(path), os.path.getsize(path)]


def _names(key: str, value: str) -> list[str]:
    return [each.name for each in fields(TrainOptions) if each.metadata.get(key) == value]


class RunState:
    """The state of an unfinished run, in the folder of `--checkpoint`.

    Args:
        folder: its path; `begin` makes it.
        identity: see `TrainOptions.identity`.

    Attributes:
        weights: file of the model's state after the last whole epoch.
        history: file of loss and speed so far.
    """

    def __init__(self, folder: str, identity: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.weights = self.folder / "kerasw2v.weights.h5"
        self.history = self.folder / "kerasw2v.history.json"
        self._identity_file = self.folder / "kerasw2v.json"
        self._identity = identity

    def check(self) -> None:
        """Raises ValueError if the folder holds the state of a run of other or unknown options."""
        if not self.weights.exists():
            return
        try:
            stored = json.loads(self._identity_file.read_text("utf-8"))
            differing = [name for name, value in self._identity.items() if stored[name] != value]
        except (KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(
                f"{str(self._identity_file)!r} is missing or damaged; remove "
                f"{str(self.weights)!r} to start anew."
            ) from error
        if differing:
            names = ", ".join(name.replace("_", "-") for name in differing)
            raise ValueError(
                "`--checkpoint` must not name a folder with the state of a run with other options "
                f"({names}). Received: --checkpoint {self.folder}."
            )

    def begin(self) -> None:
        """Makes the folder and writes down whose state it is, unless it is another run's."""
        self.check()
        self.folder.mkdir(exist_ok=True)
        with replace_on_success(self._identity_file, "w") as file:
            json.dump(self._identity, file)

    def remove(self) -> None:
        """Removes the state of a run that has finished."""
        for file in (self.weights, self._identity_file, self.history):
            file.unlink(missing_ok=True)


def check_paths(options: TrainOptions) -> None:
    """Checks all files and folders before any work is done; errors are one sentence."""
    from kerasw2v.data.corpus import check_corpus
    from kerasw2v.data.table import check_table_path
    from kerasw2v.keyed_vectors import check_vectors_path
    from kerasw2v.plots import check_plot_path
    from kerasw2v.report import check_report_path

    if options.output:
        check_vectors_path(options.output)
    if options.plot:
        check_plot_path(options.plot)
    if options.report:
        check_report_path(options.report)
    if options.save_model and not options.save_model.endswith(".keras"):
        raise ValueError(
            f"`--save-model` must end in .keras. Received: --save-model {options.save_model}."
        )
    files = options.outputs("file")
    for path in files:
        check_output_path(path)
    folders = [*options.outputs("folder"), *filter(None, [options.checkpoint])]
    inputs = [*options.corpus, *filter(None, [options.read_vocab, options.initial_vectors])]
    _check_distinct(files, [*inputs, *folders])
    for folder in folders:
        _check_folder(folder)
    for name in ("read_vocab", "initial_vectors"):
        path = getattr(options, name)
        if path and not os.path.isfile(path):
            option = f"--{name.replace('_', '-')}"
            raise FileNotFoundError(f"`{option}` must name a file that exists. Received: {path!r}.")
    for path in options.corpus:
        if options.columns:
            check_table_path(path)
        else:
            check_corpus(Path(path))
    state = options.run_state()
    if state and options.output:
        state.check()


@contextmanager
def exclusive_outputs(options: TrainOptions) -> Iterator[None]:
    """Keeps all that the options name for output from other runs, until the block ends.

    Raises:
        BlockingIOError: if another run writes one of them.
    """
    if not options.output:
        yield
        return
    folders = [*options.outputs("folder"), *filter(None, [options.checkpoint])]
    new = [folder for folder in folders if not os.path.isdir(folder)]
    paths = [*options.outputs("file"), *folders]
    try:
        with ExitStack() as stack:
            for folder in folders:  # a lock lies in its folder
                os.makedirs(folder, exist_ok=True)
            for path in {os.path.realpath(path): path for path in paths}.values():
                stack.enter_context(exclusive(path))
            yield
    except BaseException:
        for folder in new:
            with suppress(OSError):  # it is not empty
                os.rmdir(folder)
        raise


def _check_distinct(outputs: list[str], others: list[str]) -> None:
    used = {os.path.realpath(path) for path in others}
    for path in outputs:
        real = os.path.realpath(path)
        if real in used:
            raise ValueError(
                f"`{path}` must not be written: the same command reads or writes it already."
            )
        used.add(real)


def _check_folder(folder: str) -> None:
    # A file inside an existing folder and a new folder need the same: a parent to write to.
    path = Path(folder)
    check_output_path(path / "file" if path.is_dir() else path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"`FOLDER` must not be a file. Received: {folder!r}.")
