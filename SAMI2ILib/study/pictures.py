"""The paper's Figures 2 and 3, drawn from what the jobs of a study have kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.dataset import SubjectSlices, open_dataset
from SAMI2ILib.drawing import new_figure, save_png
from SAMI2ILib.study.cell_jobs import (
    FEATURES_FILE,
    PREDICTION_FILE,
    shown_slice,
    subjects_to_test,
)
from SAMI2ILib.study.cells import Cell
from SAMI2ILib.study.jobs import Plan
from SAMI2ILib.study.paper import SYSTEMS, TABLE_1, TABLE_2, Direction
from SAMI2ILib.study.reproduction import Study, dataset_folder, evaluation_job

LARGEST_ERROR: Final = 0.5
_ERROR_COLORS: Final = "inferno"
_INCHES: Final = 1.9  # width of a panel
_TITLE_INCHES: Final = 0.22  # a line
_DOTS_PER_INCH: Final = 110
_MARGIN: Final = 0.05  # around the head, of its size

Box = tuple[slice, slice]


@dataclass(frozen=True)
class _Panel:
    """One picture of a figure: what stands above it, and its pixels; without them a remark.

    The title of a panel below the first row has no room.
    """

    title: str
    image: NDArray[Any] | None
    colors: str = "gray"
    largest: float = 1.0
    remark: str = ""
    label: str = ""


def draw_translations(study: Study, plan: Plan, direction: Direction, path: Path) -> str:
    """Draw Figure 2 for one direction: source, target, each system's output and its error.

    Args:
        study: Its systems of Table 1 and then those of Table 2 are shown.
        plan: What is done; other systems are shown as missing.
        direction: What is translated.
        path: Of the PNG.

    Returns:
        Which subject and slice it shows, for the caption.

    Raises:
        InputError: The dataset cannot be read.
        MissingError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    subject, k = _shown(study, plan, direction)
    box = _box_of_head(subject.foreground(direction.source, k))
    source = _inside(subject, direction.source, k)[box]
    target = np.nan_to_num(subject.read(direction.target, k))[box]
    upper = [_Panel(f"{direction.source} (source)", source)]
    upper.append(_Panel(f"{direction.target} (real)", target))
    lower = [_Panel("", None), _Panel("", None)]
    for name in dict.fromkeys((*TABLE_1, *TABLE_2)):
        if name in study.systems:
            output = _kept(plan, Cell(name, direction), PREDICTION_FILE)
            made = None if output is None else output[box]
            error = None if made is None else np.abs(made - target)
            upper.append(_Panel(SYSTEMS[name].title, made, remark="no result"))
            lower.append(_Panel("", error, _ERROR_COLORS, LARGEST_ERROR))
    _save([upper, lower], subject.spacing_mm, path, has_bar=True)
    return f"{subject.name}, slice {k}"


def draw_features(study: Study, plan: Plan, path: Path, encoder_note: str = "") -> bool:
    """Draw Figure 3: what each encoder's first stage makes of a slice of each source.

    Args:
        study: Its encoders are shown, and its sources.
        plan: What is done; other encoders are shown as missing.
        path: Of the PNG.
        encoder_note: Stands under each encoder's name.

    Returns:
        Whether there is an encoder to show.

    Raises:
        InputError: The dataset cannot be read.
        MissingError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    names = [name for name in TABLE_2 if name in study.systems]
    if not names:
        return False
    rows: list[list[_Panel]] = []
    spacing = (1.0, 1.0, 1.0)
    for source in dict.fromkeys(direction.source for direction in study.directions):
        direction = next(one for one in study.directions if one.source == source)
        subject, k = _shown(study, plan, direction)
        box, spacing = _box_of_head(subject.foreground(source, k)), subject.spacing_mm
        is_first = not rows
        image = _inside(subject, source, k)[box]
        panels = [_Panel("source" if is_first else "", image, label=source)]
        for name in names:
            note = f"\n{encoder_note}" if encoder_note else ""
            title = f"{SYSTEMS[name].encoder_title}{note}" if is_first else ""
            colors = _kept(plan, Cell(name, direction), FEATURES_FILE)
            part = None if colors is None else _cut_like(colors, subject.shape_kji[1:], box)
            panels.append(_Panel(title, part, remark="no result"))
        rows.append(panels)
    _save(rows, spacing, path, lines=2 if encoder_note else 1)
    return True


def _shown(study: Study, plan: Plan, direction: Direction) -> tuple[SubjectSlices, int]:
    subject = subjects_to_test(open_dataset(dataset_folder(study, plan)), direction)[0]
    return subject, shown_slice(subject)


def _inside(subject: SubjectSlices, contrast: str, k: int) -> NDArray[np.float32]:
    """A slice as it goes into the networks: 0 outside its head."""
    return np.nan_to_num(subject.read(contrast, k)) * subject.foreground(contrast, k)


def _kept(plan: Plan, cell: Cell, file: str) -> NDArray[Any] | None:
    """What a measurement has kept; None where it is not done."""
    job = evaluation_job(cell)
    if not plan.is_done(job):
        return None
    array: NDArray[Any] = np.load(plan.folder(job) / file, allow_pickle=False)
    return array


def _box_of_head(foreground: NDArray[np.bool_]) -> Box:
    """Rows and columns of the head with a margin; the whole slice where there is no head."""
    if not foreground.any():
        return slice(None), slice(None)
    sides = []
    for axis in (1, 0):
        inside = np.flatnonzero(foreground.any(axis=axis))
        low, high = int(inside[0]), int(inside[-1]) + 1
        margin = round(_MARGIN * (high - low))
        sides.append(slice(max(low - margin, 0), high + margin))
    return sides[0], sides[1]


def _cut_like(colors: NDArray[Any], shape: Sequence[int], box: Box) -> NDArray[Any]:
    """The part of an encoder's map that shows a part of the slice, which may be finer or coarser.

    Args:
        colors: (h, w, 3) of the slice padded at its lower and right edge.
        shape: H and W of the slice.
        box: The part of it.
    """
    scale = max(1, round(shape[0] / colors.shape[0])) if colors.shape[0] < shape[0] else 1
    enlarged = colors.repeat(scale, axis=0).repeat(scale, axis=1)
    return enlarged[: shape[0], : shape[1]][box]


def _save(
    rows: Sequence[Sequence[_Panel]],
    spacing_mm: tuple[float, float, float],
    path: Path,
    *,
    lines: int = 1,
    has_bar: bool = False,
) -> None:
    """Lay panels out in rows and columns, titles above the first row."""
    first = next(p.image for row in rows for p in row if p.image is not None)
    aspect = spacing_mm[1] / spacing_mm[0]
    panel_height = _INCHES * first.shape[0] * aspect / first.shape[1]
    title = _TITLE_INCHES * lines
    width, height = _INCHES * len(rows[0]), panel_height * len(rows) + title
    figure = new_figure(width, height)
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    figure.subplots_adjust(0.004, 0.004, 0.996, 1 - title / height, wspace=0.03, hspace=0.03)
    for row, panels in enumerate(rows):
        for column, panel in enumerate(panels):
            _draw(axes[row, column], panel, aspect)
    if has_bar:
        _add_bar(figure, axes[1, 0])
    save_png(figure, path, _DOTS_PER_INCH)


def _draw(axes: Any, panel: _Panel, aspect: float) -> None:
    axes.set_axis_off()
    axes.set_title(panel.title, fontsize=9, pad=3)
    if panel.image is None:
        axes.text(0.5, 0.5, panel.remark, ha="center", va="center", transform=axes.transAxes)
        return
    axes.imshow(panel.image, cmap=panel.colors, vmin=0, vmax=panel.largest, aspect=aspect)
    axes.text(0.03, 0.97, panel.label, color="white", va="top", transform=axes.transAxes)


def _add_bar(figure: Any, place: Any) -> None:
    """A scale of the error maps in the empty panels beside them."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    x, y, w, h = place.get_position().bounds
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, LARGEST_ERROR), _ERROR_COLORS),
        cax=figure.add_axes((x + 0.2 * w, y + 0.55 * h, 1.5 * w, 0.08 * h)),
        orientation="horizontal",
    )
    bar.set_label("absolute error\n(the real slice's 99.5th percentile is 1)", fontsize=8)
    bar.ax.tick_params(labelsize=8)
