"""Source and result in the slice views: side by side, or blended."""

from typing import Any

import slicer

BLEND = 0.5


def showBlended(source: Any, result: Any, opacity: float = BLEND) -> None:
    """Lay the result over its source in every slice view."""
    _restoreLayout()
    slicer.util.setSliceViewerLayers(
        background=source, foreground=result, foregroundOpacity=opacity, fit=True
    )


def showSideBySide(source: Any, result: Any) -> None:
    """Show the source in one view and the result in another, in the same plane."""
    manager = slicer.app.layoutManager()
    sideBySide = slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
    if manager.layout != sideBySide:
        manager.setLayout(sideBySide)
    left, right = manager.sliceWidget("Red"), manager.sliceWidget("Yellow")
    right.mrmlSliceNode().GetSliceToRAS().DeepCopy(left.mrmlSliceNode().GetSliceToRAS())
    right.mrmlSliceNode().UpdateMatrices()
    for widget, volume in ((left, source), (right, result)):
        composite = widget.sliceLogic().GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLinkedControl(True)
        widget.sliceLogic().FitSliceToBackground()


def showAlone(volume: Any) -> None:
    """Show one volume in every slice view."""
    slicer.util.setSliceViewerLayers(background=volume, foreground=None, fit=True)


def _restoreLayout() -> None:
    """Give the three views back after a comparison side by side, and the second one its plane."""
    manager = slicer.app.layoutManager()
    if manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        manager.sliceWidget("Yellow").mrmlSliceNode().SetOrientation("Sagittal")
