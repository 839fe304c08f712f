"""Each check of the image: one scan that triggers it, and one that does not."""

import numpy as np
import pytest

from SAMI2ILib.checks.appearance import measure
from SAMI2ILib.checks.overview import look_at
from SAMI2ILib.checks.quality import (
    check_clipping,
    check_coverage,
    check_ghosting,
    check_resolution,
    check_shading,
    check_skull,
    ghost_ratio,
)
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

AXIAL = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("expected", "shows_skull", "code"),
    [
        ("present", False, "skull-stripped"),
        ("removed", True, "skull-present"),
        ("present", True, None),
        ("removed", False, None),
        ("both", True, None),
        ("both", False, None),
    ],
)
def test_skull_is_compared_with_what_the_model_saw(t1, brain_only, expected, shows_skull, code):
    found = check_skull(look_at(t1 if shows_skull else brain_only("T1")), expected)
    assert [notice.code for notice in found] == ([code] if code else [])
    assert all("% of its voxels are exactly 0" in notice.message for notice in found)


def part(volume: Volume, axis: int, start: float, stop: float) -> Volume:
    """From a share of the head to another along LPS axes, numbered as an array's."""
    upright = reorient(volume, "LPS")
    used = np.flatnonzero((upright.array_kji > 60).any(axis=tuple({0, 1, 2} - {axis})))
    low, high = (int(used[0] + share * len(used)) for share in (start, stop))
    array = np.take(upright.array_kji, range(low, high), axis=axis)
    return Volume(array, upright.ijk_to_ras)


def test_whole_head_is_covered(t1):
    assert check_coverage(look_at(t1)) == []


@pytest.mark.parametrize(
    ("axis", "start", "stop", "where"),
    [(0, 0.0, 0.6, "at the top"), (2, 0.0, 0.6, "at the left"), (1, 0.4, 1.0, "in front")],
)
def test_head_that_the_field_of_view_cuts_is_doubted(t1, axis, start, stop, where):
    (notice,) = check_coverage(look_at(part(t1, axis, start, stop)))
    assert notice.code == "partial-coverage"
    assert f"cuts the head {where}" in notice.message
    assert "% of the largest cross-section" in notice.message


def test_slices_that_end_in_the_brain_are_doubted(t1):
    (notice,) = check_coverage(look_at(part(t1, 0, 0.55, 1.0)))
    assert "mm from the vertex downwards" in notice.message


def test_shading_is_doubted_when_it_is_strong(t1):
    strong = t1.array_kji * 12.0 ** np.linspace(-0.5, 0.5, t1.array_kji.shape[1])[:, None]
    (notice,) = check_shading(measure(look_at(t1.with_array(strong))))
    assert notice.code == "strong-shading"
    assert "times as bright" in notice.message
    assert check_shading(measure(look_at(t1))) == []


def test_clipping_is_doubted_when_many_voxels_have_the_highest_value(t1):
    overview = look_at(t1)
    limit = np.percentile(t1.array_kji[t1.array_kji > 60], 97)
    (notice,) = check_clipping(t1.with_array(np.minimum(t1.array_kji, limit)), overview)
    assert notice.code == "clipped"
    assert "The brightest" in notice.message
    assert check_clipping(t1, overview) == []


@pytest.mark.parametrize(
    ("spacing_mm", "is_coarse"),
    [((1, 1, 1), False), ((2, 2, 6), False), ((3, 3, 1), True), ((1, 1, 8), True)],
)
def test_voxels_are_doubted_when_they_are_coarse(spacing_mm, is_coarse):
    volume = Volume(np.ones((4, 4, 4)), np.diag([*(np.array(spacing_mm) * (-1, -1, 1)), 1]))
    found = check_resolution(volume)
    assert [notice.code for notice in found] == ["coarse"] * is_coarse
    if is_coarse:
        assert "x".join(f"{s:.1f} " for s in spacing_mm).replace("x", "x ")[:-1] in (
            found[0].message
        )


def ball(ghost: float) -> Volume:
    """A ball of 100 in air of 2, with two copies of it that are `ghost` as bright behind it."""
    k, j, i = np.meshgrid(*(np.arange(n) - n / 2 for n in (60, 160, 160)), indexing="ij")
    inside = k**2 + j**2 + i**2 < 28**2
    array = np.where(inside, 100.0, 2.0)
    for shift in (-65, 65):
        array += ghost * 100 * np.roll(inside, shift, axis=1)
    return Volume(array, AXIAL)


def test_ghosts_along_one_axis_are_doubted():
    assert ghost_ratio(look_at(ball(0.0))) == pytest.approx(0, abs=1e-3)
    assert check_ghosting(look_at(ball(0.0))) == []
    (notice,) = check_ghosting(look_at(ball(0.35)))
    assert notice.code == "ghosting"
    assert "% of the head's signal" in notice.message


def test_air_that_was_set_to_zero_says_nothing_of_ghosts(brain_only):
    assert check_ghosting(look_at(brain_only("T1"))) == []
