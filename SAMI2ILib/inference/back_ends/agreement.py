"""How far a back end may be from the reference, which is torch in float32 on the CPU."""

import copy
import io
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from SAMI2ILib.inference.back_ends.cache import CacheEntry

REQUIRED_DECIBELS = {"fp32": 90.0, "bf16": 45.0, "fp16": 45.0}
"""Least agreement with the reference for each precision, on the check's slice."""


@dataclass(frozen=True)
class Agreement:
    """How close one result is to another.

    Attributes:
        decibels: PSNR at a range of 1; infinite where they are equal, -inf where one has no number.
        worst: Greatest difference of a pixel.
    """

    decibels: float
    worst: float


def compare(output: NDArray[Any], reference: NDArray[Any]) -> Agreement:
    """Compare two results of equal shape in [0, 1]."""
    difference = np.abs(output.astype(np.float64) - reference)
    if not np.isfinite(difference).all():
        return Agreement(-np.inf, np.inf)
    mean_square = float(np.mean(difference**2))
    decibels = -10 * np.log10(mean_square) if mean_square else np.inf
    return Agreement(float(decibels), float(difference.max(initial=0)))


def check_slice(slice_shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Take the middle of the sample head as a network's input, the slice with its neighbors.

    Args:
        slice_shape: (C, H, W) of the network's slices.

    Returns:
        (1, C, H, W) in [0, 1]: cropped, or with zeros around it.
    """
    from SAMI2ILib.assets import asset_path
    from SAMI2ILib.imaging.io import read_volume
    from SAMI2ILib.imaging.normalized import normalize_volume
    from SAMI2ILib.imaging.orientation import reorient

    head = normalize_volume(reorient(read_volume(asset_path("sample", "T1.nii.gz")), "LPS"))
    array = head.volume.array_kji
    result = np.zeros((1, *slice_shape), np.float32)
    channels, *size = slice_shape
    neighbors = array[(np.arange(channels) - channels // 2 + len(array) // 2) % len(array)]
    there, here = zip(
        *(_middle(a, b) for a, b in zip(array.shape[1:], size, strict=True)), strict=True
    )
    result[0, :, *here] = neighbors[:, *there]
    return result


def _middle(length: int, size: int) -> tuple[slice, slice]:
    """The parts that a line and a window in its middle share, counted on each."""
    count = min(length, size)
    first, second = (length - count) // 2, (size - count) // 2
    return slice(first, first + count), slice(second, second + count)


class Reference:
    """The check's slice and what the reference makes of it, kept from run to run.

    Args:
        network: In float32 on the CPU.
        slice_shape: (C, H, W) of its slices.
        weights: `cache.weights_sha256` of the network.
    """

    def __init__(self, network: nn.Module, slice_shape: tuple[int, int, int], weights: str) -> None:
        self.slices = check_slice(slice_shape)
        self._output: NDArray[np.float32] | None = None
        self._network = network
        key = {"weights": weights, "shape": list(slice_shape)}
        self._entry = CacheEntry("reference", key, {"torch": torch.__version__})

    def output(self) -> NDArray[np.float32]:
        """(1, H, W) in [0, 1]."""
        if self._output is None:
            kept = self._entry.read()
            if kept is not None:
                with suppress(ValueError, EOFError):
                    self._output = np.load(io.BytesIO(kept), allow_pickle=False)
        return self.compute() if self._output is None else self._output

    def compute(self) -> NDArray[np.float32]:
        """Compute it anew, whatever is kept."""
        network = self._network
        if any(weights.is_cuda for weights in network.parameters()):
            network = copy.deepcopy(network)  # a back end runs it there, a graph at its addresses
        with torch.inference_mode():
            image = network.cpu()(torch.from_numpy(self.slices))
        self._output = image[:, 0].numpy()
        content = io.BytesIO()
        np.save(content, self._output, allow_pickle=False)
        self._entry.write(content.getvalue())
        return self._output
