"""Says SYNTHETIC in every slice view that shows a synthetic volume, whichever module is open."""

from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from SAMI2IPanel.bridge import (
    ERROR_MAP_ATTRIBUTE,
    TARGET_ATTRIBUTE,
    UNCERTAINTY_ATTRIBUTE,
    isSynthetic,
)
from SAMI2IPanel.i18n import _

# The upper edge is free: Slicer's own annotations use the corners, and rewrite all four.
POSITION = vtk.vtkCornerAnnotation.UpperEdge
FONT_SIZE = 16
COLOR = (1.0, 0.85, 0.2)
# A border of the background that is narrower than this is not seen beside the foreground.
BESIDE_MM = 1.0


class SyntheticMarker(VTKObservationMixin):
    """Keeps one annotation for each slice view in step with what the view shows."""

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._annotations: dict[str, tuple[Any, Any]] = {}
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.NodeAddedEvent, self._onSceneChanged)
        self.addObserver(scene, slicer.vtkMRMLScene.EndImportEvent, self._onSceneChanged)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self._onSceneChanged)
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.connect("layoutChanged(int)", self._onLayoutChanged)
        self.update()

    def close(self) -> None:
        """Remove the annotations and all observers."""
        self.removeObservers()
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.disconnect("layoutChanged(int)", self._onLayoutChanged)
        for annotation, renderer in self._annotations.values():
            renderer.RemoveViewProp(annotation)
        self._annotations.clear()

    def update(self) -> None:
        """Find new slice views and bring every annotation up to date."""
        manager = slicer.app.layoutManager()
        if manager is None:  # Slicer without a main window has no views
            return
        for name in manager.sliceViewNames():
            composite = manager.sliceWidget(name).sliceLogic().GetSliceCompositeNode()
            if composite is None:
                continue
            event = vtk.vtkCommand.ModifiedEvent
            if not self.hasObserver(composite, event, self._onCompositeModified):
                self.addObserver(composite, event, self._onCompositeModified)
            self._show(manager.sliceWidget(name).sliceView(), name, annotationText(composite))

    def text(self, viewName: str) -> str:
        """What the annotation of a view says now."""
        if viewName not in self._annotations:
            return ""
        return self._annotations[viewName][0].GetText(POSITION) or ""

    def _show(self, view: Any, name: str, text: str) -> None:
        if name not in self._annotations:
            if not text:
                return
            renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
            annotation = _makeAnnotation()
            renderer.AddViewProp(annotation)
            self._annotations[name] = (annotation, renderer)
        annotation = self._annotations[name][0]
        if (annotation.GetText(POSITION) or "") != text:
            annotation.SetText(POSITION, text)
            view.scheduleRender()

    def _onCompositeModified(self, _caller: Any = None, _event: Any = None) -> None:
        self.update()

    def _onLayoutChanged(self, _layout: int) -> None:
        self.update()

    def _onSceneChanged(self, _caller: Any = None, _event: Any = None) -> None:
        if not slicer.mrmlScene.IsBatchProcessing():
            self.update()


def annotationText(composite: Any) -> str:
    """What a slice view should say; empty where no synthetic volume is visible in it.

    Args:
        composite: Its vtkMRMLSliceCompositeNode.
    """
    nodes = _visibleVolumes(composite)
    shown = [node for node in nodes if isSynthetic(node)]
    if not shown:
        return ""
    if all(node.GetAttribute(ERROR_MAP_ATTRIBUTE) for node in shown):
        return _("ERROR MAP: SYNTHETIC minus real")
    if all(node.GetAttribute(UNCERTAINTY_ATTRIBUTE) for node in shown):
        return _("UNCERTAINTY of a SYNTHETIC volume")
    contrast = next(filter(None, (node.GetAttribute(TARGET_ATTRIBUTE) for node in shown)), "")
    return _("SYNTHETIC {contrast}: research use only").format(contrast=contrast).replace(" :", ":")


def _visibleVolumes(composite: Any) -> list[Any]:
    """The volumes that can be seen in a slice view, also through and beside the foreground."""
    kind = slicer.vtkMRMLSliceCompositeNode
    isBlended = composite.GetCompositing() == kind.Alpha
    background, foreground = (
        composite.GetNthLayerVolume(layer) for layer in (kind.LayerBackground, kind.LayerForeground)
    )
    if isBlended and composite.GetForegroundOpacity() == 0:
        foreground = None
    isCovered = isBlended and composite.GetForegroundOpacity() == 1 and _isOpaque(foreground)
    if background and isCovered and not _reachesBeyond(background, foreground):
        background = None
    last = kind.Layer_Last + composite.GetNumberOfAdditionalLayers()
    others = (composite.GetNthLayerVolume(layer) for layer in range(kind.LayerLabel, last))
    return [node for node in (*others, foreground, background) if node is not None]


def _isOpaque(foreground: Any) -> bool:
    """Whether a volume lets nothing through where it is."""
    display = foreground.GetDisplayNode() if foreground else None
    return display is not None and not (
        display.IsA("vtkMRMLScalarVolumeDisplayNode") and display.GetApplyThreshold()
    )


def _reachesBeyond(background: Any, foreground: Any) -> bool:
    """Whether a part of the background lies outside the foreground."""
    inner, outer = [0.0] * 6, [0.0] * 6
    background.GetRASBounds(inner)
    foreground.GetRASBounds(outer)
    return any(
        inner[low] < outer[low] - BESIDE_MM or inner[low + 1] > outer[low + 1] + BESIDE_MM
        for low in (0, 2, 4)
    )


def startMarking() -> None:
    """Start the one marker of this application, in place of an earlier one."""
    stopMarking()
    slicer.modules.SAMI2IMarker = SyntheticMarker()


def updateMarks() -> None:
    """Look at the nodes again: one that is shown already may have become synthetic."""
    marker = getattr(slicer.modules, "SAMI2IMarker", None)
    if marker is not None:
        marker.update()


def stopMarking() -> None:
    """Stop the marker, if there is one."""
    marker = getattr(slicer.modules, "SAMI2IMarker", None)
    if marker is not None:
        marker.close()
        slicer.modules.SAMI2IMarker = None


def _makeAnnotation() -> Any:
    annotation = vtk.vtkCornerAnnotation()
    annotation.SetMaximumFontSize(FONT_SIZE)
    annotation.SetNonlinearFontScaleFactor(1)
    properties = annotation.GetTextProperty()
    properties.SetColor(*COLOR)
    properties.SetBold(True)
    properties.SetShadow(True)
    return annotation
