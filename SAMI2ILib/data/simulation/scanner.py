"""What a scanner makes of a head: its slices, their thickness, shading and noise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SAMI2ILib.data.simulation.anatomy import Anatomy, LabelArray
from SAMI2ILib.data.simulation.deform import Deformation, rotation_matrix
from SAMI2ILib.data.simulation.fields import apply_separable, linear_matrix, smooth_noise
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Grid
from SAMI2ILib.imaging.volume import FloatArray

# Directions in which i, j and k grow; slices are stacked along k.
ORIENTATIONS = {"axial": "LPS", "sagittal": "PSR", "coronal": "LSP"}
_DIRECTION = {
    "R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1),
    "L": (-1, 0, 0), "P": (0, -1, 0), "I": (0, 0, -1),
}  # fmt: skip

# The map to the anatomy is computed on a lattice of this spacing and interpolated linearly; it
# bends so little that the error stays below 0.2 mm.
_LATTICE_MM = 3.0
_SLICES_AT_ONCE_VOXELS = 2_000_000
_COIL_DEPTH_MM = 20.0  # in which a coil element's sensitivity falls to a third


@dataclass(frozen=True)
class Acquisition:
    """The slices that are taken of a head.

    Args:
        grid: Voxels; slices lie along k.
        slice_thickness_mm: Width of a slice; it may be less than the distance of the slices.
        head_from_scanner: (4, 4) rigid, RAS mm of the grid to RAS mm of the head (its pose).
    """

    grid: Grid
    slice_thickness_mm: float
    head_from_scanner: NDArray[np.float64]


def head_box_ras(
    anatomy: Anatomy, deformation: Deformation, pose: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find the box around the deformed head; (2, 3) lowest and highest RAS mm, to about 4 mm.

    Raises:
        InputError: The anatomy holds no tissue.
    """
    step_mm = 7.0
    axis = np.arange(-161.0, 162.0, step_mm)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    in_head = points @ pose[:3, :3].T + pose[:3, 3]
    index = _to_index(anatomy, deformation.pull(in_head))
    nearest = np.rint(index).astype(int)[..., ::-1]
    inside = np.asarray(((nearest >= 0) & (nearest < anatomy.shape_kji)).all(axis=-1))
    k, j, i = np.moveaxis(np.where(inside[..., None], nearest, 0), -1, 0)
    head = inside & (anatomy.tissue_kji[k, j, i] != Tissue.AIR)
    found = points[head]
    if len(found) == 0:
        raise InputError("The anatomy is empty: it holds no tissue.", "Use a map of a head.")
    return np.stack([found.min(axis=0) - step_mm / 2, found.max(axis=0) + step_mm / 2])


def plan_grid(
    box_ras: NDArray[np.float64],
    *,
    orientation: str,
    tilt_degrees: NDArray[np.float64],
    spacing_mm: tuple[float, float, float],
    margin_mm: float,
    height_mm: float,
) -> Grid:
    """Lay slices over a head.

    Args:
        box_ras: (2, 3) lowest and highest RAS mm of the head.
        orientation: A key of `ORIENTATIONS`.
        tilt_degrees: (3,) rotation of the slices about R, A, S.
        spacing_mm: Distance of voxels along i, j, k of the slices.
        margin_mm: Air on every side of the head, except below.
        height_mm: Field of view from the top of the head downwards.

    Raises:
        InputError: An unknown orientation or a spacing that is not positive.
    """
    if orientation not in ORIENTATIONS:
        raise InputError(
            f"orientation must be one of {', '.join(ORIENTATIONS)}, not {orientation!r}."
        )
    if min(spacing_mm) <= 0:
        raise InputError(f"spacing_mm must be positive along each axis, not {spacing_mm}.")
    low, high = box_ras[0] - margin_mm, box_ras[1] + margin_mm
    low[2] = max(box_ras[0][2] - 2.0, high[2] - height_mm)
    return grid_at(
        (low + high) / 2,
        ORIENTATIONS[orientation],
        tilt_degrees,
        spacing_mm,
        extent_ras=high - low,
    )


def grid_at(
    center_ras: NDArray[np.float64],
    axes: str,
    tilt_degrees: NDArray[np.float64],
    spacing_mm: tuple[float, float, float],
    *,
    extent_ras: NDArray[np.float64] | None = None,
    shape_ijk: tuple[int, int, int] | None = None,
) -> Grid:
    """Center a grid at a point.

    Args:
        center_ras: (3,) middle of the grid, mm.
        axes: Directions in which i, j, k grow before the tilt, as "LPS".
        tilt_degrees: (3,) rotation about R, A, S.
        spacing_mm: Along i, j, k.
        extent_ras: (3,) size in mm along R, A, S, where `shape_ijk` is not given.
        shape_ijk: Number of voxels along i, j, k.
    """
    directions = np.array([_DIRECTION[letter] for letter in axes], float).T
    if shape_ijk is None:
        extent = np.abs(directions.T) @ np.asarray(extent_ras)
        i, j, k = (max(int(np.ceil(e / s)), 1) for e, s in zip(extent, spacing_mm, strict=True))
        shape_ijk = (i, j, k)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(tilt_degrees) @ directions @ np.diag(spacing_mm)
    matrix[:3, 3] = center_ras - matrix[:3, :3] @ ((np.array(shape_ijk) - 1) / 2)
    return Grid((shape_ijk[2], shape_ijk[1], shape_ijk[0]), matrix)


def scan(
    images: Mapping[str, FloatArray],
    tissue_kji: LabelArray,
    brain_kji: NDArray[np.bool_],
    anatomy: Anatomy,
    deformation: Deformation,
    acquisition: Acquisition,
) -> tuple[dict[str, FloatArray], LabelArray, NDArray[np.bool_]]:
    """Sample the signals of an anatomy on the slices of an acquisition.

    Each slice is the average over its thickness, from sub-slices about 1 mm apart.

    Args:
        images: Signal of each contrast, (K, J, I) float32 on the anatomy's grid.
        tissue_kji: (K, J, I) uint8 on the anatomy's grid.
        brain_kji: (K, J, I) bool on the anatomy's grid.
        anatomy: Where these lie.
        deformation: From the head to the anatomy.
        acquisition: The slices.

    Returns:
        Each contrast float32, the tissue with the largest fraction uint8, and the brain (more than
        half of the voxel) bool, all on the acquisition's grid.
    """
    shape = acquisition.grid.shape_kji
    tissue, brain = np.empty(shape, np.uint8), np.empty(shape, bool)
    scans = {contrast: np.empty(shape, np.float32) for contrast in images}
    for slices, index in _anatomy_index(anatomy, deformation, acquisition):
        sub_slices = index.shape[2]
        for contrast, image in images.items():
            sampled = ndimage.map_coordinates(image, index, order=1, output=np.float32)
            scans[contrast][slices] = sampled.mean(axis=1)
        nearest, inside = _nearest(index, anatomy.shape_kji)
        labels = np.where(inside, tissue_kji[nearest], np.uint8(Tissue.AIR))
        tissue[slices] = _most_frequent(labels)
        brain[slices] = (brain_kji[nearest] & inside).sum(axis=1) * 2 > sub_slices
    return scans, tissue, brain


def _anatomy_index(
    anatomy: Anatomy, deformation: Deformation, acquisition: Acquisition
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (slices, (3, slices, sub-slices, J, I) index (k, j, i) into the anatomy) in chunks."""
    grid = acquisition.grid
    size_i, size_j, size_k = grid.shape_ijk
    sub_slices = max(int(np.ceil(acquisition.slice_thickness_mm - 0.3)), 1)
    within = (np.arange(sub_slices) + 0.5) / sub_slices - 0.5
    offsets = within * acquisition.slice_thickness_mm / grid.spacing_mm[2]
    axes = _lattice_axes(grid, float(np.abs(offsets).max()))
    k, j, i = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    scanner = np.stack([i, j, k], axis=-1) @ grid.ijk_to_ras[:3, :3].T + grid.ijk_to_ras[:3, 3]
    pose = acquisition.head_from_scanner
    lattice = _to_index(anatomy, deformation.pull(scanner @ pose[:3, :3].T + pose[:3, 3]))
    lattice = np.moveaxis(lattice, -1, 0)[::-1].astype(np.float32)

    along_i = _weights(np.arange(size_i), axes[0])
    along_j = _weights(np.arange(size_j), axes[1])
    chunk = max(_SLICES_AT_ONCE_VOXELS // (size_i * size_j * sub_slices), 1)
    for first in range(0, size_k, chunk):
        numbers = np.arange(first, min(first + chunk, size_k))
        along_k = _weights((numbers[:, None] + offsets).ravel(), axes[2])
        index = np.stack([apply_separable(c, along_k, along_j, along_i) for c in lattice])
        # The anatomy's lower edge cuts the neck: below, the neck goes on as it is there.
        np.maximum(index[0], 0, out=index[0])
        yield (
            slice(first, first + len(numbers)),
            index.reshape(3, len(numbers), sub_slices, size_j, size_i),
        )


def _lattice_axes(grid: Grid, slack_k: float) -> list[NDArray[np.float64]]:
    """Indices along i, j, k that span the grid, `_LATTICE_MM` or a voxel apart."""
    step_mm = max(_LATTICE_MM, *grid.spacing_mm[:2])
    axes = []
    for size, spacing, slack in zip(
        grid.shape_ijk, grid.spacing_mm, (0.0, 0.0, slack_k), strict=True
    ):
        length = max(size - 1 + 2 * slack, 1e-3)
        count = max(int(np.ceil(length * spacing / step_mm)) + 1, 2)
        axes.append(np.linspace(-slack, length - slack, count))
    return axes


def _weights(positions: NDArray[Any], axis: NDArray[np.float64]) -> FloatArray:
    return linear_matrix((positions - axis[0]) / (axis[1] - axis[0]), len(axis))


def _to_index(anatomy: Anatomy, points_ras: NDArray[np.float64]) -> NDArray[np.float64]:
    """RAS mm of the anatomy to its index (i, j, k)."""
    inverse = np.linalg.inv(anatomy.ijk_to_ras)
    index: NDArray[np.float64] = points_ras @ inverse[:3, :3].T + inverse[:3, 3]
    return index


def _nearest(
    index: FloatArray, shape_kji: tuple[int, int, int]
) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.bool_]]:
    """The closest voxel, clamped to the array, and whether it lies within."""
    inside = np.ones(index.shape[1:], bool)
    voxels = []
    for axis, size in zip(index, shape_kji, strict=True):
        voxel = np.rint(axis).astype(np.intp)
        inside &= (voxel >= 0) & (voxel < size)
        voxels.append(np.clip(voxel, 0, size - 1))
    return tuple(voxels), inside


def _most_frequent(labels: LabelArray) -> LabelArray:
    """(S, sub-slices, J, I) to (S, J, I): the label of most sub-slices, the smallest on a tie."""
    if labels.shape[1] == 1:
        return labels[:, 0]
    best = np.zeros((labels.shape[0], *labels.shape[2:]), np.uint8)
    votes = np.zeros_like(best)
    for tissue in np.unique(labels):
        count = (labels == tissue).sum(axis=1, dtype=np.uint8)
        better = count > votes
        best[better], votes[better] = tissue, count[better]
    return best


def bias_field(
    shape_kji: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    strength: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw a smooth multiplicative shading.

    Args:
        shape_kji: Shape of the volume.
        spacing_mm: Along i, j, k; the shading varies over about 70 mm.
        strength: Standard deviation of its logarithm, 0.1 is a mild and 0.3 a strong one.
        rng: Source of randomness.

    Returns:
        (K, J, I) float32, positive, 1 on average of its logarithm.
    """
    # Computed at 4 mm and stretched: nothing of it is finer.
    extent_mm = np.array(shape_kji) * spacing_mm[::-1]
    k, j, i = (max(int(np.ceil(mm / 4.0)), 2) for mm in extent_mm)
    field = smooth_noise((k, j, i), 70.0 / 4.0, rng)
    matrices = [
        linear_matrix(np.linspace(0, n - 1, size), n)
        for n, size in zip((k, j, i), shape_kji, strict=True)
    ]
    shading: FloatArray = np.exp(np.float32(strength) * apply_separable(field, *matrices))
    return shading


def coil_shading(
    head_kji: NDArray[np.bool_], spacing_mm: tuple[float, float, float], strength: float
) -> FloatArray:
    """Shading of a head coil: bright at the skin next to its elements, fading inwards.

    Args:
        head_kji: (K, J, I), what is not air.
        spacing_mm: Along i, j, k.
        strength: What the skin has over what lies deep inside, relative to that.

    Returns:
        (K, J, I) float32: 1 + strength exp(-depth / 20 mm).
    """
    filled = ndimage.binary_fill_holes(head_kji)
    depth_mm = ndimage.distance_transform_edt(filled, sampling=spacing_mm[::-1])
    shading: FloatArray = (1 + strength * np.exp(-depth_mm / _COIL_DEPTH_MM)).astype(np.float32)
    return shading


def add_rician_noise(
    image: FloatArray, standard_deviation: float, rng: np.random.Generator
) -> FloatArray:
    """Magnitude of the image with complex Gaussian noise, as a magnitude reconstruction gives it.

    Args:
        image: float32, 0 or more.
        standard_deviation: Of the real and of the imaginary part, in units of the image.
        rng: Source of randomness.

    Raises:
        InputError: A negative standard deviation.
    """
    if standard_deviation < 0:
        raise InputError(f"standard_deviation must be 0 or more, not {standard_deviation:g}.")
    if standard_deviation == 0:
        return image
    deviation = np.float32(standard_deviation)
    real = image + deviation * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = deviation * rng.standard_normal(image.shape, dtype=np.float32)
    magnitude: FloatArray = np.hypot(real, imaginary)
    return magnitude
