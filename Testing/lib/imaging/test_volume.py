"""`Volume` and `Grid` check themselves and never touch the caller's array."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging import Grid, Volume


@pytest.mark.parametrize("dtype", ["int64", "float64", "uint8", "int16", "bool", ">i2", "float16"])
def test_volume_takes_any_real_type_and_holds_float32(dtype):
    array = np.array([[[0, 1], [1, 0]]], dtype=dtype)
    volume = Volume(array, np.eye(4))
    assert volume.array_kji.dtype == np.float32
    assert volume.array_kji.tolist() == [[[0, 1], [1, 0]]]


def test_volume_is_a_copy_that_cannot_be_written_to():
    array = np.ones((2, 2, 2), dtype=np.float32)
    matrix = np.eye(4)
    volume = Volume(array, matrix)
    array[0, 0, 0], matrix[0, 3] = 5, 5
    assert volume.array_kji[0, 0, 0] == 1
    assert volume.ijk_to_ras[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        volume.array_kji[0, 0, 0] = 2
    with pytest.raises(ValueError, match="read-only"):
        volume.ijk_to_ras[0, 0] = 2
    assert array.flags.writeable


def test_volume_accepts_a_single_voxel():
    assert Volume(np.ones((1, 1, 1)), np.eye(4)).grid.shape_kji == (1, 1, 1)


@pytest.mark.parametrize("shape", [(4, 4), (2, 2, 2, 2), (2, 0, 2)])
def test_volume_refuses_what_is_not_3d(shape):
    with pytest.raises(ShapeError, match="must be 3D"):
        Volume(np.ones(shape), np.eye(4))


def test_volume_refuses_nan_and_inf_and_counts_them():
    array = np.ones((3, 3, 3))
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, -np.inf
    with pytest.raises(InputError, match=r"scan\.nii holds 3 voxels that are NaN, Inf"):
        Volume(array, np.eye(4), "scan.nii")


def test_volume_refuses_values_beyond_float32():
    with pytest.raises(InputError, match=r"holds 1 voxels .* beyond float32"):
        Volume(np.array([[[1e300, 1.0]]]), np.eye(4))


def test_volume_refuses_complex_and_text():
    with pytest.raises(InputError, match="complex"):
        Volume(np.ones((2, 2, 2), dtype=complex), np.eye(4))
    with pytest.raises(InputError, match="must hold numbers"):
        Volume(np.full((2, 2, 2), "a"), np.eye(4))


def test_grid_refuses_an_empty_axis_and_absurd_sizes():
    with pytest.raises(ShapeError, match="at least 1"):
        Grid((0, 4, 4), np.eye(4))
    with pytest.raises(InputError, match="more than the limit"):
        Grid((4096, 4096, 4096), np.eye(4))


def test_grid_corners_are_the_outer_voxel_edges():
    matrix = np.diag([2.0, 1.0, 3.0, 1.0])
    corners = Grid((4, 5, 6), matrix).corners_ras()
    assert corners.min(axis=0).tolist() == [-1.0, -0.5, -1.5]
    assert corners.max(axis=0).tolist() == [11.0, 4.5, 10.5]


def test_with_array_keeps_the_place_and_refuses_another_shape(noise):
    volume = noise((3, 4, 5), "PSR", name="a")
    other = volume.with_array(np.zeros((5, 4, 3)))
    assert other.grid.is_same(volume.grid)
    assert other.name == "a"
    with pytest.raises(ShapeError, match="must have the volume's shape"):
        volume.with_array(np.zeros((3, 4, 5)))
