"""Measures a network on whole prepared slices while it trains."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from SAMI2ILib.training.slices import SliceStack

_SLICES_A_SUBJECT = 24
_SLICES_FOR_MEAN = 64
_MULTIPLE = 64  # the network halves a slice until its largest window still fits


def validate(
    network: nn.Module,
    stacks: Sequence[SliceStack],
    targets: Sequence[str],
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    context: int = 1,
) -> dict[str, float]:
    """Foreground NRMSE of each target, the mean over the subjects that have it.

    Args:
        network: Maps (B, C, H, W) to (B, T, H, W).
        stacks: Prepared subjects; some two dozen evenly spaced slices of each are measured.
        targets: Names of the T outputs.
        device: Where the network is.
        dtype: Of the matrix products.
        context: C, slices that enter together: 1 or 3.

    Returns:
        By target; a target that no subject has is left out.
    """
    errors: dict[str, list[float]] = {target: [] for target in targets}
    was_training = network.training
    network.eval()
    for stack in stacks:
        squares = np.zeros((2, len(targets)))
        for number in _evenly(len(stack), _SLICES_A_SUBJECT):
            channels = stack.read(number)
            images = channels[:1] if context == 1 else stack.read_neighbors(number)
            source = torch.from_numpy(_pad(images))[None].to(device)
            with (
                torch.inference_mode(),
                torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32),
            ):
                output = network(source)[0].float().cpu().numpy()
            squares += _squares(output, channels)
        for n, target in enumerate(targets):
            if squares[1, n] > 0:
                errors[target].append(float(np.sqrt(squares[0, n] / squares[1, n])))
    network.train(was_training)
    return {target: float(np.mean(values)) for target, values in errors.items() if values}


def mean_intensities(stacks: Sequence[SliceStack], targets: Sequence[str]) -> dict[str, float]:
    """Mean of each target inside the foreground, from a few slices.

    Args:
        stacks: Prepared subjects.
        targets: Names of the targets in the order of the channels.

    Returns:
        By target, kept off 0 and 1; a target that none of the slices has is left out.
    """
    sums = np.zeros((2, len(targets)))
    for n in _evenly(len(stacks), _SLICES_FOR_MEAN):
        channels = stacks[n].read(len(stacks[n]) // 2)
        measured = np.isfinite(channels[2:]) & (channels[1] > 0.5)
        sums[0] += np.where(measured, channels[2:], 0).sum(axis=(1, 2))
        sums[1] += measured.sum(axis=(1, 2))
    return {
        target: float(np.clip(sums[0, n] / sums[1, n], 0.01, 0.99))
        for n, target in enumerate(targets)
        if sums[1, n] > 0
    }


def _squares(output: NDArray[np.float32], channels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of squares of the errors and of the truth, (2, T)."""
    truth = channels[2:]
    height, width = truth.shape[1:]
    measured = np.isfinite(truth) & (channels[1] > 0.5)
    truth = np.where(measured, truth, 0)
    error = np.where(measured, output[:, :height, :width] - truth, 0)
    return np.stack([(error**2).sum(axis=(1, 2)), (truth**2).sum(axis=(1, 2))])


def _pad(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Extend (C, H, W) with zeros below and to the right to the next size that is allowed."""
    _, height, width = image.shape
    return np.pad(image, ((0, 0), (0, -height % _MULTIPLE), (0, -width % _MULTIPLE)))


def _evenly(count: int, wanted: int) -> list[int]:
    return sorted({int(n) for n in np.linspace(0, count - 1, min(count, wanted))})
