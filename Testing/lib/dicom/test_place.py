"""Every voxel of an exported series lies where it lay in the volume, for two readers."""

import numpy as np
import pydicom
import pytest
import SimpleITK

from SAMI2ILib.dicom.export import export_series
from SAMI2ILib.errors import InputError

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
ROTATION = np.array([[0.936, 0.290, 0.199], [-0.275, 0.957, -0.095], [-0.218, 0.034, 0.975]])


def matrix(axes, spacing=(0.75, 0.5, 2.5), rotation=None):
    """A voxel matrix whose i, j, k grow along the given RAS unit vectors."""
    u, _s, v = np.linalg.svd(np.eye(3) if rotation is None else rotation)
    result = np.eye(4)
    result[:3, :3] = (u @ v) @ np.array(axes, dtype=float).T * spacing
    result[:3, 3] = 12.34, -5.678, 90.1
    return result


L, R, A, P, S, I = ((-1, 0, 0), (1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))  # noqa: E741
MATRICES = {
    "axial as radiologists see it": matrix([L, P, S]),
    "axial RAS": matrix([R, A, S]),
    "axial left-handed LAS": matrix([L, A, S]),
    "axial downwards": matrix([L, P, I]),
    "sagittal": matrix([P, I, R]),
    "sagittal left-handed": matrix([A, S, L]),
    "coronal": matrix([R, S, A]),
    "oblique": matrix([R, A, S], rotation=ROTATION),
    "oblique left-handed sagittal": matrix([P, S, L], rotation=ROTATION),
}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=MATRICES)
def exported(request, make_volume, record, tmp_path):
    volume = make_volume((4, 5, 6), MATRICES[request.param])
    export_series(volume, record, tmp_path / "out")
    return volume, tmp_path / "out"


def assert_same_places(volume, points_lps, values):
    """Each point is a voxel center of the volume, each voxel is met once, values agree."""
    ras = points_lps * LPS_TO_RAS
    inverse = np.linalg.inv(volume.ijk_to_ras)
    ijk = ras @ inverse[:3, :3].T + inverse[:3, 3]
    nearest = ijk.round().astype(int)
    assert np.abs(ijk - nearest).max() < 1e-4
    assert len(np.unique(nearest, axis=0)) == volume.array_kji.size == len(values)
    i, j, k = nearest.T
    assert np.abs(volume.array_kji[k, j, i] - values).max() <= 0.5 + 1e-3


def test_pydicom_finds_every_voxel_at_its_place(exported):
    volume, folder = exported
    points, values = [], []
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        row, column = np.reshape(dataset.ImageOrientationPatient, (2, 3)).astype(float)
        between_rows, between_columns = map(float, dataset.PixelSpacing)
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
        r, c = np.indices(stored.shape)
        place = np.array(dataset.ImagePositionPatient, dtype=float)
        points.append(place + c[..., None] * between_columns * row + r[..., None] * between_rows * column)  # fmt: skip # noqa: E501
        values.append(stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept))
    assert_same_places(volume, np.reshape(points, (-1, 3)), np.ravel(values))


def test_simpleitk_finds_every_voxel_at_its_place(exported):
    volume, folder = exported
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    array = SimpleITK.GetArrayFromImage(image)
    points = [
        image.TransformIndexToPhysicalPoint((int(i), int(j), int(k)))
        for k, j, i in np.ndindex(array.shape)
    ]
    assert_same_places(volume, np.array(points), array.ravel())


def test_instance_numbers_count_along_the_normal_of_the_slices(exported):
    _volume, folder = exported
    datasets = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    row, column = np.reshape(datasets[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(row, column)
    along = [np.array(d.ImagePositionPatient, dtype=float) @ normal for d in datasets]
    assert [d.InstanceNumber for d in datasets] == list(range(1, len(datasets) + 1))
    assert (np.diff(along) > 0).all()
    locations = [float(d.SliceLocation) for d in datasets]
    np.testing.assert_allclose(np.diff(locations), np.diff(along), atol=1e-6)
    assert [d.Rows * d.Columns for d in datasets] == [30, 30, 30, 30]


@pytest.mark.parametrize(
    ("axes", "shown"),
    [
        ([R, A, S], (1, 0, 0, 0, 1, 0)),  # a row to the patient's left, a column to posterior
        ([A, S, L], (0, 1, 0, 0, 0, -1)),
        ([R, S, A], (1, 0, 0, 0, 0, -1)),
    ],
)
def test_slices_without_source_are_turned_as_radiologists_see_them(
    make_volume, record, tmp_path, axes, shown
):
    export_series(make_volume((4, 5, 6), matrix(axes)), record, tmp_path / "out")
    dataset = pydicom.dcmread(tmp_path / "out" / "IM00001.dcm")
    assert tuple(map(float, dataset.ImageOrientationPatient)) == shown


def test_slices_take_plane_and_order_of_the_source(make_volume, record, save_source, tmp_path):
    # The same voxels as the source's, but counted along A, S, R: a converter's way of a sagittal.
    positions = [(10.0 - 2.5 * k, -20.0, 30.0) for k in range(5)]
    source = save_source(positions=positions, orientation=(0, 1, 0, 0, 0, -1))
    voxels = matrix([A, S, R])
    # Its first voxel is the source's last column and last row: A is -y, S is z in DICOM's axes.
    voxels[:3, 3] = -10.0, 20.0 - 23 * 0.75, 30.0 - 19 * 0.5
    exported = export_series(make_volume((5, 20, 24), voxels), record, tmp_path / "out", source)
    assert exported.notices == ()
    for path in (tmp_path / "out").iterdir():
        dataset = pydicom.dcmread(path)
        referred = dataset.SourceImageSequence[0].ReferencedSOPInstanceUID
        original = next(
            d for d in map(pydicom.dcmread, source.iterdir()) if d.SOPInstanceUID == referred
        )
        assert len(dataset.SourceImageSequence) == 1
        assert dataset.ImagePositionPatient == original.ImagePositionPatient
        assert dataset.ImageOrientationPatient == original.ImageOrientationPatient
        assert dataset.PixelSpacing == original.PixelSpacing


def test_a_little_shear_is_taken_out_of_the_plane(make_volume, record, tmp_path):
    voxels = matrix([L, P, S])
    voxels[0, 1] = 0.0004  # 0.0008 of a right angle
    export_series(make_volume((4, 5, 6), voxels), record, tmp_path / "out")
    dataset = pydicom.dcmread(tmp_path / "out" / "IM00001.dcm")
    row, column = np.reshape(dataset.ImageOrientationPatient, (2, 3)).astype(float)
    assert abs(row @ column) < 1e-6


def test_source_that_lies_elsewhere_is_refused(make_volume, record, save_source, tmp_path):
    positions = [(-10.0, -20.0, 300.0 + 2.5 * k) for k in range(5)]
    source = save_source(positions=positions)
    with pytest.raises(InputError, match="does not lie where the source series lies") as caught:
        export_series(make_volume(), record, tmp_path / "out", source)
    assert "--source" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_source_on_another_grid_gives_a_notice_and_all_its_slices(
    make_volume, record, save_source, tmp_path
):
    coarse = np.diag([-1.5, -1.0, 2.5, 1.0])
    coarse[:3, 3] = 10.1, 20.2, -30.3
    volume = make_volume((5, 10, 12), coarse)
    exported = export_series(volume, record, tmp_path / "out", save_source())
    assert [notice.code for notice in exported.notices] == ["source-on-other-grid"]
    images = pydicom.dcmread(tmp_path / "out" / "IM00001.dcm").SourceImageSequence
    assert len({image.ReferencedSOPInstanceUID for image in images}) == 5
    assert {image.SpatialLocationsPreserved for image in images} == {"NO"}
