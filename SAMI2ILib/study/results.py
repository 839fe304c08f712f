"""What the jobs of a study have found, gathered into the cells of tables."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.evaluation.measured import MeasuredSystem
from SAMI2ILib.evaluation.report import Row
from SAMI2ILib.evaluation.subject_statistics import (
    SystemSummary,
    compare_systems,
    is_higher_better,
)
from SAMI2ILib.study.cells import Cell
from SAMI2ILib.study.jobs import Plan
from SAMI2ILib.study.paper import SYSTEMS, TABLE_1, TABLE_2, Direction, published
from SAMI2ILib.study.reproduction import Study, evaluation_job, training_job
from SAMI2ILib.tables import write_rows

METRICS: Final = ("psnr", "ssim", "nrmse")
FULL: Final = tuple(f"full_{metric}" for metric in METRICS)
BRAIN: Final = tuple(f"brain_{metric}" for metric in METRICS)
NO_VALUE: Final = "n/a"

_DIGITS: Final[Mapping[str, int]] = {"psnr": 2, "ssim": 3, "nrmse": 4}


@dataclass(frozen=True)
class TableCell:
    """A system in a direction: its figures, or why there are none.

    Attributes:
        system: Its name.
        direction: What it translates.
        summaries: Over the test subjects, by metric; each subject's figure is the mean over the
            seeds. Empty where nothing was measured.
        seed_spread: By metric, the standard deviation over the seeds of the mean over the
            subjects; empty for a single seed.
        seeds: How many were measured.
        target_rms: Root mean square of the targets, on which PSNR depends.
        why_not: Why there are no figures, or not of all seeds; empty where there is nothing to say.
        best: Metrics in which no other system of the table is better, by the figures shown; none
            where no other system was measured.
    """

    system: str
    direction: Direction
    summaries: Mapping[str, SystemSummary]
    seed_spread: Mapping[str, float]
    seeds: int
    target_rms: float
    why_not: str = ""
    best: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the paper.

    Attributes:
        number: 1 or 2.
        systems: Its rows.
        directions: Its groups of columns.
        cells: By system and direction.
    """

    number: int
    systems: tuple[str, ...]
    directions: tuple[Direction, ...]
    cells: Mapping[tuple[str, Direction], TableCell]

    def row_title(self, system: str) -> str:
        """What the row is called."""
        compared = SYSTEMS[system]
        return compared.encoder_title if self.number == 2 else compared.title


def gather_tables(study: Study, plan: Plan) -> list[Table]:
    """Read what was measured so far; a table without any system of the study is left out."""
    tables = []
    for number, names in ((1, TABLE_1), (2, TABLE_2)):
        systems = tuple(name for name in names if name in study.systems)
        if not systems:
            continue
        cells: dict[tuple[str, Direction], TableCell] = {}
        for direction in study.directions:
            for cell in _column(study, plan, systems, direction):
                cells[cell.system, direction] = cell
        tables.append(Table(number, systems, study.directions, cells))
    return tables


def show(value: float | None, metric: str) -> str:
    """Write a figure with as many digits as the paper does."""
    if value is None:
        return NO_VALUE
    return f"{value:.{_DIGITS[metric.rpartition('_')[2]]}f}"


def write_table(table: Table, path: Path) -> None:
    """Write one line for each system and direction, the paper's figures in columns of their own.

    Raises:
        OutputError: It cannot be written.
    """
    rows = [_csv_row(table, table.cells[key]) for key in table.cells]
    write_rows(rows, list(rows[0]), path)


def _column(
    study: Study, plan: Plan, systems: Sequence[str], direction: Direction
) -> list[TableCell]:
    """All systems of a table in one direction, compared on the subjects that all have."""
    measured = {name: _measured(study, plan, name, direction) for name in systems}
    there = {name: one for name, one in measured.items() if one}
    common = set.intersection(*(set(_mean_rows(one)) for one in there.values())) if there else set()
    summaries: dict[str, dict[str, SystemSummary]] = {name: {} for name in systems}
    if common:
        rows = {
            name: {subject: row for subject, row in _mean_rows(one).items() if subject in common}
            for name, one in there.items()
        }
        for summary in compare_systems(rows, (*FULL, *BRAIN)):
            summaries[summary.system][summary.metric] = summary
    cells = []
    for name in systems:
        seeds = measured[name]
        rms = [one.rows[s]["target_rms"] for one in seeds[:1] for s in sorted(common)]
        cells.append(
            TableCell(
                name,
                direction,
                summaries[name],
                _seed_spread(seeds, common),
                len(seeds),
                statistics.fmean(rms) if rms else math.nan,
                _why_not(study, plan, name, direction),
                _best(name, summaries),
            )
        )
    return cells


def _measured(study: Study, plan: Plan, system: str, direction: Direction) -> list[MeasuredSystem]:
    """What was measured of a system, one entry a seed."""
    jobs = [evaluation_job(Cell(system, direction, seed)) for seed in range(study.seeds)]
    return [
        MeasuredSystem.from_json(plan.result(job)["measured"]) for job in jobs if plan.is_done(job)
    ]


def _mean_rows(seeds: Sequence[MeasuredSystem]) -> dict[str, Row]:
    """Each subject's figures, the mean over the seeds, of the subjects that all seeds have."""
    common = set.intersection(*(set(one.rows) for one in seeds))
    return {
        subject: {
            metric: statistics.fmean(one.rows[subject][metric] for one in seeds)
            for metric in (*FULL, *BRAIN)
        }
        for subject in sorted(common)
    }


def _seed_spread(seeds: Sequence[MeasuredSystem], subjects: set[str]) -> dict[str, float]:
    if len(seeds) < 2 or not subjects:
        return {}
    means = {
        metric: [statistics.fmean(one.rows[s][metric] for s in subjects) for one in seeds]
        for metric in (*FULL, *BRAIN)
    }
    return {metric: statistics.stdev(values) for metric, values in means.items()}


def _best(name: str, summaries: Mapping[str, Mapping[str, SystemSummary]]) -> tuple[str, ...]:
    """Metrics in which a system's figure, as it is shown, is as good as the best of several."""
    if sum(bool(of_system) for of_system in summaries.values()) < 2:
        return ()
    best = []
    for metric in summaries[name]:
        shown = {
            other: float(show(of_other[metric].mean, metric))
            for other, of_other in summaries.items()
            if metric in of_other
        }
        top = max(shown.values()) if is_higher_better(metric) else min(shown.values())
        if shown[name] == top:
            best.append(metric)
    return tuple(best)


def _why_not(study: Study, plan: Plan, system: str, direction: Direction) -> str:
    """Say of the seeds that are missing where they stand."""
    reasons = []
    for seed in range(study.seeds):
        cell = Cell(system, direction, seed)
        states = [plan.state(job(cell)) for job in (training_job, evaluation_job)]
        if states[1].status == "done":
            continue
        state = next((s for s in states if s.status == "failed"), states[0])
        state = states[1] if state.status == "done" else state
        said = "not yet run" if state.status in ("ready", "waiting") else state.status
        reason = f"{said}: {state.message}" if state.status == "failed" else said
        reasons.append(reason if study.seeds == 1 else f"seed {seed} {reason}")
    return "; ".join(reasons)


def _csv_row(table: Table, cell: TableCell) -> dict[str, Any]:
    row: dict[str, Any] = {
        "table": table.number,
        "system": table.row_title(cell.system),
        "direction": str(cell.direction),
        "status": cell.why_not or "measured",
        "seeds": cell.seeds,
        "subjects": next((s.subjects for s in cell.summaries.values()), 0),
        "target_rms": f"{cell.target_rms:.4f}" if cell.summaries else NO_VALUE,
    }
    for prefix, metrics in (("", FULL), ("brain_", BRAIN)):
        for name, metric in zip(METRICS, metrics, strict=True):
            row |= _csv_figures(f"{prefix}{name}", cell, metric)
    paper = published(cell.system, cell.direction)
    for name in METRICS:
        value = None if paper is None else getattr(paper, name)
        row[f"paper_{name}"] = show(value, name)
    return row


def _csv_figures(name: str, cell: TableCell, metric: str) -> dict[str, str]:
    summary = cell.summaries.get(metric)
    values: dict[str, float | None] = dict.fromkeys(("", "_sd", "_low", "_high", "_p_holm"))
    if summary is not None:
        values = {
            "": summary.mean,
            "_sd": summary.standard_deviation,
            "_low": summary.low,
            "_high": summary.high,
            "_p_holm": summary.p_holm,
        }
    values["_seed_sd"] = cell.seed_spread.get(metric)
    return {
        f"{name}{end}": NO_VALUE if value is None else f"{value:.6g}"
        for end, value in values.items()
    }
