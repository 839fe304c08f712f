"""Stand-ins for CTK's widgets, with only the names that their C++ headers expose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtWidgets

from . import pythonqt
from .mrml_widgets import _SceneHolder, option
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
    collapsedHeight = option("collapsedHeight", int, 0)
    contentsFrameShape = option("contentsFrameShape", int, 0)
    contentsFrameShadow = option("contentsFrameShadow", int, 0)
    contentsLineWidth = option("contentsLineWidth", int, 1)
    contentsMidLineWidth = option("contentsMidLineWidth", int, 0)
    flat = option("flat", bool, False)

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


@register
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box that show one number."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostSlider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._hostBox = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._hostSlider)
        layout.addWidget(self._hostBox)
        self._updateSlider()
        pythonqt.connect(self._hostBox, "valueChanged(double)", self._onBoxChanged)
        pythonqt.connect(self._hostSlider, "sliderMoved(int)", self._onSliderMoved)

    def _onBoxChanged(self, value: float) -> None:
        self._updateSlider()
        self.valueChanged.emit(value)

    def _onSliderMoved(self, step: int) -> None:
        value = self._hostBox.minimum + step * self._hostBox.singleStep
        self.valueIsChanging.emit(value)
        self._hostBox.value = value

    def _updateSlider(self) -> None:
        box = self._hostBox
        steps = round((box.maximum - box.minimum) / box.singleStep) if box.singleStep else 0
        self._hostSlider.setRange(0, max(min(steps, 1_000_000), 0))
        self._hostSlider.setValue(round((box.value - box.minimum) / (box.singleStep or 1)))

    def _write(self, name: str, value: Any) -> None:
        setattr(self._hostBox, name, value)
        self._updateSlider()

    def setValue(self, value: float) -> None:
        self._hostBox.value = value

    def setDecimals(self, decimals: int) -> None:
        self._write("decimals", decimals)
        self.decimalsChanged.emit(decimals)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._hostBox.setVisible(visible)

    def reset(self) -> None:
        self._hostBox.value = self._hostBox.minimum

    value = Property(float, lambda self: self._hostBox.value, setValue)
    minimum = Property(
        float, lambda self: self._hostBox.minimum, lambda self, value: self._write("minimum", value)
    )
    maximum = Property(
        float, lambda self: self._hostBox.maximum, lambda self, value: self._write("maximum", value)
    )
    singleStep = Property(
        float,
        lambda self: self._hostBox.singleStep,
        lambda self, value: self._write("singleStep", value),
    )
    decimals = Property(int, lambda self: self._hostBox.decimals, setDecimals)
    suffix = Property(
        str, lambda self: self._hostBox.suffix, lambda self, value: self._write("suffix", value)
    )
    prefix = Property(
        str, lambda self: self._hostBox.prefix, lambda self, value: self._write("prefix", value)
    )
    pageStep = option("pageStep", float, 10.0)
    tracking = option("tracking", bool, True)
    spinBoxVisible = Property(bool, lambda self: not self._hostBox.isHidden(), setSpinBoxVisible)


@register
class ctkDoubleSpinBox(QtWidgets.QWidget):
    """A spin box; CTK's class derives from QWidget, not from QDoubleSpinBox."""

    valueChanged = Signal(float)
    editingFinished = Signal()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostBox = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._hostBox)
        pythonqt.connect(self._hostBox, "valueChanged(double)", self._onChanged)
        pythonqt.connect(self._hostBox, "editingFinished()", self._onEdited)

    def _onChanged(self, value: float) -> None:
        self.valueChanged.emit(value)

    def _onEdited(self) -> None:
        self.editingFinished.emit()

    def _write(self, name: str, value: Any) -> None:
        setattr(self._hostBox, name, value)

    def setValue(self, value: float) -> None:
        self._hostBox.value = value

    def setDecimals(self, decimals: int) -> None:
        self._hostBox.decimals = decimals

    value = Property(float, lambda self: self._hostBox.value, setValue)
    decimals = Property(int, lambda self: self._hostBox.decimals, setDecimals)
    minimum = Property(
        float, lambda self: self._hostBox.minimum, lambda self, value: self._write("minimum", value)
    )
    maximum = Property(
        float, lambda self: self._hostBox.maximum, lambda self, value: self._write("maximum", value)
    )
    singleStep = Property(
        float,
        lambda self: self._hostBox.singleStep,
        lambda self, value: self._write("singleStep", value),
    )
    suffix = Property(
        str, lambda self: self._hostBox.suffix, lambda self, value: self._write("suffix", value)
    )
    prefix = Property(
        str, lambda self: self._hostBox.prefix, lambda self, value: self._write("prefix", value)
    )


@register
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a default text."""

    defaultText = option("defaultText", str, "")
    forceDefault = option("forceDefault", bool, False)


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

    def addCurrentPathToHistory(self) -> None:
        history = [self._hostEdit.text, *self.__dict__.get("_hostHistory", [])]
        self._hostHistory = list(dict.fromkeys(history))[:10]

    def retrieveHistory(self) -> None:
        pass

    currentPath = Property(str, lambda self: self._hostEdit.text, setCurrentPath)
    nameFilters = option("nameFilters", list, [])
    filters = option("filters", int, 0)
    options = option("options", int, 0)
    settingKey = option("settingKey", str, "")
    label = option("label", str, "")
    minimumContentsLength = option("minimumContentsLength", int, 0)
    showBrowseButton = option("showBrowseButton", bool, True)
    showHistoryButton = option("showHistoryButton", bool, True)


@register
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser as tall as its text."""

    collapsed = option("collapsed", bool, False)
    collapsibleText = option("collapsibleText", str, "")
    disableMouseScroll = option("disableMouseScroll", bool, False)
    showDetailsText = option("showDetailsText", str, "Show details...")
    hideDetailsText = option("hideDetailsText", str, "Hide details.")

    def setCollapsibleText(self, text: str) -> None:
        self.collapsibleText = text
        self.setText(text)

    def setCollapsibleHtml(self, text: str) -> None:
        self.collapsibleText = text
        self.setHtml(text)


@register
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box with "Don't show this again"."""

    dontShowAgainVisible = option("dontShowAgainVisible", bool, False)
    dontShowAgainSettingsKey = option("dontShowAgainSettingsKey", str, "")
    dontShowAgain = option("dontShowAgain", bool, False)

    def setDontShowAgain(self, value: bool) -> None:
        self.dontShowAgain = value


@register
class qMRMLCollapsibleButton(_SceneHolder, ctkCollapsibleButton):
    """A collapsible button that hands the scene to the widgets inside it."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._hostScene = None
