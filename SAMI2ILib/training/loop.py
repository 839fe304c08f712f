"""The training loop, from the first step or from a checkpoint to the exported weights."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from SAMI2ILib.atomic import remove_leftovers
from SAMI2ILib.errors import InputError
from SAMI2ILib.training.checkpoint import (
    BEST_NAME,
    discard_damaged,
    load_checkpoint,
    read_checkpoint,
    save_best,
    save_checkpoint,
)
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.crops import Crops, load_batches
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.log import TrainingLog, open_tensorboard
from SAMI2ILib.training.resume import facts_of, identity_of, resume, start_with
from SAMI2ILib.training.samples import draw_samples
from SAMI2ILib.training.schedule import Measures, Schedule, TrainingState
from SAMI2ILib.training.selection import Selection
from SAMI2ILib.training.session import TERMS, Network, Session
from SAMI2ILib.training.starting_weights import StartingWeights, find_weights
from SAMI2ILib.training.validation import mean_intensities, validate


@dataclass(frozen=True)
class TrainingResult:
    """What a run ends with: the network with the weights to export, and how far it came."""

    network: Network
    state: TrainingState


@dataclass(frozen=True)
class Callbacks:
    """How a run speaks with its caller.

    Attributes:
        progress: Called now and then with the state and the part of the budget that is spent.
        notice: Called with a sentence that the user should read.
        should_stop: Asked before each step; after a true answer the step is done, a checkpoint is
            written and the run ends.
    """

    progress: Callable[[TrainingState, float], None] = lambda _state, _spent: None
    notice: Callable[[str], None] = lambda _text: None
    should_stop: Callable[[], bool] = lambda: False


def train(
    config: TrainingConfig,
    selection: Selection,
    folder: Path,
    *,
    weights: StartingWeights | None = None,
    world: World | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    callbacks: Callbacks | None = None,
    start_from: Path | None = None,
) -> TrainingResult:
    """Train until the budget is spent, or go on where an earlier call stopped.

    Args:
        config: The recipe.
        selection: Who trains and who validates.
        folder: Existing folder for checkpoints, tables and pictures.
        weights: Files that the run starts from; looked up when None.
        world: Which process of how many; all of them call this together.
        device: torch's name of it.
        dtype: Of the matrix products; parameters, losses and the optimizer stay float32.
        callbacks: How it speaks; silent when None.
        start_from: Folder of another run of the same network: a new run begins with the weights
            that it would export. Without effect once this run has a checkpoint of its own.

    Returns:
        The network with the weights that `optimization.export` and `optimization.ema` ask for.

    Raises:
        InputError: The folder holds another run, or the loss is no number any more.
        MissingError: Weights that it starts from are not there.

    Source:
        SAM-I2I, Eq. 1 to 3.
    """
    world, calls = world or World(), callbacks or Callbacks()
    weights = weights or find_weights(config)
    session = open_session(config, selection, weights, device, dtype, world)
    if start_from is not None:
        start_with(session, start_from)
    identity = identity_of(config, facts_of(selection, weights))
    state, sums = _go_on(session, identity, folder, calls.notice)
    schedule = Schedule(config, selection.slices)
    session.enter(state.step, schedule.spent(state))
    state.finished = schedule.is_over(state)
    log = _open_log(session, folder, state, calls.notice)
    clock, saved_at = _Clock(state, world), state.seconds
    batches = load_batches(config, selection.training, state.step, world, device.startswith("cuda"))

    while not state.finished:
        parts = next(batches)
        counts, stopping = _agree(session, parts, calls.should_stop(), clock, state)
        session.enter(state.step, schedule.spent(state))
        factor = schedule.rate_factor(state)
        sums[:-1] += session.step(parts, counts, factor)
        sums[-1] += counts if world.is_main else 0

        state.step += 1
        state.finished = schedule.is_over(state)
        if state.step % config.log_every == 0 or state.finished:
            state.losses = _means(world.sum(sums), session, state.step)
            sums.zero_()
            if log is not None:
                log.losses(state, factor * config.optimization.learning_rate)
            calls.progress(state, schedule.spent(state))

        due = state.seconds - saved_at > 60 * config.checkpoint_minutes
        looks = schedule.validation_due(state, due)
        if looks or due or stopping:
            session.average_statistics()
        if looks:
            with clock.without_cpu_time(), session.exported_weights():
                _look(session, selection, schedule, state, folder, log)
        if due or stopping or state.finished:
            _save(session, identity, state, sums, folder)
            saved_at = state.seconds
            calls.progress(state, schedule.spent(state))
        if stopping:
            break

    if log is not None:
        log.close()
    return TrainingResult(_exported(session, state, folder), state)


def open_session(
    config: TrainingConfig,
    selection: Selection,
    weights: StartingWeights,
    device: str,
    dtype: torch.dtype,
    world: World,
) -> Session:
    """Build a session; the decoders of SAM-I2I begin at the mean intensities of their targets.

    Raises:
        InputError: There are more processes than a batch has crops.
    """
    if world.size > config.optimization.batch:
        raise InputError(
            f"{world.size} processes cannot share a batch of {config.optimization.batch}.",
            "Start fewer processes, or raise optimization.batch.",
        )
    session = Session(config, weights, device, dtype, world)
    pairs = [pair for source in selection.training for pair in source]
    means = mean_intensities(pairs, config.targets, config.optimization.region)
    session.network.begin_at(means)
    return session


def load_result(
    config: TrainingConfig,
    selection: Selection,
    folder: Path,
    weights: StartingWeights | None = None,
) -> TrainingResult:
    """Read the network of a run's last checkpoint, finished or not.

    Raises:
        InputError: There is no checkpoint, or it is of another configuration.
    """
    weights = weights or find_weights(config)
    session = Session(config, weights)
    content, _ = load_checkpoint(folder)
    if content is None:
        raise InputError(f"{folder} holds no checkpoint yet.", "Train first.")
    identity = identity_of(config, facts_of(selection, weights))
    state, _ = resume(session, content, identity, folder)
    session.enter(state.step, Schedule(config, selection.slices).spent(state))
    return TrainingResult(_exported(session, state, folder), state)


class _Clock:
    """Seconds of training and of the processor, going on from those of earlier calls."""

    def __init__(self, before: TrainingState, world: World) -> None:
        self._offset = before.seconds - time.monotonic()
        # the processes add up theirs, and one of them those of earlier calls
        self._cpu_offset = (before.cpu_seconds if world.is_main else 0) - time.process_time()

    def seconds(self) -> float:
        return time.monotonic() + self._offset

    def cpu_seconds(self) -> float:
        return time.process_time() + self._cpu_offset

    @contextlib.contextmanager
    def without_cpu_time(self) -> Iterator[None]:
        """Leave what is done inside out of the time of the processor."""
        began = time.process_time()
        yield
        self._cpu_offset -= time.process_time() - began


def _go_on(
    session: Session, identity: str, folder: Path, notice: Callable[[str], None]
) -> tuple[TrainingState, Tensor]:
    """Bring the session to the newest checkpoint that is whole."""
    content, damage = load_checkpoint(folder)
    state, sums = resume(session, content, identity, folder)
    world = session.world
    steps = world.sum(torch.tensor([state.step], device=session.device))
    if int(steps) != state.step * world.size:
        raise InputError(
            f"The processes do not see the same checkpoint in {folder}.",
            "Give a folder that all machines share.",
        )
    if world.is_main:
        remove_leftovers(folder)
        if damage:
            notice(damage)
            discard_damaged(folder)
    else:
        sums.zero_()
    return state, sums


def _open_log(
    session: Session, folder: Path, state: TrainingState, notice: Callable[[str], None]
) -> TrainingLog | None:
    if not session.world.is_main:
        return None
    writer = None
    if session.config.tensorboard:
        writer = open_tensorboard(folder, state.step)
        if writer is None:
            notice("TensorBoard is not installed; the tables and pictures are written without it.")
    return TrainingLog(folder, session.config.targets, session.terms, state.step, writer)


def _agree(
    session: Session,
    parts: Sequence[Crops],
    wants_to_stop: bool,
    clock: _Clock,
    state: TrainingState,
) -> tuple[Tensor, bool]:
    """Tell all processes in one message how many crops have each target, and whether to stop.

    The state gets the seconds on the clock of the main process, and the time of all processors.

    Returns:
        The (T,) counts over all processes, and whether any of them wants to stop.
    """
    counts = torch.stack([part.has_target.sum(dim=0) for part in parts]).sum(dim=0)
    times = [clock.seconds() if session.world.is_main else 0.0, clock.cpu_seconds()]
    said = torch.tensor([*counts.tolist(), wants_to_stop, *times], dtype=torch.float64)
    heard = session.world.sum(said.to(session.device))
    state.seconds, state.cpu_seconds = heard[-2:].tolist()
    return heard[:-3].float(), bool(heard[-3] > 0)


def _look(
    session: Session,
    selection: Selection,
    schedule: Schedule,
    state: TrainingState,
    folder: Path,
    log: TrainingLog | None,
) -> None:
    """Measure the network as it would be exported now, draw it, keep it if it is the best.

    The run is finished here if its patience is at an end.
    """
    config = session.config
    if selection.validation:
        is_best = schedule.take_in(state, validate(session, selection.validation))
        state.finished = schedule.is_over(state)
        if log is not None:
            log.validation(state)
            if is_best:
                save_best({"network": session.trained_weights(), "step": state.step}, folder)
    if log is not None and config.sample_images:
        shown = selection.validation or [pair for source in selection.training for pair in source]
        log.samples(state, draw_samples(session, shown, config.sample_images))


def _save(
    session: Session, identity: str, state: TrainingState, sums: Tensor, folder: Path
) -> None:
    """Write a checkpoint; what the others have summed up goes to the main process."""
    session.world.sum(sums)
    if session.world.is_main:
        content = {**session.content(), "state": asdict(state), "sums": sums, "identity": identity}
        save_checkpoint(content, folder)
    else:
        sums.zero_()


def _means(sums: Tensor, session: Session, step: int) -> Measures:
    """Means of each term since the last time, by target, from (len(TERMS) + 1, T) sums."""
    means: Measures = {}
    for n, target in enumerate(session.config.targets):
        *totals, count = sums[:, n].tolist()
        if count:
            means[target] = {
                term: total / count
                for term, total in zip(TERMS, totals, strict=True)
                if term in session.terms
            }
    if not all(math.isfinite(v) for of_target in means.values() for v in of_target.values()):
        raise InputError(
            f"The loss is no finite number any more at step {step}.",
            "Lower optimization.learning_rate and begin anew.",
        )
    return means


def _exported(session: Session, state: TrainingState, folder: Path) -> Network:
    """The network with the weights that the configuration wants to keep."""
    if session.config.optimization.export == "best" and state.best_step:
        session.load_weights(read_checkpoint(folder / BEST_NAME)["network"])
    elif session.average is not None:
        session.average.copy_to_network()
    return session.network
