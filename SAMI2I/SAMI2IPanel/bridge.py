"""From a volume node to a file and back: exact geometry, transforms, display, provenance."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
import vtk

from SAMI2IPanel.i18n import _
from SAMI2IPanel.nrrd import readNrrd, writeNrrd
from SAMI2IPanel.protocol import PanelError

if TYPE_CHECKING:
    import numpy as np

SYNTHETIC_ATTRIBUTE = "SAMI2I.Synthetic"
RECORD_ATTRIBUTE = "SAMI2I.Record"
TARGET_ATTRIBUTE = "SAMI2I.TargetContrast"
SOURCE_REFERENCE = "SAMI2I.Source"
SOURCE_NAME_ATTRIBUTE = "SAMI2I.SourceNode"
ERROR_MAP_ATTRIBUTE = "SAMI2I.ErrorMap"
UNCERTAINTY_ATTRIBUTE = "SAMI2I.Uncertainty"

# Fields of a `result` event that speak of files in the run's own folder.
_PATHS = ("output", "sidecar", "uncertainty", "volume")

# How far voxel positions of the result may be from the source's.
_POSITION_TOLERANCE_MM = 1e-3
_SHEAR_TOLERANCE = 1e-3  # the library's


@dataclass(frozen=True, eq=False)
class SourceGeometry:
    """Where a volume lay when it was written; the node may change or go afterwards.

    Attributes:
        name: Of the node.
        nodeID: Of the node.
        shapeKji: Of its array.
        ijkToLocal: (4, 4), the node's own IJK-to-RAS.
        ijkToFile: (4, 4), what was written: with the parent transform where it is rigid.
        transformID: Of the parent transform, or None.
        warnings: What the user should know.
    """

    name: str
    nodeID: str
    shapeKji: tuple[int, ...]
    ijkToLocal: "np.ndarray"
    ijkToFile: "np.ndarray"
    transformID: str | None
    warnings: tuple[str, ...]


def isSynthetic(node: Any) -> bool:
    """Whether a node says that it is a synthetic volume or is derived from one."""
    return node is not None and node.GetAttribute(SYNTHETIC_ATTRIBUTE) == "true"


def holdsImage(node: Any) -> bool:
    """Whether a volume node has voxels."""
    data = node.GetImageData()
    return data is not None and data.GetNumberOfPoints() > 0 and data.GetPointData().GetScalars()


def writeVolume(node: Any, path: Path) -> SourceGeometry:
    """Write a volume where it lies in the world; the node is not changed.

    Args:
        node: A scalar volume node.
        path: Ends in .nrrd.

    Returns:
        What is needed to put a result on the same voxels.

    Raises:
        PanelError: The node has no voxels, or several values per voxel.
    """
    if not holdsImage(node):
        raise PanelError(
            _("The volume {name} holds no image.").format(name=node.GetName()),
            _("Choose another one."),
        )
    array = slicer.util.arrayFromVolume(node)
    if array.ndim != 3:
        raise PanelError(
            _("The volume {name} has several values per voxel.").format(name=node.GetName()),
            _("Choose a gray-scale volume."),
        )
    local = _matrixOf(node)
    inFile, warnings = _matrixInWorld(node, local)
    writeNrrd(path, array, inFile)
    transform = node.GetParentTransformNode()
    return SourceGeometry(
        node.GetName(), node.GetID(), array.shape, local, inFile,
        transform.GetID() if transform else None, warnings,
    )  # fmt: skip


def readOntoSource(path: Path, geometry: SourceGeometry) -> "np.ndarray":
    """Read a result that lies on the written source's grid.

    Returns:
        (K, J, I) in the order of the source node's voxels.

    Raises:
        PanelError: The file lies on another grid.
    """
    import numpy as np

    array, matrix = readNrrd(path)
    if array.shape == geometry.shapeKji:
        i, j, k = (n - 1 for n in reversed(array.shape))
        corners = np.array([[0, i, 0, 0], [0, 0, j, 0], [0, 0, 0, k], [1, 1, 1, 1]])
        if np.abs((matrix - geometry.ijkToFile) @ corners).max() <= _POSITION_TOLERANCE_MM:
            return array
    raise PanelError(
        _("The result does not lie on the grid of {name}.").format(name=geometry.name),
        _("This is a defect: please report it."),
    )


def readElsewhere(path: Path, geometry: SourceGeometry) -> "tuple[np.ndarray, np.ndarray]":
    """Read a result on a grid of its own, for a node under the source's transform.

    Returns:
        (K, J, I) and the (4, 4) IJK-to-RAS for a node under the source's parent transform.
    """
    import numpy as np

    array, matrix = readNrrd(path)
    worldToLocal = geometry.ijkToLocal @ np.linalg.inv(geometry.ijkToFile)
    return array, worldToLocal @ matrix


def fillNode(
    node: Any, arrayKji: "np.ndarray", ijkToLocal: "np.ndarray", geometry: SourceGeometry
) -> None:
    """Give a node voxels, a place beside its source, and a display of its own."""
    modifying = node.StartModify()
    # A copy: voxels that were read from a file belong to nobody and may be read-only.
    slicer.util.updateVolumeFromArray(node, arrayKji.copy())
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToLocal))
    scene = slicer.mrmlScene
    transform = scene.GetNodeByID(geometry.transformID) if geometry.transformID else None
    node.SetAndObserveTransformNodeID(transform.GetID() if transform else None)
    node.EndModify(modifying)
    _showInGray(node)
    source = scene.GetNodeByID(geometry.nodeID)
    if source is not None:
        _placeBeside(node, source)


def markSynthetic(node: Any, record: dict[str, Any], geometry: SourceGeometry) -> None:
    """Write the record of a translation into a node's attributes, which scenes keep.

    Args:
        node: The synthetic volume.
        record: The `result` event, as in the sidecar.
        geometry: Of the source, whose node takes the place of the temporary file.
    """
    kept = {key: value for key, value in record.items() if key not in _PATHS}
    kept["source"] = {"node": geometry.name, "sha256": record["source"]["sha256"]}
    fields = {
        SYNTHETIC_ATTRIBUTE: "true",
        "SAMI2I.IntendedUse": record["intended_use"],
        SOURCE_NAME_ATTRIBUTE: geometry.name,
        "SAMI2I.SourceSHA256": record["source"]["sha256"],
        "SAMI2I.SourceContrast": record["source_contrast"],
        TARGET_ATTRIBUTE: record["target_contrast"],
        "SAMI2I.ModelID": record["model"]["id"],
        "SAMI2I.ModelSHA256": record["model"]["sha256"],
        "SAMI2I.SoftwareVersion": record["software"]["version"],
        "SAMI2I.Device": record["device"]["name"],
        "SAMI2I.Precision": record["device"]["precision"],
        "SAMI2I.Date": record["date"],
        RECORD_ATTRIBUTE: json.dumps(kept),
    }
    for name, value in fields.items():
        node.SetAttribute(name, str(value))
    node.SetNodeReferenceID(SOURCE_REFERENCE, geometry.nodeID)
    text = _("SYNTHETIC {contrast}, made from {source}. {use}")
    node.SetDescription(
        text.format(
            contrast=record["target_contrast"], source=geometry.name, use=record["intended_use"]
        )
    )


def unmark(node: Any) -> None:
    """Take the marks of an earlier result from a node that is about to be filled again.

    That it is synthetic stays said all the while: its voxels are.
    """
    for name in list(node.GetAttributeNames()):
        if name.startswith("SAMI2I.") and name != SYNTHETIC_ATTRIBUTE:
            node.RemoveAttribute(name)


def _matrixOf(node: Any) -> "np.ndarray":
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _matrixInWorld(node: Any, local: "np.ndarray") -> "tuple[np.ndarray, tuple[str, ...]]":
    """Matrix to write: the world's where parent transforms are linear and keep angles right."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return local, ()
    if not transform.IsTransformToWorldLinear():
        text = _(
            "The transform of {name} is not linear: the slices follow the volume without it. "
            "Harden the transform first if it turns the head."
        )
        return local, (text.format(name=node.GetName()),)
    toWorld = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(toWorld)
    world = slicer.util.arrayFromVTKMatrix(toWorld) @ local
    if _isSheared(world) and not _isSheared(local):
        text = _(
            "The transform of {name} shears it: the slices follow the volume without it. "
            "Harden the transform first if it turns the head."
        )
        return local, (text.format(name=node.GetName()),)
    return world, ()


def _isSheared(matrix: "np.ndarray") -> bool:
    import numpy as np

    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > _SHEAR_TOLERANCE)


def _showInGray(node: Any) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.AutoWindowLevelOn()


def _placeBeside(node: Any, source: Any) -> None:
    """Move a node to the folder, study or patient of its source."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    if hierarchy is None:
        return
    sourceItem = hierarchy.GetItemByDataNode(source)
    item = hierarchy.GetItemByDataNode(node)
    if sourceItem and item:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(sourceItem))
