"""One image from a folder of DICOM slices, checked slice by slice before it is stacked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError, is_memory_failure
from SAMI2ILib.imaging.dicom_checks import check_dicom_lengths
from SAMI2ILib.imaging.header_checks import is_dicom_file
from SAMI2ILib.imaging.itk import quiet_itk, require_utf8, simpleitk
from SAMI2ILib.imaging.volume import check_voxel_count

# Part of the slice distance by which a slice may lie off its place in the stack.
_POSITION_TOLERANCE = 0.05
# DICOM writes directions with as few as four decimals.
_DIRECTION_TOLERANCE = 1e-3

_DESCRIPTION = "0008|103e"
_FRAMES = "0028|0008"
_POSITION = "0020|0032"
_DIRECTION = "0020|0037"
_THICKNESS = "0018|0050"


@dataclass(frozen=True)
class _Slice:
    path: str
    size: tuple[int, ...]
    components: int
    position: NDArray[np.float64]  # (3,) patient mm, DICOM's own axes
    directions: NDArray[np.float64]  # (2, 3): along a row, along a column
    thickness_mm: float


def read_dicom_series(folder: Path, series_uid: str | None = None) -> Any:
    """Read the DICOM series of a folder (not of its subfolders).

    Args:
        folder: An existing folder.
        series_uid: Series Instance UID; may be left out where the folder holds one series.

    Returns:
        `SimpleITK.Image`, 3D float32: the stacked slices, each with its own rescale slope and
        intercept applied.

    Raises:
        InputError: No series, several without `series_uid`, an unknown `series_uid`, a
            multi-frame or color series, slices that are missing, doubled, sheared (gantry tilt) or
            not parallel.
    """
    with quiet_itk() as sitk, _said_of(folder):
        uid = _choose_series(folder, series_uid)
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
        slices = [_read_slice(path) for path in files]
        _check_stack(slices, folder.name)
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(files)
        # Each slice has its own rescale slope: without float the first one's type cuts them.
        reader.SetOutputPixelType(sitk.sitkFloat32)
        image = reader.Execute()
        if len(files) == 1:
            image.SetSpacing([*image.GetSpacing()[:2], slices[0].thickness_mm])
    return image


def list_series_files(folder: Path, series_uid: str | None = None) -> list[Path]:
    """Name the files of a series, as `read_dicom_series` takes them, in the order of their names.

    Raises:
        InputError: As for `read_dicom_series`.
    """
    with quiet_itk() as sitk, _said_of(folder):
        uid = _choose_series(folder, series_uid)
        files = map(Path, sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid))
        return sorted(files, key=lambda file: file.name)  # paths are sorted otherwise on Windows


@contextmanager
def _said_of(folder: Path) -> Iterator[None]:
    """Say what GDCM cannot read as a sentence about the folder."""
    try:
        yield
    except RuntimeError as error:
        if is_memory_failure(error):
            raise
        raise InputError(
            f"A slice of the DICOM series in {folder.name} cannot be read.",
            "Export the series again, or load it in 3D Slicer and save it as NRRD.",
        ) from error


def _choose_series(folder: Path, series_uid: str | None) -> str:
    sitk = simpleitk()
    for path in sorted(folder.iterdir()):
        require_utf8(path)
        if is_dicom_file(path):
            check_dicom_lengths(path)
    uids: tuple[str, ...] = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not uids:
        raise InputError(
            f"{folder} holds no DICOM series.",
            "Give the folder that holds the slices themselves, or an image file.",
        )
    _check_every_file_is_listed(folder, uids)
    if series_uid is None and len(uids) == 1:
        return uids[0]
    if series_uid in uids:
        return str(series_uid)
    listing = "; ".join(_describe_series(folder, uid) for uid in uids)
    if series_uid is None:
        raise InputError(
            f"{folder} holds {len(uids)} DICOM series.", f"Choose one with --series: {listing}."
        )
    raise InputError(
        f"{folder} holds no DICOM series {series_uid}.", f"It holds, for --series: {listing}."
    )


def _check_every_file_is_listed(folder: Path, uids: tuple[str, ...]) -> None:
    """GDCM skips a damaged slice; at an end of the stack nothing else would tell."""
    sitk = simpleitk()
    listed = {
        Path(file).name
        for uid in uids
        for file in sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
    }
    damaged = [
        path.name
        for path in sorted(folder.iterdir())
        if path.name not in listed and path.name != "DICOMDIR" and is_dicom_file(path)
    ]
    if damaged:
        raise InputError(
            f"{folder.name} holds {len(damaged)} DICOM files that cannot be read, the first is "
            f"{damaged[0]}.",
            "Export the series again, or remove these files if they do not belong to it.",
        )


def _describe_series(folder: Path, uid: str) -> str:
    sitk = simpleitk()
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
    reader = sitk.ImageFileReader()
    reader.SetFileName(files[0])
    reader.ReadImageInformation()
    description = _tag(reader, _DESCRIPTION) or "no description"
    return f"{uid} ({description}, {len(files)} files)"


def _tag(reader: Any, key: str) -> str:
    return str(reader.GetMetaData(key)).strip() if reader.HasMetaDataKey(key) else ""


def _read_slice(path: str) -> _Slice:
    sitk = simpleitk()
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.LoadPrivateTagsOff()
    reader.ReadImageInformation()
    name = Path(path).name
    if _tag(reader, _FRAMES) not in ("", "1"):
        raise InputError(
            f"{name} is a multi-frame DICOM file, which is not read.",
            "Load it in 3D Slicer and save the volume as NRRD, or convert it to NIfTI.",
        )
    try:
        position = np.array([float(x) for x in _tag(reader, _POSITION).split("\\")])
        directions = np.array([float(x) for x in _tag(reader, _DIRECTION).split("\\")])
        directions = directions.reshape(2, 3)
        position = position.reshape(3)
        thickness_mm = float(_tag(reader, _THICKNESS) or 1.0)
    except ValueError as error:
        raise InputError(
            f"{name} does not say where it lies in the patient.",
            "Give a series of cross-sectional images, not a scout, report or screen capture.",
        ) from error
    return _Slice(
        path,
        reader.GetSize(),
        reader.GetNumberOfComponents(),
        position,
        directions,
        thickness_mm,
    )


def _check_stack(slices: list[_Slice], name: str) -> None:
    """Slices come sorted along their normal."""
    first = slices[0]
    if first.components != 1:
        raise InputError(
            f"The DICOM series in {name} is in color.", "Give the original gray-scale series."
        )
    check_voxel_count((*first.size[:2], len(slices)), name)
    turned = max(np.abs(s.directions - first.directions).max() for s in slices)
    if turned > _DIRECTION_TOLERANCE or any(s.size[:2] != first.size[:2] for s in slices):
        raise InputError(
            f"The DICOM series in {name} mixes slices of different direction or size.",
            "It may hold a localizer; give a series that is one stack.",
        )
    if len(slices) > 1:
        _check_positions(np.stack([s.position for s in slices]), first.directions, name)


def _check_positions(
    positions: NDArray[np.float64], directions: NDArray[np.float64], name: str
) -> None:
    normal = np.cross(*directions)
    along = positions @ normal
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    if np.abs(gaps).min() < 1e-3:
        raise InputError(
            f"The DICOM series in {name} holds two slices at one position "
            f"({positions[int(np.abs(gaps).argmin())].round(2).tolist()} mm).",
            "It may hold several echoes, time points or copies; export one volume of it.",
        )
    if np.abs(gaps - usual).max() > _POSITION_TOLERANCE * abs(usual):
        worst = int(np.abs(gaps - usual).argmax())
        raise InputError(
            f"The DICOM series in {name} has uneven slice distances: {usual:.2f} mm in general, "
            f"{gaps[worst]:.2f} mm after slice {worst + 1} of {len(positions)}.",
            "A slice may be missing; export the series again.",
        )
    sideways = positions - positions[0] - np.outer(along - along[0], normal)
    if np.linalg.norm(sideways, axis=1).max() > _DIRECTION_TOLERANCE * abs(along[-1] - along[0]):
        raise InputError(
            f"The DICOM series in {name} is sheared: its slices shift sideways (gantry tilt).",
            "Load it in 3D Slicer with the acquisition transform, resample it and save that.",
        )
