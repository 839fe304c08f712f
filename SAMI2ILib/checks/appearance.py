"""What a scan looks like, in a few numbers that an intensity scale or a shading does not change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.checks.overview import Overview
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

# Quantiles of the brightness, in percent, relative to the flattest tissue, the white matter.
QUANTILES = (2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0)
DEEP_QUANTILES = (99.0, 99.8)
CONTRAST_NAMES = (
    *(f"q{q:g}" for q in QUANTILES),
    *(f"deep{q:g}" for q in DEEP_QUANTILES),
    "midline75", "midline90", "rim75", "spread",
)  # fmt: skip
SHAPE_NAMES = (
    "area", "width", "length", "fill", "object", "skull", "rim", "mirror", "near", "far", "spread",
    "q5", "q50", "q95",
)  # fmt: skip

_DEEP_MM = {False: 26.0, True: 12.0}  # below the skin, below the surface of a brain
_FLATTEST_PERCENT = 30.0
_BIN = 0.02  # of the logarithm of the intensity
_FIT_STEPS, _FIRST_WIDTH, _LAST_WIDTH = 4, 0.35, 0.15
_LEAST, _MOST = 0.03, 12.0  # brightness relative to white matter


@dataclass(frozen=True, eq=False)
class Appearance:
    """Measurements of an overview that has a region.

    Attributes:
        contrast: Brightness in the region, see `CONTRAST_NAMES`; natural logarithms.
        shape: Size and structure of the object, see `SHAPE_NAMES`.
        shading: Ratio of the brightest to the darkest part of the shading over the region.
        brightness: (n,) of the region's voxels over that of the flattest tissue, shading removed.
    """

    contrast: NDArray[np.float64]
    shape: NDArray[np.float64]
    shading: float
    brightness: NDArray[np.float64]

    def contrast_of(self, name: str) -> float:
        """One of `CONTRAST_NAMES` as brightness over that of white matter."""
        return float(np.exp(self.contrast[CONTRAST_NAMES.index(name)]))

    def quantile(self, percent: float) -> float:
        """Brightness over that of white matter that `percent` of the region do not reach."""
        return float(np.percentile(self.brightness, percent))


def measure(overview: Overview) -> Appearance:
    """Measure a scan; the overview must have a region."""
    array, region = overview.scan.array_kji, overview.region_kji
    flat = _flattest(array, region, overview.spacing_kji)
    logarithm = np.log(np.maximum(array, 1e-6 * float(array.max())))
    level, shading, spread = _fit_shading(_places(overview, flat), logarithm[flat])
    log_shading = _places(overview, region) @ shading

    def relative_to_white(mask: BoolArray) -> NDArray[np.float64]:
        values = logarithm[mask] - _places(overview, mask) @ shading - level
        return np.clip(values, np.log(_LEAST), np.log(_MOST))

    relative = relative_to_white(region)
    deep = overview.depth_mm[region] > _DEEP_MM[overview.is_brain_only]
    if np.count_nonzero(deep) < 0.1 * deep.size:
        deep[:] = True
    quantiles = np.percentile(relative, QUANTILES)
    middle, side = (relative_to_white(band) for band in _bands(overview))
    contrast = np.concatenate([
        quantiles, np.percentile(relative[deep], DEEP_QUANTILES),
        np.percentile(middle, (75, 90)) if middle.size else quantiles[[5, 6]],
        [np.percentile(side, 75) if side.size else quantiles[5], spread],
    ])  # fmt: skip
    low, high = np.percentile(log_shading, (2.5, 97.5))
    shape = _shape(overview, spread, quantiles)
    return Appearance(contrast, shape, float(np.exp(high - low)), np.exp(relative))


def _bands(overview: Overview) -> tuple[BoolArray, BoolArray]:
    """Where the venous sinus lies below the vertex, and as deep a place beside it.

    Without a contrast agent the sinus is dark in a T1 or as the brain, with it bright. Marrow and
    fat, which are bright as well, lie at the side no less than in the middle.
    """
    rim_mm = overview.rim_mm
    first, last = (0.0, 24.0) if overview.is_brain_only else (rim_mm - 6.0, rim_mm + 7.0)
    columns = np.flatnonzero(overview.region_kji.any(axis=(0, 1)))
    rows = np.flatnonzero(overview.region_kji.any(axis=(0, 2)))
    slices = np.flatnonzero(overview.region_kji.any(axis=(1, 2)))
    shell = (overview.depth_mm > first) & (overview.depth_mm < last)
    shell[: slices[0]] = shell[slices[-1] + 1 :] = shell[:, : rows[0]] = False
    from_middle = np.abs(np.arange(shell.shape[2]) - (columns[0] + columns[-1]) / 2)
    from_middle *= overview.spacing_kji[2]
    return shell & (from_middle < 6.0), shell & (from_middle > 20.0)


def _flattest(
    array: FloatArray, region: BoolArray, spacing_kji: tuple[float, float, float]
) -> BoolArray:
    """The voxels of the region around which the least changes: in a brain, white matter."""
    from scipy import ndimage

    slopes = [
        ndimage.gaussian_filter1d(array, 0.7, axis=axis, order=1) / spacing_kji[axis]
        for axis in (1, 2)
    ]
    steepness = np.hypot(*slopes) / np.maximum(array, 1e-6 * float(array.max()))
    bright = region & (array > 0.3 * float(np.median(array[region])))
    if not bright.any():
        return region
    flat: BoolArray = bright & (steepness <= np.percentile(steepness[bright], _FLATTEST_PERCENT))
    return flat


def _places(overview: Overview, mask: BoolArray) -> NDArray[np.float64]:
    """Terms of a quadratic function of the position, for each voxel of a mask: (n, 9)."""
    middle = (np.array(mask.shape) - 1) / 2
    k, j, i = ((np.argwhere(mask) - middle) * overview.spacing_kji / 70.0).T
    return np.stack([k, j, i, k * k, j * j, i * i, k * j, k * i, j * i], axis=-1)


def _fit_shading(
    places: NDArray[np.float64], logarithm: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], float]:
    """Fit a smooth shading to the most frequent tissue of the flat voxels.

    Returns:
        The tissue's log intensity, the coefficients of the shading's logarithm, and the standard
        deviation of the tissue around it.
    """
    shading: NDArray[np.float64] = np.zeros(places.shape[1])
    width = _FIRST_WIDTH
    for _ in range(_FIT_STEPS):
        rest = logarithm - places @ shading
        near = np.abs(rest - _mode(rest)) < width
        terms = np.column_stack([np.ones(np.count_nonzero(near)), places[near]])
        ridge = np.diag([0.0] + [1e-3 * len(terms)] * places.shape[1])
        solved = np.linalg.solve(terms.T @ terms + ridge + 1e-9 * np.eye(len(ridge)),
                                 terms.T @ logarithm[near])  # fmt: skip
        shading = solved[1:].astype(np.float64)
        width = max(_LAST_WIDTH, 0.75 * width)
    rest = logarithm - places @ shading
    level = _mode(rest)
    return level, shading, float(np.std(rest[np.abs(rest - level) < _FIRST_WIDTH]))


def _mode(values: NDArray[np.float64]) -> float:
    """The most frequent value, from a smoothed histogram."""
    from scipy import ndimage

    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, np.arange(low - 5 * _BIN, high + 5 * _BIN, _BIN))
    peak = int(np.argmax(ndimage.gaussian_filter1d(counts.astype(float), 2.5)))
    return float(edges[peak] + edges[peak + 1]) / 2


def _shape(
    overview: Overview, spread: float, quantiles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Size and structure; lengths in dm, areas in dm^2, the rest without a unit."""
    areas = overview.areas_mm2()
    largest = int(np.argmax(areas))
    box = _box_mm(overview, largest)
    near, far = (_likeness(overview, shift_mm) for shift_mm in (4.0, 20.0))
    median = float(np.median(overview.scan.array_kji[overview.region_kji]))
    rim = overview.scan.array_kji[(overview.depth_mm > 6) & (overview.depth_mm < 14)]
    over = float(np.median(rim)) / median if rim.size and median > 0 else 1.0
    return np.array([
        areas[largest] / 1e4, box[1] / 100, box[0] / 100, areas[largest] / max(box[0] * box[1], 1),
        float(overview.object_kji.mean()), min(overview.skull_drop, 3.0), min(over, 3.0),
        _mirror_likeness(overview), near, far, spread, *quantiles[[1, 4, 7]],
    ])  # fmt: skip


def _box_mm(overview: Overview, k: int) -> tuple[float, float]:
    """Length (front to back) and width of the object in one slice."""
    rows, columns = (np.flatnonzero(overview.object_kji[k].any(axis=axis)) for axis in (1, 0))
    _, j, i = overview.spacing_kji
    return float(np.ptp(rows) + 1) * j, float(np.ptp(columns) + 1) * i


def _likeness(overview: Overview, shift_mm: float) -> float:
    """Correlation of the region with itself some mm to the side: noise 0, uniform things none."""
    step = max(1, round(shift_mm / overview.spacing_kji[2]))
    both = overview.region_kji[:, :, step:] & overview.region_kji[:, :, :-step]
    array = overview.scan.array_kji
    return _correlation(array[:, :, step:][both], array[:, :, :-step][both])


def _mirror_likeness(overview: Overview) -> float:
    """Correlation of the region with its mirror image, both smoothed by 4 mm."""
    from scipy import ndimage

    sigmas = [4.0 / spacing for spacing in overview.spacing_kji]
    smooth = ndimage.gaussian_filter(overview.scan.array_kji, sigmas, truncate=2.0)
    columns = np.flatnonzero(overview.object_kji.any(axis=(0, 1)))
    part = slice(int(columns[0]), int(columns[-1]) + 1)
    smooth, region = smooth[:, :, part], overview.region_kji[:, :, part]
    both = region & region[:, :, ::-1]
    return _correlation(smooth[both], smooth[:, :, ::-1][both])


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Pearson's coefficient; 0 where it says nothing: few voxels, or one value throughout."""
    if first.size < 50 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second, dtype=np.float64)[0, 1])
