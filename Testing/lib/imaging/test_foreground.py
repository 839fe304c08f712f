"""The foreground of heads by formula, whose truth is known, and of real scans where present."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Volume, find_foreground, read_volume, reorient
from Testing.lib.real_data import REAL_DATA, needs_real_data

GEOMETRIES = {
    "axial": ("LPS", (2.0, 2.0, 2.0), 0.0, (90, 110, 96)),
    "thick": ("LPS", (1.5, 1.5, 6.0), 0.0, (120, 150, 32)),
    "thick sagittal": ("PSR", (2.0, 2.0, 5.0), 0.0, (110, 96, 36)),
    "oblique": ("RAS", (2.0, 2.0, 2.5), 12.0, (90, 115, 90)),
    "cut by the field of view": ("LPS", (2.0, 2.0, 3.0), 0.0, (90, 110, 20)),
}


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("brain_only", [False, True])
@pytest.mark.parametrize("case", GEOMETRIES)
def test_foreground_is_the_whole_head_and_no_air(case, brain_only, make_grid, head):
    codes, spacing, degrees, shape_ijk = GEOMETRIES[case]
    volume, truth = head(make_grid(shape_ijk, codes, spacing, degrees), brain_only=brain_only)
    found = find_foreground(volume)
    assert found.dtype == np.bool_
    assert found[truth].mean() > 0.998
    assert dice(found, truth) > (0.98 if brain_only else 0.94)


def test_dark_bone_and_ventricles_are_inside(make_grid, head):
    volume, truth = head(make_grid((90, 110, 96), spacing=(2, 2, 2)))
    found = find_foreground(volume)
    dark = truth & (volume.array_kji < 250)
    assert dark.sum() > 10000
    assert found[dark].mean() > 0.99


@pytest.mark.parametrize("codes", ["RAS", "PSR", "ASL", "LIP", "LAS"])
def test_foreground_is_the_same_voxels_however_the_array_is_turned(codes, make_grid, head):
    volume, _ = head(make_grid((60, 70, 64), "LPS", (3, 3, 3), degrees=8.0))
    turned = reorient(volume, codes)
    found = Volume(find_foreground(turned), turned.ijk_to_ras)
    assert np.array_equal(reorient(found, "LPS").array_kji > 0, find_foreground(volume))


def test_zeros_around_a_masked_brain_stay_outside(make_grid, head):
    volume, truth = head(make_grid((90, 110, 96), spacing=(2, 2, 2)), brain_only=True)
    assert not (find_foreground(volume) & ~truth).any()


def test_padding_does_not_make_the_air_beside_it_a_head(make_grid, head):
    # Air at 6 % of the tissue, as in a mean of many scans, within more zeros than there is air.
    volume, truth = head(make_grid((90, 110, 96), spacing=(2, 2, 2)))
    hazy = volume.array_kji + 0.06 * volume.array_kji.max()
    widths = [(0, 0), (25, 25), (25, 25)]
    found = find_foreground(Volume(np.pad(hazy, widths), volume.ijk_to_ras))
    truth = np.pad(truth, widths)
    assert found[truth].mean() > 0.998
    assert dice(found, truth) > 0.94


def test_a_head_just_below_the_last_slice_does_not_grow_to_it(make_grid, head):
    volume, truth = head(make_grid((90, 110, 96), spacing=(2, 2, 2)))
    top = 1 + int(np.flatnonzero(truth.any(axis=(1, 2)))[-1])
    cut = Volume(volume.array_kji[: top + 2], volume.ijk_to_ras)
    assert not find_foreground(cut)[-1].any()


def test_small_negative_values_of_interpolation_are_background(make_grid, head):
    volume, truth = head(make_grid((90, 110, 96), spacing=(2, 2, 2)), brain_only=True)
    ringing = np.random.default_rng(0).uniform(-2, 0, truth.shape) * ~truth
    found = find_foreground(volume.with_array(volume.array_kji + ringing))
    assert dice(found, truth) > 0.98


def test_a_bright_spot_in_the_air_is_left_out(make_grid, head):
    volume, _ = head(make_grid((90, 110, 96), spacing=(2, 2, 2)))
    array = volume.array_kji.copy()
    array[:4, :4, :4] = 900
    assert not find_foreground(volume.with_array(array))[:4, :4, :4].any()


def test_the_scale_of_intensities_does_not_matter(make_grid, head):
    volume, _ = head(make_grid((60, 70, 64), spacing=(3, 3, 3)))
    small = volume.with_array(volume.array_kji * np.float32(2**-12))
    assert dice(find_foreground(small), find_foreground(volume)) > 0.999


@pytest.mark.filterwarnings("error")
def test_values_near_the_end_of_float32_do_not_overflow(make_grid, head):
    volume, _ = head(make_grid((60, 70, 64), spacing=(3, 3, 3)))
    huge = volume.with_array(volume.array_kji * np.float32(2.0**100))
    assert dice(find_foreground(huge), find_foreground(volume)) > 0.999


def test_a_single_slice_has_a_foreground(make_grid, head):
    volume, truth = head(make_grid((180, 220, 1), spacing=(1, 1, 5)))
    assert dice(find_foreground(volume), truth) > 0.95


@pytest.mark.parametrize("shape_ijk", [(3, 3, 3), (1, 1, 2), (2, 1, 1)])
def test_a_few_voxels_have_a_foreground(shape_ijk, noise):
    assert find_foreground(noise(shape_ijk)).any()


def test_foreground_is_deterministic(make_grid, head):
    volume, _ = head(make_grid((60, 70, 64), spacing=(3, 3, 3)))
    assert np.array_equal(find_foreground(volume), find_foreground(volume))


@pytest.mark.parametrize("value", [0.0, 5.0, -1.0])
def test_a_constant_volume_is_refused(value):
    with pytest.raises(InputError, match=r"flat\.nii is constant: every voxel is"):
        find_foreground(Volume(np.full((4, 4, 4), value), np.eye(4), "flat.nii"))


def test_a_volume_without_positive_values_is_refused():
    with pytest.raises(InputError, match="has no positive intensity"):
        find_foreground(Volume(np.array([[[-1.0, 0.0]]]), np.eye(4)))


REAL_T1 = [
    ("ms-raw-01/T1.nii.gz", 0.40),
    ("ms-raw-04/T1.nii.gz", 0.38),
    ("ms-mni-07/T1.nii.gz", 0.157),
    ("tumor-fg6692/T1.nii.gz", 0.50),
    ("tumor-aurora/T1.nii.gz", 0.177),
    ("template-avg152/T1.nii", 0.58),
]


@needs_real_data
@pytest.mark.parametrize(("name", "share"), REAL_T1)
def test_real_scans_have_the_foreground_that_was_looked_at(name, share):
    volume = read_volume(REAL_DATA / name)
    assert find_foreground(volume).mean() == pytest.approx(share, rel=0.05)
