"""Ends a command early: when its parent goes, or after its step when a signal asks for it."""

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from SAMI2ILib.stop_signals import STOP_SIGNALS

GRACE_SECONDS = 10.0
CANCELLED_EXIT_CODE = 130


def stop_on_stdin_close() -> None:
    """Raise KeyboardInterrupt in the main thread as soon as stdin ends: `--stop-on-stdin-close`.

    The panel starts the command with a pipe as stdin. Closing that pipe cancels the work, and the
    operating system closes it when the panel's process dies, so no orphan goes on. It works alike
    on Linux, macOS and Windows, where a child cannot be sent Ctrl-C.

    Whatever the main thread holds is released by its own `finally` blocks. A call into native
    code that does not return within `GRACE_SECONDS` is ended with the process.
    """
    stdin = None if sys.stdin is None else _take_over(sys.stdin.fileno())
    arguments = (stdin,)
    threading.Thread(target=_wait_for_end, args=arguments, name="stdin-watch", daemon=True).start()


@contextlib.contextmanager
def stop_requested() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C, Ctrl-Break (Windows) or SIGTERM sets.

    The second one interrupts at once.
    """
    event = threading.Event()

    def request(_signal: int, _frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event  # signals arrive in the main thread only
        return
    before = {number: signal.signal(number, request) for number in STOP_SIGNALS}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _take_over(descriptor: int) -> int:
    """Move an open file to a descriptor of our own; nothing can be read from the old one then.

    A child gets the old one. On Windows it would hang as it starts: the system lets nobody look at
    a pipe that another thread waits to read from (python/cpython gh-78961).
    """
    own = os.dup(descriptor)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), descriptor)
    return own


def _wait_for_end(descriptor: int | None) -> None:
    if descriptor is not None:
        # Read without Python's buffer: a daemon thread that holds the lock of one aborts the
        # interpreter at exit.
        try:
            while os.read(descriptor, 4096):
                pass
        except OSError:
            pass  # a broken pipe is a closed one
    _thread.interrupt_main()
    time.sleep(GRACE_SECONDS)
    os._exit(CANCELLED_EXIT_CODE)
