"""Subject folders: which contrasts are there, and what is wrong with them."""

import pytest

from SAMI2ILib.data.subjects import find_subjects, read_subject
from SAMI2ILib.errors import InputError


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_subjects_are_found_with_their_contrasts(tmp_path):
    touch(tmp_path / "bert", "T1.nii", "PD.nii.gz", "notes.txt")
    touch(tmp_path / "anna", "T1.nii.gz", "T2.nii.gz", "brain.nii.gz")
    touch(tmp_path / "papers", "paper.pdf")
    anna, bert = find_subjects(tmp_path)
    assert (anna.name, set(anna.contrasts), anna.brain) == (
        "anna",
        {"T1", "T2"},
        tmp_path / "anna" / "brain.nii.gz",
    )
    assert (bert.name, set(bert.contrasts), bert.brain) == ("bert", {"T1", "PD"}, None)
    assert bert.path("T1") == tmp_path / "bert" / "T1.nii"


def test_subjects_come_in_one_order_on_every_system(tmp_path, windows_order):
    for name in ("anna", "Bert"):
        touch(tmp_path / name, "T1.nii")
    assert [subject.name for subject in find_subjects(tmp_path)] == ["Bert", "anna"]


def test_missing_contrast_is_said(tmp_path):
    touch(tmp_path / "anna", "T1.nii.gz")
    with pytest.raises(InputError, match="Subject 'anna' has no T2, only T1"):
        read_subject(tmp_path / "anna").path("T2")


def test_contrast_twice_is_refused(tmp_path):
    touch(tmp_path / "anna", "T1.nii.gz", "T1.nii")
    with pytest.raises(InputError, match="holds T1 twice"):
        read_subject(tmp_path / "anna")


def test_folder_without_subjects_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no subject"):
        find_subjects(tmp_path)
    with pytest.raises(InputError, match=r"There is no cohort folder .*"):
        find_subjects(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"There is no subject folder .*"):
        read_subject(tmp_path / "nowhere")
    touch(tmp_path / "empty", "paper.pdf")
    with pytest.raises(InputError, match="holds none of T1, T2, PD"):
        read_subject(tmp_path / "empty")
