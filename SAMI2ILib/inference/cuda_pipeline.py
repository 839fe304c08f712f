"""Batches to a GPU and back while it computes, and a network's kernels launched as one."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Run = Callable[[Tensor], Tensor]
"""Maps slices (B, C, H, W) on a GPU to (B, 1, H, W) there."""


class CudaPipeline:
    """Sends batches through a network; nobody waits for a transfer.

    Batches travel through page-locked memory on streams of their own: the next one may go up, and
    the last one come down, while the network computes.

    Args:
        run: Called on the current stream.
        device: torch's name of the GPU.
    """

    def __init__(self, run: Run, device: str) -> None:
        self._run = run
        self._device = device
        self._up, self._down = _stream(device), _stream(device)

    def start(self, batch: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Queue a batch.

        Args:
            batch: (B, C, H, W); it may be changed as soon as this returns.

        Returns:
            What waits for the result and gives it: (B, H, W) float32.

        Raises:
            RuntimeError: The GPU's memory does not hold it, or the network failed.
        """
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._up):
            slices = _page_locked(batch).to(self._device, non_blocking=True)
        computing.wait_stream(self._up)
        slices.record_stream(computing)  # its memory is not given away before it was read
        images = self._run(slices)[:, 0].float()
        self._down.wait_stream(computing)
        with torch.cuda.stream(self._down):
            output = _page_locked_like(images)
            output.copy_(images, non_blocking=True)
            is_there = self._down.record_event()
        images.record_stream(self._down)

        def collect() -> NDArray[np.float32]:
            is_there.synchronize()
            result: NDArray[np.float32] = output.numpy()
            return result

        return collect


class CudaGraph:
    """Runs a network by replaying its kernels, once two batches of one shape came in a row.

    For networks so small that launching each kernel takes longer than computing it. The memory of
    one batch stays taken, and batches of another shape run as before.

    Args:
        run: Always the same kernels for the same shape; it must not wait for the GPU.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._last: torch.Size | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._slices = self._images = torch.empty(0)

    def __call__(self, slices: Tensor) -> Tensor:
        """Run (B, C, H, W) to (B, 1, H, W), which no later run changes."""
        graph = self._graph
        if graph is None or slices.shape != self._slices.shape:
            is_new = slices.shape != self._last
            self._last = slices.shape
            if is_new:
                return self._run(slices)
            graph = self._capture(slices)
        self._slices.copy_(slices)
        graph.replay()
        return self._images.clone()

    def _capture(self, slices: Tensor) -> torch.cuda.CUDAGraph:
        self._graph, self._images = None, torch.empty(0)  # gives the memory back first
        self._slices = slices.clone()
        computing, aside = torch.cuda.current_stream(slices.device), _stream(slices.device)
        aside.wait_stream(computing)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(aside):  # makes its GPU the current one, for which a capture waits
            self._run(self._slices)  # libraries set themselves up in the first run on a stream
            with torch.cuda.graph(graph, stream=aside):  # its own stream is one of the first GPU
                self._images = self._run(self._slices)
        computing.wait_stream(aside)
        self._graph = graph
        return graph


def _stream(device: str | torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _page_locked(batch: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(batch)).pin_memory()


def _page_locked_like(images: Tensor) -> Tensor:
    return torch.empty(images.shape, dtype=images.dtype, pin_memory=True)
