"""The picture of the worst registrations: the reference's outline on each contrast."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.dataset import SubjectSlices
from SAMI2ILib.data.preparation.quality import QualityRow
from SAMI2ILib.drawing import new_figure, save_png

_PANEL_INCHES, _DOTS_PER_INCH = 2.2, 100
_EDGE_SIGMA_MM = 1.5
_EDGE_SHARE = 0.2  # of the region's pixels, before edges are thinned
_BESIDE_MIDLINE = 0.47  # of the head's width
_HEIGHT_IN_BRAIN = 0.6  # of the chosen slices: the ventricles


def save_mosaic(
    rows: Sequence[QualityRow], subjects: Sequence[SubjectSlices], grid: str, path: Path
) -> None:
    """Draw one line a row: the reference, then the contrast in three planes with its edges.

    The edges are those of the reference: where they follow the contrast's anatomy, it lies right.

    Args:
        rows: Worst first; at least one.
        subjects: Of the dataset; those of the rows are looked up.
        grid: The reference.
        path: Of the PNG; written atomically.

    Raises:
        MissingError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    by_name = {subject.name: subject for subject in subjects}
    height = len(rows) * (_PANEL_INCHES + 0.2)
    figure = new_figure(4 * _PANEL_INCHES, height, color="black")
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        _draw_row(line, row, by_name[row.subject], grid)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.2 / height, wspace=0.02, hspace=0.12)
    save_png(figure, path, _DOTS_PER_INCH)


class _Plane(NamedTuple):
    """One cut: (S, S) each."""

    reference: NDArray[np.float32]
    moved: NDArray[np.float32]
    inside: NDArray[np.bool_]


def _draw_row(line: Any, row: QualityRow, subject: SubjectSlices, grid: str) -> None:
    planes = _planes(subject, row.contrast, grid)
    placement = row.placement
    title = (
        f"{row.subject}  {row.contrast} on {grid} ({placement['how']})  "
        f"MI {placement['information_before']:.2f} to {placement['information_after']:.2f}  "
        f"{placement['rotation_deg']:.1f} deg, {placement['translation_mm']:.1f} mm  "
        f"{' '.join(row.codes)}"
    )
    line[0].set_title(title, color="white", fontsize=7, loc="left", pad=2)
    panels = [
        (planes[0].reference, None),
        *((plane.moved, _edges(plane.reference, plane.inside)) for plane in planes),
    ]
    for axes, (image, edges) in zip(line, panels, strict=True):
        axes.set_axis_off()
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
        if edges is not None:
            axes.imshow(np.ma.masked_where(~edges, edges), cmap="autumn", alpha=0.8)


def _planes(subject: SubjectSlices, contrast: str, grid: str) -> list[_Plane]:
    """Axial, coronal, sagittal cuts through the head: 1 mm a pixel, head up."""
    head = subject.foreground(grid)
    brain = subject.brain()
    found = np.argwhere(head)
    low, high = found.min(axis=0), found.max(axis=0) + 1
    k, j, i = box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    volumes = (
        np.nan_to_num(subject.volume(grid)[box].astype(np.float32)),
        np.nan_to_num(subject.volume(contrast)[box].astype(np.float32)),
        (head if brain is None else brain)[box].astype(np.float32),
    )
    height = subject.slices[int(_HEIGHT_IN_BRAIN * (len(subject.slices) - 1))]
    across = (
        min(max(height - k.start, 0), k.stop - k.start - 1),
        (j.stop - j.start) // 2,
        int(_BESIDE_MIDLINE * (i.stop - i.start)),
    )
    spacing_kji = subject.spacing_mm[::-1]
    planes = []
    for axis, number in enumerate(across):
        spacing = spacing_kji[:axis] + spacing_kji[axis + 1 :]
        cuts = [_square(np.take(volume, number, axis), spacing) for volume in volumes]
        if axis > 0:  # slices count upwards, rows of a picture downwards
            cuts = [cut[::-1] for cut in cuts]
        planes.append(_Plane(cuts[0], cuts[1], cuts[2] > 0.5))
    return planes


def _square(image: NDArray[np.float32], spacing_mm: tuple[float, ...]) -> NDArray[np.float32]:
    """Stretch to one millimeter a pixel, into a square frame with the image in the middle."""
    from scipy import ndimage

    zoomed: NDArray[np.float32] = ndimage.zoom(image, spacing_mm, order=1)
    side = max(zoomed.shape)
    pad = [((side - n) // 2, side - n - (side - n) // 2) for n in zoomed.shape]
    return np.pad(zoomed, pad)


def _edges(image: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The strongest edges within a region, as many as a fixed share of it, one pixel wide."""
    from skimage.feature import canny

    if not inside.any():
        return inside
    low, high = np.percentile(image[inside], (5, 95))
    share = 1 - _EDGE_SHARE * float(inside.mean())
    edges: NDArray[np.bool_] = canny(  # type: ignore[no-untyped-call]
        np.clip((image - low) / max(high - low, 1e-3), 0, 1),
        sigma=_EDGE_SIGMA_MM,
        low_threshold=2 * share - 1,
        high_threshold=share,
        mask=inside,
        use_quantiles=True,
    )
    return edges
