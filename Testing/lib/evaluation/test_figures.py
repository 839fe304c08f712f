"""Pictures: the right plane, the right way round, in physical proportions."""

import numpy as np
import pytest
from skimage.io import imread

from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.figures import Panel, comparison_panels, draw_comparison, plane_of
from SAMI2ILib.imaging.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def one_bright_voxel(k, j, i):
    array = np.zeros((5, 7, 9))
    array[k, j, i] = 1
    return Volume(array, LPS)


@pytest.mark.parametrize(
    ("plane", "voxel", "row", "column"),
    [
        # i grows to the left, j to the back, k upwards
        ("axial", (2, 0, 1), 0, 1),  # front, patient's right: first row, left side
        ("coronal", (4, 3, 8), 0, 8),  # top, patient's left: first row, right side
        ("sagittal", (0, 6, 4), 4, 6),  # bottom, back: last row, right side
    ],
)
def test_plane_is_looked_at_as_radiologists_do(plane, voxel, row, column):
    image = plane_of(one_bright_voxel(*voxel), plane, (2, 3, 4))
    assert np.argwhere(image).tolist() == [[row, column]]


def test_panels_hold_the_absolute_error_of_the_truth():
    synthetic = Volume(np.full((2, 2, 2), 0.25), LPS)
    truth = Volume(np.full((2, 2, 2), 0.75), LPS)
    panels = comparison_panels("T2", synthetic, truth)
    assert [panel.title for panel in panels] == ["Synthetic T2", "True T2", "Absolute error"]
    assert np.all(panels[2].volume.array_kji == 0.5)
    assert [panel.title for panel in comparison_panels("PD", synthetic)] == ["Synthetic PD"]


def test_picture_is_drawn_for_every_orientation_of_the_input(tmp_path, make_head):
    head = make_head()
    pictures = []
    for name, matrix in {"lps": LPS, "ras": np.diag([1.0, 1.0, 1.0, 1.0])}.items():
        array = head.array_kji if name == "lps" else head.array_kji[:, ::-1, ::-1]
        volume = Volume(array / head.array_kji.max(), matrix)
        path = tmp_path / f"{name}.png"
        draw_comparison(
            [Panel("Source T1", volume, (0, 1))], volume.array_kji > 0, path, "A phantom"
        )
        pictures.append(imread(path))
    assert np.array_equal(*pictures)


def test_panels_on_different_grids_are_refused(tmp_path):
    small, large = Volume(np.ones((2, 2, 2)), LPS), Volume(np.ones((3, 2, 2)), LPS)
    panels = [Panel("a", small, (0, 1)), Panel("b", large, (0, 1))]
    with pytest.raises(InputError, match="on one grid"):
        draw_comparison(panels, small.array_kji > 0, tmp_path / "x.png", "")
