"""Reads what pip says: fewer lines of progress for the user, and the reason when it fails."""

import re
from collections.abc import Callable

from SAMI2IPanel.i18n import _

Log = Callable[[str], None]

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_STEPS = 10
_MEGABYTE = 10**6
_SMALL = 5 * _MEGABYTE

_NETWORK = _("Check the network and its proxy (HTTPS_PROXY), or install without network.")
_IN_USE = _("Restart Slicer, so that no file is in use, and try again.")
_HINTS = {
    "no space left": _("Free some space on the disk and try again."),
    "resolutionimpossible": _("A package of another extension is in the way: the log names it."),
    "do not match the hashes": _("The download is not the expected file: try another network."),
    "long path": _("Install Slicer into a folder with a short path, such as C:\\Slicer."),
    "permission denied": _("Install Slicer into a folder of your own."),
    "[winerror 5]": _IN_USE,  # access is denied, in whatever language
    "[winerror 32]": _IN_USE,
    "certificate": _("Ask your network's administrator for its certificate."),
    "no matching distribution": _NETWORK,
    "connection": _NETWORK,
    "timed out": _NETWORK,
}


class PipLog:
    """Hands pip's lines to the user's log and remembers what matters.

    Args:
        log: Gets each line that is worth reading.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._errors: list[str] = []
        self._last = ""
        self._step = -1

    def __call__(self, line: str) -> None:
        """Take one line."""
        line = line.rstrip()
        if progress := _PROGRESS.fullmatch(line.strip()):
            self._onProgress(*map(int, progress.groups()))
            return
        if not line:
            return
        self._step = -1
        if "error" in line.lower():
            self._errors.append(line.strip())
        self._last = line.strip()
        self._log(line)

    def reason(self) -> str:
        """Give pip's last complaint, or its last line if it had none."""
        return self._errors[-1] if self._errors else self._last or _("it said nothing.")

    def hint(self) -> str:
        """Say what the user can do about the failure."""
        said = "\n".join([*self._errors, self._last]).lower()
        for phrase, hint in _HINTS.items():
            if phrase in said:
                return hint
        return _("Read the log, and try again.")

    def _onProgress(self, done: int, total: int) -> None:
        if total < _SMALL:
            return
        step = _STEPS * done // total
        if step != self._step:
            self._step = step
            self._log(f"    {done // _MEGABYTE} of {total // _MEGABYTE} MB")
