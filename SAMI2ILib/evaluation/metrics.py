"""Figures of merit for a predicted volume against the real one, slice by slice and as a whole.

Both are in [0, 1], each on the scale that it has: nothing is fitted to the other. The data range
is 1, and NRMSE is divided by the target's Euclidean norm, as in the paper's tables.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.brain_mask import slices_with_more_than
from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

LARGEST_PSNR_DB = 100.0
"""PSNR of identical images, which is infinite; a finite stand-in keeps means finite."""
_SMALLEST_SLICE = 7  # side of the window of SSIM
_SSIM_BORDER = 3  # pixels whose window leaves the slice; scikit-image leaves them out of its mean


class NotMeasurableError(InputError):
    """A subject has nothing that could be measured; it says nothing of the system."""


@dataclass(frozen=True)
class Scores:
    """How close a prediction is to the truth.

    Attributes:
        psnr: Peak signal-to-noise ratio in dB for a data range of 1; at most `LARGEST_PSNR_DB`.
        ssim: Structural similarity for a data range of 1.
        nrmse: Norm of the error divided by the norm of the target.
        mae: Mean absolute error.
    """

    psnr: float
    ssim: float
    nrmse: float
    mae: float


@dataclass(frozen=True)
class VolumeScores:
    """All figures of one subject.

    Attributes:
        full: Mean over the axial slices, whole field of view.
        brain: Mean over the axial slices, voxels of the brain only.
        volume_full: The volume as one, whole field of view; SSIM is the mean of its map.
        volume_brain: The volume as one, voxels of the brain only.
        slices: How many slices were averaged.
        flicker: Mean absolute difference of the error between adjacent slices, in the brain.
        flicker_prediction: The same of the prediction itself.
        flicker_target: The same of the target: what anatomy alone gives.
        target_rms: Root mean square of the target in the whole field; PSNR depends on it.
    """

    full: Scores
    brain: Scores
    volume_full: Scores
    volume_brain: Scores
    slices: int
    flicker: float
    flicker_prediction: float
    flicker_target: float
    target_rms: float


@dataclass(frozen=True)
class SliceScores:
    """The figures of one slice, of number `k` in its volume."""

    k: int
    full: Scores
    brain: Scores


@dataclass(frozen=True)
class Measurement:
    """A measured volume.

    Attributes:
        scores: Its figures.
        slices: The figures of each slice that `scores.full` and `scores.brain` are the means of.
        left_out: Slices with enough brain that were not measured: the target is 0 in all of it.
    """

    scores: VolumeScores
    slices: tuple[SliceScores, ...]
    left_out: tuple[int, ...] = ()


def score_slice(
    prediction: FloatArray, target: FloatArray, region: BoolArray | None = None
) -> Scores:
    """Compare two slices.

    Args:
        prediction: (H, W) in [0, 1]; H and W of at least 7.
        target: (H, W) in [0, 1], not 0 everywhere in the region.
        region: (H, W), the pixels that count; None counts all. The SSIM of a pixel looks at
            7 x 7 pixels around it, also at those outside the region; pixels whose window leaves the
            slice do not count in SSIM, unless the region has no others.

    Raises:
        ShapeError: The shapes differ, or a side is shorter than 7.
        InputError: The region is empty, or the target is 0 in all of it: NRMSE has no meaning.
    """
    _check(prediction, target, region)
    inside = np.ones(target.shape, dtype=bool) if region is None else region
    return _scores(prediction, target, inside, _ssim_map(prediction, target))


def score_volume(prediction: FloatArray, target: FloatArray, brain: BoolArray) -> VolumeScores:
    """Compare two volumes on one grid with axial slices; as `measure_volume`, which says more."""
    return measure_volume(prediction, target, brain).scores


def measure_volume(
    prediction: FloatArray,
    target: FloatArray,
    brain: BoolArray,
    measured: BoolArray | None = None,
) -> Measurement:
    """Compare two volumes on one grid with axial slices, slice by slice and as a whole.

    Args:
        prediction: (K, J, I) in [0, 1].
        target: (K, J, I) in [0, 1].
        brain: (K, J, I). Slices in which it fills more than 5 % of the pixels are measured, unless
            the target is 0 in all of it there.
        measured: (K, J, I), where the target was scanned; None for everywhere. It is the full
            field; outside nothing counts.

    Raises:
        ShapeError: The shapes differ, or a side of the slices is shorter than 7.
        InputError: The prediction is not finite everywhere.
        NotMeasurableError: No slice holds enough brain, or the target is 0 in the brain.
    """
    field = np.ones(target.shape, dtype=bool) if measured is None else measured
    _check_shapes(prediction, target, brain, field)
    if not np.isfinite(prediction).all():
        raise InputError("The prediction holds NaN or infinity.", "Look at what made it.")
    # SSIM looks around each pixel, so that what was not scanned must not differ there
    prediction, target = (np.where(field, x, np.float32(0)) for x in (prediction, target))
    brain = brain & field
    enough = brain_slices(brain)
    chosen = [k for k in enough if target[k][brain[k]].any()]
    if not chosen:
        raise NotMeasurableError(
            "The target is 0 everywhere in the brain.",
            "Check that it covers the same part of the head.",
        )
    maps = [_ssim_map(prediction[k], target[k]) for k in chosen]
    slices = tuple(
        SliceScores(
            k,
            full=_scores(prediction[k], target[k], field[k], ssim),
            brain=_scores(prediction[k], target[k], brain[k], ssim),
        )
        for k, ssim in zip(chosen, maps, strict=True)
    )
    whole, truth, ssim_maps = prediction[chosen], target[chosen], np.stack(maps)
    scores = VolumeScores(
        full=_mean([one.full for one in slices]),
        brain=_mean([one.brain for one in slices]),
        volume_full=_scores(whole, truth, field[chosen], ssim_maps),
        volume_brain=_scores(whole, truth, brain[chosen], ssim_maps),
        slices=len(chosen),
        flicker=flicker(prediction - target, brain),
        flicker_prediction=flicker(prediction, brain),
        flicker_target=flicker(target, brain),
        target_rms=float(np.sqrt(np.mean(truth[field[chosen]].astype(np.float64) ** 2))),
    )
    return Measurement(scores, slices, tuple(k for k in enough if k not in chosen))


def brain_slices(brain: BoolArray) -> list[int]:
    """Numbers k of the slices in which the brain fills more than 5 % of the pixels.

    Raises:
        NotMeasurableError: There is none.
    """
    chosen = slices_with_more_than(0.05, brain)
    if not chosen:
        raise NotMeasurableError(
            "No slice holds more than 5 % brain, so there is nothing to measure.",
            "Check the brain mask, and that the scan is a head.",
        )
    return chosen


def flicker(array_kji: FloatArray, region: BoolArray) -> float:
    """Mean absolute step from slice to slice, where both slices are in the region.

    Args:
        array_kji: (K, J, I).
        region: (K, J, I).

    Returns:
        In the array's unit; 0 where no two adjacent slices share a voxel of the region.
    """
    both = region[1:] & region[:-1]
    if not both.any():
        return 0.0
    steps = np.abs(np.diff(array_kji.astype(np.float64), axis=0))
    return float(steps[both].mean())


def _check(prediction: FloatArray, target: FloatArray, region: BoolArray | None) -> None:
    _check_shapes(prediction, target, target if region is None else region)
    if region is not None and not region.any():
        raise InputError("The region to measure is empty.", "Check the mask.")
    if not (target if region is None else target[region]).any():
        raise InputError(
            "The target is 0 everywhere in the region to measure.",
            "Check that it covers the same part of the head.",
        )


def _check_shapes(*arrays: NDArray[Any]) -> None:
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ShapeError(
            f"prediction, target and region must have one shape, but they have {sorted(shapes)}.",
            "Resample them onto one grid first.",
        )


def _ssim_map(prediction: FloatArray, target: FloatArray) -> NDArray[np.float64]:
    from skimage.metrics import structural_similarity

    if min(target.shape) < _SMALLEST_SLICE:
        raise ShapeError(
            f"SSIM needs slices of at least 7 x 7 pixels, these have {target.shape}.",
            "Measure a larger field of view.",
        )
    _, ssim = structural_similarity(  # type: ignore[no-untyped-call]
        target.astype(np.float64), prediction.astype(np.float64), data_range=1.0, full=True
    )
    ssim_map: NDArray[np.float64] = ssim
    return ssim_map


def _scores(
    prediction: FloatArray, target: FloatArray, region: BoolArray, ssim: NDArray[np.float64]
) -> Scores:
    from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

    truth = target[region].astype(np.float64)
    guess = prediction[region].astype(np.float64)
    if np.array_equal(truth, guess):
        psnr = LARGEST_PSNR_DB
    else:
        ratio = peak_signal_noise_ratio(truth, guess, data_range=1.0)  # type: ignore[no-untyped-call]
        psnr = min(LARGEST_PSNR_DB, float(ratio))
    inner = np.zeros_like(region)
    inside = slice(_SSIM_BORDER, -_SSIM_BORDER)
    inner[..., inside, inside] = region[..., inside, inside]
    return Scores(
        psnr=psnr,
        ssim=float(ssim[inner if inner.any() else region].mean()),
        nrmse=float(normalized_root_mse(truth, guess)),
        mae=float(np.abs(truth - guess).mean()),
    )


def _mean(scores: Sequence[Scores]) -> Scores:
    return Scores(
        **{
            f.name: math.fsum(getattr(s, f.name) for s in scores) / len(scores)
            for f in fields(Scores)
        }
    )
