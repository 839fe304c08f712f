"""Qt's warnings, such as a child process that is destroyed while it runs: each is a defect."""

from __future__ import annotations

import sys
from typing import Any

from PySide6 import QtCore

# What the off-screen platform cannot do, and no module asks for.
IGNORED = ("This plugin does not support",)
SERIOUS = (
    QtCore.QtMsgType.QtWarningMsg,
    QtCore.QtMsgType.QtCriticalMsg,
    QtCore.QtMsgType.QtFatalMsg,
)


class QtMessages:
    """Collects what Qt would print."""

    def __init__(self) -> None:
        self._warnings: list[str] = []
        QtCore.qInstallMessageHandler(self._keep)

    def _keep(self, kind: Any, _context: Any, message: str) -> None:
        if message.startswith(IGNORED):
            return
        if kind in SERIOUS:
            self._warnings.append(message)
        print(message, file=sys.stderr)

    def take(self) -> list[str]:
        """Qt's warnings since the last call."""
        taken = list(self._warnings)
        self._warnings.clear()
        return taken
