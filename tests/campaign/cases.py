"""What a family of cases is, and how it is run: in a process of its own, counted, timed."""

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Case = tuple[str, Callable[[], None]]  # its name, and what raises if it fails


@dataclass(frozen=True)
class Plan:
    """What a family is told: how much of it, which random numbers, and a folder of its own."""

    whole: bool
    seed: int
    folder: Path

    def number(self, small: int, whole: int) -> int:
        return whole if self.whole else small

    def random(self) -> random.Random:
        return random.Random(self.seed)

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


@dataclass
class Outcome:
    family: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        return self.passed + len(self.failed)


Family = Callable[[Plan], Iterator[Case]]


def run_family(name: str, family: Family, plan: Plan) -> Outcome:
    """Runs all cases in a fork, so that no family starts TensorFlow for another or ends it."""
    outcome = Outcome(name)
    begun = time.monotonic()
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(reader)
        with os.fdopen(writer, "w", buffering=1) as reports:
            _run_cases(family, plan, reports)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as reports:
        is_complete = False
        for line in reports:
            report = json.loads(line)
            is_complete = report == "end"
            if is_complete:
                break
            case, problem = report
            if problem is None:
                outcome.passed += 1
            else:
                outcome.failed.append(f"{name}: {case}: {problem}")
    status = os.waitpid(child, 0)[1]
    if not is_complete:
        outcome.failed.append(f"{name}: the process of the family ended with status {status}")
    outcome.seconds = time.monotonic() - begun
    return outcome


def _run_cases(family, plan, reports):
    def report(item):
        reports.write(json.dumps(item) + "\n")

    try:
        for name, run in family(plan):
            try:
                run()
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                text = " ".join(str(error).split())[:400]
                place = f"{Path(where.filename).name}:{where.lineno}"
                report([name, f"{type(error).__name__} at {place}: {text}"])
            else:
                report([name, None])
    except BaseException:
        report(["making the cases", traceback.format_exc()])
    report("end")


class Ended:
    """How a forked process ended: its exit code, negative for a signal, and what it printed."""

    def __init__(self, code: int, output: str) -> None:
        self.code, self.output = code, output

    def sentence(self) -> str:
        """The one line of an error; fails if there is another number of lines."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        told = [line for line in lines if line.startswith("kerasw2v: ")]
        assert self.code == 1, f"exit code {self.code}: {self.output[-300:]}"
        assert lines[-1:] == told == told[-1:], f"not one sentence: {self.output[-300:]}"
        return told[0]


class Forked:
    """A function that runs in a forked process."""

    def __init__(self, function: Callable[[], object], folder: Path) -> None:
        self.folder = folder
        handle, self._output = tempfile.mkstemp()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            os.close(handle)
            return
        code = 70
        try:
            os.chdir(folder)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
            result = function()
            code = result if isinstance(result, int) else 0
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def kill(self, number: int = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float = 120.0) -> Ended:
        end = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                self.kill()
                os.waitpid(self.pid, 0)
                output = self._text()
                raise AssertionError(f"still running after {seconds:g} s: {output[-300:]}")
            time.sleep(0.01)
        return Ended(os.waitstatus_to_exitcode(status), self._text())

    def _text(self) -> str:
        text = Path(self._output).read_text(errors="replace")
        os.unlink(self._output)
        return text


def in_fork(function: Callable[[], object], folder: Path, seconds: float = 120.0) -> Ended:
    return Forked(function, folder).wait(seconds)


@contextmanager
def expected(*kinds: type[BaseException], names: str = "") -> Iterator[None]:
    """Fails unless the block raises one of these with one sentence, which holds `names`."""
    try:
        yield
    except kinds as error:
        text = str(error)
        assert len(text.strip().splitlines()) == 1, f"not one sentence: {text!r}"
        assert names in text, f"does not name {names}: {text!r}"
    else:
        raise AssertionError("nothing was raised")


TRAIN = "train corpus.txt --output v.kv --min-count 1 --size 8 --seed 1 --quiet"


def write_corpus(folder: Path) -> None:
    """Writes two topics into `corpus.txt`."""
    rng = random.Random(0)
    topics = ["cat dog milk purr bark tail", "tax bank money loan rate credit"]
    lines = [" ".join(rng.choices(topics[i % 2].split(), k=12)) for i in range(200)]
    (folder / "corpus.txt").write_text("\n".join(lines) + "\n")


def command(*arguments: str) -> int:
    """Runs the command line in this process, which has imported TensorFlow and not started it."""
    from kerasw2v.cli import main

    return main(list(arguments))


def vectors_of(folder: Path):
    """What was trained, or None if there is no file; fails if it cannot be loaded."""
    from kerasw2v.keyed_vectors import load_vectors

    path = folder / "v.kv"
    if not path.exists():
        return None
    loaded = load_vectors(path)
    return loaded.index_to_key, loaded.vectors.tolist()


def leftovers(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.startswith("."))
