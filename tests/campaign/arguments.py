"""Every argument of every public function and class, against a table of bad values."""

import dataclasses
import importlib
import inspect
import json
import resource
import signal
import time
from functools import partial

import numpy as np
from cases import in_fork

MODULES = [
    "kerasw2v",
    "kerasw2v.layers",
    "kerasw2v.optimizers",
    "kerasw2v.callbacks",
    "kerasw2v.keyed_vectors",
    "kerasw2v.evaluation",
    "kerasw2v.multi_worker",
    "kerasw2v.plots",
    "kerasw2v.report",
    "kerasw2v.history",
]
BAD = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "2**31": 2**31,
    "2**63": 2**63,
    "1j": 1j,
    "a string": "x",
    "an empty string": "",
    "bytes": b"x",
    "[]": [],
    "[nan]": [float("nan")],
    "{}": {},
    "an object": object(),
    "np.int64(-3)": np.int64(-3),
    "np.float32(nan)": np.float32("nan"),
    "an array": np.zeros(3),
}
SECONDS = 30  # of one call
MEMORY = 4 * 2**30  # more than the process has when it begins
TOLD = (
    TypeError,
    ValueError,
    OSError,
    MemoryError,
    KeyError,
    IndexError,
    RuntimeError,
    NotImplementedError,
    ImportError,
)
# What a sentence may call an argument instead.
ALSO_CALLED = {"sentences": "corpus", "corpus_file": "corpus"}
# Not called: they need a cluster (see `workers`), are a description, or helpers of ours.
LEFT_OUT = {"connect", "check_same", "check_workers", "from_chief", "is_chief", "is_multi_worker"}
LEFT_OUT |= {"lost_workers_are_errors", "reducible_logs", "repeated_for_workers", "Words"}
LEFT_OUT |= {"OutputLayer", "with_counts", "outputs_are_losses", "plot_plan", "quantize_rows"}
# Any value is right by definition, or it is another library's object and used as such.
ANYTHING = {"title", "name", "comment", "hashfxn", "stream", "strategy", "figure"}
ANYTHING |= {"embeddings_initializer"}
ANYTHING |= {"history", "settings", "evaluation"}
# Names of files that some functions want.
PATHS = {
    "Checkpoint": "state.weights.h5",
    "save_plot": "plot.png",
    "check_plot_path": "plot.png",
    "write_report": "run.html",
    "check_report_path": "run.html",
    "load_vectors": "loaded.vec",
}


def targets():
    """Name and function or class, of all public ones."""
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        listed = getattr(module, "__all__", None)
        for name in listed or [n for n in vars(module) if n[0] != "_"]:
            item = getattr(module, name)
            origin = getattr(item, "__module__", "")
            is_ours = origin.startswith("kerasw2v") if listed else origin == module_name
            # Records only hold what they are given.
            is_record = isinstance(item, type) and (
                issubclass(item, tuple) or dataclasses.is_dataclass(item)
            )
            if callable(item) and is_ours and not is_record and name not in LEFT_OUT:
                found.setdefault(f"{item.__module__}.{item.__qualname__}", item)
    return found


def cases(plan):
    rng = plan.random()
    for name, target in targets().items():
        yield from _cases_of(plan, name, target, rng.sample(list(BAD), plan.number(6, len(BAD))))


def _cases_of(plan, name, target, chosen):
    """One fork for each function, so that none of them ends the campaign."""
    folder = plan.new_folder()
    notes = folder / "notes"
    try:
        ended = in_fork(partial(try_all, target, chosen, notes, folder), folder, 900)
        problem = None if ended.code == 0 else f"exit code {ended.code}: {ended.output[-300:]}"
    except AssertionError as error:
        problem = str(error)
    last = "before the first one"
    for line in notes.read_text().splitlines() if notes.exists() else []:
        case, outcome = json.loads(line)
        if outcome == "begun":
            last = case
            continue
        yield f"{name}({case})", partial(_raise, outcome)
    yield f"{name}: the process", partial(_raise, problem and f"{problem} (in {last})")


def _raise(problem):
    if problem:
        raise AssertionError(problem)


def try_all(target, chosen, notes, folder):
    limit = _used() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, _too_long)
    with open(notes, "w", buffering=1) as file:

        def note(case, outcome):
            file.write(json.dumps([case, outcome]) + "\n")

        parameters = inspect.signature(target).parameters.values()
        made = values(folder, "")
        missing = [
            each.name
            for each in parameters
            if each.default is each.empty
            and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            and each.name not in made
        ]
        if missing:
            note("", f"no good value is known for {missing}: add it to `values`")
            return
        note("good values", "begun")
        note("good values", _problem(partial(_call, target, {}, folder)))
        for parameter in parameters:
            is_variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if parameter.name in ANYTHING or is_variable:
                continue
            for text in chosen:
                value = BAD[text]
                if text == "an array" and "bool" in str(parameter.annotation):
                    continue  # NumPy itself refuses to say whether it is true
                case = f"{parameter.name}={text}"
                note(case, "begun")
                call = partial(_call, target, {parameter.name: value}, folder)
                note(case, _problem(call, parameter.name, [each.name for each in parameters]))


def _call(target, changes, folder):
    makers = values(folder, PATHS.get(target.__name__, "file.kv"))
    parameters = inspect.signature(target).parameters
    needed = [n for n, p in parameters.items() if p.default is p.empty and n in makers]
    given = {name: makers[name]() for name in needed if name not in changes}
    target(**given, **changes)


def _problem(call, name=None, others=()):
    """What is wrong with the way in which a call ends; None if nothing is.

    An error names the argument, or another one that cannot stand with it.
    """
    begun = time.monotonic()
    signal.alarm(SECONDS)
    try:
        call()
    except TOLD as error:
        text = str(error)
        if name is None:
            return f"{type(error).__name__}: {text[:200]}"
        named = name in text or any(
            f"`{each}" in text for each in (*others, ALSO_CALLED.get(name, name))
        )
        is_numpys = text.startswith("The truth value of an array")
        if not (named or is_numpys or isinstance(error, OSError | RuntimeError)):
            return f"{type(error).__name__} does not name it: {text[:200]}"
        if len(text.strip().splitlines()) != 1:
            return f"{type(error).__name__} is not one sentence: {text[:200]}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
    seconds = time.monotonic() - begun
    return f"took {seconds:.0f} s" if seconds > SECONDS else None


def _too_long(number, frame):
    raise BaseException(f"still running after {SECONDS} s")


def _used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def values(folder, file_name):
    """Makes a good value for each argument that must be given, by its name."""
    import pandas
    import tensorflow as tf

    from kerasw2v import SkipGram, Vocabulary, layers
    from kerasw2v.history import History, Measurement
    from kerasw2v.keyed_vectors import with_counts

    def vocabulary():
        return Vocabulary(["a", "b", "c", "d"], [10, 10, 5, 5])

    def model():
        return SkipGram(4, 4, layers.FullSoftmax(4), window=1, seed=1)

    def vectors():
        return with_counts(list("abcd"), np.eye(4, dtype=np.float32), np.array([10, 10, 5, 5]))

    (folder / "loaded.vec").write_text("1 1\na 1.0\n")

    def figure():
        from matplotlib.figure import Figure

        return Figure()

    return {
        "corpus": lambda: [["a", "b", "c", "d"], ["a", "b"]] * 5,
        "counts": lambda: np.array([10, 10, 5, 5]),
        "words": lambda: list("abcd"),
        "vocabulary": vocabulary,
        "new_vocabulary": vocabulary,
        "table": lambda: pandas.DataFrame({"basket": [1, 1], "item": ["a", "b"]}),
        "group": lambda: "basket",
        "item": lambda: "item",
        "baskets": lambda: [["a", "b"], ["c", "d"]],
        "vocabulary_size": lambda: 4,
        "embedding_dim": lambda: 3,
        "output_layer": lambda: layers.FullSoftmax(4),
        "layers": lambda: [layers.FullSoftmax(4), layers.NegativeSampling([4, 3, 2, 1])],
        "model": model,
        "vectors": vectors,
        "words_per_epoch": lambda: 100,
        "strategy": tf.distribute.get_strategy,
        "steps": lambda: 2,
        "epochs": lambda: 2,
        "initial": lambda: 0.1,
        "path": lambda: str(folder / file_name),
        "folder": lambda: str(folder / "new"),
        "history": lambda: History(0, [Measurement(1, 2, 3, 4, 5)]),
        "figure": figure,
        "architecture": lambda: "cbow",
        "steps_per_epoch": lambda: 10,
        "learning_rate": lambda: 0.1,
        "model_name": lambda: "cbow",
    }
