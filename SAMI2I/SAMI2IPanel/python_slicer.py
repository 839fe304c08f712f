"""Slicer's own interpreter, and the folder in which it finds the library."""

import shutil
from pathlib import Path

import SAMI2ILib
from SAMI2IPanel.i18n import _
from SAMI2IPanel.protocol import PanelError

LIBRARY_PARENT = Path(SAMI2ILib.__file__).resolve().parent.parent


def pythonSlicer() -> str:
    """Find the program.

    Raises:
        PanelError: It is neither on PATH nor where Slicer installs it.
    """
    import slicer

    installed = str(Path(slicer.app.slicerHome) / "bin")
    found = shutil.which("PythonSlicer") or shutil.which("PythonSlicer", path=installed)
    if found is None:
        raise PanelError(
            _("PythonSlicer, the Python program of 3D Slicer, was not found."),
            _("Install 3D Slicer again."),
        )
    return str(Path(found).absolute())  # a child may have another working folder
