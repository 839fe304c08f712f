"""One scale per volume: worked by hand."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging import IntensityScale


def test_scale_is_the_percentile_of_the_foreground_alone():
    array = np.arange(1001.0).reshape(7, 11, 13)  # 0 to 1000: the 99.5th percentile is 995
    array = np.concatenate([array, np.full((7, 11, 13), 5000.0)])
    foreground = array <= 1000
    scale = IntensityScale.fit(array, foreground)
    assert scale.percentile == 995.0
    assert scale.output_scale == pytest.approx(1000 / 995)


def test_normalize_clips_and_denormalize_undoes_it():
    scale = IntensityScale(200.0)
    values = np.array([-5.0, 0.0, 50.0, 200.0, 300.0])
    normalized = scale.normalize(values)
    assert normalized.dtype == np.float32
    assert normalized.tolist() == [0.0, 0.0, 0.25, 1.0, 1.0]
    assert scale.denormalize(normalized).tolist() == [0.0, 0.0, 50.0, 200.0, 200.0]


@pytest.mark.parametrize("percentile", [1e-30, 0.1, 1 / 3, 1e30])
def test_normalize_never_exceeds_one_for_any_scale(percentile):
    scale = IntensityScale(percentile)
    values = np.linspace(0, 2 * scale.percentile, 1001, dtype=np.float32)
    normalized = scale.normalize(values)
    assert normalized.max() == 1.0
    restored = scale.denormalize(normalized)
    np.testing.assert_allclose(restored, np.clip(values, 0, scale.percentile), rtol=1e-6)


def test_normalize_leaves_its_input_alone(noise):
    array = np.array(noise((3, 3, 3)).array_kji)
    before = array.copy()
    IntensityScale(100.0).normalize(array)
    assert np.array_equal(array, before)


@pytest.mark.parametrize("percentile", [0.0, -3.0, np.nan, np.inf, 1e-44])
def test_a_percentile_that_is_not_positive_is_refused(percentile):
    with pytest.raises(InputError, match="must be positive"):
        IntensityScale(percentile)


def test_fit_refuses_an_empty_foreground_and_another_shape():
    with pytest.raises(InputError, match="foreground is empty"):
        IntensityScale.fit(np.ones((2, 2, 2)), np.zeros((2, 2, 2), bool))
    with pytest.raises(ShapeError, match="must have the shape"):
        IntensityScale.fit(np.ones((2, 2, 2)), np.ones((2, 2, 3), bool))
