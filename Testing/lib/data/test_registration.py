"""A known misalignment is found again; brain masks of scans that say themselves what they are."""

import numpy as np
import pytest

from SAMI2ILib.data.brain_mask import brain_mask, is_brain_only
from SAMI2ILib.data.registration import align, register_rigid
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.volume import Volume


def test_known_motion_between_two_contrasts_is_found(sample, motion):
    t2 = sample("T2")
    moved = motion(3.0, (4.0, -3.0, 2.0))
    t1 = sample("T1")
    displaced = Volume(t1.array_kji, moved @ t1.ijk_to_ras, t1.name)
    result = register_rigid(moving=displaced, fixed=t2)
    aligned = align(displaced, result)
    drift_mm = np.abs(aligned.grid.corners_ras() - t1.grid.corners_ras()).max()
    assert drift_mm < 0.8  # less than half a voxel at the corners of the field of view
    assert result.rotation_deg == pytest.approx(3.0, abs=0.3)
    assert result.information_after > result.information_before


def test_registration_is_deterministic(sample):
    t1, t2 = sample("T1"), sample("T2")
    first, second = (register_rigid(t1, t2).fixed_to_moving for _ in range(2))
    assert np.array_equal(first, second)


def test_constant_volume_cannot_be_registered(sample):
    t1 = sample("T1")
    with pytest.raises(InputError, match="fixed"):
        register_rigid(t1, t1.with_array(np.ones_like(t1.array_kji)))


def test_volumes_far_apart_cannot_be_registered(sample, motion):
    t1 = sample("T1")
    far = Volume(t1.array_kji, motion(0, (900.0, 0, 0)) @ t1.ijk_to_ras, t1.name)
    with pytest.raises(InputError, match="hardly overlap"):
        register_rigid(far, t1)


def test_brain_only_scan_is_its_own_mask(sample):
    t1, brain = sample("T1"), sample("brain").array_kji > 0
    stripped = t1.with_array(np.where(brain, t1.array_kji, 0))
    assert is_brain_only(stripped)
    assert not is_brain_only(t1)
    mask = brain_mask(stripped)
    overlap = 2 * (mask & brain).sum() / (mask.sum() + brain.sum())
    assert overlap > 0.95


@pytest.mark.slow
def test_brain_of_a_head_with_skull_is_found_by_the_template(sample):
    brain = sample("brain").array_kji > 0
    mask = brain_mask(sample("T1"))
    assert 2 * (mask & brain).sum() / (mask.sum() + brain.sum()) > 0.93


def test_volume_of_few_slices_cannot_be_registered(sample):
    t1 = sample("T1")
    with pytest.raises(InputError, match="at least 4 voxels along each axis"):
        register_rigid(Volume(t1.array_kji[:3], t1.ijk_to_ras), t1)
