"""A source with what a record says of it: a file name and a hash, never a folder or a patient."""

import hashlib
from pathlib import Path
from typing import Any

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.dicom_series import list_series_files
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.weights import file_sha256


def read_source(path: Path, series_uid: str | None = None) -> tuple[Volume, dict[str, Any]]:
    """Read a volume and name the very bytes that it came from.

    Args:
        path: An image file, or the folder of a DICOM series.
        series_uid: Which series, where the folder holds several.

    Returns:
        The volume, and its description as from `describe_source_file`.

    Raises:
        InputError: As for `read_volume`; or the source changed while it was read.
        OutOfMemoryError: It does not fit into memory.
    """
    before = _stamps(path)
    volume = read_volume(path, series_uid)
    description = describe_source_file(path, series_uid)
    if _stamps(path) != before:
        raise InputError(
            f"{path.name} changed while it was read.", "Try again when it is written completely."
        )
    return volume, description


def describe_source_file(path: Path, series_uid: str | None = None) -> dict[str, Any]:
    """Name a source by its file name and content.

    Args:
        path: An image file, or the folder of a DICOM series, which is named by its content alone:
            such folders often carry the patient's name.
        series_uid: Which series, where the folder holds several.

    Returns:
        `file` and `sha256`; for a series the hash of its files' hashes in the order of their names.

    Raises:
        InputError: It cannot be read, or the folder does not hold that series.
    """
    if not path.is_dir():
        return {"file": path.name, "sha256": file_sha256(path)}
    files = list_series_files(path, series_uid)
    digests = b"".join(bytes.fromhex(file_sha256(file)) for file in files)
    return {
        "file": f"DICOM series of {len(files)} files",
        "sha256": hashlib.sha256(digests).hexdigest(),
    }


def _stamps(path: Path) -> list[tuple[str, int, int, int]]:
    """What differs once a file, or one in a folder, has been written to or replaced."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(file.name, file.stat()) for file in files if file.exists()]
    return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
