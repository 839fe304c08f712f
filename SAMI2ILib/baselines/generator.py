"""What all generators of the compared systems have in common: their input, sizes and range."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.models.config_json import JsonConfig, check_integer
from SAMI2ILib.models.slice_size import check_size


@dataclass(frozen=True)
class SliceConfig(JsonConfig):
    """What every generator's sizes begin with.

    Args:
        slice_channels: Channels of the slices that go in: 1, or 3 with the two neighbors.
        width: Channels of the first layer; the others are multiples of it.

    Raises:
        InputError: A value is of the wrong type or out of range.
    """

    slice_channels: int = 1
    width: int = 64

    def __post_init__(self) -> None:
        if self.slice_channels not in (1, 3):
            raise InputError(f"slice_channels must be 1 or 3, got {self.slice_channels!r}.")
        check_integer("width", self.width, 1)

    @property
    def size_multiple(self) -> int:
        """Heights and widths of slices must be multiples of this number of pixels."""
        return 1


class Generator(nn.Module, ABC):
    """Translate slices; the base of all compared systems.

    Args:
        config: Its sizes.
    """

    def __init__(self, config: SliceConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def size_multiple(self) -> int:
        """Heights and widths of slices must be multiples of this number of pixels."""
        return self.config.size_multiple

    def forward(self, slices: Tensor) -> Tensor:
        """Translate slices.

        Args:
            slices: (B, C, H, W) float in [0, 1], C as `config.slice_channels`. H and W are
                multiples of `size_multiple`.

        Returns:
            (B, 1, H, W) float32 in [0, 1].

        Raises:
            ShapeError: The slices have another number of channels, or a size that the network
                cannot take.
        """
        channels = self.config.slice_channels
        if slices.ndim != 4 or slices.shape[1] != channels:
            raise ShapeError(f"slices must be (B, {channels}, H, W), got {tuple(slices.shape)}.")
        check_size(slices, self.size_multiple)
        return self.translate(slices)

    @abstractmethod
    def translate(self, slices: Tensor) -> Tensor:
        """Do what `forward` says, with slices that fit."""


def to_signed(slices: Tensor) -> Tensor:
    """Map [0, 1] to [-1, 1], the range that the GANs of this package work in."""
    return 2 * slices - 1


def from_signed(logits: Tensor) -> Tensor:
    """Map the last layer's output through tanh, in float32, to [0, 1]."""
    return (torch.tanh(logits.float()) + 1) / 2


def draw_normal_weights(network: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02) and batch norms around 1, all biases 0.

    Source:
        Pix2Pix, arXiv 1611.07004, Sec. 6.2; CycleGAN, arXiv 1703.10593, Sec. 7.1.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
