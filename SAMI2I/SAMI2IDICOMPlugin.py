"""Offers the export of synthetic volumes in Slicer's own DICOM export dialog, as the first choice.

Slicer's exporter of scalar volumes writes ORIGINAL and, unless changed by hand, CT: a synthetic
image would pass for a real one.
"""

from pathlib import Path
from typing import Any

import slicer
from DICOMLib import DICOMPlugin
from SAMI2IPanel.dicom_export import canBeExported, exportNode
from SAMI2IPanel.i18n import _
from SAMI2IPanel.protocol import PanelError

# Slicer's scalar volume plugin offers itself for every volume with 0.5.
CONFIDENCE = 0.95
_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientComments",
    "StudyInstanceUID", "StudyID", "StudyDescription", "StudyDate", "StudyTime",
)  # fmt: skip


class SAMI2IDICOMPluginClass(DICOMPlugin):
    """What the export dialog asks; nothing is offered for import."""

    def __init__(self) -> None:
        super().__init__()
        self.loadType = _("Synthetic MR volume (SAM-I2I)")

    def examineForImport(self, _fileLists: Any) -> list[Any]:
        """Slicer's own plugins load the series."""
        return []

    def examineForExport(self, subjectHierarchyItemID: int) -> list[Any]:
        """Offer the export of a synthetic volume."""
        node = _nodeOf(subjectHierarchyItemID)
        if node is None or not canBeExported(node):
            return []
        exportable = slicer.qSlicerDICOMExportable()
        exportable.name = self.loadType
        exportable.tooltip = _(
            "A series that says that it is synthetic, in the study of the scan it was made from. "
            "Patient and study below count only where that scan is no DICOM series."
        )
        exportable.subjectHierarchyItemID = subjectHierarchyItemID
        exportable.pluginClass = self.__module__
        exportable.confidence = CONFIDENCE
        exportable.setTag("SeriesNumber", "")
        return [exportable]

    def export(self, exportables: list[Any]) -> str:
        """Write the chosen series; give what went wrong, or nothing."""
        for exportable in exportables:
            node = _nodeOf(exportable.subjectHierarchyItemID)
            if node is None or not canBeExported(node):
                return _("The volume is not in the scene any more, or is not synthetic.")
            patient = {name: exportable.tag(name) or "" for name in _PATIENT_AND_STUDY}
            number = exportable.tag("SeriesNumber") or ""
            try:
                exported = exportNode(node, Path(exportable.directory), patient, number)
            except PanelError as error:
                return str(error)
            for notice in exported.notices:
                slicer.util.warningDisplay(notice.message)
        return ""


class SAMI2IDICOMPlugin:
    """How Slicer finds the plugin: a hidden module that registers it."""

    def __init__(self, parent: Any) -> None:
        parent.title = _("SAM-I2I DICOM Plugin")
        parent.categories = ["Developer Tools.DICOM Plugins"]
        parent.contributors = ["The SAM-I2I for 3D Slicer developers"]
        parent.helpText = _("Exports synthetic volumes from Slicer's DICOM export dialog.")
        parent.dependencies = ["SAMI2I"]
        parent.hidden = True
        # Slicer's DICOM module may be loaded later and takes over what it finds.
        if not hasattr(slicer.modules, "dicomPlugins"):
            slicer.modules.dicomPlugins = {}
        slicer.modules.dicomPlugins["SAMI2IDICOMPlugin"] = SAMI2IDICOMPluginClass


def _nodeOf(item: int) -> Any:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy.GetItemDataNode(item)
