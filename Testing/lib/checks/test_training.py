"""The cases that the checks are set on, and the command that sets them."""

import json

import numpy as np
import pytest

from SAMI2ILib.checks.training import shapes
from SAMI2ILib.checks.training.__main__ import main
from SAMI2ILib.checks.training.cases import CONTRASTS, head_cases, other_cases
from SAMI2ILib.checks.training.variants import real_cases, variants
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.volume import Volume

# Outer radius in mm and label of each shell: skin, soft tissue, bone, CSF, gray, white, ventricle.
SHELLS = ((88, 511), (84, 507), (78, 515), (72, 24), (68, 3), (60, 2), (14, 4))


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Five maps of nested balls."""
    folder = tmp_path_factory.mktemp("labels")
    position = (np.arange(64) - 31.5) * 3.0
    radius = np.sqrt(position[:, None, None] ** 2 + position[:, None] ** 2 + (1.1 * position) ** 2)
    array = np.zeros(radius.shape)
    for outer, label in SHELLS:
        array[radius < outer] = label
    matrix = np.diag([3.0, 3.0, 3.0, 1.0])
    for name in "abcde":
        write_volume(Volume(array, matrix, name), folder / f"{name}.nii.gz")
    return folder


def test_one_person_is_scanned_in_every_contrast_and_as_a_ct(labels):
    path = labels / "a.nii.gz"
    first, second = (list(head_cases(path, np.random.SeedSequence(3), "p")) for _ in range(2))
    assert [case.kind for case in first] == [*CONTRASTS, "other"]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.volume.array_kji, other.volume.array_kji)


def test_ct_shows_bone_brightest(labels):
    *_, ct = head_cases(labels / "a.nii.gz", np.random.SeedSequence(5), "p")
    assert ct.group == "CT"
    inside = ct.volume.array_kji[ct.volume.array_kji > 300]
    assert np.median(inside) == pytest.approx(1030, rel=0.3)


@pytest.mark.parametrize(
    "family", [*shapes.TRAINED, *shapes.HELD_OUT], ids=lambda family: family.__name__
)
def test_families_differ_from_draw_to_draw_and_repeat_with_their_seed(family):
    first, second = other_cases((family,), 2, np.random.SeedSequence(1))
    again, _ = other_cases((family,), 2, np.random.SeedSequence(1))
    assert (first.kind, first.group) == ("other", family.__name__)
    np.testing.assert_array_equal(first.volume.array_kji, again.volume.array_kji)
    assert first.volume.array_kji.shape != second.volume.array_kji.shape or not np.array_equal(
        first.volume.array_kji, second.volume.array_kji
    )


def test_real_scans_are_found_by_their_names_and_changed_in_three_ways(tmp_path, t1):
    folder = tmp_path / "anna"
    folder.mkdir()
    write_volume(t1, folder / "T1.nii.gz")
    (case,) = real_cases(tmp_path, CONTRASTS)
    assert (case.kind, case.group) == ("T1", "anna")
    changed = {variant.group: variant.volume for variant in variants(case)}
    assert list(changed) == ["anna mirrored", "anna cut", "anna tilted"]
    assert changed["anna mirrored"].array_kji.sum() == case.volume.array_kji.sum()
    assert changed["anna cut"].array_kji.size < case.volume.array_kji.size
    assert changed["anna tilted"].grid.is_same(case.volume.grid)


def test_command_refuses_too_few_label_maps(labels, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.nii.gz").write_bytes((labels / "a.nii.gz").read_bytes())
    with pytest.raises(InputError, match="it takes more than 4"):
        main(["--labels", str(tmp_path / "labels"), "-o", str(tmp_path / "out")])


@pytest.mark.slow
def test_command_writes_classifiers_and_table(labels, tmp_path, capsys):
    words = ["--labels", labels, "-o", tmp_path, "--train", 3, "--test", 2, "--workers", 1]
    assert main([str(word) for word in words]) == 0
    text = (tmp_path / "table.md").read_text()
    assert capsys.readouterr().out == text
    assert "| T1 | 2 |" in text
    fields = json.loads((tmp_path / "input-checks-1.json").read_text())
    assert fields["training"]["heads"] == 3
