"""The head that is translated: the sample's, as large as a research scan."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.assets import asset_path
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import Grid, Volume

if TYPE_CHECKING:
    from SAMI2ILib.benchmark.subject import Subject

HEAD_SHAPE_KJI = (130, 256, 256)
HEAD_SPACING_MM = (0.9375, 0.9375, 1.25)


def benchmark_head() -> Volume:
    """Bring the sample head onto a grid as large as IXI's: 256x256x130, 0.94x0.94x1.25 mm, LPS."""
    sample = read_volume(asset_path("sample", "T1.nii.gz"))
    center = sample.grid.corners_ras().mean(axis=0)
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([*HEAD_SPACING_MM, 1.0])
    middle = (np.array(HEAD_SHAPE_KJI[::-1]) - 1) / 2
    matrix[:3, 3] = center - matrix[:3, :3] @ middle
    return resample(sample, Grid(HEAD_SHAPE_KJI, matrix))


def write_head(folder: Path, count: int) -> tuple[Path, Path, list[int]]:
    """Write the head, and some of its slices as networks see them.

    Args:
        folder: Where to.
        count: Slices, evenly from the part of the head that holds foreground.

    Returns:
        The head's file, that of the slices, (N, H, W) float32 in [0, 1], and their numbers.
    """
    head = benchmark_head()
    path, slices_path = folder / "head.nii.gz", folder / "slices.npy"
    write_volume(head, path)
    numbers = slice_numbers(head.array_kji, count)
    scale = float(np.percentile(head.array_kji[head.array_kji > 0], 99.5))
    np.save(slices_path, (head.array_kji[numbers] / scale).clip(0, 1).astype(np.float32))
    return path, slices_path, numbers


def slice_numbers(array_kji: NDArray[np.float32], count: int) -> list[int]:
    """Choose slices from the middles of as many equal parts of those that hold foreground."""
    occupied = np.flatnonzero(array_kji.any(axis=(1, 2)))
    return [int(occupied[(2 * n + 1) * len(occupied) // (2 * count)]) for n in range(count)]


def time_head(subject: "Subject", arm: str, path: Path, slices: int) -> dict[str, Any]:
    """Translate a head from array to array.

    Args:
        subject: A model, or a network with random weights, which takes the place of the bundled
            model's.
        arm: Name of one of the software's own back ends.
        path: Of the head.
        slices: How many of its middle slices; 0 takes all.

    Returns:
        Seconds of opening and of translating, slices in all and those with foreground.
    """
    from dataclasses import replace

    from SAMI2ILib.benchmark.arms import check_place, find_arm, open_predictor
    from SAMI2ILib.benchmark.subject import open_subject
    from SAMI2ILib.benchmark.subject_names import BUNDLED
    from SAMI2ILib.inference.translate import translate

    head = read_volume(path)
    if slices:
        first = (len(head.array_kji) - slices) // 2
        head = Volume(head.array_kji[first : first + slices], head.ijk_to_ras, head.name)
    model = subject.model
    if model is None:
        bundled = open_subject(BUNDLED).model
        if bundled is None:
            raise TypeError("The bundled model is a model.")
        context, size, _ = subject.slice_shape
        preprocessing = replace(bundled.spec.preprocessing, size=size, context_slices=context)
        spec = replace(bundled.spec, preprocessing=preprocessing)
        model = replace(bundled, spec=spec, network=subject.network)
    start = time.perf_counter()
    predictor = open_predictor(find_arm(arm), subject)
    opened = time.perf_counter()
    translation = translate(head, model, predictor)
    ended = time.perf_counter()
    check_place(predictor, find_arm(arm))
    return {
        "open_seconds": opened - start,
        "seconds": ended - opened,
        "slices": translation.slice_count,
        "translated_slices": translation.translated_slice_count,
    }
