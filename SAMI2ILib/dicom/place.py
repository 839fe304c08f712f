"""Whether a stack of slices lies where a source series lies, and which slices correspond."""

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.dicom.slice_stack import SliceStack
from SAMI2ILib.dicom.source_series import SourceSeries, SourceSlice
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.notice import Notice

# Part of a voxel by which a slice may lie off the source's slice and still be the same place.
_SAME_PLACE = 0.05
_SAME_DIRECTION = 1e-3
# A volume of which less lies in the source's box was made from something else.
_LEAST_OVERLAP = 0.5


def corresponding_slices(stack: SliceStack, series: SourceSeries) -> list[tuple[SourceSlice, ...]]:
    """For each slice of the stack the one of the source at the same place, or else all of them."""
    if not _is_same_plane_grid(stack, series):
        return [series.slices] * len(stack.positions_lps)
    places = np.array([one.position_lps for one in series.slices])
    tolerance_mm = _SAME_PLACE * min(stack.spacing_mm)
    found: list[tuple[SourceSlice, ...]] = []
    for position in stack.positions_lps:
        off_mm = np.abs(places - position).max(axis=1)
        nearest = int(off_mm.argmin())
        found.append((series.slices[nearest],) if off_mm[nearest] < tolerance_mm else series.slices)
    return found


def check_place(stack: SliceStack, series: SourceSeries) -> tuple[Notice, ...]:
    """Refuse a source that lies elsewhere; say a doubt where it lies there on another grid.

    Raises:
        InputError: Less than half of the volume lies in the source's box.
    """
    if all(len(slices) == 1 for slices in corresponding_slices(stack, series)):
        return ()
    if series.fraction_of(_sample_points(stack)) < _LEAST_OVERLAP:
        raise InputError(
            "The volume does not lie where the source series lies: it was made from another.",
            "Give the series that it was made from, or leave --source out.",
        )
    return (
        Notice(
            "source-on-other-grid",
            "The volume is not on the grid of the source series: make sure that it was made from "
            "this patient's series.",
        ),
    )


def _sample_points(stack: SliceStack) -> NDArray[np.float64]:
    """(125, 3) mm: five points along each side of the volume."""
    count, rows, columns = stack.array_kji.shape
    i, j = np.meshgrid(np.linspace(0, columns - 1, 5), np.linspace(0, rows - 1, 5))
    steps = np.stack([i.ravel(), j.ravel()], axis=1) * stack.spacing_mm[:2]
    in_plane = steps @ stack.axes_lps[:, :2].T
    first = stack.positions_lps[np.linspace(0, count - 1, 5).round().astype(int)]
    points: NDArray[np.float64] = (first[:, None] + in_plane[None]).reshape(-1, 3)
    return points


def _is_same_plane_grid(stack: SliceStack, series: SourceSeries) -> bool:
    return (
        stack.array_kji.shape[1:] == series.shape_kji[1:]
        and bool(np.abs(stack.axes_lps[:, :2] - series.axes_lps[:, :2]).max() < _SAME_DIRECTION)
        and np.allclose(stack.spacing_mm[:2], series.spacing_mm[:2], rtol=_SAME_DIRECTION)
    )
