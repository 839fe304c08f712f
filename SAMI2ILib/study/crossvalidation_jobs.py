"""The jobs of a leave-one-subject-out comparison: train, measure who was left out, collect.

```
FOLDER/SYSTEM/pretrain/        a run of `sami2i train`, as are the next two; whatever such a run was
FOLDER/SYSTEM/fold-SUBJECT/    started with, it goes on here or is found finished
FOLDER/SYSTEM/all/
FOLDER/jobs/                   what is done, see `jobs`
```
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from SAMI2ILib.about import VERSION
from SAMI2ILib.atomic import make_folder
from SAMI2ILib.data.dataset import SubjectSlices
from SAMI2ILib.errors import CancelledError
from SAMI2ILib.evaluation.measured import MeasuredSystem, measure_system
from SAMI2ILib.evaluation.prepared_pairs import read_prepared_pair
from SAMI2ILib.evaluation.systems import LOOKUP_TABLE, LookupTableSystem, ModelSystem
from SAMI2ILib.inference.device import Device
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.inference.predictor import TorchPredictor
from SAMI2ILib.study.crossvalidation import Cohort, CrossValidation, Training
from SAMI2ILib.study.jobs import Job, JobContext, Plan
from SAMI2ILib.study.training import budget_of, description_of
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.loop import Callbacks
from SAMI2ILib.training.run import run_training
from SAMI2ILib.weights import file_sha256


@dataclass(frozen=True)
class Machine:
    """How the jobs run here.

    Attributes:
        train_on: Gives the device for a training.
        measure_on: Gives the device for a measurement.
        should_stop: Asked before each step of a training.
        on_progress: Told the part of a training that is done.
        notice: Told what the user should read.
    """

    train_on: Callable[[TrainingConfig], Device]
    measure_on: Callable[[], Device]
    should_stop: Callable[[], bool] = lambda: False
    on_progress: Callable[[float], None] = lambda _spent: None
    notice: Callable[[str], None] = lambda _text: None

    def check_not_stopped(self) -> None:
        """Begin no job once the user wants to end.

        Raises:
            CancelledError: So it is.
        """
        if self.should_stop():
            raise CancelledError("Stopped.", "Run the same command again to go on.")


@dataclass(frozen=True)
class Comparison:
    """A leave-one-subject-out comparison in a folder.

    Attributes:
        root: The folder.
        asked: What is compared.
        cohort: On whom.
        trainings: From `plan_trainings`.
    """

    root: Path
    asked: CrossValidation
    cohort: Cohort
    trainings: tuple[Training, ...]

    @property
    def systems(self) -> tuple[str, ...]:
        """The rows of the table."""
        names = tuple(system.name for system in self.asked.system)
        return (*names, LOOKUP_TABLE) if self.asked.lookup_table else names

    def plan(self, machine: Machine) -> Plan:
        """Make the plan: the pretrainings, then each training and who is measured with it."""
        jobs: list[Job] = []
        for training in self.trainings:
            jobs.append(self._training_job(training, machine))
            jobs += [self._measuring_job(training, name, machine) for name in training.tested]
        if self.asked.lookup_table:
            jobs += [self._table_job(subject, machine) for subject in self.cohort.everybody]
        return Plan(self.root, jobs)

    def collect(self, plan: Plan) -> list[MeasuredSystem]:
        """Gather what is measured, of all systems on the subjects that all of them have.

        Returns:
            In the order of `systems`, without those that were not measured at all; empty where no
            subject is common to the others.
        """
        found: dict[str, list[MeasuredSystem]] = {}
        for system in self.systems:
            ids = [self._measuring_id(system, one.name) for one in self.cohort.everybody]
            parts = [MeasuredSystem.from_json(plan.result(i)) for i in ids if plan.is_done(i)]
            if parts:
                found[system] = parts
        tested = [{name for part in parts for name in part.subjects} for parts in found.values()]
        common = set.intersection(*tested) if tested else set()
        if not common:
            return []
        return [self._merge(plan, system, parts, common) for system, parts in found.items()]

    def costs(self, plan: Plan, system: str) -> dict[str, Any]:
        """Budget, steps and time of a system's finished trainings, by the names of folders."""
        return {
            training.name: {"budget": budget_of(training.config), **plan.result(job_id)}
            for training in self.trainings
            for job_id in [self._training_id(training)]
            if training.system == system and plan.is_done(job_id)
        }

    def _training_job(self, training: Training, machine: Machine) -> Job:
        first = self._pretraining_of(training)

        def run(context: JobContext) -> dict[str, Any]:
            machine.check_not_stopped()
            folder = self.root / training.folder
            make_folder(folder)
            done = run_training(
                training.config,
                folder,
                machine.train_on(training.config),
                callbacks=Callbacks(
                    lambda _state, spent: machine.on_progress(spent),
                    machine.notice,
                    lambda: machine.should_stop() or context.should_stop(),
                ),
                start_from=self.root / first.folder if first else None,
            )
            model = done.model_of(self.asked.target)
            state = done.result.state
            return {
                "file": model.name,
                "sha256": file_sha256(model),
                "steps": state.step,
                "seconds": state.seconds,
                "cpu_seconds": state.cpu_seconds,  # 0 for a run of an older version
            }

        return Job(
            id=self._training_id(training),
            title=f"train {training.folder.as_posix()}",
            config=description_of(training.config, training.dataset_ids),
            run=run,
            needs=(self._training_id(first),) if first else (),
        )

    def _measuring_job(self, training: Training, subject: str, machine: Machine) -> Job:
        needed, system = self._training_id(training), training.system

        def run(context: JobContext) -> dict[str, Any]:
            machine.check_not_stopped()
            trained = context.plan.result(needed)
            model = load_model(self.root / training.folder / trained["file"])
            predictor = TorchPredictor(model.network, machine.measure_on())
            parameters = sum(weight.numel() for weight in model.network.parameters())
            facts = {system: {"family": model.spec.family, "parameters": parameters}}
            return measure_system(
                ModelSystem(model, predictor, system),
                [self._subjects[subject]],
                self.asked.source,
                self.asked.target,
                facts=facts,
            ).to_json()

        return Job(
            id=self._measuring_id(system, subject),
            title=f"measure {system} on {subject}",
            config=self._what_is_measured(subject),
            run=run,
            needs=(needed,),
        )

    def _table_job(self, subject: SubjectSlices, machine: Machine) -> Job:
        teachers = self.cohort.teachers(subject)
        source, target = self.asked.source, self.asked.target

        def run(_context: JobContext) -> dict[str, Any]:
            machine.check_not_stopped()
            pairs = (read_prepared_pair(teacher, source, target) for teacher in teachers)
            return measure_system(LookupTableSystem.fit(pairs), [subject], source, target).to_json()

        return Job(
            id=self._measuring_id(LOOKUP_TABLE, subject.name),
            title=f"fit and measure the lookup table for {subject.name}",
            config={
                **self._what_is_measured(subject.name),
                "fitted_on": [teacher.name for teacher in teachers],
            },
            run=run,
        )

    def _pretraining_of(self, training: Training) -> Training | None:
        if training.is_pretraining:
            return None
        found = [t for t in self.trainings if t.is_pretraining and t.system == training.system]
        return found[0] if found else None

    def _what_is_measured(self, subject: str) -> dict[str, Any]:
        """What decides a measurement beside the system; another version measures anew."""
        return {
            "source": self.asked.source,
            "target": self.asked.target,
            "subject": subject,
            "datasets": [dataset.id for dataset in self.cohort.datasets],
            "software": VERSION,
        }

    def _training_id(self, training: Training) -> str:
        return f"{training.system}-{_in_id(training.name)}"

    def _measuring_id(self, system: str, subject: str) -> str:
        return f"{system}-measured-{_in_id(subject)}"

    @cached_property
    def _subjects(self) -> dict[str, SubjectSlices]:
        return {subject.name: subject for subject in self.cohort.everybody}

    def _merge(
        self, plan: Plan, system: str, parts: list[MeasuredSystem], common: set[str]
    ) -> MeasuredSystem:
        """One system from its measurements of single subjects."""
        return MeasuredSystem(
            system,
            {n: one for part in parts for n, one in part.subjects.items() if n in common},
            {n: why for part in parts for n, why in part.not_measured.items()},
            {**parts[0].facts, "trainings": self.costs(plan, system)},
        )


def _in_id(name: str) -> str:
    """A name as a part of a job's id; a plan refuses two subjects that become one."""
    return re.sub(r"[^a-z0-9._-]", "-", name.lower())
