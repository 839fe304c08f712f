"""Turns a subject's volumes into the slices that the network trains on.

The source stays on its own grid, as at inference, and each target is brought onto it: a network
that was trained on interpolated sources would meet sharper ones later.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.registration import align, register_rigid
from SAMI2ILib.data.subjects import Subject
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.intensity import IntensityScale
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.normalized import normalize_volume
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import Grid, Volume
from SAMI2ILib.imaging.working_grid import plan_working_grid

_SMALLEST_PART = 0.05  # of the largest slice's foreground that a slice needs to be kept
_GRID_TOLERANCE_MM = 1e-3


def prepare_subject(
    subject: Subject, source: str, targets: Sequence[str]
) -> tuple[NDArray[np.float16], list[tuple[int, int, int, int]]]:
    """Turn one subject's volumes into the slices that the network trains on.

    Args:
        subject: Has the source; targets that it lacks become NaN.
        source: The contrast that goes in.
        targets: The contrasts that come out.

    Returns:
        (N, 2 + T, H, W) float16 as in `SliceStack.file`, and the foreground's box of each slice.

    Raises:
        InputError: A volume cannot be read or registered, or holds no foreground.
    """
    native = read_volume(subject.path(source))
    # the same steps in the same order as at inference
    normalized = normalize_volume(native)
    working = plan_working_grid(native.grid)
    image = working.to_working(normalized.volume).array_kji
    mask = native.with_array(normalized.foreground)
    foreground = working.to_working(mask, "nearest").array_kji > 0.5
    channels = [image * foreground, foreground.astype(np.float32)]
    for target in targets:
        if target in subject.contrasts:
            volume = read_volume(subject.path(target))
            channels.append(_target_on_grid(volume, native, working.grid, foreground))
        else:
            channels.append(np.full(foreground.shape, np.nan, dtype=np.float32))
    stacked = np.stack(channels, axis=1).astype(np.float16)  # (K, 2 + T, H, W)
    kept = _slices_with_enough(foreground)
    return stacked[kept], [_box(foreground[k]) for k in kept]


def _target_on_grid(
    target: Volume, source: Volume, grid: Grid, foreground: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Bring a target onto the working grid and into [0, 1]; NaN where it was not measured."""
    if not _same_grid(target, source):  # one grid means that somebody has registered them
        target = align(target, register_rigid(moving=target, fixed=source))
    array = resample(target, grid, "bspline").array_kji
    everywhere = target.with_array(np.ones_like(target.array_kji))
    measured = resample(everywhere, grid).array_kji > 0.99
    inside = foreground & measured
    if not inside.any():
        raise InputError(
            f"'{target.name}' does not cover the head of '{source.name}'.",
            "Check that both are of one session.",
        )
    scaled = IntensityScale.fit(array, inside).normalize(array)
    return np.where(measured, scaled * foreground, np.nan).astype(np.float32)


def _same_grid(first: Volume, second: Volume) -> bool:
    return first.array_kji.shape == second.array_kji.shape and np.allclose(
        first.ijk_to_ras, second.ijk_to_ras, atol=_GRID_TOLERANCE_MM
    )


def _slices_with_enough(foreground: NDArray[np.bool_]) -> list[int]:
    areas = foreground.sum(axis=(1, 2))
    return [int(k) for k in np.flatnonzero(areas > _SMALLEST_PART * areas.max())]


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
