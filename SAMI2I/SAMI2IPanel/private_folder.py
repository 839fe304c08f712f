"""Private temporary folders for the voxels of a run."""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import slicer

PREFIX = "SAMI2I-run-"
_STALE_SECONDS = 24 * 3600


def makePrivateFolder() -> Path:
    """Make a folder that only this user may read, in Slicer's own temporary folder."""
    parent = Path(slicer.app.temporaryPath)
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))


def removeFolder(folder: Path) -> None:
    """Remove a folder with all that is in it; what cannot be removed is left."""
    shutil.rmtree(folder, ignore_errors=True)


def removeStaleFolders() -> None:
    """Remove what a crash of Slicer left behind more than a day ago."""
    for folder in Path(slicer.app.temporaryPath).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                removeFolder(folder)
