"""Checks of the image itself: coverage, skull, shading, clipping, coarseness, ghosts."""

import numpy as np

from SAMI2ILib.checks.appearance import Appearance
from SAMI2ILib.checks.overview import Overview
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.orientation import axis_order
from SAMI2ILib.imaging.volume import BoolArray, Volume
from SAMI2ILib.weights.spec import Skull

FEW_SLICES = 8  # fewer are said by themselves
# From the skin of the vertex to the lowest slice; a brain ends at 110 to 135 mm.
LEAST_HEIGHT_MM = 105.0
# Of the largest axial cross-section, what the edge of the field of view may cut: clinical scans end
# one or two centimeters below the vertex (to 0.57 of it), and cut noses, ears, the back of a head.
LARGEST_TOP_CUT, LARGEST_SIDE_CUT = 0.65, 0.35
LARGEST_SHADING = 2.0
LARGEST_CLIPPED_SHARE = 0.004
LARGEST_IN_PLANE_MM, LARGEST_SLICE_MM = 2.5, 7.0
LARGEST_GHOST = 0.05

_AIR_DISTANCE_MM = 12.0  # from the object: beyond partial volume and the slice profile
_FEWEST_AIR_VOXELS = 200
_FACES = (  # of an array along LPS: name, axis, index, what may be cut
    ("at the top", 0, -1, LARGEST_TOP_CUT),
    ("at the right", 2, 0, LARGEST_SIDE_CUT),
    ("at the left", 2, -1, LARGEST_SIDE_CUT),
    ("in front", 1, 0, LARGEST_SIDE_CUT),
    ("behind", 1, -1, LARGEST_SIDE_CUT),
)


def check_slice_count(slices: int) -> list[Notice]:
    """Doubt a scan of few axial slices."""
    if slices >= FEW_SLICES:
        return []
    message = f"The input has {slices} axial slices; a head has more. The result covers only these."
    return [Notice("few-slices", message)]


def check_skull(overview: Overview, expected: Skull) -> list[Notice]:
    """Compare with what the model saw in training."""
    zeros = f"{overview.zero_share:.0%} of its voxels are exactly 0"
    if expected == "present" and overview.is_brain_only:
        text = f"The scan seems to be skull-stripped ({zeros}), but the model has only seen heads."
        return [Notice("skull-stripped", text)]
    if expected == "removed" and not overview.is_brain_only:
        text = (
            f"The scan seems to show the skull ({zeros}), but the model has only seen brains "
            "without it: strip the skull first."
        )
        return [Notice("skull-present", text)]
    return []


def check_coverage(overview: Overview) -> list[Notice]:
    """Find out whether the field of view cuts the head or ends above the skull base."""
    areas = overview.areas_mm2()
    for where, axis, index, largest in _FACES:
        cut = _cut_mm2(overview, axis, index) / max(float(areas.max()), 1.0)
        if cut > largest:
            text = (
                f"The field of view cuts the head {where}: its edge still shows {cut:.0%} of the "
                f"largest cross-section (up to {largest:.0%} is usual)."
            )
            return [Notice("partial-coverage", text)]
    wide = np.flatnonzero(areas > 0.25 * areas.max())
    height_mm = float(wide[-1] + 1) * overview.spacing_kji[0]
    if height_mm < LEAST_HEIGHT_MM and wide[0] == 0:
        text = (
            f"The slices cover only {height_mm:.0f} mm from the vertex downwards; a brain has "
            f"about {LEAST_HEIGHT_MM:.0f} mm. The result covers only these."
        )
        return [Notice("partial-coverage", text)]
    return []


def check_shading(appearance: Appearance) -> list[Notice]:
    """Judge the smooth shading of the coil, or of the bias field."""
    if appearance.shading <= LARGEST_SHADING:
        return []
    text = (
        f"The shading is strong: the same tissue is {appearance.shading:.1f} times as bright in "
        f"one part of the brain as in another (up to {LARGEST_SHADING:.0f} is usual). "
        "Correct the bias field first, for example with N4."
    )
    return [Notice("strong-shading", text)]


def check_clipping(volume: Volume, overview: Overview) -> list[Notice]:
    """Count the voxels that have exactly the highest value."""
    array = volume.array_kji
    voxel_share = float(np.mean(overview.object_kji)) or 1.0
    share = float(np.mean(array == array.max())) / voxel_share
    if share <= LARGEST_CLIPPED_SHARE:
        return []
    text = (
        f"The brightest {share:.1%} of the head all have the value {float(array.max()):g}: "
        "the intensities seem to be clipped, and what they showed is lost."
    )
    return [Notice("clipped", text)]


def check_resolution(volume: Volume, orientation: str = "LPS") -> list[Notice]:
    """Compare the voxel size with what shows a cortex."""
    grid = axis_order(volume.ijk_to_ras, orientation).apply_to_grid(volume.grid)
    column, row, slices = grid.spacing_mm
    # Thick slices of another plane have a notice of their own.
    if min(column, row) <= LARGEST_IN_PLANE_MM and slices <= LARGEST_SLICE_MM:
        return []
    text = (
        f"The voxels of {column:.1f} x {row:.1f} x {slices:.1f} mm are coarse: a cortex is 2 to "
        "4 mm thick. Expect a blurred result."
    )
    return [Notice("coarse", text)]


def check_ghosting(overview: Overview) -> list[Notice]:
    """Compare the air beside the head along the two axes of a slice: ghosts lie along one."""
    ratio = ghost_ratio(overview)
    if ratio <= LARGEST_GHOST:
        return []
    text = (
        f"The air beside the head has {ratio:.0%} of the head's signal along one direction, as "
        f"ghosts of a moving head or of pulsating vessels have (usual: below {LARGEST_GHOST:.0%})."
    )
    return [Notice("ghosting", text)]


def ghost_ratio(overview: Overview) -> float:
    """Percent signal ghosting: the difference of the air along both axes over twice the signal.

    Source:
        The phantom test of the American College of Radiology, with air regions found
        automatically. Masked air, or none, gives 0.
    """
    from scipy import ndimage

    array, inside = overview.scan.array_kji, overview.object_kji
    if inside.all():
        return 0.0
    away = ndimage.distance_transform_edt(~inside, sampling=overview.spacing_kji)
    air = away > _AIR_DISTANCE_MM
    along = [air & inside.any(axis=axis, keepdims=True) for axis in (1, 2)]
    first, second = along[0] & ~along[1], along[1] & ~along[0]
    if min(np.count_nonzero(first), np.count_nonzero(second)) < _FEWEST_AIR_VOXELS:
        return 0.0
    signal = float(np.mean(array[inside]))
    difference = float(np.mean(array[first])) - float(np.mean(array[second]))
    return abs(difference) / (2 * signal) if signal > 0 else 0.0


def _cut_mm2(overview: Overview, axis: int, index: int) -> float:
    face: BoolArray = np.take(overview.object_kji, index, axis=axis)
    first, second = (s for n, s in enumerate(overview.spacing_kji) if n != axis)
    return float(np.count_nonzero(face)) * first * second
