"""Write simulated volumes as 16-bit NIfTI, and JSON records, whole or not at all."""

import json
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import atomic_path, write_text
from SAMI2ILib.errors import OutputError
from SAMI2ILib.imaging import Volume
from SAMI2ILib.imaging.io import to_itk
from SAMI2ILib.imaging.itk import quiet_itk


def write_int16(volume: Volume, path: Path, compression: int = 4) -> None:
    """Write whole numbers as a compressed 16-bit NIfTI, as scanners store them.

    Args:
        volume: Values in 0..32767, already rounded.
        path: Ends in .nii.gz; its folder must exist. An existing file is replaced.
        compression: Of gzip, 1 is fast and 9 small.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full.
    """
    with quiet_itk() as sitk, atomic_path(path) as temporary:
        image = sitk.Cast(to_itk(volume), sitk.sitkInt16)
        try:
            sitk.WriteImage(image, str(temporary), True, compression)
        except RuntimeError as error:
            raise OutputError(
                f"{path.name!r} could not be written completely.",
                "Is the disk full? Free some space and try again.",
            ) from error


def write_json(record: dict[str, Any], path: Path) -> None:
    """Write a JSON file with sorted keys.

    Args:
        record: JSON values.
        path: Its folder must exist. An existing file is replaced.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full.
    """
    write_text(json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n", path)
