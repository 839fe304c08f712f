"""Volumes to and from NRRD, read by SimpleITK as an independent judge."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from SAMI2IPanel.nrrd import readNrrd, writeNrrd
from SAMI2IPanel.protocol import PanelError

OBLIQUE = np.array(
    [[0.1, -0.87, 0.3, 12.345678901234567], [0.9, 0.2, 0.1, -1e-7], [0.05, 0.3, -1.1, 1 / 3],
     [0, 0, 0, 1]]
)  # fmt: skip
LEFT_HANDED = np.diag([1.0, 1.0, -2.0, 1.0])
LPS = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture
def array():
    return np.random.default_rng(1).integers(0, 200, (3, 4, 5))


@pytest.mark.parametrize("matrix", [OBLIQUE, LEFT_HANDED], ids=["oblique", "left-handed"])
@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "int64", "float32", ">f8"])
def test_what_is_written_reads_back_to_the_last_digit(tmp_path, array, matrix, kind):
    path = tmp_path / "x.nrrd"
    writeNrrd(path, array.astype(kind), matrix)
    back, backMatrix = readNrrd(path)
    np.testing.assert_array_equal(back, array.astype(kind))
    np.testing.assert_array_equal(backMatrix, matrix)


def test_others_read_it_in_the_same_place(tmp_path, array):
    path = tmp_path / "x.nrrd"
    rotation = np.eye(4)
    rotation[:3, :3] = np.linalg.qr(OBLIQUE[:3, :3])[0] @ np.diag([0.9, 1.1, 3.0])
    rotation[:3, 3] = (10, -20, 30)
    writeNrrd(path, array.astype("int16"), rotation)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
    for index in ((0, 0, 0), (4, 3, 2)):
        expected = LPS @ (rotation @ [*index, 1])[:3]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), expected, atol=1e-6)


@pytest.mark.parametrize("compressed", [False, True])
def test_what_others_write_is_read_in_their_order(tmp_path, array, compressed):
    image = sitk.GetImageFromArray(array.astype("float32"))
    image.SetSpacing((0.5, 0.7, 2.0))
    image.SetOrigin((1.5, -2.5, 3.5))
    image.SetDirection((0, 1, 0, 1, 0, 0, 0, 0, 1))  # left-handed
    sitk.WriteImage(image, str(tmp_path / "x.nrrd"), compressed)
    back, matrix = readNrrd(tmp_path / "x.nrrd")
    np.testing.assert_array_equal(back, array)
    point = matrix @ [1, 2, 2, 1]
    np.testing.assert_allclose(
        point[:3], LPS @ image.TransformIndexToPhysicalPoint((1, 2, 2)), atol=1e-6
    )


def test_voxels_that_are_no_numbers_are_refused(tmp_path, array):
    with pytest.raises(PanelError, match="type complex64 cannot be translated"):
        writeNrrd(tmp_path / "x.nrrd", array.astype("complex64"), np.eye(4))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data.replace(b"raw", b"bz2"),
        lambda data: data.replace(b"encoding: raw", b"encoding: gzip"),
        gzip.compress,
    ],
)
def test_damaged_file_is_refused(tmp_path, array, damage):
    path = tmp_path / "x.nrrd"
    writeNrrd(path, array, np.eye(4))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PanelError, match=r"x\.nrrd is damaged or no volume"):
        readNrrd(path)
