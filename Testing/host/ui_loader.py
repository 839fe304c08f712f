"""`qt.QUiLoader` for unmodified Slicer `.ui` files: Slicer's widgets are looked up by name.

Qt's own loader builds the tree, layouts and properties. It replaces an unknown class by QWidget
and turns an unknown property into a dynamic one without a word; here both are errors, because
in Slicer both are bugs.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import pythonqt

STAND_INS: dict[str, type] = {}


def register(widgetClass: type) -> type:
    """Class decorator: make a stand-in known to the loader under its class name."""
    STAND_INS[widgetClass.__name__] = widgetClass
    return widgetClass


class UiFileError(RuntimeError):
    """A `.ui` file names a class, property, signal or slot that does not exist."""


class QUiLoader(QtCore.QObject):
    """Loads a `.ui` file given as a QFile or a path."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        loader = QtUiTools.QUiLoader()
        for widgetClass in STAND_INS.values():
            loader.registerCustomWidget(widgetClass)
        self._hostLoader = loader

    def load(self, device: Any, parentWidget: Any = None) -> Any:
        """Build the widget tree.

        Raises:
            UiFileError: The file names something that does not exist.
        """
        root = ET.fromstring(_read(device))  # a file of the project itself
        self._requireKnownClasses(root)
        connections = root.findall("connections/connection")
        for element in root.findall("connections"):
            root.remove(element)  # Qt's loader knows no vtkMRMLScene*
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = self._hostLoader.load(buffer, parentWidget)
        if widget is None:
            raise UiFileError(f"Qt cannot load the .ui file: {self._hostLoader.errorString()}")
        byName = {
            child.objectName: child for child in (widget, *widget.findChildren(QtWidgets.QWidget))
        }
        _requireKnownProperties(root, byName)
        for connection in connections:
            _makeConnection(connection, byName)
        return widget

    def _requireKnownClasses(self, root: ET.Element) -> None:
        known = {*self._hostLoader.availableWidgets(), *STAND_INS, "Line"}
        for element in root.iter("widget"):
            if element.get("class") not in known:
                raise UiFileError(
                    f"The host has no widget class {element.get('class')!r} "
                    f"(object {element.get('name')!r}): add a stand-in or use another class."
                )


def _read(device: Any) -> bytes:
    if isinstance(device, (str, Path)):
        return Path(device).read_bytes()
    return bytes(device.readAll().data())


def _requireKnownProperties(root: ET.Element, byName: dict[str, Any]) -> None:
    for element in root.iter("widget"):
        widget = byName.get(element.get("name", ""))
        if widget is None or element.get("class") == "Line":
            continue
        for item in element.iterfind("property"):
            name = item.get("name", "")
            if item.get("stdset") != "0" and widget.metaObject().indexOfProperty(name) < 0:
                raise UiFileError(
                    f"{element.get('class')} {element.get('name')!r} has no property {name!r}."
                )


def _makeConnection(connection: ET.Element, byName: dict[str, Any]) -> None:
    """Connect a signal of one widget to a slot of another, both by name."""
    sender, signal, receiver, slot = (
        connection.findtext(part, "") for part in ("sender", "signal", "receiver", "slot")
    )
    for name in (sender, receiver):
        if name not in byName:
            raise UiFileError(f"A connection names {name!r}, which is no widget of the file.")
    target = getattr(byName[receiver], slot.split("(")[0], None)
    if target is None:
        raise UiFileError(f"{byName[receiver].className()} has no slot {slot!r}.")
    pythonqt.connect(byName[sender], signal, target)
