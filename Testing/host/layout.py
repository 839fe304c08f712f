"""`slicer.app.layoutManager()`: three slice views on Slicer's own slice logics."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .mrml_widgets import qMRMLWidget
from .slice_rendering import SliceRendering

Property, Signal = QtCore.Property, QtCore.Signal

# Name, default orientation and color of the three slice views, as in Slicer's default layout.
SLICE_VIEWS = (
    ("Red", "Axial", (0.953, 0.290, 0.200)),
    ("Yellow", "Sagittal", (0.929, 0.835, 0.298)),
    ("Green", "Coronal", (0.431, 0.690, 0.294)),
)
FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


class qMRMLSliceView(QtWidgets.QWidget):
    """One slice view; nothing is rendered until somebody asks for the window or a picture."""

    def __init__(self, logic: Any, parent: Any) -> None:
        super().__init__(parent)
        self._hostLogic = logic
        self._hostAnnotation = vtk.vtkCornerAnnotation()
        self._hostRendering: SliceRendering | None = None

    def mrmlSliceNode(self) -> Any:
        return self._hostLogic.GetSliceNode()

    def cornerAnnotation(self) -> Any:
        return self._hostAnnotation

    def renderWindow(self) -> Any:
        return self._rendering().window

    def scheduleRender(self) -> None:
        """Rendering happens on demand here, so there is nothing to schedule."""

    def forceRender(self) -> None:
        if self._hostRendering is not None:
            self._hostRendering.render()

    def _rendering(self) -> SliceRendering:
        if self._hostRendering is None:
            self._hostRendering = SliceRendering(self._hostLogic, self._hostAnnotation)
        return self._hostRendering


class qMRMLSliceWidget(qMRMLWidget):
    """A slice view with its logic and nodes."""

    def __init__(self, logic: Any, parent: Any) -> None:
        super().__init__(parent)
        self.setMRMLScene(logic.GetMRMLScene())
        self._hostLogic = logic
        self._hostView = qMRMLSliceView(logic, self)

    def sliceView(self) -> qMRMLSliceView:
        return self._hostView

    def sliceLogic(self) -> Any:
        return self._hostLogic

    def mrmlSliceNode(self) -> Any:
        return self._hostLogic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._hostLogic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._hostLogic.FitSliceToBackground()

    sliceViewName = Property(str, lambda self: self._hostLogic.GetSliceNode().GetLayoutName())
    sliceOrientation = Property(
        str,
        lambda self: self._hostLogic.GetSliceNode().GetOrientation(),
        lambda self, value: self._hostLogic.GetSliceNode().SetOrientation(value),
    )


class qSlicerLayoutManager(QtCore.QObject):
    """The slice views by name; there are no 3D, table or plot views."""

    layoutChanged = Signal(int)

    def __init__(self, app: Any, window: Any) -> None:
        super().__init__(app)
        self._hostApp = app
        self._hostLogics = vtk.vtkCollection()
        self._hostWidgets: dict[str, qMRMLSliceWidget] = {}
        for name, orientation, color in SLICE_VIEWS:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(app.applicationLogic())
            logic.SetMRMLScene(app.mrmlScene())
            node = logic.AddSliceNode(name)
            node.SetOrientation(orientation)
            node.SetLayoutColor(*color)
            self._hostLogics.AddItem(logic)
            self._hostWidgets[name] = qMRMLSliceWidget(logic, window)
        app.applicationLogic().SetSliceLogics(self._hostLogics)
        self._hostLayout = FOUR_UP

    def _reset(self) -> None:
        """Back to the first view, between two tests."""
        self._hostLayout = FOUR_UP
        for name, orientation, _ in SLICE_VIEWS:
            widget = self._hostWidgets[name]
            widget.sliceView().cornerAnnotation().ClearAllTexts()
            widget.sliceOrientation = orientation
            widget.sliceLogic().SetSliceOffset(0)

    threeDViewCount = Property(int, lambda _self: 0)
    tableViewCount = Property(int, lambda _self: 0)
    plotViewCount = Property(int, lambda _self: 0)

    def mrmlScene(self) -> Any:
        return self._hostApp.mrmlScene()

    def sliceViewNames(self) -> list[str]:
        return list(self._hostWidgets)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._hostWidgets.get(name)

    def mrmlSliceLogics(self) -> Any:
        return self._hostLogics

    def resetSliceViews(self) -> None:
        for widget in self._hostWidgets.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        pass

    def setLayout(self, layout: int) -> None:
        if layout != self._hostLayout:
            self._hostLayout = layout
            self.layoutChanged.emit(layout)

    layout = Property(int, lambda self: self._hostLayout, setLayout)

    def setRenderPaused(self, paused: bool) -> None:
        pass

    def pauseRender(self) -> None:
        pass

    def resumeRender(self) -> None:
        pass
