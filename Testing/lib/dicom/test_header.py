"""What an exported series says of its patient, its origin and itself."""

import pydicom
import pytest

from SAMI2ILib.dicom.export import export_series
from SAMI2ILib.dicom.series_header import ExportOptions
from SAMI2ILib.dicom.synthesis import Synthesis
from SAMI2ILib.errors import InputError

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "StudyInstanceUID", "FrameOfReferenceUID", "BodyPartExamined",
    "PatientPosition", "ReferringPhysicianName",
)  # fmt: skip


@pytest.fixture
def export(make_volume, record, tmp_path):
    """Export with defaults, give the headers in the order of the files."""

    def run(source=None, volume=None, **options):
        export_series(volume or make_volume(), record, tmp_path / "out", source,
                      options=ExportOptions(**options))  # fmt: skip
        return [pydicom.dcmread(path) for path in sorted((tmp_path / "out").iterdir())]

    return run


@pytest.mark.parametrize("number", [-1, 2**31])
def test_series_number_that_dicom_cannot_hold_is_refused(number):
    with pytest.raises(
        InputError, match=f"The series number must be 0 to 2147483647, not {number}"
    ):
        ExportOptions(series_number=number)


def codes(sequence):
    return [(item.CodeValue, item.CodingSchemeDesignator) for item in sequence]


def test_series_joins_patient_study_and_frame_of_reference(export, save_source):
    source = save_source()
    original = pydicom.dcmread(next(source.iterdir()))
    for instance in export(source):
        for keyword in PATIENT_AND_STUDY:
            assert str(instance[keyword].value) == str(original[keyword].value), keyword
        assert instance.SpecificCharacterSet == "ISO_IR 192"


def test_every_instance_says_that_it_is_synthetic(export, save_source):
    for instance in export(save_source()):
        assert instance.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert "SYNTHETIC" in instance.ImageType
        assert instance.SeriesDescription == "SYNTHETIC T2 from t1_mprage"
        assert instance.DerivationDescription.startswith("Synthetic T2, estimated from T1 by the")
        assert "cd" * 32 in instance.DerivationDescription
        assert "never use it for diagnosis" in instance.DerivationDescription
        assert codes(instance.DerivationCodeSequence) == [("SYNTHESIS", "99SAMI2I")]
        assert instance.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99SAMI2I"
        assert "only 6 slices" in instance.ImageComments
        assert instance.BurnedInAnnotation == "NO"
        assert instance.Modality == "MR"
        assert instance.SOPClassUID == pydicom.uid.MRImageStorage


def test_nothing_of_the_acquisition_is_claimed(export, save_source):
    instance = export(save_source())[0]
    assert instance.ScanningSequence == "RM"
    for keyword in ("RepetitionTime", "EchoTime", "EchoTrainLength"):
        assert instance[keyword].value is None
    assert "MagneticFieldStrength" not in instance
    assert instance.Manufacturer == "SAM-I2I for 3D Slicer"


def test_scanner_and_software_are_contributing_equipment(export, save_source):
    scanner, software = export(save_source())[0].ContributingEquipmentSequence
    assert scanner.Manufacturer == "ACME"
    assert codes(scanner.PurposeOfReferenceCodeSequence) == [("109101", "DCM")]
    assert software.ManufacturerModelName == "SAM-I2I"
    assert codes(software.PurposeOfReferenceCodeSequence) == [("109100", "DCM")]
    assert software.ContributionDateTime == "20260801223000+0000"


def test_source_images_are_those_of_the_series(export, save_source):
    for k, instance in enumerate(export(save_source())):
        (image,) = instance.SourceImageSequence
        assert image.ReferencedSOPInstanceUID == f"1.2.826.0.1.3680043.8.498.1.{k + 1}"
        assert image.SpatialLocationsPreserved == "YES"
        assert codes(image.PurposeOfReferenceCodeSequence) == [("121322", "DCM")]
        (series,) = instance.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == "1.2.826.0.1.3680043.8.498.1"


def test_identifiers_are_new_and_of_one_root(export, save_source):
    instances = export(save_source())
    assert len({instance.SeriesInstanceUID for instance in instances}) == 1
    uids = {instance.SOPInstanceUID for instance in instances}
    assert len(uids) == len(instances) == 5
    for uid in [*uids, instances[0].SeriesInstanceUID]:
        assert uid.startswith("2.25.")
        assert pydicom.uid.UID(uid).is_valid
    implementation = {instance.file_meta.ImplementationClassUID for instance in instances}
    # Names this software in archives' logs: it must never change.
    assert implementation == {"2.25.171199150078802228529119329192677494872"}


def test_times_are_in_the_zone_of_the_source(export, save_source):
    instance = export(save_source(TimezoneOffsetFromUTC="+0530"))[0]
    # 22:30 UTC is four in the morning of the next day.
    assert (instance.ContentDate, instance.ContentTime) == ("20260802", "040000")


def test_a_damaged_zone_of_the_source_does_no_harm(export, save_source):
    assert export(save_source(TimezoneOffsetFromUTC="east"))[0].ContentDate.startswith("202608")


def test_results_of_one_source_file_share_a_study_of_an_unknown_patient(
    make_volume, record, tmp_path
):
    first = export_series(make_volume(), record, tmp_path / "T2")
    second = export_series(make_volume(), {**record, "target_contrast": "PD"}, tmp_path / "PD")
    other_source = {**record, "source": {"file": "b.nii", "sha256": "12" * 32}}
    third = export_series(make_volume(), other_source, tmp_path / "other")
    assert first.study_uid == second.study_uid != third.study_uid
    assert first.series_uid != second.series_uid
    one, two = (pydicom.dcmread(tmp_path / name / "IM00001.dcm") for name in ("T2", "PD"))
    assert one.PatientID == two.PatientID == "SYNTHETIC-ABABABABABAB"
    assert one.FrameOfReferenceUID == two.FrameOfReferenceUID
    assert two.SeriesDescription == "SYNTHETIC PD from T1"
    assert one.StudyDate == ""
    assert "SourceImageSequence" not in one


def test_patient_and_study_can_be_given_where_there_is_no_source(export, save_source):
    given = {"PatientName": "Doe^Jane", "PatientID": "77", "StudyDate": "20260101",
             "PatientSex": "", "Modality": "CT"}  # fmt: skip
    instance = export(patient=given)[0]
    assert (instance.PatientName, instance.PatientID) == ("Doe^Jane", "77")
    assert (instance.StudyDate, instance.PatientSex, instance.Modality) == ("20260101", "", "MR")


def test_a_given_patient_does_not_replace_that_of_a_source(export, save_source):
    assert export(save_source(), patient={"PatientID": "77"})[0].PatientID == "4711"


def test_two_given_patients_share_no_study(make_volume, record, tmp_path):
    studies = [
        export_series(
            make_volume(), record, tmp_path / name,
            options=ExportOptions(patient={"PatientID": name}),
        ).study_uid
        for name in ("a", "b")
    ]  # fmt: skip
    assert studies[0] != studies[1]


def test_record_without_a_hash_gets_a_study_of_its_own(make_volume, record, tmp_path):
    record["source"] = {"node": "T1"}
    first = export_series(make_volume(), record, tmp_path / "1")
    assert first.study_uid != export_series(make_volume(), record, tmp_path / "2").study_uid


def test_what_the_source_lacks_is_empty_or_new(export, save_source):
    def strip(dataset, _k):
        for keyword in ("PatientName", "PatientID", "FrameOfReferenceUID", "BodyPartExamined",
                        "SeriesDescription", "SeriesNumber", "Manufacturer"):  # fmt: skip
            delattr(dataset, keyword)

    instance = export(save_source(change=strip))[0]
    assert (instance.PatientName, instance.PatientID, instance.Laterality) == ("", "", "")
    assert instance.FrameOfReferenceUID.startswith("2.25.")
    assert instance.SeriesDescription == "SYNTHETIC T2 from T1"
    assert instance.SeriesNumber == 9001
    assert instance.ContributingEquipmentSequence[0].Manufacturer == "UNKNOWN"


def test_a_latin_name_without_a_character_set_is_kept(export, save_source):
    def latin(dataset, _k):
        del dataset.SpecificCharacterSet
        dataset.PatientName = "Gr\xf6\xdfe^Zo\xeb".encode("latin-1")
        dataset.ReferringPhysicianName = ""

    assert str(export(save_source(change=latin))[0].PatientName) == "Größe^Zoë"


def test_lossy_compression_of_the_source_stays_said(export, save_source):
    source = save_source(LossyImageCompression="01", LossyImageCompressionRatio="10")
    instance = export(source)[0]
    assert (instance.LossyImageCompression, instance.LossyImageCompressionRatio) == ("01", 10)


def test_number_and_attribute_can_be_chosen(export, save_source):
    instance = export(save_source(), series_number=77, synthetic_data_attribute=True)[0]
    assert instance.SeriesNumber == 77
    assert instance[0x0008001C].value == "YES"


def test_an_unreadable_series_number_of_the_source_does_no_harm(export, save_source):
    def break_number(dataset, _k):
        dataset[0x00200011] = pydicom.DataElement(0x00200011, "LO", "four")

    assert export(save_source(change=break_number))[0].SeriesNumber == 9001


@pytest.mark.parametrize(
    "damage",
    [
        {"synthetic": False},
        {"target_contrast": ""},
        {"model": None},
        {"date": "yesterday"},
        {"warnings": [{}]},
        {"source_contrast": 7},
    ],
)
def test_a_damaged_record_is_refused(record, damage):
    with pytest.raises(InputError, match="damaged or was changed by hand"):
        Synthesis.from_record({**record, **damage})


def test_words_of_a_record_cannot_break_a_value(record):
    synthesis = Synthesis.from_record({**record, "target_contrast": "T2\\ORIGINAL\nX" + "y" * 99})
    assert synthesis.target.startswith("T2 ORIGINAL Xyyy")
    assert len(synthesis.target) == 64


def test_a_date_without_zone_is_in_utc(record):
    synthesis = Synthesis.from_record({**record, "date": "2026-08-01T22:30:00"})
    assert synthesis.made_at.isoformat() == "2026-08-01T22:30:00+00:00"
