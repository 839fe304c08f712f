"""Simulate many heads into subject folders, in parallel, and go on where an earlier run stopped."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from SAMI2ILib import about
from SAMI2ILib.atomic import atomic_folder, make_folder, remove_leftovers
from SAMI2ILib.data.parallel import run_in_processes
from SAMI2ILib.data.simulation.files import write_int16, write_json
from SAMI2ILib.data.simulation.head import simulate_head
from SAMI2ILib.data.simulation.options import ixi_options, random_options
from SAMI2ILib.data.simulation.sources import AnatomySource
from SAMI2ILib.errors import InputError

VARIATIONS = ("wide", "ixi")
COHORT_FILE = "cohort.json"
_RECORD_FILE = "simulation.json"

# The steps of a subject that need randomness of their own; the order is part of the seed.
_SEEDS = ("choice", "anatomy", "head")


@dataclass(frozen=True)
class CohortPlan:
    """Which heads a cohort has; the same plan gives the same voxels on any number of cores.

    Args:
        count: Number of subjects.
        sources: Heads to start from, taken in turn.
        seed: Seed of the cohort.
        vary: "wide" for as different as clinical scans are, "ixi" for one protocol.
        fixed: Fields of `HeadOptions` that every subject gets, over what is drawn.
        first: Number of the first subject.

    Raises:
        InputError: No subject, no source, an unknown variation, a negative seed.
    """

    count: int
    sources: Sequence[AnatomySource]
    seed: int = 0
    vary: str = "wide"
    fixed: dict[str, Any] = field(default_factory=dict)
    first: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"count must be at least 1, not {self.count}.")
        if self.seed < 0 or self.first < 0:
            raise InputError(f"seed and first must be 0 or more, not {self.seed}, {self.first}.")
        if self.vary not in VARIATIONS:
            raise InputError(f"vary must be one of {', '.join(VARIATIONS)}, not {self.vary!r}.")
        if not self.sources:
            raise InputError("sources is empty: a cohort needs at least one head to start from.")

    def subjects(self) -> list[str]:
        """Folder names of the subjects."""
        return [f"sim-{self.first + n:04d}" for n in range(self.count)]

    def to_json(self) -> dict[str, Any]:
        """Give what decides the voxels, and the software, as JSON values."""
        return {
            "seed": self.seed,
            "vary": self.vary,
            "fixed": self.fixed,
            "sources": [source.name for source in self.sources],
            "software": {"SAMI2ILib": about.VERSION, "numpy": np.__version__},
        }


def simulate_cohort(
    plan: CohortPlan,
    folder: Path,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write `folder/sim-0001/{T1,T2,PD,tissue,brain}.nii.gz` and so on, and `cohort.json`.

    A subject whose files are all there from the same plan is left as it is.

    Args:
        plan: Which heads.
        folder: Where to; made if needed.
        workers: Processes, all cores where None; 1 works in this process.
        on_progress: Called with (subjects done, subjects in all).

    Returns:
        The subjects' folders.

    Raises:
        InputError: The folder holds a cohort of another plan or a damaged one; a source
            cannot be read.
        OutputError: A file cannot be written.
    """
    make_folder(folder)
    remove_leftovers(folder)
    _claim(plan, folder)
    tasks = [(plan, number, folder / name) for number, name in enumerate(plan.subjects())]
    todo = [task for task in tasks if not _is_complete(task[2])]
    done = len(tasks) - len(todo)
    report = on_progress or (lambda _done, _total: None)
    report(done, len(tasks))
    for _ in run_in_processes(_make_subject, todo, workers):
        done += 1
        report(done, len(tasks))
    return [task[2] for task in tasks]


def _make_subject(plan: CohortPlan, number: int, folder: Path) -> Path:
    """Simulate one subject; its folder appears when all its files are there."""
    source = plan.sources[number % len(plan.sources)]
    seeds = np.random.SeedSequence([plan.seed, plan.first + number]).spawn(len(_SEEDS))
    choice, anatomy_seed, head_seed = seeds
    rng = np.random.default_rng(choice)
    options = random_options(rng) if plan.vary == "wide" else ixi_options(rng)
    options = replace(options, **plan.fixed)
    head = simulate_head(source.load(anatomy_seed), head_seed, options)
    with atomic_folder(folder) as staged:
        for name, volume in head.volumes().items():
            write_int16(volume, staged / f"{name}.nii.gz")
        record = {"source": source.name, "options": options.to_json(), "seed": plan.seed}
        write_json(record, staged / _RECORD_FILE)
    return folder


def _is_complete(folder: Path) -> bool:
    """True where the subject is there, False where nothing is.

    Raises:
        InputError: The folder lacks some of its files.
    """
    if not folder.exists():
        return False
    names = [f"{name}.nii.gz" for name in ("T1", "T2", "PD", "tissue", "brain")]
    lacking = [name for name in (*names, _RECORD_FILE) if not (folder / name).is_file()]
    if lacking:
        raise InputError(
            f"{folder} lacks {lacking[0]}: it was changed since it was made.",
            "Remove that folder, or choose an empty one for the cohort.",
        )
    return True


def _claim(plan: CohortPlan, folder: Path) -> None:
    """Write cohort.json, or check that the one that is there is of the same plan."""
    path = folder / COHORT_FILE
    # Through text, so that a tuple equals the list that a file makes of it.
    record = json.loads(json.dumps({**plan.to_json(), "first": plan.first}))
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            changed = [
                key for key in ("seed", "vary", "fixed", "first") if before[key] != record[key]
            ]
            pairs = zip(before["sources"], record["sources"], strict=False)
            changed += [] if all(old == new for old, new in pairs) else ["list of sources"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{path} is not the record of a cohort: {error}.",
                "Choose an empty folder for the cohort.",
            ) from error
        if changed:
            raise InputError(
                f"{folder} holds a cohort made with another {' and '.join(changed)}.",
                "Choose an empty folder, or repeat the options of the first run.",
            )
    write_json({**record, "subjects": plan.subjects()}, path)
