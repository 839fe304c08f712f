"""How much an uncertainty map is worth: measured against the true error, voxel by voxel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.drawing import new_figure, save_png
from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

BINS = 10
_MOST_DOUBTFUL = 0.1  # of the voxels
_DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Bin:
    """A tenth of the voxels, those with similar uncertainty.

    Attributes:
        uncertainty: Root mean square of theirs.
        error: Root mean square of their error.
        voxels: How many there are.
    """

    uncertainty: float
    error: float
    voxels: int


@dataclass(frozen=True)
class Calibration:
    """What a map says of the error of one subject, in the unit of map and error.

    Attributes:
        rank_correlation: Spearman's, of uncertainty and absolute error over the voxels; 0 where
            one of them is the same everywhere.
        share_of_error: Fraction of the squared error in the most doubtful tenth of the voxels;
            0.1 for a map that says nothing.
        factor: Root mean square error over root mean square uncertainty: a map that is a
            standard deviation of the error has 1. None for a map of zeros.
        rmse: Root mean square error.
        bias: Mean error: what no spread of predictions can show.
        voxels: How many there are.
        bins: From the least to the most doubtful.
    """

    rank_correlation: float
    share_of_error: float
    factor: float | None
    rmse: float
    bias: float
    voxels: int
    bins: tuple[Bin, ...]


def calibrate(uncertainty: FloatArray, error: FloatArray, region: BoolArray) -> Calibration:
    """Measure an uncertainty map against the error that it should foretell.

    Args:
        uncertainty: (K, J, I), at least 0.
        error: (K, J, I), prediction minus truth, in the same unit.
        region: (K, J, I), the voxels that count.

    Raises:
        ShapeError: The shapes differ.
        InputError: The region has fewer voxels than there are bins.
    """
    if not uncertainty.shape == error.shape == region.shape:
        raise ShapeError(
            "uncertainty, error and region must have one shape, but they have "
            f"{uncertainty.shape}, {error.shape} and {region.shape}."
        )
    doubt, wrong = uncertainty[region].astype(np.float64), error[region].astype(np.float64)
    if doubt.size < BINS:
        raise InputError(
            f"The region has {doubt.size} voxels, too few to measure an uncertainty map on.",
            "Check the brain mask.",
        )
    order = np.argsort(doubt, kind="stable")
    squared = wrong[order] ** 2
    doubtful = round(_MOST_DOUBTFUL * doubt.size)
    total = float(squared.sum())
    rms, rmse = float(np.sqrt(np.mean(doubt**2))), float(np.sqrt(np.mean(wrong**2)))
    return Calibration(
        rank_correlation=rank_correlation(doubt, np.abs(wrong)),
        share_of_error=float(squared[-doubtful:].sum()) / total if total else _MOST_DOUBTFUL,
        factor=rmse / rms if rms else None,
        rmse=rmse,
        bias=float(wrong.mean()),
        voxels=doubt.size,
        bins=tuple(
            Bin(
                float(np.sqrt(np.mean(doubt[part] ** 2))),
                float(np.sqrt(np.mean(wrong[part] ** 2))),
                len(part),
            )
            for part in np.array_split(order, BINS)
        ),
    )


def rank_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Spearman's coefficient of two one-dimensional arrays; ties share their mean rank."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (first, second)]
    if any(rank[0] == rank.max() == rank.min() for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def save_plot(calibrations: dict[str, Calibration], path: Path, title: str = "") -> None:
    """Draw uncertainty against error in bins, one line a subject, into a PNG.

    Args:
        calibrations: By the subject's name.
        path: Of the PNG; written atomically.
        title: One line above.

    Raises:
        MissingError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    figure = new_figure(8.2, 5.2, layout="constrained")
    axes = figure.subplots()
    shown = {name: [b for b in c.bins if b.uncertainty > 0] for name, c in calibrations.items()}
    for name, bins in shown.items():
        label = f"{name} ({calibrations[name].rank_correlation:.2f})"
        x, y = [b.uncertainty for b in bins], [b.error for b in bins]
        axes.plot(x, y, marker="o", markersize=4, linewidth=1.2, label=label)
    values = [value for bins in shown.values() for b in bins for value in (b.uncertainty, b.error)]
    if values:
        span = (min(values), max(values))
        axes.plot(span, span, color="gray", linestyle="--", linewidth=1, label="a true deviation")
    axes.set(
        xscale="log", yscale="log", title=title,
        xlabel="uncertainty in the brain, ten equal groups of voxels (of 1000)",
        ylabel="root mean square error (of 1000)",
    )  # fmt: skip
    axes.grid(visible=True, which="both", alpha=0.2)
    figure.legend(
        title="subject (rank correlation)", loc="outside right upper", fontsize=8, title_fontsize=8
    )
    save_png(figure, path, _DOTS_PER_INCH)
