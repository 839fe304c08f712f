"""Private temporary folders for the voxels of a run."""

import contextlib
import secrets
import shutil
import sys
import time
from pathlib import Path

import slicer

PREFIX = "SAMI2I-run-"
_STALE_SECONDS = 24 * 3600
# Windows lets go of a process's files a moment after it was ended.
_PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.05


def makePrivateFolder() -> Path:
    """Make a folder that only this user may read, in Slicer's own temporary folder."""
    parent = Path(slicer.app.temporaryPath)
    parent.mkdir(parents=True, exist_ok=True)
    # Not by `tempfile`: where Windows lets nobody write, it looks for a free name without end.
    folder = parent / f"{PREFIX}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    return folder


def removeFolder(folder: Path) -> None:
    """Remove a folder with all that is in it; what cannot be removed is left."""
    patience = _PATIENCE_SECONDS if sys.platform == "win32" else 0.0
    end = time.monotonic() + patience
    shutil.rmtree(folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def removeStaleFolders() -> None:
    """Remove what a crash of Slicer left behind more than a day ago."""
    for folder in Path(slicer.app.temporaryPath).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                removeFolder(folder)
