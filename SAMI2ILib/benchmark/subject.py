"""The networks that are measured: trunks with random weights, compared systems, real models."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from SAMI2ILib.baselines import ResVitConfig, UNetConfig, build_generator
from SAMI2ILib.benchmark.subject_names import BUNDLED, RANDOM_SUBJECTS
from SAMI2ILib.models import HIERA_VARIANTS, DecoderConfig, SamI2I, attention, build_sam_i2i
from SAMI2ILib.models.trunk import build_sam2_trunk
from SAMI2ILib.models.variants import HieraConfig

if TYPE_CHECKING:
    from SAMI2ILib.inference.model_loader import LoadedModel

SLICE_SIZE = 256
"""Height and width of the slices of a network with random weights."""

_SEED = 0
_LOGIT_DEVIATION = 1.5  # of the output layer: gray levels spread over most of [0, 1]
_BASELINES = {"unet": UNetConfig, "resvit": ResVitConfig}


@dataclass(frozen=True)
class Subject:
    """A network that is measured.

    Attributes:
        name: As the user gave it.
        network: In evaluation mode, on the CPU, float32.
        slice_shape: (C, H, W) of what goes in.
        title: What tables call it.
        model: The whole model; None for random weights.
        hiera: Size of its trunk; None where it has none.
    """

    name: str
    network: nn.Module
    slice_shape: tuple[int, int, int]
    title: str
    model: "LoadedModel | None" = None
    hiera: HieraConfig | None = None


def open_subject(name: str) -> Subject:
    """Build a network by its name.

    Args:
        name: One of `RANDOM_SUBJECTS`, "bundled", or an id or file of a model.

    Raises:
        MissingError: There is no such model, or something that it needs is not there.
        ModelError: The model's file is damaged.
    """
    if name in RANDOM_SUBJECTS:
        return _random_subject(name)
    from SAMI2ILib.inference.model_loader import load_model
    from SAMI2ILib.weights.store import Store

    model = load_model(Store().choose("T1", "T2").path if name == BUNDLED else name)
    spec = model.spec
    shape = (spec.preprocessing.context_slices, spec.preprocessing.size, spec.preprocessing.size)
    hiera = None
    if spec.family == "sam-i2i" and spec.encoder.hiera is not None:
        hiera = HieraConfig.from_json(spec.encoder.hiera)
    return Subject(name, model.network, shape, spec.id, model, hiera)


def _random_subject(name: str) -> Subject:
    torch.manual_seed(_SEED)
    hiera = HIERA_VARIANTS.get(name)
    network: nn.Module
    if hiera is None:
        network = build_generator(_BASELINES[name]())
        title = {"unet": "UNet", "resvit": "ResViT"}[name]
    else:
        network = build_sam_i2i(hiera, DecoderConfig.for_encoder(hiera))
        title = f"SAM-I2I {name}"
    network.requires_grad_(False).eval()
    return Subject(name, network, (1, SLICE_SIZE, SLICE_SIZE), title, None, hiera)


def cut_slices(
    slices: NDArray[np.float32], slice_shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Give slices another size around their middle, and the channels that a network takes.

    Args:
        slices: (N, H, W), or (N, C, H, W) with C as in `slice_shape`.
        slice_shape: (C, H, W) that is wanted. What lies outside is 0; a slice is its own neighbor.

    Returns:
        (N, C, H, W) float32.
    """
    channels, *size = slice_shape
    if slices.ndim == 3:
        slices = np.repeat(slices[:, None], channels, axis=1)
    result = np.zeros((len(slices), *slice_shape), dtype=np.float32)
    source, target = [], []
    for length, wanted in zip(slices.shape[2:], size, strict=True):
        common = min(length, wanted)
        source.append(slice((length - common) // 2, (length - common) // 2 + common))
        target.append(slice((wanted - common) // 2, (wanted - common) // 2 + common))
    result[:, :, target[0], target[1]] = slices[:, :, source[0], source[1]]
    return result


@torch.inference_mode()
def spread_output(network: nn.Module, slices: NDArray[np.float32]) -> None:
    """Scale the last convolution so that a slice comes out in gray levels all over [0, 1].

    Random weights give a nearly flat image, on which any two computations seem to agree.

    Args:
        network: Its last convolution is changed.
        slices: (B, C, H, W) float32 in [0, 1].
    """
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    outputs: list[Tensor] = []
    hook = last.register_forward_hook(lambda _module, _input, output: outputs.append(output))
    try:
        network(torch.from_numpy(slices))
    finally:
        hook.remove()
    mean, deviation = float(outputs[-1].mean()), float(outputs[-1].std())
    factor = _LOGIT_DEVIATION / max(deviation, 1e-6)
    last.weight.mul_(factor)
    if last.bias is not None:
        last.bias.sub_(mean).mul_(factor)


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the weights of a network for other processes; tensors that share memory are copied."""
    save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, path)


def load_weights(network: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote."""
    network.load_state_dict(load_file(path))


def naive_network(subject: Subject) -> nn.Module:
    """Give the network as one would run it who knows of nothing else.

    That is SAM2's own trunk, and torch's own attention in all layers. It changes how this process
    attends from now on, and takes the weights over.
    """
    attention.PLAIN_ATTENTION_TOKENS = 0
    network = subject.network
    if isinstance(network, SamI2I) and subject.hiera is not None:
        trunk = build_sam2_trunk(subject.hiera)
        trunk.load_state_dict(network.encoder.trunk.state_dict())
        network.encoder.trunk = trunk.requires_grad_(False).eval()
    return network


def count_flops(network: nn.Module, slice_shape: tuple[int, int, int]) -> int:
    """Count what one slice costs, two for each multiplication with its addition.

    Nothing is computed: torch's own counter looks at the shapes. Windows count with their padding.
    """
    plain = attention.PLAIN_ATTENTION_TOKENS
    attention.PLAIN_ATTENTION_TOKENS = sys.maxsize  # the counter does not know all fused kernels
    try:
        with (
            FakeTensorMode(allow_non_fake_inputs=True),
            FlopCounterMode(display=False) as counter,
            torch.no_grad(),
        ):
            network(torch.zeros(1, *slice_shape))
    finally:
        attention.PLAIN_ATTENTION_TOKENS = plain
    return int(counter.get_total_flops())
