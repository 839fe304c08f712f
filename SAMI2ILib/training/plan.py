"""What a run is about to do: data, steps, parameters, memory and time, measured on a few steps."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.crops import load_batches
from SAMI2ILib.training.recipes import recipe_label
from SAMI2ILib.training.schedule import Schedule
from SAMI2ILib.training.selection import Selection
from SAMI2ILib.training.session import Session

MEASURED_STEPS = 10
_LONGEST_MEASUREMENT = 120.0  # seconds; a large network on a CPU takes fewer steps
_SHARE_OF_RUN = 20  # at most this part of a short run's steps are measured before it


@dataclass(frozen=True)
class Measurement:
    """What a few steps took.

    Attributes:
        steps: How many were measured, after one that was not.
        seconds_a_step: Their median.
        memory_bytes: The most that the process, or on a GPU torch, held; None where unknown.
    """

    steps: int
    seconds_a_step: float
    memory_bytes: int | None


def measure_steps(
    session: Session,
    selection: Selection,
    steps: int = MEASURED_STEPS,
    peak_memory: Callable[[], int | None] = lambda: None,
) -> Measurement:
    """Time a few steps.

    Args:
        session: Built for this alone: the steps change it. All processes call this together.
        selection: Who trains.
        steps: At most so many.
        peak_memory: The peak of this process in bytes; on a CUDA device torch is asked instead.
    """
    config, on_gpu = session.config, session.device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(session.device)
    batches = load_batches(config, selection.training, 0, session.world)
    counts = torch.ones(len(config.targets), device=session.device)
    seconds: list[float] = []
    enough = False
    while not enough:
        parts = next(batches)
        start = time.perf_counter()
        session.step(parts, counts, 1.0)
        if on_gpu:
            torch.cuda.synchronize(session.device)
        seconds.append(time.perf_counter() - start)
        late = len(seconds) > 1 and sum(seconds) > _LONGEST_MEASUREMENT
        votes = torch.tensor([float(late)], device=session.device)
        enough = len(seconds) > steps or bool(session.world.sum(votes) > 0)
    memory = torch.cuda.max_memory_allocated(session.device) if on_gpu else peak_memory()
    # the first step allocates and warms up
    return Measurement(len(seconds) - 1, statistics.median(seconds[1:]), memory)


def steps_to_measure(schedule: Schedule, is_dry_run: bool) -> int:
    """How many steps are worth measuring: all ten, but few before a run that is short itself."""
    total = schedule.total_steps
    if is_dry_run or total is None:
        return MEASURED_STEPS
    return min(MEASURED_STEPS, total // _SHARE_OF_RUN)


def describe_plan(
    session: Session, selection: Selection, measurement: Measurement | None, reason: str = ""
) -> list[str]:
    """Write the plan, a line a topic.

    Args:
        session: As it begins.
        selection: Who trains and who validates.
        measurement: What a few steps took; None where none was measured.
        reason: Why none was.
    """
    config = session.config
    schedule = Schedule(config, selection.slices)
    lines = [f"Recipe      {recipe_label(config)}"]
    for source, dataset, pairs in zip(
        config.data, selection.datasets, selection.training, strict=True
    ):
        slices = sum(len(pair) for pair in pairs)
        lines.append(
            f"Data        {source.name}: {len(pairs)} subjects, {slices} slices"
            f" ({', '.join(config.train_parts)}; dataset {dataset.id[:12]})"
        )
    validation = len(selection.validation)
    lines.append(f"Validation  {validation} subjects" if validation else "Validation  none")
    lines.append(f"Steps       {_steps(config, selection, session.world.size)}")
    lines.append(f"Parameters  {_parameters(session)}")
    if measurement is None:
        lines.append(f"Time        not measured: {reason}")
        return lines
    if measurement.memory_bytes is not None:
        where = session.device if session.device.startswith("cuda") else "main memory"
        lines.append(f"Memory      {measurement.memory_bytes / 1e9:.1f} GB of {where}, a process")
    lines.append(f"Time        {_time(schedule, measurement)}")
    return lines


def _steps(config: TrainingConfig, selection: Selection, processes: int) -> str:
    plan = config.optimization
    total = Schedule(config, selection.slices).total_steps
    budget = f"{plan.minutes:g} minutes"
    if plan.cpu_minutes:
        budget = f"{plan.cpu_minutes:g} minutes of the processor"
    if total is not None:
        budget = f"{total} ({total * plan.batch / selection.slices:.3g} epochs)"
    text = f"{budget} of {plan.batch} crops of {plan.crop}x{plan.crop}"
    if processes > 1:
        text += f", shared by {processes} processes"
    return text + (f", {plan.accumulate} micro-batches each" if plan.accumulate > 1 else "")


def _parameters(session: Session) -> str:
    trained = sum(p.numel() for p in session.trained)
    frozen = sum(p.numel() for p in session.network.parameters()) - trained
    text = f"{trained / 1e6:.2f} M trained, {frozen / 1e6:.2f} M frozen"
    if session.opponent is not None:
        heads = sum(p.numel() for p in session.opponent.parameters)
        text += f"; {heads / 1e6:.2f} M of the discriminator"
    return text


def _time(schedule: Schedule, measurement: Measurement) -> str:
    measured = f"{measurement.seconds_a_step:.3g} s a step ({measurement.steps} measured)"
    total = schedule.total_steps
    if total is None:
        return measured
    hours = total * measurement.seconds_a_step / 3600
    estimate = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
    return f"{measured}: about {estimate} without validation"
