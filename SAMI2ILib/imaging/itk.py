"""SimpleITK, imported when it is first needed and kept quiet."""

import locale
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from SAMI2ILib.errors import InputError


def simpleitk() -> Any:
    """The `SimpleITK` module; its import takes longer than all the rest of the package."""
    import SimpleITK

    return SimpleITK


class _Quiet:
    """How many threads want silence, and what was set before the first of them."""

    lock = threading.Lock()
    users = 0
    warnings_before = True
    locale_before: dict[int, str] = {}  # noqa: RUF012 - of the process, as all of these


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """Give the `SimpleITK` module with C++ warnings off; errors still come as exceptions.

    Numbers have a decimal point meanwhile: where a host such as Qt has chosen a locale with a
    comma, ITK reads 1.25 mm in the header of an NRRD as 1. On Windows paths are UTF-8 meanwhile:
    in any other code page ITK finds no file in a folder `Jürgen`. These switches belong to the
    process: the last thread that leaves restores them.
    """
    sitk = simpleitk()
    with _Quiet.lock:
        if _Quiet.users == 0:
            _Quiet.warnings_before = sitk.ProcessObject.GetGlobalWarningDisplay()
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
            _Quiet.locale_before = _choose_locale()
        _Quiet.users += 1
    try:
        yield sitk
    finally:
        with _Quiet.lock:
            _Quiet.users -= 1
            if _Quiet.users == 0:
                sitk.ProcessObject.SetGlobalWarningDisplay(_Quiet.warnings_before)
                _restore_locale(_Quiet.locale_before)


def _choose_locale() -> dict[int, str]:
    """Choose what ITK reads numbers and paths by; give what was chosen before.

    ITK hands paths to the C library as UTF-8. That of Windows takes them for the system's code
    page, unless the locale says UTF-8 (since Windows 10, version 1803).
    """
    wanted = {locale.LC_NUMERIC: "C"}
    if sys.platform == "win32":
        wanted[locale.LC_CTYPE] = ".UTF-8"
    before = {category: locale.setlocale(category) for category in wanted}
    for category, name in wanted.items():
        with suppress(locale.Error):  # an older Windows: paths of plain letters are read there too
            locale.setlocale(category, name)
    return before


def _restore_locale(before: dict[int, str]) -> None:
    for category, name in before.items():
        try:
            locale.setlocale(category, name)
        except locale.Error:  # Windows does not take every name back that it has given
            locale.setlocale(category, "")


def require_utf8(path: Path) -> None:
    """Refuse a path that SimpleITK cannot take: it would end the whole process.

    Raises:
        InputError: The path is not UTF-8, as names are that an old system wrote in its own letters,
            or Python takes paths for something else than UTF-8.
    """
    try:
        is_utf8 = os.fsencode(path).decode("utf-8") == str(path)
    except UnicodeError:
        is_utf8 = False
    if is_utf8:
        return
    shown = path.name.encode("utf-8", "backslashreplace").decode()
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise InputError(
            f"The path of {shown!r} is read as {encoding}, as the locale says, and not as UTF-8.",
            "Set the environment variable PYTHONUTF8=1, or choose a UTF-8 locale.",
        )
    raise InputError(
        f"The path of {shown!r} holds letters that are not UTF-8.",
        "Rename the file, or the folder that it is in.",
    )
