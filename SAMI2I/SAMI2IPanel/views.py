"""Source and result in the slice views: side by side, or blended."""

from typing import Any

import slicer
import vtk

BLEND = 0.5
SIDE_BY_SIDE = slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
VIEWS = ("Red", "Yellow")
# What was there before side by side: the layout; plane, and linked or not, by view.
_before: dict[str, Any] = {}


def showBlended(source: Any, result: Any, opacity: float = BLEND) -> None:
    """Lay the result over its source in every slice view."""
    _restoreLayout()
    slicer.util.setSliceViewerLayers(
        background=source, foreground=result, foregroundOpacity=opacity, fit=True
    )


def showSideBySide(source: Any, result: Any) -> None:
    """Show the source in one view and the result in another, in the same plane."""
    manager = slicer.app.layoutManager()
    if manager.layout != SIDE_BY_SIDE:
        _rememberViews()
        manager.setLayout(SIDE_BY_SIDE)
    left, right = (manager.sliceWidget(name) for name in VIEWS)
    _putPlane(right, left.mrmlSliceNode().GetSliceToRAS())
    for widget, volume in ((left, source), (right, result)):
        composite = widget.mrmlSliceCompositeNode()
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLinkedControl(True)
        widget.sliceLogic().FitSliceToBackground()


def showAlone(volume: Any) -> None:
    """Show one volume in every slice view."""
    _restoreLayout()
    slicer.util.setSliceViewerLayers(background=volume, foreground=None, fit=True)


def _rememberViews() -> None:
    manager = slicer.app.layoutManager()
    _before.clear()
    _before["layout"] = manager.layout
    for name in VIEWS:
        widget = manager.sliceWidget(name)
        if widget is not None:  # a view exists from the first layout on that shows it
            plane = vtk.vtkMatrix4x4()
            plane.DeepCopy(widget.mrmlSliceNode().GetSliceToRAS())
            _before[name] = plane, widget.mrmlSliceCompositeNode().GetLinkedControl()


def _restoreLayout() -> None:
    """Undo `showSideBySide`, unless the user has chosen another layout since."""
    manager = slicer.app.layoutManager()
    if _before and manager.layout == SIDE_BY_SIDE:
        manager.setLayout(_before.pop("layout"))
        for name, (plane, linked) in _before.items():
            widget = manager.sliceWidget(name)
            widget.mrmlSliceCompositeNode().SetLinkedControl(linked)
            if name != VIEWS[0]:  # the left one has kept its own
                _putPlane(widget, plane)
    _before.clear()


def _putPlane(widget: Any, plane: Any) -> None:
    widget.mrmlSliceNode().GetSliceToRAS().DeepCopy(plane)
    widget.mrmlSliceNode().UpdateMatrices()
