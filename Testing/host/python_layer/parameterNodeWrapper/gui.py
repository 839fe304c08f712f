"""Which widget shows which type, and how its value is read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer

from .annotations import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange

PROPERTY = "SlicerParameterName"


def widgetsByParameter(gui: Any) -> dict[str, Any]:
    """The widgets of a panel, or of `childWidgetVariables`, that name a parameter."""
    widgets = gui.findChildren(qt.QWidget) if isinstance(gui, qt.QObject) else vars(gui).values()
    return {widget.property(PROPERTY): widget for widget in widgets if widget.property(PROPERTY)}


def findChildWidgetForParameter(widget: Any, parameterName: str) -> Any:
    """The child widget that shows the parameter, or None."""
    return widgetsByParameter(widget).get(parameterName)


class Connector:
    """One widget and one parameter: read, write, and the signal that says it changed."""

    def __init__(
        self, widget: Any, signal: str | None, read: Callable[[], Any], write: Any
    ) -> None:
        self._widget, self._signal, self._callback = widget, signal, None
        self.read, self._write = read, write

    def write(self, value: Any) -> None:
        if self.read() != value:
            self._write(value)

    def start(self, onChanged: Callable[[], None]) -> None:
        self._callback = onChanged
        if self._signal is not None:
            self._widget.connect(self._signal, onChanged)

    def stop(self) -> None:
        if self._signal is not None:
            self._widget.disconnect(self._signal, self._callback)


def createConnector(widget: Any, parameter: Any) -> Connector:
    """The connector for a parameter's type and a widget's class.

    Raises:
        RuntimeError: This widget cannot show this type (in Slicer neither).
    """
    for types, widgets, create in _CONNECTORS:
        isNode = types is None and issubclass(parameter.kind, slicer.vtkMRMLNode)
        if type(widget) in widgets and (isNode or (types is not None and parameter.kind in types)):
            return create(widget, parameter)
    raise RuntimeError(
        f"A {widget.className()} cannot show parameter {parameter.name!r} "
        f"of type {parameter.kind.__name__}."
    )


def _find(parameter: Any, kind: type) -> Any:
    return next((item for item in parameter.annotations if isinstance(item, kind)), None)


def _property(name: str, signal: str | None) -> Callable[[Any, Any], Connector]:
    def create(widget: Any, _parameter: Any) -> Connector:
        return Connector(
            widget,
            signal,
            lambda: getattr(widget, name),
            lambda value: setattr(widget, name, value),
        )

    return create


def _checkableButton(widget: Any, parameter: Any) -> Connector:
    widget.checkable = True
    return _property("checked", "toggled(bool)")(widget, parameter)


def _number(signal: str) -> Callable[[Any, Any], Connector]:
    def create(widget: Any, parameter: Any) -> Connector:
        within = _find(parameter, WithinRange)
        least = within or _find(parameter, Minimum)
        most = within or _find(parameter, Maximum)
        if isinstance(widget, (qt.QSlider, ctk.ctkSliderWidget)) and not (least and most):
            raise RuntimeError(
                f"A slider needs a range: annotate {parameter.name!r} with WithinRange."
            )
        decimals, step = _find(parameter, Decimals), _find(parameter, SingleStep)
        if not isinstance(widget, (qt.QSpinBox, qt.QSlider)):
            if parameter.kind is int:
                widget.decimals = 0
            elif decimals is not None:
                widget.decimals = decimals.value
        if step is not None:
            widget.singleStep = step.value
        infinite = 2**31 - 1 if isinstance(widget, (qt.QSpinBox, qt.QSlider)) else float("inf")
        widget.minimum = least.minimum if least else -infinite
        widget.maximum = most.maximum if most else infinite

        def write(value: Any) -> None:
            widget.value = value

        return Connector(widget, signal, lambda: parameter.kind(widget.value), write)

    return create


def _comboBox(widget: Any, parameter: Any) -> Connector:
    choice = _find(parameter, Choice)
    if choice is None:
        raise RuntimeError(
            f"A combo box needs its values: annotate {parameter.name!r} with Choice."
        )
    widget.clear()
    widget.addItems([str(value) for value in choice.choices])

    def read() -> Any:
        return choice.choices[widget.currentIndex]

    def write(value: Any) -> None:
        widget.currentIndex = list(choice.choices).index(value)

    return Connector(widget, "currentIndexChanged(int)", read, write)


def _textEdit(widget: Any, _parameter: Any) -> Connector:
    return Connector(widget, "textChanged()", widget.toPlainText, widget.setPlainText)


def _nodeBox(widget: Any, _parameter: Any) -> Connector:
    return Connector(
        widget, "currentNodeChanged(vtkMRMLNode*)", widget.currentNode, widget.setCurrentNode
    )


_CONNECTORS: tuple[tuple[Any, tuple[type, ...], Callable[[Any, Any], Connector]], ...] = (
    (None, (slicer.qMRMLNodeComboBox,), _nodeBox),
    ((bool,), (qt.QCheckBox,), _property("checked", "toggled(bool)")),
    ((bool,), (qt.QPushButton,), _checkableButton),
    ((int,), (qt.QSlider, qt.QSpinBox), _number("valueChanged(int)")),
    (
        (int, float),
        (qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSpinBox),
        _number("valueChanged(double)"),
    ),
    ((bool, int, float, str), (qt.QComboBox, ctk.ctkComboBox), _comboBox),
    ((str,), (qt.QLineEdit,), _property("text", "textChanged(QString)")),
    ((str,), (qt.QLabel,), _property("text", None)),
    ((str,), (qt.QTextEdit,), _textEdit),
)
