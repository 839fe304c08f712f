"""One picture of a translation: three planes, source, synthetic, truth and error side by side."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.errors import InputError, MissingError
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

_LARGEST_ERROR = 0.5
_INCHES_A_PANEL = 2.6


@dataclass(frozen=True)
class Panels:
    """What the picture shows; all on one grid and in [0, 1].

    Attributes:
        source: What went in.
        synthetic: What came out.
        truth: The real target; None leaves out its column and that of the error.
        source_name: Contrast of the source, for the titles.
        target_name: Contrast of the target.
    """

    source: Volume
    synthetic: Volume
    truth: Volume | None = None
    source_name: str = "T1"
    target_name: str = "T2"


def save_figure(panels: Panels, path: Path, title: str = "") -> None:
    """Draw axial, coronal and sagittal slices through the middle of the head into a PNG.

    Radiological convention: the patient's left is on the right of axial and coronal slices, and
    the front of the head on the left of sagittal ones. Voxels have their physical proportions.

    Args:
        panels: The volumes.
        path: Of the PNG; written atomically.
        title: One line above the panels.

    Raises:
        InputError: The volumes do not lie on one grid, or the source is empty.
        MissingError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    columns = _columns(panels)
    place = _middle_of_head(reorient(panels.source, "LPS").array_kji)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingError(
            "The figure needs matplotlib, which is not installed.", "Run: pip install matplotlib"
        ) from error
    # A figure of its own canvas leaves the caller's pyplot and its back end alone.
    heights = [_extent_mm(columns[0].volume, plane)[1] for plane in _PLANES]
    widths = [max(_extent_mm(columns[0].volume, plane)[0] for plane in _PLANES)] * len(columns)
    inches = _INCHES_A_PANEL / max(widths)
    figure = Figure(
        figsize=(sum(widths) * inches + 0.9, sum(heights) * inches + 0.9), facecolor="black"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(_PLANES), len(columns), squeeze=False, height_ratios=heights,
        gridspec_kw={"wspace": 0.02, "hspace": 0.02, "left": 0.03, "right": 0.9, "bottom": 0.03,
                     "top": 0.88},
    )  # fmt: skip
    for row, plane in enumerate(_PLANES):
        for column, panel in enumerate(columns):
            shown = _draw(axes[row, column], panel, plane, place)
            if row == 0:
                axes[0, column].set_title(panel.title, color="white", fontsize=11)
        _label_sides(axes[row, 0], plane)
    if panels.truth is not None:
        bar = figure.colorbar(shown, cax=figure.add_axes((0.915, 0.2, 0.015, 0.5)))
        bar.ax.tick_params(colors="white", labelsize=8)
        bar.set_label("absolute error", color="white", fontsize=9)
    figure.suptitle(title, color="white", fontsize=12)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=110, facecolor="black")


@dataclass(frozen=True)
class _Panel:
    """One column of the picture."""

    title: str
    volume: Volume
    largest: float = 1.0
    colors: str = "gray"


@dataclass(frozen=True)
class _Plane:
    """A plane of an LPS volume: the array axis across it, and what its sides are called."""

    name: str
    across: int
    left: str
    right: str


_PLANES = (
    _Plane("axial", 0, "R", "L"),
    _Plane("coronal", 1, "R", "L"),
    _Plane("sagittal", 2, "A", "P"),
)


def _columns(panels: Panels) -> list[_Panel]:
    source, synthetic = reorient(panels.source, "LPS"), reorient(panels.synthetic, "LPS")
    columns = [
        _Panel(f"{panels.source_name} (input)", source),
        _Panel(f"synthetic {panels.target_name}", synthetic),
    ]
    if panels.truth is not None:
        truth = reorient(panels.truth, "LPS")
        _check_same_grid(truth, source)
        error = truth.with_array(np.abs(synthetic.array_kji - truth.array_kji))
        columns.append(_Panel(f"real {panels.target_name}", truth))
        columns.append(_Panel("absolute error", error, _LARGEST_ERROR, "inferno"))
    _check_same_grid(synthetic, source)
    return columns


def _check_same_grid(volume: Volume, source: Volume) -> None:
    if volume.array_kji.shape != source.array_kji.shape:
        raise InputError(
            f"The volumes of a figure must lie on one grid, but '{volume.name}' has the shape "
            f"{volume.array_kji.shape} and the source {source.array_kji.shape}.",
            "Resample them first.",
        )


def _middle_of_head(array_kji: NDArray[np.float32]) -> tuple[int, int, int]:
    """The k, j, i through which the planes go: the ventricles' height, beside the midline."""
    inside = np.argwhere(array_kji > 0)
    if inside.size == 0:
        raise InputError("The source of the figure is empty.", "Check the input.")
    low, high = inside.min(axis=0), inside.max(axis=0)
    k, j, i = (low + (high - low) * np.array([0.58, 0.5, 0.47])).round().astype(int)
    return int(k), int(j), int(i)


def _extent_mm(volume: Volume, plane: _Plane) -> tuple[float, float]:
    """Width and height of a plane."""
    sizes = [
        n * spacing
        for n, spacing in zip(volume.array_kji.shape, volume.spacing_mm[::-1], strict=True)
    ]
    del sizes[plane.across]
    return sizes[1], sizes[0]


def _draw(axes: Any, panel: _Panel, plane: _Plane, place: tuple[int, int, int]) -> Any:
    image = np.take(panel.volume.array_kji, place[plane.across], axis=plane.across)
    if plane.across != 0:
        image = image[::-1]  # slices count upwards, rows of a picture downwards
    width, height = _extent_mm(panel.volume, plane)
    axes.set_axis_off()
    return axes.imshow(
        image,
        cmap=panel.colors,
        vmin=0,
        vmax=panel.largest,
        extent=(0, width, height, 0),
        interpolation="bilinear",
    )


def _label_sides(axes: Any, plane: _Plane) -> None:
    for x, letter in ((0.02, plane.left), (0.94, plane.right)):
        axes.text(x, 0.5, letter, transform=axes.transAxes, color="yellow", fontsize=9)
