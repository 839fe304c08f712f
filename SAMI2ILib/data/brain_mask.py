"""Where the brain is in a T1: its non-zero voxels, or the MNI152 mask carried over.

A scan that is brain only says so itself. For any other the brain-only MNI152 template is laid onto
the head, by an affine and then a B-spline transform, and its mask comes along.
"""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.registration import to_world_image
from SAMI2ILib.errors import InputError, MissingError
from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.itk import quiet_itk, simpleitk
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import BoolArray, Grid, Volume

_TEMPLATE_FILE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
_SEED = 20241119
_WORKING_SPACING_MM = 2.0  # the registration needs no finer detail
# A skull is a dark layer under a bright one. Layers are this thick, and this many are looked at.
_LAYER_MM, _LAYERS = 1.5, 12
_DEEP_MM = 25.0
_SKULL_DROP = 0.2  # of the deep intensity; real heads 0.3 to 1.8, brain-only scans below 0.05
_EMPTY_PART = 0.25  # of the voxels that are exactly 0 where a brain was cut out
# In MNI space: the template's brain ends here, a head some scalp above it.
_MNI_SCALP_TOP_MM = 92.0
_SLAB_MM = 110.0  # below the top of the head: the part that is shaped like the template
# Layers around the template's brain, so that it looks like a head: without them the metric lays
# the brain's surface onto the skin, where air begins. Typical thicknesses of CSF with skull, scalp.
_SKULL_MM, _SCALP_MM = 8.0, 6.0
_DARK, _BRIGHT = 0.15, 1.2  # of the intensity of white matter
_CALOTTE_BOTTOM_MM = -20.0  # in MNI space; below it muscle, sinuses and eyes lie around the brain
_LOW_RIM_MM = 4.0  # of the brain's surroundings that count there


def brain_mask(volume: Volume) -> BoolArray:
    """Find the brain, with its CSF, in a T1.

    Args:
        volume: T1-weighted; any orientation, with skull or brain only.

    Returns:
        (K, J, I) bool on the volume's grid.

    Raises:
        InputError: The volume is constant, or the template could not be laid onto it.
        MissingError: The scan shows the skull and the `nilearn` package, which carries the
            template, is not installed.
    """
    if is_brain_only(volume):
        return _filled(volume.array_kji != 0, volume)
    return _carry_template_mask(volume)


def slices_with_more_than(part: float, region: BoolArray) -> list[int]:
    """Numbers k of the slices of which a region fills more than a part of the pixels.

    Args:
        part: In [0, 1); 0.05 for the slices that are trained on and measured.
        region: (K, J, I).
    """
    return [int(k) for k in np.flatnonzero(region.mean(axis=(1, 2)) > part)]


def is_brain_only(volume: Volume) -> bool:
    """Tell whether everything but the brain was set to 0 in a scan.

    Args:
        volume: T1-weighted.

    Returns:
        True where a good part of the voxels is exactly 0 and, on the way inwards from the surface
        of what is left, no dark skull follows on a bright scalp.
    """
    if np.mean(volume.array_kji == 0) < _EMPTY_PART:
        return False
    depth = _depth_mm(find_foreground(volume), volume)
    deep = volume.array_kji[depth > min(_DEEP_MM, 0.8 * float(depth.max()))]
    layers = np.arange(_LAYERS + 1) * _LAYER_MM
    profile = [
        float(np.median(volume.array_kji[(depth > near) & (depth <= far)]))
        for near, far in pairwise(layers)
        if ((depth > near) & (depth <= far)).any()
    ]
    brightest_so_far = np.maximum.accumulate(profile)
    drop = float(np.max(brightest_so_far - profile))
    return drop < _SKULL_DROP * float(np.median(deep))


def _filled(mask: BoolArray, volume: Volume) -> BoolArray:
    """The largest piece, smoothed by 3 mm against loose voxels, without holes."""
    from scipy import ndimage

    closed = _distance_mm(~_within(mask, 3.0, volume), volume) > 3.0
    pieces, count = ndimage.label(closed | mask)
    if count > 1:
        pieces = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    filled: BoolArray = ndimage.binary_fill_holes(pieces > 0)
    return filled


def _within(mask: BoolArray, reach_mm: float, volume: Volume) -> BoolArray:
    near: BoolArray = _distance_mm(mask, volume) <= reach_mm
    return near


def _distance_mm(mask: BoolArray, volume: Volume) -> NDArray[np.float64]:
    """Distance of each voxel from the nearest one of a mask, 0 inside it."""
    from scipy import ndimage

    distance: NDArray[np.float64] = ndimage.distance_transform_edt(
        ~mask, sampling=volume.spacing_mm[::-1]
    )
    return distance


def _depth_mm(mask: BoolArray, volume: Volume) -> NDArray[np.float64]:
    """Distance of each voxel of a mask from its outside, which goes on beyond the grid."""
    from scipy import ndimage

    padded = np.pad(mask, 1)
    spacing_kji = volume.spacing_mm[::-1]
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(padded, sampling=spacing_kji)
    return distance[1:-1, 1:-1, 1:-1]


def _carry_template_mask(volume: Volume) -> BoolArray:
    template, template_mask = _read_template()
    model = _with_skull_and_scalp(template, template_mask.array_kji > 0.5)
    head = _on_working_grid(volume)
    # outside the scan's box there is no air: it was not looked at
    scanned = _on_working_grid(volume.with_array(np.ones_like(volume.array_kji)))
    foreground = find_foreground(head)
    start = _start(head, foreground)
    try:
        with quiet_itk():
            affine = _register_affine(model, head, scanned, start)
            warp = _register_spline(head, scanned, model, affine)
            carried = _carry(template_mask, head, affine, warp) > 0.5
    except RuntimeError as error:
        raise InputError(
            f"The brain template could not be laid onto '{volume.name}'.",
            "Check that it is a T1 of a whole head, or save a brain.nii.gz beside it.",
        ) from error
    on_grid = resample(head.with_array(carried), volume.grid).array_kji > 0.5
    return on_grid & find_foreground(volume)


@lru_cache(maxsize=1)
def _read_template() -> tuple[Volume, Volume]:
    """The MNI152 T1 (ICBM 2009a, brain only) that `nilearn` carries, and its mask as 0 and 1."""
    spec = importlib.util.find_spec("nilearn")
    hint = "Run: pip install nilearn. Or save a brain.nii.gz beside the T1."
    if spec is None or spec.origin is None:
        raise MissingError("The brain template is missing: nilearn is not installed.", hint)
    path = Path(spec.origin).parent / "datasets" / "data" / _TEMPLATE_FILE
    if not path.is_file():
        raise MissingError(f"This version of nilearn does not carry {_TEMPLATE_FILE}.", hint)
    template = read_volume(path)
    mask = template.with_array(_filled(template.array_kji > 0, template))
    return _on_working_grid(template), _on_working_grid(mask)


def _on_working_grid(volume: Volume) -> Volume:
    """The volume on an upright, isotropic RAS grid around it."""
    corners = volume.grid.corners_ras()
    low, high = corners.min(axis=0), corners.max(axis=0)
    i, j, k = (int(n) for n in np.ceil((high - low) / _WORKING_SPACING_MM))
    matrix = np.diag([_WORKING_SPACING_MM] * 3 + [1.0])
    matrix[:3, 3] = low + _WORKING_SPACING_MM / 2
    return resample(volume, Grid((k, j, i), matrix))


def _start(head: Volume, foreground: BoolArray) -> NDArray[np.float64]:
    """Translation from MNI space that lays the top of the head onto that of the template."""
    kji = np.argwhere(foreground)
    ras = kji[:, ::-1] * _WORKING_SPACING_MM + head.ijk_to_ras[:3, 3]
    top = float(np.percentile(ras[:, 2], 99.9))
    slab = ras[ras[:, 2] > top - _SLAB_MM]
    right, anterior = (slab[:, :2].min(axis=0) + slab[:, :2].max(axis=0)) / 2
    # the template's brain is centered at 18 mm behind the origin of MNI space
    return np.array([right, anterior + 18.0, top - _MNI_SCALP_TOP_MM])


@dataclass(frozen=True)
class _HeadModel:
    """The template as a head, and the part of it that registrations look at (0 and 1)."""

    head: Volume
    region: Volume


def _with_skull_and_scalp(template: Volume, brain: BoolArray) -> _HeadModel:
    """Add a dark layer and a bright one around the template's brain."""
    outside_mm = _distance_mm(brain, template)
    white = float(np.percentile(template.array_kji[brain], 95))
    head = np.where(brain, template.array_kji, _DARK * white)
    head[outside_mm > _SKULL_MM] = _BRIGHT * white
    head[outside_mm > _SKULL_MM + _SCALP_MM] = 0
    slices = np.arange(len(head)) * _WORKING_SPACING_MM + template.ijk_to_ras[2, 3]
    calotte = (slices > _CALOTTE_BOTTOM_MM)[:, None, None]
    reach_mm = np.where(calotte, _SKULL_MM + 2 * _SCALP_MM, _LOW_RIM_MM)
    return _HeadModel(template.with_array(head), template.with_array(outside_mm <= reach_mm))


def _register_affine(
    model: _HeadModel, head: Volume, scanned: Volume, start: NDArray[np.float64]
) -> Any:
    """Affine transform from template to head."""
    sitk = simpleitk()
    method = _method(sitk, (4, 2, 1), (4, 2, 0), sampled=0.2)
    method.SetMetricFixedMask(to_world_image(model.region) > 0.5)
    method.SetMetricMovingMask(to_world_image(scanned) > 0.5)
    transform = sitk.AffineTransform(3)
    transform.SetTranslation(start.tolist())
    transform.SetCenter((0.0, -18.0, 10.0))
    method.SetInitialTransform(transform, inPlace=True)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=1e-3, numberOfIterations=150, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.Execute(to_world_image(model.head), to_world_image(head))
    return transform


def _register_spline(head: Volume, scanned: Volume, model: _HeadModel, affine: Any) -> Any:
    """B-spline transform of the head that follows its brain's own shape."""
    sitk = simpleitk()
    fixed = to_world_image(head)
    warp = sitk.BSplineTransformInitializer(fixed, [5, 5, 5], order=3)
    method = _method(sitk, (1,), (1,), sampled=0.03)
    region = (_carry(model.region, head, affine) > 0.5) & (scanned.array_kji > 0.5)
    method.SetMetricFixedMask(to_world_image(head.with_array(region)) > 0.5)
    method.SetMovingInitialTransform(affine.GetInverse())
    method.SetInitialTransform(warp, inPlace=True)
    method.SetOptimizerAsLBFGSB(numberOfIterations=15, maximumNumberOfFunctionEvaluations=25)
    method.Execute(fixed, to_world_image(model.head))
    return warp


def _carry(moving: Volume, head: Volume, affine: Any, warp: Any = None) -> NDArray[np.float32]:
    """A volume in the template's space on the head's grid."""
    sitk = simpleitk()
    chain = [affine.GetInverse()] if warp is None else [affine.GetInverse(), warp]
    moved = sitk.Resample(
        to_world_image(moving),
        to_world_image(head),
        sitk.CompositeTransform(chain),
        sitk.sitkLinear,
        0.0,
        sitk.sitkFloat32,
    )
    array: NDArray[np.float32] = sitk.GetArrayFromImage(moved)
    return array


def _method(
    sitk: Any, shrink: tuple[int, ...], smoothing_mm: tuple[int, ...], sampled: float
) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums of floats in one order: the same result everywhere
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(sampled, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel(smoothing_mm)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method
