"""Where the head is: scalp, skull, brain and the dark cavities in them; not air."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.orientation import axis_order
from SAMI2ILib.imaging.volume import BoolArray, FloatArray, Volume

# All [ours]; tuned by eye on scans with and without skull, 0.5-5.5 mm.
_SMOOTHING_MM = 1.0  # Gaussian sigma: below the width of the scalp, above the noise's
_LOWEST_CUT = 0.05  # of the 99.5th percentile: darker than CSF in a T1
_NOISE_SIGMAS = 5.0
_CORE_EROSION_MM = 2.5  # detaches what hangs on the head by noise or ghosting
_SCALP_REACH_MM = 6.0  # from the core back to the surface
_CLOSING_MM = 4.0  # ear canals, sulci of a brain-only scan
_SAFETY_MM = 1.5  # partial volume at the skin
# A scan is masked (skull-stripped, air set to zero) where, in a shell around the head, hardly a
# voxel is above _ZERO of the 99.5th percentile.
_ZERO = 1e-3
_SHELL_MM = 4.0
_MASKED_SHARE = 0.1
# Zeros are the padding of a turned or cropped scan where mostly air lies next to them, not tissue.
_PADDING_GAP_MM = 2.0
_PADDING_SHELL_MM = 6.0
_AIR_SHARE = 0.75
_LARGEST = 1e9  # Otsu's products of squares would leave float32 far beyond it


def find_foreground(volume: Volume) -> BoolArray:
    """Find the head, or the brain where the scan is brain-only.

    Threshold between air and tissue, dark cavities (ventricles, skull, sinuses) filled slice by
    slice, the largest connected piece, and a rim of 1.5 mm for partial volume. In a scan with
    a masked background, the zeros around the head or brain stay outside. The work is done along
    the patient's axes and in mm, so the same voxels are found however the array is permuted or
    flipped. Deterministic.

    Args:
        volume: A head in any orientation, with or without skull, whole or cut by the field of
            view; also a single slice or a few voxels.

    Returns:
        (K, J, I) bool, never empty, C-ordered.

    Raises:
        InputError: All voxels are equal, or none is positive.
    """
    order = axis_order(volume.ijk_to_ras, "LPS")
    array_kji = np.ascontiguousarray(order.apply(volume.array_kji))
    if array_kji.min() == array_kji.max():
        raise InputError(
            f"{volume.name or 'The volume'} is constant: every voxel is {array_kji.flat[0]:g}.",
            "Give a scan that shows a head.",
        )
    if array_kji.max() <= 0:
        raise InputError(
            f"{volume.name or 'The volume'} has no positive intensity.",
            "Give a magnitude image; air should be near 0 and tissue above it.",
        )
    bright = float(np.percentile(array_kji[array_kji > 0], 99.5))
    if bright > _LARGEST:
        array_kji, bright = array_kji / np.float32(bright), 1.0
    spacing_kji = order.apply_to_grid(volume.grid).spacing_mm[::-1]
    head = _find_head(array_kji, bright, spacing_kji)
    return np.ascontiguousarray(order.undo(head))


def _find_head(array_kji: FloatArray, bright: float, spacing_kji: Sequence[float]) -> BoolArray:
    # Filled first: dark bone all around would otherwise part the scalp from the brain.
    solid = _fill_slices(_tissue(array_kji, bright, spacing_kji))
    closed = _close(_keep_main_piece(solid, spacing_kji), _CLOSING_MM, spacing_kji)
    head = _dilate(_fill_slices(closed), _SAFETY_MM, spacing_kji)
    has_signal = array_kji > _ZERO * bright
    around = _dilate(head, _SHELL_MM, spacing_kji) & ~head
    if around.any() and has_signal[around].mean() < _MASKED_SHARE:
        head &= _fill_slices(has_signal)
    return head


def _tissue(array_kji: FloatArray, bright: float, spacing_kji: Sequence[float]) -> BoolArray:
    """Where a slightly smoothed image is brighter than air."""
    from scipy import ndimage

    clipped = np.clip(array_kji, 0.0, bright)
    sigmas = [_SMOOTHING_MM / s if s <= 2 * _SMOOTHING_MM else 0.0 for s in spacing_kji]
    smooth = ndimage.gaussian_filter(clipped, sigmas, truncate=2.0)
    tissue: BoolArray = smooth > _air_cut(smooth, bright, spacing_kji)
    return tissue


def _air_cut(smooth: FloatArray, bright: float, spacing_kji: Sequence[float]) -> float:
    """The intensity between air and tissue: above the noise, below half of Otsu's threshold."""
    from skimage.filters import threshold_otsu

    otsu: Any = threshold_otsu
    between = float(otsu(smooth.ravel()))
    dark = smooth < 0.5 * between
    zeros = smooth <= _ZERO * bright
    if _are_padding(zeros, dark, spacing_kji):
        dark &= ~zeros
    air = smooth[dark]
    if air.size == 0:
        return _LOWEST_CUT * bright
    middle = float(np.median(air))
    sigma = 1.4826 * float(np.median(np.abs(air - middle)))
    return min(max(middle + _NOISE_SIGMAS * sigma, _LOWEST_CUT * bright), 0.5 * between)


def _are_padding(zeros: BoolArray, dark: BoolArray, spacing_kji: Sequence[float]) -> bool:
    """Whether the zeros were put around a scan with air of its own, not around a masked head."""
    gap = _dilate(zeros, _PADDING_GAP_MM, spacing_kji)
    beside = _dilate(gap, _PADDING_SHELL_MM - _PADDING_GAP_MM, spacing_kji) & ~gap
    return bool(beside.any() and dark[beside].mean() > _AIR_SHARE)


def _keep_main_piece(tissue: BoolArray, spacing_kji: Sequence[float]) -> BoolArray:
    """Drop what is not connected to the head by more than a few millimeters."""
    core = _erode(tissue, _CORE_EROSION_MM, spacing_kji)
    if not core.any():  # a few voxels, or a thin slab: nothing to detach
        return _largest_piece(tissue)
    kept: BoolArray = tissue & _dilate(_largest_piece(core), _SCALP_REACH_MM, spacing_kji)
    return kept


def _largest_piece(mask: BoolArray) -> BoolArray:
    from scipy import ndimage

    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count <= 1:
        return mask
    # Slice by slice: counting makes integers of 8 bytes of all labels.
    sizes = np.zeros(count + 1, dtype=np.intp)
    for part in labels:
        sizes += np.bincount(part.ravel(), minlength=count + 1)
    largest: BoolArray = labels == 1 + int(np.argmax(sizes[1:]))
    return largest


def _fill_slices(mask: BoolArray) -> BoolArray:
    """Fill, in each axial slice, what the mask encloses."""
    from scipy import ndimage

    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(~mask, structure=in_plane)
    is_outside = np.zeros(count + 1, dtype=bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        is_outside[np.unique(edge)] = True
    is_outside[0] = False  # the mask itself
    filled: BoolArray = ~is_outside[labels]
    return filled


def _dilate(mask: BoolArray, radius_mm: float, spacing_kji: Sequence[float]) -> BoolArray:
    return _box_filter(mask, radius_mm, spacing_kji, "maximum_filter1d", outside=0)


def _erode(mask: BoolArray, radius_mm: float, spacing_kji: Sequence[float]) -> BoolArray:
    """The volume's edge does not erode: a head that the field of view cuts goes on there."""
    return _box_filter(mask, radius_mm, spacing_kji, "minimum_filter1d", outside=1)


def _close(mask: BoolArray, radius_mm: float, spacing_kji: Sequence[float]) -> BoolArray:
    """Dilate and erode. A mask that the volume's edge cuts goes on there; no other grows to it."""
    reach = [int(radius_mm / spacing) for spacing in spacing_kji]
    wider = np.pad(mask, [(n, n) for n in reach], mode="edge")
    closed = _erode(_dilate(wider, radius_mm, spacing_kji), radius_mm, spacing_kji)
    return closed[tuple(slice(n, n + size) for n, size in zip(reach, mask.shape, strict=True))]


def _box_filter(
    mask: BoolArray, radius_mm: float, spacing_kji: Sequence[float], name: str, outside: int
) -> BoolArray:
    """A separable box in mm; axes whose spacing exceeds the radius are left alone."""
    from scipy import ndimage

    filtered: NDArray[Any] = mask.view(np.uint8)
    for axis, spacing in enumerate(spacing_kji):
        reach = int(radius_mm / spacing)
        if reach > 0:
            filtered = getattr(ndimage, name)(
                filtered, 2 * reach + 1, axis=axis, mode="constant", cval=outside
            )
    return filtered.view(np.bool_)
