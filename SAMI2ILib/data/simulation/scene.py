"""The signal of every voxel of an anatomy in each contrast, before any scanner looks at it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SAMI2ILib.data.simulation.anatomy import Anatomy
from SAMI2ILib.data.simulation.fields import smooth_noise
from SAMI2ILib.data.simulation.lesions import Blob
from SAMI2ILib.data.simulation.signal import Sequence as PulseSequence
from SAMI2ILib.data.simulation.tissues import Tissue, TissueParameters
from SAMI2ILib.imaging.volume import FloatArray

# Relative change of T1, T2 and T2* where a voxel holds one standard deviation more free water.
_WATER_STEP = 0.04
_T2_STEP = 0.035


def paint(
    anatomy: Anatomy,
    blobs: Sequence[Blob],
    tissues: TissueParameters,
    sequences: Mapping[str, PulseSequence],
    rng: np.random.Generator,
    *,
    fat: Mapping[str, float],
    texture: float,
    blur_mm: float,
) -> dict[str, FloatArray]:
    """Compute the signal of every voxel of the anatomy in every sequence.

    A voxel's signal is the sum of its tissues' signals, weighted by their fractions. Smoothing
    the signals of the hard labels gives the same as smoothing the labels into fractions, since
    both are linear. Texture is one map of free water and one of T2, common to all contrasts, so
    that a voxel that is dark in T1 for its water is bright in T2.

    Args:
        anatomy: The head.
        blobs: Lesions, in the order in which they replace what lies below.
        tissues: Values of every tissue.
        sequences: A pulse sequence for each contrast.
        rng: Source of randomness.
        fat: For each contrast a factor on the signal of fat and marrow.
        texture: Strength of the variation within a tissue, 1 is typical, 0 none.
        blur_mm: Standard deviation of the smoothing that makes partial volume.

    Returns:
        For each contrast (K, J, I) float32 in 0..1.
    """
    shape = anatomy.shape_kji
    water = _tissue_variation(shape, rng) * np.float32(texture)
    t2 = _tissue_variation(shape, rng) * np.float32(texture)
    blur = blur_mm / np.linalg.norm(anatomy.ijk_to_ras[:3, 0])
    vessel = np.float32(rng.uniform(0.05, 0.9))
    images = {}
    for contrast, sequence in sequences.items():
        signal, by_water, by_t2 = _sensitivities(sequence, tissues)
        signal[[Tissue.FAT, Tissue.MARROW]] *= np.float32(fat[contrast])
        # Blood flows out of the slice during an echo time and leaves a void in most spin echoes.
        # With an agent the slow blood of the veins stays bright.
        if sequence.is_spin_echo and not sequence.agent_mmol_l:
            signal[Tissue.BLOOD] *= vessel
        image = signal[anatomy.tissue_kji]
        image *= 1.0 + by_water[anatomy.tissue_kji] * water + by_t2[anatomy.tissue_kji] * t2
        for blob in blobs:
            part = image[blob.box]
            part += blob.fraction * (signal[blob.tissue] - part)
        np.maximum(image, 0.0, out=image)
        images[contrast] = ndimage.gaussian_filter(image, blur, truncate=3.0)
    return images


def with_blobs(anatomy: Anatomy, blobs: Sequence[Blob]) -> NDArray[np.uint8]:
    """The tissue map with lesions where they fill more than half a voxel; (K, J, I) uint8."""
    tissue = anatomy.tissue_kji.copy()
    for blob in blobs:
        tissue[blob.box][blob.fraction > 0.5] = blob.tissue
    return tissue


def _tissue_variation(shape: tuple[int, int, int], rng: np.random.Generator) -> FloatArray:
    """From region to region (30 mm), and finer (7 mm and 2.5 mm)."""
    field = np.float32(0.7) * smooth_noise(shape, 30.0, rng)
    field += np.float32(0.35) * smooth_noise(shape, 7.0, rng)
    field += np.float32(0.4) * smooth_noise(shape, 2.5, rng)
    return field


def _sensitivities(
    sequence: PulseSequence, tissues: TissueParameters
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Signal of each tissue, and its relative change by a step of free water and of T2."""
    signal = sequence.signal(tissues)
    wetter = TissueParameters(
        tissues.t1_ms * (1 + _WATER_STEP),
        tissues.t2_ms * (1 + _WATER_STEP),
        tissues.t2_star_ms * (1 + _WATER_STEP),
        np.minimum(tissues.proton_density * (1 + _WATER_STEP / 4), 1.0),
    )
    longer = TissueParameters(
        tissues.t1_ms,
        tissues.t2_ms * (1 + _T2_STEP),
        tissues.t2_star_ms * (1 + _T2_STEP),
        tissues.proton_density,
    )
    base = np.maximum(signal, 1e-9)
    changes = [(sequence.signal(other) - signal) / base for other in (wetter, longer)]
    # Muscle, fat and marrow are streaked: their texture is stronger than the brain's.
    for change in changes:
        change[[Tissue.FAT, Tissue.MUSCLE, Tissue.MARROW, Tissue.MUCOSA, Tissue.DURA]] *= 2.0
    return (
        signal.astype(np.float32),
        changes[0].astype(np.float32),
        changes[1].astype(np.float32),
    )
