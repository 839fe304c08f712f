"""What the child process says: JSON lines in, one outcome out. Knows nothing of Qt or Slicer."""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from SAMI2IPanel.i18n import _

PROTOCOL_VERSION = 1
LOG_LINES = 400
LOG_LINE_LENGTH = 2000
# A line longer than this is no event of ours; it must not fill the memory.
LONGEST_LINE_BYTES = 4_000_000


@dataclass(frozen=True)
class Failure:
    """Why a run failed, for the user.

    Attributes:
        message: What is wrong.
        hint: What to do about it; may be empty.
        kind: The library's class of error, or "crash", "start", "protocol".
    """

    message: str
    hint: str = ""
    kind: str = "error"

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class PanelError(RuntimeError):
    """An error with a hint; its text is what the user reads."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.failure = Failure(message, hint)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        result: The fields of the `result` event, if there was one.
        failure: Why it failed; None after success and after a cancel.
        cancelled: The user stopped it.
        warnings: What the library doubted, in its words.
        log: Everything that was said, bounded.
    """

    result: dict[str, Any] | None
    failure: Failure | None
    cancelled: bool
    warnings: tuple[str, ...]
    log: str

    @property
    def succeeded(self) -> bool:
        """Whether there is a result to use."""
        return self.failure is None and not self.cancelled


class BoundedLog:
    """The last lines that were said; a runaway child cannot fill the memory."""

    def __init__(self, lines: int = LOG_LINES) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._dropped = 0

    def add(self, text: str) -> None:
        """Append the lines of `text`, each cut at `LOG_LINE_LENGTH` characters."""
        for line in text.splitlines():
            if len(self._lines) == self._lines.maxlen:
                self._dropped += 1
            short = line[:LOG_LINE_LENGTH]
            self._lines.append(short if short == line else f"{short} ...")

    def __str__(self) -> str:
        dropped = [f"... {self._dropped} earlier lines ..."] if self._dropped else []
        return "\n".join([*dropped, *self._lines])


@dataclass
class RunRecord:
    """Collects what one child says and turns it into an `Outcome`.

    Attributes:
        onEvent: Called with every event, as it arrives.
    """

    onEvent: Callable[[dict[str, Any]], None] = lambda _event: None
    log: BoundedLog = field(default_factory=BoundedLog)
    _pending: bytes = b""
    _result: dict[str, Any] | None = None
    _error: Failure | None = None
    _warnings: list[str] = field(default_factory=list)
    _lastError: str = ""

    def addOutput(self, data: bytes) -> None:
        """Take bytes of stdout; a line may arrive in pieces."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > LONGEST_LINE_BYTES:
            self._pending = b""
            self._error = Failure(
                _("The process wrote something that is no message."), "", "protocol"
            )
        for line in lines:
            self._addLine(line.decode("utf-8", errors="replace").strip())

    def addErrorOutput(self, data: bytes) -> None:
        """Take bytes of stderr: they go to the log."""
        text = data.decode("utf-8", errors="replace")
        self.log.add(text)
        self._lastError = next(filter(None, map(str.strip, reversed(text.splitlines()))), "")

    def outcome(self, exitCode: int, crashed: bool, cancelled: bool) -> Outcome:
        """Say how the run ended.

        Args:
            exitCode: Counts only if the process ended by itself.
            crashed: Whether it crashed or was killed: Qt's exit status.
            cancelled: Whether the user asked for the end.
        """
        if self._pending:
            self.addOutput(b"\n")
        failure = None if cancelled else self._failure(exitCode, crashed)
        if failure is not None:
            self.log.add(f"failed: {failure}")
        return Outcome(self._result, failure, cancelled, tuple(self._warnings), str(self.log))

    def _addLine(self, line: str) -> None:
        if not line:
            return
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "event" not in event:
            self.log.add(line)
            return
        self._note(event)
        self.onEvent(event)

    def _note(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            if event.get("device"):
                self.log.add(f"running on {event['device']}: {event.get('reason')}")
            if event.get("protocol") != PROTOCOL_VERSION:
                self._error = Failure(
                    _("The library speaks another protocol than the panel."),
                    _("Install the extension again: its parts are of different versions."),
                    "protocol",
                )
        elif kind == "progress":
            if event.get("done") == event.get("total"):
                self.log.add(f"{event.get('stage')}: done")
        elif kind == "warning":
            self._warnings.append(str(event.get("message", "")))
            self.log.add(f"warning ({event.get('code')}): {event.get('message')}")
        elif kind == "result":
            self._result = {key: value for key, value in event.items() if key != "event"}
        elif kind == "error":
            self._error = Failure(
                str(event.get("message", "")),
                str(event.get("hint", "")),
                str(event.get("kind", "error")),
            )

    def _failure(self, exitCode: int, crashed: bool) -> Failure | None:
        if self._error is not None:
            return self._error
        if crashed or exitCode != 0:
            # Slicer's launcher ends normally with a code of its own when its child has crashed.
            code = _("code {code}").format(code=exitCode)
            ending = _("it crashed or was ended from outside") if crashed else code
            text = _("The process that does the work ended unexpectedly: {ending}.")
            return Failure(
                f"{text.format(ending=ending)} {self._lastError}".strip(),
                _("Memory may have run out: close other programs, or set fewer slices at a time."),
                "crash",
            )
        if self._result is None:
            return Failure(_("The process that does the work ended without a result."), "", "crash")
        return None
