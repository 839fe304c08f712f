"""Turn a volume's axes to given patient directions by permuting and flipping alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.geometry import Matrix, axis_codes
from SAMI2ILib.imaging.volume import Grid, Volume

PATIENT_AXIS = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}


@dataclass(frozen=True)
class AxisOrder:
    """Which old voxel axis becomes which new one, and which of them are turned around.

    Attributes:
        source: For new i, j, k the old axis (0, 1, 2 for i, j, k).
        flipped: For new i, j, k whether the old axis runs the other way.
    """

    source: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def apply(self, array_kji: NDArray[Any]) -> NDArray[Any]:
        """Old axes to new ones: a view of `array_kji`, any dtype."""
        moved = array_kji.transpose([2 - self.source[2 - axis] for axis in range(3)])
        return moved[self._slices()]

    def undo(self, array_kji: NDArray[Any]) -> NDArray[Any]:
        """New axes to old ones: a view, the exact inverse of `apply`."""
        order = [2 - self.source[2 - axis] for axis in range(3)]
        return array_kji[self._slices()].transpose(np.argsort(order))

    def apply_to_grid(self, grid: Grid) -> Grid:
        """The same voxels, counted along the new axes."""
        matrix = grid.ijk_to_ras.copy()
        for new, (old, flipped) in enumerate(zip(self.source, self.flipped, strict=True)):
            step = grid.ijk_to_ras[:, old]
            matrix[:, new] = -step if flipped else step
            if flipped:
                matrix[:, 3] += (grid.shape_ijk[old] - 1) * step
        i, j, k = (grid.shape_ijk[old] for old in self.source)
        return Grid((k, j, i), matrix + 0.0)  # + 0.0 turns -0.0 into 0.0

    def _slices(self) -> tuple[slice, slice, slice]:
        k, j, i = (slice(None, None, -1 if flip else 1) for flip in reversed(self.flipped))
        return k, j, i


def axis_order(ijk_to_ras: Matrix, codes: str) -> AxisOrder:
    """Find the permutation and the flips that turn a grid's axes to `codes`.

    Args:
        ijk_to_ras: (4, 4), index to RAS mm.
        codes: Three letters, the direction in which i, j, k shall grow: `LPS`.

    Raises:
        InputError: `codes` does not name each patient axis once.
    """
    if sorted(PATIENT_AXIS.get(letter, -1) for letter in codes) != [0, 1, 2]:
        raise InputError(
            f"codes must name left-right, posterior-anterior and inferior-superior once each, "
            f"like LPS, but it is {codes!r}."
        )
    now = axis_codes(ijk_to_ras)
    position = {PATIENT_AXIS[letter]: axis for axis, letter in enumerate(now)}
    i, j, k = (position[PATIENT_AXIS[letter]] for letter in codes)
    flip_i, flip_j, flip_k = (
        now[old] != letter for old, letter in zip((i, j, k), codes, strict=True)
    )
    return AxisOrder((i, j, k), (flip_i, flip_j, flip_k))


def reorient(volume: Volume, codes: str) -> Volume:
    """Count the same voxels along other axes; every voxel keeps its RAS position and its value.

    Going back to the first codes returns the array bit for bit (the matrix to rounding).

    Args:
        volume: Any orientation, also oblique or left-handed.
        codes: Three letters, the direction in which i, j, k shall grow: `LPS`.

    Raises:
        InputError: `codes` does not name each patient axis once.
    """
    order = axis_order(volume.ijk_to_ras, codes)
    grid = order.apply_to_grid(volume.grid)
    return Volume(order.apply(volume.array_kji), grid.ijk_to_ras, volume.name)
