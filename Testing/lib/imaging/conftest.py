"""Small volumes whose geometry and intensities are known by formula."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from SAMI2ILib.imaging import Grid, Volume

# Unit steps in RAS.
DIRECTIONS = {
    "L": (-1, 0, 0),
    "R": (1, 0, 0),
    "P": (0, -1, 0),
    "A": (0, 1, 0),
    "I": (0, 0, -1),
    "S": (0, 0, 1),
}


def _affine(codes="LPS", spacing=(1.0, 1.0, 1.0), degrees=0.0, center=None, shape_ijk=None):
    """A matrix with the given axes, turned by `degrees` about the left-right axis."""
    steps = np.array([DIRECTIONS[c] for c in codes], dtype=float).T * spacing
    steps = Rotation.from_euler("x", degrees, degrees=True).as_matrix() @ steps
    matrix = np.eye(4)
    matrix[:3, :3] = steps
    if shape_ijk is not None:
        center = (3.0, -5.0, 7.0) if center is None else center
        matrix[:3, 3] = center - steps @ ((np.array(shape_ijk) - 1) / 2)
    return matrix


@pytest.fixture
def affine() -> Callable[..., np.ndarray]:
    return _affine


@pytest.fixture
def make_grid():
    def make(shape_ijk, codes="LPS", spacing=(1.0, 1.0, 1.0), degrees=0.0):
        matrix = _affine(codes, spacing, degrees, shape_ijk=shape_ijk)
        return Grid(tuple(shape_ijk[::-1]), matrix)

    return make


@pytest.fixture
def noise(make_grid):
    """Random voxels: nothing about them is smooth, symmetric or centered."""

    def make(shape_ijk, codes="LPS", spacing=(1.0, 1.0, 1.0), degrees=0.0, name=""):
        grid = make_grid(shape_ijk, codes, spacing, degrees)
        array = np.random.default_rng(7).normal(400, 150, grid.shape_kji)
        return Volume(array, grid.ijk_to_ras, name)

    return make


def _ras_of_voxels(grid):
    k, j, i = np.indices(grid.shape_kji)
    ijk = np.stack([i, j, k], axis=-1)
    return ijk @ grid.ijk_to_ras[:3, :3].T + grid.ijk_to_ras[:3, 3]


@pytest.fixture
def ras_of_voxels():
    """(K, J, I, 3) RAS mm of every voxel center."""
    return _ras_of_voxels


@pytest.fixture
def blobs():
    """A smooth function of the RAS position, sampled on any grid, in 0 to 1000.

    Two Gaussians of sigma 12 and 8 mm around (3, -5, 7): no detail below 8 mm.
    """

    def sample(grid):
        ras = _ras_of_voxels(grid)
        wide = np.exp(-((ras - (3, -5, 7)) ** 2).sum(-1) / (2 * 12.0**2))
        off_center = np.exp(-((ras - (11, 3, 2)) ** 2).sum(-1) / (2 * 8.0**2))
        return Volume(600 * wide + 400 * off_center, grid.ijk_to_ras)

    return sample


@pytest.fixture
def head():
    """A head by formula: skin, dark bone, brain, dark ventricles, air; returns (volume, truth).

    Radii in mm around (3, -5, 7): skin 70 x 90 x 80, 6 mm thick, bone 7 mm, brain, ventricles.
    """

    def build(grid, noise_sigma=10.0, brain_only=False, seed=3):
        offset = (_ras_of_voxels(grid) - (3, -5, 7)) / (70, 90, 80)
        depth_mm = (1 - np.sqrt((offset**2).sum(-1))) * 75
        value = np.zeros(grid.shape_kji)
        value[depth_mm > 0] = 800  # scalp
        value[depth_mm > 6] = 30  # bone
        value[depth_mm > 13] = 600  # brain
        value[depth_mm > 60] = 150  # ventricle
        truth = depth_mm > 0
        if brain_only:
            truth = depth_mm > 13
            value[~truth] = 0
        else:
            rng = np.random.default_rng(seed)
            real, imaginary = rng.normal(0, noise_sigma, (2, *grid.shape_kji))
            value = np.hypot(value + real, imaginary)
        return Volume(value, grid.ijk_to_ras), truth

    return build


@pytest.fixture
def save_nifti(tmp_path):
    """Write with nibabel, an implementation that shares nothing with ITK."""
    nibabel = pytest.importorskip("nibabel")

    def save(array_ijk, matrix=None, name="image.nii.gz", **header) -> Path:
        matrix = np.diag([1.0, 1.0, 1.0, 1.0]) if matrix is None else matrix
        image = nibabel.Nifti1Image(array_ijk, matrix, dtype=array_ijk.dtype)
        for field, value in header.items():
            image.header[field] = value
        nibabel.save(image, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def patch_bytes():
    """Overwrite some bytes of a file."""

    def patch(path: Path, offset: int, data: bytes) -> Path:
        content = bytearray(path.read_bytes())
        content[offset : offset + len(data)] = data
        path.write_bytes(content)
        return path

    return patch
