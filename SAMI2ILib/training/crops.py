"""Training crops; crop `n` of a run depends on its seed and on `n` only."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from SAMI2ILib.data.dataset import PairedSlices, SubjectSlices
from SAMI2ILib.models.diff_augment import DRAWS
from SAMI2ILib.stop_signals import STOP_SIGNALS, ignore
from SAMI2ILib.training.augment import cut_crop, vary_source
from SAMI2ILib.training.brain_scale import BrainScales
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.distributed import World

NEIGHBORS = 3
"""Slices that enter together where a slice comes with its two neighbors."""

DRAWS_A_CROP = 3
"""DiffAugment changes three images a crop: the real one, the fake one, and the fake one again when
the generator learns from it."""


class Crops(NamedTuple):
    """One training crop, or a batch of them with B in front.

    Source and targets are of the same slice, unless the configuration is unpaired.

    Attributes:
        source: (C, S, S) float32 in [0, 1], 0 outside the foreground; C is 1, or 3 with neighbors.
        targets: (T, S, S) float32 in [0, 1], 0 where `valid` is false.
        valid: (T, S, S) bool: where the target was measured, in the foreground or in the whole
            image as the configuration says; false throughout for a contrast that is missing.
        draws: (3, 6) float32 in [0, 1), the random numbers of DiffAugment.
    """

    source: Tensor
    targets: Tensor
    valid: Tensor
    draws: Tensor

    def to(self, device: str) -> "Crops":
        """Copy to a device."""
        return Crops(*(part.to(device, non_blocking=True) for part in self))

    @property
    def has_target(self) -> Tensor:
        """(B, T) bool, which crop has which target at all."""
        return self.valid.flatten(2).any(dim=2)


class CropDataset(Dataset[Crops]):
    """An endless supply of crops, indexed by their number in the run.

    A budget in epochs goes through all slices in a new order each time; otherwise sources are
    drawn by their weights, then a subject, then one of its slices.

    Args:
        config: Sizes, weights, augmentation, seed.
        pairs: The subjects of each of `config.data`.
    """

    def __init__(self, config: TrainingConfig, pairs: Sequence[Sequence[PairedSlices]]) -> None:
        weights = np.array([source.weight for source in config.data])
        self._config = config
        self._pairs = pairs
        self._weights = weights / weights.sum()
        self._index = [
            (pair, slice_number)
            for source in pairs
            for pair in source
            for slice_number in range(len(pair))
        ]
        self._epoch, self._order = -1, np.arange(0)
        self._brain_scales = BrainScales()

    def __getitem__(self, number: int) -> Crops:
        """Cut crop `number`."""
        rng = np.random.default_rng((self._config.seed, number))
        crop = self._crop(*self._choose(number, rng), rng)
        if not self._config.is_unpaired:
            return crop
        rng = np.random.default_rng((self._config.seed, number, 2))
        other = self._crop(*self._draw(rng), rng)
        return crop._replace(targets=other.targets, valid=other.valid)

    def _crop(self, pair: PairedSlices, chosen: int, rng: np.random.Generator) -> Crops:
        item = pair.read(chosen)
        distance = 1
        if pair.context == NEIGHBORS:
            distance = _neighbor_distance(self._config.augmentation.context, rng)
        foreground, wanted = item.foreground, item.targets
        brain = item.brain if self._is_stripped(rng) else None
        if brain is not None and not brain.any():
            brain = None  # below the brain a stripped scan shows nothing
        source = read_source(pair, chosen, distance, brain_only=brain is not None)
        if brain is not None:
            foreground = foreground & brain
            source, wanted = self._on_the_brains_scale(pair, source, wanted)
        channels = np.concatenate([source, foreground[None], wanted])
        crop = self._cut(torch.from_numpy(channels.astype(np.float32)), foreground, rng)

        context = len(source)
        inside, targets = crop[context] > 0.5, crop[context + 1 :]
        varied = vary_source(crop[:context], inside, self._config.augmentation, rng)
        valid = torch.isfinite(targets)
        if self._config.optimization.region == "foreground":
            valid = valid & inside
        targets = torch.where(valid, targets, torch.zeros_like(targets))
        draws = torch.from_numpy(rng.random((DRAWS_A_CROP, DRAWS), dtype=np.float32))
        return Crops(varied, targets, valid, draws)

    def _is_stripped(self, rng: np.random.Generator) -> bool:
        probability = self._config.augmentation.strip
        return probability > 0 and bool(rng.random() < probability)

    def _on_the_brains_scale(
        self, pair: PairedSlices, source: NDArray[np.float32], targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scales, subject = self._brain_scales, pair.subject
        rescaled = [
            scales.rescale(image, subject, target) if target in subject.contrasts else image
            for image, target in zip(targets, pair.targets, strict=True)
        ]
        return scales.rescale(source, subject, pair.source), np.stack(rescaled)

    def _choose(self, number: int, rng: np.random.Generator) -> tuple[PairedSlices, int]:
        if self._config.optimization.epochs:
            epoch, position = divmod(number, len(self._index))
            if epoch != self._epoch:
                shuffle = np.random.default_rng((self._config.seed, epoch, 1))
                self._epoch, self._order = epoch, shuffle.permutation(len(self._index))
            return self._index[int(self._order[position])]
        return self._draw(rng)

    def _draw(self, rng: np.random.Generator) -> tuple[PairedSlices, int]:
        source = self._pairs[rng.choice(len(self._pairs), p=self._weights)]
        pair = source[int(rng.integers(len(source)))]
        return pair, int(rng.integers(len(pair)))

    def _cut(
        self, channels: Tensor, foreground: NDArray[np.bool_], rng: np.random.Generator
    ) -> Tensor:
        size, augmentation = self._config.optimization.crop, self._config.augmentation
        whole = not augmentation.interpolates
        y, x = (_place(np.any(foreground, axis=axis), size, whole, rng) for axis in (1, 0))
        if not whole:
            return cut_crop(channels, (y, x), size, augmentation, rng)
        window = cut_window(channels, (int(y), int(x)), size)
        mirrored = augmentation.flip > 0 and rng.random() < augmentation.flip
        return window.flip(-1) if mirrored else window


def cut_window(channels: Tensor, center_yx: tuple[int, int], size: int) -> Tensor:
    """Cut one square window without interpolation; what lies outside the slice counts as 0.

    Args:
        channels: (C, H, W).
        center_yx: The pixel right below and right of the window's middle.
        size: Height and width of the window, even.

    Returns:
        (C, size, size).
    """
    _, height, width = channels.shape
    window = channels.new_zeros(len(channels), size, size)
    top, left = center_yx[0] - size // 2, center_yx[1] - size // 2
    rows = slice(max(top, 0), min(top + size, height))
    columns = slice(max(left, 0), min(left + size, width))
    part = channels[:, rows, columns]
    y, x = rows.start - top, columns.start - left
    window[:, y : y + part.shape[1], x : x + part.shape[2]] = part
    return window


def read_source(
    pair: PairedSlices, number: int, distance: int = 1, brain_only: bool = False
) -> NDArray[np.float32]:
    """Read what goes into the network, each slice 0 outside its own foreground as at inference.

    Args:
        pair: A subject.
        number: Of its chosen slices.
        distance: How many slices before and after it the neighbors lie, where there are any;
            beyond the ends the outermost slice is repeated.
        brain_only: Set what is outside the brain to 0 too.

    Returns:
        (C, H, W) float32 in [0, 1], C as `pair.context`.
    """
    subject, k = pair.subject, pair.subject.slices[number]
    offsets = [-distance, 0, distance] if pair.context == NEIGHBORS else [0]
    numbers = np.clip([k + offset for offset in offsets], 0, subject.shape_kji[0] - 1).tolist()
    slices = [_read_inside(subject, pair.source, n, brain_only) for n in numbers]
    return np.nan_to_num(np.stack(slices).astype(np.float32), copy=False)


def _read_inside(
    subject: SubjectSlices, contrast: str, k: int, brain_only: bool
) -> NDArray[np.float32]:
    image = subject.read(contrast, k) * subject.foreground(contrast, k)
    brain = subject.brain(k) if brain_only else None
    return image if brain is None else image * brain


def _neighbor_distance(probability: float, rng: np.random.Generator) -> int:
    """How far away the neighbors are taken: other slice thicknesses, and volumes of one slice."""
    if rng.random() >= probability:
        return 1
    return 2 * int(rng.integers(2))


def _place(occupied: NDArray[np.bool_], size: int, whole: bool, rng: np.random.Generator) -> float:
    """A crop's center along one axis: the slice's own, if it is wanted whole and fits.

    Otherwise it is random, so that at least five sixths of the crop face the head.
    """
    if whole and len(occupied) <= size:
        return len(occupied) / 2
    where = np.flatnonzero(occupied)
    first, last = (int(where[0]), int(where[-1]) + 1) if len(where) else (0, len(occupied))
    margin = min(size / 3, (last - first) / 2)
    return float(rng.uniform(first + margin, last - margin))


class _MicroBatches(Sampler[list[int]]):
    """Numbers of the crops of one process, micro-batch by micro-batch, without end."""

    def __init__(self, config: TrainingConfig, world: World, first_step: int) -> None:
        self._config, self._world, self._first = config, world, first_step

    def __iter__(self) -> Iterator[list[int]]:
        step = self._first
        while True:
            yield from micro_batches(self._config, self._world, step)
            step += 1


def micro_batches(config: TrainingConfig, world: World, step: int) -> list[list[int]]:
    """Divide the crops of one step: every process takes its share, in as many micro-batches.

    Args:
        config: With the batch and `accumulate`.
        world: Which process of how many; no more processes than crops in a batch.
        step: Counted from 0.

    Returns:
        The numbers of this process's crops, micro-batch by micro-batch. All processes together
        have each number of the step once, whatever their number.
    """
    batch = config.optimization.batch
    mine = [step * batch + n for n in range(world.rank, batch, world.size)]
    parts = min(config.optimization.accumulate, len(mine))
    return [list(part) for part in (mine[n::parts] for n in range(parts))]


def load_batches(
    config: TrainingConfig,
    pairs: Sequence[Sequence[PairedSlices]],
    first_step: int,
    world: World,
    pin: bool = False,
) -> Iterator[list[Crops]]:
    """Yield what one process computes in each step, from one step on.

    Args:
        config: Sizes, weights, augmentation, seed, workers.
        pairs: The subjects of each of `config.data`.
        first_step: 0, or where an interrupted run goes on: the batches are the same either way.
        world: Which process of how many.
        pin: Whether to read into memory that a CUDA device copies from by itself.

    Yields:
        The micro-batches of a step: `Crops` with (B, C, S, S) sources.
    """
    loader = DataLoader(
        CropDataset(config, pairs),
        batch_sampler=_MicroBatches(config, world, first_step),
        num_workers=config.workers,
        worker_init_fn=_use_one_thread if config.workers else None,
        pin_memory=pin,
    )
    parts, step = iter(loader), first_step
    while True:
        yield [next(parts) for _ in micro_batches(config, world, step)]
        step += 1


def _use_one_thread(_worker: int) -> None:
    # They reach the whole process group; the training itself decides when the workers end.
    ignore(STOP_SIGNALS)
    torch.set_num_threads(1)
