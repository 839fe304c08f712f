"""Smooth random fields and separable interpolation from coarse lattices, fast and seeded."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from SAMI2ILib.imaging.volume import FloatArray

# Mean over position of the summed squared cubic B-spline weights (151 / 315): a lattice of unit
# variance becomes a field of this variance per axis.
_BSPLINE_POWER = 151.0 / 315.0


def bspline_matrix(size: int, spacing: float) -> FloatArray:
    """Weights that carry a lattice of cubic B-spline coefficients to `size` samples.

    Args:
        size: Number of samples, at 0, 1, 2, ...
        spacing: Distance of the coefficients, in samples.

    Returns:
        (size, n) float32 with n = floor((size - 1) / spacing) + 4; each row sums to 1.
        Coefficient m lies at sample (m - 1) * spacing.
    """
    position = np.arange(size) / spacing + 1.0
    cell = np.floor(position).astype(int)
    t = position - cell
    weights = np.stack(
        [
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
            t**3 / 6,
        ],
        axis=1,
    )
    matrix = np.zeros((size, int((size - 1) / spacing) + 4), np.float32)
    np.put_along_axis(matrix, cell[:, None] - 1 + np.arange(4), weights.astype(np.float32), axis=1)
    return matrix


def linear_matrix(positions: NDArray[np.floating[Any]], size: int) -> FloatArray:
    """Weights of linear interpolation from `size` nodes at 0, 1, 2, ... to `positions`.

    Args:
        positions: (n,) in node units; values outside are clamped.
        size: Number of nodes, 2 or more.

    Returns:
        (n, size) float32; each row sums to 1.
    """
    clamped = np.clip(positions, 0.0, size - 1.0)
    cell = np.minimum(np.floor(clamped).astype(int), size - 2)
    fraction = clamped - cell
    matrix = np.zeros((len(positions), size), np.float32)
    rows = np.arange(len(positions))
    matrix[rows, cell] = 1.0 - fraction
    matrix[rows, cell + 1] += fraction
    return matrix


def apply_separable(
    lattice: FloatArray, along_k: FloatArray, along_j: FloatArray, along_i: FloatArray
) -> FloatArray:
    """Interpolate a lattice along its three axes, one matrix an axis.

    Args:
        lattice: (k, j, i) float32.
        along_k: (K, k) float32.
        along_j: (J, j) float32.
        along_i: (I, i) float32.

    Returns:
        (K, J, I) float32.
    """
    result = lattice
    for axis, matrix in enumerate((along_k, along_j, along_i)):
        moved = np.moveaxis(result, axis, 0)
        # Sparse, because a row has two or four weights, and because sums of dense products depend
        # on how many threads BLAS has: the same seed would not give the same voxels everywhere.
        flat = csr_array(matrix) @ moved.reshape(len(moved), -1)
        result = np.moveaxis(flat.reshape(len(matrix), *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(result)


def smooth_noise(
    shape_kji: tuple[int, int, int], scale: float, rng: np.random.Generator
) -> FloatArray:
    """A Gaussian random field of zero mean and unit variance that varies over about `scale` voxels.

    Args:
        shape_kji: Shape of the field.
        scale: Distance of the cubic B-spline coefficients, in voxels, 1 or more.
        rng: Source of randomness.

    Returns:
        (K, J, I) float32.
    """
    matrices = [bspline_matrix(size, scale) for size in shape_kji]
    lattice = rng.standard_normal([matrix.shape[1] for matrix in matrices], dtype=np.float32)
    return apply_separable(lattice / np.float32(_BSPLINE_POWER**1.5), *matrices)
