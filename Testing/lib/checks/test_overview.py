"""The coarse look: blocks, depth, skull, and the region of the brain."""

import numpy as np

from SAMI2ILib.checks.overview import look_at, shrink
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume


def test_shrink_averages_whole_blocks_and_keeps_their_place():
    array = np.arange(4 * 4 * 5, dtype=float).reshape(4, 4, 5)
    small = shrink(Volume(array, np.diag([-1.0, -1.0, 1.0, 1.0])))
    assert small.array_kji.shape == (2, 2, 2)  # the fifth column does not fill a block
    assert small.array_kji[0, 0, 0] == np.mean([0, 1, 5, 6, 20, 21, 25, 26])
    np.testing.assert_allclose(small.ijk_to_ras @ (0, 0, 0, 1), (-0.5, -0.5, 0.5, 1))
    assert small.spacing_mm == (2, 2, 2)


def test_shrink_leaves_coarse_axes_alone():
    small = shrink(Volume(np.ones((3, 8, 8)), np.diag([-1.0, -1.0, 5.0, 1.0])))
    assert small.array_kji.shape == (3, 4, 4)


def test_region_of_a_head_lies_in_its_brain(sample):
    for contrast in ("T1", "T2", "PD"):
        overview = look_at(sample(contrast))
        brain = shrink(sample("brain")).array_kji
        assert overview.has_region
        assert brain[overview.region_kji].mean() > 0.9
        assert overview.region_kji.sum() > 0.35 * (brain > 0.5).sum()


def test_skull_is_seen_and_missed(sample, brain_only):
    for contrast in ("T1", "T2", "PD"):
        assert not look_at(sample(contrast)).is_brain_only
    assert look_at(brain_only("T1")).is_brain_only


def test_overview_does_not_depend_on_the_order_of_the_axes(t1):
    even = Volume(t1.array_kji[: t1.array_kji.shape[0] // 2 * 2], t1.ijk_to_ras)
    first, other = look_at(even), look_at(reorient(even, "SAR"))
    assert first.object_kji.sum() == other.object_kji.sum()
    assert first.skull_drop == other.skull_drop


def test_scan_without_air_has_no_surface():
    overview = look_at(Volume(np.random.default_rng(0).uniform(5, 9, (20, 40, 40)), np.eye(4)))
    assert overview.object_kji.all()
    assert overview.skull_drop == 0
