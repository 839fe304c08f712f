"""The button that writes the chosen result as a DICOM series."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from SAMI2IPanel.dicom_export import canBeExported, exportNode
from SAMI2IPanel.i18n import _


class ExportSection:
    """Asks for a folder and writes a new one into it.

    Args:
        ui: The panel's widgets.
        parameters: Gives the parameter node, or None while the scene closes.
    """

    def __init__(self, ui: Any, parameters: Callable[[], Any]) -> None:
        self._ui, self._parameters = ui, parameters
        ui.exportDicomButton.connect("clicked(bool)", self.onExport)

    def update(self) -> None:
        """Offer the export of a synthetic volume."""
        result = self._parameters().resultVolume
        possible = result is not None and canBeExported(result)
        self._ui.exportDicomButton.enabled = possible
        self._ui.exportDicomButton.toolTip = (
            _(
                "Write the result as a DICOM series that says that it is synthetic, in the study "
                "of its source where that is a DICOM series."
            )
            if possible
            else _("Choose a synthetic volume as the result.")
        )

    def onExport(self, _checked: bool = False) -> None:
        """Write the result into a new folder inside the one that the user chooses."""
        chosen = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder for the DICOM series"), ""
        )
        if not chosen:
            return
        with slicer.util.tryWithErrorDisplay(_("The series was not written."), waitCursor=True):
            exported = exportNode(self._parameters().resultVolume, Path(str(chosen)))
            lines = [
                _("{count} slices were written to {folder}.").format(
                    count=exported.count, folder=exported.folder
                )
            ]
            lines += [notice.message for notice in exported.notices]
        slicer.util.infoDisplay("\n".join(lines))
