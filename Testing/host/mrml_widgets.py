"""Stand-ins for Slicer's MRML-aware widgets, with only the names that their C++ headers expose.

A helper that C++ keeps private starts with `_` here, so that a module under test cannot call
what PythonQt would refuse. `names.json` lists what is public and a test compares.
"""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6 import QtCore, QtWidgets
from slicer import vtkMRMLNode, vtkMRMLScene

from . import pythonqt
from .ui_loader import register
from .vtk_events import Observations

Property, Signal = QtCore.Property, QtCore.Signal


def option(name: str, kind: type, default: Any, onChange: str | None = None) -> Any:
    """A Qt property with a plain value behind it, readable and writable as an attribute."""
    store = f"_host_{name}"

    def read(self: Any) -> Any:
        return getattr(self, store, default)

    def write(self: Any, value: Any) -> None:
        setattr(self, store, kind(value))
        if onChange is not None:
            getattr(self, onChange)()

    return Property("QStringList" if kind is list else kind, read, write)


class _SceneHolder:
    """What every MRML widget shares: the scene and the signal that it changed."""

    _hostSignatures: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}

    def setMRMLScene(self: Any, scene: vtkMRMLScene | None) -> None:
        if scene is self._hostScene:
            return
        self._hostScene = scene
        self.mrmlSceneChanged.emit(scene)


@register
class qMRMLWidget(_SceneHolder, QtWidgets.QWidget):
    """A plain widget that hands the scene to the widgets inside it."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostScene = None

    def mrmlScene(self) -> vtkMRMLScene | None:
        return self._hostScene


@register
class qSlicerWidget(_SceneHolder, QtWidgets.QWidget):
    """The base of module widgets."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostScene = None


@register
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A drop-down list of the scene's nodes of some classes."""

    currentNodeChanged = Signal(object)
    _hostCurrentNodeValid = Signal(bool)
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    _hostSignatures: ClassVar = {
        **{
            f"{name}(vtkMRMLNode*)": f"{name}(PyObject)"
            for name in (
                "currentNodeChanged",
                "nodeActivated",
                "nodeAdded",
                "nodeAddedByUser",
                "nodeAddedByUserAction",
                "nodeAboutToBeRemoved",
                "nodeAboutToBeEdited",
            )
        },
        "currentNodeChanged(bool)": "_hostCurrentNodeValid(bool)",
    }

    nodeTypes = option("nodeTypes", list, [], "_refresh")
    showHidden = option("showHidden", bool, False, "_refresh")
    showChildNodeTypes = option("showChildNodeTypes", bool, True, "_refresh")
    hideChildNodeTypes = option("hideChildNodeTypes", list, [], "_refresh")
    baseName = option("baseName", str, "")
    noneEnabled = option("noneEnabled", bool, False, "_refresh")
    noneDisplay = option("noneDisplay", str, "None", "_refresh")
    addEnabled = option("addEnabled", bool, True, "_refresh")
    removeEnabled = option("removeEnabled", bool, True, "_refresh")
    editEnabled = option("editEnabled", bool, False, "_refresh")
    renameEnabled = option("renameEnabled", bool, False, "_refresh")
    selectNodeUponCreation = option("selectNodeUponCreation", bool, True)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._hostScene = None
        self._hostNodes: list[vtkMRMLNode] = []
        self._hostCurrent: vtkMRMLNode | None = None
        self._hostAttributes: list[tuple[str, str, Any]] = []
        self._hostLabels: dict[str, str] = {}
        self._hostActions: list[Any] = []
        self._hostUpdating = False
        self._hostEvents = Observations()
        self._hostNodeEvents = Observations()
        self._hostBox = QtWidgets.QComboBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._hostBox)
        self._hostBox.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        pythonqt.connect(self._hostBox, "activated(int)", self._onActivated)
        for events in (self._hostEvents, self._hostNodeEvents):
            pythonqt.connect(self, "destroyed()", events.clear)
        self._refresh()

    # The scene

    def mrmlScene(self) -> vtkMRMLScene | None:
        return self._hostScene

    def setMRMLScene(self, scene: vtkMRMLScene | None) -> None:
        if scene is self._hostScene:
            return
        self._hostEvents.clear()
        self._hostScene = scene
        if scene is not None:
            watch = self._hostEvents.add
            watch(scene, vtkMRMLScene.NodeAddedEvent, self._onNodeAdded)
            watch(scene, vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved)
            watch(scene, vtkMRMLScene.NodeRemovedEvent, self._onSceneChanged)
            watch(scene, vtkMRMLScene.EndBatchProcessEvent, self._onSceneChanged)
        self._refresh()

    def _onSceneChanged(self, _caller: Any, _event: str, _data: Any = None) -> None:
        if not self._hostScene.IsBatchProcessing():
            self._refresh()

    def _onNodeAdded(self, _caller: Any, _event: str, node: vtkMRMLNode) -> None:
        if not self._hostScene.IsBatchProcessing():
            self._refresh()
            if self._accepts(node):
                self.nodeAdded.emit(node)

    def _onNodeAboutToBeRemoved(self, _caller: Any, _event: str, node: vtkMRMLNode) -> None:
        if self._accepts(node):
            self.nodeAboutToBeRemoved.emit(node)

    # The nodes on offer

    def _isOfKind(self, node: vtkMRMLNode) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        kinds = [kind for kind in self.nodeTypes if node.IsA(kind)]
        if not kinds or any(node.IsA(hidden) for hidden in self.hideChildNodeTypes):
            return False
        return self.showChildNodeTypes or node.GetClassName() in kinds

    def _accepts(self, node: vtkMRMLNode) -> bool:
        return self._isOfKind(node) and all(
            node.GetAttribute(name) is not None and value in (None, "", node.GetAttribute(name))
            for kind, name, value in self._hostAttributes
            if node.IsA(kind)
        )

    def _refresh(self) -> None:
        """Fill the list again and keep the current node, or the first where one is a must."""
        scene = self._hostScene
        every = (
            [] if scene is None else [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
        )
        self._hostNodes = [node for node in every if self._accepts(node)]
        current = self._hostCurrent if self._hostCurrent in self._hostNodes else None
        if current is None and not self.noneEnabled and self._hostNodes:
            current = self._hostNodes[0]
        self._select(current)
        self._fillBox()
        # Observed anew each time, so that a node that left the scene is not kept alive. Those that
        # an attribute keeps away are followed too: Slicer's filter takes them in when it changes.
        self._hostNodeEvents.clear()
        for node in filter(self._isOfKind, every):
            self._hostNodeEvents.add(node, "ModifiedEvent", self._onNodeModified)

    def _fillBox(self) -> None:
        box = self._hostBox
        box.clear()
        if self.noneEnabled or not self._hostNodes:
            box.addItem(self._emptyText(), None)
        for node in self._hostNodes:
            box.addItem(node.GetName(), node.GetID())
        for label in self._menuLabels():
            box.addItem(label, label)
        index = box.findData(self._hostCurrent.GetID()) if self._hostCurrent else 0
        box.setCurrentIndex(index)
        box.setEnabled(self._hostScene is not None)

    def _emptyText(self) -> str:
        if self.noneEnabled:
            return self.noneDisplay
        kind = self.nodeTypeLabel(self.nodeTypes[0]) if self.nodeTypes else "node"
        return f"Select a {kind}"

    def _menuLabels(self) -> list[str]:
        if self._hostScene is None or not self.nodeTypes:
            return []
        wanted = {
            "Rename current node": self.renameEnabled,
            "Edit current node": self.editEnabled,
            "Delete current node": self.removeEnabled,
        }
        labels = [label for label, enabled in wanted.items() if enabled and self._hostCurrent]
        if self.addEnabled:
            labels += [f"Create new {self.nodeTypeLabel(kind)}" for kind in self.nodeTypes]
        return labels + [action.text for action in self._hostActions]

    def _onNodeModified(self, node: vtkMRMLNode, _event: str, _data: Any = None) -> None:
        if (node in self._hostNodes) != self._accepts(node):
            self._refresh()
        index = self._hostBox.findData(node.GetID())
        if index >= 0 and self._hostBox.itemText(index) != node.GetName():
            self._hostBox.setItemText(index, node.GetName())
            if node is self._hostCurrent:
                self.currentNodeRenamed.emit(node.GetName())

    # The current node

    def _select(self, node: vtkMRMLNode | None) -> None:
        if node is self._hostCurrent:
            return
        self._hostCurrent = node
        self._fillBox()
        self.currentNodeChanged.emit(node)
        self._hostCurrentNodeValid.emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def currentNode(self) -> vtkMRMLNode | None:
        return self._hostCurrent

    def setCurrentNode(self, node: vtkMRMLNode | str | None) -> None:
        if isinstance(node, str):
            self.setCurrentNodeID(node)
            return
        self._select(node if node in self._hostNodes else None)

    def _readCurrentNodeID(self) -> str:
        return self._hostCurrent.GetID() if self._hostCurrent else ""

    def setCurrentNodeID(self, nodeID: str | None) -> None:
        self._select(next((node for node in self._hostNodes if node.GetID() == nodeID), None))

    currentNodeID = Property(str, _readCurrentNodeID, setCurrentNodeID)

    def setCurrentNodeIndex(self, index: int) -> None:
        self._select(self._hostNodes[index] if 0 <= index < len(self._hostNodes) else None)

    def nodeCount(self) -> int:
        return len(self._hostNodes)

    def nodeFromIndex(self, index: int) -> vtkMRMLNode | None:
        return self._hostNodes[index] if 0 <= index < len(self._hostNodes) else None

    # Nodes made, removed and filtered

    def addNode(self, nodeType: str | None = None) -> vtkMRMLNode:
        kind = nodeType or self.nodeTypes[0]
        name = self._hostScene.GenerateUniqueName(self.baseName or self.nodeTypeLabel(kind))
        node = self._hostScene.AddNewNodeByClass(kind, name)
        for attributeKind, attribute, value in self._hostAttributes:
            if node.IsA(attributeKind):
                node.SetAttribute(attribute, str(value or ""))
        self._refresh()
        if self.selectNodeUponCreation:
            self._select(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self._hostCurrent is not None:
            self._hostScene.RemoveNode(self._hostCurrent)

    def renameCurrentNode(self) -> None:
        name = QtWidgets.QInputDialog.getText(self, "Rename", "New name:")
        if name and self._hostCurrent is not None:
            self._hostCurrent.SetName(name)

    def editCurrentNode(self) -> None:
        if self._hostCurrent is not None:
            self.nodeAboutToBeEdited.emit(self._hostCurrent)

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        """Filter nodes of a type by an attribute, one at most; an unlisted type is left alone."""
        if nodeType not in self.nodeTypes:
            return
        others = [entry for entry in self._hostAttributes if entry[0] != nodeType]
        self._hostAttributes = [*others, (nodeType, name, value)]
        self._refresh()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._hostAttributes = [
            entry for entry in self._hostAttributes if entry[:2] != (nodeType, name)
        ]
        self._refresh()

    def setNodeTypeLabel(self, label: str, nodeType: str) -> None:
        self._hostLabels[nodeType] = label

    def nodeTypeLabel(self, nodeType: str) -> str:
        if nodeType in self._hostLabels:
            return self._hostLabels[nodeType]
        node = self._hostScene.CreateNodeByClass(nodeType) if self._hostScene else None
        if node is None:
            return nodeType
        node.UnRegister(None)
        return node.GetNodeTagName()

    def addMenuAction(self, action: Any) -> None:
        self._hostActions.append(action)
        self._refresh()

    def _onActivated(self, index: int) -> None:
        """The user chose an entry: a node, none, or one of the commands below the nodes."""
        data = self._hostBox.itemData(index)
        label = self._hostBox.itemText(index)
        if data is not None and label == data:
            self._runCommand(label)
            return
        self.setCurrentNodeID(data)
        if self._hostCurrent is not None:
            self.nodeActivated.emit(self._hostCurrent)

    def _runCommand(self, label: str) -> None:
        self._fillBox()
        if label == "Delete current node":
            self.removeCurrentNode()
        elif label == "Edit current node":
            self.editCurrentNode()
        elif label == "Rename current node":
            self.renameCurrentNode()
        elif label.startswith("Create new "):
            kinds = {f"Create new {self.nodeTypeLabel(kind)}": kind for kind in self.nodeTypes}
            self.nodeAddedByUserAction.emit(self.addNode(kinds[label]))
        for action in self._hostActions:
            if action.text == label:
                action.trigger()
