"""The grid on which slices are translated: axial, in-plane at the model's spacing."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging.geometry import Matrix, axis_codes, obliquity_degrees, spacing_along
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.orientation import PATIENT_AXIS, AxisOrder, axis_order
from SAMI2ILib.imaging.resample import Interpolation, continue_edges, resample, widened
from SAMI2ILib.imaging.volume import Grid, Volume

LARGEST_OBLIQUITY_DEGREES = 15.0
# In-plane spacings that differ by more than this make pixels that are not square.
_SQUARE_TOLERANCE = 0.01
# A spacing within this of the model's is what the model saw in training.
_SPACING_TOLERANCE = 0.10
# What counts as a thick slice: in mm, and against the finest spacing of the same image.
_THICK_MM = 2.0
_THICK_RATIO = 1.5

_VIEWS = ("sagittal", "coronal", "axial")
_PATIENT_DIRECTIONS = {"L": -1.0, "R": 1.0, "P": -1.0, "A": 1.0, "I": -1.0, "S": 1.0}


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """The way from an input grid to the grid of the slices, and back.

    Where nothing is resampled, `to_working` and `from_working` are inverse bit for bit. Where
    the volume is resampled with B-splines both ways, a smooth head (no detail finer than four
    voxels of the coarser grid) comes back within 1 % of its intensity range, two voxels away from
    the edge of the field of view. A turned volume is continued beyond that edge by copies of its
    outermost voxels, so that its first and last slices are neither translated nor brought back
    half mixed with nothing.

    Attributes:
        input_grid: Where the volume comes from and where the result goes.
        grid: Where slices are translated: `array_kji[k]` is one slice.
        is_resampled: False where voxels are only permuted and flipped.
        warnings: What the user should know about the way.
    """

    input_grid: Grid
    grid: Grid
    is_resampled: bool
    warnings: tuple[Notice, ...]
    _order: AxisOrder
    _margin_kji: tuple[int, int, int] = (0, 0, 0)

    def to_working(self, volume: Volume, interpolation: Interpolation = "bspline") -> Volume:
        """Bring a volume from the input grid to the working grid.

        Args:
            volume: On `input_grid`.
            interpolation: Unused where nothing is resampled; `nearest` for masks.

        Raises:
            ShapeError: `volume` is not on `input_grid`.
        """
        _check_is_on(volume, self.input_grid, "the input grid")
        if self.is_resampled:
            whole = continue_edges(volume, self._margin_kji)
            return resample(whole, self.grid, interpolation)
        return Volume(self._order.apply(volume.array_kji), self.grid.ijk_to_ras, volume.name)

    def from_working(self, volume: Volume, interpolation: Interpolation = "bspline") -> Volume:
        """Bring a volume from the working grid back onto the input grid, exactly that grid.

        Args:
            volume: On `grid`.
            interpolation: Unused where nothing is resampled; `nearest` for masks.

        Raises:
            ShapeError: `volume` is not on `grid`.
        """
        _check_is_on(volume, self.grid, "the working grid")
        if self.is_resampled:
            # Where the working grid is finer, it was interpolated from the input: a blur on the
            # way back would only soften the result.
            return resample(volume, self.input_grid, interpolation, band_limit=False)
        array = self._order.undo(volume.array_kji)
        return Volume(array, self.input_grid.ijk_to_ras, volume.name)


def plan_working_grid(grid: Grid, orientation: str = "LPS", spacing_mm: float = 1.0) -> WorkingGrid:
    """Decide how a volume is brought to the slices that a model was trained on.

    Up to 15 degrees of obliquity the axes are only permuted and flipped: the slices keep the
    scanner's tilt. Beyond, the volume is resampled to the patient's axes. In-plane, the spacing
    becomes the model's where the two spacings differ by more than 1 % from each other or one by
    more than 10 % from the model's. The distance of the slices is kept; after a rotation it is
    the distance that crosses one input voxel in that direction: no detail falls between slices.

    Args:
        grid: The input's.
        orientation: The slices' axes: `LPS` is axial. i is the column, j the row, k the slice.
        spacing_mm: The model's in-plane spacing.

    Raises:
        InputError: `spacing_mm` is not positive, `orientation` no orientation, or the resampled
            grid would have more than `MAX_VOXELS` voxels.
    """
    if not (np.isfinite(spacing_mm) and spacing_mm > 0):
        raise InputError(f"spacing_mm must be positive, but it is {spacing_mm}.")
    order = axis_order(grid.ijk_to_ras, orientation)
    permuted = order.apply_to_grid(grid)
    tilt = obliquity_degrees(grid.ijk_to_ras)
    if tilt > LARGEST_OBLIQUITY_DEGREES:
        upright, margin_kji = _upright_grid(grid, orientation, spacing_mm)
        return WorkingGrid(grid, upright, True, _oblique_warnings(grid, tilt), order, margin_kji)
    if not _fits(permuted, spacing_mm):
        finer = _respaced_grid(permuted, spacing_mm)
        return WorkingGrid(grid, finer, True, _reformat_warnings(permuted, orientation), order)
    return WorkingGrid(grid, permuted, False, (), order)


def _check_is_on(volume: Volume, grid: Grid, called: str) -> None:
    if not volume.grid.is_same(grid):
        raise ShapeError(
            f"volume must lie on {called} of shape {grid.shape_kji}, but it has the shape "
            f"{volume.array_kji.shape} or another position."
        )


def _fits(grid: Grid, spacing_mm: float) -> bool:
    column, row, _ = grid.spacing_mm
    is_square = max(column, row) <= min(column, row) * (1.0 + _SQUARE_TOLERANCE)
    is_near = all(abs(s / spacing_mm - 1.0) <= _SPACING_TOLERANCE for s in (column, row))
    return is_square and is_near


def _respaced_grid(grid: Grid, spacing_mm: float) -> Grid:
    """The same box and axes with another in-plane spacing; the slices stay where they are."""
    extent_mm = [n * s for n, s in zip(grid.shape_ijk[:2], grid.spacing_mm[:2], strict=True)]
    columns, rows = (_count(extent, spacing_mm) for extent in extent_mm)
    shape_ijk = (columns, rows, grid.shape_ijk[2])
    axes = grid.ijk_to_ras[:3, :3] / grid.spacing_mm
    spacing = (spacing_mm, spacing_mm, grid.spacing_mm[2])
    return _centered_grid(axes * spacing, shape_ijk, grid.corners_ras().mean(axis=0))


def _upright_grid(
    grid: Grid, orientation: str, spacing_mm: float
) -> tuple[Grid, tuple[int, int, int]]:
    """The patient-aligned box around a tilted one, and by how many voxels that is continued."""
    axes = np.zeros((3, 3))
    for voxel_axis, letter in enumerate(orientation):
        axes[PATIENT_AXIS[letter], voxel_axis] = _PATIENT_DIRECTIONS[letter]
    spacing = (spacing_mm, spacing_mm, spacing_along(grid.ijk_to_ras, axes[:, 2]))
    margin_kji = _margin(grid, axes * spacing)
    corners = widened(grid, margin_kji).corners_ras()
    extent_mm = np.ptp(corners @ axes, axis=0)
    i, j, k = (_count(e, s) for e, s in zip(extent_mm, spacing, strict=True))
    return _centered_grid(axes * spacing, (i, j, k), corners.mean(axis=0)), margin_kji


def _margin(grid: Grid, steps: Matrix) -> tuple[int, int, int]:
    """How many voxels of a grid make two of another with these steps, a cubic spline's reach."""
    axes = zip(grid.spacing_mm, grid.ijk_to_ras[:3, :3].T, strict=True)
    i, j, k = (ceil(2 * spacing_along(steps, axis) / spacing) for spacing, axis in axes)
    return (k, j, i)


def _count(extent_mm: float, spacing_mm: float) -> int:
    # The tolerance keeps a rounding error from adding a voxel.
    return max(1, int(np.ceil(extent_mm / spacing_mm - 1e-6)))


def _centered_grid(steps: Matrix, shape_ijk: tuple[int, int, int], center_ras: Matrix) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = steps
    matrix[:3, 3] = center_ras - steps @ ((np.array(shape_ijk) - 1) / 2.0)
    i, j, k = shape_ijk
    return Grid((k, j, i), matrix + 0.0)


def _is_thick(thickest: float, finest: float) -> bool:
    return thickest > _THICK_MM and thickest > _THICK_RATIO * finest


def _oblique_warnings(grid: Grid, tilt: float) -> tuple[Notice, ...]:
    thickest, finest = max(grid.spacing_mm), min(grid.spacing_mm)
    if not _is_thick(thickest, finest):
        return ()
    return (
        Notice(
            "thick-slices-oblique",
            f"The slices are {thickest:.1f} mm thick and tilted by {tilt:.0f} degrees: they were "
            "interpolated to straight slices and back, which costs sharpness.",
        ),
    )


def _reformat_warnings(permuted: Grid, orientation: str) -> tuple[Notice, ...]:
    in_plane = permuted.spacing_mm[:2]
    if not _is_thick(max(in_plane), min(permuted.spacing_mm)):
        return ()
    acquired = axis_codes(permuted.ijk_to_ras)[int(np.argmax(in_plane))]
    return (
        Notice(
            "thick-slices-reformatted",
            f"The scan has {max(in_plane):.1f} mm thick {_VIEWS[PATIENT_AXIS[acquired]]} slices, "
            f"but the model works on {_VIEWS[PATIENT_AXIS[orientation[2]]]} ones: those are "
            "interpolated, and fine detail is missing.",
        ),
    )
