"""Files of an evaluation: every slice, every subject, the statistics, and a page to read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.evaluation.measured import MeasuredSystem
from SAMI2ILib.evaluation.report import mean_row, text_lines
from SAMI2ILib.evaluation.subject_statistics import (
    CONFIDENCE,
    RESAMPLES,
    SystemSummary,
    compare_systems,
    is_higher_better,
)
from SAMI2ILib.tables import write_rows

_SCORES = ("nrmse", "ssim", "psnr", "mae")
_PARTS: Final = {
    "brain": "In the brain: per slice, mean in the subject, then over subjects",
    "full": "Full field: per slice, mean in the subject, then over subjects",
    "volume_brain": "In the brain, each volume as one",
    "volume_full": "Full field, each volume as one",
}
_TITLES: Final = {
    "nrmse": "NRMSE", "ssim": "SSIM", "psnr": "PSNR (dB)", "mae": "MAE", "flicker": "flicker"
}  # fmt: skip
_DIGITS: Final = {"psnr": 2, "flicker": 4, "mae": 4}
METRICS: Final = (*(f"{part}_{score}" for part in _PARTS for score in _SCORES), "flicker")
"""All metrics of which more or less is better; those of the files."""
_TESTED: Final = tuple(f"{part}_{score}" for part in ("brain", "full") for score in _SCORES[:3])
_BY_SUBJECT: Final = ("brain_nrmse", "brain_ssim")


def write_evaluation(
    folder: Path,
    measured: Sequence[MeasuredSystem],
    *,
    title: str,
    facts: Mapping[str, Any],
    seed: int = 0,
) -> list[SystemSummary]:
    """Write `slices.csv`, `subjects.csv`, `summary.csv`, `evaluation.json` and `evaluation.md`.

    Args:
        folder: Made where it is missing; files of an earlier evaluation are replaced.
        measured: The systems, on the same subjects.
        title: Of the page.
        facts: What was measured, on what and by what; JSON values, those of short text on the page.
        seed: Of the bootstrap.

    Returns:
        The statistics of all `METRICS`.

    Raises:
        InputError: The systems were measured on different subjects, or nobody was.
        OutputError: A file cannot be written.
    """
    summaries = summarize_systems(measured, METRICS, seed=seed)
    make_folder(folder)
    subjects, slices = _rows(measured)
    write_rows(subjects, list(subjects[0]), folder / "subjects.csv")
    write_rows(slices, list(slices[0]), folder / "slices.csv")
    columns = [field.name for field in fields(SystemSummary)]
    write_rows((asdict(summary) for summary in summaries), columns, folder / "summary.csv")
    document = {
        "title": title,
        "facts": dict(facts),
        "statistics": {"seed": seed, "resamples": RESAMPLES, "confidence": CONFIDENCE},
        "summary": [asdict(summary) for summary in summaries],
        "systems": [system.to_json() for system in measured],
    }
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    write_text(text, folder / "evaluation.json")
    page = markdown_page(measured, summaries, title=title, facts=facts)
    write_text(page, folder / "evaluation.md")
    return summaries


def summarize_systems(
    measured: Sequence[MeasuredSystem], metrics: Sequence[str], *, seed: int = 0
) -> list[SystemSummary]:
    """Compare measured systems; as `compare_systems`."""
    results = {system.system: system.rows for system in measured}
    return compare_systems(results, metrics, seed=seed)


def markdown_page(
    measured: Sequence[MeasuredSystem],
    summaries: Sequence[SystemSummary],
    *,
    title: str,
    facts: Mapping[str, Any],
) -> str:
    """Write the evaluation as a page: figures with intervals, tests, every subject."""
    first = measured[0]
    rms = summarize_systems([first], ["target_rms"])[0]
    lines = [f"# {title}", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items() if isinstance(value, str | int)]
    lines += [
        f"- subjects: {', '.join(sorted(first.subjects))}",
        f"- root mean square of the targets, on which PSNR depends: {_figure(rms)}",
    ]
    lines += [f"- not measured: {name}: {why}" for name, why in first.not_measured.items()]
    if left := [f"{name} {one.left_out}" for name, one in first.subjects.items() if one.left_out]:
        lines.append(f"- slices with a black target, left out: {'; '.join(left)}")
    lines += ["", "Mean ± standard deviation over the subjects, [bootstrap 95 % interval]."]
    for part, heading in _PARTS.items():
        metrics = [f"{part}_{score}" for score in _SCORES]
        lines += ["", f"## {heading}", "", markdown_table(summaries, metrics)]
    lines += ["", "## Slice flicker in the brain", "", _flicker_table(measured)]
    if len(measured) > 1:
        lines += ["", "## Each system against the next-best", "", tests_table(summaries, _TESTED)]
        lines += ["", _what_tests_can_say(rms.subjects)]
    for metric in _BY_SUBJECT:
        lines += ["", f"## {_TITLES[_score(metric)]} in the brain, by subject", ""]
        lines.append(_subjects_table(measured, metric))
    return "\n".join(lines) + "\n"


def markdown_table(summaries: Sequence[SystemSummary], metrics: Sequence[str]) -> str:
    """Write a row a system and a column a metric; the best of several is bold.

    The systems come in the order of the first metric's ranks.
    """
    chosen = {(summary.system, summary.metric): summary for summary in summaries}
    systems = [summary.system for summary in summaries if summary.metric == metrics[0]]
    header = ["system", *(_TITLES[_score(metric)] for metric in metrics)]
    rows = []
    for system in systems:
        cells = []
        for metric in metrics:
            summary = chosen[system, metric]
            is_best = summary.rank == 1 and len(systems) > 1
            cells.append(f"**{_figure(summary)}**" if is_best else _figure(summary))
        rows.append([system, *cells])
    return _table(header, rows)


def tests_table(summaries: Sequence[SystemSummary], metrics: Sequence[str]) -> str:
    """Write a row for each system and metric that has a next-best system."""
    header = [
        "metric", "system", "next-best", "difference", "95 % interval", "better on", "p", "p (Holm)"
    ]  # fmt: skip
    rows = []
    for summary in summaries:
        if summary.metric not in metrics or summary.difference is None:
            continue
        digits = _digits(summary.metric)
        rows.append(
            [
                summary.metric.replace("_", " "),
                summary.system,
                summary.next_best,
                f"{summary.difference:+.{digits}f}",
                _interval(summary.difference_low, summary.difference_high, digits, "+"),
                f"{summary.better_on} of {summary.subjects}",
                _p(summary.p),
                _p(summary.p_holm),
            ]
        )
    return _table(header, rows)


def text_table(measured: Sequence[MeasuredSystem]) -> str:
    """Write the means of each system for a person."""
    return text_lines("system", {system.system: mean_row(system.rows) for system in measured})


def _rows(
    measured: Sequence[MeasuredSystem],
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """A row for each subject, and one for each slice, of each system."""
    subjects: list[dict[str, object]] = []
    slices: list[dict[str, object]] = []
    for system in measured:
        for name, subject in sorted(system.subjects.items()):
            who = {"system": system.system, "subject": name}
            left_out = " ".join(map(str, subject.left_out))
            subjects.append(
                {**who, "region": subject.region, "slices_left_out": left_out, **subject.figures}
            )
            slices += [{**who, **one} for one in subject.slices]
    return subjects, slices


def _flicker_table(measured: Sequence[MeasuredSystem]) -> str:
    header = ["system", "of the error", "of the prediction", "of the real target", "ratio"]
    rows = []
    for system in measured:
        metrics = ("flicker", "flicker_prediction", "flicker_target")
        error, made, real = (summary.mean for summary in summarize_systems([system], metrics))
        ratio = f"{made / real:.2f}" if real else "-"
        rows.append([system.system, f"{error:.4f}", f"{made:.4f}", f"{real:.4f}", ratio])
    return _table(header, rows)


def _subjects_table(measured: Sequence[MeasuredSystem], metric: str) -> str:
    rows = []
    for subject in sorted(measured[0].subjects):
        values = [system.subjects[subject].figures[metric] for system in measured]
        best = max(values) if is_higher_better(metric) else min(values)
        cells = [f"{value:.{_digits(metric)}f}" for value in values]
        marked = [
            f"**{cell}**" if value == best and len(values) > 1 else cell
            for cell, value in zip(cells, values, strict=True)
        ]
        rows.append([subject, *marked])
    return _table(["subject", *(system.system for system in measured)], rows)


def _what_tests_can_say(subjects: int) -> str:
    if subjects < 2:
        return "One subject allows neither an interval nor a test."
    smallest = 2 / 2**subjects
    return (
        "Two-sided paired Wilcoxon tests over subjects, Holm's correction for the tests of one "
        f"metric. With {subjects} subjects no p can be below {smallest:.2g}."
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(summary: SystemSummary) -> str:
    digits = _digits(summary.metric)
    text = f"{summary.mean:.{digits}f}"
    if summary.standard_deviation is None:
        return text
    interval = _interval(summary.low, summary.high, digits)
    return f"{text} ± {summary.standard_deviation:.{digits}f} {interval}"


def _interval(low: float | None, high: float | None, digits: int, sign: str = "") -> str:
    if low is None or high is None:
        return "-"
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _score(metric: str) -> str:
    return metric.rpartition("_")[2]


def _digits(metric: str) -> int:
    return _DIGITS.get(_score(metric), 3)
