"""Move a volume onto another grid, without aliasing."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.geometry import spacing_along
from SAMI2ILib.imaging.io import itk_geometry, to_itk
from SAMI2ILib.imaging.itk import quiet_itk, simpleitk
from SAMI2ILib.imaging.volume import FloatArray, Grid, Volume

Interpolation: TypeAlias = Literal["nearest", "linear", "bspline"]

# The cubic B-spline's prefilter needs four samples along each axis.
_SPLINE_SAMPLES = 4
# A box of width w blurs about as much as a Gaussian of this many w (full width at half maximum).
_FWHM_TO_SIGMA = 1.0 / 2.3548
# Spacings closer than this are the same: no blur for a rounding error.
_SAME_SPACING = 1.01


def resample(
    volume: Volume,
    grid: Grid,
    interpolation: Interpolation = "linear",
    *,
    band_limit: bool = True,
) -> Volume:
    """Sample a volume at the voxel centers of `grid`.

    Where the new grid is coarser along one of the volume's axes, the volume is first blurred
    along that axis (Gaussian, FWHM^2 = new spacing^2 - old spacing^2), so that detail which the
    new grid cannot hold does not come back as a false pattern; `nearest` is for labels and never
    blurs. Points outside the volume's box (outer voxel edges) are 0; between the outermost
    centers and the edge the outermost value counts.

    B-spline values are clipped to the volume's own range, so that ringing invents no intensity. An
    axis with fewer than four samples, too short for its prefilter, is first continued by copies
    of its outermost slices: a single slice keeps cubic interpolation in its plane.

    Args:
        volume: Any grid.
        grid: Any other.
        interpolation: `nearest`, `linear` or `bspline` (cubic).
        band_limit: False leaves the blur out, for a volume that holds no detail finer than the
            new grid because it was interpolated from it.

    Returns:
        float32 on `grid`, with the volume's name.

    Raises:
        InputError: `interpolation` is none of the three.
    """
    if interpolation not in ("nearest", "linear", "bspline"):
        raise InputError(
            f"interpolation must be nearest, linear or bspline, but it is {interpolation!r}."
        )
    if volume.grid.is_same(grid):
        return volume
    blurs = band_limit and interpolation != "nearest"
    source = _band_limit(volume, grid) if blurs else volume
    if interpolation != "bspline":
        return Volume(_sample(source, grid, interpolation), grid.ijk_to_ras, volume.name)
    extended = _extend_short_axes(source)
    sampled = _sample(extended, grid, interpolation)
    # 0 stays possible: it is the value outside the box.
    np.clip(
        sampled,
        min(float(source.array_kji.min()), 0.0),
        max(float(source.array_kji.max()), 0.0),
        out=sampled,
    )
    if extended is not source:
        inside = source.with_array(np.ones_like(source.array_kji))
        sampled *= _sample(inside, grid, "nearest")
    return Volume(sampled, grid.ijk_to_ras, volume.name)


def _sample(volume: Volume, grid: Grid, interpolation: Interpolation) -> FloatArray:
    sitk = simpleitk()
    interpolators = {
        "nearest": sitk.sitkNearestNeighbor,
        "linear": sitk.sitkLinear,
        "bspline": sitk.sitkBSpline3,
    }
    with quiet_itk():
        sampled = sitk.Resample(
            to_itk(volume),
            grid.shape_ijk,
            sitk.Transform(3, sitk.sitkIdentity),
            interpolators[interpolation],
            *itk_geometry(grid),
            0.0,
            sitk.sitkFloat32,
        )
    array: FloatArray = sitk.GetArrayFromImage(sampled)
    return array


def _band_limit(volume: Volume, grid: Grid) -> Volume:
    from scipy import ndimage

    array: Any = volume.array_kji
    for axis, old_mm in enumerate(volume.spacing_mm):
        new_mm = spacing_along(grid.ijk_to_ras, volume.ijk_to_ras[:3, axis])
        if new_mm > old_mm * _SAME_SPACING:
            sigma = np.sqrt(new_mm**2 - old_mm**2) * _FWHM_TO_SIGMA / old_mm
            array = ndimage.gaussian_filter1d(array, sigma, axis=2 - axis, mode="nearest")
    return volume if array is volume.array_kji else volume.with_array(array)


def _extend_short_axes(volume: Volume) -> Volume:
    widths_kji = [_SPLINE_SAMPLES if n < _SPLINE_SAMPLES else 0 for n in volume.array_kji.shape]
    return continue_edges(volume, widths_kji)


def continue_edges(volume: Volume, widths_kji: Sequence[int]) -> Volume:
    """Surround a volume with copies of its outermost voxels, that many along each axis."""
    if not any(widths_kji):
        return volume
    array = np.pad(volume.array_kji, [(w, w) for w in widths_kji], mode="edge")
    return Volume(array, widened(volume.grid, widths_kji).ijk_to_ras, volume.name)


def widened(grid: Grid, widths_kji: Sequence[int]) -> Grid:
    """The grid with that many voxels more at both ends of each axis."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] -= matrix[:3, :3] @ widths_kji[::-1]
    k, j, i = (n + 2 * w for n, w in zip(grid.shape_kji, widths_kji, strict=True))
    return Grid((k, j, i), matrix)
