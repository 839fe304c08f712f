"""The module `qt` as a scripted Slicer module imports it: PySide6 in one flat name space."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtWidgets

from . import dialogs, pythonqt
from .ui_loader import QUiLoader

# PySide6's own additions, which PythonQt's `qt` does not have; Signal and Slot lack the Q.
NOT_IN_PYTHONQT = frozenset({"QEnum", "QFlag"})


def createQtModule() -> types.ModuleType:
    """Build `qt` from PySide6; blocking dialogs are answered by the test, see `dialogs`."""
    pythonqt.install()
    dialogs.install()
    module = types.ModuleType("qt", "Qt for the test host: PySide6 with the manners of PythonQt.")
    for source in pythonqt.QT_MODULES:
        names = {
            name: value
            for name, value in pythonqt.publicNames(source).items()
            if name not in NOT_IN_PYTHONQT
        }
        vars(module).update(names)
    vars(module).update(QUiLoader=QUiLoader, SIGNAL=QtCore.SIGNAL, SLOT=QtCore.SLOT)
    addOldNames()
    return module


def addOldNames() -> None:
    """Qt 5 names that PythonQt offers and Qt 6 dropped or PySide6 hides."""

    def exec_(self: Any, *arguments: Any) -> Any:
        return self.exec(*arguments)

    for qtClass in (QtWidgets.QDialog, QtWidgets.QMenu, QtCore.QEventLoop, QtCore.QCoreApplication):
        qtClass.exec_ = exec_
