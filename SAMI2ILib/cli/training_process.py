"""What every process that trains does first: choose its device, and heed a polite end."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from SAMI2ILib.inference.device import Device
    from SAMI2ILib.training.config import TrainingConfig
    from SAMI2ILib.training.distributed import World


def choose_device(config: "TrainingConfig", request: str, world: "World") -> "Device":
    """Choose where a training runs: of several processes each takes a GPU of its own.

    Args:
        config: Its threads are set; it says whether bfloat16 may be used.
        request: "auto", "cpu", "cuda" or "cuda:N".
        world: Which process of how many.

    Raises:
        InputError: The request is no device's name.
        MissingError: The CUDA device asked for is not there or does not work.
    """
    import torch

    from SAMI2ILib.inference.device import cpu_multiplies_faster_in_bf16, select_device

    if config.threads:
        torch.set_num_threads(config.threads)
    if world.size > 1 and request in ("auto", "cuda") and torch.cuda.is_available():
        request = f"cuda:{world.local_rank}"
    device = select_device(request, "auto" if config.bf16 else "fp32")
    if config.bf16 and not device.is_cuda and cpu_multiplies_faster_in_bf16():
        return replace(device, precision="bf16")
    return device


@contextlib.contextmanager
def stop_requested() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets; the second one interrupts at once."""
    event = threading.Event()

    def request(_signal: int, _frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event  # signals arrive in the main thread only
        return
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
