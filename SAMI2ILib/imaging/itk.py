"""SimpleITK, imported when it is first needed and kept quiet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def simpleitk() -> Any:
    """The `SimpleITK` module; its import takes longer than all the rest of the package."""
    import SimpleITK

    return SimpleITK


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """Give the `SimpleITK` module with C++ warnings off; errors still come as exceptions."""
    sitk = simpleitk()
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield sitk
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
