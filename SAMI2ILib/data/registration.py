"""Rigid registration of two contrasts of one head by mutual information.

SimpleITK needs a world frame, not a particular one. The images handed to it here carry RAS
coordinates as they are, so the transform that comes back is in RAS too and no sign is changed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.itk import quiet_itk, simpleitk
from SAMI2ILib.imaging.volume import Volume

_HISTOGRAM_BINS = 50
_SAMPLED_FRACTION = 0.1
# Fewer samples make the result uncertain, more only make it slow.
_FEWEST_SAMPLES, _MOST_SAMPLES = 30_000, 300_000
_SHRINK = (4, 2, 1)
_SMOOTHING_MM = (2, 1, 0)
_MINIMUM_VOXELS = 4  # the metric's B-spline window does not fit in fewer
_SEED = 20241119


@dataclass(frozen=True)
class RigidResult:
    """How one volume lies against another.

    Attributes:
        fixed_to_moving: (4, 4) float64, RAS mm; takes a point of the fixed volume's world to the
            same anatomy in the moving volume's world.
        information_before: Mattes mutual information with the headers as they are, in nats.
        information_after: The same with the transform.
        rotation_deg: Angle of the rotation.
        translation_mm: How far the center of the fixed volume moves.
    """

    fixed_to_moving: NDArray[np.float64]
    information_before: float
    information_after: float
    rotation_deg: float
    translation_mm: float


def register_rigid(moving: Volume, fixed: Volume) -> RigidResult:
    """Find the rigid motion that lays `moving` onto `fixed`; deterministic.

    Args:
        moving: Any contrast of the head, any grid.
        fixed: Another contrast of the same head; its grid stays where it is.

    Returns:
        The transform and how much it helped; `align` applies it.

    Raises:
        InputError: A volume is too small, constant, or the two do not overlap.

    Source:
        The paper is silent on registration; Mattes mutual information, 50 bins, 10 % samples.
    """
    for argument, volume in (("moving", moving), ("fixed", fixed)):
        _check(argument, volume)
    fixed_image, moving_image = to_world_image(fixed), to_world_image(moving)
    start = simpleitk().Euler3DTransform()
    start.SetCenter(_center(fixed).tolist())

    method = _method(fixed.array_kji.size)
    method.SetInitialTransform(start, inPlace=False)
    try:
        with quiet_itk():
            before = -float(method.MetricEvaluate(fixed_image, moving_image))
            found = method.Execute(fixed_image, moving_image)
            method.SetInitialTransform(found, inPlace=False)
            after = -float(method.MetricEvaluate(fixed_image, moving_image))
    except RuntimeError as error:
        raise _no_overlap(moving, fixed) from error
    if after < before:  # never hand back something worse than the headers
        found, after = start, before
    return _result(found, fixed, before, after)


def align(moving: Volume, result: RigidResult) -> Volume:
    """Move a volume onto the fixed one by its header alone; no voxel is interpolated.

    Args:
        moving: The volume that was registered, or another one on its world frame.
        result: What `register_rigid` found.

    Returns:
        The same array with an `ijk_to_ras` in the fixed volume's world; resample it from there.
    """
    moving_to_fixed = np.linalg.inv(result.fixed_to_moving)
    return Volume(moving.array_kji, moving_to_fixed @ moving.ijk_to_ras, moving.name)


def mutual_information(moving: Volume, fixed: Volume) -> float:
    """How much one volume tells of the other where their headers place them: Mattes, in nats.

    The same figure as `RigidResult.information_before`.

    Args:
        moving: Any contrast of the head, any grid.
        fixed: Another contrast of the same head; the figure is taken over its grid.

    Raises:
        InputError: As `register_rigid`.
    """
    for argument, volume in (("moving", moving), ("fixed", fixed)):
        _check(argument, volume)
    method = _method(fixed.array_kji.size)
    method.SetInitialTransform(simpleitk().Euler3DTransform(), inPlace=False)
    try:
        with quiet_itk():
            return -float(method.MetricEvaluate(to_world_image(fixed), to_world_image(moving)))
    except RuntimeError as error:
        raise _no_overlap(moving, fixed) from error


def to_world_image(volume: Volume) -> Any:
    """The volume as a SimpleITK image whose world coordinates are RAS mm."""
    sitk = simpleitk()
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array_kji, dtype=np.float32))
    axes = volume.ijk_to_ras[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((axes / spacing).ravel().tolist())
    image.SetOrigin(volume.ijk_to_ras[:3, 3].tolist())
    return image


def _method(voxels: int) -> Any:
    sitk = simpleitk()
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums of floats in one order: the same result on every machine
    method.SetMetricAsMattesMutualInformation(_HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    fractions = [_sampled_fraction(voxels / shrink**3) for shrink in _SHRINK]
    method.SetMetricSamplingPercentagePerLevel(fractions, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(_SHRINK)
    method.SetSmoothingSigmasPerLevel(_SMOOTHING_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0,
        minStep=1e-3,
        numberOfIterations=100,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _sampled_fraction(voxels: float) -> float:
    """Part of a level's voxels that the metric looks at: a tenth, within limits."""
    samples = min(max(_SAMPLED_FRACTION * voxels, _FEWEST_SAMPLES), _MOST_SAMPLES)
    return min(1.0, samples / voxels)


def _check(argument: str, volume: Volume) -> None:
    shape = volume.array_kji.shape
    if min(shape) < _MINIMUM_VOXELS:
        raise InputError(
            f"{argument}: registration needs at least {_MINIMUM_VOXELS} voxels along each axis, "
            f"'{volume.name}' has {shape} (k, j, i).",
            "Use a volume of several slices.",
        )
    if volume.array_kji.min() == volume.array_kji.max():
        raise InputError(
            f"{argument}: '{volume.name}' has one value everywhere, so nothing can be aligned.",
            "Check the file.",
        )


def _no_overlap(moving: Volume, fixed: Volume) -> InputError:
    return InputError(
        f"The volumes '{moving.name}' and '{fixed.name}' could not be registered: they hardly "
        "overlap in world coordinates.",
        "Check that both are of one session and that their headers place them in one frame.",
    )


def _center(volume: Volume) -> NDArray[np.float64]:
    k, j, i = volume.array_kji.shape
    center_ijk = np.array([(i - 1) / 2, (j - 1) / 2, (k - 1) / 2, 1.0])
    center: NDArray[np.float64] = (volume.ijk_to_ras @ center_ijk)[:3]
    return center


def _result(transform: Any, fixed: Volume, before: float, after: float) -> RigidResult:
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis in range(3):
        unit = np.zeros(3)
        unit[axis] = 1.0
        matrix[:3, axis] = np.array(transform.TransformPoint(unit.tolist())) - origin
    matrix[:3, 3] = origin
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1.0, 1.0)
    center = _center(fixed)
    shift = matrix[:3, :3] @ center + matrix[:3, 3] - center
    return RigidResult(
        matrix,
        before,
        after,
        rotation_deg=float(np.degrees(np.arccos(cosine))),
        translation_mm=float(np.linalg.norm(shift)),
    )
