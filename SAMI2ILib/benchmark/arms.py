"""The arms of a benchmark: every way to run a network, and why one cannot run here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.benchmark.onnx_runtime import open_session
from SAMI2ILib.errors import MissingError, ModelError

if TYPE_CHECKING:
    from SAMI2ILib.benchmark.subject import Subject
    from SAMI2ILib.inference.predictor import PlacedPredictor

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Maps slices (B, C, H, W) float32 in [0, 1] to (B, H, W) float32 in [0, 1]."""

NAIVE: Final = "naive"
NAIVE_CUDA: Final = "cuda-naive"


@dataclass(frozen=True)
class Arm:
    """One way to run a network.

    Attributes:
        name: As options and files have it.
        title: What tables call it.
        library: Whose kernels compute.
        precision: Of most layers: "fp32", "bf16" or "fp16".
        is_cuda: Whether it needs a CUDA device.
        trouble: Why it can run nowhere; listed, so that nobody looks for it.
        has_graphs: Whether it replays the kernels as one.
    """

    name: str
    title: str
    library: str
    precision: str
    is_cuda: bool = False
    trouble: str = ""
    has_graphs: bool = False

    @property
    def is_naive(self) -> bool:
        """Whether it is what the others are compared with."""
        return self.name in (NAIVE, NAIVE_CUDA)

    @property
    def is_own(self) -> bool:
        """Whether `translate` can run on it."""
        return not self.is_naive and self.library != "onnxruntime"


ARMS: Final = (
    Arm(NAIVE, "naive: torch as it comes", "torch", "fp32"),
    Arm("torch-fp32", "torch", "torch", "fp32"),
    Arm("torch-bf16", "torch, mixed", "torch", "bf16"),
    Arm("openvino-fp32", "OpenVINO", "openvino", "fp32"),
    Arm("openvino-bf16", "OpenVINO, mixed", "openvino", "bf16"),
    Arm("onnxruntime-fp32", "ONNX Runtime", "onnxruntime", "fp32"),
    Arm(
        "onnxruntime-bf16",
        "ONNX Runtime",
        "onnxruntime",
        "bf16",
        trouble="ONNX Runtime has no bfloat16 kernels for these layers on a CPU.",
    ),
    Arm(NAIVE_CUDA, "naive: torch as it comes, GPU", "torch", "fp32", is_cuda=True),
    Arm("cuda-fp32", "torch, GPU", "torch", "fp32", is_cuda=True),
    Arm("cuda-bf16", "torch, GPU, mixed", "torch", "bf16", is_cuda=True),
    Arm("cuda-fp16", "torch, GPU, mixed", "torch", "fp16", is_cuda=True),
    Arm(
        "cuda-graph-bf16",
        "torch, GPU, mixed, CUDA graph",
        "torch",
        "bf16",
        is_cuda=True,
        has_graphs=True,
    ),
)
"""All arms, in the order of the tables; the first is what the others are compared with."""

ARM_NAMES: Final = tuple(arm.name for arm in ARMS)


def find_arm(name: str) -> Arm:
    """Find an arm by its name, which is one of `ARM_NAMES`."""
    return next(arm for arm in ARMS if arm.name == name)


def open_arm(arm: Arm, subject: Callable[[], "Subject"], onnx_file: Path, threads: int) -> Run:
    """Make an arm ready to run slices of a subject.

    Args:
        arm: One of `ARMS`.
        subject: Builds it; its network is taken over. ONNX Runtime does not need it.
        onnx_file: The same network as ONNX.
        threads: Of the CPU.

    Raises:
        MissingError: A package, a device or a kind of kernel that it needs is not there.
        InputError: The device does not compute in this precision.
        ModelError: A back end disagrees with the reference.
    """
    if arm.library == "onnxruntime":
        if arm.trouble:
            raise MissingError(arm.trouble)
        return open_session(onnx_file, threads)
    from SAMI2ILib.inference.device import select_device

    device = select_device("cuda" if arm.is_cuda else "cpu", arm.precision)
    if arm.is_naive:
        return _open_naive(subject(), device.name)
    predictor = open_predictor(arm, subject())

    def run(slices: NDArray[np.float32]) -> NDArray[np.float32]:
        output = predictor.predict(slices)
        check_place(predictor, arm)
        return output

    return run


def open_predictor(arm: Arm, subject: "Subject") -> "PlacedPredictor":
    """Make one of the software's own back ends ready, as `translate` takes it.

    Raises:
        ModelError: It would run in another precision, for it disagrees with the reference in this,
            or on another device, for the GPU's memory does not hold it.
    """
    from SAMI2ILib.inference.back_ends import make_predictor
    from SAMI2ILib.inference.device import select_device

    device = select_device("cuda" if arm.is_cuda else "cpu", arm.precision)
    heard: list[str] = []
    predictor = make_predictor(
        subject.network,
        device,
        subject.slice_shape,
        back_end=arm.library,
        on_notice=lambda notice: heard.append(notice.message),
        cuda_graphs=arm.has_graphs,
    )
    check_place(predictor, arm, " ".join(heard))
    return predictor


def check_place(predictor: "PlacedPredictor", arm: Arm, heard: str = "") -> None:
    """Let nothing be measured under the name of an arm that it is not.

    Args:
        predictor: Of the arm.
        arm: What it shall be.
        heard: What it has said.

    Raises:
        ModelError: It runs in another precision, or has left a GPU that was too small.
    """
    device = predictor.device
    if (device.precision, device.is_cuda) != (arm.precision, arm.is_cuda):
        raise ModelError(heard or f"It runs on {device.name} in {device.precision} now.")


def _open_naive(subject: "Subject", device: str) -> Run:
    import torch

    from SAMI2ILib.benchmark.subject import naive_network

    network = naive_network(subject).to(device)

    def run(slices: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            output: NDArray[np.float32] = network(torch.from_numpy(slices).to(device)).cpu().numpy()
        return output[:, 0]

    return run
