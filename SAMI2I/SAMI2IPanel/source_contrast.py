"""What a volume node says of its contrast: DICOM tags, file name, node name."""

from pathlib import Path
from typing import Any

import slicer

from SAMI2IPanel.contrast_guess import Guess, guessContrast

# Set by Slicer's DICOM module on what it has loaded, after the node is in the scene.
_INSTANCES = "DICOM.instanceUIDs"
_TAGS = {
    "SeriesDescription": "0008,103e",
    "ProtocolName": "0018,1030",
    "RepetitionTime": "0018,0080",
    "EchoTime": "0018,0081",
    "InversionTime": "0018,0082",
}


def guessSourceContrast(node: Any) -> Guess:
    """Guess the contrast of a volume node."""
    fileName = _fileName(node)
    names = [Path(fileName).name] if fileName else []
    return guessContrast(dicomTags(node), [*names, node.GetName() or ""])


def groundsOf(node: Any) -> tuple[str, ...]:
    """What a guess rests on: a node is in the scene before Slicer has told it all of this."""
    uids = node.GetAttribute(_INSTANCES) or ""
    return node.GetID(), node.GetName() or "", _fileName(node), uids


def dicomTags(node: Any) -> dict[str, str]:
    """The tags that tell a contrast, of the first instance that a node was loaded from."""
    uids = (node.GetAttribute(_INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None or not database.isOpen:
        return {}
    return {name: database.instanceValue(uids[0], tag) or "" for name, tag in _TAGS.items()}


def _fileName(node: Any) -> str:
    storage = node.GetStorageNode()
    return (storage.GetFileName() or "") if storage is not None else ""
