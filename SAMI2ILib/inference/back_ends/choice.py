"""Chooses a back end for a network, and lets none work that differs from the reference."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import nn

from SAMI2ILib.errors import InputError, ModelError, Sami2iError, first_line
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference.back_ends.agreement import (
    REQUIRED_DECIBELS,
    Agreement,
    Reference,
    compare,
)
from SAMI2ILib.inference.back_ends.cache import weights_sha256
from SAMI2ILib.inference.back_ends.folded import Generator, can_be_folded, fold_generator
from SAMI2ILib.inference.back_ends.openvino_network import (
    OpenVinoPredictor,
    openvino_trouble,
    openvino_version,
)
from SAMI2ILib.inference.back_ends.torch_operations import FoldedNetwork
from SAMI2ILib.inference.device import (
    Device,
    cpu_multiplies_faster_in_bf16,
    select_device,
)
from SAMI2ILib.inference.predictor import BackEnd, PlacedPredictor, TorchPredictor
from SAMI2ILib.models.decoder import TRUNK_STRIDE
from SAMI2ILib.models.sam_i2i import SamI2I

BACK_ENDS = ("auto", "torch", "openvino")

SMALLEST_MAP = 64
"""Side of the finest map in tokens. OpenVINO 2026.4 crashes while it compiles attention over a
coarsest map of 3x2; maps of 8x8 and more are what models have, and are tested."""

_FASTEST = "it is the fastest on a CPU"

OnNotice = Callable[[Notice], None]


def select_inference_device(
    request: str = "auto", precision: str = "auto", back_end: str = "auto"
) -> Device:
    """Choose a device as `select_device` does, and "auto" precision for the back end to come.

    Args:
        request: As in `select_device`.
        precision: "auto" on a CPU is bf16 where it has the instructions and OpenVINO, whose
            kernels gain from them everywhere, or torch's products are measured to gain.
        back_end: As in `make_predictor`.

    Raises:
        InputError: As `select_device`.
        MissingError: As `select_device`.
    """
    device = select_device(request, precision)
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    if precision != "auto" or device.is_cuda or not has_bf16():
        return device
    for_openvino = back_end != "torch" and openvino_trouble() is None
    gains = for_openvino or cpu_multiplies_faster_in_bf16()
    return replace(device, precision="bf16") if gains else device


def expected_back_end(device: Device) -> tuple[str, str]:
    """Say which back end a SAM-I2I model with a Hiera encoder is tried on first, without one.

    Args:
        device: From `select_inference_device`.

    Returns:
        Name and reason, as `make_predictor` gives them unless the model's own check fails.
    """
    obstacle = _device_obstacle(device) or openvino_trouble()
    if obstacle is not None:
        return "torch", _as_clause(obstacle)
    return "openvino", _FASTEST


def make_predictor(
    network: nn.Module,
    device: Device,
    slice_shape: tuple[int, int, int],
    back_end: str = "auto",
    batch_size: int | None = None,
    on_notice: OnNotice = lambda _notice: None,
    cuda_graphs: bool = False,
) -> PlacedPredictor:
    """Choose a back end, check it against the reference on one slice, and fall back if it fails.

    Args:
        network: In evaluation mode, float32, on the CPU.
        device: From `select_device`.
        slice_shape: (C, H, W) of the network's slices.
        back_end: "auto" is OpenVINO on a CPU if it is installed and knows the network, torch
            otherwise. One asked for by name is never replaced by another.
        batch_size: As in `TorchPredictor`.
        on_notice: Told when a back end is not used because it differs from the reference.
        cuda_graphs: As in `TorchPredictor`; a GPU's alone.

    Returns:
        The predictor. Its results are within `REQUIRED_DECIBELS` of float32 on the check's slice.

    Raises:
        InputError: No such back end, or it does not run this network or on this device.
        MissingError: The back end that was asked for is not installed.
        ModelError: The back end that was asked for differs too much, or computes no number.
        OutOfMemoryError: One slice does not fit into memory.
    """
    if back_end not in BACK_ENDS:
        raise InputError(
            f"back end must be one of {', '.join(BACK_ENDS)}, not {back_end!r}.",
            "Leave it out for the fastest that works here.",
        )
    if cuda_graphs and not device.is_cuda:
        raise InputError(
            f"CUDA graphs need a CUDA device, but the device is {device.name}.",
            "Leave --cuda-graphs out.",
        )
    choice = _Choice(network, device, slice_shape, batch_size, on_notice, cuda_graphs)
    obstacle = _openvino_obstacle(network, device, slice_shape) if back_end != "torch" else None
    if back_end == "openvino" and obstacle is not None:
        raise obstacle
    reason = "it was asked for"
    if back_end == "auto" and obstacle is None:
        reason = _FASTEST
    if back_end != "torch" and obstacle is None:
        predictor = choice.first_that_agrees(choice.openvino, "openvino", reason)
        if predictor is not None:
            return predictor
        if back_end == "openvino":
            raise ModelError(
                "OpenVINO does not compute what the reference does with this model here.",
                "Leave --backend out.",
            )
        reason = "OpenVINO did not agree with the reference"
    elif obstacle is not None:
        reason = _as_clause(obstacle)
    return choice.first_that_agrees(choice.torch, "torch", reason) or choice.reference(reason)


def _openvino_obstacle(
    network: nn.Module, device: Device, slice_shape: tuple[int, int, int]
) -> Sami2iError | None:
    """Say why OpenVINO is no choice; None where it is one."""
    return _device_obstacle(device) or _network_obstacle(network, slice_shape) or openvino_trouble()


def _device_obstacle(device: Device) -> Sami2iError | None:
    if device.is_cuda:
        return InputError("OpenVINO is for the CPU here.", "Use --device cpu, or --backend torch.")
    return None


def _network_obstacle(network: nn.Module, slice_shape: tuple[int, int, int]) -> Sami2iError | None:
    if not can_be_folded(network) or not isinstance(network, SamI2I):
        return InputError(
            "OpenVINO runs only SAM-I2I with a Hiera encoder.", "Leave --backend out."
        )
    smallest = SMALLEST_MAP // network.encoder.upscale * TRUNK_STRIDE
    if min(slice_shape[1:]) < smallest:
        return InputError(
            f"OpenVINO runs this model only on slices of at least {smallest}x{smallest} pixels.",
            "Leave --backend out.",
        )
    return None


def _as_clause(error: Sami2iError) -> str:
    return error.message.rstrip(".")


@dataclass(frozen=True)
class _Choice:
    """What the candidates have in common."""

    network: nn.Module
    device: Device
    slice_shape: tuple[int, int, int]
    batch_size: int | None
    on_notice: OnNotice
    cuda_graphs: bool

    @cached_property
    def weights(self) -> str:
        return weights_sha256(self.network)

    @cached_property
    def expected(self) -> Reference:
        return Reference(self.network, self.slice_shape, self.weights)

    @cached_property
    def generator(self) -> Generator:
        return fold_generator(self.network, self.slice_shape)

    def openvino(self, device: Device) -> PlacedPredictor:
        return OpenVinoPredictor(lambda: self.generator, self.weights, self.slice_shape, device)

    def torch(self, device: Device) -> PlacedPredictor:
        folds = can_be_folded(self.network)
        network = FoldedNetwork(self.generator) if folds else self.network
        return TorchPredictor(network, device, self.batch_size, self.on_notice, self.cuda_graphs)

    def reference(self, reason: str) -> PlacedPredictor:
        device = replace(self.device, precision="fp32")
        predictor = TorchPredictor(self.network, device, self.batch_size, self.on_notice)
        predictor.back_end = BackEnd("torch", torch.__version__, reason)
        return predictor

    def first_that_agrees(
        self, make: Callable[[Device], PlacedPredictor], name: str, reason: str
    ) -> PlacedPredictor | None:
        """Make a back end in the precision asked for, or else in float32; None where both fail."""
        if name == "torch" and self._is_reference:
            return None
        version = openvino_version() if name == "openvino" else torch.__version__
        for precision in dict.fromkeys((self.device.precision, "fp32")):
            try:
                self.expected.output()  # before the network may be moved to a GPU
                predictor = make(replace(self.device, precision=precision))
                agreement = self._check(predictor)
            except (RuntimeError, InputError) as error:
                problem = f"failed ({first_line(error)})"
            else:
                if agreement.decibels >= REQUIRED_DECIBELS[precision]:
                    found = agreement.decibels, agreement.worst
                    predictor.back_end = BackEnd(name, version, reason, *found)
                    return predictor
                problem = (
                    f"agrees with the reference to {agreement.decibels:.1f} dB only, "
                    f"{REQUIRED_DECIBELS[precision]:g} are needed"
                )
            message = f"The back end {name} in {precision} is not used: it {problem}."
            self.on_notice(Notice("back-end", message))
        return None

    @property
    def _is_reference(self) -> bool:
        plain = not can_be_folded(self.network)
        return plain and not self.device.is_cuda and self.device.precision == "fp32"

    def _check(self, predictor: PlacedPredictor) -> Agreement:
        for _run in range(2 if self.cuda_graphs else 1):  # a graph runs from the second time on
            output = predictor.predict(self.expected.slices)
        agreement = compare(output, self.expected.output())
        if agreement.decibels < REQUIRED_DECIBELS[predictor.device.precision]:
            # what was kept may be damaged
            agreement = compare(output, self.expected.compute())
        return agreement
