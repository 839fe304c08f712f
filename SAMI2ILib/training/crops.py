"""Random training crops; crop `n` of a run depends on its seed and on `n` only."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from SAMI2ILib.training.augment import cut_crop, vary_source
from SAMI2ILib.training.config import Augmentation, TrainingConfig
from SAMI2ILib.training.slices import SliceStack


class Crops(NamedTuple):
    """Training crops of one subject, or a batch of them with B in front.

    Attributes:
        source: (C, S, S) float32 in [0, 1], 0 outside the foreground; C is 1, or 3 with neighbors.
        targets: (T, S, S) float32 in [0, 1], 0 where `valid` is false.
        valid: (T, S, S) bool: foreground in which the target was measured; false throughout for a
            contrast that the subject lacks.
    """

    source: Tensor
    targets: Tensor
    valid: Tensor


class CropDataset(Dataset[Crops]):
    """An endless supply of crops, indexed by their number in the run.

    Args:
        stacks: The prepared subjects of each data source.
        weights: Share of each source, any positive scale.
        size: Height and width of a crop in pixels.
        augmentation: Random changes.
        seed: Of all of them.
        context: Slices that enter together, 1 or 3.
    """

    def __init__(
        self,
        stacks: Sequence[Sequence[SliceStack]],
        weights: Sequence[float],
        size: int,
        augmentation: Augmentation,
        seed: int,
        context: int = 1,
    ) -> None:
        self._stacks = stacks
        self._weights = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        self._size = size
        self._augmentation = augmentation
        self._seed = seed
        self._context = context

    def __getitem__(self, number: int) -> Crops:
        """Cut crop `number`."""
        rng = np.random.default_rng((self._seed, number))
        stacks = self._stacks[rng.choice(len(self._stacks), p=self._weights)]
        stack = stacks[int(rng.integers(len(stacks)))]
        chosen = int(rng.integers(len(stack)))
        top, bottom, left, right = stack.box(chosen)
        center = (
            _place(top, bottom, self._size, rng),
            _place(left, right, self._size, rng),
        )
        channels = torch.from_numpy(stack.read(chosen))
        if self._context == 3:
            distance = _neighbor_distance(self._augmentation.context, rng)
            neighbors = torch.from_numpy(stack.read_neighbors(chosen, distance))
            channels = torch.cat([neighbors, channels[1:]])
        crop = cut_crop(channels, center, self._size, self._augmentation, rng)

        source, inside = crop[: self._context], crop[self._context] > 0.5
        targets = crop[self._context + 1 :]
        source = vary_source(source, inside, self._augmentation, rng)
        valid = torch.isfinite(targets) & inside
        targets = torch.where(valid, targets, torch.zeros_like(targets))
        return Crops(source, targets, valid)


def _neighbor_distance(probability: float, rng: np.random.Generator) -> int:
    """How far away the neighbors are taken: other slice thicknesses, and volumes of one slice."""
    if rng.random() >= probability:
        return 1
    return 2 * int(rng.integers(2))


def _place(first: float, last: float, size: int, rng: np.random.Generator) -> float:
    """A crop's center along one axis, so that at least five sixths of the crop face the head."""
    margin = min(size / 3, (last - first) / 2)
    return float(rng.uniform(first + margin, last - margin))


class _Numbers(Sampler[int]):
    """The numbers of the crops from one step on, without end."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self) -> Iterator[int]:
        number = self._first
        while True:
            yield number
            number += 1


def load_batches(
    config: TrainingConfig, stacks: Sequence[Sequence[SliceStack]], first_step: int
) -> Iterator[Crops]:
    """Yield the batches of a run from one step on.

    Args:
        config: Sizes, weights, augmentation, seed, workers.
        stacks: The prepared subjects of each of `config.data`.
        first_step: 0, or where an interrupted run goes on: the batches are the same either way.

    Yields:
        `Crops` with (B, C, S, S) sources and (B, T, S, S) targets.
    """
    optimization = config.optimization
    dataset = CropDataset(
        stacks,
        [source.weight for source in config.data],
        optimization.crop,
        config.augmentation,
        config.seed,
        config.context_slices,
    )
    loader = DataLoader(
        dataset,
        batch_size=optimization.batch,
        sampler=_Numbers(first_step * optimization.batch),
        num_workers=config.workers,
        worker_init_fn=_use_one_thread if config.workers else None,
    )
    yield from loader


def _use_one_thread(_worker: int) -> None:
    # Both reach the whole process group; the training itself decides when the workers end.
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
