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
        PanelError: It is neither where Slicer installs it nor on PATH.
    """
    import slicer

    # By its folder first: on Windows the search for a name begins in the working folder, where a
    # program of anybody may lie.
    installed = Path(slicer.app.slicerHome) / "bin" / "PythonSlicer"
    found = shutil.which(str(installed)) or shutil.which("PythonSlicer")
    if found is None:
        raise PanelError(
            _("PythonSlicer, the Python program of 3D Slicer, was not found."),
            _("Install 3D Slicer again."),
        )
    return str(Path(found).absolute())  # a child may have another working folder
