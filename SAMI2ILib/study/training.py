"""One training of a study: begun, continued or found finished in its folder, and exported."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import make_folder
from SAMI2ILib.errors import CancelledError
from SAMI2ILib.inference.device import Device
from SAMI2ILib.training.checkpoint import has_checkpoint
from SAMI2ILib.training.config import BUDGET_KEYS, TrainingConfig
from SAMI2ILib.training.export import export_models
from SAMI2ILib.training.loop import Callbacks, train
from SAMI2ILib.training.resume import identity_of
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.starting_weights import find_weights
from SAMI2ILib.weights import file_sha256


@dataclass(frozen=True)
class TrainedModel:
    """What a training left.

    Attributes:
        file: Name of the model file in its folder.
        sha256: Of that file.
        steps: Optimizer steps.
        seconds: Time in training.
        cpu_seconds: Time of the processor in its steps; 0 for a run of an older version.
    """

    file: str
    sha256: str
    steps: int
    seconds: float
    cpu_seconds: float


def run_training(
    config: TrainingConfig,
    target: str,
    folder: Path,
    device: Device,
    *,
    start_from: Path | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[float], None] = lambda _spent: None,
    notice: Callable[[str], None] = lambda _text: None,
) -> TrainedModel:
    """Train to the end of the budget and write the model files.

    A folder in which `sami2i train` has worked with the same configuration goes on; where its
    budget is spent, only the model files are written.

    Args:
        config: Its data sources have folders.
        target: Whose model file is told of.
        folder: Made where it is missing.
        device: Where it runs, and how.
        start_from: Folder of a run whose weights a new one begins with.
        should_stop: Asked before each step.
        on_progress: Told the part of the budget that is spent.
        notice: Told what the user should read.

    Raises:
        CancelledError: It was stopped; the checkpoint is written.
        InputError: The folder holds a run of another configuration, or a subject is not there.
        MissingError: Weights that it starts from are not there.
    """
    make_folder(folder)
    weights, selection = find_weights(config), select_subjects(config)
    result = train(
        config,
        selection,
        folder,
        weights=weights,
        device=device.name,
        dtype=device.dtype,
        callbacks=Callbacks(lambda _state, spent: on_progress(spent), notice, should_stop),
        start_from=None if has_checkpoint(folder) else start_from,
    )
    if not result.state.finished:
        raise CancelledError(
            f"Stopped after step {result.state.step}; the checkpoint is written.",
            "Run the same command again to go on.",
        )
    files = export_models(config, result, selection, weights, folder)
    model = files.models[config.targets.index(target)]
    state = result.state
    return TrainedModel(
        model.name, file_sha256(model), state.step, state.seconds, state.cpu_seconds
    )


def description_of(config: TrainingConfig, dataset_ids: Sequence[str]) -> dict[str, Any]:
    """All that decides what a training gives, as JSON values: recipe, data and budget."""
    identity: dict[str, Any] = json.loads(identity_of(config, {"datasets": list(dataset_ids)}))
    return {**identity, "budget": budget_of(config)}


def budget_of(config: TrainingConfig) -> dict[str, float]:
    """The budget that a configuration has, by its key."""
    budgets = {key: getattr(config.optimization, key) for key in BUDGET_KEYS}
    return {key: value for key, value in budgets.items() if value}
