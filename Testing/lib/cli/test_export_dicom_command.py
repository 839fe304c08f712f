"""`sami2i export-dicom` as its user sees it."""

import hashlib
import json
import shutil
import subprocess
import sys

import pydicom
import pytest

from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.inference.output_files import sidecar_path

RECORD = {
    "synthetic": True,
    "source": {"file": "head.nii.gz", "sha256": "ab" * 32},
    "source_contrast": "T1",
    "target_contrast": "T2",
    "model": {"id": "tiny-t1-t2", "sha256": "cd" * 32},
    "warnings": [],
    "software": {"name": "SAM-I2I for 3D Slicer", "version": "0.1.0"},
    "date": "2026-08-01T22:30:00+00:00",
}


@pytest.fixture
def synthetic(tmp_path, make_head):
    """A volume with its sidecar, as `translate` leaves them."""
    path = tmp_path / "head_synth-T2.nii.gz"
    write_volume(make_head(), path)
    sidecar_path(path).write_text(json.dumps(RECORD))
    return path


def test_series_is_written_and_told(sami2i, synthetic, tmp_path):
    outcome = sami2i("export-dicom", synthetic, "-o", tmp_path / "out", "--progress", "json")
    assert outcome.code == 0, outcome.err
    result = outcome.events[-1]
    assert result["files"] == 24 == len(list((tmp_path / "out").iterdir()))
    instance = pydicom.dcmread(tmp_path / "out" / "IM00001.dcm")
    assert result["series_uid"] == instance.SeriesInstanceUID
    assert result["study_uid"] == instance.StudyInstanceUID
    volume = read_volume(synthetic)
    assert read_volume(tmp_path / "out").array_kji == pytest.approx(volume.array_kji, abs=0.501)


def test_exported_series_can_be_the_source_of_another(sami2i, synthetic, tmp_path):
    sami2i("export-dicom", synthetic, "-o", tmp_path / "first")
    outcome = sami2i(
        "export-dicom", synthetic, "-o", tmp_path / "second", "--source", tmp_path / "first",
        "--series-number", "12", "--burn-in-mark", "--synthetic-data-attribute",
    )  # fmt: skip
    # 40 columns do not hold the mark of 55.
    assert outcome.code == 2
    assert "Export without --burn-in-mark" in outcome.error_line
    outcome = sami2i(
        "export-dicom", synthetic, "-o", tmp_path / "second", "--source", tmp_path / "first",
        "--series-number", "12", "--synthetic-data-attribute",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    first, second = (
        pydicom.dcmread(tmp_path / name / "IM00001.dcm") for name in ("first", "second")
    )
    assert second.StudyInstanceUID == first.StudyInstanceUID
    assert second.SeriesNumber == 12
    assert second[0x0008001C].value == "YES"
    assert len(second.ContributingEquipmentSequence) == 3


def test_doubt_about_the_source_is_a_warning(sami2i, synthetic, tmp_path, make_head):
    coarse = tmp_path / "coarse_synth-T2.nii.gz"
    write_volume(make_head((24, 40, 36)), coarse)
    shutil.copy(sidecar_path(synthetic), sidecar_path(coarse))
    sami2i("export-dicom", synthetic, "-o", tmp_path / "first")
    outcome = sami2i("export-dicom", coarse, "-o", tmp_path / "out", "--source", tmp_path / "first")
    assert outcome.code == 0
    assert "warning (source-on-other-grid)" in outcome.err


def test_volume_that_was_saved_again_is_a_warning(sami2i, synthetic, tmp_path):
    digest = hashlib.sha256(synthetic.read_bytes()).hexdigest()
    record = {**RECORD, "volume": {"file": synthetic.name, "sha256": digest}}
    sidecar_path(synthetic).write_text(json.dumps(record))
    assert "volume-changed" not in sami2i("export-dicom", synthetic, "-o", tmp_path / "1").err
    write_volume(read_volume(tmp_path / "1"), synthetic)
    outcome = sami2i("export-dicom", synthetic, "-o", tmp_path / "2")
    assert outcome.code == 0
    assert "warning (volume-changed): head_synth-T2.nii.gz is not the file" in outcome.err


def test_volume_without_a_record_is_refused(sami2i, synthetic, tmp_path):
    sidecar_path(synthetic).unlink()
    outcome = sami2i("export-dicom", synthetic, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "head_synth-T2.json is missing" in outcome.error_line
    assert "put its .json beside it" in outcome.error_line
    assert not (tmp_path / "out").exists()


def test_a_real_volume_with_another_json_is_refused(sami2i, synthetic, tmp_path):
    sidecar_path(synthetic).write_text('{"EchoTime": 0.08}')
    outcome = sami2i("export-dicom", synthetic, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "has no record of a synthetic volume" in outcome.error_line


def test_series_without_source_is_refused(sami2i, synthetic, tmp_path):
    outcome = sami2i("export-dicom", synthetic, "-o", tmp_path / "out", "--series", "1.2")
    assert outcome.code == 2
    assert "Give --source too" in outcome.error_line


def test_export_does_not_wait_for_torch(synthetic, tmp_path):
    code = (
        "import sys; from SAMI2ILib.cli.main import main; code = main(sys.argv[1:]); "
        "print(sorted({'torch', 'sam2'} & set(sys.modules))); sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "export-dicom", synthetic, "-o", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "[]")
