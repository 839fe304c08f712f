"""The signals by which a person or a system asks a program to end."""

import signal
from typing import Final

INTERRUPTS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name)
)
"""What a terminal sends to all processes of a program: Ctrl-C and, on Windows, Ctrl-Break."""

STOP_SIGNALS: Final = (*INTERRUPTS, signal.SIGTERM)


def ignore(signals: tuple[signal.Signals, ...]) -> None:
    """Ignore signals in a worker process: the one that has started it decides when it ends."""
    for number in signals:
        signal.signal(number, signal.SIG_IGN)
