"""The plan of a reproduction: for each cell of the paper's tables a training and a measurement."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.errors import InputError
from SAMI2ILib.study import smoke
from SAMI2ILib.study.cell_jobs import (
    Workplace,
    evaluate_cell,
    shown_slice,
    subjects_to_test,
    train_cell,
)
from SAMI2ILib.study.cells import Budget, Cell, training_table, what_decides
from SAMI2ILib.study.jobs import Job, JobContext, Plan
from SAMI2ILib.study.paper import DIRECTIONS, SYSTEMS, Direction

# Raise it when what is measured or drawn changes: cells are then measured again, not trained.
_EVALUATION_VERSION: Final = 1
_DATA_JOB: Final = "data"
_ENCODERS_JOB: Final = "encoders"
_DATASET_FOLDER: Final = "dataset"


@dataclass(frozen=True)
class Study:
    """What is reproduced.

    Attributes:
        data: Folder of a dataset; None lets the smoke scale make its own.
        directions: Which columns of the tables.
        systems: Which rows, names of `SYSTEMS`.
        seeds: How often each cell is trained, with the seeds 0, 1, ...
        recipe: "paper" or "native", see `cells.training_table`.
        budget: Instead of the recipe's; the smoke scale has one of its own.
        settings: Further keys of every training's configuration, as KEY=VALUE.
        scale: "full", or "smoke" for the whole in miniature.

    Raises:
        InputError: A number or a combination that cannot be.
    """

    data: Path | None = None
    directions: tuple[Direction, ...] = DIRECTIONS
    systems: tuple[str, ...] = tuple(SYSTEMS)
    seeds: int = 1
    recipe: str = "paper"
    budget: Budget | None = None
    settings: tuple[str, ...] = ()
    scale: str = "full"

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"--seeds must be at least 1, not {self.seeds}.")
        if self.data is None and not self.is_smoke:
            raise InputError(
                "There is no dataset to train on.",
                "Pass --data FOLDER of `sami2i prepare ixi`, or try --scale smoke.",
            )
        if self.is_smoke and self.length and self.length.seconds > smoke.LONGEST_SECONDS:
            raise InputError(
                f"The smoke scale trains a cell for at most {smoke.LONGEST_SECONDS:g} seconds.",
                "Give a shorter --budget, or leave it out.",
            )

    @property
    def is_smoke(self) -> bool:
        """Whether its figures mean nothing."""
        return self.scale == "smoke"

    @property
    def length(self) -> Budget | None:
        """How long each cell is trained; None as long as its recipe says."""
        return self.budget or (smoke.DEFAULT_BUDGET if self.is_smoke else None)

    @property
    def cells(self) -> list[Cell]:
        """All trainings; a whole table with one seed comes before the next seed."""
        return [
            Cell(system, direction, seed)
            for seed in range(self.seeds)
            for direction in self.directions
            for system in self.systems
        ]


def training_job(cell: Cell) -> str:
    """Id of the job that trains a cell."""
    return f"train-{cell.id}"


def evaluation_job(cell: Cell) -> str:
    """Id of the job that measures a cell."""
    return f"evaluate-{cell.id}"


def dataset_folder(study: Study, plan: Plan) -> Path:
    """Where the dataset of a study lies; of one that makes its own, once that is done."""
    return study.data if study.data is not None else plan.folder(_DATA_JOB) / _DATASET_FOLDER


def make_plan(study: Study, root: Path, workplace: Workplace | None = None) -> Plan:
    """Lay out the jobs of a study.

    Args:
        study: What is reproduced.
        root: Folder of the jobs; need not exist.
        workplace: Where the jobs of this process compute; None only looks at the plan.

    Raises:
        InputError: The folder is no dataset, it lacks a contrast or a test part, or a key of
            `settings` is wrong.
    """
    workplace = workplace or Workplace()
    jobs: list[Job] = []
    facts: dict[str, Any] = {}
    if study.data is None:
        facts = {"subjects": smoke.SUBJECTS, "size": smoke.SIZE, "spacing_mm": smoke.SPACING_MM}
        jobs.append(Job(_DATA_JOB, "Simulate and prepare heads", facts, smoke.make_dataset))
    else:
        facts = {"dataset": _check_data(study.data, study.directions)}
    if study.is_smoke and any(SYSTEMS[name].family == "sam-i2i" for name in study.systems):
        clips = {name: dict(vision) for name, vision in smoke.CLIPS.items()}
        jobs.append(Job(_ENCODERS_JOB, "Draw random encoders", clips, smoke.make_random_encoders))
    before = tuple(job.id for job in jobs)
    for cell in study.cells:
        jobs += _jobs_of(cell, study, facts, before, workplace)
    return Plan(root, jobs)


def _jobs_of(
    cell: Cell,
    study: Study,
    facts: Mapping[str, Any],
    before: tuple[str, ...],
    workplace: Workplace,
) -> list[Job]:
    """The two jobs of a cell."""
    from SAMI2ILib.training.config_file import parse_config, with_assignments

    table = with_assignments(_table(cell, study), study.settings)
    config = parse_config({**table, "data": [{"name": "ixi"}]})

    def train(context: JobContext) -> Mapping[str, Any]:
        whole = {**table, "data": [_source(study, context.plan)]}
        if study.is_smoke and table["family"] == "sam-i2i":
            whole = smoke.with_random_encoders(whole, context.plan.folder(_ENCODERS_JOB))
        return train_cell(context, parse_config(whole), workplace)

    def evaluate(context: JobContext) -> Mapping[str, Any]:
        if study.is_smoke and table["family"] == "sam-i2i":
            smoke.register_clips(context.plan.folder(_ENCODERS_JOB))
        folder = dataset_folder(study, context.plan)
        return evaluate_cell(context, training_job(cell), folder, cell.direction, workplace)

    needs = before
    if SYSTEMS[cell.system].family != "sam-i2i":
        needs = tuple(need for need in before if need != _ENCODERS_JOB)
    decides = {**facts, "training": what_decides(config)}
    measured = {**facts, "direction": str(cell.direction), "version": _EVALUATION_VERSION}
    trained = training_job(cell)
    return [
        Job(trained, f"Train {cell.title}", decides, train, needs, shared=True),
        Job(evaluation_job(cell), f"Measure {cell.title}", measured, evaluate, (trained,)),
    ]


def _table(cell: Cell, study: Study) -> dict[str, Any]:
    make = smoke.smoke_table if study.is_smoke else training_table
    return make(cell, study.recipe, study.length)


def _source(study: Study, plan: Plan) -> dict[str, Any]:
    return {"name": "ixi", "folder": str(dataset_folder(study, plan))}


def _check_data(folder: Path, directions: tuple[Direction, ...]) -> str:
    """The dataset's id, once it is known to hold all that is asked for."""
    from SAMI2ILib.data.dataset import open_dataset

    dataset = open_dataset(folder)
    for direction in directions:
        dataset.pairs(direction.source, [direction.target], "train", "validation")
        shown_slice(subjects_to_test(dataset, direction)[0])
    return dataset.id
