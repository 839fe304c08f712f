"""A synthetic volume of the scene as a DICOM series that says what it is.

The library writes it in Slicer's own process, with Slicer's own pydicom: it takes a second or two.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slicer

from SAMI2IPanel.bridge import (
    RECORD_ATTRIBUTE,
    SOURCE_REFERENCE,
    TARGET_ATTRIBUTE,
    UNCERTAINTY_ATTRIBUTE,
    holdsImage,
    isSynthetic,
)
from SAMI2IPanel.i18n import _
from SAMI2IPanel.protocol import PanelError

# Set by Slicer's DICOM module on what it has loaded.
INSTANCES_ATTRIBUTE = "DICOM.instanceUIDs"


def canBeExported(node: Any) -> bool:
    """Whether a node is a synthetic volume with a record; error and uncertainty maps are not."""
    return (
        isSynthetic(node)
        and node.IsA("vtkMRMLScalarVolumeNode")
        and bool(node.GetAttribute(RECORD_ATTRIBUTE))
        and not node.GetAttribute(UNCERTAINTY_ATTRIBUTE)
        and bool(holdsImage(node))
    )


def exportNode(
    node: Any, parent: Path, patient: Mapping[str, str] | None = None, seriesNumber: str = ""
) -> Any:
    """Write a synthetic volume as a DICOM series.

    Args:
        node: For which `canBeExported` says yes.
        parent: An existing folder. The series takes it where it is empty, as one is into which
            Slicer exports for its database; else it gets a new folder in it.
        patient: Patient and study by DICOM keyword, where the source is no DICOM series.
        seriesNumber: Empty for the library's own.

    Returns:
        The library's `ExportedSeries`.

    Raises:
        PanelError: It cannot be exported; nothing was written.
    """
    from SAMI2ILib.dicom.export import export_series
    from SAMI2ILib.dicom.series_header import ExportOptions
    from SAMI2ILib.errors import Sami2iError
    from SAMI2ILib.imaging.volume import Volume

    _checkTransform(node)
    source = sourceFiles(node)
    try:
        number = int(seriesNumber) if seriesNumber.strip() else None
        volume = Volume(slicer.util.arrayFromVolume(node), _ijkToRas(node), node.GetName())
        record = json.loads(node.GetAttribute(RECORD_ATTRIBUTE))
        options = ExportOptions(series_number=number, patient=dict(patient or {}))
        return export_series(volume, record, _folderFor(node, parent), source, options=options)
    except ModuleNotFoundError as error:
        raise PanelError(
            _("The Python package {name} is missing.").format(name=error.name),
            _("Press Install in the SAM-I2I panel."),
        ) from error
    except Sami2iError as error:
        raise PanelError(error.message, error.hint) from error
    except ValueError as error:
        raise PanelError(
            _("The series number or the record of the volume is damaged."),
            _("Give a whole number, or translate again."),
        ) from error


def sourceFiles(node: Any) -> list[Path] | None:
    """The files of the DICOM series that a volume was made from; None where it was no DICOM.

    Raises:
        PanelError: They are not in the DICOM database any more.
    """
    source = node.GetNodeReference(SOURCE_REFERENCE)
    instances = (source.GetAttribute(INSTANCES_ATTRIBUTE) or "").split() if source else []
    if not instances:
        return None
    database = getattr(slicer, "dicomDatabase", None)
    files = [str(database.fileForInstance(uid)) if database else "" for uid in instances]
    if not all(name and Path(name).is_file() for name in files):
        raise PanelError(
            _("The DICOM files of {name} are not in the DICOM database.").format(
                name=source.GetName()
            ),
            _("Import them again, so that the series joins the right patient and study."),
        )
    return [Path(name) for name in dict.fromkeys(files)]


def _checkTransform(node: Any) -> None:
    """Voxels lie in the source's frame of reference as long as both move together."""
    source = node.GetNodeReference(SOURCE_REFERENCE)
    if node.GetTransformNodeID() != (source.GetTransformNodeID() if source else None):
        raise PanelError(
            _("{name} is not under the same transform as its source.").format(name=node.GetName()),
            _("Harden its transform, or put both under the same one."),
        )


def _ijkToRas(node: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _folderFor(node: Any, parent: Path) -> Path:
    if parent.is_dir() and not any(parent.iterdir()):
        return parent
    contrast = "".join(c for c in node.GetAttribute(TARGET_ATTRIBUTE) or "" if c.isalnum())
    # Not the node's name: it may be that of a patient.
    names = (f"SYNTHETIC_{contrast}_{number}" for number in range(1, 10_000))
    return next(parent / name for name in names if not (parent / name).exists())
