"""The models on this computer: add, download, remove, open their folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from SAMI2IPanel.i18n import _
from SAMI2IPanel.sections.combo_box import currentValue, fillComboBox


class StoreSection:
    """Shows the model store and starts commands on it.

    Args:
        ui: The panel's widgets.
        runCommand: Starts a command as the panel's job: (arguments, name of the task).
    """

    def __init__(self, ui: Any, runCommand: Callable[[list[str], str], None]) -> None:
        self._ui, self._runCommand = ui, runCommand
        self._store: dict[str, Any] = {}
        self._busy = False
        ui.addModelButton.connect("clicked(bool)", self.onAdd)
        ui.downloadButton.connect("clicked(bool)", self.onDownload)
        ui.removeModelButton.connect("clicked(bool)", self.onRemove)
        ui.openFolderButton.connect("clicked(bool)", self.onOpenFolder)
        ui.storeComboBox.connect("currentIndexChanged(int)", self.onChosen)

    def show(self, store: dict[str, Any]) -> None:
        """Show what `sami2i models list` found."""
        self._store = store
        entries = [
            (f"{m['id']} ({m['source_contrast']} to {m['target_contrast']})", m["id"])
            for m in store["models"]
            if m["origin"] == "user"
        ]
        entries += [
            (_("{id} (encoder)").format(id=e["id"]), e["id"])
            for e in store["encoders"]
            if e["origin"] == "user"
        ]
        entries += [
            (_("{id} (damaged)").format(id=d["id"]), d["id"])
            for d in store["damaged"]
            if d["origin"] == "user"
        ]
        entries += [(_checkpointText(c), c["id"]) for c in store["checkpoints"]]
        fillComboBox(self._ui.storeComboBox, entries, currentValue(self._ui.storeComboBox))
        self.update(self._busy)

    def update(self, busy: bool) -> None:
        """Offer what can be done with the chosen entry."""
        self._busy = busy
        chosen = currentValue(self._ui.storeComboBox)
        absent = {c["id"] for c in self._store.get("checkpoints", ()) if not c["present"]}
        self._ui.addModelButton.enabled = not busy
        self._ui.downloadButton.enabled = not busy and chosen in absent
        self._ui.removeModelButton.enabled = not busy and bool(chosen) and chosen not in absent

    def onChosen(self, _index: int) -> None:
        """Another entry was chosen."""
        self.update(self._busy)

    def onAdd(self, _checked: bool = False) -> None:
        """Add a file that the user chooses."""
        chosen = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Add a model, encoder or SAM2 checkpoint"),
            "",
            _("Models and checkpoints (*.safetensors *.pt)"),
        )
        # PythonQt gives the path alone, other bindings a tuple with the filter.
        path = chosen[0] if isinstance(chosen, tuple) else chosen
        if path:
            self._runCommand(["models", "add", str(path)], _("adding the file"))

    def onDownload(self, _checked: bool = False) -> None:
        """Download the chosen checkpoint, after a yes."""
        name = currentValue(self._ui.storeComboBox)
        checkpoint = next(c for c in self._store["checkpoints"] if c["id"] == name)
        question = _(
            "Download {name}, about {size} MB, license {license}?\n\nNothing of yours is sent."
        ).format(name=name, size=checkpoint["megabytes"], license=checkpoint["license"])
        if slicer.util.confirmOkCancelDisplay(question):
            self._runCommand(["models", "download", name], _("the download"))

    def onRemove(self, _checked: bool = False) -> None:
        """Delete the chosen file, after a yes."""
        name = currentValue(self._ui.storeComboBox)
        question = _("Delete {name} from this computer?").format(name=name)
        if slicer.util.confirmOkCancelDisplay(question):
            self._runCommand(["models", "remove", name], _("removing the file"))

    def onOpenFolder(self, _checked: bool = False) -> None:
        """Open the folder of the user's models in the file manager."""
        folder = Path(self._store.get("store") or slicer.app.temporaryPath)
        folder.mkdir(parents=True, exist_ok=True)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))


def _checkpointText(checkpoint: dict[str, Any]) -> str:
    state = _("here") if checkpoint["present"] else _("to download")
    return _("{id} (SAM2, {size} MB, {state})").format(
        id=checkpoint["id"], size=checkpoint["megabytes"], state=state
    )
