"""Keeps a subject-hierarchy item for every data node, as Slicer's application does."""

from __future__ import annotations

from typing import Any

import slicer

from .vtk_events import Observations

SHOWN = (
    "vtkMRMLDisplayableNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
)


class SubjectHierarchyKeeper:
    """Adds and removes items as nodes come and go."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._events = Observations()
        self._events.add(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self._events.add(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved)
        for event in (scene.EndImportEvent, scene.EndCloseEvent, scene.EndBatchProcessEvent):
            self._events.add(scene, event, self._onManyNodesChanged)

    def _hierarchy(self) -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def _onNodeAdded(self, _caller: Any, _event: str, node: Any) -> None:
        if not self._scene.IsImporting() and not self._scene.IsClosing():
            self._addItem(node)

    def _addItem(self, node: Any) -> None:
        if node.GetHideFromEditors() or not any(node.IsA(kind) for kind in SHOWN):
            return
        hierarchy = self._hierarchy()
        if hierarchy.GetItemByDataNode(node) == hierarchy.GetInvalidItemID():
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    def _onNodeAboutToBeRemoved(self, _caller: Any, _event: str, node: Any) -> None:
        if self._scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = self._hierarchy()
        item = hierarchy.GetItemByDataNode(node)
        if item != hierarchy.GetInvalidItemID():
            hierarchy.RemoveItem(item, False, False)

    def _onManyNodesChanged(self, _caller: Any, _event: str, _data: Any) -> None:
        for index in range(self._scene.GetNumberOfNodes()):
            self._addItem(self._scene.GetNthNode(index))
