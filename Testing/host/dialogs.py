"""Blocking dialogs, answered by the test: off screen nobody can click them away.

A test says in advance what the user would do; a dialog that opens without an answer is an error,
not a hang. Every dialog's text is kept, so that a test can ask what the user was told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets


@dataclass(frozen=True)
class Shown:
    """One dialog that was opened: its class and what it said."""

    kind: str
    title: str
    text: str
    details: str = ""


class Answers:
    """What the user will do with the next dialogs, and which dialogs there were."""

    def __init__(self) -> None:
        self.waiting: deque[Any] = deque()
        self.shown: list[Shown] = []
        self.opened: list[str] = []

    def clear(self) -> None:
        self.waiting.clear()
        self.shown.clear()
        self.opened.clear()

    def take(self, shown: Shown, dialog: Any = None) -> Any:
        """Record the dialog and return the next answer (called with the dialog if callable).

        Raises:
            RuntimeError: The test has no answer ready.
        """
        self.shown.append(shown)
        if not self.waiting:
            raise RuntimeError(
                f"{shown.kind} {shown.text!r} would wait for the user: "
                "give the host an answer first (host.answer(...))."
            )
        answer = self.waiting.popleft()
        if dialog is not None and callable(answer):
            answer = answer(dialog)
        return buttonFor(answer, dialog) if isinstance(answer, bool) else answer


def buttonFor(agreed: bool, dialog: Any) -> Any:
    """The button that says yes or no in this dialog."""
    buttons = QtWidgets.QMessageBox
    offered = getattr(dialog, "standardButtons", None)
    names = ("Yes", "Ok", "Retry") if agreed else ("No", "Cancel", "Close")
    if not isinstance(dialog, buttons) and dialog is not None:
        return int(agreed)
    candidates = [getattr(buttons, name) for name in names]
    offers = [button for button in candidates if offered is None or button in offered]
    return offers[0] if offers else int(agreed)


ANSWERS = Answers()


def install() -> None:
    """Replace the calls that wait for a user."""
    QtWidgets.QDialog.exec = _execute
    QtWidgets.QMessageBox.exec = _execute
    QtWidgets.QMenu.exec = _execute
    for name in ("information", "question", "warning", "critical", "about"):
        setattr(QtWidgets.QMessageBox, name, staticmethod(_messageFunction(name)))
    for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
        setattr(QtWidgets.QFileDialog, name, staticmethod(_pathFunction(name)))
    for name in ("getText", "getItem", "getInt", "getDouble", "getMultiLineText"):
        setattr(QtWidgets.QInputDialog, name, staticmethod(_pathFunction(name)))
    QtGui.QDesktopServices.openUrl = staticmethod(_openUrl)


def _execute(dialog: Any, *_position: Any) -> Any:
    texts = [_attribute(dialog, name) for name in ("text", "informativeText")]
    labels = (
        [label.text for label in dialog.findChildren(QtWidgets.QLabel)] if not any(texts) else []
    )
    shown = Shown(
        dialog.className(),
        _attribute(dialog, "windowTitle"),
        "\n".join(text for text in (*texts, *labels) if text),
        _attribute(dialog, "detailedText"),
    )
    QtCore.QCoreApplication.processEvents()
    return ANSWERS.take(shown, dialog)


def _attribute(dialog: Any, name: str) -> str:
    value = getattr(dialog, name, "")
    return value if isinstance(value, str) else ""


def _messageFunction(name: str) -> Callable[..., Any]:
    def show(_parent: Any, title: str, text: str, *_buttons: Any) -> Any:
        return ANSWERS.take(Shown(f"QMessageBox.{name}", title, text))

    return show


def _pathFunction(name: str) -> Callable[..., Any]:
    """PythonQt returns the plain value where PySide6 returns a tuple: the answer is the value."""

    def show(_parent: Any = None, caption: str = "", *_arguments: Any) -> Any:
        return ANSWERS.take(Shown(name, caption, caption))

    return show


def _openUrl(url: Any) -> bool:
    ANSWERS.opened.append(url.toString() if hasattr(url, "toString") else str(url))
    return True
