"""Codes, spacing and obliquity against nibabel and against hand-worked matrices."""

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import axis_codes, obliquity_degrees, spacing_mm
from SAMI2ILib.imaging.geometry import check_ijk_to_ras, spacing_along


def test_axis_codes_are_read_off_a_hand_made_matrix():
    # i steps 2 mm to the left, j 3 mm up, k 4 mm to anterior.
    matrix = np.array([[-2, 0, 0, 9], [0, 0, 4, 9], [0, 3, 0, 9], [0, 0, 0, 1.0]])
    assert axis_codes(matrix) == "LSA"
    assert spacing_mm(matrix) == (2.0, 3.0, 4.0)
    assert obliquity_degrees(matrix) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_axis_codes_and_obliquity_agree_with_nibabel_when_the_grid_is_turned(seed, affine):
    rng = np.random.default_rng(seed)
    turn = Rotation.from_euler("xyz", rng.uniform(-25, 25, 3), degrees=True).as_matrix()
    matrix = affine("PSR", (0.9, 1.2, 3.0))
    matrix[:3, :3] = turn @ matrix[:3, :3]
    assert axis_codes(matrix) == "".join(nibabel.aff2axcodes(matrix))
    expected = np.degrees(nibabel.affines.obliquity(matrix)).max()
    assert obliquity_degrees(matrix) == pytest.approx(expected, abs=1e-6)


def test_obliquity_is_the_angle_that_the_grid_was_turned_by(affine):
    assert obliquity_degrees(affine("RAS", degrees=8.0)) == pytest.approx(8.0)
    assert obliquity_degrees(affine("LPS", (1, 1, 5), degrees=25.0)) == pytest.approx(25.0)


def test_axis_codes_name_each_patient_axis_once_when_the_grid_is_turned_by_45_degrees(affine):
    codes = axis_codes(affine("RAS", degrees=45.0))
    assert {"RL".find(codes[0]) >= 0, len(set(codes)) == 3} == {True}


def test_spacing_along_an_axis_is_that_axis_spacing_and_in_between_lies_between(affine):
    matrix = affine("LPS", (1.0, 2.0, 5.0), degrees=25.0)
    assert spacing_along(matrix, matrix[:3, 1]) == pytest.approx(2.0)
    # Upwards, the 2 mm axis contributes sin 25 and the 5 mm axis cos 25.
    sine, cosine = np.sin(np.radians(25)), np.cos(np.radians(25))
    expected = 1 / np.hypot(sine / 2, cosine / 5)
    assert spacing_along(matrix, np.array([0, 0, 1.0])) == pytest.approx(expected)


def test_check_refuses_a_sheared_matrix_and_says_by_how_much():
    matrix = np.eye(4)
    matrix[0, 1] = np.tan(np.radians(10))
    with pytest.raises(InputError, match=r"sheared.*10\.00 degrees"):
        check_ijk_to_ras(matrix)


def test_check_accepts_the_rounding_of_file_headers():
    matrix = np.eye(4)
    matrix[0, 1] = 1e-4
    assert np.array_equal(check_ijk_to_ras(matrix), matrix)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_check_refuses_a_matrix_that_is_not_finite(bad):
    matrix = np.eye(4)
    matrix[1, 3] = bad
    with pytest.raises(InputError, match="NaN or Inf"):
        check_ijk_to_ras(matrix)


def test_check_refuses_zero_spacing_wrong_shape_and_a_wrong_last_row():
    with pytest.raises(InputError, match="zero spacing"):
        check_ijk_to_ras(np.diag([1.0, 1.0, 0.0, 1.0]))
    with pytest.raises(InputError, match=r"4 x 4.*\(3, 3\)"):
        check_ijk_to_ras(np.eye(3))
    with pytest.raises(InputError, match="last row"):
        check_ijk_to_ras(np.ones((4, 4)))
