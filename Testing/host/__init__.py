"""A host that runs SAMI2I's Slicer module without 3D Slicer: see README.md for what it is not.

Slicer's MRML core is real (the wheel `slicer-core`), Qt is real (PySide6, off screen); what joins
them in Slicer, PythonQt and the application, is written here. Nothing that passes here was ever
tested in 3D Slicer.
"""

from __future__ import annotations

import importlib.util
import sys

NOT_SLICER = (
    "Run on the test host: Slicer's MRML core and Qt, not 3D Slicer. Never tested in 3D Slicer."
)


def whyUnavailable() -> str:
    """Empty if the host can start here, else one sentence that says what is missing."""
    wanted = {"PySide6": "PySide6_Essentials", "slicer": "slicer-core"}
    missing = [
        wheel for module, wheel in wanted.items() if importlib.util.find_spec(module) is None
    ]
    if not missing:
        return ""
    return (
        f"The test host needs {' and '.join(missing)}, which this Python "
        f"{sys.version_info.major}.{sys.version_info.minor} does not have "
        "(pip install -e '.[host]'; there are wheels for CPython 3.11 to 3.13)."
    )
