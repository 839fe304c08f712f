"""Odd and broken volumes: translated where they can be, else one line and nothing left."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from SAMI2ILib.imaging.io import read_volume


def save_nifti(path, array, matrix=None):
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if matrix is None else matrix), path)


def not_a_volume(path):
    path.write_bytes(b"This is no image." * 100)


def truncated_gzip(path):
    save_nifti(path, np.random.default_rng(0).random((20, 20, 20)).astype(np.float32))
    path.write_bytes(path.read_bytes()[:4000])


def corrupt_gzip(path):
    save_nifti(path, np.random.default_rng(0).random((20, 20, 20)).astype(np.float32))
    data = bytearray(path.read_bytes())
    data[3000:3100] = bytes(100)
    path.write_bytes(bytes(data))


def four_dimensional(path):
    save_nifti(path, np.ones((8, 8, 8, 3), np.float32))


def rgb(path):
    image = sitk.GetImageFromArray(np.ones((8, 8, 8, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(path))


def not_a_number(path):
    array = np.ones((8, 8, 8), np.float32)
    array[0, 0, :2] = np.nan, np.inf
    save_nifti(path, array)


def constant(path):
    save_nifti(path, np.full((8, 8, 8), 5, np.float32))


def all_zero(path):
    save_nifti(path, np.zeros((8, 8, 8), np.float32))


def sheared(path):
    matrix = np.eye(4)
    matrix[0, 1] = 0.4
    save_nifti(path, np.random.default_rng(0).random((8, 8, 8)).astype(np.float32), matrix)


BAD_INPUTS = {
    not_a_volume: "head.nii.gz",
    truncated_gzip: "head.nii.gz",
    corrupt_gzip: "head.nii.gz",
    four_dimensional: "4D|four|3D",
    rgb: "3 values per voxel",
    not_a_number: "2 voxels that are NaN",
    constant: "constant: every voxel is 5",
    all_zero: "constant: every voxel is 0",
    sheared: "shear",
}


@pytest.mark.fault("source-damaged")
@pytest.mark.parametrize(
    ("make", "message"), BAD_INPUTS.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_bad_input_is_one_line_and_leaves_nothing(translate, tmp_path, make, message, files_below):
    path = tmp_path / "head.nii.gz"
    make(path)
    before = path.read_bytes()
    outcome = translate(path, tmp_path / "out")
    assert outcome.code == 2, outcome.err
    line = outcome.error_line
    assert any(part.lower() in line.lower() for part in message.split("|")), line
    assert files_below(tmp_path) == ["head.nii.gz"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.uint8, np.int16])
def test_every_number_type_is_read(translate, make_head, tmp_path, dtype):
    array = np.round(make_head().array_kji / 4).astype(dtype).T
    path = tmp_path / "typed.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4), dtype=dtype), path)
    outcome = translate(path, tmp_path / "o.nrrd")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("shape", [(30, 30, 1), (3, 3, 3)])
def test_single_slice_and_tiny_volumes_are_translated_with_a_warning(translate, tmp_path, shape):
    path = tmp_path / "small.nii.gz"
    save_nifti(path, np.random.default_rng(0).random(shape).astype(np.float32) + 1)
    outcome = translate(path, tmp_path / "o.nii")
    assert outcome.code == 0, outcome.err
    assert "warning (few-slices)" in outcome.err
    assert nibabel.load(tmp_path / "o.nii").shape[:2] == shape[:2]


def test_negative_values_count_as_zero(translate, make_head, tmp_path):
    head = make_head()
    array = np.where(head.array_kji > 0, head.array_kji, -3).T
    save_nifti(tmp_path / "n.nii.gz", array.astype(np.float32))
    outcome = translate(tmp_path / "n.nii.gz", tmp_path / "o.nii")
    assert outcome.code == 0, outcome.err
    assert read_volume(tmp_path / "o.nii").array_kji.min() == 0
