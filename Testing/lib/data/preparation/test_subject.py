"""One subject's arrays: where things lie, what they are scaled by, what is refused."""

from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.data.preparation import subject as module
from SAMI2ILib.data.preparation.cases import Case, ScanFile
from SAMI2ILib.data.preparation.settings import PreparationSettings
from SAMI2ILib.data.preparation.subject import prepare_subject
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

SETTINGS = PreparationSettings(("T1", "T2"), "T1", brain=False, check_sides=False)


@pytest.fixture
def scans(tmp_path: Path, make_head) -> Path:
    """T1 and T2 on one grid, axial at 1 mm; T2 is dark where T1 is bright."""
    t1 = make_head((24, 48, 40))
    write_volume(t1, tmp_path / "T1.nii.gz")
    inverse = np.where(t1.array_kji > 0, 900 - t1.array_kji, 0)
    write_volume(t1.with_array(inverse), tmp_path / "T2.nii.gz")
    return tmp_path


def case(folder: Path, *contrasts: str, brain: str = "") -> Case:
    files = {c: ScanFile(folder / f"{c}.nii.gz") for c in contrasts or ("T1", "T2")}
    return Case("a", files, "a", brain=ScanFile(folder / brain) if brain else None)


def test_scans_on_one_grid_are_scaled_and_neither_moved_nor_interpolated(scans):
    prepared = prepare_subject(case(scans), SETTINGS)
    for contrast in ("T1", "T2"):
        native = read_volume(scans / f"{contrast}.nii.gz")
        foreground = find_foreground(native)
        p = np.percentile(native.array_kji[foreground], 99.5)
        expected = np.clip(native.array_kji, 0, p) / p
        np.testing.assert_allclose(prepared.images[contrast], expected, atol=1e-4)
        assert np.array_equal(prepared.foregrounds[contrast], foreground)
        assert prepared.details["scales"][contrast] == pytest.approx(p)
    assert prepared.details["placements"]["T2"]["how"] == "grid"
    assert prepared.brain is None


def test_slices_are_axial_whatever_the_file(scans):
    upright = prepare_subject(case(scans), SETTINGS)
    for contrast in ("T1", "T2"):
        path = scans / f"{contrast}.nii.gz"
        write_volume(reorient(read_volume(path), "PSR"), path)
    sagittal = prepare_subject(case(scans), SETTINGS)
    np.testing.assert_allclose(sagittal.images["T1"], upright.images["T1"], atol=1e-6)
    np.testing.assert_allclose(sagittal.ijk_to_ras, upright.ijk_to_ras, atol=1e-6)


def test_what_the_field_of_view_misses_is_nan(scans):
    t2 = read_volume(scans / "T2.nii.gz")
    matrix = t2.ijk_to_ras.copy()
    matrix[2, 3] += 4.0
    write_volume(Volume(t2.array_kji[4:], matrix), scans / "T2.nii.gz")
    prepared = prepare_subject(
        case(scans), PreparationSettings(**{**vars(SETTINGS), "register": "never"})
    )
    assert np.isnan(prepared.images["T2"][:4]).all()
    assert np.isfinite(prepared.images["T2"][4:]).all()
    assert prepared.details["placements"]["T2"]["how"] == "header"


def test_chosen_slices_show_more_than_the_part_of_the_head(scans):
    prepared = prepare_subject(case(scans), SETTINGS)
    part = prepared.foregrounds["T1"].mean(axis=(1, 2))
    assert prepared.slices == [k for k in range(24) if part[k] > 0.05]
    with pytest.raises(InputError, match="Only 0 axial slices show more than 90% head"):
        prepare_subject(
            case(scans), PreparationSettings(**{**vars(SETTINGS), "smallest_part": 0.9})
        )


def test_brain_mask_that_came_along_is_used(scans):
    t1 = read_volume(scans / "T1.nii.gz")
    mask = np.zeros(t1.array_kji.shape)
    mask[5:16, 10:30, 10:30] = 1
    write_volume(t1.with_array(mask), scans / "brain.nii.gz")
    settings = PreparationSettings(**{**vars(SETTINGS), "brain": True, "skull_strip": True})
    prepared = prepare_subject(case(scans, brain="brain.nii.gz"), settings)
    assert np.array_equal(prepared.brain, mask > 0)
    assert prepared.slices == list(range(5, 16))
    assert (prepared.images["T2"][mask == 0] == 0).all()
    assert np.array_equal(prepared.foregrounds["T1"], mask > 0)


def test_brain_mask_that_cannot_be_made_is_said_and_the_head_stands_in(scans, monkeypatch):
    def fail(_volume):
        raise InputError("The brain template could not be laid onto 'T1.nii.gz'.")

    monkeypatch.setattr(module, "brain_mask", fail)
    settings = PreparationSettings(**{**vars(SETTINGS), "brain": True})
    prepared = prepare_subject(case(scans), settings)
    (warning,) = prepared.details["warnings"]
    assert warning["code"] == "no-brain-mask"
    assert prepared.brain is None
    strip = PreparationSettings(**{**vars(settings), "skull_strip": True})
    with pytest.raises(InputError, match="The skull cannot be removed"):
        prepare_subject(case(scans), strip)


def test_without_a_t1_the_head_chooses_the_slices(scans):
    (scans / "T1.nii.gz").rename(scans / "PD.nii.gz")
    settings = PreparationSettings(("PD", "T2"), "PD", check_sides=False)
    prepared = prepare_subject(case(scans, "PD", "T2"), settings)
    assert [w["code"] for w in prepared.details["warnings"]] == ["no-brain-mask"]
    assert prepared.brain is None


def test_one_file_under_two_names_is_refused(scans):
    (scans / "T2.nii.gz").write_bytes((scans / "T1.nii.gz").read_bytes())
    with pytest.raises(InputError, match=r"T1 \(T1.nii.gz\) and T2 \(T2.nii.gz\) are one file"):
        prepare_subject(case(scans), SETTINGS)


def test_missing_file_is_refused(scans):
    (scans / "T2.nii.gz").unlink()
    with pytest.raises(InputError, match=r"T2\.nii\.gz does not exist"):
        prepare_subject(case(scans), SETTINGS)


def test_bias_field_is_flattened_by_n4(scans, make_head):
    head = make_head((24, 48, 40))
    flat = np.where(find_foreground(head), 500.0, 0.0)
    shading = np.exp(np.linspace(-0.4, 0.4, 40))[None, None, :]
    write_volume(head.with_array(flat * shading), scans / "T1.nii.gz")
    settings = PreparationSettings(**{**vars(SETTINGS), "n4": True})

    def spread(prepared):
        return prepared.images["T1"][12, 20:28, 8:32].std()

    shaded, corrected = (prepare_subject(case(scans), s) for s in (SETTINGS, settings))
    assert spread(corrected) < 0.35 * spread(shaded)
