"""An independent validator, `dciodvfy` of dicom3tools, has nothing against the exported series."""

import shutil
import subprocess

import numpy as np
import pytest

from SAMI2ILib.dicom.export import export_series
from SAMI2ILib.dicom.series_header import ExportOptions

VALIDATOR = shutil.which("dciodvfy")
pytestmark = pytest.mark.skipif(VALIDATOR is None, reason="dciodvfy (dicom3tools) is not installed")

OBLIQUE = np.array([[0.9, 0.2, 0.3, 1], [-0.2, 0.9, 0.1, 2], [-0.3, -0.1, 1.2, 3], [0, 0, 0, 1]])


def errors(folder):
    found = []
    for path in sorted(folder.iterdir()):
        ended = subprocess.run([VALIDATOR, path], capture_output=True, text=True, check=False)
        lines = ended.stderr.splitlines() + ended.stdout.splitlines()
        assert "MRImage" in lines  # it has recognized the object
        found += [line for line in lines if line.startswith("Error")]
    return found


def test_series_beside_its_source_has_no_error(make_volume, record, save_source, tmp_path):
    export_series(make_volume(), record, tmp_path / "out", save_source())
    assert errors(tmp_path / "out") == []


def test_series_on_another_grid_than_its_source_has_no_error(
    make_volume, record, save_source, tmp_path
):
    coarse = np.diag([-1.5, -1.0, 2.5, 1.0])
    coarse[:3, 3] = 10.1, 20.2, -30.3
    volume = make_volume((5, 10, 12), coarse)
    export_series(volume, record, tmp_path / "out", save_source())
    assert errors(tmp_path / "out") == []


def test_series_without_source_has_no_error(make_volume, record, tmp_path):
    export_series(make_volume(), record, tmp_path / "out")
    assert errors(tmp_path / "out") == []


def test_marked_series_of_a_bare_source_has_no_error(make_volume, record, save_source, tmp_path):
    def strip(dataset, _k):
        for keyword in ("PatientName", "PatientBirthDate", "StudyID", "SeriesNumber",
                        "Manufacturer", "PatientPosition"):  # fmt: skip
            delattr(dataset, keyword)

    volume = make_volume((5, 20, 80))
    lossy = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "10"}
    source = save_source((5, 20, 80), change=strip, **lossy,
                         LossyImageCompressionMethod="ISO_10918_1")  # fmt: skip
    export_series(volume, record, tmp_path / "out", source, options=ExportOptions(True))
    assert errors(tmp_path / "out") == []


def test_validator_finds_an_error_that_is_there(make_volume, record, tmp_path):
    import pydicom

    export_series(make_volume(), record, tmp_path / "out")
    path = tmp_path / "out" / "IM00001.dcm"
    dataset = pydicom.dcmread(path)
    del dataset.ImageOrientationPatient
    dataset.save_as(path)
    assert any("ImageOrientationPatient" in line for line in errors(tmp_path / "out"))
