"""Only the first call goes without the garbage collector."""

import gc

import pytest

from kerasw2v.utils.runtime import first_call_keeps_garbage


def test_only_the_first_call():
    call = first_call_keeps_garbage(lambda *arguments: (gc.isenabled(), arguments))
    assert call(1, 2) == (False, (1, 2))
    assert gc.isenabled()
    assert call() == (True, ())


def test_garbage_is_collected_again_after_an_error():
    call = first_call_keeps_garbage(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call()
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off():
    call = first_call_keeps_garbage(gc.isenabled)
    gc.disable()
    try:
        assert call() is False
        assert not gc.isenabled()
    finally:
        gc.enable()
