"""The report of an evaluation: figures of each subject, their mean and spread, as plain values."""

import csv
import io
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from SAMI2ILib.evaluation.metrics import VolumeScores
from SAMI2ILib.weights.spec import Metric

# Name in the model card, unit, and key of a flat row.
_CARD = (("PSNR", "dB", "psnr"), ("SSIM", "", "ssim"), ("NRMSE", "", "nrmse"))
_CARD_REGION = "brain"

Row = dict[str, float]
"""The figures of one subject under flat names: `brain_nrmse`, `full_ssim`, `flicker`."""


def flat_row(scores: VolumeScores) -> Row:
    """Name the figures of one subject as columns of a table."""
    row: Row = {}
    for key, value in asdict(scores).items():
        if isinstance(value, Mapping):
            row.update({f"{key}_{name}": float(figure) for name, figure in value.items()})
        else:
            row[key] = float(value)
    return row


def summarize(scores: Mapping[str, VolumeScores]) -> dict[str, Any]:
    """Give the figures of all subjects with their mean and standard deviation.

    Args:
        scores: By the subject's name; at least one.

    Returns:
        `subjects` by name, `mean` and `standard_deviation` over the subjects (None for a single
        one), each with flat names as in `Row`.
    """
    rows = {name: flat_row(score) for name, score in scores.items()}
    columns = {key: [row[key] for row in rows.values()] for key in next(iter(rows.values()))}
    return {
        "subjects": rows,
        "mean": mean_row(rows),
        "standard_deviation": {key: _deviation(values) for key, values in columns.items()},
    }


def mean_row(rows: Mapping[str, Row]) -> Row:
    """The mean of each figure over the subjects, of which there is at least one."""
    keys = next(iter(rows.values()))
    return {key: statistics.fmean(row[key] for row in rows.values()) for key in keys}


def card_metrics(rows: Mapping[str, Row], data: str) -> tuple[Metric, ...]:
    """Turn measured figures into the entries of a model file.

    Args:
        rows: The figures by the subject's name; at least one.
        data: What a reader calls the data.

    Returns:
        PSNR, SSIM and NRMSE in the brain: means of slices, then of subjects.
    """
    entries = []
    for name, unit, key in _CARD:
        values = [row[f"{_CARD_REGION}_{key}"] for row in rows.values()]
        entries.append(
            Metric(
                name=name,
                value=statistics.fmean(values),
                unit=unit,
                data=data,
                region=_CARD_REGION,
                subjects=len(values),
                standard_deviation=_deviation(values),
            )
        )
    return tuple(entries)


def csv_table(scores: Mapping[str, VolumeScores]) -> str:
    """Write one line a subject, a column a figure."""
    rows = {name: flat_row(score) for name, score in scores.items()}
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = list(next(iter(rows.values())))
    writer.writerow(["subject", *columns])
    writer.writerows([name, *(f"{row[key]:.6g}" for key in columns)] for name, row in rows.items())
    return text.getvalue()


def text_table(scores: Mapping[str, VolumeScores]) -> str:
    """Write the figures of subjects and their mean for a person."""
    rows = {name: flat_row(score) for name, score in scores.items()}
    return text_lines("subject", rows | {f"mean of {_count(len(rows))}": mean_row(rows)})


def text_lines(what: str, rows: Mapping[str, Row]) -> str:
    """Lay figures out for a terminal: in the brain, then the SSIM of the full field and flicker.

    Args:
        what: Stands above the names.
        rows: The figures by the name that a line begins with.
    """
    lines = [f"{what:24} {'NRMSE':>7} {'SSIM':>7} {'PSNR':>7} {'full SSIM':>10} {'flicker':>8}"]
    for name, row in rows.items():
        lines.append(
            f"{name:24} {row['brain_nrmse']:7.3f} {row['brain_ssim']:7.3f} "
            f"{row['brain_psnr']:7.2f} {row['full_ssim']:10.3f} {row['flicker']:8.4f}"
        )
    return "\n".join(lines)


def _count(subjects: int) -> str:
    return "1 subject" if subjects == 1 else f"{subjects} subjects"


def _deviation(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
