"""A training step of the `paper` recipe, side by side with the loop that one would write first."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from SAMI2ILib.assets import asset_path
from SAMI2ILib.benchmark.head import benchmark_head
from SAMI2ILib.data.dataset_writer import PreparedSubject, write_manifest, write_subject
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.models import attention
from SAMI2ILib.models.clip import (
    CLIP_MEAN,
    CLIP_STD,
    ClipTower,
    import_open_clip,
    pretrained_options,
)
from SAMI2ILib.models.diff_augment import diff_augment
from SAMI2ILib.models.discriminator import Discriminator
from SAMI2ILib.models.trunk import TRUNK_PREFIX, build_sam2_trunk, build_trunk
from SAMI2ILib.training.adversarial import discriminator_loss, generator_loss
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.config_file import parse_config
from SAMI2ILib.training.crops import CropDataset, Crops, load_batches
from SAMI2ILib.training.device import choose_device
from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.loop import open_session
from SAMI2ILib.training.losses import absolute_error
from SAMI2ILib.training.networks import build_network, hiera_of
from SAMI2ILib.training.selection import select_subjects
from SAMI2ILib.training.session import TERMS
from SAMI2ILib.training.starting_weights import StartingWeights, clip_of
from SAMI2ILib.training.validation import mean_intensities

_TRUNK_FILE, _CLIP_FILE, _DATA_FOLDER = "trunk.pt", "clip.pt", "dataset"
_SLICES = 16
_REAL, _FAKE, _FAKE_AGAIN = range(3)  # rows of `Crops.draws`


class Loop(Protocol):
    """A training loop that is measured."""

    precision: str
    batch: int

    def step(self) -> tuple[float, float]:
        """Take one step.

        Returns:
            The L1 loss, which two loops of one recipe share, and the seconds that the step waited
            for its batch.
        """


def trial_config(
    encoder: str, folder: Path, changes: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Make the `paper` recipe for the files of `write_training_files`.

    Args:
        encoder: A trunk size.
        folder: Where the files are, or will be.
        changes: Other tables of the configuration, key by key.
    """
    table: dict[str, Any] = {
        "name": "benchmark",
        "recipe": "paper",
        "data": [{"name": "sample", "folder": str(folder / _DATA_FOLDER)}],
        "encoder": {"variant": encoder, "checkpoint": str(folder / _TRUNK_FILE)},
        "discriminator": {"checkpoint": str(folder / _CLIP_FILE)},
        "tensorboard": False,
    }
    for key, value in (changes or {}).items():
        table[key] = {**table.get(key, {}), **value} if isinstance(value, Mapping) else value
    return parse_config(table)


def write_training_files(
    encoder: str, folder: Path, changes: Mapping[str, Any] | None = None
) -> None:
    """Write random weights of a trunk and of CLIP, and a dataset of the sample head.

    Args:
        encoder: A trunk size.
        folder: Existing.
        changes: As in `trial_config`.
    """
    config = trial_config(encoder, folder, changes)
    torch.manual_seed(config.seed)
    trunk = build_trunk(hiera_of(config)).state_dict()
    named = {TRUNK_PREFIX + name: tensor for name, tensor in trunk.items()}
    torch.save({"model": named}, folder / _TRUNK_FILE)
    whole = import_open_clip().create_model(clip_of(config.discriminator.clip).model)
    torch.save(whole.half().state_dict(), folder / _CLIP_FILE)
    _write_dataset(folder / _DATA_FOLDER)


class TrainerLoop:
    """The trainer as `sami2i train` runs it.

    Args:
        config: From `trial_config`.
    """

    def __init__(self, config: TrainingConfig) -> None:
        device = choose_device(config, "cpu", World())
        self.precision, self.batch = device.precision, config.optimization.batch
        selection = select_subjects(config)
        self._session = open_session(
            config, selection, _weights_of(config), device.name, device.dtype, World()
        )
        self._session.network.train()
        self._session.enter(0, 0.0)
        self._batches = load_batches(config, selection.training, 0, World())

    def step(self) -> tuple[float, float]:
        """Take one step, as `Loop` says."""
        start = time.perf_counter()
        parts = next(self._batches)
        waited = time.perf_counter() - start
        counts = torch.stack([part.has_target.sum(dim=0) for part in parts]).sum(dim=0).float()
        sums = self._session.step(parts, counts, 1.0)
        return float(sums[TERMS.index("l1")].sum() / counts.sum()), waited


class StraightforwardLoop:
    """What one would write first: float32, torch's defaults, one thing after another.

    It uses SAM2's trunk and `open_clip` as they come and torch's own attention everywhere. The
    networks, losses and crops are those of the trainer, so that both compute the same.

    Args:
        config: From `trial_config`.
    """

    precision = "fp32"

    def __init__(self, config: TrainingConfig) -> None:
        attention.PLAIN_ATTENTION_TOKENS = 0
        selection = select_subjects(config)
        # the weights of the trainer's first step
        network = build_network(config, _weights_of(config))
        pairs = [pair for source in selection.training for pair in source]
        network.begin_at(mean_intensities(pairs, config.targets, config.optimization.region))
        self._generator = network.translator(config.targets[0])
        trunk = build_sam2_trunk(hiera_of(config))
        trunk.load_state_dict(self._generator.encoder.trunk.state_dict())
        self._generator.encoder.trunk = trunk.requires_grad_(False).eval()
        self._judge = Discriminator(_clip_as_it_comes(config), config.discriminator.taps)
        plan, judge = config.optimization, config.discriminator
        self._optimizer = torch.optim.Adam(
            self._generator.decoder.parameters(), plan.learning_rate, (0.9, 0.999)
        )
        self._judge_optimizer = torch.optim.Adam(
            self._judge.head_parameters(), judge.learning_rate, (0.5, 0.999)
        )
        self._config, self.batch = config, plan.batch
        crops = CropDataset(config, selection.training)
        self._batches = iter(DataLoader(crops, plan.batch, sampler=range(10**9)))

    def step(self) -> tuple[float, float]:
        """Take one step, as `Loop` says."""
        start = time.perf_counter()
        crops = Crops(*next(self._batches))
        waited = time.perf_counter() - start
        plan, kind = self._config.optimization, self._config.discriminator.loss
        fake = self._generator(crops.source)
        l1 = absolute_error(fake, crops).mean()
        logits = self._judge(self._augment(fake, crops, _FAKE_AGAIN))
        loss = plan.l1 * l1 + plan.adversarial * generator_loss(kind, logits).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()

        self._judge_optimizer.zero_grad()
        real = self._judge(self._augment(crops.targets, crops, _REAL))
        translated = self._judge(self._augment(fake.detach(), crops, _FAKE))
        discriminator_loss(kind, real, translated).mean().backward()  # type: ignore[no-untyped-call]
        self._judge_optimizer.step()
        return float(l1.detach()), waited

    def _augment(self, images: Tensor, crops: Crops, row: int) -> Tensor:
        return diff_augment(images, crops.draws[:, row], self._config.discriminator.augment)


LOOPS: dict[str, Callable[[TrainingConfig], Loop]] = {
    "straightforward": StraightforwardLoop,
    "trainer": TrainerLoop,
}
"""The loops that are compared, by name; the first is what the other is compared with."""


def _weights_of(config: TrainingConfig) -> StartingWeights:
    return StartingWeights(
        encoder=Path(config.encoder.checkpoint),
        discriminator=Path(config.discriminator.checkpoint),
    )


def _clip_as_it_comes(config: TrainingConfig) -> ClipTower:
    """Load CLIP through `open_clip` alone, with torch's own attention in it."""
    clip = clip_of(config.discriminator.clip)
    options = pretrained_options(clip)
    model = import_open_clip().create_model(
        clip.model,
        pretrained=config.discriminator.checkpoint,
        force_quick_gelu=bool(options.get("quick_gelu", False)),
        weights_only=True,
    )
    return ClipTower(model.visual.float(), CLIP_MEAN, CLIP_STD)


def _write_dataset(folder: Path) -> None:
    """Write the sample head's T1 and T2 as a dataset of one subject."""
    head = benchmark_head()
    t2 = resample(read_volume(asset_path("sample", "T2.nii.gz")), head.grid)
    images, foregrounds = {}, {}
    for name, volume in {"T1": head, "T2": t2}.items():
        inside = volume.array_kji > 0
        scale = np.percentile(volume.array_kji[inside], 99.5)
        images[name] = (volume.array_kji / scale).clip(0, 1).astype(np.float32)
        foregrounds[name] = inside
    middle = len(head.array_kji) // 2
    subject = PreparedSubject(
        "sample", images, foregrounds, head.ijk_to_ras,
        range(middle - _SLICES // 2, middle + _SLICES // 2),
    )  # fmt: skip
    record = write_subject(folder, subject, "benchmark")
    write_manifest(
        folder, [record], {"sample": "train"}, contrasts=("T1", "T2"), name="sample head",
        license_text="see the sample's own",
    )  # fmt: skip
