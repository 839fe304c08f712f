"""SimpleITK, imported when it is first needed and kept quiet."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def simpleitk() -> Any:
    """The `SimpleITK` module; its import takes longer than all the rest of the package."""
    import SimpleITK

    return SimpleITK


class _Quiet:
    """How many threads want silence, and what was set before the first of them."""

    lock = threading.Lock()
    users = 0
    before = True


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """Give the `SimpleITK` module with C++ warnings off; errors still come as exceptions.

    The switch belongs to the process: the last thread that leaves restores it.
    """
    sitk = simpleitk()
    with _Quiet.lock:
        if _Quiet.users == 0:
            _Quiet.before = sitk.ProcessObject.GetGlobalWarningDisplay()
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
        _Quiet.users += 1
    try:
        yield sitk
    finally:
        with _Quiet.lock:
            _Quiet.users -= 1
            if _Quiet.users == 0:
                sitk.ProcessObject.SetGlobalWarningDisplay(_Quiet.before)
