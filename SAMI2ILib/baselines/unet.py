"""UNet: a contracting and an expanding path with skip connections, trained by L1 alone."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from SAMI2ILib.baselines.generator import Generator, SliceConfig
from SAMI2ILib.models.config_json import check_integer


@dataclass(frozen=True)
class UNetConfig(SliceConfig):
    """Sizes of the UNet.

    Args:
        slice_channels: As in `SliceConfig`, as is `width`.
        width: Channels at full resolution; they double at each level.
        levels: How often the resolution is halved.

    Raises:
        InputError: A value is of the wrong type or out of range.
    """

    levels: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("levels", self.levels, 1)

    @property
    def size_multiple(self) -> int:
        """As in `SliceConfig`."""
        return 1 << self.levels


class UNet(Generator):
    """Translate slices by a UNet.

    Args:
        config: Its sizes.

    Source:
        Ronneberger et al., arXiv 1505.04597, Fig. 1. Differs: convolutions are padded, so that the
        output has the input's size; batch norm behind each; one channel and a sigmoid at the end.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        widths = [config.width * 2**level for level in range(config.levels + 1)]
        self.first = _two_convolutions(config.slice_channels, widths[0])
        self.down = nn.ModuleList(
            _two_convolutions(fine, coarse) for fine, coarse in itertools.pairwise(widths)
        )
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))  # (coarse, fine)
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, f, 2, stride=2) for c, f in rising)
        self.fuse = nn.ModuleList(_two_convolutions(2 * f, f) for _, f in rising)
        self.last = nn.Conv2d(widths[0], 1, 1)

    def translate(self, slices: Tensor) -> Tensor:
        """As `Generator.translate`."""
        maps = [self.first(slices)]
        for down in self.down:
            maps.append(down(nn.functional.max_pool2d(maps[-1], 2)))
        features = maps.pop()
        for up, fuse in zip(self.up, self.fuse, strict=True):
            features = fuse(torch.cat([maps.pop(), up(features)], dim=1))
        return torch.sigmoid(self.last(features).float())


def _two_convolutions(channels: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering in (channels, width):
        layers += [
            nn.Conv2d(entering, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
