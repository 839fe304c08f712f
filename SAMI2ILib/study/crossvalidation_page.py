"""What the page of a leave-one-subject-out comparison says beside its tables."""

import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.about import SOFTWARE_NAME, VERSION
from SAMI2ILib.data.dataset import SliceDataset
from SAMI2ILib.evaluation.measured import MeasuredSystem
from SAMI2ILib.marked_page import insert_between
from SAMI2ILib.study.crossvalidation import PRETRAINING
from SAMI2ILib.study.crossvalidation_jobs import Comparison

BEGIN: Final = "<!-- sami2i crossvalidate: begin -->"
END: Final = "<!-- sami2i crossvalidate: end -->"


def facts_of(comparison: Comparison, measured: Sequence[MeasuredSystem]) -> dict[str, Any]:
    """What was compared, on whom, and what each training cost; the JSON has the rest."""
    asked, cohort = comparison.asked, comparison.cohort
    tested = set(measured[0].subjects)
    missing = [one.name for one in cohort.everybody if one.name not in tested]
    facts: dict[str, Any] = {
        "source": asked.source,
        "target": asked.target,
        "data": "; ".join(_data(dataset) for dataset in cohort.datasets),
        "left out one by one": ", ".join(subject.name for subject in cohort.subjects),
    }
    if cohort.test_only:
        facts["for tests only"] = ", ".join(subject.name for subject in cohort.test_only)
    if missing:
        facts["not yet measured by all systems, or not measurable"] = ", ".join(missing)
    if absent := [name for name in comparison.systems if name not in _names(measured)]:
        facts["systems without any measurement yet"] = ", ".join(absent)
    for system in measured:
        if trainings := system.facts.get("trainings"):
            facts[system.system] = _cost(system.facts, trainings)
        else:
            facts[system.system] = "fitted anew on the training subjects of each fold"
    facts["software"] = f"{SOFTWARE_NAME} {VERSION}"
    return facts


def insert_page(page: str, path: Path) -> str:
    """Put a page between the marks of a file; a file that does not exist becomes the page.

    Raises:
        InputError: The file cannot be read, or has not both marks, in order.
    """
    if path.exists():
        page = re.sub("^#", "##", page, flags=re.MULTILINE)  # below the file's own heading
    return insert_between(path, BEGIN, END, page)


def _data(dataset: SliceDataset) -> str:
    name, terms = (str(dataset.manifest[key]) for key in ("name", "license"))
    return f"{name or dataset.folder.name}, {terms or 'license unknown'}, {dataset.id[:12]}"


def _names(measured: Sequence[MeasuredSystem]) -> list[str]:
    return [system.system for system in measured]


def _cost(facts: Any, trainings: dict[str, Any]) -> str:
    """One line: size, and what was trained for how long."""
    folds = [cost for name, cost in trainings.items() if name != PRETRAINING]
    parts = [f"{facts['parameters'] / 1e6:.2f} M parameters"]
    if PRETRAINING in trainings:
        parts.append(f"pretraining {_times([trainings[PRETRAINING]])}")
    parts.append(f"{len(folds)} trainings on folds, each {_times(folds)}")
    return "; ".join(parts)


def _times(costs: Sequence[dict[str, Any]]) -> str:
    budgets = {", ".join(f"{key} = {value:g}" for key, value in c["budget"].items()) for c in costs}
    steps = statistics.fmean([cost["steps"] for cost in costs])
    minutes = statistics.fmean([cost["seconds"] for cost in costs]) / 60
    text = f"{' or '.join(sorted(budgets))}: {steps:.0f} steps in {minutes:.1f} minutes"
    cpu = [cost["cpu_seconds"] for cost in costs]
    return f"{text}, {statistics.fmean(cpu) / 60:.1f} of the processor" if all(cpu) else text
