"""Volumes from and to files; the one place where ITK's LPS meets our RAS.

ITK counts millimeters towards left, posterior, superior; `Volume` towards right, anterior,
superior. `itk_geometry` and `from_itk` change the two signs, and nothing else in the library does.
"""

import math
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.errors import InputError, OutOfMemoryError, OutputError, is_memory_failure
from SAMI2ILib.imaging.dicom_series import read_dicom_series
from SAMI2ILib.imaging.header_checks import (
    check_metaimage,
    check_nrrd,
    is_dicom_file,
)
from SAMI2ILib.imaging.itk import quiet_itk, require_utf8, simpleitk
from SAMI2ILib.imaging.nifti_checks import Position, check_nifti
from SAMI2ILib.imaging.volume import Grid, Volume, check_voxel_count

READABLE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
WRITABLE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
# gzip level 2 costs half the time of the default 6 for 2 % more bytes of float32 noise.
_COMPRESSION_LEVEL = 2


def read_volume(path: str | os.PathLike[str], series_uid: str | None = None) -> Volume:
    """Read one scalar volume; the file is opened for reading only.

    Args:
        path: A NIfTI, NRRD or MetaImage file, or a folder that holds a DICOM series.
        series_uid: Which series of a DICOM folder; needed where the folder holds several.

    Returns:
        The voxels as float32 with the header's rescaling applied, named after the file. A NIfTI
        that lies in two places close to each other brings a notice.

    Raises:
        InputError: The file is missing, of another format, damaged or truncated, not one scalar
            3D volume, without a usable position, or larger than `MAX_VOXELS`; the folder holds
            no DICOM series, several, or one with missing slices.
        OutOfMemoryError: It does not fit into memory.
    """
    path = Path(path)
    check_readable(path)
    try:
        if path.is_dir():
            return from_itk(read_dicom_series(path, series_uid), path.resolve().name)
        if series_uid is not None:
            raise InputError(
                f"A series is chosen in a DICOM folder, but {path.name} is a file.",
                "Leave the series out, or give the folder.",
            )
        return _read_file(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check its permissions."
        ) from error


def check_readable(path: Path) -> None:
    """Refuse a path that cannot be a volume, without reading it.

    Raises:
        InputError: Nothing is there, it is a file of another format or no regular one, or its
            name is not UTF-8.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Check the path and its spelling.")
    require_utf8(path)
    if path.is_dir():
        return
    if not image_ending(path):
        raise _not_an_image(path)
    if not path.is_file():  # a pipe or a device would keep us waiting
        raise InputError(f"{path.name} is not a regular file.", "Copy the image to a file.")


def write_volume(volume: Volume, path: str | os.PathLike[str], called: str | None = None) -> None:
    """Write a volume; after success the file is whole, after a failure there is none.

    The file is written beside its destination, read back and compared (a full disk is silent in
    some compressors), and only then renamed. Voxels are float32, bit for bit. An existing file
    is replaced.

    Args:
        volume: What to write.
        path: Ends in .nii, .nii.gz, .nrrd or .mha; its folder must exist.
        called: What messages call the file; its name where left out.

    Raises:
        InputError: The ending is none of these, or the path is not UTF-8.
        OutputError: The folder is missing or not writable, the disk is full, or the file does
            not read back as it was written.
    """
    path = Path(path)
    # In lower case only: ITK writes no or other files for .NII and .MHA.
    if not path.name.endswith(WRITABLE_ENDINGS) or path.name in WRITABLE_ENDINGS:
        raise InputError(
            f"{path.name} does not end in {', '.join(WRITABLE_ENDINGS)}.",
            "The ending chooses the format.",
        )
    require_utf8(path)
    if path.is_dir():
        raise OutputError(f"{path.name} is a folder.", "Give a file name inside it.")
    with atomic_path(path) as temporary:
        _write_and_compare(volume, temporary, called or path.name)


def image_ending(path: Path) -> str:
    """The readable ending of a name, in lower case whatever its case; empty for any other name."""
    name = path.name.lower()
    found = [ending for ending in READABLE_ENDINGS if name.endswith(ending) and name != ending]
    return max(found, key=len, default="")


def to_itk(volume: Volume) -> Any:
    """Turn a volume into a `SimpleITK.Image` (float32) in the same place (RAS to LPS)."""
    sitk = simpleitk()
    image = sitk.GetImageFromArray(volume.array_kji)
    origin, spacing, direction = itk_geometry(volume.grid)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    return image


def itk_geometry(grid: Grid) -> tuple[list[float], list[float], list[float]]:
    """What ITK calls origin, spacing and direction of a grid (RAS to LPS), in that order."""
    spacing = np.array(grid.spacing_mm)
    direction = _LPS_TO_RAS @ (grid.ijk_to_ras[:3, :3] / spacing)
    origin = _LPS_TO_RAS @ grid.ijk_to_ras[:3, 3]
    return origin.tolist(), spacing.tolist(), direction.ravel().tolist()


def from_itk(image: Any, name: str = "") -> Volume:
    """Turn a 3D scalar `SimpleITK.Image` into a volume in the same place (LPS to RAS).

    Raises:
        InputError: As `Volume`: NaN or Inf, a sheared direction.
    """
    sitk = simpleitk()
    ijk_to_ras = np.eye(4)
    direction = np.reshape(image.GetDirection(), (3, 3))
    # + 0.0 turns -0.0 into 0.0
    ijk_to_ras[:3, :3] = _LPS_TO_RAS @ direction * image.GetSpacing() + 0.0
    ijk_to_ras[:3, 3] = _LPS_TO_RAS @ np.array(image.GetOrigin()) + 0.0
    return Volume(sitk.GetArrayViewFromImage(image), ijk_to_ras, name)


_CHECKS: dict[str, Callable[[Path], Position | None]] = {
    ".nii": check_nifti,
    ".nii.gz": check_nifti,
    ".mha": check_metaimage,
    ".mhd": check_metaimage,
    ".nrrd": check_nrrd,
    ".nhdr": check_nrrd,
}


def _read_file(path: Path) -> Volume:
    position = _CHECKS[image_ending(path)](path)
    with quiet_itk():
        volume = _read_with_itk(path)
    if position is None:
        return volume
    return replace(volume, ijk_to_ras=position.ijk_to_ras, notices=(position.notice,))


def _not_an_image(path: Path) -> InputError:
    if is_dicom_file(path):
        return InputError(
            f"{path.name} is one file of a DICOM series.", "Give the folder that holds the series."
        )
    return InputError(
        f"{path.name} is not a volume: its name must end in {', '.join(READABLE_ENDINGS)}.",
        "DICOM is read from a folder.",
    )


def _read_with_itk(path: Path) -> Volume:
    sitk = simpleitk()
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_is_one_scalar_volume(reader, path.name)
        check_voxel_count(reader.GetSize(), path.name)
        # An empty extraction size along the fourth and later axes drops them.
        reader.SetExtractSize([*reader.GetSize()[:3], *[0] * (reader.GetDimension() - 3)])
        image = reader.Execute()
    except RuntimeError as error:
        _refuse_if_memory_ran_out(error, reader, path.name)
        hint = "Copy or export the file again, or check that it opens in 3D Slicer."
        if sys.platform == "win32" and not str(path).isascii():
            hint = "Copy or export the file again, to a path of plain letters such as C:\\scans."
        raise InputError(
            f"{path.name} cannot be read as an image: {_reason(error, path)}", hint
        ) from error
    return from_itk(image, path.name)


def _refuse_if_memory_ran_out(error: RuntimeError, reader: Any, name: str) -> None:
    """Tell want of memory from damage: some of ITK's readers only say that they failed."""
    try:
        np.empty(math.prod(reader.GetSize()), np.float64)
        if not is_memory_failure(error):
            return
    except MemoryError:
        pass
    raise OutOfMemoryError(
        f"{name} does not fit into memory.", "Close other programs or crop the image."
    ) from error


def _check_is_one_scalar_volume(reader: Any, name: str) -> None:
    sitk = simpleitk()
    size = reader.GetSize()
    if len(size) < 3:
        raise InputError(
            f"{name} is {len(size)}D, but a 3D volume is needed.",
            "Give the whole volume, not one slice of it.",
        )
    if any(n > 1 for n in size[3:]):
        raise InputError(
            f"{name} is {len(size)}D ({' x '.join(map(str, size))}): a series of volumes.",
            "Extract the one volume to translate and give that file.",
        )
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"{name} has {reader.GetNumberOfComponents()} values per voxel ({kind}), "
            "but one intensity is needed.",
            "Give the gray-scale or magnitude image.",
        )


def _reason(error: RuntimeError, path: Path) -> str:
    """ITK's own reason without its C++ file name, addresses and our folder."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else "no reason was given"
    return reason.rsplit("ERROR: ", 1)[-1].replace(str(path), path.name).rstrip(".") + "."


def _write_and_compare(volume: Volume, written: Path, name: str) -> None:
    failed = OutputError(
        f"{name} could not be written completely.",
        "Is the disk full? Free some space and try again.",
    )
    with quiet_itk() as sitk:
        try:
            sitk.WriteImage(
                to_itk(volume),
                str(written),
                useCompression=written.suffix != ".nii",
                compressionLevel=_COMPRESSION_LEVEL,
            )
            back = _read_file(written)
        except (RuntimeError, InputError) as error:
            if is_memory_failure(error):
                raise
            raise failed from error
    if not np.array_equal(back.array_kji, volume.array_kji):
        raise failed
    drift_mm = np.abs(back.grid.corners_ras() - volume.grid.corners_ras()).max()
    if drift_mm > 0.1 * min(volume.spacing_mm):
        raise OutputError(
            f"{name} would move the image by {drift_mm:.3f} mm: the format cannot hold "
            "its position.",
            "Write NRRD or MHA instead of NIfTI.",
        )
