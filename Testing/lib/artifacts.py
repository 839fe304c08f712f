"""Measures of what must not be in a synthetic volume: a grid, flicker, a bright rim, torn ends.

Arrays are (K, J, I) of axial slices in [0, 1]. The limits are what the software promises, whatever
weights it ships.
"""

import numpy as np
from scipy import ndimage

from SAMI2ILib.evaluation.metrics import flicker

PEAK_LIMIT = 2.0
"""Amplitude at the frequency of a window over those beside it, on a flat input."""

GRID_LIMIT = 2.5
"""The same of patterns in a head, whose anatomy makes every period uneven by up to 2.3."""

VISIBLE = 0.002
"""Half a gray level of a display with 256: a weaker pattern cannot be seen, and is none."""

FLICKER_LIMIT = 1.2
"""Steps from slice to slice over those of the real target."""

RIM_LIMIT = 0.05
"""Share of the outermost 2 voxels that may be brighter, by a fifth of the range, than anything real
within 2 voxels of them."""

END_LIMIT = 2.0
"""Error of the topmost and lowest slices over that of the median slice."""

HARDER_INPUT_LIMIT = 1.5
"""Error in the brain on thick slices, or with the skull removed, over that on the plain head."""

CUT_LIMIT = 0.98
"""Correlation of the last slice of a cut stack with the same slice of the whole one."""


def window_periods(spec):
    """Pixels after which a model's attention windows, or its tokens, repeat; 4 to 64 of them."""
    if "windows" not in spec.decoder:
        return [4, 8, 16]  # a network of convolutions: what its halved maps would leave
    strides = [stride / spec.decoder["encoder_upscale"] for stride in (4, 8, 16, 32)]
    windows = spec.encoder.hiera["window_spec"] if spec.encoder.hiera else (1, 1, 1, 1)
    periods = {stride * window for stride, window in zip(strides, windows, strict=True)}
    coarsest_first = strides[2::-1]
    periods |= {s * w for s, w in zip(coarsest_first, spec.decoder["windows"], strict=True)}
    return sorted({round(p) for p in periods | set(strides) if 4 <= p <= 64})


def flat_voxels(source_kji):
    """Where the source is flat, so that a pattern of the prediction cannot be anatomy."""
    inside = ndimage.binary_erosion(source_kji > 0.02, np.ones((1, 3, 3)), iterations=3)
    slope = ndimage.gaussian_gradient_magnitude(source_kji, (0, 1.5, 1.5))
    return inside & (slope < np.percentile(slope[inside], 40))


def spectral_peak(image, period):
    """How far the spectrum stands out at 1 / period, on what the network made of a flat input.

    Args:
        image: (S, S); S is a multiple of 2 * period.
        period: In pixels.

    Returns:
        The larger ratio, along the two axes, of the amplitude to the mean of the two beside it;
        0 where it is below `VISIBLE`.
    """
    spectrum = 2 * np.abs(np.fft.fft2(image - image.mean())) / image.size
    bin_number = len(image) // period
    ratios = [
        line[bin_number] / max(np.mean([line[bin_number - 1], line[bin_number + 1]]), 1e-9)
        for line in (spectrum[0], spectrum[:, 0])
        if line[bin_number] > VISIBLE
    ]
    return max(ratios, default=0.0)


def grid_excess(array_kji, flat_kji, period):
    """How much stronger a pattern of a period is, in a head, than the mean of those a fifth off.

    Two grids are looked for along both axes of the slices: one that repeats itself, and bends of
    any sign where windows meet. The strength is the standard deviation, over the phases of the
    period, of the mean at each phase.

    Args:
        array_kji: The prediction on the grid that the network saw.
        flat_kji: From `flat_voxels`.
        period: In pixels; up to 16, or a head holds too few to tell it from anatomy.

    Returns:
        The largest ratio; 0 where every pattern is below `VISIBLE`.
    """
    detail = array_kji - ndimage.gaussian_filter(array_kji, (0, period / 4, period / 4))
    apart = round(period / 5) or 1  # nearer periods are not told apart within a head
    worst = 0.0
    for axis in (1, 2):
        bends = np.zeros_like(array_kji)
        inner = tuple(slice(1, -1) if a == axis else slice(None) for a in range(3))
        bends[inner] = np.abs(np.diff(array_kji, 2, axis=axis))
        for values in (detail, bends):
            here = _strength(values, flat_kji, axis, period)
            beside = [_strength(values, flat_kji, axis, period + d) for d in (-apart, apart)]
            if here > VISIBLE:
                worst = max(worst, here / np.mean(beside))
    return worst


def _strength(values, where, axis, period):
    phases = np.arange(values.shape[axis]) % period
    other = tuple(a for a in range(3) if a != axis)
    sums = np.bincount(phases, np.where(where, values, 0).sum(axis=other), period)
    counts = np.bincount(phases, where.sum(axis=other), period)
    assert counts.min() > 0, "too few flat voxels to measure this period"
    return float(np.std(sums / counts))


def flicker_ratio(prediction, truth, region):
    """Mean step from slice to slice, as in a sagittal reformat, over that of the truth."""
    return flicker(prediction, region) / flicker(truth, region)


def brightness_ratio(prediction, truth, region):
    """How unsteadily the mean of a slice runs through the stack, over that of the truth.

    Sharper than `flicker_ratio`, but fair only where the truth's slices were not interpolated.
    """
    return _unsteadiness(prediction, region) / _unsteadiness(truth, region)


def _unsteadiness(array_kji, region):
    sizes = region.sum((1, 2))
    chosen = sizes > 0.3 * sizes.max()
    means = [
        image[inside].mean()
        for image, inside, take in zip(array_kji, region, chosen, strict=True)
        if take
    ]
    return np.abs(np.diff(means, 2)).mean()


def rim_excess(prediction, truth, region):
    """Share of a region's outermost 2 voxels of each slice that are bright without a reason."""
    core = [ndimage.binary_erosion(image, iterations=2, border_value=0) for image in region]
    rim = region & ~np.array(core)
    brightest_near = ndimage.maximum_filter(truth, (1, 5, 5))
    return (prediction - brightest_near > 0.2)[rim].mean()


def end_excess(prediction, truth, region):
    """Largest error of the four slices at either end over that of the median slice.

    Slices in which the region fills less than 5 % do not count.
    """
    errors = np.array(
        [
            np.sqrt(np.mean((mine[inside] - real[inside]) ** 2))
            for mine, real, inside in zip(prediction, truth, region, strict=True)
            if inside.mean() > 0.05
        ]
    )
    return max(errors[:4].max(), errors[-4:].max()) / np.median(errors)


def error_in(prediction, truth, region):
    """Norm of the error over that of the truth, in a region."""
    return np.linalg.norm((prediction - truth)[region]) / np.linalg.norm(truth[region])
