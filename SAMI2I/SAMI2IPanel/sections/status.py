"""The status line: what works on this machine, found out in a process of its own."""

from collections.abc import Callable
from typing import Any

import slicer

from SAMI2IPanel.dependency_error import DependencyError
from SAMI2IPanel.i18n import _
from SAMI2IPanel.protocol import Outcome, PanelError


class StatusSection:
    """Shows what `sami2i doctor` finds and offers to install what is missing.

    Args:
        ui: The panel's widgets.
        logic: Starts the child process.
        dependencies: Installs packages; see `SAMI2IPanel.dependencies`.
        onChanged: Called when the status has changed.
        addToLog: Takes lines of the installation's log.

    Attributes:
        problem: Why nothing can be translated; empty when the machine is ready.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        dependencies: Any,
        onChanged: Callable[[], None],
        addToLog: Callable[[str], None],
    ) -> None:
        self._ui, self._logic, self._dependencies = ui, logic, dependencies
        self._onChanged, self._addToLog = onChanged, addToLog
        self.problem = _("Wait until it is known what works on this machine.")
        ui.installButton.connect("clicked(bool)", self.onInstallButton)
        ui.repairButton.connect("clicked(bool)", self.onRepairButton)
        ui.installButton.visible = False

    def refresh(self) -> None:
        """Ask again what works."""
        unsupported = self._dependencies.platformProblem()
        if unsupported:
            self._show(unsupported, unsupported, canInstall=False)
            return
        self._show(
            _("Checking what works on this machine..."),
            _("Wait until it is known what works on this machine."),
            canInstall=False,
        )
        try:
            self._logic.query(["doctor", "--json"], self._onDoctor)
        except PanelError as error:
            self._show(str(error), str(error), canInstall=False)

    def onInstallButton(self, _checked: bool = False) -> None:
        """Install what is missing, after a yes, with the log shown."""
        if slicer.util.confirmOkCancelDisplay(self._dependencies.question()):
            self._change(self._dependencies.install)

    def onRepairButton(self, _checked: bool = False) -> None:
        """Install again what does not load, after a yes, with the log shown."""
        question = _(
            "Check the Python packages of SAM-I2I, and install again those that are missing or do "
            "not load?\n\nSlicer responds slowly meanwhile."
        )
        if slicer.util.confirmOkCancelDisplay(question):
            self._change(self._dependencies.repair)

    def _change(self, install: Callable[[Callable[[str], None]], None]) -> None:
        """Run an installation; Slicer's events go on meanwhile, so nothing else may start."""
        self._ui.logCollapsibleButton.collapsed = False
        self._setInstalling(True)
        self._show(
            _("Installing Python packages; the log says how far it is."),
            _("Wait until the installation has finished."),
            canInstall=False,
        )
        try:
            install(self._addToLog)
        except DependencyError as error:
            self._addToLog(str(error))
            self._show(str(error), str(error), canInstall=bool(self._dependencies.missing()))
        else:
            self.refresh()
        finally:
            self._setInstalling(False)

    def _setInstalling(self, installing: bool) -> None:
        for button in (self._ui.installButton, self._ui.repairButton, self._ui.checkButton):
            button.enabled = not installing

    def _onDoctor(self, outcome: Outcome) -> None:
        found = outcome.result
        if found is None:
            text = str(outcome.failure or _("The check was stopped."))
            self._show(text, text, canInstall=False)
            return
        ready = bool(found["ready"])
        canInstall = not ready and bool(found["missing"] or self._dependencies.missing())
        advice = _("Press Install.") if canInstall else ""
        self._show(found["status"], "" if ready else f"{found['status']} {advice}", canInstall)

    def _show(self, text: str, problem: str, canInstall: bool) -> None:
        self._ui.statusLabel.text = text
        self._ui.installButton.visible = canInstall
        self.problem = problem.strip()
        self._onChanged()
