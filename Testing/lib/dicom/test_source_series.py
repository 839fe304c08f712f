"""A source series is read by its headers, and refused where it cannot be the source."""

import logging

import numpy as np
import pytest

from SAMI2ILib.dicom.export import export_series
from SAMI2ILib.dicom.source_series import read_source_series
from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.source_file import describe_source_file

SECOND = "1.2.826.0.1.3680043.8.498.2"


def test_slices_come_in_the_order_of_their_normal(save_source):
    series = read_source_series(save_source())
    assert [one.position_lps[2] for one in series.slices] == pytest.approx(
        [-30.3, -27.8, -25.3, -22.8, -20.3]
    )
    assert series.shape_kji == (5, 20, 24)
    assert series.spacing_mm == pytest.approx((0.75, 0.5, 2.5))


def test_files_may_be_given_one_by_one(save_source):
    folder = save_source()
    assert read_source_series(sorted(folder.iterdir())[:3]).shape_kji[0] == 3


def test_a_single_slice_has_its_thickness_as_distance(save_source):
    assert read_source_series(save_source((1, 20, 24))).spacing_mm[2] == 2.5


def test_one_of_two_series_is_chosen_by_its_uid(save_source):
    save_source()
    folder = save_source((3, 20, 24), uid=SECOND)
    assert len(read_source_series(folder, SECOND).slices) == 3
    with pytest.raises(InputError, match="holds 2 DICOM series") as caught:
        read_source_series(folder)
    assert f"--series: 1.2.826.0.1.3680043.8.498.1 (5 files); {SECOND} (3 files)" in str(
        caught.value
    )
    with pytest.raises(InputError, match=r"holds no DICOM series 9\.9"):
        read_source_series(folder, "9.9")


def test_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no DICOM file"):
        read_source_series(tmp_path)
    with pytest.raises(InputError, match=r"notes\.txt is not a folder"):
        read_source_series(tmp_path / "notes.txt")


def test_a_damaged_file_is_refused_without_its_content(save_source):
    folder = save_source()
    path = sorted(folder.iterdir())[0]
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=f"{path.name} cannot be read|differ|where it lies"):
        read_source_series(folder)
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0")
    with pytest.raises(InputError, match=f"{path.name} cannot be read as DICOM"):
        read_source_series(folder)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # this test writes one
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Modality": "CT"}, "of modality CT"),
        ({"NumberOfFrames": 3}, "is a multi-frame series"),
        ({"StudyInstanceUID": None}, "has no StudyInstanceUID"),
        ({"ImagePositionPatient": None}, "does not say where it lies"),
        ({"PixelSpacing": None}, "does not say where it lies"),
        ({"PixelSpacing": [0, 1]}, "does not say where it lies"),
        ({"ImageOrientationPatient": [0] * 6}, "does not say where it lies"),
        ({"ImagePositionPatient": [1, 2, "nan"]}, "does not say where it lies"),
        ({"ImagePositionPatient": [1, 2, 3]}, "two slices at one position"),
    ],
)
def test_unsuitable_series_is_refused(save_source, change, message):
    with pytest.raises(InputError, match=message):
        read_source_series(save_source(**change))


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_slices_of_two_patients_are_refused_without_naming_them(save_source, keyword):
    def differ(dataset, k):
        if k == 2:
            setattr(dataset, keyword, "1.2.3.4711")

    with pytest.raises(InputError, match=f"differ in their {keyword}") as caught:
        read_source_series(save_source(change=differ))
    assert "4711" not in str(caught.value)


def test_another_series_than_the_recorded_one_is_refused(
    make_volume, record, save_source, tmp_path
):
    source = save_source()
    record["source"] = describe_source_file(source)
    assert export_series(make_volume(), record, tmp_path / "1", source).count == 5
    other = save_source(folder="other", PatientID="another")
    with pytest.raises(InputError, match="was not made from other"):
        export_series(make_volume(), record, tmp_path / "2", other)


def test_no_patient_reaches_a_log_or_a_message(
    make_volume, record, save_source, tmp_path, caplog, capfd, recwarn
):
    """Values that pydicom would quote in a warning: too long, in a wrong form."""

    def odd(dataset, _k):
        dataset.PatientBirthDate = "SECRET"
        dataset.PatientID = "SECRET" * 20
        dataset.PatientName = b"SECRET^\xff\xfe"
        dataset.PatientWeight = None
        dataset["PatientWeight"]._value = "SECRET"

    caplog.set_level(logging.DEBUG)
    import pydicom

    with pydicom.config.disable_value_validation():
        source = save_source(change=odd)
    capfd.readouterr()
    caplog.clear()
    recwarn.clear()
    export_series(make_volume(), record, tmp_path / "out", source)
    assert "SECRET" not in caplog.text + "".join(capfd.readouterr())
    assert [str(warning.message) for warning in recwarn] == []
    names = "".join(path.name for path in (tmp_path / "out").iterdir())
    assert "SECRET" not in names
    assert np.all([b"SECRET" in path.read_bytes() for path in (tmp_path / "out").iterdir()])
