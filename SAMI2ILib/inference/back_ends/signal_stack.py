"""Keeps the stack of signal handlers as it was while OpenVINO compiles."""

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SS_DISABLE = 2


class _SignalStack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Undo what OpenVINO's compiler does to the calling thread: Ctrl-C would end in a crash.

    OpenVINO 2026.4 gives the thread an alternate signal stack of 12 kB and leaves it there. Python
    handles signals on that stack, and where the processor saves AVX-512 and AMX registers there is
    too little room. An interrupt that arrives meanwhile waits for the end. Nothing is done but on
    Linux.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before = _current()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        if before.flags & _SS_DISABLE:
            before = _SignalStack(None, _SS_DISABLE, 0)
        ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _current() -> _SignalStack:
    found = _SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found
