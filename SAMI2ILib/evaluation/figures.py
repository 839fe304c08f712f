"""One picture of a translation: three planes, source, synthetic, truth and error side by side."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.drawing import new_figure, png_bytes
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

_LARGEST_ERROR = 0.5
_ERROR_COLORS = "inferno"
_BRIGHTEST_DOUBT = 99.5  # percentile
_INCHES_A_PANEL = 2.6
_BAR_INCHES = 0.8
_TITLE_INCHES = 0.75
_DOTS_PER_INCH = 120
_MARGIN = 0.04  # around the head, of its size


@dataclass(frozen=True)
class Panels:
    """What the picture shows; all on one grid and in [0, 1].

    Attributes:
        source: What went in; None leaves out its column.
        synthetic: What came out.
        truth: The target as it should be; None leaves out its column and that of the error.
        source_name: Contrast of the source, for the titles.
        target_name: Contrast of the target.
        uncertainty: In its own unit; None leaves out its column.
        truth_is: What the truth is called: "real" for a scan, "true" for a simulated one.
    """

    source: Volume | None
    synthetic: Volume
    truth: Volume | None = None
    source_name: str = "T1"
    target_name: str = "T2"
    uncertainty: Volume | None = None
    truth_is: str = "real"


def save_figure(panels: Panels, path: Path, title: str = "") -> None:
    """Draw axial, coronal and sagittal slices through the middle of the head into a PNG file.

    Args:
        panels: The volumes.
        path: Of the PNG; written atomically.
        title: One line above the panels.

    Raises:
        InputError: The volumes do not lie on one grid, or the first one is empty.
        MissingError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    picture = draw_figure(panels, title)
    with atomic_path(path) as partial:
        partial.write_bytes(picture)


def draw_figure(panels: Panels, title: str = "") -> bytes:
    """Draw axial, coronal and sagittal slices through the middle of the head as a PNG.

    Radiological convention: the patient's left is on the right of axial and coronal slices, and
    the front of the head on the left of sagittal ones. Voxels have their physical proportions.

    Args:
        panels: The volumes.
        title: One line above the panels.

    Raises:
        InputError: The volumes do not lie on one grid, or the first one is empty.
        MissingError: matplotlib is not installed.
    """
    columns = _columns(panels)
    place = _middle_of_head(columns[0].volume.array_kji)
    figure = _lay_out(columns, place)
    figure.suptitle(title, color="white", fontsize=12)
    return png_bytes(figure, _DOTS_PER_INCH)


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

    across: int
    left: str
    right: str


# axial, coronal, sagittal
_PLANES = (_Plane(0, "R", "L"), _Plane(1, "R", "L"), _Plane(2, "A", "P"))


def _columns(panels: Panels) -> list[_Panel]:
    """Bring all volumes to LPS, cut them to the head, add the error."""
    first = reorient(panels.source or panels.synthetic, "LPS")
    synthetic = _on_grid_of(first, panels.synthetic)
    box = _box_of_head(first.array_kji)
    columns = []
    if panels.source is not None:
        columns.append(_Panel(f"{panels.source_name} (input)", _cut(first, box)))
    columns.append(_Panel(f"synthetic {panels.target_name}", _cut(synthetic, box)))
    if panels.truth is not None:
        truth = _on_grid_of(first, panels.truth)
        columns.append(_Panel(f"{panels.truth_is} {panels.target_name}", _cut(truth, box)))
    if panels.uncertainty is not None:
        doubt = _cut(_on_grid_of(first, panels.uncertainty), box)
        largest = max(float(np.percentile(doubt.array_kji, _BRIGHTEST_DOUBT)), 1e-6)
        columns.append(_Panel("uncertainty", doubt, largest, _ERROR_COLORS))
    if panels.truth is not None:
        error = truth.with_array(np.abs(synthetic.array_kji - truth.array_kji))
        columns.append(_Panel("absolute error", _cut(error, box), _LARGEST_ERROR, _ERROR_COLORS))
    return columns


def _on_grid_of(source: Volume, volume: Volume) -> Volume:
    upright = reorient(volume, "LPS")
    if upright.array_kji.shape != source.array_kji.shape or not np.allclose(
        upright.ijk_to_ras, source.ijk_to_ras, atol=1e-3
    ):
        raise InputError(
            f"The volumes of a figure must lie on one grid, but '{volume.name}' has the shape "
            f"{upright.array_kji.shape} or position of another one than the source, which has "
            f"{source.array_kji.shape}.",
            "Resample them first.",
        )
    return upright


def _box_of_head(array_kji: NDArray[np.float32]) -> tuple[slice, slice, slice]:
    """Where the source is above zero, with a margin."""
    inside = np.argwhere(array_kji > 0)
    if inside.size == 0:
        raise InputError("The source of the figure is empty.", "Check the input.")
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    margin = np.ceil(_MARGIN * (high - low)).astype(int)
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, array_kji.shape)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _cut(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ [part.start for part in reversed(box)]
    return Volume(volume.array_kji[box], matrix, volume.name)


def _middle_of_head(array_kji: NDArray[np.float32]) -> tuple[int, int, int]:
    """The k, j, i through which the planes go: the ventricles' height, beside the midline."""
    inside = np.argwhere(array_kji > 0)
    low, high = inside.min(axis=0), inside.max(axis=0)
    k, j, i = (low + (high - low) * np.array([0.58, 0.5, 0.47])).round().astype(int)
    return int(k), int(j), int(i)


def _lay_out(columns: list[_Panel], place: tuple[int, int, int]) -> Any:
    """Put planes into rows and volumes into columns, all in one scale of mm."""
    sizes_mm = [_extent_mm(columns[0].volume, plane) for plane in _PLANES]
    inches_a_mm = _INCHES_A_PANEL / max(width for width, _ in sizes_mm)
    heights = [height * inches_a_mm for _, height in sizes_mm]
    has_bar = columns[-1].title == "absolute error"
    width = len(columns) * _INCHES_A_PANEL + (_BAR_INCHES if has_bar else 0)
    height = sum(heights) + _TITLE_INCHES
    figure = new_figure(width, height, color="black")
    axes = figure.subplots(
        len(_PLANES),
        len(columns),
        squeeze=False,
        height_ratios=heights,
        gridspec_kw={
            "wspace": 0.02,
            "hspace": 0.02,
            "left": 0.01,
            "right": len(columns) * _INCHES_A_PANEL / width - 0.01,
            "bottom": 0.01,
            "top": sum(heights) / height,
        },
    )
    for row, plane in enumerate(_PLANES):
        for column, panel in enumerate(columns):
            image = _draw(axes[row, column], panel, plane, place)
        _label_sides(axes[row, 0], plane)
    for column, panel in enumerate(columns):
        axes[0, column].set_title(panel.title, color="white", fontsize=11)
    if has_bar:
        _add_bar(figure, image, left=1 - 0.85 * _BAR_INCHES / width)
    return figure


def _add_bar(figure: Any, image: Any, left: float) -> None:
    bar = figure.colorbar(image, cax=figure.add_axes((left, 0.2, 0.012, 0.5)))
    bar.ax.tick_params(colors="white", labelsize=8)
    bar.set_label("absolute error", color="white", fontsize=9)


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
        axes.text(x, 0.92, letter, transform=axes.transAxes, color="yellow", fontsize=9)
