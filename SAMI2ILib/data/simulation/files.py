"""Write simulated volumes as 16-bit NIfTI, and JSON records, whole or not at all."""

import json
import tempfile
from pathlib import Path
from typing import Any

from SAMI2ILib.errors import OutputError
from SAMI2ILib.imaging import Volume
from SAMI2ILib.imaging.io import to_itk


def write_int16(volume: Volume, path: Path, compression: int = 4) -> None:
    """Write whole numbers as a compressed 16-bit NIfTI, as scanners store them.

    Args:
        volume: Values in 0..32767, already rounded.
        path: Ends in .nii.gz; its folder must exist. An existing file is replaced.
        compression: Of gzip, 1 is fast and 9 small.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full.
    """
    import SimpleITK as sitk

    image: Any = to_itk(volume)
    image = sitk.Cast(image, sitk.sitkInt16)  # type: ignore[no-untyped-call]
    try:
        with tempfile.TemporaryDirectory(prefix=".sami2i-", dir=path.parent) as folder:
            written = Path(folder) / "volume.nii.gz"
            sitk.WriteImage(image, str(written), True, compression)
            written.replace(path)
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"{path} cannot be written: {error}.",
            "Choose an existing folder with write permission and free space.",
        ) from error


def write_json(record: dict[str, Any], path: Path) -> None:
    """Write a JSON file with sorted keys.

    Args:
        record: JSON values.
        path: Its folder must exist. An existing file is replaced.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full.
    """
    text = json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_bytes(text.encode(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file whole or not at all.

    Args:
        content: What it will hold.
        path: Its folder must exist. An existing file is replaced.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".sami2i-", dir=path.parent) as folder:
            written = Path(folder) / "content"
            written.write_bytes(content)
            written.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Choose an existing folder with write permission and free space.",
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, or keep the one that is there.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made: {error.strerror or error}.",
            "Choose a place with write permission.",
        ) from error
