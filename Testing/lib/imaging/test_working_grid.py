"""The plan of the working grid, and an identity network's way through it."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging import (
    IntensityScale,
    Volume,
    axis_codes,
    find_foreground,
    from_slices,
    obliquity_degrees,
    plan_tiles,
    plan_working_grid,
    to_slices,
)


def identity_network(working, size=64, overlap=16, context=3):
    """Slices, tiles, the middle channel, and back."""
    slices = to_slices(working.array_kji, context)
    plan = plan_tiles(*slices.shape[2:], size, overlap)
    tiles = plan.cut(slices)
    predicted = plan.merge(tiles[:, context // 2 : context // 2 + 1])
    return working.with_array(from_slices(predicted))


PERMUTED = {
    "axial": ("LPS", (1.0, 1.0, 3.0), 0.0, (40, 50, 20)),
    "sagittal": ("PSR", (1.0, 1.2, 1.0), 0.0, (50, 40, 30)),
    "coronal": ("LIP", (1.0, 1.5, 0.995), 0.0, (40, 50, 20)),
    "oblique 8 degrees": ("RAS", (0.95, 0.95, 2.4), 8.0, (30, 50, 20)),
    "left-handed": ("LAS", (1.0, 1.0, 1.0), 0.0, (20, 30, 40)),
    "single slice": ("LPS", (1.0, 1.0, 5.0), 0.0, (40, 50, 1)),
    "single sagittal slice": ("PSR", (1.0, 1.0, 1.0), 0.0, (40, 50, 1)),
    "tiny": ("LPS", (1.0, 1.0, 1.0), 0.0, (3, 3, 3)),
    "larger than the network": ("LPS", (1.0, 1.0, 1.0), 0.0, (150, 131, 4)),
}


@pytest.mark.parametrize("case", PERMUTED)
def test_identity_network_returns_the_input_when_nothing_is_resampled(case, noise):
    codes, spacing, degrees, shape_ijk = PERMUTED[case]
    volume = noise(shape_ijk, codes, spacing, degrees)
    way = plan_working_grid(volume.grid)
    working = way.to_working(volume)
    assert not way.is_resampled
    assert axis_codes(working.ijk_to_ras) == "LPS"
    assert np.array_equal(way.from_working(working).array_kji, volume.array_kji)
    result = way.from_working(identity_network(working))
    assert result.grid.is_same(volume.grid)
    if case == "larger than the network":
        spread = np.ptp(volume.array_kji)
        np.testing.assert_allclose(result.array_kji, volume.array_kji, atol=1e-6 * spread)
    else:
        assert np.array_equal(result.array_kji, volume.array_kji)


RESAMPLED = {
    "anisotropic": ("LPS", (1.3, 0.8, 3.0), 0.0, (60, 90, 26)),
    "coarse": ("LAS", (2.0, 2.0, 2.0), 0.0, (40, 40, 40)),
    "fine": ("RAS", (0.7, 0.7, 3.0), 0.0, (110, 110, 26)),
    "thick sagittal": ("PSR", (1.0, 1.0, 4.0), 0.0, (80, 80, 20)),
    "oblique 25 degrees": ("PSR", (1.0, 1.0, 1.2), 25.0, (80, 80, 60)),
    "oblique 25 degrees thick": ("RAS", (1.0, 1.0, 4.0), 25.0, (80, 80, 20)),
    "oblique 40 degrees left-handed": ("LAS", (1.5, 1.5, 1.5), 40.0, (50, 50, 50)),
}


@pytest.mark.parametrize("case", RESAMPLED)
def test_identity_network_returns_a_smooth_input_within_one_percent_when_resampled(
    case, make_grid, blobs
):
    codes, spacing, degrees, shape_ijk = RESAMPLED[case]
    volume = blobs(make_grid(shape_ijk, codes, spacing, degrees))
    way = plan_working_grid(volume.grid)
    result = way.from_working(identity_network(way.to_working(volume)))
    assert way.is_resampled
    assert result.grid.is_same(volume.grid)
    inside = tuple(slice(2, -2) for _ in range(3))
    error = np.abs(result.array_kji - volume.array_kji)[inside]
    assert error.max() < 0.01 * np.ptp(volume.array_kji)


@pytest.mark.parametrize("case", RESAMPLED)
def test_working_volume_shows_the_same_anatomy_in_the_same_place(
    case, make_grid, blobs, ras_of_voxels
):
    codes, spacing, degrees, shape_ijk = RESAMPLED[case]
    volume = blobs(make_grid(shape_ijk, codes, spacing, degrees))
    working = plan_working_grid(volume.grid).to_working(volume)
    near = np.linalg.norm(ras_of_voxels(working.grid) - (3, -5, 7), axis=-1) < 20
    error = np.abs(working.array_kji - blobs(working.grid).array_kji)[near]
    assert error.max() < 0.01 * np.ptp(volume.array_kji)


@pytest.mark.parametrize("shape_ijk", [(3, 3, 3), (1, 1, 1), (20, 20, 1), (1, 20, 20)])
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_tiny_volumes_survive_resampling(shape_ijk, degrees, make_grid):
    grid = make_grid(shape_ijk, "LPS", (0.7, 0.7, 4.0), degrees)
    volume = Volume(np.full(grid.shape_kji, 50.0), grid.ijk_to_ras)
    way = plan_working_grid(grid)
    result = way.from_working(way.to_working(volume))
    assert result.grid.is_same(grid)
    np.testing.assert_allclose(result.array_kji, 50.0, atol=1e-3 if degrees == 0 else 1.0)


def test_the_edges_of_a_turned_volume_come_back_whole(make_grid):
    grid = make_grid((40, 50, 30), "PSR", (1.0, 1.0, 3.0), 25.0)
    volume = Volume(np.full(grid.shape_kji, 50.0), grid.ijk_to_ras)
    way = plan_working_grid(grid)
    np.testing.assert_allclose(way.from_working(way.to_working(volume)).array_kji, 50.0, atol=1.0)


def test_normalized_identity_equals_the_clipped_input_inside_the_foreground(make_grid, head):
    volume, _ = head(make_grid((52, 60, 50), "PSR", (3.6, 3.6, 3.6)))
    foreground = find_foreground(volume)
    scale = IntensityScale.fit(volume.array_kji, foreground)
    way = plan_working_grid(volume.grid, spacing_mm=3.6)
    working = way.to_working(volume)
    result = identity_network(working.with_array(scale.normalize(working.array_kji)), size=32)
    output = way.from_working(result.with_array(1000 * result.array_kji)).array_kji * foreground
    expected = np.clip(volume.array_kji, 0, scale.percentile)
    error = np.abs(output / scale.output_scale - expected)[foreground]
    assert error.max() < 1e-5 * scale.percentile
    assert np.all(output[~foreground] == 0)


@pytest.mark.parametrize(
    ("spacing", "is_resampled"),
    [
        ((1.0, 1.0, 5.0), False),
        ((1.09, 1.09, 1.0), False),
        ((0.91, 0.91, 1.0), False),
        ((1.005, 1.0, 1.0), False),
        ((1.02, 1.0, 1.0), True),  # pixels that are not square
        ((1.11, 1.11, 1.0), True),  # 11 % off the model's
        ((0.89, 0.89, 1.0), True),
    ],
)
def test_in_plane_spacing_decides_whether_the_volume_is_resampled(spacing, is_resampled, make_grid):
    way = plan_working_grid(make_grid((50, 50, 10), "LPS", spacing))
    assert way.is_resampled is is_resampled
    assert way.grid.spacing_mm == pytest.approx((1, 1, spacing[2]) if is_resampled else spacing)


def test_resampled_grid_has_the_model_spacing_and_covers_the_same_box(make_grid):
    grid = make_grid((100, 90, 20), "PSR", (0.7, 0.8, 3.0))
    way = plan_working_grid(grid, spacing_mm=0.9375)
    # Columns run to the left along the 20 slices of 3 mm, rows to posterior, slices upwards.
    assert way.grid.spacing_mm == pytest.approx((0.9375, 0.9375, 0.8))
    assert way.grid.shape_kji == (90, 75, 64)
    inner, outer = grid.corners_ras(), way.grid.corners_ras()
    assert np.all(outer.min(axis=0) <= inner.min(axis=0) + 1e-9)
    assert np.all(outer.max(axis=0) >= inner.max(axis=0) - 1e-9)
    np.testing.assert_allclose(outer.mean(axis=0), inner.mean(axis=0), atol=1e-9)


def test_oblique_grid_is_kept_up_to_15_degrees_and_straightened_beyond(make_grid):
    kept = plan_working_grid(make_grid((40, 40, 40), "RAS", degrees=14.9))
    straight = plan_working_grid(make_grid((40, 40, 40), "RAS", degrees=15.1))
    assert not kept.is_resampled
    assert obliquity_degrees(kept.grid.ijk_to_ras) == pytest.approx(14.9)
    assert straight.is_resampled
    assert obliquity_degrees(straight.grid.ijk_to_ras) == pytest.approx(0, abs=1e-9)
    # An isotropic grid keeps its spacing, and the box holds all corners.
    assert straight.grid.spacing_mm == pytest.approx((1, 1, 1))
    outer, inner = straight.grid.corners_ras(), straight.input_grid.corners_ras()
    assert np.all(outer.min(axis=0) <= inner.min(axis=0) + 1e-6)
    assert np.all(outer.max(axis=0) >= inner.max(axis=0) - 1e-6)


def test_other_slice_orientations_can_be_asked_for(noise):
    volume = noise((10, 12, 14), "LPS")
    way = plan_working_grid(volume.grid, orientation="PIL")
    working = way.to_working(volume)
    assert axis_codes(working.ijk_to_ras) == "PIL"
    assert np.array_equal(way.from_working(working).array_kji, volume.array_kji)


def test_thick_oblique_slices_are_warned_of(make_grid):
    thick = plan_working_grid(make_grid((40, 40, 10), "LPS", (1, 1, 5), 25.0))
    thin = plan_working_grid(make_grid((40, 40, 40), "LPS", (1, 1, 1), 25.0))
    isotropic = plan_working_grid(make_grid((20, 20, 20), "LPS", (2.5, 2.5, 2.5), 25.0))
    assert [w.code for w in thick.warnings] == ["thick-slices-oblique"]
    assert "5.0 mm thick and tilted by 25 degrees" in thick.warnings[0].message
    assert thin.warnings == isotropic.warnings == ()


def test_thick_sagittal_slices_are_warned_of(make_grid):
    way = plan_working_grid(make_grid((40, 40, 10), "PSR", (1, 1, 5)))
    assert [w.code for w in way.warnings] == ["thick-slices-reformatted"]
    assert "5.0 mm thick sagittal slices" in way.warnings[0].message
    assert "axial ones" in way.warnings[0].message


def test_masks_travel_with_nearest(make_grid, blobs):
    volume = blobs(make_grid((60, 60, 20), "LPS", (0.7, 0.7, 3.0)))
    mask = volume.with_array(volume.array_kji > 300)
    way = plan_working_grid(volume.grid)
    back = way.from_working(way.to_working(mask, "nearest"), "nearest")
    assert set(np.unique(back.array_kji)) == {0.0, 1.0}
    assert (back.array_kji != mask.array_kji).mean() < 0.02


def test_volumes_on_another_grid_are_refused(noise):
    volume = noise((5, 6, 7), "PSR")
    way = plan_working_grid(volume.grid)
    with pytest.raises(ShapeError, match="must lie on the input grid"):
        way.to_working(noise((5, 6, 7), "LPS"))
    with pytest.raises(ShapeError, match="must lie on the working grid"):
        way.from_working(volume)


@pytest.mark.parametrize("spacing_mm", [0.0, -1.0, np.nan])
def test_a_spacing_that_is_not_positive_is_refused(spacing_mm, make_grid):
    with pytest.raises(InputError, match="spacing_mm must be positive"):
        plan_working_grid(make_grid((4, 4, 4)), spacing_mm=spacing_mm)


def test_an_absurd_resampled_size_is_refused(make_grid):
    with pytest.raises(InputError, match="more than the limit"):
        plan_working_grid(make_grid((100, 100, 100), spacing=(50, 50, 50)), spacing_mm=0.1)
