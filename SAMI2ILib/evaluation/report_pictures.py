"""The pictures of a quality report: slices with signed error, curves, histograms, as PNG."""

from collections.abc import Mapping, Sequence

import numpy as np

from SAMI2ILib.drawing import new_figure, png_bytes
from SAMI2ILib.evaluation.metrics import SliceScores
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

_DOTS_PER_INCH = 100
_SHOWN_SLICES = 6
_LARGEST_ERROR = 0.5
_HISTOGRAM_BINS = 80


def draw_slices(
    synthetic: FloatArray, real: FloatArray, head: BoolArray, spacing_ji: tuple[float, float]
) -> bytes:
    """Draw axial slices from bottom to top: synthetic, real, and synthetic minus real.

    Args:
        synthetic: (K, J, I) in [0, 1], axial (LPS).
        real: The same.
        head: (K, J, I); slices and the cut around them are chosen by it.
        spacing_ji: Of rows and columns, in mm.

    Raises:
        MissingError: matplotlib is not installed.
    """
    filled = np.flatnonzero(head.mean(axis=(1, 2)) > 0.05)
    places = np.linspace(0.08, 0.92, min(_SHOWN_SLICES, len(filled)))
    chosen = [int(filled[round(part * (len(filled) - 1))]) for part in places]
    rows, columns = _span(head, (0, 2)), _span(head, (0, 1))
    aspect = spacing_ji[0] / spacing_ji[1]
    height = 3 * 1.75 * (rows.stop - rows.start) * aspect / (columns.stop - columns.start) + 0.3
    figure = new_figure(1.75 * len(chosen) + 0.7, height, color="black", layout="constrained")
    axes = figure.subplots(3, len(chosen), squeeze=False)
    error: FloatArray = synthetic - real
    drawn = (
        (synthetic, "gray", 0.0, 1.0),
        (real, "gray", 0.0, 1.0),
        (error, "RdBu_r", -_LARGEST_ERROR, _LARGEST_ERROR),
    )
    for line, (volume, colors, low, high) in enumerate(drawn):
        for place, k in enumerate(chosen):
            image = axes[line, place].imshow(
                volume[k, rows, columns], cmap=colors, vmin=low, vmax=high, aspect=aspect
            )
            axes[line, place].set_axis_off()
    for place, k in enumerate(chosen):
        axes[0, place].set_title(f"slice {k}", color="white", fontsize=9)
    bar = figure.colorbar(image, ax=list(axes[2]), shrink=0.9, pad=0.01)
    bar.ax.tick_params(colors="white", labelsize=8)
    return png_bytes(figure, _DOTS_PER_INCH)


def draw_curves(regions: Mapping[str, Sequence[SliceScores]]) -> bytes:
    """Draw PSNR, SSIM and NRMSE of each axial slice.

    Args:
        regions: By the region's name, the slices in which it was measured.

    Raises:
        MissingError: matplotlib is not installed.
    """
    figure = new_figure(10, 2.9, layout="constrained")
    for axes, (name, unit) in zip(
        figure.subplots(1, 3), (("psnr", " (dB)"), ("ssim", ""), ("nrmse", "")), strict=True
    ):
        for region, slices in regions.items():
            values = [getattr(one.brain, name) for one in slices]
            axes.plot([one.k for one in slices], values, linewidth=1.4, label=region)
        axes.set(title=name.upper() + unit, xlabel="axial slice, from below")
        axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    return png_bytes(figure, _DOTS_PER_INCH)


def draw_histograms(synthetic: FloatArray, real: FloatArray, region: BoolArray) -> bytes:
    """Draw how often each intensity occurs, and the error against the real intensity.

    Args:
        synthetic: (K, J, I) in [0, 1].
        real: The same.
        region: (K, J, I), the voxels that count.

    Raises:
        MissingError: matplotlib is not installed.
    """
    made, true = synthetic[region], real[region]
    figure = new_figure(10, 3.1, layout="constrained")
    left, right = figure.subplots(1, 2)
    edges = np.linspace(0, 1000, _HISTOGRAM_BINS + 1)
    for values, label in ((true, "real"), (made, "synthetic")):
        left.hist(values * 1000, bins=edges, histtype="step", linewidth=1.4, label=label)
    left.set(title="Intensities", xlabel="of 1000", ylabel="voxels")
    left.legend(fontsize=8)
    bins = np.linspace(0, 1000, _HISTOGRAM_BINS // 2 + 1)
    counts = np.histogram2d(true * 1000, made * 1000, bins=(bins, bins))[0].T
    right.pcolormesh(bins, bins, np.log1p(counts), cmap="viridis")
    right.plot((0, 1000), (0, 1000), color="white", linewidth=0.8, linestyle="--")
    right.set(title="Joint histogram (logarithm)", xlabel="real", ylabel="synthetic")
    right.set_aspect("equal")
    return png_bytes(figure, _DOTS_PER_INCH)


def _span(inside: BoolArray, axes: tuple[int, int]) -> slice:
    places = np.flatnonzero(inside.any(axis=axes))
    return slice(int(places[0]), int(places[-1]) + 1)
