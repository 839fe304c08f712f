"""How `SAMI2ILib` is started in a process of its own: program, arguments, environment."""

import os
import shutil
from pathlib import Path

import qt
import slicer

import SAMI2ILib
from SAMI2IPanel.i18n import _
from SAMI2IPanel.protocol import PanelError

LIBRARY_PARENT = Path(SAMI2ILib.__file__).resolve().parent.parent


def pythonSlicer() -> str:
    """Find Slicer's own interpreter.

    Raises:
        PanelError: It is not on PATH and not where Slicer installs it.
    """
    found = shutil.which("PythonSlicer")
    if found:
        return found
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    installed = Path(slicer.app.slicerHome) / "bin" / name
    if installed.is_file():
        return str(installed)
    raise PanelError(
        _("PythonSlicer, the Python program of 3D Slicer, was not found."),
        _("Install 3D Slicer again."),
    )


def libraryArguments(arguments: list[str]) -> list[str]:
    """The words after the interpreter: JSON lines, and an end when the panel lets go of stdin."""
    return ["-m", "SAMI2ILib", *arguments, "--progress", "json", "--stop-on-stdin-close"]


def libraryEnvironment() -> "qt.QProcessEnvironment":
    """This program's environment, with the library in reach and plain ASCII from the child."""
    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert("PYTHONPATH", str(LIBRARY_PARENT))
    environment.insert("PYTHONUNBUFFERED", "1")
    # A chunk of bytes may end in the middle of a letter of two bytes.
    environment.insert("PYTHONIOENCODING", "ascii:backslashreplace")
    return environment
