"""Lesions of a simulated brain: white-matter lesions, and a tumor with its oedema."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SAMI2ILib.data.simulation.anatomy import Anatomy
from SAMI2ILib.data.simulation.fields import smooth_noise
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.imaging.volume import FloatArray

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Blob:
    """A piece of abnormal tissue.

    Args:
        tissue: What it is made of.
        box: Where in the anatomy's array it lies.
        fraction: float32 in 0..1, the share of it in each voxel of the box.
    """

    tissue: Tissue
    box: Box
    fraction: FloatArray


def random_white_matter_lesions(
    anatomy: Anatomy, rng: np.random.Generator, count: int
) -> list[Blob]:
    """Draw lesions as in multiple sclerosis: ragged ellipsoids, most of them at the ventricles.

    Args:
        anatomy: The head.
        rng: Source of randomness.
        count: Number of lesions.

    Returns:
        `count` blobs within white matter, fewer where the head has none.
    """
    white = anatomy.is_any(Tissue.WHITE_MATTER)
    candidates = np.argwhere(white[::2, ::2, ::2]) * 2
    if count == 0 or len(candidates) == 0:
        return []
    ventricle = anatomy.is_any(Tissue.VENTRICLE)[::2, ::2, ::2].astype(np.float32)
    near = ndimage.gaussian_filter(ventricle, 4.0)
    weight = near[tuple((candidates // 2).T)].astype(np.float64)
    weight = weight / max(weight.max(), 1e-6) + 0.01
    centers = candidates[rng.choice(len(candidates), size=count, p=weight / weight.sum())]
    white_share = white.astype(np.float32)
    blobs = []
    for center in centers:
        radius = float(np.clip(rng.lognormal(np.log(3.2), 0.45), 1.5, 10.0))
        box, shape = _box_around(center, 2.2 * radius, anatomy.shape_kji)
        distance = _ellipsoid(center, box, radius * rng.uniform(0.65, 1.4, 3))
        distance += 0.25 * smooth_noise(shape, 3.0, rng)
        fraction = _edge((1.0 - distance) * radius, 0.7) * white_share[box]
        blobs.append(Blob(Tissue.LESION, box, fraction * np.float32(rng.uniform(0.5, 1.0))))
    return blobs


def random_tumor(anatomy: Anatomy, rng: np.random.Generator) -> list[Blob]:
    """Draw a glioma-like mass: oedema that spreads through white matter, and a core within.

    Args:
        anatomy: The head.
        rng: Source of randomness.

    Returns:
        Oedema, then core; empty where the head has no white matter.
    """
    candidates = np.argwhere(anatomy.is_any(Tissue.WHITE_MATTER)[::2, ::2, ::2]) * 2
    if len(candidates) == 0:
        return []
    center = candidates[rng.integers(len(candidates))]
    spread = np.zeros(len(Tissue), np.float32)
    spread[[Tissue.WHITE_MATTER, Tissue.LESION]] = 1.0
    spread[[Tissue.DEEP_GRAY, Tissue.PALLIDUM, Tissue.BRAIN_STEM]] = 0.7
    spread[Tissue.GRAY_MATTER] = 0.45
    radius = rng.uniform(14.0, 32.0)
    box, shape = _box_around(center, 1.5 * radius, anatomy.shape_kji)
    distance = _ellipsoid(center, box, radius * rng.uniform(0.7, 1.3, 3))
    distance += 0.22 * smooth_noise(shape, 10.0, rng) + 0.08 * smooth_noise(shape, 4.0, rng)
    allowed = spread[anatomy.tissue_kji[box]]
    oedema = _edge((1.0 - distance) * radius, 1.5) * allowed * np.float32(rng.uniform(0.6, 1.0))
    core_radius = radius * rng.uniform(0.3, 0.6)
    core = _edge(radius * (core_radius / radius - distance), 1.0) * np.sqrt(allowed)
    return [Blob(Tissue.OEDEMA, box, oedema), Blob(Tissue.TUMOR, box, core)]


def _box_around(
    center: NDArray[np.int64], reach: float, shape_kji: tuple[int, int, int]
) -> tuple[Box, tuple[int, int, int]]:
    start = np.maximum(center - int(np.ceil(reach)), 0)
    stop = np.minimum(center + int(np.ceil(reach)) + 1, shape_kji)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    size = stop - start
    return (k, j, i), (int(size[0]), int(size[1]), int(size[2]))


def _ellipsoid(center: NDArray[np.int64], box: Box, radii: NDArray[np.float64]) -> FloatArray:
    """Distance from the center in units of the radius along each axis."""
    axes = [
        ((np.arange(b.start, b.stop) - c) / r).astype(np.float32) ** 2
        for b, c, r in zip(box, center, radii, strict=True)
    ]
    distance: FloatArray = np.sqrt(axes[0][:, None, None] + axes[1][:, None] + axes[2])
    return distance


def _edge(inside: FloatArray, width: float) -> FloatArray:
    """0 outside, 1 inside, smooth over about `width` voxels."""
    result: FloatArray = (1.0 / (1.0 + np.exp(np.clip(-inside / width * 3.0, -30, 30)))).astype(
        np.float32
    )
    result[result < 0.02] = 0.0
    return result
