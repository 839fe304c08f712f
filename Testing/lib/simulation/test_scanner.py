"""Slices, their thickness and place; shading and noise."""

import numpy as np
import pytest

from SAMI2ILib.data.simulation.anatomy import Anatomy
from SAMI2ILib.data.simulation.deform import Deformation
from SAMI2ILib.data.simulation.scanner import (
    Acquisition,
    add_rician_noise,
    bias_field,
    coil_shading,
    grid_at,
    head_box_ras,
    plan_grid,
    scan,
)
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Grid, axis_codes

NO_DEFORMATION = Deformation(np.eye(4))


def cube(tissue: np.ndarray) -> Anatomy:
    """Voxels of 1 mm; voxel (0, 0, 0) at RAS 0."""
    return Anatomy(tissue.astype(np.uint8), np.eye(4), "cube")


def scan_image(image, grid, thickness_mm=1.0, pose=None, tissue=None):
    tissue = np.ones(image.shape) if tissue is None else tissue
    anatomy = cube(tissue)
    acquisition = Acquisition(grid, thickness_mm, np.eye(4) if pose is None else pose)
    return scan(
        {"T1": image.astype(np.float32)},
        anatomy.tissue_kji,
        anatomy.tissue_kji == 1,
        anatomy,
        NO_DEFORMATION,
        acquisition,
    )


def test_scan_returns_the_anatomy_when_grids_agree():
    image = np.pad(np.random.default_rng(0).random((10, 12, 14)), 1)
    scans, tissue, brain = scan_image(image, Grid((12, 14, 16), np.eye(4)))
    np.testing.assert_allclose(scans["T1"], image, atol=2e-3)
    assert (tissue == 1).all()
    assert brain.all()


def test_thick_slice_averages_what_it_spans():
    image = np.zeros((24, 10, 10))
    image[12:] = 1.0
    thick = np.diag([1.0, 1.0, 4.0, 1.0])
    thick[2, 3] = 3.5  # slices span z = 1.5 to 5.5, 5.5 to 9.5, 9.5 to 13.5 (half), ...
    scans, _, _ = scan_image(image, Grid((5, 10, 10), thick), thickness_mm=4.0)
    np.testing.assert_allclose(scans["T1"][:, 5, 5], [0, 0, 0.5, 1, 1], atol=1e-3)


def test_tissue_of_a_thick_slice_is_the_largest_part():
    tissue = np.ones((24, 10, 10))
    tissue[11:] = Tissue.CSF
    thick = np.diag([1.0, 1.0, 4.0, 1.0])
    thick[2, 3] = 3.5
    _, label, brain = scan_image(tissue, Grid((4, 10, 10), thick), 4.0, tissue=tissue)
    # The third slice spans voxels 10 to 13: one of white matter, three of CSF.
    assert label[:, 5, 5].tolist() == [1, 1, Tissue.CSF, Tissue.CSF]
    assert brain[:, 5, 5].tolist() == [True, True, False, False]


def test_pose_moves_the_head_under_the_slices():
    image = np.zeros((16, 16, 16))
    image[8, 8, 8] = 1.0
    pose = np.eye(4)
    pose[:3, 3] = [3, -2, 1]  # a point p of the scanner lies at p + (3, -2, 1) of the head
    scans, _, _ = scan_image(image, Grid((16, 16, 16), np.eye(4)), pose=pose)
    assert np.unravel_index(scans["T1"].argmax(), (16, 16, 16)) == (7, 10, 5)


def test_outside_of_the_anatomy_is_air_but_the_neck_goes_on_below():
    ones = np.ones((10, 10, 10))
    matrix = np.eye(4)
    matrix[:3, 3] = [-5, 0, -5]
    scans, tissue, _ = scan_image(ones, Grid((20, 10, 20), matrix))
    assert (scans["T1"][:, :, :4] == 0).all()
    assert (tissue[:, :, :4] == Tissue.AIR).all()
    assert (scans["T1"][:14, 5, 8] > 0.99).all()  # z = -5 to 8
    assert (scans["T1"][17:] == 0).all()


@pytest.mark.parametrize(
    ("orientation", "codes", "shape_ijk"),
    [
        ("axial", "LPS", (80, 100, 60)),
        ("sagittal", "PSR", (100, 120, 40)),
        ("coronal", "LSP", (80, 120, 50)),
    ],
)
def test_plan_grid_covers_the_head_in_each_orientation(orientation, codes, shape_ijk):
    box = np.array([[-40.0, -50.0, -60.0], [40.0, 50.0, 60.0]])
    grid = plan_grid(
        box,
        orientation=orientation,
        tilt_degrees=np.zeros(3),
        spacing_mm=(1.0, 1.0, 2.0),
        margin_mm=0.0,
        height_mm=120.0,
    )
    assert axis_codes(grid.ijk_to_ras) == codes
    assert grid.shape_ijk == shape_ijk
    np.testing.assert_allclose(grid.corners_ras().min(axis=0), box[0])
    np.testing.assert_allclose(grid.corners_ras().max(axis=0), box[1])


def test_plan_grid_keeps_the_top_when_the_height_is_short():
    box = np.array([[-40.0, -50.0, -60.0], [40.0, 50.0, 60.0]])
    grid = plan_grid(
        box,
        orientation="axial",
        tilt_degrees=np.zeros(3),
        spacing_mm=(1.0, 1.0, 1.0),
        margin_mm=5.0,
        height_mm=70.0,
    )
    corners = grid.corners_ras()[:, 2]
    assert (corners.min(), corners.max()) == pytest.approx((-5.0, 65.0))


def test_grid_at_turns_about_its_center():
    grid = grid_at(
        np.array([1.0, 2, 3]), "LPS", np.array([10.0, 5, 0]), (1, 1, 2), shape_ijk=(5, 7, 9)
    )
    center = grid.ijk_to_ras @ [2, 3, 4, 1]
    np.testing.assert_allclose(center[:3], [1, 2, 3])
    np.testing.assert_allclose(grid.spacing_mm, (1, 1, 2))


def test_head_box_finds_the_ball(anatomy):
    box = head_box_ras(anatomy, NO_DEFORMATION, np.eye(4))
    np.testing.assert_allclose(box[1][1:], [85, 85], atol=6)
    np.testing.assert_allclose(box[0][0], -88 / 1.15, atol=6)


def test_bias_field_is_one_when_its_strength_is_zero_and_varies_slowly_otherwise():
    shape, spacing = (30, 40, 50), (2.0, 2.0, 4.0)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(bias_field(shape, spacing, 0.0, rng), 1.0)
    field = np.log(bias_field(shape, spacing, 0.2, rng))
    assert 0.05 < field.std() < 0.4
    assert np.abs(np.diff(field, axis=2)).max() < 0.06


def test_coil_shading_falls_from_the_skin_inwards_and_ignores_air_inside_the_head():
    head = np.zeros((41, 61, 61), bool)
    head[:, 10:51, 10:51] = True
    head[18:23, 28:33, 28:33] = False
    shading = coil_shading(head, (2.0, 2.0, 40.0), 0.5)
    assert shading[20, 30, 10] == pytest.approx(1 + 0.5 * np.exp(-2 / 20), rel=1e-6)
    assert shading[20, 30, 30] == pytest.approx(1 + 0.5 * np.exp(-42 / 20), rel=1e-6)
    assert (np.diff(shading[20, 30, 10:31]) < 0).all()


def test_rician_noise_has_the_mean_of_a_rayleigh_in_air_and_of_the_signal_elsewhere():
    image = np.zeros((40, 50, 50), np.float32)
    image[20:] = 30.0
    noisy = add_rician_noise(image, 2.0, np.random.default_rng(0))
    assert noisy[:20].mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)
    assert noisy[20:].mean() == pytest.approx(np.sqrt(30.0**2 + 2.0**2), rel=0.01)
    assert noisy[20:].std() == pytest.approx(2.0, rel=0.02)


def test_rician_noise_changes_nothing_when_it_is_zero():
    image = np.ones((3, 3, 3), np.float32)
    np.testing.assert_array_equal(add_rician_noise(image, 0.0, np.random.default_rng(0)), image)


def test_negative_noise_is_refused():
    with pytest.raises(InputError, match="standard_deviation must be 0 or more"):
        add_rician_noise(np.ones((3, 3, 3), np.float32), -1.0, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orientation": "oblique"}, "orientation must be one of axial"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm must be positive"),
    ],
)
def test_plan_grid_refuses_what_it_cannot_lay(change, message):
    options = {
        "orientation": "axial",
        "tilt_degrees": np.zeros(3),
        "spacing_mm": (1.0, 1.0, 1.0),
        "margin_mm": 0.0,
        "height_mm": 100.0,
    }
    with pytest.raises(InputError, match=message):
        plan_grid(np.array([[-9.0] * 3, [9.0] * 3]), **(options | change))


def test_head_box_refuses_air():
    with pytest.raises(InputError, match="holds no tissue"):
        head_box_ras(cube(np.zeros((10, 10, 10))), NO_DEFORMATION, np.eye(4))
