"""DICOM folders written with pydicom: placed by their own headers, refused where doubtful."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import axis_codes, read_volume

ARRAY = np.random.default_rng(1).integers(0, 500, (6, 4, 5))
SECOND_UID = "1.2.826.0.1.3680043.8.498.2"


def test_series_has_its_voxels_where_the_headers_say(save_dicom):
    volume = read_volume(save_dicom(ARRAY))
    # Columns are 0.75 mm apart and go to the left, rows 0.5 mm to posterior, slices 2.5 mm up.
    expected = [[-0.75, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, 2.5, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.ijk_to_ras, expected, atol=1e-9)
    assert np.array_equal(volume.array_kji, ARRAY)
    assert volume.name == "dicom"


def test_slices_are_sorted_by_position_and_not_by_file_name(save_dicom):
    positions = [(-10.0, -20.0, 30.0 - 2.5 * k) for k in range(6)]
    volume = read_volume(save_dicom(ARRAY, positions=positions))
    assert np.array_equal(volume.array_kji, ARRAY[::-1])
    assert volume.ijk_to_ras[2, 3] == pytest.approx(17.5)


def test_oblique_sagittal_series_follows_the_header(save_dicom):
    angle = np.radians(8.0)
    row = np.array([0.0, np.cos(angle), np.sin(angle)])
    column = np.array([0.0, np.sin(angle), -np.cos(angle)])
    normal = np.cross(row, column)
    positions = [np.array([5.0, 6.0, 7.0]) + 2.5 * k * normal for k in range(6)]
    volume = read_volume(save_dicom(ARRAY, positions=positions, orientation=(*row, *column)))
    lps_to_ras = np.diag([-1, -1, 1])
    expected = lps_to_ras @ np.stack([0.75 * row, 0.5 * column, 2.5 * normal], axis=1)
    np.testing.assert_allclose(volume.ijk_to_ras[:3, :3], expected, atol=1e-6)
    np.testing.assert_allclose(volume.ijk_to_ras[:3, 3], (-5, -6, 7), atol=1e-6)
    assert axis_codes(volume.ijk_to_ras) == "PIR"


def test_each_slice_has_its_own_rescale_slope(save_dicom):
    slopes = [1, 2, 0.5, 1.25, 4, 1]
    volume = read_volume(save_dicom(ARRAY, slopes=slopes))
    np.testing.assert_allclose(volume.array_kji, ARRAY * np.reshape(slopes, (6, 1, 1)))


def test_a_single_slice_takes_its_thickness_as_spacing(save_dicom):
    volume = read_volume(save_dicom(ARRAY[:1]))
    assert volume.array_kji.shape == (1, 4, 5)
    assert volume.spacing_mm == pytest.approx((0.75, 0.5, 2.5))


def test_folder_with_two_series_is_refused_and_lists_them(save_dicom):
    save_dicom(ARRAY)
    folder = save_dicom(ARRAY[:4], uid=SECOND_UID, description="T2 axial")
    with pytest.raises(InputError, match="holds 2 DICOM series") as caught:
        read_volume(folder)
    assert "--series" in caught.value.hint
    assert f"{SECOND_UID} (T2 axial, 4 files)" in caught.value.hint
    assert "(T1 axial, 6 files)" in caught.value.hint


def test_series_uid_chooses_among_two(save_dicom):
    save_dicom(ARRAY)
    folder = save_dicom(ARRAY[:4] + 1, uid=SECOND_UID)
    assert np.array_equal(read_volume(folder, SECOND_UID).array_kji, ARRAY[:4] + 1)
    with pytest.raises(InputError, match=r"holds no DICOM series 9\.9"):
        read_volume(folder, "9.9")


def test_folder_without_dicom_is_refused(tmp_path, capfd):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no DICOM series"):
        read_volume(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_single_dicom_file_points_to_its_folder(save_dicom):
    folder = save_dicom(ARRAY)
    with pytest.raises(InputError, match="one file of a DICOM series"):
        read_volume(next(folder.iterdir()))


def test_a_missing_slice_is_refused(save_dicom):
    with pytest.raises(InputError, match=r"uneven slice distances: 2\.50 mm .* 5\.00 mm"):
        read_volume(save_dicom(ARRAY, skip=(3,)))


def test_two_slices_at_one_position_are_refused(save_dicom):
    positions = [(0.0, 0.0, 2.5 * (k // 2)) for k in range(6)]
    with pytest.raises(InputError, match="two slices at one position"):
        read_volume(save_dicom(ARRAY, positions=positions))


def test_a_tilted_gantry_is_refused(save_dicom):
    positions = [(0.0, 0.5 * k, 2.5 * k) for k in range(6)]
    with pytest.raises(InputError, match="gantry tilt"):
        read_volume(save_dicom(ARRAY, positions=positions))


def test_slices_of_different_direction_are_refused(save_dicom):
    save_dicom(ARRAY[:3])
    folder = save_dicom(ARRAY, orientation=(0, 1, 0, 0, 0, -1), skip=(0, 1, 2))
    with pytest.raises(InputError, match="mixes slices of different direction"):
        read_volume(folder)


def test_a_multi_frame_file_is_refused(save_dicom):
    with pytest.raises(InputError, match="multi-frame"):
        read_volume(save_dicom(ARRAY[:1], frames=3))


def test_a_color_series_is_refused(save_dicom):
    pydicom = pytest.importorskip("pydicom")
    folder = save_dicom(ARRAY[:1])
    path = next(folder.iterdir())
    dataset = pydicom.dcmread(path)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration, dataset.PixelRepresentation = 0, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.PixelData = bytes(4 * 5 * 3)
    dataset.save_as(path)
    with pytest.raises(InputError, match="is in color"):
        read_volume(folder)


def test_slices_without_a_position_are_refused(save_dicom):
    pydicom = pytest.importorskip("pydicom")
    folder = save_dicom(ARRAY[:1])
    path = next(folder.iterdir())
    dataset = pydicom.dcmread(path)
    del dataset.ImagePositionPatient
    dataset.save_as(path)
    with pytest.raises(InputError, match="does not say where it lies"):
        read_volume(folder)


@pytest.mark.fault("source-damaged")
def test_a_truncated_last_slice_is_refused(save_dicom, capfd):
    folder = save_dicom(ARRAY)
    path = sorted(folder.iterdir())[-1]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"{path.name} is damaged: .* claims 40 bytes, 20 are"):
        read_volume(folder)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_dicom_by_its_start_alone_is_refused(save_dicom, capfd):
    folder = save_dicom(ARRAY)
    (folder / "z.dcm").write_bytes(bytes(128) + b"DICM" + bytes(200))
    with pytest.raises(InputError, match=r"1 DICOM files that cannot be read.*z\.dcm"):
        read_volume(folder)
    assert capfd.readouterr() == ("", "")
