"""One run of the library in a process of its own, with its end under control."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt

from SAMI2IPanel.command import libraryArguments, libraryEnvironment
from SAMI2IPanel.i18n import _
from SAMI2IPanel.process_tree import killTree
from SAMI2IPanel.protocol import Failure, Outcome, RunRecord
from SAMI2IPanel.python_slicer import pythonSlicer

# Time for the child to end by itself after its stdin was closed, before it is killed.
CANCEL_GRACE_MS = 1000
_POLL_MS = 100
_KILL_WAIT_MS = 2000


class ChildProcess:
    """Runs one command of `SAMI2ILib`; it can be started once.

    Args:
        arguments: Of the command line, from the command's name on.
        onEvent: Called with each event while it runs.
        onFinished: Called once with the outcome, from the event loop and not from inside a signal
            of the process; never after `kill`.
        folder: Working folder of the child; `folder` must exist.
    """

    def __init__(
        self,
        arguments: list[str],
        onEvent: Callable[[dict[str, Any]], None],
        onFinished: Callable[[Outcome], None],
        folder: Path,
    ) -> None:
        self._arguments = arguments
        self._record = RunRecord(onEvent)
        self._onFinished = onFinished
        self._folder = folder
        self._process: Any = None
        self._outcome: Outcome | None = None
        self._cancelled = False
        self._delivered = False

    @property
    def isRunning(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._outcome is None

    @property
    def processId(self) -> int:
        """Of the running process; 0 when none runs."""
        return int(self._process.processId()) if self.isRunning else 0

    @property
    def log(self) -> str:
        """What was said so far."""
        return str(self._record.log)

    def start(self) -> None:
        """Start the process; a program that cannot be started becomes the outcome.

        Raises:
            PanelError: Slicer's interpreter was not found.
        """
        program = pythonSlicer()
        process = qt.QProcess()
        process.setProcessEnvironment(libraryEnvironment())
        process.setWorkingDirectory(str(self._folder))
        for signal, slot in self._slots().items():
            process.connect(signal, slot)
        self._process = process
        process.start(program, libraryArguments(self._arguments))

    def cancel(self) -> None:
        """Ask the child to end, and see to it that it does; `onFinished` follows."""
        if not self.isRunning or self._cancelled:
            return
        self._cancelled = True
        self._process.closeWriteChannel()
        qt.QTimer.singleShot(CANCEL_GRACE_MS, self._killIfRunning)

    def kill(self) -> None:
        """End everything at once and wait for it; nobody is told."""
        self._delivered = True
        self._cancelled = True
        if self.isRunning:
            self._killIfRunning()
            self._process.waitForFinished(_KILL_WAIT_MS)

    def wait(self, timeoutSeconds: float | None = None) -> bool:
        """Block until the child has ended and `onFinished` was called.

        Args:
            timeoutSeconds: None waits for ever.

        Returns:
            Whether it has ended.
        """
        deadline = None if timeoutSeconds is None else time.monotonic() + timeoutSeconds
        while self.isRunning and (deadline is None or time.monotonic() < deadline):
            self._process.waitForFinished(_POLL_MS)
        if self._outcome is not None:
            self._deliver()
        return self._outcome is not None

    def _slots(self) -> dict[str, Callable[..., None]]:
        return {
            "readyReadStandardOutput()": self._readOutput,
            "readyReadStandardError()": self._readErrorOutput,
            "finished(int,QProcess::ExitStatus)": self._onProcessFinished,
            "errorOccurred(QProcess::ProcessError)": self._onProcessError,
        }

    def _killIfRunning(self) -> None:
        if self.isRunning:
            killTree(self.processId)
            self._process.kill()

    def _readOutput(self) -> None:
        self._record.addOutput(_toBytes(self._process.readAllStandardOutput()))

    def _readErrorOutput(self) -> None:
        self._record.addErrorOutput(_toBytes(self._process.readAllStandardError()))

    def _onProcessError(self, error: int) -> None:
        # All other errors are followed by `finished`.
        if error == qt.QProcess.FailedToStart:
            text = _("{program} could not be started: {reason}.").format(
                program=pythonSlicer(), reason=self._process.errorString().rstrip(".")
            )
            hint = _("Check that 3D Slicer is fully installed and may run programs.")
            self._end(Outcome(None, Failure(text, hint, "start"), False, (), self.log))

    def _onProcessFinished(self, exitCode: int, exitStatus: int) -> None:
        self._readOutput()
        self._readErrorOutput()
        crashed = exitStatus != qt.QProcess.NormalExit
        self._end(self._record.outcome(exitCode, crashed, self._cancelled))

    def _end(self, outcome: Outcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            # The owner may let go of this object, which must not die inside its own signal.
            qt.QTimer.singleShot(0, self._deliver)

    def _deliver(self) -> None:
        self._letGo()
        if not self._delivered:
            self._delivered = True
            self._onFinished(self._outcome)

    def _letGo(self) -> None:
        """Drop the process: PythonQt's connections would keep it, this, and its volumes for ever.

        A connection owns its slot, the slot this object, this object the process, and the process
        the connection, where Python's garbage collection does not look.
        """
        if self._process is not None:
            for signal, slot in self._slots().items():
                self._process.disconnect(signal, slot)
            self._process = None


def _toBytes(byteArray: Any) -> bytes:
    """Bytes of a `QByteArray`; some versions of PythonQt hand out text."""
    data = byteArray.data()
    return data if isinstance(data, bytes) else str(data).encode("utf-8", errors="replace")
