"""The measurements do not see an intensity scale, a shading or the order of the axes."""

import numpy as np
import pytest

from SAMI2ILib.checks.appearance import CONTRAST_NAMES, SHAPE_NAMES, measure
from SAMI2ILib.checks.overview import look_at
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume


@pytest.fixture(scope="module")
def plain(t1):
    return measure(look_at(t1))


def ramp(volume: Volume, total: float) -> np.ndarray:
    """A factor that grows evenly by `total` from left to right of the volume."""
    return total ** np.linspace(-0.5, 0.5, volume.array_kji.shape[2])


def test_measurements_have_their_names(plain):
    assert plain.contrast.shape == (len(CONTRAST_NAMES),)
    assert plain.shape.shape == (len(SHAPE_NAMES),)


def test_another_intensity_scale_changes_nothing(t1, plain):
    other = measure(look_at(t1.with_array(t1.array_kji * 7)))
    np.testing.assert_allclose(other.contrast, plain.contrast, atol=0.02)
    np.testing.assert_allclose(other.shape, plain.shape, atol=0.02)


def test_a_shading_is_measured_and_taken_out(t1, plain):
    shaded = measure(look_at(t1.with_array(t1.array_kji * ramp(t1, 4.0))))
    assert shaded.shading > 1.5 * plain.shading
    np.testing.assert_allclose(shaded.contrast[2:9], plain.contrast[2:9], atol=0.12)


def test_other_axes_change_nothing(t1, plain):
    k, j, i = (n // 2 * 2 for n in t1.array_kji.shape)
    even = Volume(t1.array_kji[:k, :j, :i], t1.ijk_to_ras)
    first, other = measure(look_at(even)), measure(look_at(reorient(even, "ASR")))
    np.testing.assert_allclose(other.contrast, first.contrast, atol=1e-5)
    np.testing.assert_allclose(other.shape, first.shape, atol=1e-5)


def test_brightness_orders_the_tissues_as_the_contrast_does(sample, plain):
    t2 = measure(look_at(sample("T2")))
    assert plain.quantile(5) < 0.7
    assert 0.9 < plain.quantile(75) < plain.quantile(95) < 1.15
    assert t2.quantile(5) > 0.8
    assert t2.quantile(95) > 1.5
    assert t2.contrast_of("q50") == pytest.approx(t2.quantile(50), rel=1e-3)


def test_one_value_throughout_has_no_likeness():
    # float32's mean of so many large values is not their value
    array = np.full((60, 60, 60), 32767.0, np.float32)
    array[:, :, :10] = array[:, :, -10:] = 0.0
    measured = measure(look_at(Volume(array, np.diag([3.0, 3.0, 3.0, 1.0]), "block")))
    shape = dict(zip(SHAPE_NAMES, measured.shape, strict=True))
    assert all(np.isfinite(value) for value in shape.values())
