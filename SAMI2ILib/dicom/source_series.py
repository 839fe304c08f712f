"""The headers of the series that a synthetic volume was made from; its pixels are not read."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.dicom.quiet_pydicom import quiet_pydicom, unreadable
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.dicom_checks import check_dicom_lengths
from SAMI2ILib.imaging.header_checks import is_dicom_file

_ANOTHER = "Give the folder of the one series that the volume was made from."
_SMALLEST_GAP_MM = 1e-3
# What all slices of one series share.
_IDENTITY = ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class SourceSlice:
    """One file of the source: what refers to it, and where it lies.

    Attributes:
        sop_class_uid: Kind of the object.
        sop_instance_uid: Its identifier.
        position_lps: (3,) mm, center of its first pixel.
    """

    sop_class_uid: str
    sop_instance_uid: str
    position_lps: NDArray[np.float64]


@dataclass(frozen=True)
class SourceSeries:
    """A source series without its pixels.

    Attributes:
        header: `pydicom.Dataset` of one slice, its texts decoded.
        slices: Along the normal of their plane.
        axes_lps: (3, 3) unit vectors as columns: along a row, along a column, their normal.
        spacing_mm: Between columns, between rows, between slices.
        shape_kji: Slices, rows, columns.
    """

    header: Any
    slices: tuple[SourceSlice, ...]
    axes_lps: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    shape_kji: tuple[int, int, int]

    def fraction_of(self, points_lps: NDArray[np.float64]) -> float:
        """Which part of some points lies in the box of the series; points are (N, 3) mm."""
        steps = (points_lps - self.slices[0].position_lps) @ self.axes_lps / self.spacing_mm
        inside = (steps > -0.5) & (steps < np.array(self.shape_kji[::-1]) - 0.5)
        return float(inside.all(axis=1).mean())


def read_source_series(
    source: Path | Iterable[Path], series_uid: str | None = None
) -> SourceSeries:
    """Read the headers of a series.

    Args:
        source: The folder that holds the slices, or the files themselves.
        series_uid: Which series, where there are several.

    Raises:
        InputError: No DICOM file, an unreadable one, several series without `series_uid`, no
            series of that UID, another modality than MR, multi-frame, slices that do not say
            where they lie or that disagree about patient, study or frame of reference.
    """
    name = source.name if isinstance(source, Path) else "The source"
    files = _files_of(source) if isinstance(source, Path) else list(source)
    with quiet_pydicom() as pydicom:
        found = [_read_header(pydicom, path) for path in files]
        headers = _choose_series(found, series_uid, name)
        _check_header(headers, name)
        return _sorted_series(headers, name)


def _files_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder.name} is not a folder.", _ANOTHER)
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return [file for file in files if file.name != "DICOMDIR" and is_dicom_file(file)]


def _read_header(pydicom: Any, path: Path) -> tuple[str, Any]:
    """Series Instance UID and `pydicom.Dataset` of a file."""
    try:
        check_dicom_lengths(path)
        # From memory: for a length that a damaged file names, a file's `read` reserves all of it.
        header = pydicom.dcmread(io.BytesIO(path.read_bytes()), stop_before_pixels=True)
        header.decode()
        series_uid = str(header.SeriesInstanceUID)
    except unreadable():
        # Not `from error`: pydicom's text may quote the patient.
        raise InputError(
            f"{path.name} cannot be read as DICOM.", "Export the series again."
        ) from None
    return series_uid, header


def _choose_series(found: list[tuple[str, Any]], series_uid: str | None, name: str) -> list[Any]:
    series: dict[str, list[Any]] = {}
    for uid, header in found:
        series.setdefault(uid, []).append(header)
    if not series:
        raise InputError(f"{name} holds no DICOM file.", _ANOTHER)
    if series_uid is None and len(series) == 1:
        return next(iter(series.values()))
    if series_uid in series:
        return series[str(series_uid)]
    listing = "; ".join(f"{uid} ({len(files)} files)" for uid, files in series.items())
    if series_uid is None:
        raise InputError(
            f"{name} holds {len(series)} DICOM series.", f"Choose one with --series: {listing}."
        )
    raise InputError(
        f"{name} holds no DICOM series {series_uid}.", f"It holds, for --series: {listing}."
    )


def _check_header(headers: list[Any], name: str) -> None:
    modality = str(headers[0].get("Modality", ""))
    if modality != "MR":
        raise InputError(f"{name} is a series of modality {modality or 'unknown'}.", _ANOTHER)
    if any(header.get("NumberOfFrames", 1) not in (None, 1) for header in headers):
        raise InputError(
            f"{name} is a multi-frame series, which is not read.",
            "Give the same series as single frames; PACS and converters can split it.",
        )
    for keyword in _IDENTITY:
        if len({str(header.get(keyword, "")) for header in headers}) > 1:
            raise InputError(f"The slices of {name} differ in their {keyword}.", _ANOTHER)
    if not headers[0].get("StudyInstanceUID"):
        raise InputError(f"{name} has no StudyInstanceUID.", "Export the series again.")


def _sorted_series(headers: list[Any], name: str) -> SourceSeries:
    try:
        row, column = np.array(headers[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
        axes = np.stack([row, column, np.cross(row, column)], axis=1)
        axes = axes / np.linalg.norm(axes, axis=0)
        between_rows, between_columns = (float(mm) for mm in headers[0].PixelSpacing)
        slices = [
            SourceSlice(
                str(header.SOPClassUID),
                str(header.SOPInstanceUID),
                np.array(header.ImagePositionPatient, dtype=float).reshape(3),
            )
            for header in headers
        ]
        rows, columns = int(headers[0].Rows), int(headers[0].Columns)
        thickness_mm = float(headers[0].get("SliceThickness") or 1.0)
        if not all(np.isfinite(one.position_lps).all() for one in slices):
            raise ValueError
        if not (np.isfinite(axes).all() and min(between_rows, between_columns, thickness_mm) > 0):
            raise ValueError
    except unreadable():
        raise InputError(f"A slice of {name} does not say where it lies.", _ANOTHER) from None
    slices.sort(key=lambda one: float(one.position_lps @ axes[:, 2]))
    between_slices = _slice_distance(slices, axes, thickness_mm, name)
    spacing = (between_columns, between_rows, between_slices)
    return SourceSeries(headers[0], tuple(slices), axes, spacing, (len(slices), rows, columns))


def _slice_distance(
    slices: list[SourceSlice], axes: NDArray[np.float64], thickness_mm: float, name: str
) -> float:
    if len(slices) == 1:
        return thickness_mm
    gaps = np.diff([one.position_lps @ axes[:, 2] for one in slices])
    if gaps.min() < _SMALLEST_GAP_MM:
        raise InputError(f"{name} holds two slices at one position.", _ANOTHER)
    return float(gaps.mean())
