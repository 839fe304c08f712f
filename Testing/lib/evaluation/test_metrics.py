"""Figures of merit against scikit-image called by hand, and the odd cases."""

import numpy as np
import pytest
from skimage.metrics import (
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.evaluation.lookup_table import LookupTable
from SAMI2ILib.evaluation.metrics import LARGEST_PSNR_DB, score_slice, score_volume


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = rng.random((6, 20, 24), dtype=np.float32)
    prediction = np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1).astype(np.float32)
    return prediction, target


def test_slice_scores_are_those_of_scikit_image(pair):
    prediction, target = pair[0][2], pair[1][2]
    scores = score_slice(prediction, target)
    assert scores.psnr == pytest.approx(peak_signal_noise_ratio(target, prediction, data_range=1))
    assert scores.ssim == pytest.approx(
        structural_similarity(target, prediction, data_range=1), rel=1e-5
    )
    assert scores.nrmse == pytest.approx(normalized_root_mse(target, prediction), rel=1e-5)
    assert scores.mae == pytest.approx(np.abs(target - prediction).mean(), rel=1e-5)


def test_only_the_region_counts(pair):
    prediction, target = pair[0][2].copy(), pair[1][2]
    region = np.zeros(target.shape, bool)
    region[4:12, 4:12] = True
    before = score_slice(prediction, target, region)
    prediction[15:, 15:] = 0
    after = score_slice(prediction, target, region)
    assert (before.psnr, before.nrmse, before.mae) == (after.psnr, after.nrmse, after.mae)
    expected = np.linalg.norm((pair[0][2] - target)[region]) / np.linalg.norm(target[region])
    assert before.nrmse == pytest.approx(expected, rel=1e-5)


def test_volume_scores_are_means_over_slices(pair):
    prediction, target = pair
    brain = np.zeros(target.shape, bool)
    brain[1:5, 5:15, 5:15] = True
    scores = score_volume(prediction, target, brain)
    assert scores.slices == 4
    by_hand = [score_slice(prediction[k], target[k], brain[k]).nrmse for k in range(1, 5)]
    assert scores.brain.nrmse == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert scores.target_rms == pytest.approx(np.sqrt((target[1:5] ** 2).mean()), rel=1e-5)


def test_identical_images_have_a_finite_best_score(pair):
    scores = score_slice(pair[1][0], pair[1][0])
    assert (scores.psnr, scores.nrmse, scores.mae) == (LARGEST_PSNR_DB, 0.0, 0.0)
    assert scores.ssim == pytest.approx(1)


def test_flicker_is_zero_for_a_constant_error(pair):
    target = np.repeat(pair[1][:1], 6, axis=0)
    brain = np.ones(target.shape, bool)
    assert score_volume(target * 0.9, target, brain).flicker == pytest.approx(0, abs=1e-7)
    jumping = target.copy()
    jumping[::2] *= 0.5
    assert score_volume(jumping, target, brain).flicker > 0.1


@pytest.mark.parametrize(
    ("prediction", "target", "region", "error", "message"),
    [
        (np.ones((9, 9)), np.ones((9, 8)), None, ShapeError, "shape"),
        (np.ones((5, 9)), np.ones((5, 9)), None, ShapeError, "7"),
        (np.ones((9, 9)), np.ones((9, 9)), np.zeros((9, 9), bool), InputError, "region to measure"),
        (np.ones((9, 9)), np.zeros((9, 9)), None, InputError, "0"),
    ],
)
def test_what_cannot_be_measured_is_refused(prediction, target, region, error, message):
    with pytest.raises(error, match=message):
        score_slice(prediction.astype(np.float32), target.astype(np.float32), region)


def test_volume_without_brain_is_refused(pair):
    with pytest.raises(InputError):
        score_volume(*pair, np.zeros(pair[1].shape, bool))


def test_lookup_table_learns_the_mean_target_of_each_intensity():
    source = np.array([0.1, 0.1, 0.9], np.float32)
    table = LookupTable.fit([(source, np.array([0.2, 0.4, 0.8], np.float32))])
    assert table.apply(np.array([[0.1, 0.9]], np.float32)) == pytest.approx(np.array([[0.3, 0.8]]))
    assert 0.3 < table.apply(np.array([0.5], np.float32))[0] < 0.8


def test_lookup_table_without_voxels_is_refused():
    with pytest.raises(InputError, match="no voxel to learn from"):
        LookupTable.fit([])


def test_lookup_table_translates_on_the_grid_of_the_input(make_head):
    head = make_head()
    values = np.linspace(0, 1, 300, dtype=np.float32)
    result = LookupTable.fit([(values, 1 - values)]).translate(head)
    assert result.grid.is_same(head.grid)
    inside = head.array_kji > 0
    assert np.corrcoef(result.array_kji[inside], head.array_kji[inside])[0, 1] < -0.9
