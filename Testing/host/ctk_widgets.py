"""Stand-ins for CTK's widgets, with only the names that their C++ headers expose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtWidgets

from . import pythonqt
from .mrml_widgets import _SceneHolder
from .ui_loader import register

Property, Signal = QtCore.Property, QtCore.Signal


@register
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled box that folds its contents away."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        parent = next((item for item in arguments if isinstance(item, QtWidgets.QWidget)), None)
        super().__init__(parent)
        self._hostCollapsed = False
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, self._headerHeight(), 0, 0)
        if arguments and isinstance(arguments[0], str):
            self.setText(arguments[0])
        pythonqt.connect(self, "toggled(bool)", lambda checked: self._collapse(not checked))

    def _readCollapsed(self) -> bool:
        return self._hostCollapsed

    def _collapse(self, collapsed: bool) -> None:
        if collapsed == self._hostCollapsed:
            return
        self._hostCollapsed = collapsed
        self.setChecked(not collapsed)
        self.setMaximumHeight(self._headerHeight() if collapsed else 16777215)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not collapsed)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _readCollapsed, _collapse)

    def _headerHeight(self) -> int:
        return self.fontMetrics().height() + 10

    def childEvent(self, event: Any) -> None:
        """A child that arrives while the button is collapsed stays hidden."""
        if event.added() and self.__dict__.get("_hostCollapsed") and event.child().isWidgetType():
            event.child().setVisible(False)
        super().childEvent(event)

    def sizeHint(self) -> QtCore.QSize:
        header = QtCore.QSize(
            self.fontMetrics().horizontalAdvance(self.text) + 40, self._headerHeight()
        )
        layout = self.layout()
        if self._hostCollapsed or layout is None:
            return header
        return layout.totalSizeHint().expandedTo(header)

    def minimumSizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        if self._hostCollapsed or layout is None:
            return QtCore.QSize(0, self._headerHeight())
        return layout.totalMinimumSize()

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < self._headerHeight()

    def paintEvent(self, _event: Any) -> None:
        painter = QtWidgets.QStylePainter(self)
        header = QtCore.QRect(0, 0, self.width, self._headerHeight())
        box = QtWidgets.QStyleOptionButton()
        box.initFrom(self)
        box.rect = header
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, box)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, header.height() // 2 - 5, 10, 10)
        style = QtWidgets.QStyle
        painter.drawPrimitive(
            style.PE_IndicatorArrowRight if self._hostCollapsed else style.PE_IndicatorArrowDown,
            arrow,
        )
        text = header.adjusted(24, 0, 0, 0)
        painter.drawText(text, QtCore.Qt.AlignVCenter | QtCore.Qt.AlignLeft, self.text)


def _ofBox(name: str, kind: type) -> Any:
    """A property that is the spin box's property of the same name."""

    def write(self: Any, value: Any) -> None:
        setattr(self._hostBox, name, value)
        self._onBoxWritten()

    return Property(kind, lambda self: getattr(self._hostBox, name), write)


class _NumberBox(QtWidgets.QWidget):
    """What CTK's number widgets share: a spin box inside and its properties."""

    valueChanged = Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostBox = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._hostBox)
        pythonqt.connect(self._hostBox, "valueChanged(double)", self._onBoxChanged)

    def _onBoxChanged(self, value: float) -> None:
        self.valueChanged.emit(value)

    def _onBoxWritten(self) -> None:
        """A limit, step or text of the spin box was set."""

    def setValue(self, value: float) -> None:
        self._hostBox.value = value

    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    value = Property(float, lambda self: self._hostBox.value, setValue)
    minimum = _ofBox("minimum", float)
    maximum = _ofBox("maximum", float)
    singleStep = _ofBox("singleStep", float)
    decimals = _ofBox("decimals", int)
    prefix = _ofBox("prefix", str)
    suffix = _ofBox("suffix", str)


@register
class ctkDoubleSpinBox(_NumberBox):
    """A spin box; CTK's class derives from QWidget, not from QDoubleSpinBox."""

    editingFinished = Signal()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        pythonqt.connect(self._hostBox, "editingFinished()", self._onEdited)

    def _onEdited(self) -> None:
        self.editingFinished.emit()


@register
class ctkSliderWidget(_NumberBox):
    """A slider and a spin box that show one number."""

    valueIsChanging = Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostSlider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self.layout().insertWidget(0, self._hostSlider)
        self._onBoxWritten()
        pythonqt.connect(self._hostSlider, "sliderMoved(int)", self._onSliderMoved)

    def _onBoxChanged(self, value: float) -> None:
        self._onBoxWritten()
        super()._onBoxChanged(value)

    def _onSliderMoved(self, step: int) -> None:
        value = self._hostBox.minimum + step * self._hostBox.singleStep
        self.valueIsChanging.emit(value)
        self._hostBox.value = value

    def _onBoxWritten(self) -> None:
        box = self._hostBox
        steps = round((box.maximum - box.minimum) / box.singleStep) if box.singleStep else 0
        self._hostSlider.setRange(0, max(min(steps, 1_000_000), 0))
        self._hostSlider.setValue(round((box.value - box.minimum) / (box.singleStep or 1)))

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._hostBox.setVisible(visible)

    def reset(self) -> None:
        self._hostBox.value = self._hostBox.minimum

    spinBoxVisible = Property(bool, lambda self: not self._hostBox.isHidden(), setSpinBoxVisible)


@register
class ctkPathLineEdit(QtWidgets.QWidget):
    """A line for a file or folder, with a button that opens a dialog."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostEdit = QtWidgets.QLineEdit()
        button = QtWidgets.QPushButton("...")
        button.setMaximumWidth(30)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._hostEdit)
        layout.addWidget(button)
        pythonqt.connect(button, "clicked()", self.browse)
        pythonqt.connect(self._hostEdit, "textChanged(QString)", self._onTextChanged)

    def _onTextChanged(self, text: str) -> None:
        self.currentPathChanged.emit(text)
        self.validInputChanged.emit(Path(text).exists())

    def setCurrentPath(self, path: str) -> None:
        self._hostEdit.text = path

    def browse(self) -> None:
        chosen = QtWidgets.QFileDialog.getOpenFileName(self, "Open")
        if chosen:
            self._hostEdit.text = chosen

    currentPath = Property(str, lambda self: self._hostEdit.text, setCurrentPath)


@register
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box; its "Don't show this again" is not there."""


@register
class qMRMLCollapsibleButton(_SceneHolder, ctkCollapsibleButton):
    """A collapsible button that hands the scene to the widgets inside it."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._hostScene = None
