"""Pix2Pix: a U-Net of strided convolutions down to a single pixel, with dropout as its noise."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from SAMI2ILib.baselines.generator import (
    Generator,
    SliceConfig,
    draw_normal_weights,
    from_signed,
    to_signed,
)
from SAMI2ILib.errors import InputError
from SAMI2ILib.models.config_json import check_boolean, check_integer

_WIDEST = 8  # times the first layer's channels
_DROPPED = 3  # coarsest levels, with dropout on the way up
_SLOPE = 0.2  # of the leaky rectifiers


@dataclass(frozen=True)
class Pix2PixConfig(SliceConfig):
    """Sizes of the generator.

    Args:
        slice_channels: As in `SliceConfig`, as is `width`.
        width: Channels of the first layer; they double up to eightfold.
        depth: How often the resolution is halved: 8 takes 256x256 down to one pixel.
        dropout: Part of the channels' values that is dropped at the coarse levels in training.
        instance_norm: Normalize each slice by itself, which is what batch norm does to a batch of
            one slice in training; false normalizes over the batch.

    Raises:
        InputError: A value is of the wrong type or out of range.
    """

    depth: int = 8
    dropout: float = 0.5
    instance_norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("depth", self.depth, 2)
        check_dropout(self.dropout)
        check_boolean("instance_norm", self.instance_norm)

    @property
    def size_multiple(self) -> int:
        """As in `SliceConfig`."""
        return 1 << self.depth


class Pix2PixGenerator(Generator):
    """Translate slices by the U-Net of Pix2Pix.

    Args:
        config: Its sizes.

    Source:
        Isola et al., arXiv 1611.07004, Sec. 6.1.1 (U-Net). Differs: dropout is off in evaluation
        mode and batch norm takes the averages of training, so that one slice has one translation
        whatever else is in its batch; one channel.
    """

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__(config)
        widths = [config.width * min(2**level, _WIDEST) for level in range(config.depth)]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, width in enumerate(widths):
            entering = config.slice_channels if level == 0 else widths[level - 1]
            leaving = 1 if level == 0 else widths[level - 1]
            is_inner, is_innermost = level > 0, level == config.depth - 1
            # behind the innermost layer there is one value a channel: nothing to normalize
            self.down.append(
                _Layer(
                    nn.LeakyReLU(_SLOPE) if is_inner else nn.Identity(),
                    nn.Conv2d(entering, width, 4, 2, 1, bias=not is_inner or is_innermost),
                    normalize(width, config.instance_norm)
                    if is_inner and not is_innermost
                    else nn.Identity(),
                )
            )
            is_dropped = is_inner and level >= config.depth - _DROPPED
            self.up.append(
                _Layer(
                    nn.ReLU(),
                    nn.ConvTranspose2d(
                        width if is_innermost else 2 * width, leaving, 4, 2, 1, bias=not is_inner
                    ),
                    normalize(leaving, config.instance_norm) if is_inner else nn.Identity(),
                    nn.Dropout(config.dropout) if is_dropped else nn.Identity(),
                )
            )
        draw_normal_weights(self)

    def translate(self, slices: Tensor) -> Tensor:
        """As `Generator.translate`."""
        maps = [to_signed(slices)]
        for down in self.down:
            maps.append(down(maps[-1]))
        features = maps.pop()
        for up in reversed(self.up[1:]):
            features = torch.cat([maps.pop(), up(features)], dim=1)
        return from_signed(self.up[0](features))


class _Layer(nn.Sequential):
    """Activation, convolution, norm and dropout of one level, in this order."""


def normalize(channels: int, instance_norm: bool) -> nn.Module:
    """Build a norm layer with a learned scale and offset."""
    if instance_norm:
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.BatchNorm2d(channels)


def check_dropout(value: object) -> None:
    """Refuse what is no part that can be dropped.

    Raises:
        InputError: The value is no number in [0, 1).
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise InputError(f"dropout must be a number in [0, 1), got {value!r}.")
