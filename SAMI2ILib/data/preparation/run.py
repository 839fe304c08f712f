"""Prepares all subjects, several at a time, into a dataset folder; goes on after a kill."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import remove_leftovers
from SAMI2ILib.data.dataset import MANIFEST_FILE, SUBJECTS_FOLDER, SliceDataset, open_dataset
from SAMI2ILib.data.dataset_writer import (
    claim_dataset,
    finished_record,
    write_manifest,
    write_subject,
)
from SAMI2ILib.data.parallel import run_in_processes
from SAMI2ILib.data.preparation.cases import Case, Found, Remark
from SAMI2ILib.data.preparation.mosaic import save_mosaic
from SAMI2ILib.data.preparation.quality import QualityRow, quality_rows
from SAMI2ILib.data.preparation.settings import PreparationSettings
from SAMI2ILib.data.preparation.split import SplitRule, divide
from SAMI2ILib.data.preparation.subject import prepare_subject
from SAMI2ILib.drawing import require_matplotlib
from SAMI2ILib.errors import InputError, OutOfMemoryError
from SAMI2ILib.imaging.itk import simpleitk
from SAMI2ILib.tables import write_rows

QUALITY_FILE, MOSAIC_FILE, SKIPPED_FILE = "quality.csv", "quality-worst.png", "skipped.csv"
_SKIPPED_COLUMNS = ("name", "reason", "failed")
_WORST_PART, _FEWEST_ROWS, _MOST_ROWS = 0.05, 4, 40


@dataclass(frozen=True)
class Outcome:
    """What one subject ended with: its record, or why there is none."""

    record: Mapping[str, Any] | None
    remark: Remark | None = None


@dataclass(frozen=True, eq=False)
class PreparationReport:
    """What the preparation ends with.

    Attributes:
        dataset: Open.
        failed: Subjects that could not be prepared.
        rows: The quality table, worst first.
    """

    dataset: SliceDataset
    failed: Sequence[Remark]
    rows: Sequence[QualityRow]


@dataclass(frozen=True)
class Description:
    """What the data are called and under which license they are; both end in model cards."""

    name: str = ""
    license: str = ""


def prepare_dataset(
    found: Found,
    settings: PreparationSettings,
    split: SplitRule,
    folder: Path,
    *,
    description: Description = Description(),
    jobs: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    on_remark: Callable[[Remark], None] = lambda _remark: None,
) -> PreparationReport:
    """Prepare every subject that is not ready, then write split, quality table and manifest.

    A subject is ready when its folder was written from the same files by the same settings. One
    that cannot be prepared is remarked and left out, before the split.

    Args:
        found: Who, and who is left out already.
        settings: How.
        split: Parts and seed.
        folder: The dataset; new, empty, or an earlier one.
        description: Of the data.
        jobs: Processes, all cores where None.
        on_progress: Called with how many of how many subjects are through.
        on_remark: Called with each subject that fails and each doubt.

    Raises:
        InputError: The folder holds something else, the split cannot be made, or nobody could be
            prepared.
        MissingError: matplotlib or the brain template is not installed.
        OutputError: The folder cannot be written, or the disk is full.
        OutOfMemoryError: A process was ended, most likely for want of memory.
    """
    # what is wrong with these is said before the hours, not after them
    require_matplotlib()
    divide(found.cases, split)
    claim_dataset(folder)
    outcomes = _prepare_all(found.cases, settings, folder, jobs, on_progress, on_remark)
    records = [outcome.record for outcome in outcomes if outcome.record is not None]
    failed = sorted(
        (outcome.remark for outcome in outcomes if outcome.remark is not None),
        key=lambda remark: remark.name,
    )
    skipped = [*found.skipped, *failed]
    if not records:
        raise InputError(
            f"None of {len(found.cases)} subjects could be prepared. {failed[0].name}: "
            f"{failed[0].reason}"
        )
    prepared = {str(record["name"]) for record in records}
    parts = divide([case for case in found.cases if case.name in prepared], split)
    rows = quality_rows(records, parts)
    table = [row.cells() for row in rows]
    write_rows(table, list(table[0]) if table else [], folder / QUALITY_FILE)
    write_rows((asdict(remark) for remark in skipped), _SKIPPED_COLUMNS, folder / SKIPPED_FILE)
    write_manifest(
        folder,
        records,
        parts,
        contrasts=settings.contrasts,
        name=description.name,
        license_text=description.license,
        preparation=settings.to_json(),
        split_rule={**asdict(split), "chosen_by_user": any(c.split for c in found.cases)},
        skipped=[asdict(remark) for remark in skipped],
    )
    dataset = open_dataset(folder)
    _draw_worst(rows, dataset, settings.grid, folder / MOSAIC_FILE)
    return PreparationReport(dataset, failed, rows)


def _prepare_all(
    cases: Sequence[Case],
    settings: PreparationSettings,
    folder: Path,
    jobs: int | None,
    on_progress: Callable[[int, int], None],
    on_remark: Callable[[Remark], None],
) -> list[Outcome]:
    from concurrent.futures.process import BrokenProcessPool

    outcomes, tasks = [], []
    for case in cases:
        request, missing = _request(case, settings)
        record = None if missing else finished_record(folder, case.name, request)
        if missing is not None:
            outcomes.append(Outcome(None, missing))
        elif record is not None:
            outcomes.append(Outcome(record))
        else:
            tasks.append((case, settings, folder, request))
    if tasks:
        # From here on the folder holds old and new: it is no dataset until all are through.
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
    for outcome in outcomes:
        _tell(outcome, on_remark)
    on_progress(len(outcomes), len(cases))
    try:
        with closing(run_in_processes(_prepare_one, tasks, jobs)) as results:
            for outcome in results:
                outcomes.append(outcome)
                _tell(outcome, on_remark)
                on_progress(len(outcomes), len(cases))
    except KeyboardInterrupt:
        remove_leftovers(folder / SUBJECTS_FOLDER)  # of the processes, which have ended by now
        raise
    except BrokenProcessPool as error:
        raise OutOfMemoryError(
            "A process of the preparation was ended by the system, most likely for want of memory.",
            "Run the same command again with fewer --jobs; what is ready is kept.",
        ) from error
    return outcomes


def _request(case: Case, settings: PreparationSettings) -> tuple[str, Remark | None]:
    """What a subject is made from and how, as text; or why it cannot be."""
    try:
        files = {contrast: scan.state() for contrast, scan in case.scans.items()}
        brain = None if case.brain is None else case.brain.state()
    except InputError as error:
        return "", Remark(case.name, str(error), failed=True)
    return json.dumps([settings.to_json(), files, brain, case.person, case.site]), None


def _prepare_one(case: Case, settings: PreparationSettings, folder: Path, request: str) -> Outcome:
    """Prepare and write one subject; runs in a process of its own."""
    simpleitk().ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # the processes share the cores
    try:
        subject = prepare_subject(case, settings)
    except InputError as error:
        return Outcome(None, Remark(case.name, str(error), failed=True))
    return Outcome(write_subject(folder, subject, request))


def _tell(outcome: Outcome, on_remark: Callable[[Remark], None]) -> None:
    if outcome.remark is not None:
        on_remark(outcome.remark)
    if outcome.record is not None:
        for warning in outcome.record["details"]["warnings"]:
            on_remark(Remark(outcome.record["name"], warning["message"]))


def _draw_worst(rows: Sequence[QualityRow], dataset: SliceDataset, grid: str, path: Path) -> None:
    """A picture of the worst 5 % and of at least four."""
    count = max(math.ceil(_WORST_PART * len(rows)), _FEWEST_ROWS)
    if rows:
        save_mosaic(rows[: min(count, _MOST_ROWS)], dataset.subjects, grid, path)
