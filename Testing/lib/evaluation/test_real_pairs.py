"""A translator on a pair of scans: the perfect one scores best, wherever its input lay."""

from dataclasses import replace

import numpy as np
import pytest

from SAMI2ILib.data.subjects import read_subject
from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.real_pairs import read_pair
from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.volume import Volume

SHIFT_MM = (12.0, -13.0, 15.0)


def t2_of(head):
    """What the phantom's T2 is: 900 - T1 inside."""
    inside = head.array_kji > 0
    return head.with_array(np.where(inside, 900 - head.array_kji, 0))


def write_subject(folder, t1, t2):
    folder.mkdir()
    write_volume(t1, folder / "T1.nii.gz")
    write_volume(t2, folder / "T2.nii.gz")
    write_volume(t1.with_array(t1.array_kji > 0), folder / "brain.nii.gz")
    return read_subject(folder)


def perfect(pair):
    """Translate a phantom's T1 as its T2 is scaled."""
    truth = t2_of(pair.native).array_kji
    largest = np.percentile(truth[truth > 0], 99.5)
    return lambda volume: volume.with_array(1000 * np.clip(truth / largest, 0, 1))


def test_perfect_translator_has_no_error_when_the_scans_share_a_grid(tmp_path, make_head):
    head = make_head()
    pair = read_pair(write_subject(tmp_path / "anna", head, t2_of(head)), "T1", "T2")
    assert pair.registration is None
    assert pair.compare(perfect(pair)).scores.brain.nrmse < 0.02
    nothing = pair.compare(lambda volume: volume.with_array(np.zeros_like(volume.array_kji)))
    assert nothing.scores.brain.nrmse == pytest.approx(1)


def test_percentile_of_the_model_scales_source_and_target(tmp_path, make_head):
    head = make_head()
    subject = write_subject(tmp_path / "anna", head, t2_of(head))
    truth = t2_of(head).array_kji
    usual, lower = read_pair(subject, "T1", "T2"), read_pair(subject, "T1", "T2", percent=80)
    inside = usual.foreground
    at = [np.percentile(truth[inside], percent) for percent in (99.5, 80)]
    middle = np.argwhere(inside & (truth < 0.9 * at[1]) & (truth > 0.3 * at[1]))[0]
    found = [pair.target.array_kji[tuple(middle)] for pair in (usual, lower)]
    assert found[1] / found[0] == pytest.approx(at[0] / at[1], rel=1e-4)
    assert (lower.source.array_kji >= usual.source.array_kji).all()
    assert lower.source.array_kji.mean() > usual.source.array_kji.mean()


def test_pair_on_two_grids_is_registered_first(tmp_path, make_head):
    wide = np.diag([-4.0, -4.0, 6.0, 1.0])
    head = make_head(ijk_to_ras=wide)
    moved = wide.copy()
    moved[:3, 3] = SHIFT_MM
    t1 = Volume(head.array_kji, moved, head.name)
    pair = read_pair(write_subject(tmp_path / "bert", t1, t2_of(head)), "T1", "T2")
    assert pair.registration.translation_mm == pytest.approx(np.linalg.norm(SHIFT_MM), abs=2)
    assert pair.target.grid.shape_kji == head.grid.shape_kji
    registered = pair.compare(perfect(pair)).scores.brain.nrmse
    as_it_lay = replace(pair, registration=None).compare(perfect(pair)).scores.brain.nrmse
    assert registered < 0.2
    assert as_it_lay > 2 * registered


def test_target_is_measured_inside_the_foreground_of_the_source_only(tmp_path, make_head):
    head = make_head()
    half = head.array_kji.copy()
    half[:, :, 20:] = 0
    subject = write_subject(tmp_path / "carl", head.with_array(half), t2_of(head))
    pair = read_pair(subject, "T1", "T2")
    assert not pair.target.array_kji[~pair.foreground].any()
    assert not pair.target.array_kji[:, :, 26:].any()


def test_missing_contrast_is_said(tmp_path, make_head):
    head = make_head()
    subject = write_subject(tmp_path / "dora", head, t2_of(head))
    with pytest.raises(InputError, match="has no PD"):
        read_pair(subject, "T1", "PD")
