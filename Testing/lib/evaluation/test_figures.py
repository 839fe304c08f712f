"""Pictures: the right way round, with and without a truth, refused where volumes do not match."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.io import imread

from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.figures import Panels, save_figure
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def panels(make_head):
    head = make_head()
    source = head.with_array(head.array_kji / head.array_kji.max())
    synthetic = head.with_array(np.where(source.array_kji > 0, 1 - source.array_kji, 0))
    return Panels(source, synthetic, head.with_array(synthetic.array_kji * 0.8))


def test_left_front_top_of_the_patient_is_where_radiologists_look_for_it(tmp_path):
    array = np.full((60, 80, 70), 0.2)
    array[34:, 30:36, 50:66] = 1  # upper half, front of the middle, patient's left
    volume = Volume(array, LPS)
    save_figure(Panels(volume, volume), tmp_path / "picture.png")
    gray = imread(tmp_path / "picture.png")[..., :3].mean(axis=2)
    source = gray[:, : gray.shape[1] // 2]
    rows, columns = np.nonzero(source > 240)
    axial = rows < gray.shape[0] / 2.2
    head = np.nonzero((source > 30).any(axis=0))[0]
    assert columns[axial].mean() > head.mean()
    assert rows[axial].size > 0


def test_picture_with_a_truth_is_wider_by_two_columns(panels, tmp_path):
    save_figure(panels, tmp_path / "four.png", "A phantom")
    save_figure(Panels(panels.source, panels.synthetic), tmp_path / "two.png")
    four, two = imread(tmp_path / "four.png"), imread(tmp_path / "two.png")
    assert four.shape[0] == two.shape[0]
    assert four.shape[1] > 1.7 * two.shape[1]
    assert four[..., :3].std() > 20


def test_truth_of_a_simulated_head_is_not_called_real(panels, tmp_path):
    save_figure(panels, tmp_path / "real.png")
    save_figure(replace(panels, truth_is="true"), tmp_path / "true.png")
    real, true = imread(tmp_path / "real.png"), imread(tmp_path / "true.png")
    rows, columns = np.nonzero((real != true).any(axis=2))
    height, width = real.shape[:2]
    assert rows.max() < 0.15 * height  # the title of the third of four columns, and nothing else
    assert 0.4 * width < columns.min() <= columns.max() < 0.75 * width


def test_picture_does_not_depend_on_the_orientation_of_the_array(panels, tmp_path):
    save_figure(panels, tmp_path / "lps.png")
    turned = [reorient(v, "SRA") for v in (panels.source, panels.synthetic, panels.truth)]
    save_figure(Panels(*turned), tmp_path / "sra.png")
    assert np.array_equal(imread(tmp_path / "lps.png"), imread(tmp_path / "sra.png"))


def test_volumes_of_different_grids_are_refused(panels, tmp_path):
    other = Volume(np.ones((3, 4, 5)), LPS, "other.nii.gz")
    with pytest.raises(InputError, match="must lie on one grid, but 'other"):
        save_figure(Panels(panels.source, other), tmp_path / "x.png")
    with pytest.raises(InputError, match="one grid"):
        save_figure(Panels(panels.source, panels.synthetic, other), tmp_path / "x.png")


def test_empty_source_is_refused(panels, tmp_path):
    empty = panels.source.with_array(np.zeros_like(panels.source.array_kji))
    with pytest.raises(InputError, match="source of the figure is empty"):
        save_figure(Panels(empty, panels.synthetic), tmp_path / "x.png")
