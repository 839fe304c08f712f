"""Stops the command when its parent goes: `--stop-on-stdin-close`.

The panel starts the command with a pipe as stdin. Closing that pipe cancels the work, and the
operating system closes it when the panel's process dies, so no orphan goes on. It works alike on
Linux, macOS and Windows, where a child cannot be sent Ctrl-C.
"""

import _thread
import os
import sys
import threading
import time

GRACE_SECONDS = 10.0
CANCELLED_EXIT_CODE = 130


def stop_on_stdin_close() -> None:
    """Raise KeyboardInterrupt in the main thread as soon as stdin ends.

    Whatever the main thread holds is released by its own `finally` blocks. A call into native
    code that does not return within `GRACE_SECONDS` is ended with the process.
    """
    threading.Thread(target=_wait_for_end_of_stdin, name="stdin-watch", daemon=True).start()


def _wait_for_end_of_stdin() -> None:
    if sys.stdin is not None:
        # A daemon thread that holds the buffered reader's lock aborts the interpreter at exit,
        # so the descriptor is read directly.
        descriptor = sys.stdin.fileno()
        try:
            while os.read(descriptor, 4096):
                pass
        except OSError:
            pass  # a broken pipe is a closed one
    _thread.interrupt_main()
    time.sleep(GRACE_SECONDS)
    os._exit(CANCELLED_EXIT_CODE)
