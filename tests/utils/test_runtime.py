"""Only the first call goes without the garbage collector."""

import gc

import pytest

from kerasw2v.utils.runtime import trace_without_gc


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
