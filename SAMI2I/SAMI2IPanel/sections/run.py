"""Progress, message and log of a run."""

from collections.abc import Iterable
from typing import Any

from SAMI2IPanel.i18n import _
from SAMI2IPanel.progress import Progress
from SAMI2IPanel.protocol import Failure, Outcome


class RunSection:
    """Shows how a job goes and how it ended.

    Args:
        ui: The panel's widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._progress = Progress()
        self._warnings: list[str] = []
        self._setBarVisible(False)
        ui.messageLabel.visible = False

    def showStart(self) -> None:
        """A job begins: empty log, moving bar."""
        self._progress = Progress()
        self._warnings = []
        self._ui.logTextEdit.plainText = ""
        self._setMessage("")
        self._setBarVisible(True)
        self._showProgress()

    def showEvent(self, event: dict[str, Any]) -> None:
        """A job says how far it is, or what it doubts, while there is time to cancel it."""
        if event.get("event") == "warning":
            self._warnings.append(str(event.get("message", "")))
            self._setMessage("\n".join(_doubts(self._warnings)))
        self._progress.add(event)
        self._showProgress()

    def showEnd(self, outcome: Outcome, done: str, warnings: tuple[str, ...] = ()) -> None:
        """A job has ended.

        Args:
            outcome: How.
            done: What to say after success.
            warnings: What else the user should know.
        """
        self._setBarVisible(False)
        self._ui.logTextEdit.plainText = outcome.log
        if outcome.cancelled:
            self._setMessage(_("Cancelled. Nothing was added to the scene."))
        elif outcome.failure:
            self.showFailure(outcome.failure)
        else:
            self._setMessage("\n".join([done, *_doubts((*warnings, *outcome.warnings))]))

    def showFailure(self, failure: Failure) -> None:
        """Say what went wrong and what to do."""
        self._setBarVisible(False)
        said = _("Error: {message}").format(message=failure.message)
        self._setMessage(f"{said}\n{failure.hint}".strip())

    def showStopped(self) -> None:
        """Whatever ran was ended because the scene was closed."""
        self._setBarVisible(False)
        self._setMessage(_("Stopped, because the scene was closed."))

    def addToLog(self, text: str) -> None:
        """Append lines, e.g. of an installation."""
        self._ui.logTextEdit.appendPlainText(text)

    def _showProgress(self) -> None:
        self._ui.progressBar.maximum = self._progress.total  # 0 lets the bar move to and fro
        self._ui.progressBar.value = self._progress.done
        self._ui.progressLabel.text = self._progress.text

    def _setBarVisible(self, visible: bool) -> None:
        self._ui.progressBar.visible = visible
        self._ui.progressLabel.visible = visible

    def _setMessage(self, text: str) -> None:
        self._ui.messageLabel.text = text
        self._ui.messageLabel.visible = bool(text)


def _doubts(warnings: Iterable[str]) -> list[str]:
    return [_("Warning: {text}").format(text=text) for text in warnings]
