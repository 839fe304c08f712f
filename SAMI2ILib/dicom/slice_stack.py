"""A volume as DICOM stores one: slices with a place each, whole numbers with one factor."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.dicom.corner_mark import corner_mark
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.geometry import axis_codes
from SAMI2ILib.imaging.io import itk_geometry
from SAMI2ILib.imaging.orientation import AxisOrder, axis_order
from SAMI2ILib.imaging.volume import Grid, Volume

# How a slice is shown: rows and columns run as radiologists expect, whatever the file's order.
_SHOWN = {"S": "LPS", "I": "LPS", "L": "PIR", "R": "PIR", "A": "LIP", "P": "LIP"}
# Stored values stay below, so that a reader that takes them as signed sees the same ones.
_LARGEST_STORED = 32767
# Whole numbers up to this many or more show every gray level of a screen, so no factor is needed:
# some viewers do not apply one to MR and would show a white image.
_ENOUGH_LEVELS = 256
# The smallest power of two whose decimal digits fit a DICOM decimal string of 16 characters.
_SMALLEST_SLOPE = 2.0**-15
_LARGEST_SIDE = 65535  # rows and columns are 16-bit numbers
_WINDOW_PERCENT = 99.5


@dataclass(frozen=True)
class SliceStack:
    """Slices in the order of their instance numbers, along the normal of their plane.

    Attributes:
        array_kji: (K, rows, columns) float32.
        axes_lps: (3, 3) unit vectors as columns: along a row, along a column, between slices;
            the first two are at right angles and the third is on the side of their cross product.
        spacing_mm: Between columns, between rows, between slices.
        positions_lps: (K, 3) mm, center of each slice's first pixel, in DICOM's axes.
        slope: A value is its stored number times this: 1, or a power of two for volumes that are
            not in the unit of a translation, [0, 1000].
        window: Center and width for the display, in values.
        is_signed: Whether there are values below zero.
        mark: Laid over the upper left corner of every slice, or None.
    """

    array_kji: NDArray[np.float32]
    axes_lps: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    positions_lps: NDArray[np.float64]
    slope: float
    window: tuple[float, float]
    is_signed: bool
    mark: NDArray[np.bool_] | None = field(default=None)

    def stored_slice(self, index: int) -> NDArray[np.int16]:
        """The whole numbers of one slice: (rows, columns)."""
        stored: NDArray[np.int16] = np.rint(self.array_kji[index] / self.slope).astype(np.int16)
        if self.mark is not None:
            center, width = self.window
            brightest = min((center + width / 2 - 1) / self.slope, _LARGEST_STORED)
            rows, columns = self.mark.shape
            stored[:rows, :columns] = np.where(self.mark, int(brightest), 0)
        return stored

    def locations_mm(self) -> NDArray[np.float64]:
        """(K,) how far each slice lies along the stack's direction."""
        locations: NDArray[np.float64] = self.positions_lps @ self.axes_lps[:, 2]
        return locations


def stack_slices(
    volume: Volume, like_axes_lps: NDArray[np.float64] | None = None, marked: bool = False
) -> SliceStack:
    """Cut a volume into slices; voxels are permuted and flipped, never resampled.

    Args:
        volume: Any orientation: oblique, sagittal, left-handed.
        like_axes_lps: (3, 3) unit vectors as columns, the axes of a source series: the slices get
            its plane and order. Without it they keep the volume's plane and are turned as
            radiologists see them: anterior or superior up, the patient's left on the right.
        marked: Put the word SYNTHETIC into every slice.

    Raises:
        InputError: A slice is too large for DICOM or too small for the mark.
    """
    order = (
        _conventional_order(volume) if like_axes_lps is None else _order_like(volume, like_axes_lps)
    )
    array, grid = order.apply(volume.array_kji), order.apply_to_grid(volume.grid)
    array, grid = _right_handed(array, grid)
    count, rows, columns = array.shape
    if max(rows, columns) > _LARGEST_SIDE:
        raise InputError(
            f"The slices have {columns} x {rows} pixels; DICOM holds {_LARGEST_SIDE} a side.",
            "Crop or resample the volume.",
        )
    origin, spacing, direction = itk_geometry(grid)
    axes = np.reshape(direction, (3, 3))
    steps = np.arange(count)[:, None] * (axes[:, 2] * spacing[2])
    return SliceStack(
        array_kji=array,
        axes_lps=_with_right_angle(axes),
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        positions_lps=np.array(origin) + steps,
        slope=_slope(volume),
        window=_window(volume),
        is_signed=bool(volume.array_kji.min() < 0),
        mark=corner_mark(rows, columns) if marked else None,
    )


def _conventional_order(volume: Volume) -> AxisOrder:
    return axis_order(volume.ijk_to_ras, _SHOWN[axis_codes(volume.ijk_to_ras)[2]])


def _order_like(volume: Volume, axes_lps: NDArray[np.float64]) -> AxisOrder:
    _origin, _spacing, direction = itk_geometry(volume.grid)
    # In a frame whose x, y, z are the source's axes, "RAS" means: each along one of them.
    seen_from_source = np.eye(4)
    seen_from_source[:3, :3] = axes_lps.T @ np.reshape(direction, (3, 3))
    return axis_order(seen_from_source, "RAS")


def _right_handed(array: NDArray[np.float32], grid: Grid) -> tuple[NDArray[np.float32], Grid]:
    """Count the slices from the other end where they run against the normal of their plane."""
    if np.linalg.det(grid.ijk_to_ras[:3, :3]) > 0:
        return array, grid
    flip = AxisOrder((0, 1, 2), (False, False, True))
    return flip.apply(array), flip.apply_to_grid(grid)


def _with_right_angle(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the last thousandth of shear out of the plane: readers insist on a right angle."""
    row, column, step = axes.T
    excess = row @ column / 2
    row, column = row - excess * column, column - excess * row
    return np.stack([row / np.linalg.norm(row), column / np.linalg.norm(column), step], axis=1)


def _slope(volume: Volume) -> float:
    largest = float(np.abs(volume.array_kji).max())
    if largest == 0 or _ENOUGH_LEVELS <= largest <= _LARGEST_STORED:
        return 1.0
    slope = 2.0 ** np.ceil(np.log2(largest / _LARGEST_STORED))
    return float(max(slope, _SMALLEST_SLOPE))


def _window(volume: Volume) -> tuple[float, float]:
    """Center and width (PS3.3 C.11.2): from zero, or below, to the brightest but a few."""
    shown = volume.array_kji[volume.array_kji > 0]
    top = float(np.percentile(shown, _WINDOW_PERCENT)) if shown.size else 1.0
    bottom = min(0.0, float(volume.array_kji.min()))
    return (top + bottom + 1) / 2, top - bottom + 1
