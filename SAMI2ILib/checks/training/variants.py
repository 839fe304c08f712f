"""Real scans, and what happens to scans: mirrored, other axes, cut, tilted."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from SAMI2ILib.checks.training.cases import Case
from SAMI2ILib.data.simulation.deform import rotation_matrix
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import Volume

_ENDINGS = (".nii.gz", ".nii")
_CUT_TOP_MM, _CUT_BOTTOM_MM = 12.0, 25.0
_TILT_DEGREES = (10.0, -6.0, 8.0)


def real_cases(folder: Path, contrasts: tuple[str, ...]) -> Iterator[Case]:
    """Read `folder/SUBJECT/CONTRAST.nii.gz` of every subject.

    Args:
        folder: Subject folders.
        contrasts: Which files.
    """
    for subject in sorted(filter(Path.is_dir, folder.iterdir()), key=lambda path: path.name):
        for contrast in contrasts:
            for ending in _ENDINGS:
                path = subject / f"{contrast}{ending}"
                if path.is_file():
                    yield Case(contrast, subject.name, read_volume(path))


def variants(case: Case) -> Iterator[Case]:
    """The same head mirrored with other axes, cut above and below, and tilted."""
    volume = case.volume
    mirrored = volume.ijk_to_ras.copy()
    mirrored[0] *= -1
    yield _variant(
        case, "mirrored", reorient(Volume(volume.array_kji, mirrored, volume.name), "SAR")
    )
    yield _variant(case, "cut", _cut(reorient(volume, "LPS")))
    yield _variant(case, "tilted", _tilted(volume))


def _variant(case: Case, name: str, volume: Volume) -> Case:
    return Case(case.kind, f"{case.group} {name}", volume)


def _cut(upright: Volume) -> Volume:
    """Without what lies above and below the middle of the head."""
    spacing = upright.spacing_mm[2]
    head = upright.array_kji > 0.1 * np.percentile(upright.array_kji, 99)
    rows = np.flatnonzero(head.mean(axis=(1, 2)) > 0.02)
    first = int(rows[0] + _CUT_BOTTOM_MM / spacing)
    last = int(rows[-1] + 1 - _CUT_TOP_MM / spacing)
    matrix = upright.ijk_to_ras.copy()
    matrix[:3, 3] += first * matrix[:3, 2]
    return Volume(upright.array_kji[first:last], matrix, upright.name)


def _tilted(volume: Volume) -> Volume:
    """Turned about its middle, resampled on the grid that it had."""
    center = volume.grid.corners_ras().mean(axis=0)
    turn = np.eye(4)
    turn[:3, :3] = rotation_matrix(np.array(_TILT_DEGREES))
    turn[:3, 3] = center - turn[:3, :3] @ center
    turned = Volume(volume.array_kji, turn @ volume.ijk_to_ras, volume.name)
    return resample(turned, volume.grid, "linear")
