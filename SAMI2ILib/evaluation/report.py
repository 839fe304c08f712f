"""The report of an evaluation: figures of each subject, their mean and spread, as plain JSON."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from SAMI2ILib.evaluation.metrics import Scores, VolumeScores
from SAMI2ILib.weights.spec import Metric

# Name in the model card, unit, and field of `Scores`.
_CARD = (("PSNR", "dB", "psnr"), ("SSIM", "", "ssim"), ("NRMSE", "", "nrmse"), ("MAE", "", "mae"))
_REGIONS = (("full", ""), ("brain", "brain"))


def summarize(scores: Mapping[str, VolumeScores]) -> dict[str, Any]:
    """Give the figures of all subjects with their mean and standard deviation.

    Args:
        scores: By the subject's name; at least one.

    Returns:
        `subjects`, `mean` and `standard_deviation` (over subjects; None for a single one), each
        with the fields of `VolumeScores`.
    """
    subjects = {name: asdict(score) for name, score in scores.items()}
    tables = list(subjects.values())
    return {
        "subjects": subjects,
        "mean": _combine(tables, lambda values: math.fsum(values) / len(values)),
        "standard_deviation": _combine(
            tables, lambda values: statistics.stdev(values) if len(values) > 1 else None
        ),
    }


def card_metrics(scores: Mapping[str, VolumeScores], data: str) -> tuple[Metric, ...]:
    """Turn measured figures into the entries of a model file.

    Args:
        scores: By the subject's name; at least one.
        data: What a reader calls the data.

    Returns:
        Slice-averaged PSNR, SSIM, NRMSE and MAE, full field and in the brain.
    """
    entries = []
    for region, label in _REGIONS:
        for name, unit, field in _CARD:
            values = [_value(score, region, field) for score in scores.values()]
            entries.append(
                Metric(
                    name=name,
                    value=math.fsum(values) / len(values),
                    unit=unit,
                    data=data,
                    region=label,
                    subjects=len(values),
                    standard_deviation=statistics.stdev(values) if len(values) > 1 else None,
                )
            )
    return tuple(entries)


def table(scores: Mapping[str, VolumeScores]) -> str:
    """Write the figures as lines of text: in the brain, then the SSIM of the full field."""
    lines = [
        f"{'subject':24} {'NRMSE':>7} {'SSIM':>7} {'PSNR':>7} {'SSIM full':>10} {'flicker':>8}"
    ]
    for name, score in scores.items():
        brain = score.brain
        lines.append(
            f"{name:24} {brain.nrmse:7.3f} {brain.ssim:7.3f} {brain.psnr:7.2f} "
            f"{score.full.ssim:10.3f} {score.flicker:8.4f}"
        )
    return "\n".join(lines)


def _value(score: VolumeScores, region: str, field: str) -> float:
    scores: Scores = getattr(score, region)
    return float(getattr(scores, field))


def _combine(tables: Sequence[Mapping[str, Any]], reduce: Any) -> dict[str, Any]:
    """Reduce each number over tables of the same nested keys."""
    combined: dict[str, Any] = {}
    for key, first in tables[0].items():
        column = [table[key] for table in tables]
        combined[key] = _combine(column, reduce) if isinstance(first, Mapping) else reduce(column)
    return combined
