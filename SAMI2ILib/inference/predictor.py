"""Runs a network over batches of slices and survives a GPU that is too small.

A `Predictor` is all that `translate` asks of a back end.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from SAMI2ILib.errors import OutOfMemoryError, is_memory_failure
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference.cuda_pipeline import CudaGraph, CudaPipeline
from SAMI2ILib.inference.device import Device, full_float32

MAX_BATCH = 32
# The measured need of one slice is multiplied by this: allocators fragment.
MEMORY_HEADROOM = 1.5


class Predictor(Protocol):
    """Turns a batch of network inputs into a batch of translated slices."""

    @property
    def batch_size(self) -> int:
        """How many slices it takes at a time at most."""

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Translate (B, C, H, W) float32 in [0, 1] to (B, H, W) float32 in [0, 1]."""

    def predict_each(self, batches: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Translate batches one after the other; `predict` of each, in their order."""
        for batch in batches:
            yield self.predict(batch)


@dataclass(frozen=True)
class BackEnd:
    """What runs a network, and how close it was to the reference when it was loaded.

    Attributes:
        name: "torch" or "openvino".
        version: Of that package.
        reason: Why this one, as a clause.
        agreement_db: PSNR to torch in float32 on the CPU at a range of 1, on one slice; None where
            that is what runs.
        worst_pixel: Greatest difference of a pixel there.
    """

    name: str
    version: str
    reason: str
    agreement_db: float | None = None
    worst_pixel: float | None = None

    def to_json(self) -> dict[str, str | float | None]:
        """Give the fields as JSON values; an agreement without any difference is null."""
        decibels = self.agreement_db
        return {
            "name": self.name,
            "version": self.version,
            "reason": self.reason,
            "agreement_db": None
            if decibels is None or not math.isfinite(decibels)
            else round(decibels, 1),
            "worst_pixel": self.worst_pixel,
        }


class PlacedPredictor(Predictor, Protocol):
    """A predictor that says where and by what it runs; `back_ends.make_predictor` makes it."""

    back_end: BackEnd | None

    @property
    def device(self) -> Device:
        """Where it runs now."""

    def return_to_chosen_device(self) -> None:
        """Try a GPU again after its memory ran out."""


class TorchPredictor(Predictor):
    """The network on torch, in the device's precision.

    Args:
        network: Maps (B, C, H, W) to (B, 1, H, W); it is moved to the device and set to eval.
        device: Where and how it runs.
        batch_size: Slices at a time; None measures the first slice and fills the memory that is
            free on a GPU. On a CPU it is 1: larger batches are not faster and need more memory.
        on_notice: Told when memory ran out and what was done about it.
        cuda_graphs: Replay the kernels on a GPU as one; see `CudaGraph`.
    """

    def __init__(
        self,
        network: nn.Module,
        device: Device,
        batch_size: int | None = None,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
        cuda_graphs: bool = False,
    ) -> None:
        self.back_end: BackEnd | None = None
        self._cuda_graphs = cuda_graphs
        self._pipeline: CudaPipeline | None = None
        self._network = network.eval()
        self._chosen = device
        self._asked_batch_size = batch_size
        self._on_notice = on_notice
        self._move_to(device)

    @property
    def batch_size(self) -> int:
        """How many slices it takes at a time at most; grows once the first has been measured."""
        return self._batch_size

    @property
    def device(self) -> Device:
        """Where it runs now: the CPU after a GPU's memory did not hold even one slice."""
        return self._device

    def return_to_chosen_device(self) -> None:
        """Try the GPU again after its memory ran out: for the next volume it may do."""
        if self._device is not self._chosen:
            self._move_to(self._chosen)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Translate a batch, in smaller parts if the memory asks for it.

        Args:
            batch: (B, C, H, W) float32 in [0, 1]; B may exceed `batch_size`.

        Returns:
            (B, H, W) float32 in [0, 1].

        Raises:
            OutOfMemoryError: One slice does not fit, not even on the CPU.
        """
        parts: list[NDArray[np.float32]] = []
        first = 0
        while first < len(batch):
            part = batch[first : first + self._batch_size]
            failure = None
            try:
                parts.append(self._run(part))
            except (MemoryError, RuntimeError) as error:
                failure = _memory_failure(error)
            if failure is not None:
                self._shrink(len(part), failure)
                continue
            first += len(part)
        return np.concatenate(parts)

    def predict_each(self, batches: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """As `Predictor`; a GPU has the next batch before the result of the last is waited for."""
        collect: Callable[[], NDArray[np.float32]] | None = None
        for batch in batches:
            if self._pipeline is None and collect is None:
                yield self.predict(batch)
                continue
            started = self._start(batch)
            if collect is not None:
                yield collect()
            collect = started
        if collect is not None:
            yield collect()

    def _start(self, batch: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Queue a batch on the GPU; one that cannot be queued is translated at once."""
        if self._pipeline is not None and self._measured and len(batch) <= self._batch_size:
            try:
                return self._pipeline.start(batch)
            except (MemoryError, RuntimeError) as error:
                _memory_failure(error)
        result = self.predict(batch)
        return lambda: result

    def _move_to(self, device: Device) -> None:
        self._device = device
        self._pipeline = None
        self._batch_size = self._asked_batch_size or 1
        self._measured = self._asked_batch_size is not None or not device.is_cuda
        failure = None
        try:
            self._network.to(device.name)
            if device.is_cuda:
                if device.precision != "fp32":  # what tensor cores read without a copy
                    self._network.to(memory_format=torch.channels_last)
                self._open_pipeline()
        except RuntimeError as error:
            failure = _memory_failure(error)
        if failure is not None:
            self._shrink(1, failure)

    def _open_pipeline(self) -> None:
        run = CudaGraph(self._infer) if self._cuda_graphs else self._infer
        self._pipeline = CudaPipeline(run, self._device.name)

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._pipeline is None:
            images = self._infer(torch.from_numpy(np.ascontiguousarray(batch)))
            # (B, 1, H, W) -> (B, H, W)
            result: NDArray[np.float32] = images[:, 0].float().numpy()
            return result
        return self._run_and_measure(batch) if not self._measured else self._pipeline.start(batch)()

    def _infer(self, slices: Tensor) -> Tensor:
        kind = "cuda" if self._device.is_cuda else "cpu"
        reduced = self._device.precision != "fp32"
        # A graph must not hold on to weights that autocast has cast for one run.
        keeps = not self._cuda_graphs
        with (
            full_float32() if self._device.is_cuda else contextlib.nullcontext(),
            torch.inference_mode(),
            torch.autocast(kind, self._device.dtype, enabled=reduced, cache_enabled=keeps),
        ):
            images: Tensor = self._network(slices)
        return images

    def _run_and_measure(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run one slice on the GPU and set the batch size from the memory that it took."""
        self._measured = True
        self._run(batch)  # what the first run brings to the device for good is no slice's
        torch.cuda.reset_peak_memory_stats(self._device.name)
        before = torch.cuda.memory_allocated(self._device.name)
        result = self._run(batch)
        per_slice = torch.cuda.max_memory_allocated(self._device.name) - before
        free, _total = torch.cuda.mem_get_info(self._device.name)
        copies = 2 if self._cuda_graphs else 1  # a graph has memory of its own
        self._batch_size = batch_size_for(free, copies * per_slice)
        return result

    def _shrink(self, tried: int, error: Exception) -> None:
        """Halve the batch; from one slice on a GPU go to the CPU; from there give up."""
        if self._device.is_cuda:
            if self._pipeline is not None:
                self._open_pipeline()  # without the memory of a graph
            torch.cuda.empty_cache()
        if tried > 1:
            self._batch_size = tried // 2
            message = f"{tried} slices at a time did not fit into memory; going on with "
            self._on_notice(Notice("memory-batch", message + f"{self._batch_size}."))
            return
        if not self._device.is_cuda:
            raise OutOfMemoryError(
                "One slice does not fit into the computer's memory.",
                "Close other programs, or use a model with a smaller encoder.",
            ) from error
        message = f"{self._device.description} ran out of memory; going on on the CPU, slower."
        self._on_notice(Notice("memory-device", message))
        self._device = Device("cpu", "CPU", "the GPU's memory did not hold one slice", "fp32")
        self._pipeline = None
        self._batch_size = 1
        self._network.to("cpu")
        torch.cuda.empty_cache()  # for the other programs on the GPU


def batch_size_for(free_bytes: int, bytes_per_slice: int) -> int:
    """Say how many slices fit, at least 1 and at most `MAX_BATCH`."""
    fits = int(free_bytes / (MEMORY_HEADROOM * max(bytes_per_slice, 1)))
    return max(1, min(MAX_BATCH, fits))


def _memory_failure(error: Exception) -> Exception:
    """Give an error if memory ran out, and raise any other.

    It comes without its frames, which hold the tensors of the failed run: their memory is there
    again once the `except` is left.
    """
    if not is_memory_failure(error):
        raise error
    return error.with_traceback(None)
