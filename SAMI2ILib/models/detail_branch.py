"""The detail branch: plain convolutions at the slice's own resolution beside the trunk."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvolutionLayer(nn.Module):
    """Two convolutions around a skip connection; without normalization, so that gray levels stay.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)
        nn.init.zeros_(self.second.weight)  # the layer begins as the identity

    def forward(self, image: Tensor) -> Tensor:
        """Refine (B, C, H, W) float."""
        return image + self.second(F.gelu(self.first(image)))  # type: ignore[no-any-return]


class NormalizedLayer(nn.Module):
    """Two convolutions, each with batch normalization and a rectifier, as in a UNet.

    It learns several times as fast from scratch as `ConvolutionLayer`.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = _convolution(channels, channels, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, image: Tensor) -> Tensor:
        """Refine (B, C, H, W) float."""
        image = F.relu(self.first_norm(self.first(image)))
        return F.relu(self.second_norm(self.second(image)))


class DetailBranch(nn.Module):
    """Carry what the trunk's stride-4 patches lose around it, and join it with the decoder's map.

    The slice goes down by convolutions to the resolution of the decoder's map, is joined with it
    there, and comes back up with what each level kept. The map may be as fine as the slice (no
    level below it) or coarser by two or four.

    Args:
        slice_channels: Channels of the slices.
        map_channels: Channels of the decoder's map.
        width: Channels at the slice's resolution; doubled at each level below.
        depth: Convolution layers at each level, on the way down and on the way up.
        levels: How many times the slice is halved to the size of the map.
        extra_levels: How many times it is halved further, by layers twice as wide as at the map.
        batch_norm: Whether the layers are `NormalizedLayer`.

    Source:
        Ours; SAM-I2I has no such branch.
    """

    def __init__(
        self,
        slice_channels: int,
        map_channels: int,
        width: int,
        depth: int,
        levels: int,
        extra_levels: int = 0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layer = NormalizedLayer if batch_norm else ConvolutionLayer
        widths = [width * 2**level for level in range(levels + 1)]
        widths += [2 * widths[-1]] * extra_levels
        steps = list(itertools.pairwise(widths))  # (fine, coarse)
        self.map_level = levels
        self.stem = _convolution(slice_channels, width)
        self.halve = nn.ModuleList(nn.Conv2d(f, c, 2, stride=2) for f, c in steps)
        self.down = nn.ModuleList(_repeat(layer, channels, depth) for channels in widths)
        self.join_map = nn.Conv2d(widths[levels] + map_channels, widths[levels], 1)
        self.join = nn.ModuleList(nn.Conv2d(2 * fine, fine, 1) for fine, _ in steps)
        self.enlarge = nn.ModuleList(nn.Conv2d(c, f, 1) for f, c in steps)
        self.up = nn.ModuleList(_repeat(layer, channels, depth) for channels in widths)

    def forward(self, slices: Tensor, decoded: Tensor) -> Tensor:
        """Join a slice with what the decoder made of it.

        Args:
            slices: (B, slice_channels, H, W) float in [0, 1].
            decoded: (B, map_channels, H / 2**levels, W / 2**levels) float.

        Returns:
            (B, width, H, W).
        """
        image = self.stem(slices.contiguous(memory_format=torch.channels_last))
        kept = []
        for level, layers in enumerate(self.down):
            if level:
                kept.append(image)
                image = self.halve[level - 1](image)
            image = layers(image)
            if level == self.map_level:
                image = self.join_map(torch.cat([image, decoded], dim=1))
        image = self.up[-1](image)
        for level in range(len(kept) - 1, -1, -1):
            image = F.interpolate(
                self.enlarge[level](image), scale_factor=2, mode="bilinear", align_corners=False
            )
            image = self.join[level](torch.cat([kept[level], image], dim=1))
            image = self.up[level](image)
        return image  # type: ignore[no-any-return]


def _convolution(channels_in: int, channels_out: int, bias: bool = True) -> nn.Conv2d:
    # Zeros around a map would leave a frame on every slice, and at every border of tiles.
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="replicate", bias=bias)


def _repeat(layer: Callable[[int], nn.Module], channels: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(layer(channels) for _ in range(depth)))
