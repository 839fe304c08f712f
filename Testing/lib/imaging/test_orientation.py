"""Reorientation keeps every voxel's RAS position and value."""

import itertools

import nibabel
import numpy as np
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import axis_codes, reorient

ALL_CODES = [
    "".join(letters)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*axes)
]


@pytest.mark.parametrize("codes", ALL_CODES)
def test_reorient_agrees_with_nibabel_for_all_48_orientations(codes, noise):
    volume = noise((3, 4, 5), codes, (1.0, 2.0, 3.0), degrees=8.0)
    turned = reorient(volume, "LPS")
    image = nibabel.Nifti1Image(volume.array_kji.transpose(2, 1, 0), volume.ijk_to_ras)
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt("LPS")
    )
    expected = image.as_reoriented(change)
    assert axis_codes(turned.ijk_to_ras) == "LPS"
    assert np.array_equal(turned.array_kji, expected.get_fdata().transpose(2, 1, 0))
    np.testing.assert_allclose(turned.ijk_to_ras, expected.affine, atol=1e-12)


@pytest.mark.parametrize("codes", ALL_CODES)
def test_reorient_there_and_back_returns_the_array_bit_for_bit(codes, noise):
    volume = noise((3, 4, 5), codes)
    back = reorient(reorient(volume, "LPS"), codes)
    assert np.array_equal(back.array_kji, volume.array_kji)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-12)


@pytest.mark.parametrize("codes", ["", "LP", "LRS", "XYZ", "lps", "LPSS"])
def test_reorient_refuses_codes_that_are_no_orientation(codes, noise):
    with pytest.raises(InputError, match="codes must name"):
        reorient(noise((2, 2, 2)), codes)
