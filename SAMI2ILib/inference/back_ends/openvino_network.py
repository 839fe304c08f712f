"""The generator compiled by OpenVINO: the coarse part in the device's precision, the fine in fp32.

The graph is built here, operation by operation, from the folded generator; OpenVINO's converter,
and with it its telemetry, is not even imported.
"""

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from SAMI2ILib.errors import MissingError, first_line
from SAMI2ILib.inference.back_ends.cache import CacheEntry
from SAMI2ILib.inference.back_ends.folded import Generator
from SAMI2ILib.inference.back_ends.openvino_operations import OpenVinoOperations
from SAMI2ILib.inference.back_ends.program import run_coarse, run_fine
from SAMI2ILib.inference.back_ends.quiet_openvino import (
    compile_graph,
    import_openvino,
    read_compiled,
)
from SAMI2ILib.inference.device import Device
from SAMI2ILib.inference.predictor import BackEnd, PlacedPredictor

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_INSTALL = "Install it with 'pip install openvino'"


class OpenVinoPredictor(PlacedPredictor):
    """The network on OpenVINO's CPU plugin, slice by slice; see `predictor.Predictor`.

    Args:
        fold: Gives the folded generator; called only where the cache does not have the result.
        weights: `cache.weights_sha256` of its network.
        slice_shape: (C, H, W) of its slices.
        device: The CPU, with the precision of the coarse part: "fp32" or "bf16".

    Raises:
        RuntimeError: OpenVINO cannot compile it.
    """

    def __init__(
        self,
        fold: Callable[[], Generator],
        weights: str,
        slice_shape: tuple[int, int, int],
        device: Device,
    ) -> None:
        self.back_end: BackEnd | None = None
        self._device = device
        generator = cache(fold)
        key = {"weights": weights, "shape": list(slice_shape)}
        coarse = _load_part(
            "coarse", key | {"precision": device.precision}, device, lambda: _coarse(generator())
        )
        fine = _load_part("fine", key, _in_float32(device), lambda: _fine(generator()))
        self._coarse, self._fine = coarse.create_infer_request(), fine.create_infer_request()
        self._slices = np.zeros((1, *slice_shape), np.float32)
        for number in range(2):
            maps = self._coarse.get_output_tensor(number)
            self._fine.set_tensor(fine.input(("coarse", "fine")[number]), maps)
        for request, network in ((self._coarse, coarse), (self._fine, fine)):
            if any("slices" in port.names for port in network.inputs):
                request.set_tensor(network.input("slices"), _shared(self._slices))

    @property
    def device(self) -> Device:
        """The CPU."""
        return self._device

    @property
    def batch_size(self) -> int:
        """One: larger batches are not faster on a CPU and need more memory."""
        return 1

    def return_to_chosen_device(self) -> None:
        """Nothing to do: it never leaves the CPU."""

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Translate (B, C, H, W) float32 in [0, 1] to (B, H, W) float32 in [0, 1]."""
        result = np.empty((len(batch), *batch.shape[2:]), np.float32)
        for number, slices in enumerate(batch):
            self._slices[0] = slices
            self._coarse.infer()
            self._fine.infer()
            result[number] = self._fine.get_output_tensor(0).data[0, 0]
        return result


def openvino_trouble() -> MissingError | None:
    """Say why OpenVINO cannot be used; None where it can.

    What the loader says is in the hint alone: it may name folders, and records keep the message.
    """
    try:
        devices = import_openvino().Core().available_devices
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "openvino":
            return MissingError("OpenVINO is not installed.", f"{_INSTALL}.")
        return MissingError("OpenVINO does not load.", f"{_INSTALL} again: {first_line(error)}.")
    return None if "CPU" in devices else MissingError("OpenVINO does not know this CPU.")


def openvino_version() -> str:
    """The version with its build: compiled models of another build are not read."""
    return str(import_openvino().get_version())


def _load_part(name: str, key: dict[str, Any], device: Device, build: Callable[[], Any]) -> Any:
    """Read a compiled part from the cache, or build, compile and keep it."""
    config = {
        "INFERENCE_PRECISION_HINT": _HINTS[device.precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        # Two processes on one machine would be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    entry = CacheEntry(f"openvino-{name}", key, {"openvino": openvino_version()})
    kept = entry.read()
    if kept is not None:
        try:
            return read_compiled(kept, config)
        except RuntimeError:  # whole, but for another CPU or plugin
            pass
    compiled = compile_graph(build(), config)
    content = io.BytesIO()
    compiled.export_model(content)
    entry.write(content.getvalue())
    return compiled


def _coarse(generator: Generator) -> Any:
    slices = _input("slices", (1, *generator.slice_shape))
    outputs = run_coarse(OpenVinoOperations(), generator, slices)
    return import_openvino().Model(list(outputs), [slices], "coarse")


def _fine(generator: Generator) -> Any:
    height, width = generator.map_size(0)
    coarse, fine = len(generator.fusions[-2].high.bias), generator.place.shape[-1]
    inputs = [
        _input("slices", (1, *generator.slice_shape)),
        _input("coarse", (height // 2 * (width // 2), coarse)),
        _input("fine", (height * width, fine)),
    ]
    output = run_fine(OpenVinoOperations(), generator, *inputs)
    used = inputs if generator.detail is not None else inputs[1:]
    return import_openvino().Model([output], used, "fine")


def _input(name: str, shape: tuple[int, ...]) -> Any:
    node = import_openvino().opset13.parameter(list(shape), np.float32, name=name)
    node.output(0).set_names({name})
    return node


def _shared(array: NDArray[np.float32]) -> Any:
    return import_openvino().Tensor(array, shared_memory=True)


def _in_float32(device: Device) -> Device:
    return Device(device.name, device.description, device.reason, "fp32")
