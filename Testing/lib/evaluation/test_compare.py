"""A synthetic volume against a real one whose difference is known."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.compare import compare_volumes
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

SHIFT_MM = 3.0


@pytest.fixture
def synthetic(make_head):
    head = make_head()
    return head.with_array(head.array_kji / head.array_kji.max() * 1000)


def test_a_volume_is_identical_to_itself_on_another_scale_and_orientation(synthetic):
    inside = synthetic.array_kji[synthetic.array_kji > 0]
    clipped = synthetic.with_array(
        np.minimum(synthetic.array_kji, np.percentile(inside, 99.5)) * 0.123
    )
    as_made = clipped.with_array(clipped.array_kji / clipped.array_kji.max() * 1000)
    found = compare_volumes(as_made, reorient(clipped, "ASR"))
    assert found.scores.brain.nrmse < 1e-6
    assert found.scores.full.ssim == pytest.approx(1)
    assert np.abs(found.error.array_kji).max() < 1e-3
    assert found.covered == 1


def test_error_map_is_synthetic_minus_real_on_the_grid_of_the_synthetic_volume(synthetic):
    sagittal = reorient(synthetic, "PSR")
    real = synthetic.with_array(np.where(synthetic.array_kji > 0, 50.0, 0))
    found = compare_volumes(sagittal, real)
    assert found.error.grid.is_same(sagittal.grid)
    expected = np.where(sagittal.array_kji > 0, sagittal.array_kji - 1000, 0)
    np.testing.assert_allclose(found.error.array_kji, expected, atol=1e-3)


def test_registration_lays_a_moved_scan_onto_the_synthetic_volume(synthetic):
    moved = synthetic.ijk_to_ras.copy()
    moved[0, 3] += SHIFT_MM
    real = Volume(synthetic.array_kji * 0.2, moved, "real.nii")
    without = compare_volumes(synthetic, real)
    found = compare_volumes(synthetic, real, register=True)
    assert without.registration is None
    assert found.registration.translation_mm == pytest.approx(SHIFT_MM, abs=0.5)
    assert found.scores.brain.nrmse < 0.5 * without.scores.brain.nrmse


def test_part_of_the_head_that_was_not_scanned_is_left_out(synthetic):
    half = Volume(synthetic.array_kji[:12], synthetic.ijk_to_ras, "half.nii")
    found = compare_volumes(synthetic, half)
    assert found.covered == pytest.approx(0.5, abs=0.05)
    assert not found.error.array_kji[13:].any()


def test_volumes_in_other_places_are_refused(synthetic):
    away = synthetic.ijk_to_ras.copy()
    away[2, 3] += 500
    real = Volume(synthetic.array_kji, away, "away.nii")
    with pytest.raises(InputError, match="do not overlap"):
        compare_volumes(synthetic, real)


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0])
def test_a_volume_on_another_scale_is_not_taken_for_a_synthetic_one(synthetic, factor):
    other = synthetic.with_array(synthetic.array_kji * factor)
    with pytest.raises(InputError, match="is not a synthetic volume"):
        compare_volumes(other, synthetic)
