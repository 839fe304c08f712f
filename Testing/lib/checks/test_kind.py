"""Contrast and head: the simulated sample, and things that are no head."""

import numpy as np
import pytest

from SAMI2ILib.checks import Expectation, check_volume
from SAMI2ILib.checks.training import shapes
from SAMI2ILib.imaging.volume import Volume
from Testing.lib.real_data import REAL_DATA, needs_real_data

KINDS = {"contrast-unlike", "not-a-head"}


def doubts(volume: Volume, source: str = "T1") -> dict[str, str]:
    """Messages of the two checks by their codes."""
    found = check_volume(volume, Expectation(source))
    return {notice.code: notice.message for notice in found if notice.code in KINDS}


def test_scan_in_the_models_contrast_is_not_doubted(sample, brain_only):
    for contrast in ("T1", "T2", "PD"):
        assert doubts(sample(contrast), contrast) == {}
        assert doubts(brain_only(contrast), contrast) == {}


@pytest.mark.parametrize(
    ("contrast", "reason"),
    [
        ("T2", "looks like a T2, not like the T1"),
        ("PD", "looks like a PD, not like the T1"),
    ],
)
def test_other_contrast_is_named_with_a_number(sample, contrast, reason):
    found = doubts(sample(contrast))
    assert set(found) == {"contrast-unlike"}
    assert reason in found["contrast-unlike"]
    assert "the brightness of white matter" in found["contrast-unlike"] or (
        "gray matter is brighter than white matter" in found["contrast-unlike"]
    )


def test_t1_is_doubted_by_a_model_of_another_source(t1):
    message = doubts(t1, "T2")["contrast-unlike"]
    assert "T1, not like the T2" in message


def test_contrast_that_the_check_does_not_know_is_not_checked(t1):
    assert doubts(t1, "SWI") == {}
    assert doubts(t1, "") == {}


@pytest.mark.parametrize("family", shapes.TRAINED, ids=lambda family: family.__name__)
def test_things_that_are_no_head_are_doubted(family):
    volume = family(np.random.default_rng(7))
    (message,) = doubts(volume).values()
    assert "does not look like an MR of a head" in message


def test_head_of_another_size_is_doubted(t1):
    small, large = (
        Volume(t1.array_kji, t1.ijk_to_ras @ np.diag([factor, factor, factor, 1]))
        for factor in (0.4, 1.6)
    )
    assert "too small" in doubts(small)["not-a-head"]
    assert "too large" in doubts(large)["not-a-head"]


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_scan_of_nothing_is_no_head(value):
    array = np.full((8, 8, 8), value)
    array[0, 0, 0] = value - 1
    assert "There is no head to see" in doubts(Volume(array, np.eye(4)))["not-a-head"]


def test_few_voxels_are_not_called_constant():
    array = np.random.default_rng(0).random((3, 3, 3))
    assert "At 2 mm nothing stands out" in doubts(Volume(array, np.eye(4)))["not-a-head"]


def test_not_a_head_is_told_no_more_of_what_it_shows():
    found = check_volume(shapes.noise(np.random.default_rng(0)), Expectation("T1", "present"))
    assert [notice.code for notice in found] == ["not-a-head"]


@needs_real_data
def test_real_scans_are_doubted_unless_they_are_a_t1():
    from SAMI2ILib.checks.training.cases import CONTRASTS
    from SAMI2ILib.checks.training.variants import real_cases

    found = {
        f"{case.group}/{case.kind}": set(doubts(case.volume))
        for case in real_cases(REAL_DATA, CONTRASTS)
    }
    assert sum(name.endswith("/T1") for name in found) >= 9
    wrong = {name for name, codes in found.items() if bool(codes) == name.endswith("/T1")}
    assert wrong == set()
