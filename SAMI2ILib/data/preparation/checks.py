"""What can be wrong with two scans of one subject, said before or after they are registered."""

import numpy as np

from SAMI2ILib.data.registration import register_rigid
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import BoolArray, FloatArray, Grid, Volume

# Of the reference's head. Below the first nothing useful is left, below the second it is said.
_LEAST_COVERAGE, _GOOD_COVERAGE = 0.25, 0.75
# Two contrasts of one head: 0.2 to 0.9; a copy with other noise or another scale: above this.
_SAME_CONTRAST = 0.97
# A head is nearly its own mirror image: of eight real pairs of the right side the mirrored one had
# 80 to 94 % of the mutual information.
_MIRROR_MARGIN = 1.02
_MIRROR_SPACING_MM = 3.0
# A head turns this far between two scans of one session; more is a doubtful registration.
_LARGEST_ROTATION_DEG, _LARGEST_TRANSLATION_MM = 20.0, 40.0


def check_boxes_meet(moving: Volume, fixed: Volume) -> None:
    """Refuse two scans whose headers place them in different corners of the room.

    Raises:
        InputError: Their boxes have no point in common along an axis of the patient.
    """
    corners = [volume.grid.corners_ras() for volume in (moving, fixed)]
    ends = [(box.min(axis=0), box.max(axis=0)) for box in corners]
    gap_mm = np.max([ends[0][0] - ends[1][1], ends[1][0] - ends[0][1]], axis=0)
    if gap_mm.max() > 0:
        raise InputError(
            f"'{moving.name}' and '{fixed.name}' do not overlap: their headers place them "
            f"{gap_mm.max():.0f} mm apart.",
            "Check that both are of one session; align their centers in 3D Slicer and save again.",
        )


def check_coverage(measured: BoolArray, foreground: BoolArray, name: str) -> list[Notice]:
    """Judge how much of the reference's head a scan covers, all on one grid.

    Raises:
        InputError: Less than a quarter.
    """
    covered = float(measured[foreground].mean()) if foreground.any() else 0.0
    if covered < _LEAST_COVERAGE:
        raise InputError(
            f"'{name}' covers only {covered:.0%} of the head.",
            "Check that both scans are of one session and of the head.",
        )
    if covered < _GOOD_COVERAGE:
        return [Notice("little-overlap", f"'{name}' covers only {covered:.0%} of the head.")]
    return []


def check_motion(rotation_deg: float, translation_mm: float, name: str) -> list[Notice]:
    """Doubt a registration that moves the head further than a person does."""
    if rotation_deg <= _LARGEST_ROTATION_DEG and translation_mm <= _LARGEST_TRANSLATION_MM:
        return []
    text = f"'{name}' was turned by {rotation_deg:.0f} degrees and moved by {translation_mm:.0f} mm"
    return [Notice("large-motion", f"{text}: look whether it lies right.")]


def check_contrasts_differ(
    first: FloatArray, second: FloatArray, foreground: BoolArray, names: tuple[str, str]
) -> list[Notice]:
    """Suspect one contrast under two names, from the correlation of two aligned arrays."""
    inside = foreground & np.isfinite(first) & np.isfinite(second)
    values = first[inside], second[inside]
    if inside.sum() < 2 or min(value.std() for value in values) == 0:
        return []
    correlation = float(np.corrcoef(*values)[0, 1])
    if correlation < _SAME_CONTRAST:
        return []
    text = f"{names[0]} and {names[1]} look like one contrast (correlation {correlation:.3f})."
    return [Notice("same-contrast", text)]


def check_side(moving: Volume, fixed: Volume) -> list[Notice]:
    """Suspect that left and right of one scan are exchanged.

    The moving scan and its mirror image are both registered to the fixed one; a mirror image that
    fits better gives the flip away.

    Args:
        moving: Already aligned with `fixed`.
        fixed: Another contrast of the same head.
    """
    upright_fixed, upright_moving = _around_head(fixed), _around_head(moving)
    middle = float(upright_fixed.grid.corners_ras()[:, 0].mean())
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 2 * middle
    mirrored = Volume(
        upright_moving.array_kji, mirror @ upright_moving.ijk_to_ras, upright_moving.name
    )
    as_it_is = register_rigid(upright_moving, upright_fixed).information_after
    other = register_rigid(mirrored, upright_fixed).information_after
    if other < _MIRROR_MARGIN * as_it_is:
        return []
    text = (
        f"Left and right of '{moving.name}' or '{fixed.name}' seem to be exchanged: its mirror "
        f"image fits better (mutual information {other:.3f} instead of {as_it_is:.3f})."
    )
    return [Notice("left-right-flip", text)]


def _around_head(volume: Volume) -> Volume:
    """The head on an upright, coarse grid around it: enough to tell left from right."""
    kji = np.argwhere(find_foreground(volume))
    low_ijk, high_ijk = kji.min(axis=0)[::-1] - 0.5, kji.max(axis=0)[::-1] + 0.5
    ends = np.stack(np.meshgrid(*zip(low_ijk, high_ijk, strict=True), indexing="ij"), -1)
    corners = ends.reshape(8, 3) @ volume.ijk_to_ras[:3, :3].T + volume.ijk_to_ras[:3, 3]
    low, high = corners.min(axis=0), corners.max(axis=0)
    i, j, k = (max(4, int(n)) for n in np.ceil((high - low) / _MIRROR_SPACING_MM))
    matrix = np.diag([_MIRROR_SPACING_MM] * 3 + [1.0])
    matrix[:3, 3] = low + _MIRROR_SPACING_MM / 2
    return resample(volume, Grid((k, j, i), matrix))
