"""What the process asks of the operating system."""

import ctypes
import sys

import pytest

from SAMI2ILib.cli.memory import keep_freed_memory, peak_memory_bytes


def test_allocator_is_left_alone_where_there_is_no_gnu_library(monkeypatch):
    def no_library(_name):
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    keep_freed_memory()


def test_allocator_is_left_alone_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_freed_memory()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say")
def test_peak_memory_is_that_of_this_process():
    peak = peak_memory_bytes()
    assert peak is not None
    block = bytearray(300_000_000)
    assert peak_memory_bytes() >= len(block)
    assert 10_000_000 < peak < 100_000_000_000
