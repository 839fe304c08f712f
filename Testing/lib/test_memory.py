"""What the process asks of the operating system."""

import ctypes
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from SAMI2ILib.memory import keep_freed_memory, peak_memory_bytes


def test_allocator_is_left_alone_where_there_is_no_gnu_library(monkeypatch):
    def no_library(_name):
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    keep_freed_memory()


def test_allocator_is_left_alone_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_freed_memory()


def test_peak_memory_is_that_of_this_process_alone():
    block = bytearray(b"1" * 300_000_000)
    assert len(block) <= peak_memory_bytes() < 100_000_000_000
    code = "from SAMI2ILib.memory import peak_memory_bytes; print(peak_memory_bytes())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 5_000_000 < int(child.stdout) < len(block)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_peak_memory_is_unknown_where_proc_is_not_mounted(monkeypatch):
    def not_there(*_args, **_options):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", not_there)
    assert peak_memory_bytes() is None


@pytest.mark.skipif(sys.platform == "win32", reason="this stands in for Windows")
@pytest.mark.parametrize(("works", "expected"), [(1, 123), (0, None)])
def test_windows_is_asked_for_the_peak_of_the_working_set(monkeypatch, works, expected):
    kernel = mock.MagicMock()

    def answer(_process, reference, size):
        assert size == 8 + 8 * ctypes.sizeof(ctypes.c_size_t)  # as Windows declares it
        reference._obj.PeakWorkingSetSize = 123
        return works

    kernel.K32GetProcessMemoryInfo.side_effect = answer
    monkeypatch.setattr(ctypes, "WinDLL", lambda _name, **_options: kernel, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_memory_bytes() == expected
