"""Names of synthetic volumes, and what they must never replace."""

from pathlib import Path

import pytest

from SAMI2ILib.errors import InputError, OutputError
from SAMI2ILib.inference.output_files import (
    check_output,
    is_synthetic_record,
    output_path,
    sidecar_path,
    synthetic_name,
)

RECORD = '{"synthetic": true}'


@pytest.mark.parametrize(
    ("stem", "target", "expected"),
    [
        ("head", "T2", "head_synth-T2"),
        ("head_T1w", "T2", "head_T1w_synth-T2"),
        ("sub-01_T1w", "T2", "sub-01_desc-synthetic_T2w"),
        ("sub-01_ses-2_run-1_T1w", "PD", "sub-01_ses-2_run-1_desc-synthetic_PDw"),
        ("sub-01_space-MNI_desc-preproc_T1w", "T2", "sub-01_space-MNI_desc-synthetic_T2w"),
        ("sub-01_T1w", "FLAIR", "sub-01_desc-synthetic_FLAIR"),
        ("sub-01_bold", "T2", "sub-01_bold_synth-T2"),
    ],
)
def test_name_says_what_the_volume_is(stem, target, expected):
    assert synthetic_name(stem, target) == expected


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("a/head.nii.gz", "out", "out/head_synth-T2.nii.gz"),
        ("a/head.v2.NRRD", "out", "out/head.v2_synth-T2.nrrd"),
        ("a/head.nhdr", "out", "out/head_synth-T2.nrrd"),
        ("a/head.mhd", "out", "out/head_synth-T2.mha"),
        ("a/head", "out", "out/head_synth-T2.nii.gz"),
        ("a/head.nii", "x.mha", "x.mha"),
        ("a/head.nii", ".nii", ".nii/head_synth-T2.nii"),
    ],
)
def test_file_is_named_after_its_source_in_its_format(source, output, expected):
    assert output_path(Path(source), Path(output), "T2") == Path(expected)


@pytest.mark.parametrize("name", ["head.dcm", "head.IMG", "head.mgz", "T2.png", "head.nii.zip"])
def test_file_of_another_format_is_no_folder(name, tmp_path):
    with pytest.raises(InputError, match="cannot be written in this format"):
        output_path(Path("head.nii"), tmp_path / name, "T2")
    (tmp_path / name).mkdir()
    assert output_path(Path("head.nii"), tmp_path / name, "T2").parent == tmp_path / name


def test_folder_with_an_image_ending_is_a_folder(tmp_path):
    (tmp_path / "x.nii").mkdir()
    path = output_path(Path("head.nii"), tmp_path / "x.nii", "T2")
    assert path == tmp_path / "x.nii" / "head_synth-T2.nii"


def test_dicom_folder_is_named_even_by_a_dot(tmp_path, monkeypatch):
    folder = tmp_path / "series.1"
    folder.mkdir()
    assert output_path(folder, Path("o"), "PD") == Path("o/series.1_synth-PD.nii.gz")
    monkeypatch.chdir(folder)
    assert output_path(Path(), Path("o"), "PD") == Path("o/series.1_synth-PD.nii.gz")


@pytest.mark.fault("symbolic-links")
def test_link_keeps_its_own_name(tmp_path):
    (tmp_path / "5f4dcc3b").touch()
    link = tmp_path / "sub-01_T1w.nii.gz"
    try:
        link.symlink_to(tmp_path / "5f4dcc3b")
    except OSError:
        pytest.skip("this account may not make links")
    assert output_path(link, Path("o"), "T2") == Path("o/sub-01_desc-synthetic_T2w.nii.gz")


@pytest.mark.parametrize(
    ("image", "sidecar"),
    [
        ("a/head.nii.gz", "a/head.json"),
        ("head.NII.GZ", "head.json"),
        ("head.v2.nrrd", "head.v2.json"),
        ("head.mha", "head.json"),
    ],
)
def test_sidecar_has_the_name_of_the_image(image, sidecar):
    assert sidecar_path(Path(image)) == Path(sidecar)


@pytest.mark.parametrize("name", ["x.NII", "x.nhdr", "x.mhd"])
def test_format_that_cannot_be_written_is_refused_before_the_work(tmp_path, name):
    output = output_path(Path("head.nii"), tmp_path / name, "T2")
    with pytest.raises(InputError, match=r"cannot be written in this format.*\.mha"):
        check_output(output, Path("head.nii"))


@pytest.mark.fault("output-over-input")
def test_source_is_never_replaced(tmp_path):
    head = tmp_path / "head.nii"
    head.touch()
    with pytest.raises(InputError, match="output is the input itself"):
        check_output(tmp_path / "." / "head.nii", head)


@pytest.mark.fault("output-over-input")
@pytest.mark.parametrize("name", ["x.nii.gz", "x.json"])
def test_file_of_another_is_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("a real scan's")
    with pytest.raises(InputError, match="exists and is not a synthetic volume's"):
        check_output(tmp_path / "x.nii.gz", Path("head.nii"))


def test_synthetic_volume_may_be_replaced(tmp_path):
    (tmp_path / "x.nii").write_text("synthetic")
    (tmp_path / "x.json").write_text(RECORD)
    check_output(tmp_path / "x.nii", Path("head.nii"))


def test_file_in_the_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="'file' is not a folder that may be written to"):
        check_output(tmp_path / "file" / "deep" / "x.nii", Path("head.nii"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RECORD, True),
        ('{"synthetic": false}', False),
        ('{"MagneticFieldStrength": 3}', False),
        ("[true]", False),
        ("no JSON", False),
    ],
)
def test_only_our_own_record_counts_as_one(tmp_path, text, expected):
    path = tmp_path / "head.json"
    path.write_text(text)
    assert is_synthetic_record(path) is expected


def test_missing_record_is_none(tmp_path):
    assert not is_synthetic_record(tmp_path / "head.json")


def test_drive_that_is_not_there_is_no_folder_to_write_to(tmp_path, monkeypatch):
    # As `Z:\out` on Windows, of which not even the drive exists.
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    monkeypatch.setattr(Path, "is_dir", lambda _path: False)
    with pytest.raises(OutputError, match="is not a folder that may be written to"):
        check_output(tmp_path / "out" / "x.nii", tmp_path / "head.nii")
