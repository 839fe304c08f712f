"""A coarse look at a scan, which the checks share: the object, its depth, where a brain may be.

Everything works on a copy of about 2 mm, so that a check of a head takes a fraction of a second.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import BoolArray, FloatArray, Volume

_SPACING_MM = 2.0
# Scalp and skull are a rim that ends where, below its darkest layer, the deep intensity is nearly
# reached again; where no layer is dark it is as thick as usual.
_LEAST_RIM_MM, _USUAL_RIM_MM, _LARGEST_RIM_MM, _REACHED = 15.0, 20.0, 26.0, 0.85
_BRAIN_RIM_MM = 4.0
# Below the top of a head, resp. of a brain. Of a head without the front (frontal sinuses) and,
# farther down, without more of it (orbits).
_HEAD_SLAB_MM, _BRAIN_SLAB_MM = (24.0, 85.0), (5.0, 85.0)
_FRONT_SHARE, _ORBIT_SHARE, _ORBITS_BELOW_MM = 0.2, 0.4, 50.0
_FLAT_TOP = 0.65  # of the largest cross-section: more is no dome, where the skull lies flat
_LEAST_AREA_MM2 = 2000.0  # a slice with less of the object does not count as its top
_EMPTY_SHARE = 0.25  # of the voxels that are exactly 0 where a brain was cut out
# A skull is a dark layer below a bright one: the drop, relative to the deep intensity. Real heads
# have 0.3 to 1.8, brain-only scans less than 0.05.
_SKULL_DROP = 0.2
_LAYER_MM, _LAYERS, _SCALP_LAYERS, _FIRST_SKULL_LAYER, _DEEP_MM = 1.5, 16, 12, 3, 25.0
_FEWEST_VOXELS = 300


@dataclass(frozen=True, eq=False)
class Overview:
    """What the checks look at.

    Attributes:
        scan: The copy: axes along LPS, voxels of about 2 mm where the scan is finer.
        object_kji: (K, J, I) bool, the head or whatever stands out from the air.
        depth_mm: (K, J, I) below the surface of the object; the edge of the field of view is none.
        zero_share: Part of the scan's own voxels that are exactly 0.
        skull_drop: How much darker than what lies above it the darkest layer below the surface is,
            relative to the deep intensity.
        rim_mm: Depth at which the brain begins.
        region_kji: (K, J, I) bool, where the upper part of a brain would be; may be empty.
    """

    scan: Volume
    object_kji: BoolArray
    depth_mm: NDArray[np.float64]
    zero_share: float
    skull_drop: float
    rim_mm: float
    region_kji: BoolArray

    @property
    def is_brain_only(self) -> bool:
        """Whether everything but the brain seems to have been set to 0."""
        return self.zero_share >= _EMPTY_SHARE and self.skull_drop < _SKULL_DROP

    @property
    def has_region(self) -> bool:
        """Whether there are enough voxels for statistics."""
        return int(np.count_nonzero(self.region_kji)) >= _FEWEST_VOXELS

    @property
    def spacing_kji(self) -> tuple[float, float, float]:
        """Voxel size along k, j, i in mm."""
        i, j, k = self.scan.spacing_mm
        return k, j, i

    def areas_mm2(self) -> NDArray[np.float64]:
        """Cross-section of the object in each axial slice; (K,)."""
        _, j, i = self.spacing_kji
        areas: NDArray[np.float64] = np.count_nonzero(self.object_kji, axis=(1, 2)) * (j * i)
        return areas


def look_at(volume: Volume) -> Overview:
    """Make the overview of a scan.

    Args:
        volume: Any orientation, spacing and size.

    Raises:
        InputError: All voxels are equal, or none is positive.
    """
    from scipy import ndimage

    scan = shrink(volume)
    inside = find_foreground(scan)
    spacing_kji = scan.spacing_mm[::-1]
    if inside.all():  # no air, no surface
        depth = np.full(inside.shape, np.inf)
    else:
        depth = ndimage.distance_transform_edt(inside, sampling=spacing_kji)
    zero_share = float(np.mean(volume.array_kji == 0))
    profile = _profile(scan.array_kji, depth)
    deep = _deep_intensity(scan.array_kji, depth)
    drop = _skull_drop(profile, deep)
    brain_only = zero_share >= _EMPTY_SHARE and drop < _SKULL_DROP
    rim_mm = _BRAIN_RIM_MM if brain_only else _rim_mm(profile, deep)
    region = _region(inside, depth, spacing_kji, brain_only, rim_mm)
    return Overview(scan, inside, depth, zero_share, drop, rim_mm, region)


def shrink(volume: Volume, spacing_mm: float = _SPACING_MM) -> Volume:
    """Average whole voxels into blocks of about `spacing_mm`, along LPS; what is coarser stays."""
    upright = reorient(volume, "LPS")
    shape = upright.array_kji.shape
    steps = [
        min(max(1, round(spacing_mm / spacing)), size)
        for spacing, size in zip(upright.spacing_mm[::-1], shape, strict=True)
    ]
    k, j, i = (size // step for size, step in zip(shape, steps, strict=True))
    blocks = upright.array_kji[: k * steps[0], : j * steps[1], : i * steps[2]]
    blocks = blocks.reshape(k, steps[0], j, steps[1], i, steps[2]).mean(axis=(1, 3, 5))
    factors = np.array(steps[::-1], float)
    matrix = upright.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ ((factors - 1) / 2)
    matrix[:3, :3] *= factors
    return Volume(blocks, matrix, volume.name)


def _profile(array_kji: FloatArray, depth_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median intensity of the layers below the surface, from outside inwards; NaN for none."""
    near = (depth_mm > 0) & (depth_mm < _LAYERS * _LAYER_MM)
    layers, values = (depth_mm[near] / _LAYER_MM).astype(int), array_kji[near]
    order = np.argsort(layers, kind="stable")
    ends = np.searchsorted(layers[order], np.arange(_LAYERS + 1))
    parts = [values[order[start:end]] for start, end in pairwise(ends)]
    return np.array([np.median(part) if part.size else np.nan for part in parts])


def _deep_intensity(array_kji: FloatArray, depth_mm: NDArray[np.float64]) -> float:
    deepest = float(depth_mm.max())
    if not np.isfinite(deepest):
        return 0.0
    return float(np.median(array_kji[depth_mm > min(_DEEP_MM, 0.8 * deepest)]))


def _skull_drop(profile: NDArray[np.float64], deep: float) -> float:
    layers = profile[:_SCALP_LAYERS][np.isfinite(profile[:_SCALP_LAYERS])]
    if deep <= 0 or layers.size == 0:
        return 0.0
    return float(np.max(np.maximum.accumulate(layers) - layers)) / deep


def _rim_mm(profile: NDArray[np.float64], deep: float) -> float:
    skull = profile[_FIRST_SKULL_LAYER:]
    if deep <= 0 or not np.isfinite(skull).any() or np.nanmin(skull) > _REACHED * deep:
        return _USUAL_RIM_MM
    darkest = _FIRST_SKULL_LAYER + int(np.nanargmin(skull))
    below = np.flatnonzero(profile[darkest:] >= _REACHED * deep)
    reached = darkest + int(below[0]) if below.size else _LAYERS
    return float(np.clip((reached + 1) * _LAYER_MM, _LEAST_RIM_MM, _LARGEST_RIM_MM))


def _region(
    inside: BoolArray,
    depth_mm: NDArray[np.float64],
    spacing_kji: tuple[float, ...],
    brain_only: bool,
    rim_mm: float,
) -> BoolArray:
    areas = np.count_nonzero(inside, axis=(1, 2)) * (spacing_kji[1] * spacing_kji[2])
    wide = np.flatnonzero(areas > _LEAST_AREA_MM2)
    if wide.size == 0:
        return np.zeros_like(inside)
    below_top = (wide[-1] - np.arange(len(areas))) * spacing_kji[0]
    first, last = _BRAIN_SLAB_MM if brain_only else _HEAD_SLAB_MM
    if wide[-1] == len(areas) - 1:  # cut above: the first slice may lie in the brain already
        first = 0.0 if areas[-1] > _FLAT_TOP * areas.max() else first / 2
    slab = (below_top >= first) & (below_top <= last)
    region: BoolArray = inside & (depth_mm > rim_mm) & slab[:, None, None]
    if not brain_only:
        rows = np.flatnonzero(inside.any(axis=(0, 2)))  # from front to back
        region[:, : int(rows[0] + _FRONT_SHARE * len(rows))] = False
        low = below_top > _ORBITS_BELOW_MM
        region[low, : int(rows[0] + _ORBIT_SHARE * len(rows))] = False
    return region
