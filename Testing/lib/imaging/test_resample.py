"""Resampling: exact on exact functions, free of aliasing, zero outside."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Grid, Volume, resample

KINDS = ["nearest", "linear", "bspline"]


@pytest.mark.parametrize("kind", KINDS)
def test_resample_onto_its_own_grid_returns_the_volume(kind, noise):
    volume = noise((4, 5, 6), "PSR")
    assert np.array_equal(resample(volume, volume.grid, kind).array_kji, volume.array_kji)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codes", ["RAS", "PSR", "ASL"])
def test_resample_onto_permuted_axes_moves_voxels_only(kind, codes, noise, make_grid):
    volume = noise((4, 5, 6), "LPS")
    permuted = {"RAS": (4, 5, 6), "PSR": (5, 6, 4), "ASL": (5, 6, 4)}[codes]
    grid = make_grid(permuted, codes)
    back = resample(resample(volume, grid, kind), volume.grid, kind)
    np.testing.assert_allclose(back.array_kji, volume.array_kji, atol=2e-3)


@pytest.mark.parametrize("kind", ["linear", "bspline"])
def test_a_linear_ramp_in_ras_is_reproduced_inside_the_box(kind, make_grid, ras_of_voxels):
    source, target = make_grid((20, 20, 20), "PSR"), make_grid((9, 9, 9), "LPS", degrees=20.0)
    ramp = np.array([2.0, -3.0, 5.0])
    volume = Volume(ras_of_voxels(source) @ ramp + 500, source.ijk_to_ras)
    expected = ras_of_voxels(target) @ ramp + 500
    np.testing.assert_allclose(resample(volume, target, kind).array_kji, expected, atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_points_outside_the_box_are_zero_and_its_outer_half_voxel_counts(kind):
    volume = Volume(np.full((8, 8, 8), 5.0), np.eye(4))
    line = np.eye(4)
    line[:3, 3] = (-0.75, 3, 3)
    line[0, 0] = 0.5
    values = resample(volume, Grid((1, 1, 18), line), kind).array_kji[0, 0]
    # Samples at -0.75, -0.25, ..., 7.75; the box ends at -0.5 and 7.5.
    assert values[[0, 17]].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(values[1:17], 5.0, atol=1e-4)


def test_nearest_keeps_labels(noise, make_grid):
    volume = noise((9, 9, 9))
    labels = volume.with_array(np.round(volume.array_kji / 100))
    found = resample(labels, make_grid((5, 5, 5), spacing=(2, 2, 2), degrees=10), "nearest")
    assert set(np.unique(found.array_kji)) <= set(np.unique(labels.array_kji))


def test_detail_finer_than_the_new_grid_is_blurred_and_not_aliased(make_grid):
    fine = make_grid((63, 8, 8), spacing=(1.0, 1.0, 1.0))
    stripes = np.zeros(fine.shape_kji)
    stripes[..., ::2] = 100.0
    volume = Volume(stripes, fine.ijk_to_ras)
    coarse = make_grid((21, 8, 8), spacing=(3.0, 1.0, 1.0))
    values = resample(volume, coarse, "linear").array_kji[4, 4, 3:-3]
    # Sampled without a blur the stripes come back as 100, 0, 100, 0.
    assert np.ptp(values) < 10
    assert values.mean() == pytest.approx(50, abs=3)
    sharp = resample(volume, coarse, "linear", band_limit=False).array_kji[4, 4, 3:-3]
    assert np.ptp(sharp) == pytest.approx(100)


def test_no_blur_when_the_new_grid_is_finer(noise, make_grid):
    volume = noise((8, 8, 8))
    finer = resample(volume, make_grid((15, 8, 8), spacing=(0.5, 1, 1)), "linear")
    # Centers coincide: index 7 of the new grid lies at 3.5, index 8 at 4.
    np.testing.assert_allclose(finer.array_kji[..., ::2], volume.array_kji, rtol=1e-5)


def test_bspline_stays_within_the_range_of_the_volume(make_grid):
    step = np.zeros((12, 12, 12))
    step[..., 6:] = 100.0
    grid = make_grid((12, 12, 12))
    values = resample(
        Volume(step, grid.ijk_to_ras), make_grid((30, 12, 12), spacing=(0.37, 1, 1)), "bspline"
    )
    assert values.array_kji.min() >= 0
    assert values.array_kji.max() <= 100


@pytest.mark.parametrize("shape_ijk", [(20, 20, 1), (20, 20, 2), (3, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_axes_too_short_for_a_spline_keep_their_values(kind, shape_ijk, make_grid):
    grid = make_grid(shape_ijk, spacing=(1.0, 1.0, 4.0))
    volume = Volume(np.full(grid.shape_kji, 7.0), grid.ijk_to_ras)
    finer = make_grid(tuple(2 * n for n in shape_ijk), spacing=(0.5, 0.5, 2.0))
    np.testing.assert_allclose(resample(volume, finer, kind).array_kji, 7.0, atol=1e-4)
    beyond = make_grid(tuple(n + 2 for n in shape_ijk), spacing=(1.0, 1.0, 4.0))
    assert (resample(volume, beyond, kind).array_kji == 0).sum() == np.prod(
        beyond.shape_kji
    ) - np.prod(grid.shape_kji)


def test_a_single_slice_keeps_cubic_interpolation_in_its_plane(make_grid, blobs):
    grid = make_grid((41, 41, 1), spacing=(1.5, 1.5, 5.0))
    target = make_grid((41, 41, 1), spacing=(1.4, 1.4, 5.0))
    cubic = resample(blobs(grid), target, "bspline").array_kji
    straight = resample(blobs(grid), target, "linear").array_kji
    truth = blobs(target).array_kji
    inside = np.s_[:, 3:-3, 3:-3]
    assert np.abs(cubic - truth)[inside].max() < 0.5
    assert np.abs(cubic - truth)[inside].max() < 0.2 * np.abs(straight - truth)[inside].max()


def test_unknown_interpolation_is_refused(noise, make_grid):
    with pytest.raises(InputError, match="must be nearest, linear or bspline"):
        resample(noise((3, 3, 3)), make_grid((4, 4, 4)), "sinc")
