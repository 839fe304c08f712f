"""What is done for one cell: the trainer trains it, the evaluation measures it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.errors import InputError
from SAMI2ILib.study.jobs import JobContext
from SAMI2ILib.study.paper import Direction
from SAMI2ILib.study.provenance import hardware, software
from SAMI2ILib.weights.model_file import file_sha256

if TYPE_CHECKING:
    from SAMI2ILib.data.dataset import SliceDataset, SubjectSlices
    from SAMI2ILib.inference.device import Device
    from SAMI2ILib.training.config import TrainingConfig
    from SAMI2ILib.training.distributed import World

PREDICTION_FILE: Final = "prediction.npy"
FEATURES_FILE: Final = "features.npy"


@dataclass(frozen=True)
class Workplace:
    """Where and how the jobs of this process compute, and whom they tell.

    Attributes:
        device: The torch device; None is enough for looking at a plan.
        world: Which process of how many train one model.
        download: Whether missing pre-trained weights may be fetched.
        should_stop: Whether the user has asked for a polite end.
        progress: Told what is done, of how much.
        notice: Told a sentence that the user should read.
    """

    device: "Device | None" = None
    world: "World | None" = None
    download: bool = False
    should_stop: Callable[[], bool] = lambda: False
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None
    notice: Callable[[str], None] = lambda _text: None


def train_cell(
    context: JobContext, config: "TrainingConfig", workplace: Workplace
) -> dict[str, Any]:
    """Train a cell, going on from its last checkpoint, and export its model.

    Args:
        context: Of the job.
        config: With its data's folder.
        workplace: Where it computes.

    Returns:
        The model file with its hash, what it started from and what was done.

    Raises:
        CancelledError: It was stopped; the checkpoint is written.
    """
    from SAMI2ILib.training.distributed import World
    from SAMI2ILib.training.loop import Callbacks
    from SAMI2ILib.training.recipes import recipe_label
    from SAMI2ILib.training.run import run_training

    device, world = _device(workplace), workplace.world or World()
    done = run_training(
        config,
        context.folder,
        device,
        world=world,
        download=workplace.download,
        callbacks=Callbacks(
            progress=lambda _state, spent: workplace.progress("train", round(1000 * spent), 1000),
            notice=workplace.notice,
            should_stop=lambda: workplace.should_stop() or context.should_stop(),
        ),
    )
    if not world.is_main:
        return {}
    model, state = done.model_of(config.targets[0]), done.result.state
    return {
        "model": model.name,
        "sha256": file_sha256(model),
        "starting_weights": done.weights.sha256,
        "recipe": recipe_label(config),
        "parameters": sum(p.numel() for p in done.result.network.parameters()),
        "steps": state.step,
        "seconds": round(state.seconds, 1),
        "subjects": [pair.subject.name for pair in done.selection.training[0]],
        "processes": world.size,
        "software": software(),
        "hardware": hardware(device.description),
    }


def evaluate_cell(
    context: JobContext,
    training: str,
    dataset: Path,
    direction: Direction,
    workplace: Workplace,
) -> dict[str, Any]:
    """Measure a cell's model on the test subjects, and keep what the figures show of it.

    Args:
        context: Of the job.
        training: Id of the job that trained it.
        dataset: Folder of the dataset.
        direction: What it translates.
        workplace: Where it computes.

    Returns:
        Under "measured" what `MeasuredSystem.to_json` gives.

    Raises:
        InputError: No test subject could be measured, or none has both contrasts.
    """
    from SAMI2ILib.data.dataset import open_dataset
    from SAMI2ILib.evaluation.measured import measure_system
    from SAMI2ILib.evaluation.systems import ModelSystem
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.inference.predictor import TorchPredictor

    device = replace(_device(workplace), precision="fp32")  # the reference, as `evaluate` has it
    opened = open_dataset(dataset)
    subjects = subjects_to_test(opened, direction)
    made = context.plan.result(training)
    model = load_model(str(context.plan.folder(training) / made["model"]))
    keeper = _Keeper(ModelSystem(model, TorchPredictor(model.network, device), training))
    measured = measure_system(
        keeper,
        subjects,
        direction.source,
        direction.target,
        # as it was scanned, the air included: what the paper's full field says literally
        keep_background=True,
        on_progress=lambda done, total: workplace.progress("measure", done, total),
    )
    if not measured.subjects:
        reasons = "; ".join(measured.not_measured.values())
        raise InputError(f"No test subject could be measured: {reasons}", "Look at the dataset.")
    shown = shown_slice(subjects[0])
    _save(keeper.first[shown], context.folder / PREDICTION_FILE)
    if model.spec.family == "sam-i2i":
        source = subjects[0].read(direction.source, shown)
        source = np.nan_to_num(source) * subjects[0].foreground(direction.source, shown)
        maps = first_stage(model.network, source, model.spec.preprocessing.context_slices, device)
        _save(feature_colors(maps), context.folder / FEATURES_FILE)
    return {
        "measured": measured.to_json(),
        "model_sha256": model.sha256,
        "shown": {"subject": subjects[0].name, "k": shown},
        "software": software(),
        "hardware": hardware(device.description),
    }


def subjects_to_test(dataset: "SliceDataset", direction: Direction) -> "list[SubjectSlices]":
    """The subjects of the part "test" that have both contrasts, by name.

    Raises:
        InputError: There is none.
    """
    wanted = set(direction)
    found = [one for one in dataset.split("test") if wanted <= set(one.contrasts)]
    if not found:
        raise InputError(
            f"The dataset {dataset.folder} has no test subject with {direction.source} and "
            f"{direction.target}.",
            "Prepare it with a test part: sami2i prepare ... --test 0.2.",
        )
    return found


def shown_slice(subject: "SubjectSlices") -> int:
    """Number k of the slice that the figures show: in the middle of those that are measured."""
    return subject.slices[len(subject.slices) // 2]


def first_stage(
    network: Any, source: NDArray[np.float32], context_slices: int, device: "Device"
) -> NDArray[np.float32]:
    """What the encoder makes of a slice in its first stage, before any projection.

    Args:
        network: A `SamI2I`.
        source: (H, W) in [0, 1].
        context_slices: How many channels the network takes.
        device: Where the network is.

    Returns:
        (C, h, w), the finest map of the trunk; a transformer's is that of its first tapped block.
    """
    import torch

    encoder = network.encoder
    height, width = source.shape
    multiple = encoder.size_multiple
    padded = np.pad(source, ((0, -height % multiple), (0, -width % multiple)))
    slices = torch.from_numpy(np.repeat(padded[None, None], context_slices, axis=1))
    with torch.inference_mode():
        # the trunk alone: behind it a projection would mix the channels
        maps = encoder.trunk_maps(slices.to(device.name).float())
    finest: NDArray[np.float32] = maps[0][0].float().cpu().numpy()
    return finest


def feature_colors(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Show many channels as colors: their first three principal components.

    Args:
        maps: (C, h, w), C of at least 3.

    Returns:
        (h, w, 3): red, green and blue are the components, each from its 1st to its 99th percentile.
        The sign of a component, which has no meaning, makes its largest weight positive.
    """
    channels, height, width = maps.shape
    pixels = maps.reshape(channels, -1).T.astype(np.float64)
    pixels -= pixels.mean(axis=0)
    _, _, axes = np.linalg.svd(pixels.T @ pixels)
    axes = axes[:3]
    signs = np.sign(axes[np.arange(3), np.abs(axes).argmax(axis=1)])
    scores = pixels @ (axes * signs[:, None]).T
    low, high = np.percentile(scores, [1, 99], axis=0)
    scaled = (scores - low) / np.maximum(high - low, np.finfo(np.float64).tiny)
    colors: NDArray[np.uint8] = (255 * scaled.clip(0, 1)).round().astype(np.uint8)
    return colors.reshape(height, width, 3)


@dataclass
class _Keeper:
    """A system that keeps its first prediction, so that figures need no second one."""

    system: Any
    first: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    @property
    def name(self) -> str:
        return str(self.system.name)

    def predict(self, pair: Any) -> NDArray[np.float32]:
        prediction: NDArray[np.float32] = self.system.predict(pair)
        if not self.first.size:
            self.first = np.where(pair.foreground, prediction, np.float32(0))
        return prediction


def _save(array: NDArray[Any], path: Path) -> None:
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _device(workplace: Workplace) -> "Device":
    if workplace.device is None:
        raise TypeError("A workplace without a device can only look at a plan.")
    return workplace.device
