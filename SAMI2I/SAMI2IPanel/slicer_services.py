"""What the installer asks of Slicer: pip, the PyTorch extension, a child process."""

import contextlib
import importlib.util
import inspect
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from SAMI2IPanel.pip_log import Log
from SAMI2IPanel.process_tree import killTree
from SAMI2IPanel.python_slicer import LIBRARY_PARENT, pythonSlicer

# How often a waiting loop lets Slicer repaint.
_POLL_SECONDS = 0.05


class SlicerServices:
    """The real Slicer; tests pass a small fake with the same methods.

    Every method that runs pip raises `subprocess.CalledProcessError` when pip fails. They run on
    the main thread and keep Slicer's windows alive line by line: `slicer.util` prints what a
    process says and repaints after each line, so the output is taken from there.
    """

    def isMainThread(self) -> bool:
        """Whether this is the thread of Slicer's windows."""
        import qt
        import slicer

        return qt.QThread.currentThread() == slicer.app.thread()

    def isPipRunning(self) -> bool:
        """Whether another module installs packages at the moment; Slicer 5.10 cannot tell."""
        try:
            from slicer.packaging import isPipInstallInProgress
        except ImportError:
            return False
        return isPipInstallInProgress()

    def hasTorchExtension(self) -> bool:
        """Whether the PyTorch extension is installed."""
        return importlib.util.find_spec("PyTorchUtils") is not None

    def installTorch(self, torchVersion: str, torchvisionVersion: str, log: Log) -> None:
        """Let the PyTorch extension choose and install the build for this machine."""
        from PyTorchUtils import PyTorchUtilsLogic

        logic = PyTorchUtilsLogic()
        options = {"torchVersionRequirement": torchVersion}
        # Older versions of the extension do not know this argument.
        if "torchvisionVersionRequirement" in inspect.signature(logic.installTorch).parameters:
            options["torchvisionVersionRequirement"] = torchvisionVersion
        with outputTo(log):
            logic.installTorch(askConfirmation=False, **options)

    def uninstallTorch(self, log: Log) -> None:
        """Let the PyTorch extension remove PyTorch."""
        from PyTorchUtils import PyTorchUtilsLogic

        with outputTo(log):
            PyTorchUtilsLogic().uninstallTorch()

    def pipInstall(self, arguments: list[str], log: Log) -> None:
        """Run `pip install` in Slicer's Python."""
        try:
            from slicer.packaging import pip_install
        except ImportError:  # Slicer 5.10
            from slicer.util import pip_install

            options = {}
        else:
            options = {"show_progress": False}
        with outputTo(log):
            pip_install(arguments, **options)

    def runPython(self, arguments: list[str], limitSeconds: float) -> tuple[int, str, str]:
        """Run Slicer's Python in a child process that finds the library.

        Returns:
            Exit code, standard output, standard error; what is not done within the limit is ended
            with all that it started, which makes the exit code other than 0.

        Raises:
            PanelError: Slicer's Python was not found.
            OSError: It could not be started.
        """
        import slicer

        process = subprocess.Popen(
            [pythonSlicer(), *arguments],
            env=os.environ | {"PYTHONPATH": str(LIBRARY_PARENT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        end = time.monotonic() + limitSeconds
        while True:
            try:
                output, errors = process.communicate(timeout=_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                slicer.app.processEvents()
                if time.monotonic() > end:
                    killTree(process.pid)
            else:
                return process.returncode, output, errors

    def packageFolder(self) -> Path:
        """Where pip puts packages."""
        return Path(sysconfig.get_path("purelib"))


class _LineWriter:
    """A `sys.stdout` that hands over whole lines; it has the three methods that Slicer's has."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._console = sys.stdout
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        # A log that prints means the console, not this object.
        with contextlib.redirect_stdout(self._console):
            for line in filter(None, lines):
                self._log(line)
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back but an unfinished line."""

    def isatty(self) -> bool:
        return False


@contextlib.contextmanager
def outputTo(log: Log) -> Iterator[None]:
    """Send what is printed meanwhile to the log, line by line."""
    writer = _LineWriter(log)
    with contextlib.redirect_stdout(writer):  # type: ignore[type-var]
        yield
    writer.write("\n")
