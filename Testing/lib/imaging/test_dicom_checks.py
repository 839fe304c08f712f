"""Elements of a DICOM file that claim more than there is."""

import numpy as np
import pydicom
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import read_volume
from SAMI2ILib.imaging.dicom_checks import check_dicom_lengths

SYNTAXES = {
    "implicit": pydicom.uid.ImplicitVRLittleEndian,
    "explicit": pydicom.uid.ExplicitVRLittleEndian,
    "big endian": pydicom.uid.ExplicitVRBigEndian,
    "deflated": pydicom.uid.DeflatedExplicitVRLittleEndian,
}
HEAD = np.arange(60).reshape(3, 4, 5)


def save_as(path, syntax, **elements):
    dataset = pydicom.Dataset()
    dataset.PatientName, dataset.Modality = "DOE^JANE", "MR"
    dataset.update(elements)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_whole_file_of_any_syntax_is_accepted(tmp_path, syntax):
    nested = pydicom.Dataset()
    nested.PatientID = "7"
    path = save_as(
        tmp_path / "x", syntax, ReferencedPatientSequence=[nested], ImageComments="x" * 9_000
    )
    check_dicom_lengths(path)


@pytest.mark.parametrize(
    ("syntax", "tag", "length", "claimed"),
    [
        ("implicit", b"\x10\0\x10\0", b"\xff\xff\xff\x7f", "2,147,483,647"),
        ("explicit", b"\x10\0\x10\0PN", b"\xff\x7f", "32,767"),
        ("explicit", b"\x20\0\0\x40LT", b"\xff\xff", "65,535"),
        ("big endian", b"\0\x10\0\x10PN", b"\x7f\xff", "32,767"),
    ],
)
def test_element_that_claims_more_than_there_is_is_refused(tmp_path, syntax, tag, length, claimed):
    path = save_as(tmp_path / "x.dcm", SYNTAXES[syntax], ImageComments="x")
    content = path.read_bytes()
    place = content.index(tag) + len(tag)
    path.write_bytes(content[:place] + length + content[place + len(length) :])
    with pytest.raises(InputError, match=rf"x\.dcm is damaged: its element .* claims {claimed}"):
        check_dicom_lengths(path)


@pytest.mark.parametrize("content", [b"", b"\x02\0\x10\0", b"\x08\0\x05\0??xxxx", bytes(40)])
def test_what_is_not_understood_is_left_to_the_reader(tmp_path, content):
    (tmp_path / "x").write_bytes(bytes(128) + b"DICM" + content)
    check_dicom_lengths(tmp_path / "x")


def test_damaged_slice_is_named_before_its_length_is_reserved(save_dicom):
    folder = save_dicom(HEAD)
    path = sorted(folder.iterdir())[1]
    content = path.read_bytes()
    place = content.index(b"\xe0\x7f\x10\0OW") + 8  # the length of the voxels
    path.write_bytes(content[:place] + b"\0\0\0\x70" + content[place + 4 :])
    with pytest.raises(InputError, match=rf"{path.name} is damaged: its element \(7fe0,0010\)"):
        read_volume(folder)
