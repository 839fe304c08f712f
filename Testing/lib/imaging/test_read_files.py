"""Reading NIfTI, NRRD and MetaImage: the right voxels in the right place, or a sentence."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import read_volume, write_volume

ARRAY_IJK = np.random.default_rng(0).integers(0, 200, (5, 6, 7))


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PSR", "ASL", "IRP"])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "SCAN.NII.GZ"])
def test_nifti_has_every_voxel_where_nibabel_has_it(codes, name, affine, save_nifti):
    matrix = affine(codes, (0.9, 1.2, 3.3), degrees=8.0, shape_ijk=(5, 6, 7))
    path = save_nifti(ARRAY_IJK.astype("int16"), matrix, name)
    volume, image = read_volume(path), nibabel.load(path)
    np.testing.assert_allclose(volume.ijk_to_ras, image.affine, atol=1e-5)
    assert np.array_equal(volume.array_kji, image.get_fdata().transpose(2, 1, 0))
    assert volume.name == name


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "i8", "u8", "f4", "f8", ">i2"])
def test_nifti_of_any_scalar_type_is_read(dtype, save_nifti):
    array = (ARRAY_IJK % 100).astype(dtype)
    path = save_nifti(array)
    assert np.array_equal(read_volume(path).array_kji, array.transpose(2, 1, 0))


def test_nifti_2_is_refused_by_name(tmp_path):
    image = nibabel.Nifti2Image(ARRAY_IJK.astype("f4"), np.diag([1, 2, 3, 1.0]))
    nibabel.save(image, tmp_path / "two.nii")
    with pytest.raises(InputError, match="NIfTI-2 file, which is not read"):
        read_volume(tmp_path / "two.nii")


def test_nifti_rescale_slope_is_honored(save_nifti, patch_bytes):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="s.nii")
    patch_bytes(path, 112, struct.pack("<2f", 2.5, 7.0))
    expected = ARRAY_IJK.transpose(2, 1, 0) * 2.5 + 7.0
    np.testing.assert_allclose(read_volume(path).array_kji, expected)


def test_nifti_with_a_fourth_dimension_of_one_is_a_volume(save_nifti):
    path = save_nifti(ARRAY_IJK.astype("i2")[..., None])
    assert np.array_equal(read_volume(path).array_kji, ARRAY_IJK.transpose(2, 1, 0))


def test_nifti_with_a_single_sagittal_slice_keeps_its_place(affine, save_nifti):
    matrix = affine("PSR", (1, 1, 4.0), shape_ijk=(5, 6, 1))
    volume = read_volume(save_nifti(ARRAY_IJK[:, :, :1].astype("f4"), matrix))
    assert volume.array_kji.shape == (1, 6, 5)
    np.testing.assert_allclose(volume.ijk_to_ras, matrix, atol=1e-6)


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_other_formats_written_by_itk_keep_voxels_and_place(ending, compressed, tmp_path):
    image = SimpleITK.GetImageFromArray(ARRAY_IJK.transpose(2, 1, 0).astype("int16"))
    image.SetSpacing((0.5, 0.75, 2.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    path = tmp_path / f"bild größer{ending}"
    SimpleITK.WriteImage(image, str(path), useCompression=compressed)
    volume = read_volume(path)
    assert np.array_equal(volume.array_kji, ARRAY_IJK.transpose(2, 1, 0))
    # ITK's axes grow to the left and to posterior, RAS to the right and to anterior.
    expected = [[-0.5, 0, 0, -10], [0, -0.75, 0, -20], [0, 0, 2, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.ijk_to_ras, expected, atol=1e-12)


def test_mha_with_a_fourth_dimension_of_one_is_a_volume(tmp_path):
    image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(np.ones((3, 4, 5), "f4"))])
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    assert read_volume(tmp_path / "a.mha").array_kji.shape == (3, 4, 5)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd"])
def test_endings_in_capitals_are_read(ending, noise, tmp_path):
    volume = noise((3, 4, 5))
    write_volume(volume, tmp_path / f"a{ending}")
    path = (tmp_path / f"a{ending}").rename(tmp_path / f"A{ending.upper()}")
    assert np.array_equal(read_volume(path).array_kji, volume.array_kji)


def test_reading_leaves_the_file_as_it_was(save_nifti):
    path = save_nifti(ARRAY_IJK.astype("i2"))
    before, stat = path.read_bytes(), path.stat()
    read_volume(path)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == stat.st_mtime_ns


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_volume(tmp_path / "nothing.nii")


def test_series_uid_is_refused_for_a_file(save_nifti):
    with pytest.raises(InputError, match="A series is chosen in a DICOM folder"):
        read_volume(save_nifti(ARRAY_IJK.astype("i2")), series_uid="1.2")


@pytest.mark.parametrize("name", ["notes.txt", "picture.png", "noending", ".nii"])
def test_other_file_names_are_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(InputError, match="is not a volume: its name must end in"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("content", [b"", b"hello world\n" * 100])
def test_a_file_that_is_no_image_is_refused(ending, content, tmp_path, capfd):
    path = tmp_path / f"fake{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"fake.* (is not a|cannot be read as an image)"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.fault("source-damaged")
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("kept", [0.98, 0.5])
def test_a_truncated_file_is_refused(ending, kept, noise, tmp_path, capfd):
    path = tmp_path / f"cut{ending}"
    write_volume(noise((20, 20, 20)), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=r"cut.*(truncated|damaged|cannot be read as an image)"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.fault("source-damaged")
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_compressed_file_with_one_wrong_byte_is_refused(
    ending, noise, tmp_path, patch_bytes, capfd
):
    path = tmp_path / f"bad{ending}"
    write_volume(noise((20, 20, 20)), path)
    middle = path.stat().st_size // 2
    patch_bytes(path, middle, bytes([path.read_bytes()[middle] ^ 0xFF]))
    with pytest.raises(InputError, match=r"bad.*(damaged|cannot be read as an image)"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_a_gzip_file_cut_within_its_header_is_refused(tmp_path):
    path = tmp_path / "short.nii.gz"
    path.write_bytes(gzip.compress(b"x" * 348)[:15])
    with pytest.raises(InputError, match="damaged gzip"):
        read_volume(path)


def test_a_truncated_mhd_data_file_and_a_missing_one_are_refused(tmp_path):
    image = SimpleITK.GetImageFromArray(np.ones((4, 4, 4), "f4"))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").write_bytes(b"short")
    with pytest.raises(InputError, match=r"a\.raw is truncated"):
        read_volume(tmp_path / "a.mhd")
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"names the data file 'a\.raw', which is not there"):
        read_volume(tmp_path / "a.mhd")


def test_a_time_series_is_refused(save_nifti, tmp_path):
    path = save_nifti(np.stack([ARRAY_IJK, ARRAY_IJK], -1).astype("i2"))
    with pytest.raises(InputError, match=r"4D \(5 x 6 x 7 x 2\)"):
        read_volume(path)


def test_a_single_2d_image_is_refused(save_nifti):
    with pytest.raises(InputError, match="is 2D"):
        read_volume(save_nifti(ARRAY_IJK[:, :, 0].astype("i2")))


def test_color_vectors_and_complex_numbers_are_refused(save_nifti, tmp_path):
    color = np.zeros((5, 6, 7), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="3 values per voxel"):
        read_volume(save_nifti(color, name="rgb.nii"))
    with pytest.raises(InputError, match="complex"):
        read_volume(save_nifti(ARRAY_IJK.astype("c8"), name="complex.nii"))
    vectors = SimpleITK.GetImageFromArray(np.zeros((4, 4, 4, 3), "f4"), isVector=True)
    SimpleITK.WriteImage(vectors, str(tmp_path / "v.nrrd"))
    with pytest.raises(InputError, match="3 values per voxel"):
        read_volume(tmp_path / "v.nrrd")


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4"])
def test_nan_and_inf_are_refused_and_counted(dtype, save_nifti):
    array = ARRAY_IJK.astype(dtype)
    array[0, 0, 0], array[1, 2, 3] = np.nan, np.inf
    with pytest.raises(InputError, match=r"image\.nii\.gz holds 2 voxels"):
        read_volume(save_nifti(array))


def test_nan_in_other_formats_is_refused(tmp_path):
    image = SimpleITK.GetImageFromArray(np.array([[[1, np.nan]]], "f4"))
    for name in ("a.nrrd", "a.mha"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
        with pytest.raises(InputError, match="holds 1 voxels that are NaN"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("with_qform", [False, True])
def test_a_sheared_nifti_is_refused(with_qform, save_nifti, patch_bytes, capfd):
    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    path = save_nifti(ARRAY_IJK.astype("i2"), matrix, "sheared.nii")
    if with_qform:  # ITK would take the qform and say nothing
        patch_bytes(path, 252, struct.pack("<h", 1))
    with pytest.raises(InputError, match=r"sform of sheared\.nii is sheared"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_a_sheared_nrrd_and_a_sheared_mha_are_refused(tmp_path):
    image = SimpleITK.GetImageFromArray(np.ones((4, 4, 4), "f4"))
    image.SetDirection((1, 0.3, 0, 0, 1, 0, 0, 0, 1))
    for name in ("sheared.nrrd", "sheared.mha"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
        with pytest.raises(InputError, match="sheared: two voxel axes"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("pixdim", [0.0, -2.0, np.nan, np.inf])
def test_a_nifti_voxel_size_that_is_none_is_refused(pixdim, save_nifti, patch_bytes):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="size.nii")
    patch_bytes(path, 76 + 4 * 3, struct.pack("<f", pixdim))
    with pytest.raises(InputError, match="zero, negative or not a number"):
        read_volume(path)


def test_a_nifti_with_two_voxel_sizes_is_refused(save_nifti, patch_bytes):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="two.nii")
    patch_bytes(path, 76 + 4 * 3, struct.pack("<f", 2.0))
    with pytest.raises(InputError, match=r"gives two voxel sizes: .*1\.0\] mm by its sform"):
        read_volume(path)


def test_a_nifti_with_nan_in_its_affine_is_refused(save_nifti, patch_bytes, capfd):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="nan.nii")
    patch_bytes(path, 280 + 4 * 3, struct.pack("<f", np.nan))
    with pytest.raises(InputError, match=r"sform of nan\.nii holds NaN"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_a_nifti_with_a_zero_sform_is_refused(save_nifti, patch_bytes):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="zero.nii")
    patch_bytes(path, 280, bytes(48))
    with pytest.raises(InputError, match="zero spacing"):
        read_volume(path)


def test_a_nifti_without_orientation_is_refused(save_nifti, patch_bytes):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="lost.nii")
    patch_bytes(path, 252, struct.pack("<2h", 0, 0))
    with pytest.raises(InputError, match="does not say how the patient lies"):
        read_volume(path)


def test_a_nifti_with_only_a_qform_is_read_where_nibabel_has_it(affine, tmp_path):
    matrix = affine("PSR", (1, 1.2, 2), degrees=8.0, shape_ijk=(5, 6, 7))
    image = nibabel.Nifti1Image(ARRAY_IJK.astype("i2"), None)
    image.set_qform(matrix, code=1)
    nibabel.save(image, tmp_path / "q.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "q.nii").ijk_to_ras, matrix, atol=1e-5)


def test_a_nifti_with_broken_sizes_or_offset_is_refused(save_nifti, patch_bytes, capfd):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="broken.nii")
    patch_bytes(path, 108, struct.pack("<f", np.nan))
    with pytest.raises(InputError, match="data offset is nan"):
        read_volume(path)
    patch_bytes(path, 40, struct.pack("<4h", 3, -5, 6, 7))
    patch_bytes(path, 108, struct.pack("<f", 352))
    with pytest.raises(InputError, match="broken header: sizes"):
        read_volume(path)
    patch_bytes(path, 40, struct.pack("<4h", 99, 5, 6, 7))
    with pytest.raises(InputError, match="broken header: sizes"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_a_header_that_promises_absurdly_many_voxels_is_refused_before_reading(
    save_nifti, patch_bytes, noise, tmp_path
):
    path = save_nifti(ARRAY_IJK.astype("i2"), name="huge.nii")
    patch_bytes(path, 40, struct.pack("<4h", 3, 32000, 32000, 32000))
    with pytest.raises(InputError, match=r"huge\.nii has 32000 x 32000 x 32000 voxels"):
        read_volume(path)
    for name in ("huge.mha", "huge.nrrd"):
        write_volume(noise((10, 11, 12)), tmp_path / name)
        content = (tmp_path / name).read_bytes().replace(b"10 11 12", b"90000 80000 70000", 1)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="more than the limit"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize(
    ("field", "match"),
    [
        ("ElementSpacing = 1 1 0", "zero, negative or not a number"),
        ("ElementSpacing = 1 -1 1", "zero, negative or not a number"),
        ("ElementSpacing = 1 nan 1", "zero, negative or not a number"),
        ("DimSize = 4 0 4", "broken header: sizes"),
        ("DimSize = 4 four 4", "broken header"),
        ("ElementNumberOfChannels = -1", "broken header: .* -1 channels"),
    ],
)
def test_a_metaimage_with_a_broken_header_is_refused(field, match, tmp_path, capfd):
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": "4 4 4",
        "ElementSpacing": "1 1 1",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "ElementType": "MET_UCHAR",
    }
    key, _, value = field.partition(" = ")
    lines[key] = value
    text = "".join(f"{k} = {v}\n" for k, v in lines.items()) + "ElementDataFile = LOCAL\n"
    (tmp_path / "m.mha").write_bytes(text.encode() + bytes(64))
    with pytest.raises(InputError, match=match):
        read_volume(tmp_path / "m.mha")
    assert capfd.readouterr() == ("", "")


def test_an_unreadable_file_is_refused(save_nifti, monkeypatch):
    path = save_nifti(ARRAY_IJK.astype("i2"))

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(InputError, match=r"cannot be read: Permission denied"):
        read_volume(path)
