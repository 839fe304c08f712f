"""One training from its configuration to its model files: begun, continued or found finished."""

from dataclasses import dataclass
from pathlib import Path

from SAMI2ILib.errors import CancelledError
from SAMI2ILib.inference.device import Device
from SAMI2ILib.training.checkpoint import has_checkpoint
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.export import ExportedModels, export_models
from SAMI2ILib.training.loop import Callbacks, TrainingResult, train
from SAMI2ILib.training.selection import Selection, select_subjects
from SAMI2ILib.training.starting_weights import StartingWeights, find_weights


@dataclass(frozen=True)
class FinishedRun:
    """What a training read, and what it ended with.

    Attributes:
        config: The recipe.
        weights: What it started from.
        selection: The subjects.
        result: The network, and how far it came.
        files: What was written; None in all processes but the main one.
    """

    config: TrainingConfig
    weights: StartingWeights
    selection: Selection
    result: TrainingResult
    files: ExportedModels | None

    def model_of(self, target: str) -> Path:
        """The model file of a target.

        Raises:
            RuntimeError: This is not the main process, which alone writes them.
        """
        if self.files is None:
            raise RuntimeError("Only the main process of a training writes model files.")
        return self.files.models[self.config.targets.index(target)]


def run_training(
    config: TrainingConfig,
    folder: Path,
    device: Device,
    *,
    world: World | None = None,
    download: bool = False,
    callbacks: Callbacks | None = None,
    start_from: Path | None = None,
) -> FinishedRun:
    """Train to the end of the budget and write the model files.

    A folder in which a run of the same configuration stopped goes on; where its budget is spent,
    only the model files are written.

    Args:
        config: Its data sources have folders.
        folder: Of the run; exists.
        device: Where it runs, and how.
        world: Which process of how many.
        download: Let pre-trained weights that are not on this machine be fetched.
        callbacks: How it speaks with its caller.
        start_from: Folder of a run whose weights a new one begins with.

    Raises:
        CancelledError: It was stopped; the checkpoint is written.
        InputError: The folder holds a run of another configuration, or a subject is not there.
        MissingError: Weights that it starts from are not there.
    """
    world = world or World()
    weights, selection = find_weights_together(config, world, download), select_subjects(config)
    result = train_to_the_end(
        config, selection, weights, folder, device, world, callbacks or Callbacks(), start_from
    )
    files = None
    if world.is_main:
        files = export_models(config, result, selection, weights, folder)
    return FinishedRun(config, weights, selection, result, files)


def find_weights_together(config: TrainingConfig, world: World, download: bool) -> StartingWeights:
    """Find what a run starts from; one process downloads, the others find what it has brought.

    Raises:
        MissingError: It is not there; the message says how to get it or do without.
        NetworkError: The download failed.
    """
    if download and world.is_main:
        find_weights(config, download=True)
    world.wait()
    return find_weights(config)


def train_to_the_end(
    config: TrainingConfig,
    selection: Selection,
    weights: StartingWeights,
    folder: Path,
    device: Device,
    world: World,
    callbacks: Callbacks,
    start_from: Path | None = None,
) -> TrainingResult:
    """As `loop.train`, which a stop ends with a result too.

    Raises:
        CancelledError: It was stopped; the checkpoint is written.
    """
    result = train(
        config,
        selection,
        folder,
        weights=weights,
        world=world,
        device=device.name,
        dtype=device.dtype,
        callbacks=callbacks,
        start_from=None if has_checkpoint(folder) else start_from,
    )
    if not result.state.finished:
        raise CancelledError(
            f"Stopped after step {result.state.step}; the checkpoint is written.",
            "Run the same command again to go on.",
        )
    return result
