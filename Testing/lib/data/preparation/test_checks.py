"""What can be wrong with two scans is said, and what is right is not suspected."""

import numpy as np
import pytest

from SAMI2ILib.data.preparation.checks import (
    check_boxes_meet,
    check_contrasts_differ,
    check_coverage,
    check_motion,
    check_side,
)
from SAMI2ILib.data.preparation.settings import PreparationSettings
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.volume import Volume


def codes(notices):
    return [notice.code for notice in notices]


def test_mirrored_head_is_suspected_and_a_right_one_is_not(sample):
    t1, t2 = sample("T1"), sample("T2")
    mirrored = Volume(t1.array_kji[:, :, ::-1], t1.ijk_to_ras, "T1")
    assert check_side(t1, t2) == []
    (notice,) = check_side(mirrored, t2)
    assert notice.code == "left-right-flip"
    assert "Left and right of 'T1' or 'T2.nii.gz' seem to be exchanged" in notice.message


def test_scans_in_different_corners_are_refused_with_their_distance(make_head):
    head = make_head()  # 24 slices of 1 mm
    moved = head.ijk_to_ras.copy()
    moved[2, 3] += 154.0
    far = Volume(head.array_kji, moved, "far")
    with pytest.raises(InputError, match=r"'far' and 'phantom\.nii\.gz' do not overlap.* 130 mm"):
        check_boxes_meet(far, head)
    check_boxes_meet(head, head)


def test_coverage_is_refused_doubted_or_fine():
    head = np.ones((4, 5, 5), bool)
    covered = np.zeros_like(head)
    with pytest.raises(InputError, match="'T2' covers only 0% of the head"):
        check_coverage(covered, head, "T2")
    covered[:2] = True
    assert codes(check_coverage(covered, head, "T2")) == ["little-overlap"]
    covered[:] = True
    assert check_coverage(covered, head, "T2") == []


@pytest.mark.parametrize(("degrees", "mm", "doubts"), [(5, 5, 0), (21, 0, 1), (0, 41, 1)])
def test_motion_beyond_what_a_person_does_is_doubted(degrees, mm, doubts):
    assert codes(check_motion(degrees, mm, "T2")) == ["large-motion"] * doubts


def test_one_contrast_under_two_names_is_suspected():
    rng = np.random.default_rng(0)
    image = rng.random((4, 8, 8)).astype(np.float32)
    head = np.ones(image.shape, bool)
    again = image * 0.8 + 0.02 * rng.standard_normal(image.shape).astype(np.float32)
    again[0, 0, 0] = np.nan
    names = ("T1", "T2")
    assert codes(check_contrasts_differ(image, again, head, names)) == ["same-contrast"]
    assert check_contrasts_differ(image, 1 - image, head, names) == []
    assert check_contrasts_differ(image, np.zeros_like(image), head, names) == []


def test_real_contrasts_of_one_head_are_not_taken_for_one(sample):
    t1, t2, pd = (sample(n).array_kji for n in ("T1", "T2", "PD"))
    head = t1 > 0.1 * t1.max()
    for pair in ((t1, t2), (t2, pd), (t1, pd)):
        assert check_contrasts_differ(*pair, head, ("a", "b")) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contrasts": ("T1",)}, "two to 7 different ones, not T1"),
        ({"contrasts": ("T1", "T1")}, "two to 7 different ones"),
        ({"contrasts": ("T1", "t1")}, "two to 7 different ones"),
        ({"contrasts": ("T1", "T/2")}, "contrast cannot be called"),
        ({"grid": "PD"}, "the grid must be one of T1, T2, not PD"),
        ({"register": "perhaps"}, "register is auto, always or never"),
        ({"spacing_mm": 0.0}, "the spacing must be above 0 mm, not 0"),
        ({"smallest_part": 1.0}, "the smallest part must be at least 0 and below 1, not 1"),
        ({"fewest_slices": 0}, "the fewest slices must be at least 1, not 0"),
        ({"brain": False, "skull_strip": True}, "skull stripping needs the brain mask"),
        ({"follows": {"T1": "T2"}}, "can only follow another that is registered"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        PreparationSettings(**({"contrasts": ("T1", "T2"), "grid": "T1"} | change))
