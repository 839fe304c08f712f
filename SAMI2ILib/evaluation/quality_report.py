"""One page on how good a synthetic volume is, where there is a real scan to compare it with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from SAMI2ILib.data.brain_mask import brain_mask
from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.calibration import Calibration, calibrate
from SAMI2ILib.evaluation.compare import Comparison, compare_volumes
from SAMI2ILib.evaluation.figures import Panels, draw_figure
from SAMI2ILib.evaluation.html_page import page, paragraph, picture, section, table
from SAMI2ILib.evaluation.metrics import Measurement, Scores, measure_volume
from SAMI2ILib.evaluation.real_pairs import lie_on_one_grid
from SAMI2ILib.evaluation.report_pictures import draw_curves, draw_histograms, draw_slices
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE
from SAMI2ILib.imaging.normalized import normalize_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import BoolArray, Volume
from SAMI2ILib.inference.output_files import (
    is_image_record,
    read_record,
    sidecar_path,
    uncertainty_path,
)
from SAMI2ILib.weights import file_sha256

_LONGEST_VALUE = 200  # characters of a sidecar's value
_COVERED = 0.995


@dataclass(frozen=True, eq=False)
class Quality:
    """A synthetic volume, measured.

    Attributes:
        comparison: Of the whole head.
        brain: Of the brain; None where it is not known where that is.
        region: (K, J, I), the brain, or else the head.
        source: On the synthetic volume's grid, axial, in [0, 1]; None where it was not given.
        uncertainty: The map on the same grid, in [0, 1000]; None where there is none.
        calibration: What the map is worth; None where there is none.
        same_grid: Whether the real scan lay on the synthetic volume's grid.
    """

    comparison: Comparison
    brain: Measurement | None
    region: BoolArray
    source: Volume | None
    uncertainty: Volume | None
    calibration: Calibration | None
    same_grid: bool


def measure_quality(
    synthetic: Volume,
    real: Volume,
    source: Volume | None = None,
    brain: Volume | None = None,
    uncertainty: Volume | None = None,
    *,
    register: bool | None = None,
) -> Quality:
    """Measure a synthetic volume against a real scan, in the head and in the brain.

    Args:
        synthetic: In [0, 1000], as `translate` makes it.
        real: A scan of the same head and contrast, any unit and grid.
        source: The T1 that the synthetic volume was made from; the brain is found in it.
        brain: A mask instead, above 0.5 in the brain; any grid in the same place.
        uncertainty: The map that lies beside the synthetic volume, on its grid.
        register: Lay the real scan onto the synthetic volume; None does so where their grids
            differ.

    Raises:
        InputError: `synthetic` is not in [0, 1000], the volumes do not overlap, or the mask or the
            source does not overlap with them.
    """
    same_grid = lie_on_one_grid(real, reorient(synthetic, "LPS"))
    comparison = compare_volumes(
        synthetic, real, register=not same_grid if register is None else register
    )
    grid = comparison.synthetic.grid
    inside = _brain_of(source, brain)
    region, measured = comparison.head, None
    if inside is not None:
        region = (resample(inside, grid, "nearest").array_kji > 0.5) & comparison.head
        if not region.any():
            raise InputError(
                f"The brain in {inside.name!r} lies outside of {synthetic.name!r}.",
                "Give the mask or the T1 of the same head in the same place.",
            )
        made, true = comparison.synthetic.array_kji, comparison.real.array_kji
        measured = measure_volume(made, true, region)
    doubt = None if uncertainty is None else resample(uncertainty, grid)
    shown = None if source is None else resample(normalize_volume(source).volume, grid)
    return Quality(
        comparison=comparison,
        brain=measured,
        region=region,
        source=shown,
        uncertainty=doubt,
        calibration=None if doubt is None else _calibration(comparison, doubt, region),
        same_grid=same_grid,
    )


def find_uncertainty(synthetic: Path) -> Path | None:
    """The uncertainty map that was written together with a synthetic volume, and no other."""
    path = uncertainty_path(synthetic)
    record, its_record = read_record(sidecar_path(synthetic)), read_record(sidecar_path(path))
    if record is None or its_record is None or not path.is_file():
        return None
    belongs = "volume" in record and its_record.get("uncertainty_of") == record["volume"]
    return path if belongs and not is_image_record(its_record) else None


def write_page(
    quality: Quality,
    names: Mapping[str, str],
    record: Mapping[str, Any] | None,
    doubts: Sequence[str],
) -> str:
    """Make the page.

    Args:
        quality: From `measure_quality`.
        names: File names for readers: "synthetic", "real", and "source" and "brain" if given.
        record: The synthetic volume's sidecar; None where there is none.
        doubts: What a reader should know first, a sentence each.

    Returns:
        HTML that needs nothing but itself. It shows of the record what is listed here and nothing
        else: whatever other programs may have put there, a patient's name included, stays out.
    """
    contrast = _short(record.get("target_contrast", "")) if record else ""
    title = f"Synthetic {contrast} against a real scan".replace("  ", " ")
    return page(
        title,
        [
            *(paragraph(doubt, "doubt") for doubt in doubts),
            table((), [(_ROLES[role], name) for role, name in names.items()], numbers=False),
            paragraph(_how_compared(quality)),
            section("Figures", _figures_table(quality), paragraph(_FIGURES_NOTE, "note")),
            section("Three planes", _planes(quality, contrast)),
            section("Slices", _slices(quality)),
            section("Slice by slice", picture(draw_curves(_curves(quality)), _CURVES)),
            section("Intensities", _histograms(quality)),
            section("Flicker", _flicker_table(quality), paragraph(_FLICKER_NOTE, "note")),
            *_uncertainty_section(quality),
            section("Where it comes from", _provenance(record)),
        ],
    )


def record_doubts(synthetic: Path, record: Mapping[str, Any] | None) -> list[str]:
    """What the record of a synthetic volume leaves open, a sentence each."""
    if record is None:
        return [
            f"{synthetic.name} has no record beside it: nothing says which model made it, or that "
            "it is synthetic at all."
        ]
    written = record.get("volume")
    if not isinstance(written, Mapping) or written.get("sha256") != file_sha256(synthetic):
        return [
            f"{synthetic.name} is not the file that its record describes: it was changed or "
            "saved again."
        ]
    return []


_ROLES = {
    "synthetic": "Synthetic volume",
    "real": "Real scan",
    "source": "Source of the synthetic volume",
    "brain": "Brain mask",
}
_FIGURES_NOTE = (
    "The synthetic volume counts on the scale that it has; the real scan is divided by its own "
    "99.5th percentile in the head. Nothing is fitted to the other. Outside the head both are 0, "
    "which makes the figures of the full field look better. NRMSE is divided by the norm of the "
    "real scan, PSNR and SSIM are for a range of 1."
)
_FLICKER_NOTE = (
    "Mean absolute difference from one axial slice to the next, of 1000. The real scan's is what "
    "anatomy alone gives; a slice-by-slice model adds to it if it flickers."
)
_CURVES = "PSNR, SSIM and NRMSE of each axial slice"


def _brain_of(source: Volume | None, brain: Volume | None) -> Volume | None:
    if brain is not None:
        return brain
    return None if source is None else source.with_array(brain_mask(source).astype(np.float32))


def _calibration(comparison: Comparison, doubt: Volume, region: BoolArray) -> Calibration:
    error = comparison.synthetic.array_kji - comparison.real.array_kji
    return calibrate(doubt.array_kji, error * np.float32(OUTPUT_RANGE), region)


def _how_compared(quality: Quality) -> str:
    moved, covered = quality.comparison.registration, quality.comparison.covered
    if moved is not None:
        text = (
            f"The real scan was laid onto the synthetic volume by a rigid registration: moved by "
            f"{moved.translation_mm:.1f} mm and turned by {moved.rotation_deg:.1f} degrees."
        )
    elif quality.same_grid:
        text = "Both lie on one grid and are compared voxel by voxel."
    else:
        text = "The real scan was brought onto the grid by its header alone, without registration."
    if covered < _COVERED:
        text += f" It covers {covered:.0%} of the synthetic head; only that is measured."
    return text


def _figures_table(quality: Quality) -> str:
    head = quality.comparison.scores
    rows = []
    if quality.brain is not None:
        scores = quality.brain.scores
        rows.append((f"brain, mean of {scores.slices} axial slices", scores.brain))
        rows.append(("brain, the volume as one", scores.volume_brain))
    rows.append((f"head, mean of {head.slices} axial slices", head.brain))
    rows.append(("head, the volume as one", head.volume_brain))
    rows.append((f"full field, mean of {head.slices} axial slices", head.full))
    rows.append(("full field, the volume as one", head.volume_full))
    return table(
        ("where", "PSNR (dB)", "SSIM", "NRMSE", "MAE of 1000"),
        [(name, *_score_cells(scores)) for name, scores in rows],
    )


def _score_cells(scores: Scores) -> tuple[str, ...]:
    return (
        f"{scores.psnr:.2f}",
        f"{scores.ssim:.3f}",
        f"{scores.nrmse:.3f}",
        f"{scores.mae * OUTPUT_RANGE:.0f}",
    )


def _planes(quality: Quality, contrast: str) -> str:
    comparison = quality.comparison
    panels = Panels(
        quality.source,
        comparison.synthetic,
        comparison.real,
        "source",
        contrast,
        quality.uncertainty,
    )
    return picture(
        draw_figure(panels),
        "Axial, coronal and sagittal slices of the volumes and of the absolute error",
        "Through the middle of the head, in radiological convention. The error is in units of "
        "[0, 1], the uncertainty, where there is one, up to its own 99.5th percentile.",
    )


def _slices(quality: Quality) -> str:
    comparison = quality.comparison
    columns, rows, _ = comparison.synthetic.spacing_mm
    drawn = draw_slices(
        comparison.synthetic.array_kji, comparison.real.array_kji, comparison.head, (rows, columns)
    )
    return picture(
        drawn,
        "Axial slices: synthetic, real, and their difference",
        "Synthetic above, real in the middle, synthetic minus real below: red is too bright, blue "
        "too dark.",
    )


def _curves(quality: Quality) -> dict[str, Any]:
    curves = {"head": quality.comparison.slices}
    if quality.brain is not None:
        curves["brain"] = quality.brain.slices
    return curves


def _histograms(quality: Quality) -> str:
    comparison = quality.comparison
    drawn = draw_histograms(
        comparison.synthetic.array_kji, comparison.real.array_kji, quality.region
    )
    where = "head" if quality.brain is None else "brain"
    return picture(
        drawn, "Histograms of both volumes, and their joint histogram", f"Voxels of the {where}."
    )


def _flicker_table(quality: Quality) -> str:
    rows = [("head", quality.comparison.scores)]
    if quality.brain is not None:
        rows.insert(0, ("brain", quality.brain.scores))
    return table(
        ("where", "synthetic", "real", "error"),
        [
            (name, *(f"{x * OUTPUT_RANGE:.1f}" for x in figures))
            for name, s in rows
            for figures in [(s.flicker_prediction, s.flicker_target, s.flicker)]
        ],
    )


def _uncertainty_section(quality: Quality) -> list[str]:
    found = quality.calibration
    if found is None:
        return []
    factor = "no value" if found.factor is None else f"{found.factor:.1f}"
    rows = [
        ("rank correlation with the absolute error", f"{found.rank_correlation:.2f}"),
        ("squared error in the most doubtful tenth of the voxels", f"{found.share_of_error:.0%}"),
        ("root mean square error over uncertainty", factor),
        ("mean error, which no spread can show, of 1000", f"{found.bias:.0f}"),
    ]
    note = (
        "The map ranks voxels by doubt. It is not the expected error, and dark places can be wrong."
    )
    return [section("Uncertainty map", table((), rows), paragraph(note, "note"))]


def _provenance(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return paragraph("There is no record.")
    warnings = record.get("warnings")
    rows = [(name, _short(_value_at(record, *path))) for name, path in _SHOWN]
    if isinstance(warnings, list) and warnings:
        said = [_short(w.get("message", "")) for w in warnings if isinstance(w, Mapping)]
        rows.append(("Warnings", " ".join(said)))
    return table((), [row for row in rows if row[1]], numbers=False)


_SHOWN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Model", ("model", "title")),
    ("Model id", ("model", "id")),
    ("SHA-256 of the model", ("model", "sha256")),
    ("Source contrast", ("source_contrast",)),
    ("Target contrast", ("target_contrast",)),
    ("SHA-256 of the source", ("source", "sha256")),
    ("Passes", ("ensemble", "passes")),
    ("Software", ("software", "name")),
    ("Version", ("software", "version")),
    ("Device", ("device", "name")),
    ("Precision", ("device", "precision")),
    ("Date", ("date",)),
    ("Intended use", ("intended_use",)),
)


def _value_at(record: Mapping[str, Any], *path: str) -> Any:
    value: Any = record
    for key in path:
        value = value.get(key, "") if isinstance(value, Mapping) else ""
    return value


def _short(value: Any) -> str:
    """A value of a sidecar as one line of text, whatever somebody has put there."""
    if not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())[:_LONGEST_VALUE]
