"""The training loop: L1 in the foreground, step by step, resumable at any checkpoint."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from SAMI2ILib.errors import InputError
from SAMI2ILib.training.checkpoint import load_checkpoint, save_checkpoint
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.crops import Crops, load_batches
from SAMI2ILib.training.log import TrainingLog
from SAMI2ILib.training.losses import foreground_dissimilarity, foreground_l1
from SAMI2ILib.training.networks import JointTranslator, build_network
from SAMI2ILib.training.slices import SliceStack
from SAMI2ILib.training.validation import mean_intensities, validate

_LOG_EVERY = 50  # steps
# What may differ between the start of a run and its resumption: the machine and, so that a run can
# be made longer, the budget.
_MACHINE_KEYS = ("threads", "workers", "bf16", "checkpoint_minutes")
_BUDGET_KEYS = ("steps", "minutes")


@dataclass
class TrainingState:
    """How far a run has come.

    Attributes:
        step: Optimizer steps done.
        seconds: Time spent in training, over all resumptions.
        finished: Whether the budget is spent.
        losses: Mean L1 of each target over the last logged steps.
        validation: Last foreground NRMSE of each target on the validation subjects.
    """

    step: int = 0
    seconds: float = 0.0
    finished: bool = False
    losses: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingSubjects:
    """What a run reads.

    Attributes:
        training: Prepared subjects of each of the configuration's data sources.
        validation: Prepared subjects that are never trained on.
    """

    training: Sequence[Sequence[SliceStack]]
    validation: Sequence[SliceStack] = ()


@dataclass(frozen=True)
class TrainingResult:
    """What a run ends with: the network with the weights to export, and how far it came."""

    network: JointTranslator
    state: TrainingState


def train(
    config: TrainingConfig,
    data: TrainingSubjects,
    folder: Path,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    on_progress: Callable[[TrainingState, float], None] = lambda _state, _fraction: None,
    should_stop: Callable[[], bool] = lambda: False,
    start_from: Path | None = None,
) -> TrainingResult:
    """Train until the budget is spent, or go on where an earlier call stopped.

    Args:
        config: The recipe.
        data: Prepared slices.
        folder: Existing folder for `checkpoint.pt`, `training.csv` and `validation.csv`.
        device: torch's name of it.
        dtype: Of the matrix products; parameters, losses and the optimizer stay float32.
        on_progress: Called now and then with the state and the part of the budget that is spent.
        should_stop: Asked after each step; true ends the call with a checkpoint.
        start_from: Folder of another run of the same network: a new run begins with the weights
            that it would export. Without effect once this run has a checkpoint of its own.

    Returns:
        The network with its averaged weights if `optimization.ema` is set, else its last ones.

    Raises:
        InputError: The folder holds another run, or the loss is no number any more.

    Source:
        SAM-I2I, Eq. 1. Differs: without the adversarial term of Eq. 2 and 3.
    """
    network = build_network(config)
    _set_first_output(network, config, data)
    if start_from is not None:
        _take_weights(start_from, network)
    network.to(device)
    trainable = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=0.0, weight_decay=config.optimization.weight_decay)
    average = _average_of(network, config.optimization.ema)
    state = _resume(folder, config, network, optimizer, average)
    log = TrainingLog(folder, config.targets, state.step)
    sums = torch.zeros(2, len(config.targets), device=device)
    clock, saved_at = _Clock(state.seconds), state.seconds

    batches = load_batches(config, data.training, state.step)
    while not state.finished:
        crops = Crops(*(part.to(device, non_blocking=True) for part in next(batches)))
        _set_rate(optimizer, config, state)
        with torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32):
            prediction = network(crops.source, crops.valid.flatten(2).any(dim=2))
        losses, counts = foreground_l1(prediction, crops)
        loss = losses.sum() / len(config.targets)
        if config.optimization.ssim:
            structure = foreground_dissimilarity(prediction, crops)
            loss = loss + config.optimization.ssim * structure.sum() / len(config.targets)
        if loss.requires_grad:  # else no crop of this batch has any target
            _descend(loss, optimizer, config.optimization.clip)
        if average is not None:
            average.update_parameters(network)

        state.step += 1
        state.seconds = clock.seconds()
        state.finished = _spent(config, state) >= 1
        sums += torch.stack([losses.detach() * (counts > 0), (counts > 0).float()])
        if state.step % _LOG_EVERY == 0 or state.finished:
            state.losses = _means(sums, config.targets, state.step)
            sums.zero_()
            log.losses(state.step, state.seconds, _rate(config, state), state.losses)
            on_progress(state, _spent(config, state))
        stopping = should_stop()
        due = state.seconds - saved_at > 60 * config.checkpoint_minutes
        if due or stopping or state.finished:
            if data.validation and not stopping:
                state.validation = validate(
                    _exported(network, average),
                    data.validation,
                    config.targets,
                    device,
                    dtype,
                    config.context_slices,
                )
                log.validation(state.step, state.seconds, state.validation)
            save_checkpoint(_content(config, network, optimizer, average, state), folder)
            saved_at = state.seconds
            on_progress(state, _spent(config, state))
        if stopping:
            break
    return TrainingResult(_exported(network, average), state)


def load_result(config: TrainingConfig, folder: Path) -> TrainingResult:
    """Read the network of a run's last checkpoint, finished or not.

    Raises:
        InputError: There is no checkpoint, or it is of another configuration.
    """
    network = build_network(config)
    optimizer = torch.optim.AdamW(p for p in network.parameters() if p.requires_grad)
    average = _average_of(network, config.optimization.ema)
    state = _resume(folder, config, network, optimizer, average)
    if state.step == 0:
        raise InputError(f"{folder} holds no checkpoint yet.", "Train first.")
    return TrainingResult(_exported(network, average), state)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer, largest_norm: float) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for group in optimizer.param_groups:
        nn.utils.clip_grad_norm_(group["params"], largest_norm)
    optimizer.step()


class _Clock:
    """Seconds of training, going on from those of earlier calls."""

    def __init__(self, before: float) -> None:
        self._offset = before - time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() + self._offset


def _spent(config: TrainingConfig, state: TrainingState) -> float:
    """Part of the budget that is spent, in [0, 1]."""
    optimization = config.optimization
    if optimization.steps:
        return min(1.0, state.step / optimization.steps)
    return min(1.0, state.seconds / (60 * optimization.minutes))


def _rate(config: TrainingConfig, state: TrainingState) -> float:
    """Learning rate: linear rise during the warm-up, then half a cosine down to zero."""
    optimization = config.optimization
    spent, warm_up = _spent(config, state), optimization.warm_up
    if spent < warm_up:
        # never zero, or a budget counted in minutes would waste its first step
        return optimization.learning_rate * max(spent / warm_up, 0.01)
    cosine = math.cos(math.pi * (spent - warm_up) / (1 - warm_up))
    return optimization.learning_rate * (1 + cosine) / 2


def _set_rate(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, state: TrainingState
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = _rate(config, state)


def _average_of(network: JointTranslator, decay: float) -> AveragedModel | None:
    if decay == 0:
        return None
    mean = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=mean)


def _exported(network: JointTranslator, average: AveragedModel | None) -> JointTranslator:
    if average is None:
        return network
    return cast(JointTranslator, average.module)


def _set_first_output(
    network: JointTranslator, config: TrainingConfig, data: TrainingSubjects
) -> None:
    """Let every decoder begin at the mean intensity of its target."""
    stacks = [stack for source in data.training for stack in source]
    for target, mean in mean_intensities(stacks, config.targets).items():
        network.translator(target).decoder.set_mean_intensity(mean)


def _means(sums: Tensor, targets: Sequence[str], step: int) -> dict[str, float]:
    totals, counts = sums.tolist()
    means = {
        target: total / count
        for target, total, count in zip(targets, totals, counts, strict=True)
        if count
    }
    if not all(math.isfinite(mean) for mean in means.values()):
        raise InputError(
            f"The loss is no finite number any more at step {step}.",
            "Lower optimization.learning_rate and begin anew.",
        )
    return means


def _identity_of(config: TrainingConfig) -> dict[str, Any]:
    """What must not change between two calls of one run, as plain JSON values."""
    table: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    for key in _MACHINE_KEYS:
        del table[key]
    for key in _BUDGET_KEYS:
        del table["optimization"][key]
    for source in table["data"]:
        del source["folder"]
    return table


def _content(
    config: TrainingConfig,
    network: JointTranslator,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None,
    state: TrainingState,
) -> dict[str, Any]:
    return {
        "config": json.dumps(_identity_of(config)),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": None if average is None else average.state_dict(),
        "state": asdict(state),
    }


def _take_weights(folder: Path, network: JointTranslator) -> None:
    content = load_checkpoint(folder)
    if content is None:
        raise InputError(f"{folder} holds no checkpoint to start from.", "Name another run.")
    weights = content["network"]
    if content["average"] is not None:
        # AveragedModel keeps the network under this name, beside a counter.
        prefix = "module."
        weights = {
            name.removeprefix(prefix): value
            for name, value in content["average"].items()
            if name.startswith(prefix)
        }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"The run in {folder} trained another network.",
            "Start from a run with the same encoder, decoder and targets.",
        ) from error


def _resume(
    folder: Path,
    config: TrainingConfig,
    network: JointTranslator,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None,
) -> TrainingState:
    content = load_checkpoint(folder)
    if content is None:
        return TrainingState()
    before, now = json.loads(content["config"]), _identity_of(config)
    # an option that is newer than the checkpoint was at its default then
    if any(now.get(key) != value for key, value in before.items()):
        raise InputError(
            f"{folder} holds a run of another configuration.",
            "Give another output folder, or delete its checkpoint to begin anew.",
        )
    network.load_state_dict(content["network"])
    optimizer.load_state_dict(content["optimizer"])
    if average is not None:
        average.load_state_dict(content["average"])
    state = TrainingState(**content["state"])
    state.finished = _spent(config, state) >= 1
    return state
