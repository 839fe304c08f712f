"""What a header leaves out or says twice, and files that never end."""

import gzip
import os
import struct
import sys
import zlib

import nibabel
import numpy as np
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import header_checks, read_volume

ARRAY_IJK = np.arange(1, 121, dtype="i2").reshape(4, 5, 6)
NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 5 6\nencoding: raw\nendian: little\n"
MHA = "ObjectType = Image\nNDims = 3\nDimSize = 4 5 6\nElementType = MET_SHORT\n"
DIRECTION = "TransformMatrix = 1 0 0 0 1 0 0 0 1\n"
SMALL = 2**16


def turned(degrees, spacing=(1.0, 1.0, 2.0), flip=1.0):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, flip]] @ np.diag(spacing)
    matrix[:3, 3] = (3, -7, 11)
    return matrix


def save_forms(path, qform, qform_code, sform, sform_code):
    image = nibabel.Nifti1Image(ARRAY_IJK, None)
    image.set_qform(qform, qform_code)
    image.set_sform(sform, sform_code)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("codes", [(0, 2), (1, 0), (1, 1), (2, 1)])
def test_nifti_with_two_positions_is_read_where_all_programs_agree(tmp_path, codes):
    path = save_forms(tmp_path / "x.nii", turned(5), codes[0], turned(-30), codes[1])
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, nibabel.load(path).affine, atol=1e-5)


@pytest.mark.parametrize(
    ("codes", "counts"),
    [((1, 2), "sform"), ((1, 4), "sform"), ((2, 2), "sform"), ((3, 2), "qform")],
)
def test_nifti_with_two_positions_that_are_close_lies_where_the_higher_code_says(
    tmp_path, codes, counts
):
    qform, sform = turned(5), turned(5)
    sform[0, 3] += 12.0
    volume = read_volume(save_forms(tmp_path / "x.nii", qform, codes[0], sform, codes[1]))
    expected = {"sform": sform, "qform": qform}[counts]
    np.testing.assert_allclose(volume.ijk_to_ras, expected, atol=1e-5)
    assert np.array_equal(volume.array_kji, ARRAY_IJK.T)
    (notice,) = volume.notices
    assert notice.code == "two-positions"
    assert "x.nii lies in two places, 12.0 mm apart" in notice.message
    assert f"The {counts} counts here" in notice.message


def mirrored(matrix):
    matrix[0, :3] *= -1
    return matrix


@pytest.mark.parametrize("other", [mirrored(turned(5)), turned(95)])
def test_nifti_whose_two_positions_disagree_about_the_sides_is_refused(tmp_path, other):
    path = save_forms(tmp_path / "x.nii", turned(5), 1, other, 2)
    with pytest.raises(InputError, match=r"x\.nii lies in two places"):
        read_volume(path)


def test_nifti_with_two_positions_far_apart_is_refused(tmp_path):
    moved = turned(5)
    moved[0, 3] += 25.0
    path = save_forms(tmp_path / "x.nii", turned(5), 1, moved, 2)
    with pytest.raises(InputError, match=r"x\.nii lies in two places, 25\.0 mm apart"):
        read_volume(path)


@pytest.mark.parametrize("flip", [1.0, -1.0])
@pytest.mark.parametrize("degrees", [0, 5, -70, 180])
def test_nifti_with_one_position_written_twice_is_read(tmp_path, degrees, flip):
    matrix = turned(degrees, flip=flip)
    path = save_forms(tmp_path / "x.nii", matrix, 1, matrix, 2)
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, matrix, atol=1e-5)


def test_nifti_whose_qform_is_not_finite_is_refused(tmp_path, patch_bytes):
    path = save_forms(tmp_path / "x.nii", turned(5), 1, turned(5), 2)
    patch_bytes(path, 268, struct.pack("<f", float("nan")))  # qoffset_x
    with pytest.raises(InputError, match="lies in two places"):
        read_volume(path)


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ("spacings: 1 1 2\n", "space such as"),
        ("space dimension: 3\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n", "space such as"),
        ("space: scanner-xyz\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n", "space such as"),
        ("space: LPS\n", "space directions"),
        ("space:=LPS\nspacings: 1 1 2\n", "space such as"),
    ],
)
def test_nrrd_that_does_not_say_its_direction_is_refused(tmp_path, fields, missing):
    (tmp_path / "x.nrrd").write_bytes((NRRD + fields + "\n").encode() + ARRAY_IJK.tobytes())
    with pytest.raises(InputError, match=rf"how the patient lies in it .*no {missing}"):
        read_volume(tmp_path / "x.nrrd")


@pytest.mark.parametrize(
    ("space", "codes"), [("RAS", (1, 1, 2)), ("left-posterior-superior", (-1, -1, 2))]
)
def test_nrrd_of_an_anatomical_space_is_read(tmp_path, space, codes):
    fields = f"space: {space}\nspace directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\n"
    (tmp_path / "x.nrrd").write_bytes((NRRD + fields + "\n").encode() + ARRAY_IJK.tobytes())
    assert np.array_equal(np.diag(read_volume(tmp_path / "x.nrrd").ijk_to_ras)[:3], codes)


def test_metaimage_that_does_not_say_its_direction_is_refused(tmp_path):
    header = MHA + "ElementDataFile = LOCAL\n"
    (tmp_path / "x.mha").write_bytes(header.encode() + ARRAY_IJK.tobytes())
    with pytest.raises(InputError, match=r"how the patient lies in it .*no TransformMatrix"):
        read_volume(tmp_path / "x.mha")


def test_metaimage_written_as_text_is_read(tmp_path):
    header = MHA + DIRECTION + "BinaryData = False\nElementDataFile = LOCAL\n"
    text = " ".join(str(n % 10) for n in range(120))
    (tmp_path / "x.mha").write_text(header + text + "\n")
    assert read_volume(tmp_path / "x.mha").array_kji.ravel()[:12].tolist() == [
        *range(10), 0, 1,
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no devices in folders")
def test_metaimage_whose_data_file_is_a_device_is_refused(tmp_path):
    (tmp_path / "x.mhd").write_text(MHA + DIRECTION + "ElementDataFile = /dev/zero\n")
    with pytest.raises(InputError, match="/dev/zero', which is not there"):
        read_volume(tmp_path / "x.mhd")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.nii")
    with pytest.raises(InputError, match=r"x\.nii is not a regular file"):
        read_volume(tmp_path / "x.nii")


def test_nifti_that_inflates_far_beyond_its_header_is_refused(tmp_path, monkeypatch, save_nifti):
    monkeypatch.setattr("SAMI2ILib.imaging.nifti_checks.MOST_TRAILING_BYTES", SMALL)
    monkeypatch.setattr(header_checks, "MOST_TRAILING_BYTES", SMALL)
    content = save_nifti(ARRAY_IJK, name="y.nii").read_bytes()
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(content + bytes(SMALL - 1)))
    assert read_volume(tmp_path / "x.nii.gz").array_kji.max() == 120
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(content + bytes(40 * SMALL)))
    with pytest.raises(InputError, match="far more data than the 592 bytes"):
        read_volume(tmp_path / "x.nii.gz")


def test_metaimage_that_inflates_far_beyond_its_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(header_checks, "MOST_TRAILING_BYTES", SMALL)
    header = MHA + DIRECTION + "CompressedData = True\nElementDataFile = LOCAL\n"
    bomb = zlib.compress(bytes(40 * SMALL))
    (tmp_path / "x.mha").write_bytes(header.encode() + bomb)
    with pytest.raises(InputError, match="far more data than the 240 bytes"):
        read_volume(tmp_path / "x.mha")


@pytest.mark.parametrize("length", [1, 255, 256, 257, 1000, 100_000])
def test_every_inflated_byte_is_counted(monkeypatch, tmp_path, length):
    monkeypatch.setattr(header_checks, "_CHUNK_BYTES", 256)  # output and input end anywhere
    (tmp_path / "x").write_bytes(zlib.compress(bytes(length)))
    with (tmp_path / "x").open("rb") as stream:
        assert header_checks._count_inflated_bytes(stream, length, "x") == length
