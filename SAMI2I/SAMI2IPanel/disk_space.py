"""How much room the packages take, and whether it is there."""

from collections.abc import Callable
from pathlib import Path

from SAMI2ILib.atomic import try_writing
from SAMI2IPanel.dependency_error import DependencyError
from SAMI2IPanel.i18n import _

_GIGABYTE = 10**9
# Measured on Linux: torch 2.14 with CUDA takes 5.4 GB once unpacked. During the installation the
# downloaded archives lie in the folder for temporary files.
_TORCH_BYTES = 6 * _GIGABYTE
_TORCH_DOWNLOAD_BYTES = 4 * _GIGABYTE
_OTHER_BYTES = _GIGABYTE // 2


def installedBytes(withTorch: bool) -> int:
    """Give the room that the packages take at most once they are installed."""
    return _OTHER_BYTES + (_TORCH_BYTES if withTorch else 0)


def gigabytes(count: int) -> str:
    """Write a size as people read it."""
    return f"{count / _GIGABYTE:.1f} GB"


def checkRoom(
    target: Path, temporary: Path, withTorch: bool, freeBytes: Callable[[Path], int]
) -> None:
    """Check that packages can be written, before an hour of downloading is lost.

    Args:
        target: Where packages are installed.
        temporary: Where pip keeps archives meanwhile.
        withTorch: Whether PyTorch is among them.
        freeBytes: Gives the free space of a folder's disk.

    Raises:
        DependencyError: There is not enough room, or the target cannot be written.
    """
    needs = {target: installedBytes(withTorch)}
    if withTorch:
        sameDisk = temporary.stat().st_dev == target.stat().st_dev
        place = target if sameDisk else temporary
        needs[place] = needs.get(place, 0) + _TORCH_DOWNLOAD_BYTES
    for folder, needed in needs.items():
        free = freeBytes(folder)
        if free < needed:
            raise DependencyError(
                _("{needed} of free disk are needed for {folder}; {free} are there.").format(
                    needed=gigabytes(needed), folder=folder, free=gigabytes(free)
                ),
                _("Free some space and try again."),
            )
    try:
        try_writing(target)
    except OSError as error:
        raise DependencyError(
            _("Slicer's package folder {folder} cannot be written ({reason}).").format(
                folder=target, reason=error.strerror
            ),
            _("Install Slicer into a folder of your own, or start it once as administrator."),
        ) from None
