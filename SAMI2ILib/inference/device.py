"""Chooses where the network runs and in which precision, and says why."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from SAMI2ILib.errors import InputError, MissingError, first_line

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """Where the network runs.

    Attributes:
        name: torch's name: "cpu" or "cuda:N".
        description: What a user calls it, e.g. "NVIDIA RTX A5000 (CUDA 0)" or "CPU".
        reason: Why this one, as a clause: "no CUDA device was found".
        precision: "fp32", "bf16" or "fp16".
    """

    name: str
    description: str
    reason: str
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        """The element type of the network's matrix products."""
        return _DTYPES[self.precision]

    @property
    def is_cuda(self) -> bool:
        """Whether it is an NVIDIA (or ROCm) GPU."""
        return self.name.startswith("cuda")


def select_device(request: str = "auto", precision: str = "auto") -> Device:
    """Choose a device and try it with one small operation.

    Args:
        request: "auto", "cpu", "cuda" or "cuda:N". "auto" takes the first CUDA device that works,
            the CPU otherwise; a device asked for by name is never replaced by another.
        precision: "auto" is bf16 where the device gains from it, else fp32.

    Returns:
        The device with the reason for it.

    Raises:
        InputError: The request is not a device name, or the precision does not exist or does not
            run on the device.
        MissingError: The CUDA device asked for is not there or does not work.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}.",
            "Leave it out for the fastest one of the device.",
        )
    if request == "cpu":
        return _cpu("it was asked for", precision)
    if request == "auto":
        return _first_that_works(precision)
    index = _cuda_index(request)
    trouble = _cuda_trouble(index)
    if trouble:
        raise MissingError(
            f"The device {request!r} cannot be used: {trouble}.", "Use --device cpu or auto."
        )
    return _cuda(index, "it was asked for", precision)


def device_trouble(device: Device) -> str:
    """Run one small convolution in the device's precision.

    Returns:
        Why the device cannot be used; an empty string when it works.
    """
    try:
        image = torch.ones(1, 1, 8, 8, device=device.name, dtype=device.dtype)
        kernel = torch.ones(1, 1, 3, 3, device=device.name, dtype=device.dtype)
        works = bool((torch.nn.functional.conv2d(image, kernel) == 9).all().item())
    except (RuntimeError, AssertionError) as error:
        return f"a test operation on {device.name} failed ({first_line(error)})"
    return "" if works else f"{device.name} computed a wrong result"


def describe_gpu(name: str) -> dict[str, Any]:
    """What a user may be asked about a GPU that works.

    Args:
        name: torch's, "cuda:N".

    Returns:
        `memory_bytes`, `free_bytes`; `capability`, as "8.6"; `runtime`, as "CUDA 13.0".
    """
    free, total = torch.cuda.mem_get_info(name)
    hip = torch.version.hip
    return {
        "memory_bytes": total,
        "free_bytes": free,
        "capability": ".".join(map(str, torch.cuda.get_device_capability(name))),
        "runtime": f"CUDA {torch.version.cuda}" if hip is None else f"ROCm {hip}",
    }


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Let a GPU convolve float32 as what it is, for the length of a block.

    torch lets cuDNN round what goes into a convolution to the ten bits of TF32 unless it is told
    otherwise; its matrix products it does not. The setting is one of the whole process.
    """
    settings: Any = getattr(torch.backends.cudnn, "conv", None)  # since torch 2.9
    name, full = ("fp32_precision", "ieee") if settings else ("allow_tf32", False)
    settings = settings or torch.backends.cudnn
    before = getattr(settings, name)
    setattr(settings, name, full)
    try:
        yield
    finally:
        setattr(settings, name, before)


def cpu_gains_from_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices faster than fp32 ones.

    True with AMX tiles. AVX-512 BF16 alone is not enough: torch's products of the sizes in
    question are then no faster than in fp32 (docs/decisions/0002), and less accurate.
    """
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported is not None and supported())


def cpu_multiplies_faster_in_bf16() -> bool:
    """Whether a product of two 512x512 matrices takes this CPU clearly less time in bf16.

    Measured here and now: processors that report the same instructions differ by a factor of
    seven (docs/decisions/0002). For training, which takes the loss of accuracy in its stride.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            matrix @ matrix
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times)
    return seconds[torch.bfloat16] < 0.7 * seconds[torch.float32]


def _first_that_works(precision: str) -> Device:
    first_trouble = ""
    for index in range(max(1, torch.cuda.device_count())):
        trouble = _cuda_trouble(index)
        if not trouble:
            works = " that works" if first_trouble else ""
            return _cuda(index, f"it is the first CUDA device{works}", precision)
        first_trouble = first_trouble or trouble
    return _cpu(first_trouble, precision)


def _cpu(reason: str, precision: str) -> Device:
    if precision == "fp16":
        raise InputError(
            "precision fp16 needs a CUDA device.", "Use bf16, fp32 or auto on the CPU."
        )
    if precision == "auto":
        precision = "bf16" if cpu_gains_from_bf16() else "fp32"
    return Device("cpu", "CPU", reason, precision)


def _cuda(index: int, reason: str, precision: str) -> Device:
    if precision == "auto":
        # Before compute capability 8.0 bf16 is emulated; fp16 is not, but overflows.
        native = torch.cuda.get_device_capability(index) >= (8, 0)
        precision = "bf16" if native else "fp32"
    name = torch.cuda.get_device_name(index)
    return Device(f"cuda:{index}", f"{name} (CUDA {index})", reason, precision)


def _cuda_index(request: str) -> int:
    kind, _, index = request.partition(":")
    if kind != "cuda" or (index and not index.isdecimal()) or request.endswith(":"):
        raise InputError(
            f"device must be auto, cpu, cuda or cuda:N, not {request!r}.",
            "`sami2i doctor` lists what this machine has.",
        )
    return int(index or 0)


def _cuda_trouble(index: int) -> str:
    """Say why a CUDA device cannot be used; an empty string when it works."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "this build of PyTorch has no CUDA"
    if not torch.cuda.is_available():
        return "no CUDA device was found"
    if index >= torch.cuda.device_count():
        return f"there are {torch.cuda.device_count()} CUDA devices, counted from 0"
    try:
        ones = torch.ones(8, 8, device=f"cuda:{index}")
        works = bool((ones @ ones).sum().item() == 512.0)
    except (RuntimeError, AssertionError) as error:
        return f"a test operation on CUDA {index} failed ({first_line(error)})"
    return "" if works else f"CUDA {index} computed a wrong result"
