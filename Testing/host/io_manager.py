"""`slicer.app.coreIOManager()`: files to nodes and back, through Slicer's own logics and nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtCore

SCENE_SUFFIXES = (".mrml", ".mrb")
VOLUME_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".hdr", ".img")
TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt")

# The flags of vtkSlicerVolumesLogic.AddArchetypeVolume.
VOLUME_OPTIONS = {
    "labelmap": 0x1,
    "center": 0x2,
    "singleFile": 0x4,
    "autoWindowLevel": 0x8,
    "discardOrientation": 0x10,
}

Signal = QtCore.Signal


class qSlicerCoreIOManager(QtCore.QObject):
    """Reads and writes volumes, transforms and scenes."""

    _hostSignatures: ClassVar = {
        f"{name}(qSlicerIO::IOProperties)": f"{name}(PyObject)"
        for name in ("newFileLoaded", "fileSaved")
    }
    newFileLoaded = Signal(object)
    fileSaved = Signal(object)

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._hostApp = app
        self._hostVolumes = slicer.vtkSlicerVolumesLogic()
        self._hostVolumes.SetMRMLApplicationLogic(app.applicationLogic())
        self._hostVolumes.SetMRMLScene(app.mrmlScene())
        self._hostTransforms = slicer.vtkSlicerTransformLogic()
        self._hostTransforms.SetMRMLScene(app.mrmlScene())
        for name, logic in (("Volumes", self._hostVolumes), ("Transforms", self._hostTransforms)):
            app.applicationLogic().SetModuleLogic(name, logic)

    def fileType(self, fileName: str) -> str:
        name = fileName.lower()
        if name.endswith(SCENE_SUFFIXES):
            return "SceneFile"
        if name.endswith(TRANSFORM_SUFFIXES):
            return "TransformFile"
        return "VolumeFile" if name.endswith(VOLUME_SUFFIXES) else "NoFile"

    def fileWriterFileType(self, node: Any, _extension: str = "") -> str:
        if node.IsA("vtkMRMLVolumeNode"):
            return "VolumeFile"
        return "TransformFile" if node.IsA("vtkMRMLTransformNode") else "NodeFile"

    def loadNodes(
        self, fileType: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None
    ) -> bool:
        """Load one file; False, with messages, if it cannot be read."""
        readers = {
            "VolumeFile": self._loadVolume,
            "TransformFile": self._loadTransform,
            "SceneFile": self._loadScene,
        }
        if fileType not in readers:
            return _fail(messages, f"The host has no reader for {fileType!r}.")
        if not Path(properties["fileName"]).is_file():
            return _fail(messages, f"There is no file {properties['fileName']}.")
        node = readers[fileType](properties, messages)
        if isinstance(node, bool):
            return node
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        self.newFileLoaded.emit({**properties, "nodeIDs": [node.GetID()]})
        return True

    def _loadVolume(self, properties: dict[str, Any], _messages: Any) -> Any:
        path = properties["fileName"]
        options = sum(flag for name, flag in VOLUME_OPTIONS.items() if properties.get(name))
        files = None
        if "fileNames" in properties:
            files = vtk.vtkStringArray()
            for name in properties["fileNames"]:
                files.InsertNextValue(name)
        name = properties.get("name") or Path(path).name.split(".")[0]
        node = self._hostVolumes.AddArchetypeVolume(path, name, options, files)
        if node is not None and properties.get("show", True):
            self._show(node)
        return node

    def _show(self, node: Any) -> None:
        logic = self._hostApp.applicationLogic()
        selection = logic.GetSelectionNode()
        if node.IsA("vtkMRMLLabelMapVolumeNode"):
            selection.SetActiveLabelVolumeID(node.GetID())
        else:
            selection.SetActiveVolumeID(node.GetID())
        logic.PropagateVolumeSelection()

    def _loadTransform(self, properties: dict[str, Any], messages: Any) -> Any:
        return self._hostTransforms.AddTransform(
            properties["fileName"], self._hostApp.mrmlScene(), messages
        )

    def _loadScene(self, properties: dict[str, Any], messages: Any) -> bool:
        scene, path = self._hostApp.mrmlScene(), properties["fileName"]
        clear = bool(properties.get("clear", False))
        if path.lower().endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear, messages))
        scene.SetURL(path)
        read = scene.Connect if clear else scene.Import
        return bool(read(messages))

    def loadScene(self, fileName: str, clear: bool = True, messages: Any = None) -> bool:
        return self._loadScene({"fileName": fileName, "clear": clear}, messages)

    def saveNodes(
        self, fileType: str, properties: dict[str, Any], messages: Any = None, scene: Any = None
    ) -> bool:
        """Write one node, or the scene, to `properties["fileName"]`."""
        if fileType == "SceneFile":
            saved = self._saveScene(properties, messages)
            if saved:
                self.fileSaved.emit(dict(properties))
            return saved
        node = (scene or self._hostApp.mrmlScene()).GetNodeByID(properties["nodeID"])
        storage = node.GetStorageNode() or _addStorageNode(node)
        if storage is None:
            return _fail(messages, f"{node.GetName()!r} cannot be stored in a file.")
        storage.SetFileName(properties["fileName"])
        if "useCompression" in properties:
            storage.SetUseCompression(int(properties["useCompression"]))
        written = bool(storage.WriteData(node))
        if written:
            self.fileSaved.emit(dict(properties))
        return written

    def _saveScene(self, properties: dict[str, Any], messages: Any) -> bool:
        scene, path = self._hostApp.mrmlScene(), str(properties["fileName"])
        if path.lower().endswith(".mrb"):
            return bool(scene.WriteToMRB(path, None, messages))
        if path.lower().endswith(".mrml"):
            scene.SetURL(path)
            return bool(scene.Commit(path, messages))
        Path(path).mkdir(parents=True, exist_ok=True)
        return bool(scene.SaveSceneToSlicerDataBundleDirectory(path, None, messages))

    def exportNodes(
        self,
        nodeIDs: list[str],
        fileNames: list[str],
        properties: dict[str, Any],
        hardenTransforms: bool,
        messages: Any = None,
    ) -> bool:
        """Write copies of nodes without touching their own storage nodes."""
        return all(
            self._exportNode(nodeID, fileName, properties, hardenTransforms, messages)
            for nodeID, fileName in zip(nodeIDs, fileNames, strict=True)
        )

    def _exportNode(
        self, nodeID: str, fileName: str, properties: dict[str, Any], harden: bool, messages: Any
    ) -> bool:
        # As in Slicer: a copy without the node's name and ID, in a scene that goes afterwards.
        node = self._hostApp.mrmlScene().GetNodeByID(nodeID)
        scene = slicer.vtkMRMLScene()
        copy = scene.AddNewNodeByClass(node.GetClassName())
        copy.CopyContent(node)
        transform = node.GetParentTransformNode()
        if harden and transform is not None:
            fromWorld = vtk.vtkGeneralTransform()
            transform.GetTransformFromWorld(fromWorld)
            parent = scene.AddNewNodeByClass("vtkMRMLTransformNode")
            parent.SetAndObserveTransformFromParent(fromWorld)
            copy.SetAndObserveTransformNodeID(parent.GetID())
            copy.HardenTransform()
        values = {**properties, "nodeID": copy.GetID(), "fileName": fileName}
        return self.saveNodes("NodeFile", values, messages, scene)

    def fileWriterExtensions(self, node: Any) -> list[str]:
        storage = node.GetStorageNode()
        if storage is None:
            storage = node.CreateDefaultStorageNode()
            if storage is None:
                return []
            storage.UnRegister(None)  # Python owns it
            storage.SetScene(node.GetScene())  # which knows ITK's file formats
        types = storage.GetSupportedWriteFileTypes()
        return [types.GetValue(index) for index in range(types.GetNumberOfValues())]

    def extractKnownExtension(self, fileName: str, node: Any) -> str:
        helper = slicer.vtkDataFileFormatHelper
        known = [
            helper.GetFileExtensionFromFormatString(text)
            for text in self.fileWriterExtensions(node)
        ]
        matching = [suffix for suffix in known if fileName.lower().endswith(suffix.lower())]
        return max(matching, key=len, default=Path(fileName).suffix)

    def addDefaultStorageNodes(self) -> None:
        scene = self._hostApp.mrmlScene()
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
            node = scene.GetNthNodeByClass(index, "vtkMRMLStorableNode")
            if node.GetSaveWithScene() and node.GetStorageNode() is None:
                node.AddDefaultStorageNode()


def _addStorageNode(node: Any) -> Any:
    node.AddDefaultStorageNode()
    return node.GetStorageNode()


def _fail(messages: Any, text: str) -> bool:
    if messages is not None:
        messages.AddMessage(vtk.vtkCommand.ErrorEvent, text)
    return False
