"""What an index-to-patient matrix says: axis directions, spacing, obliquity.

`ijk_to_ras` is (4, 4) float64: it maps a voxel index (i, j, k) to the voxel's center in RAS
millimeters (right, anterior, superior grow). Column n is one step along voxel axis n.
"""

from itertools import permutations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError

Matrix: TypeAlias = NDArray[np.float64]  # (4, 4)

# Cosine between two voxel axes. 0.001 is 0.06 degrees: a quarter of a millimeter across a head,
# well above the rounding of file headers and well below any shear that somebody meant.
SHEAR_TOLERANCE = 1e-3
# Below this a spacing is a broken header, not a microscope.
SMALLEST_SPACING_MM = 1e-6

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


def check_ijk_to_ras(ijk_to_ras: Matrix, name: str = "ijk_to_ras") -> Matrix:
    """Refuse a matrix that is not a voxel grid; return a read-only copy of one that is.

    Args:
        ijk_to_ras: (4, 4), index to RAS mm.
        name: What the error message calls it.

    Returns:
        (4, 4) float64, not writeable.

    Raises:
        InputError: Wrong shape, NaN or Inf, a last row other than 0 0 0 1, zero spacing, or axes
            that are not perpendicular (cosine above `SHEAR_TOLERANCE`).
    """
    matrix = np.array(ijk_to_ras, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise InputError(f"{name} must be a 4 x 4 matrix, but its shape is {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise InputError(
            f"{name} holds NaN or Inf: the image has no usable position.",
            "Export the image again from the original data.",
        )
    if not np.array_equal(matrix[3], (0.0, 0.0, 0.0, 1.0)):
        raise InputError(f"The last row of {name} must be 0 0 0 1, but it is {matrix[3]}.")
    spacing = spacing_mm(matrix)
    if min(spacing) < SMALLEST_SPACING_MM:
        raise InputError(
            f"{name} has a zero spacing: {spacing} mm along i, j, k.",
            "Repair the spacing in the header or export the image again.",
        )
    axes = matrix[:3, :3] / spacing
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() > SHEAR_TOLERANCE:
        raise InputError(
            f"{name} is sheared: two voxel axes differ from a right angle by "
            f"{np.degrees(np.arcsin(min(cosines.max(), 1.0))):.2f} degrees.",
            "Resample the image onto a grid with perpendicular axes (3D Slicer: Resample "
            "Scalar/Vector/DWI Volume), then translate that.",
        )
    matrix.flags.writeable = False
    return matrix


def spacing_mm(ijk_to_ras: Matrix) -> tuple[float, float, float]:
    """Distance between neighboring voxel centers along i, j and k, in mm."""
    i, j, k = np.sqrt((np.asarray(ijk_to_ras)[:3, :3] ** 2).sum(axis=0))
    return float(i), float(j), float(k)


def spacing_along(ijk_to_ras: Matrix, direction_ras: NDArray[np.float64]) -> float:
    """Distance in mm along a patient direction that crosses one voxel of the grid.

    Along a voxel axis it is that axis's spacing; in between it follows the ellipsoid through
    the three spacings, so that a rotated isotropic grid keeps its spacing in every direction.

    Args:
        ijk_to_ras: (4, 4), index to RAS mm, or the (3, 3) of its axes.
        direction_ras: (3,), of any length but zero.
    """
    unit = np.asarray(direction_ras) / np.linalg.norm(direction_ras)
    return float(1.0 / np.linalg.norm(np.linalg.solve(np.asarray(ijk_to_ras)[:3, :3], unit)))


def closest_patient_axes(ijk_to_ras: Matrix) -> tuple[int, int, int]:
    """For voxel axes i, j, k the closest patient axis (0 left-right, 1 posterior-anterior, 2 up).

    Each patient axis is given once: of the six ways to pair them, the one with the largest sum of
    absolute cosines; on a tie (45 degrees) the first in the order of `itertools.permutations`.
    """
    cosines = np.abs(np.asarray(ijk_to_ras)[:3, :3] / spacing_mm(ijk_to_ras))
    candidates = list(permutations(range(3)))
    sums = [round(sum(cosines[axis, n] for n, axis in enumerate(c)), 9) for c in candidates]
    x, y, z = candidates[int(np.argmax(sums))]
    return x, y, z


def axis_codes(ijk_to_ras: Matrix) -> str:
    """Three letters: the patient direction in which i, j and k grow.

    `LPS` means: i to the patient's left, j to posterior, k to superior.
    """
    matrix = np.asarray(ijk_to_ras)
    axes = closest_patient_axes(matrix)
    return "".join(_LETTERS[axis][int(matrix[axis, n] > 0)] for n, axis in enumerate(axes))


def obliquity_degrees(ijk_to_ras: Matrix) -> float:
    """Largest angle between a voxel axis and its closest patient axis, in degrees (0 to 90)."""
    matrix = np.asarray(ijk_to_ras)[:3, :3]
    angles = []
    for n, axis in enumerate(closest_patient_axes(ijk_to_ras)):
        across = np.delete(matrix[:, n], axis)
        # arctan2 keeps its precision near 0, where arccos of the cosine does not.
        angles.append(np.arctan2(np.linalg.norm(across), abs(matrix[axis, n])))
    return float(np.degrees(max(angles)))
