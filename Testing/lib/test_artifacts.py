"""Each measure of artifacts passes the truth and catches a spoiled one."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, uniform_filter, zoom

from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.intensity import IntensityScale
from Testing.lib import artifacts


@pytest.fixture(scope="module")
def head(sample):
    """T1, true T2, foreground and brain of the sample head."""
    t1, t2, brain = map(sample, ("T1", "T2", "brain"))
    inside = find_foreground(t1)
    t1, t2 = (IntensityScale.fit(v.array_kji, inside).normalize(v.array_kji) for v in (t1, t2))
    return t1 * inside, t2 * inside, inside, brain.array_kji > 0


@pytest.fixture(scope="module")
def head_of_1_mm(head):
    """T1 and true T2 in slices of 1 mm pixels, as a network sees them."""
    return [zoom(image, (1, 1.8, 1.8), order=1) for image in head[:2]]


def windows_of(shape, side, strength):
    """An offset of random sign for each window of a slice."""
    counts = [shape[0], *(n // side + 1 for n in shape[1:])]
    signs = np.random.default_rng(0).choice([-1, 1], counts)
    whole = signs.repeat(side, axis=1).repeat(side, axis=2)
    return strength * whole[:, : shape[1], : shape[2]]


def waves_of(shape, period, strength):
    """The same pattern in every window."""
    return strength * np.sin(2 * np.pi * np.arange(shape[2]) / period) * np.ones(shape)


@pytest.mark.parametrize("period", [4, 8, 16, 32, 64])
def test_peak_of_a_window_is_found_in_the_spectrum(period):
    noise = np.random.default_rng(0).normal(0, 0.01, (128, 128))
    smooth = 0.4 + 0.01 * np.linspace(-1, 1, 128)[:, None] ** 2 + noise
    assert artifacts.spectral_peak(smooth, period) == 0
    waves = waves_of((1, 128, 128), period, 1)[0]
    for pattern in (waves, waves.T):
        assert artifacts.spectral_peak(smooth + 0.01 * pattern, period) > artifacts.PEAK_LIMIT
        assert artifacts.spectral_peak(smooth + 0.0005 * pattern, period) == 0


@pytest.mark.parametrize(("period", "strength"), [(8, 0.03), (16, 0.05)])
@pytest.mark.parametrize("spoil", [windows_of, waves_of])
def test_grid_of_windows_is_found_in_a_head(head_of_1_mm, period, strength, spoil):
    source, truth = head_of_1_mm
    flat = artifacts.flat_voxels(source)
    assert artifacts.grid_excess(truth, flat, period) <= artifacts.GRID_LIMIT
    spoiled = truth + spoil(truth.shape, period, strength) * (source > 0)
    assert artifacts.grid_excess(spoiled, flat, period) > artifacts.GRID_LIMIT


def test_flicker_is_found(head):
    _t1, t2, _inside, brain = head
    odd = (np.arange(len(t2)) % 2)[:, None, None]
    spoiled = t2 * (0.9 + 0.2 * odd)
    for measure in (artifacts.flicker_ratio, artifacts.brightness_ratio):
        assert measure(t2, t2, brain) == 1
        assert measure(spoiled, t2, brain) > artifacts.FLICKER_LIMIT


def test_faint_stripes_are_found_by_the_brightness(head):
    _t1, t2, _inside, brain = head
    spoiled = t2 * (0.98 + 0.04 * (np.arange(len(t2)) % 2))[:, None, None]
    assert artifacts.brightness_ratio(spoiled, t2, brain) > artifacts.FLICKER_LIMIT


def test_bright_rim_is_found(head):
    _t1, t2, inside, brain = head
    for region in (inside, brain):
        rim = region & ~binary_erosion(region, np.ones((1, 3, 3)))
        assert artifacts.rim_excess(t2, t2, region) == 0
        spoiled = np.where(rim, 1, t2)
        assert artifacts.rim_excess(spoiled, t2, region) > artifacts.RIM_LIMIT


@pytest.mark.parametrize("end", [0, -1])
def test_torn_end_is_found(head, end):
    _t1, t2, inside, _brain = head
    blurred = uniform_filter(t2, (1, 3, 3))
    assert artifacts.end_excess(blurred, t2, inside) <= artifacts.END_LIMIT
    spoiled = blurred.copy()
    last = np.flatnonzero(inside.mean(axis=(1, 2)) > 0.05)[end]
    spoiled[last] = 1 - t2[last]
    assert artifacts.end_excess(spoiled, t2, inside) > artifacts.END_LIMIT


def test_windows_of_a_model_repeat_after_so_many_pixels(tiny_model_file):
    from SAMI2ILib.weights import read_spec

    # four times enlarged: tokens of 1, 2, 4, 8 pixels; the encoder's windows hold 8, 4, 4, 2 of
    # them, the decoder's 16, 8, 4 of the coarser three
    assert artifacts.window_periods(read_spec(tiny_model_file)) == [4, 8, 16, 64]
