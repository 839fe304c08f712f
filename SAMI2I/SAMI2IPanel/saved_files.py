"""Writes the record beside a synthetic volume that Slicer saves or exports to a file of its own."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slicer

from SAMI2IPanel.bridge import (
    ERROR_MAP_ATTRIBUTE,
    RECORD_ATTRIBUTE,
    TARGET_ATTRIBUTE,
    holdsImage,
    isSynthetic,
)
from SAMI2IPanel.i18n import _

SIGNAL = "fileSaved(qSlicerIO::IOProperties)"
# A scene holds the attributes of its nodes, and the record among them. Files of volumes do not: of
# Slicer's writers only that of diffusion volumes puts attributes into NRRD.
SCENE_ENDINGS = (".mrml", ".mrb")


class SidecarWriter:
    """Listens to what Slicer saves and exports, by whatever dialog or script."""

    def __init__(self) -> None:
        slicer.app.coreIOManager().connect(SIGNAL, self._onFileSaved)

    def close(self) -> None:
        """Listen no more."""
        slicer.app.coreIOManager().disconnect(SIGNAL, self._onFileSaved)

    def _onFileSaved(self, properties: Mapping[str, Any]) -> None:
        path = Path(str(properties.get("fileName", "")))
        if path.name.lower().endswith(SCENE_ENDINGS) or path.is_dir():  # a scene, too
            return
        node = savedNode(path, str(properties.get("nodeID", "")))
        if node is None:
            return
        problem = writeSidecar(node, path)
        if problem:
            text = _(
                "{file} does not say that it is SYNTHETIC: its record could not be written "
                "beside it. {problem}"
            )
            slicer.util.warningDisplay(text.format(file=path.name, problem=problem))


def savedNode(path: Path, nodeID: str) -> Any:
    """Find the synthetic volume that a file was written from; None where it was another node.

    Args:
        path: The file.
        nodeID: Of the node that was written: in this scene where it was saved; where it was
            exported, of a nameless copy in a scene that is gone, and the file itself tells.
    """
    from SAMI2ILib.inference.output_files import image_stem

    node = slicer.mrmlScene.GetNodeByID(nodeID) if nodeID else None
    storage = (
        node.GetStorageNode() if node is not None and node.IsA("vtkMRMLStorableNode") else None
    )
    if storage is not None and _isSameFile(storage.GetFileName() or "", path):
        return node if isSynthetic(node) else None
    stem = image_stem(path)
    volumes = filter(isSynthetic, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
    candidates = [volume for volume in volumes if holdsImage(volume)]
    named = (volume for volume in candidates if volume.GetName() == stem)
    return next(named, None) or _withVoxelsOf(path, candidates)


def _withVoxelsOf(path: Path, candidates: list[Any]) -> Any:
    """The volume whose voxels a file holds, whatever the file is called."""
    import numpy as np

    from SAMI2ILib.imaging.io import image_ending

    if not candidates or not image_ending(path):
        return None
    storage, written = slicer.vtkMRMLVolumeArchetypeStorageNode(), slicer.vtkMRMLScalarVolumeNode()
    storage.SetFileName(str(path))
    storage.SetSingleFile(True)
    if not storage.ReadData(written) or not holdsImage(written):
        return None
    voxels = slicer.util.arrayFromVolume(written)
    for volume in candidates:
        own = slicer.util.arrayFromVolume(volume)
        # Slicer turns the slices of a left-handed volume over when it reads them.
        if any(np.array_equal(own, order) for order in (voxels, voxels[::-1])):
            return volume
    return None


def writeSidecar(node: Any, path: Path) -> str:
    """Write the record of a synthetic volume, or of an error map, beside its file.

    Returns:
        Why it could not be written; empty where it was.
    """
    from SAMI2ILib.atomic import write_text
    from SAMI2ILib.errors import Sami2iError
    from SAMI2ILib.inference.output_files import is_synthetic_record, sidecar_path

    sidecar = sidecar_path(path)
    if sidecar.exists() and not is_synthetic_record(sidecar):
        return _("{name} belongs to something else.").format(name=sidecar.name)
    try:
        # By hand: `SAMI2ILib.weights` needs packages that who opens a scene may not have installed.
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        record = recordOf(node) | {"volume": {"file": path.name, "sha256": digest}}
        write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", sidecar)
    except (Sami2iError, OSError) as error:
        return str(error)
    return ""


def recordOf(node: Any) -> dict[str, Any]:
    """The record that a synthetic node carries; of an error map, which has none, what is known."""
    from SAMI2ILib.about import INTENDED_USE

    text = node.GetAttribute(RECORD_ATTRIBUTE)
    if text:
        record: dict[str, Any] = json.loads(text)
        return record
    return {
        "synthetic": True,
        "intended_use": INTENDED_USE,
        "quantity": "error" if node.GetAttribute(ERROR_MAP_ATTRIBUTE) == "true" else "image",
        "target_contrast": node.GetAttribute(TARGET_ATTRIBUTE) or "",
    }


def startWritingSidecars() -> None:
    """Start the one listener of this application, in place of an earlier one."""
    stopWritingSidecars()
    slicer.modules.SAMI2ISidecarWriter = SidecarWriter()


def stopWritingSidecars() -> None:
    """Stop the listener, if there is one."""
    writer = getattr(slicer.modules, "SAMI2ISidecarWriter", None)
    if writer is not None:
        writer.close()
        slicer.modules.SAMI2ISidecarWriter = None


def _isSameFile(name: str, path: Path) -> bool:
    return os.path.normcase(Path(name).absolute()) == os.path.normcase(path.absolute())
