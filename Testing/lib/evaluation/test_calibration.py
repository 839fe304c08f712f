"""An uncertainty map measured against an error that is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.evaluation.calibration import calibrate, rank_correlation

SHAPE = (10, 20, 30)
EVERYWHERE = np.ones(SHAPE, dtype=bool)


@pytest.fixture
def deviation():
    """A deviation between 1 and 100 for each voxel."""
    return np.random.default_rng(0).uniform(1, 100, SHAPE).astype(np.float32)


@pytest.fixture
def error(deviation):
    """An error drawn from it."""
    return np.random.default_rng(1).normal(0, deviation).astype(np.float32)


def test_a_true_deviation_has_factor_one_in_every_bin(deviation, error):
    found = calibrate(deviation, error, EVERYWHERE)
    assert found.factor == pytest.approx(1, abs=0.03)
    for part in found.bins:
        assert part.error == pytest.approx(part.uncertainty, rel=0.12)
    assert sum(part.voxels for part in found.bins) == found.voxels == deviation.size
    assert found.share_of_error > 0.2
    assert abs(found.bias) < 2


def test_a_deviation_ten_times_too_small_has_factor_ten_and_the_same_ranks(deviation, error):
    true, small = (calibrate(deviation / n, error, EVERYWHERE) for n in (1, 10))
    assert small.factor == pytest.approx(10 * true.factor, rel=1e-5)
    assert small.rank_correlation == pytest.approx(true.rank_correlation, abs=1e-4)


def test_rank_correlation_is_scipys_with_ties(deviation, error):
    few = np.round(deviation / 20).ravel()
    expected = spearmanr(few, np.abs(error).ravel()).statistic
    assert rank_correlation(few, np.abs(error).ravel()) == pytest.approx(expected, abs=1e-12)


def test_a_map_that_says_nothing_gets_nothing(error):
    found = calibrate(np.zeros(SHAPE, np.float32), error, EVERYWHERE)
    assert found.rank_correlation == 0
    assert found.factor is None
    noise = np.random.default_rng(2).random(SHAPE, dtype=np.float32)
    found = calibrate(noise, error, EVERYWHERE)
    assert abs(found.rank_correlation) < 0.05
    assert found.share_of_error == pytest.approx(0.1, abs=0.03)


def test_no_error_at_all_is_shared_evenly(deviation):
    found = calibrate(deviation, np.zeros(SHAPE, np.float32), EVERYWHERE)
    assert (found.rank_correlation, found.share_of_error, found.rmse) == (0, 0.1, 0)


def test_only_the_region_counts(deviation, error):
    region = np.zeros(SHAPE, dtype=bool)
    region[2:5] = True
    outside = np.where(region, error, 1e6).astype(np.float32)
    assert calibrate(deviation, outside, region) == calibrate(deviation, error, region)


def test_other_shapes_are_refused(deviation, error):
    with pytest.raises(ShapeError, match="must have one shape"):
        calibrate(deviation, error[1:], EVERYWHERE)


def test_a_region_of_a_few_voxels_is_refused(deviation, error):
    region = np.zeros(SHAPE, dtype=bool)
    region[0, 0, :9] = True
    with pytest.raises(InputError, match="has 9 voxels, too few"):
        calibrate(deviation, error, region)
