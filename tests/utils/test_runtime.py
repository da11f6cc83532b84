"""Tracing without the garbage collector; a start in silence."""

import gc
import os
import sys

import pytest

from kerasw2v.utils.runtime import quiet_start, trace_without_gc


def test_only_the_first_call():
    call = trace_without_gc(lambda *arguments: (gc.isenabled(), arguments))
    assert call(1, 2) == (False, (1, 2))
    assert gc.isenabled()
    assert call() == (True, ())


def test_garbage_is_collected_again_after_an_error():
    call = trace_without_gc(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call()
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off():
    call = trace_without_gc(gc.isenabled)
    gc.disable()
    try:
        assert call() is False
        assert not gc.isenabled()
    finally:
        gc.enable()


def say(error=None):
    """Writes as C++ code does, past Python's `sys.stderr`; then raises an error, if given."""
    os.write(2, b"I0000 what TensorFlow says\n")
    if error:
        raise error


@pytest.fixture
def unloaded(monkeypatch):
    """Lets TensorFlow seem not to be loaded, with no wish about what it says."""
    monkeypatch.delitem(sys.modules, "tensorflow")
    for name in ("TF_CPP_MIN_LOG_LEVEL", "TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_VMODULE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_a_quiet_start(unloaded, capfd):
    with quiet_start():
        say()
    assert capfd.readouterr().err == ""
    say()
    assert capfd.readouterr().err == "I0000 what TensorFlow says\n"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"


@pytest.mark.parametrize(
    ("name", "value", "is_asked_for"),
    [
        ("TF_CPP_MIN_LOG_LEVEL", "0", True),
        ("TF_CPP_MIN_LOG_LEVEL", "1", True),
        ("TF_CPP_MIN_LOG_LEVEL", "3", False),
        ("TF_CPP_MAX_VLOG_LEVEL", "2", True),
        ("TF_CPP_MAX_VLOG_LEVEL", "0", False),
        ("TF_CPP_VMODULE", "port=1", True),
    ],
)
def test_what_is_asked_for_is_shown(name, value, is_asked_for, unloaded, capfd):
    os.environ[name] = value
    with quiet_start():
        say()
    assert bool(capfd.readouterr().err) == is_asked_for


def test_what_was_said_before_an_error_is_shown(unloaded, capfd):
    with pytest.raises(ImportError), quiet_start():
        say(ImportError)
    assert capfd.readouterr().err == "I0000 what TensorFlow says\n"


def test_nothing_is_hidden_once_tensorflow_is_loaded(capfd):
    import tensorflow  # noqa: F401

    with quiet_start():
        say()
    assert capfd.readouterr().err == "I0000 what TensorFlow says\n"
