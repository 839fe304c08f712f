"""Chooses where a training runs."""

from dataclasses import replace

import torch

from SAMI2ILib.inference.device import Device, cpu_multiplies_faster_in_bf16, select_device
from SAMI2ILib.training.config import TrainingConfig
from SAMI2ILib.training.distributed import World


def choose_device(config: TrainingConfig, request: str, world: World) -> Device:
    """Choose where a training runs: of several processes each takes a GPU of its own.

    Args:
        config: Its threads are set; it says whether bfloat16 may be used.
        request: "auto", "cpu", "cuda" or "cuda:N".
        world: Which process of how many.

    Raises:
        InputError: The request is no device's name.
        MissingError: The CUDA device asked for is not there or does not work.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    if world.size > 1 and request in ("auto", "cuda") and torch.cuda.is_available():
        request = f"cuda:{world.local_rank}"
    device = select_device(request, "auto" if config.bf16 else "fp32")
    if config.bf16 and not device.is_cuda and cpu_multiplies_faster_in_bf16():
        return replace(device, precision="bf16")
    return device
