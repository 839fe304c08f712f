"""What a volume node says of its contrast: DICOM tags, file name, node name."""

from pathlib import Path
from typing import Any

import slicer

from SAMI2IPanel.contrast_guess import Guess, guessContrast

_TAGS = {
    "SeriesDescription": "0008,103e",
    "ProtocolName": "0018,1030",
    "RepetitionTime": "0018,0080",
    "EchoTime": "0018,0081",
    "InversionTime": "0018,0082",
}


def guessSourceContrast(node: Any) -> Guess:
    """Guess the contrast of a volume node."""
    storage = node.GetStorageNode()
    fileName = storage.GetFileName() if storage is not None else None
    names = [Path(fileName).name] if fileName else []
    return guessContrast(dicomTags(node), [*names, node.GetName() or ""])


def dicomTags(node: Any) -> dict[str, str]:
    """The tags that tell a contrast, of the first instance that a node was loaded from."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None or not database.isOpen:
        return {}
    return {name: database.instanceValue(uids[0], tag) or "" for name, tag in _TAGS.items()}
